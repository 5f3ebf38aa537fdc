//! Who has logged in: a random token in a cookie for each, kept here until it expires.
//!
//! | file | owns |
//! | --- | --- |
//! | `mod.rs` | [`Sessions`]: tokens, their users, their end |
//! | `passwords.rs` | the password file: users, roles, argon2 hashes |
//! | `attempts.rs` | pure: how often somebody may guess |

mod attempts;
mod passwords;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use thiserror::Error;
use tokio::sync::Semaphore;

use attempts::Attempts;
pub use passwords::PasswordsError;
pub(crate) use passwords::{Passwords, hash_password};

/// What somebody may do; each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// Sees figures, no message.
    ReadOnly,
    /// Sees messages and publishes.
    Publisher,
    /// Changes the cluster.
    Admin,
}

/// The logins, and what they are checked against.
#[derive(Debug)]
pub(crate) struct Sessions {
    passwords: Arc<Passwords>,
    timeout: Duration,
    state: Mutex<State>,
    /// Checking a password takes memory and time on purpose.
    checks: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    /// By token.
    sessions: HashMap<String, Session>,
    attempts: Attempts,
}

#[derive(Clone, Debug)]
struct Session {
    user: String,
    role: Role,
    expires: Instant,
}

/// Why somebody is not logged in.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum LoginError {
    #[error("WRONG_PASSWORD")]
    Wrong,
    #[error("TOO_MANY_ATTEMPTS")]
    TooMany,
}

impl Sessions {
    pub(crate) fn new(passwords: Passwords, timeout: Duration) -> Self {
        Self {
            passwords: Arc::new(passwords),
            timeout,
            state: Mutex::default(),
            checks: Semaphore::new(CHECKS_MAX),
        }
    }

    /// A new token for `user`, if the password is theirs. `peer` is who asks.
    pub(crate) async fn login(
        &self,
        peer: &str,
        user: &str,
        password: &str,
    ) -> Result<String, LoginError> {
        let keys = [format!("peer {peer}"), format!("user {user}")];
        if !self.state().attempts.begin(Instant::now(), &keys) {
            return Err(LoginError::TooMany);
        }
        let permit = self.checks.acquire().await;
        let passwords = Arc::clone(&self.passwords);
        let (name, password) = (user.to_owned(), password.to_owned());
        let checked = tokio::task::spawn_blocking(move || passwords.check(&name, &password)).await;
        drop(permit);
        let role = checked.ok().flatten().ok_or(LoginError::Wrong)?;
        let token = random_token();
        let (now, mut state) = (Instant::now(), self.state());
        state.attempts.forgive(&keys);
        state.add(
            now,
            token.clone(),
            Session {
                user: user.to_owned(),
                role,
                expires: now + self.timeout,
            },
        );
        Ok(token)
    }

    /// Who has logged in with this token.
    pub(crate) fn user(&self, token: &str) -> Option<(String, Role)> {
        let state = self.state();
        let session = state.sessions.get(token)?;
        (session.expires > Instant::now()).then(|| (session.user.clone(), session.role))
    }

    /// Forgets the token.
    pub(crate) fn logout(&self, token: &str) {
        self.state().sessions.remove(token);
    }

    /// How long a login holds.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How many are logged in.
    pub(crate) fn count(&self) -> usize {
        self.state().sessions.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Makes room first: for what has expired, and if that is not enough for what will first.
    fn add(&mut self, now: Instant, token: String, session: Session) {
        self.sessions.retain(|_, session| session.expires > now);
        if self.sessions.len() >= SESSIONS_MAX {
            let oldest = self
                .sessions
                .iter()
                .min_by_key(|(_, session)| session.expires);
            if let Some(token) = oldest.map(|(token, _)| token.clone()) {
                self.sessions.remove(&token);
            }
        }
        self.sessions.insert(token, session);
    }
}

/// 256 bits that nobody guesses.
fn random_token() -> String {
    let mut bytes = [0; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        // It fails only when interrupted: then again.
        filled += rustix::rand::getrandom(&mut bytes[filled..], flags).unwrap_or(0);
    }
    bytes
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes everything");
            text
        })
}

/// Logins at a time.
const SESSIONS_MAX: usize = 1_000;
/// Passwords checked at a time, at some 20 MiB each.
const CHECKS_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(timeout: Duration) -> Sessions {
        let line = hash_password("joe", "admin", "secret").unwrap();
        Sessions::new(Passwords::parse(&line).unwrap(), timeout)
    }

    #[tokio::test]
    async fn the_right_password_opens_a_session_that_ends() {
        let sessions = sessions(Duration::from_mins(1));
        assert_eq!(
            sessions.login("p", "joe", "Secret").await,
            Err(LoginError::Wrong)
        );
        assert_eq!(
            sessions.login("p", "eve", "secret").await,
            Err(LoginError::Wrong)
        );
        let token = sessions.login("p", "joe", "secret").await.unwrap();
        assert_eq!(sessions.user(&token), Some(("joe".to_owned(), Role::Admin)));
        assert_eq!(sessions.user(&token[1..]), None);
        let other = sessions.login("p", "joe", "secret").await.unwrap();
        assert!(token.len() == 64 && token != other);
        sessions.logout(&token);
        assert_eq!((sessions.user(&token), sessions.count()), (None, 1));
    }

    #[tokio::test]
    async fn who_guesses_too_often_is_not_even_checked() {
        let sessions = sessions(Duration::from_mins(1));
        for _ in 0..attempts::ATTEMPTS_MAX {
            assert_eq!(
                sessions.login("p", "joe", "x").await,
                Err(LoginError::Wrong)
            );
        }
        assert_eq!(
            sessions.login("p", "joe", "secret").await,
            Err(LoginError::TooMany)
        );
        assert_eq!(
            sessions.login("q", "joe", "secret").await,
            Err(LoginError::TooMany)
        );
    }

    #[test]
    fn sessions_expire_and_have_a_bound() {
        let (mut state, now) = (State::default(), Instant::now());
        let session = |seconds| Session {
            user: "joe".to_owned(),
            role: Role::ReadOnly,
            expires: now + Duration::from_secs(seconds),
        };
        for number in 0..=SESSIONS_MAX as u64 {
            state.add(now, number.to_string(), session(10 + number));
        }
        assert_eq!(state.sessions.len(), SESSIONS_MAX);
        assert!(
            !state.sessions.contains_key("0"),
            "the first to expire makes room"
        );
        state.add(
            now + Duration::from_secs(9_999),
            "late".to_owned(),
            session(99_999),
        );
        assert_eq!(state.sessions.len(), 1);
    }
}
