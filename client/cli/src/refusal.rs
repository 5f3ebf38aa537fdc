//! What an nsqd may have against a client, whatever that asks for.

use client::connection::ConnectionError;
use client::producer::PublishError;
use client::wire::ErrorCode;

/// What an nsqd has against a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It wants a secret.
    Secret,
    /// It wants TLS.
    Tls,
    /// The secret does not allow this.
    Permission,
}

impl Refusal {
    /// What an nsqd had against whoever published.
    pub(crate) fn in_error(error: &PublishError) -> Option<Refusal> {
        match error {
            PublishError::Rejected { text, .. } => Refusal::in_text(text),
            PublishError::NotSent { cause: Some(error) } => match &error.cause {
                ConnectionError::Refused(text) => Refusal::in_text(text),
                ConnectionError::SecretNeeded => Some(Refusal::Secret),
                _ => None,
            },
            _ => None,
        }
    }

    /// What an error of nsqd is about, if it is that.
    pub(crate) fn in_text(text: &str) -> Option<Refusal> {
        let (code, rest) = text.split_once(' ').unwrap_or((text, ""));
        match code.parse() {
            Ok(ErrorCode::AuthFirst) => Some(Refusal::Secret),
            Ok(ErrorCode::AuthFailed | ErrorCode::Unauthorized | ErrorCode::AuthError) => {
                Some(Refusal::Permission)
            }
            // nsqd has no code of its own for this.
            Ok(ErrorCode::Invalid) if rest.contains("TLS required") => Some(Refusal::Tls),
            _ => None,
        }
    }

    /// What to do about it; starts with a semicolon.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Refusal::Secret => "; --auth-secret-file names the file of a secret",
            Refusal::Tls => "; --tls speaks it",
            Refusal::Permission => "",
        }
    }
}
