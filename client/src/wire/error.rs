//! What nsqd says when it refuses: a code that programs read, a description for people.
//!
//! ```text
//! error data = code [space description]        E_BAD_TOPIC PUB topic name "a b" is not valid
//! ```

use std::fmt::{self, Write};
use std::str::FromStr;

/// An error as nsqd sends it in an error frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReply {
    /// What kind of error it is.
    pub code: ErrorCode,
    /// What exactly is wrong, for people. Empty for `E_BAD_PROTOCOL` only.
    pub description: String,
}

impl ErrorReply {
    /// An error of this kind.
    pub fn new(code: ErrorCode, description: impl Into<String>) -> ErrorReply {
        ErrorReply {
            code,
            description: description.into(),
        }
    }

    /// Reads the data of an error frame; `None` when its code is not one of NSQ's.
    pub fn parse(data: &[u8]) -> Option<ErrorReply> {
        let text = String::from_utf8_lossy(data);
        let (code, description) = text.split_once(' ').unwrap_or((&text, ""));
        Some(ErrorReply::new(code.parse().ok()?, description))
    }

    /// Whether nsqd closes the connection after this error.
    pub fn is_fatal(&self) -> bool {
        self.code.is_fatal()
    }
}

impl fmt::Display for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.as_str())?;
        if !self.description.is_empty() {
            write!(f, " {}", self.description)?;
        }
        Ok(())
    }
}

impl std::error::Error for ErrorReply {}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// The codes of nsqd's errors.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)+ }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$variant,)+];

            /// The code as it stands on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$variant => $text,)+ }
            }
        }
    };
}

error_codes! {
    /// The connection did not start with the magic of a known protocol.
    BadProtocol = "E_BAD_PROTOCOL",
    /// An unknown command, a wrong parameter, or not in this state of the connection.
    Invalid = "E_INVALID",
    /// The body of IDENTIFY, AUTH or MPUB has a wrong size or content.
    BadBody = "E_BAD_BODY",
    /// A message has a wrong size.
    BadMessage = "E_BAD_MESSAGE",
    /// Not a valid topic name.
    BadTopic = "E_BAD_TOPIC",
    /// Not a valid channel name.
    BadChannel = "E_BAD_CHANNEL",
    /// What IDENTIFY asked for cannot be set up.
    IdentifyFailed = "E_IDENTIFY_FAILED",
    /// AUTH, but nsqd has no auth server.
    AuthDisabled = "E_AUTH_DISABLED",
    /// The auth server failed or refused.
    AuthFailed = "E_AUTH_FAILED",
    /// The auth server allows nothing, or not this.
    Unauthorized = "E_UNAUTHORIZED",
    /// The answer to AUTH could not be built or sent.
    AuthError = "E_AUTH_ERROR",
    /// AUTH must come before this command.
    AuthFirst = "E_AUTH_FIRST",
    /// The channel takes no further consumer.
    SubFailed = "E_SUB_FAILED",
    /// A message could not be queued.
    PubFailed = "E_PUB_FAILED",
    /// A deferred message could not be queued.
    DpubFailed = "E_DPUB_FAILED",
    /// A batch could not be queued as a whole.
    MpubFailed = "E_MPUB_FAILED",
    /// The message to finish is not in flight on this connection.
    FinFailed = "E_FIN_FAILED",
    /// The message to requeue is not in flight on this connection.
    ReqFailed = "E_REQ_FAILED",
    /// The message to touch is not in flight on this connection.
    TouchFailed = "E_TOUCH_FAILED",
}

impl ErrorCode {
    /// Whether nsqd closes the connection after an error of this kind.
    pub fn is_fatal(self) -> bool {
        !matches!(
            self,
            ErrorCode::FinFailed | ErrorCode::ReqFailed | ErrorCode::TouchFailed
        )
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is not a code of nsqd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an NSQ error code")]
pub struct UnknownErrorCode;

impl FromStr for ErrorCode {
    type Err = UnknownErrorCode;

    fn from_str(text: &str) -> Result<ErrorCode, UnknownErrorCode> {
        let code = ErrorCode::ALL.iter().find(|code| code.as_str() == text);
        code.copied().ok_or(UnknownErrorCode)
    }
}

/// Shows bytes in double quotes the way nsqd quotes names in its errors (Go's `%q`).
///
/// Quotes, backslashes, control characters and bytes that are not UTF-8 are escaped. Combining
/// marks are escaped too, where Go shows them as they are.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                write_escaped(f, character)?;
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_char('"')
    }
}

fn write_escaped(f: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    let code = u32::from(character);
    match character {
        '"' | '\\' => write!(f, "\\{character}"),
        '\'' => f.write_char(character),
        '\x07' => f.write_str("\\a"),
        '\x08' => f.write_str("\\b"),
        '\x0b' => f.write_str("\\v"),
        '\x0c' => f.write_str("\\f"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\0'..' ' | '\x7f' => write!(f, "\\x{code:02x}"),
        _ if character.escape_debug().len() == 1 => f.write_char(character),
        '\0'..='\u{ffff}' => write!(f, "\\u{code:04x}"),
        _ => write!(f, "\\U{code:08x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_late_finish_requeue_and_touch_leave_the_connection_open() {
        let open: Vec<&str> = ErrorCode::ALL
            .iter()
            .filter(|code| !code.is_fatal())
            .map(|c| c.as_str())
            .collect();
        assert_eq!(open, ["E_FIN_FAILED", "E_REQ_FAILED", "E_TOUCH_FAILED"]);
    }

    #[test]
    fn every_code_is_read_back_from_its_text() {
        for code in ErrorCode::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
        }
        assert_eq!("E_NO_SUCH_CODE".parse::<ErrorCode>(), Err(UnknownErrorCode));
    }

    #[test]
    fn a_reply_is_code_space_description() {
        let check = |data: &str, code, description: &str| {
            let reply = ErrorReply::new(code, description);
            assert_eq!(reply.to_string(), data);
            assert_eq!(ErrorReply::parse(data.as_bytes()), Some(reply));
        };
        check("E_BAD_PROTOCOL", ErrorCode::BadProtocol, "");
        check(
            "E_INVALID invalid command FOO",
            ErrorCode::Invalid,
            "invalid command FOO",
        );
        check(
            "E_BAD_TOPIC E_BAD_TOPIC MPUB",
            ErrorCode::BadTopic,
            "E_BAD_TOPIC MPUB",
        );
        assert_eq!(ErrorReply::parse(b"E_NEWER something"), None);
        assert_eq!(ErrorReply::parse(b""), None);
    }

    #[test]
    fn quoting_follows_the_reference() {
        let check = |bytes: &[u8], quoted: &str| assert_eq!(Quoted(bytes).to_string(), quoted);
        check(b"", r#""""#);
        check(b"it's", r#""it's""#);
        check(b"a\"b\\", r#""a\"b\\""#);
        check(
            b"\x07\x08\x0b\x0c\n\r\t\0\x1f\x7f",
            r#""\a\b\v\f\n\r\t\x00\x1f\x7f""#,
        );
        check("é☃😀".as_bytes(), "\"é☃😀\"");
        check(b"a\xffb\xe2\x98", r#""a\xffb\xe2\x98""#);
        check(
            "\u{a0}\u{200b}\u{e0001}".as_bytes(),
            r#""\u00a0\u200b\U000e0001""#,
        );
    }
}
