//! Names of topics and channels: valid once built, so nobody checks one twice.
//!
//! ```text
//! name = 1 to 64 of [.a-zA-Z0-9_-], then maybe "#ephemeral"; 64 bytes in all
//! ```
//!
//! An ephemeral topic or channel never touches the disk and goes with its last user.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest name in bytes, the suffix `#ephemeral` included.
pub const MAX_NAME_BYTES: usize = 64;

const EPHEMERAL: &str = "#ephemeral";

/// A valid name of a topic or a channel, borrowed from what was received.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameRef<'a>(&'a str);

impl<'a> NameRef<'a> {
    /// Checks `bytes` against the rule of this module.
    ///
    /// # Errors
    /// Says which part of the rule is broken.
    pub fn parse(bytes: &'a [u8]) -> Result<NameRef<'a>, NameError> {
        let stem = bytes.strip_suffix(EPHEMERAL.as_bytes()).unwrap_or(bytes);
        if stem.is_empty() {
            return Err(NameError::Empty);
        }
        if bytes.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong { bytes: bytes.len() });
        }
        if let Some(at) = stem.iter().position(|byte| !ALLOWED[usize::from(*byte)]) {
            return Err(NameError::BadByte { at, byte: stem[at] });
        }
        Ok(NameRef(ascii_text(bytes)))
    }

    /// The name as text.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether the name ends in `#ephemeral`.
    pub fn is_ephemeral(self) -> bool {
        self.0.ends_with(EPHEMERAL)
    }

    /// An owned copy, naming a topic.
    pub fn to_topic(self) -> TopicName {
        TopicName(self.0.into())
    }

    /// An owned copy, naming a channel.
    pub fn to_channel(self) -> ChannelName {
        ChannelName(self.0.into())
    }
}

impl fmt::Display for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

/// Why a name is not valid; the caller knows what it should have named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all, or nothing before `#ephemeral`.
    #[error("the name is empty; at least one byte must precede an optional \"#ephemeral\"")]
    Empty,
    /// More than [`MAX_NAME_BYTES`].
    #[error("the name has {bytes} bytes; at most {MAX_NAME_BYTES} are allowed")]
    TooLong {
        /// Length of what was given.
        bytes: usize,
    },
    /// A byte that names never have.
    #[error(
        "byte {at} of the name is '{}'; allowed are letters, digits, '.', '_' and '-', \
         then maybe \"#ephemeral\"", byte.escape_ascii()
    )]
    BadByte {
        /// Index of the first such byte.
        at: usize,
        /// The byte found there.
        byte: u8,
    },
}

fn ascii_text(checked: &[u8]) -> &str {
    str::from_utf8(checked).expect("every byte allowed in a name is ASCII")
}

/// The bytes of `[.a-zA-Z0-9_-]`.
const ALLOWED: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        allowed[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        byte += 1;
    }
    allowed
};

/// Two types of the same shape, so that a channel is never passed for a topic.
macro_rules! owned_name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `name` against the rule for names.
            ///
            /// # Errors
            /// Says which part of the rule is broken.
            pub fn parse(name: &str) -> Result<$name, NameError> {
                let name = NameRef::parse(name.as_bytes())?;
                Ok($name(name.as_str().into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name, borrowed, as commands carry it.
            pub fn as_name(&self) -> NameRef<'_> {
                NameRef(&self.0)
            }

            /// Whether the name ends in `#ephemeral`.
            pub fn is_ephemeral(&self) -> bool {
                self.as_name().is_ephemeral()
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(name: &str) -> Result<$name, NameError> {
                $name::parse(name)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameError;

            fn try_from(name: &str) -> Result<$name, NameError> {
                $name::parse(name)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let name = String::deserialize(deserializer)?;
                $name::parse(&name).map_err(|error| {
                    de::Error::custom(format_args!("{} name {name:?}: {error}", $what))
                })
            }
        }
    };
}

owned_name! {
    /// A valid name of a topic; a clone shares the text.
    TopicName, "topic"
}

owned_name! {
    /// A valid name of a channel; a clone shares the text.
    ChannelName, "channel"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Result<(), NameError>) {
        assert_eq!(
            NameRef::parse(name.as_bytes()).map(|_| ()),
            expected,
            "{name:?}"
        );
        assert_eq!(TopicName::parse(name).map(|_| ()), expected, "{name:?}");
    }

    #[test]
    fn names_follow_the_rule() {
        check("a", Ok(()));
        check("..", Ok(()));
        check("Orders.v2_retry-1", Ok(()));
        check("a#ephemeral", Ok(()));
        check(&"x".repeat(64), Ok(()));
        check(&format!("{}#ephemeral", "x".repeat(54)), Ok(()));

        check("", Err(NameError::Empty));
        check("#ephemeral", Err(NameError::Empty));
        check(&"x".repeat(65), Err(NameError::TooLong { bytes: 65 }));
        check(
            &format!("{}#ephemeral", "x".repeat(55)),
            Err(NameError::TooLong { bytes: 65 }),
        );
        check("a b", Err(NameError::BadByte { at: 1, byte: b' ' }));
        check("a#Ephemeral", Err(NameError::BadByte { at: 1, byte: b'#' }));
        check(
            "a#ephemeral#ephemeral",
            Err(NameError::BadByte { at: 1, byte: b'#' }),
        );
        check("é", Err(NameError::BadByte { at: 0, byte: 0xc3 }));
    }

    #[test]
    fn only_the_suffix_makes_a_name_ephemeral() {
        assert!(TopicName::parse("a#ephemeral").unwrap().is_ephemeral());
        assert!(!ChannelName::parse("ephemeral").unwrap().is_ephemeral());
    }

    #[test]
    fn errors_say_what_is_allowed() {
        let error = NameRef::parse(b"a\n").unwrap_err().to_string();
        assert_eq!(
            error,
            "byte 1 of the name is '\\n'; allowed are letters, digits, '.', '_' and '-', \
             then maybe \"#ephemeral\""
        );
    }

    #[test]
    fn json_holds_the_text_and_is_checked() {
        let name = TopicName::parse("orders").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"orders\"");
        assert_eq!(
            serde_json::from_str::<TopicName>("\"orders\"").unwrap(),
            name
        );
        let error = serde_json::from_str::<ChannelName>("\"a b\"")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("channel name \"a b\": byte 1"), "{error}");
    }
}
