//! `nsqadmin hash-password USER ROLE`: makes a line of the password file.

use std::io::{self, BufRead};

use thiserror::Error;

use crate::session::{PasswordsError, hash_password};

/// Why there is no line.
#[derive(Debug, Error)]
pub enum HashError {
    /// Called in another way.
    #[error(
        "usage: nsqadmin hash-password USER read-only|publisher|admin < FILE-WITH-THE-PASSWORD"
    )]
    Usage,
    /// No password came.
    #[error("cannot read the password: {0}")]
    Read(#[from] io::Error),
    /// There is none.
    #[error("the password is empty")]
    Empty,
    /// A name or a role that is not allowed.
    #[error(transparent)]
    Refused(#[from] PasswordsError),
}

/// Returns the line for the user and the role in `words`, with the password that is the first line of `input`.
///
/// # Errors
///
/// See [`HashError`].
pub fn line(words: &[String], mut input: impl BufRead) -> Result<String, HashError> {
    let [user, role] = words else {
        return Err(HashError::Usage);
    };
    let mut password = String::new();
    input.read_line(&mut password)?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(HashError::Empty);
    }
    Ok(hash_password(user, role, password)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_made_of_the_first_line() {
        let words = ["joe", "admin"].map(str::to_owned);
        let made = line(&words, &b"secret\nrest"[..]).unwrap();
        assert!(made.starts_with("joe:admin:$argon2id$"), "{made}");
        assert!(matches!(line(&words, &b"\n"[..]), Err(HashError::Empty)));
        assert!(matches!(
            line(&words[..1], &b"x"[..]),
            Err(HashError::Usage)
        ));
    }
}
