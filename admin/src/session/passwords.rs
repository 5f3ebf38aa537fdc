//! The password file: a line `user:role:hash` for each who may log in; empty lines and those that begin with `#` are left out.
//!
//! Roles are `read-only`, `publisher` and `admin`; a hash is a PHC string of argon2, as `nsqadmin hash-password` makes it.

use std::collections::HashMap;
use std::path::Path;
use std::{fs, io};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use thiserror::Error;

use super::Role;

/// Who may log in.
#[derive(Debug)]
pub(crate) struct Passwords {
    users: HashMap<String, Entry>,
    /// Checked in place of the hash of somebody who does not exist, so that time does not tell who does.
    nobody: PasswordHash,
}

#[derive(Debug)]
struct Entry {
    role: Role,
    hash: PasswordHash,
}

/// A password file that cannot be used. It never repeats a hash.
#[derive(Debug, Error)]
pub enum PasswordsError {
    /// It cannot be read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        cause: io::Error,
    },
    /// A line is not `user:role:hash`.
    #[error("line {line}: {what}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is nobody in it.
    #[error("nobody is in it")]
    Empty,
    /// A password cannot be hashed.
    #[error("this password cannot be hashed")]
    Hash,
}

impl Passwords {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self, PasswordsError> {
        let text = fs::read_to_string(path).map_err(|cause| PasswordsError::Read {
            path: path.display().to_string(),
            cause,
        })?;
        Self::parse(&text)
    }

    pub(super) fn parse(text: &str) -> Result<Self, PasswordsError> {
        let mut users = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what| PasswordsError::Line {
                line: index + 1,
                what,
            };
            let (user, entry) = entry(line).map_err(wrong)?;
            if users.insert(user.to_owned(), entry).is_some() {
                return Err(wrong("the user has a line already"));
            }
        }
        if users.is_empty() {
            return Err(PasswordsError::Empty);
        }
        let nobody = Argon2::default().hash_password(b"nobody");
        let nobody = nobody.map_err(|_| PasswordsError::Hash)?;
        Ok(Self { users, nobody })
    }

    /// The role of `user`, if the password is theirs. Takes some 20 MiB and 50 ms, on purpose.
    pub(super) fn check(&self, user: &str, password: &str) -> Option<Role> {
        let entry = self.users.get(user);
        let hash = entry.map_or(&self.nobody, |entry| &entry.hash);
        let checked = Argon2::default().verify_password(password.as_bytes(), hash);
        entry.filter(|_| checked.is_ok()).map(|entry| entry.role)
    }
}

fn entry(line: &str) -> Result<(&str, Entry), &'static str> {
    let mut parts = line.splitn(3, ':');
    let (Some(user), Some(role), Some(hash)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("not user:role:hash");
    };
    if user.is_empty() {
        return Err("the user has no name");
    }
    let role = role_named(role).ok_or("the role is not read-only, publisher or admin")?;
    let hash = PasswordHash::new(hash).map_err(|_| "the hash is no PHC string")?;
    if !hash.algorithm.as_str().starts_with("argon2") {
        return Err("the hash is not of argon2");
    }
    Ok((user, Entry { role, hash }))
}

fn role_named(name: &str) -> Option<Role> {
    match name {
        "read-only" => Some(Role::ReadOnly),
        "publisher" => Some(Role::Publisher),
        "admin" => Some(Role::Admin),
        _ => None,
    }
}

/// The line of the file for this user.
pub(crate) fn hash_password(
    user: &str,
    role: &str,
    password: &str,
) -> Result<String, PasswordsError> {
    let wrong = |what| PasswordsError::Line { line: 1, what };
    if user.is_empty() || user.contains([':', '\n', '#']) {
        return Err(wrong("a user's name is not empty and has no ':' or '#'"));
    }
    role_named(role).ok_or(wrong("the role is not read-only, publisher or admin"))?;
    let hash = Argon2::default().hash_password(password.as_bytes());
    let hash = hash.map_err(|_| PasswordsError::Hash)?;
    Ok(format!("{user}:{role}:{hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_users_and_their_roles() {
        let joe = hash_password("joe", "admin", "one").unwrap();
        let ann = hash_password("ann", "read-only", "two").unwrap();
        let passwords = Passwords::parse(&format!("# who\n\n{joe}\n{ann}\r\n")).unwrap();
        for (user, password, role) in [
            ("joe", "one", Some(Role::Admin)),
            ("ann", "two", Some(Role::ReadOnly)),
            ("ann", "one", None),
            ("eve", "nobody", None),
            ("", "", None),
        ] {
            assert_eq!(passwords.check(user, password), role, "{user}");
        }
    }

    #[test]
    fn wrong_lines_are_named_and_hashes_are_not() {
        let joe = hash_password("joe", "admin", "one").unwrap();
        for (text, part) in [
            ("joe", "line 1: not user:role:hash"),
            ("\njoe:admin:plain", "line 2: the hash is no PHC string"),
            ("joe:root:x", "line 1: the role"),
            (":admin:x", "line 1: the user has no name"),
            ("", "nobody"),
            (&format!("{joe}\n{joe}"), "line 2: the user has a line"),
        ] {
            let error = Passwords::parse(text).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains('$'), "{error}");
        }
        assert!(hash_password("a:b", "admin", "x").is_err());
        assert!(hash_password("a", "root", "x").is_err());
    }
}
