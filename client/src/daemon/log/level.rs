//! How much a log tells.

use std::fmt;
use std::str::FromStr;

use tracing::{Level, Metadata};

/// Target of events which end the process: `error!(target: log::FATAL, …)` is shown as `FATAL`.
pub const FATAL: &str = "fatal";

/// The lowest level that is written. Default `info` (flag `-log-level`, `/config/log_level`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum LogLevel {
    /// What each connection does.
    Debug = 1,
    /// Rare events, such as start or a lost peer.
    #[default]
    Info = 2,
    /// Odd, but handled.
    Warn = 3,
    /// An operator must act.
    Error = 4,
    /// The process ends.
    Fatal = 5,
}

/// The text was none of the five levels.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a log level; allowed are debug, info, warn, error and fatal")]
pub struct LogLevelError;

impl LogLevel {
    const ALL: [(Self, &str); 5] = [
        (Self::Debug, "debug"),
        (Self::Info, "info"),
        (Self::Warn, "warn"),
        (Self::Error, "error"),
        (Self::Fatal, "fatal"),
    ];

    /// Returns 1 for debug to 5 for fatal: what `GET /config/log_level` answers.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The level of this number; the default for one that is none.
    pub(super) fn from_number(number: u8) -> Self {
        let found = Self::ALL
            .into_iter()
            .find(|(level, _)| level.number() == number);
        found.map_or_else(Self::default, |(level, _)| level)
    }

    /// The level of an event.
    pub(super) fn of(metadata: &Metadata<'_>) -> Self {
        match *metadata.level() {
            Level::ERROR if metadata.target() == FATAL => Self::Fatal,
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warn,
            Level::INFO => Self::Info,
            Level::DEBUG | Level::TRACE => Self::Debug,
        }
    }

    /// What stands in the line.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARNING",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

impl FromStr for LogLevel {
    type Err = LogLevelError;

    fn from_str(text: &str) -> Result<Self, LogLevelError> {
        let mut levels = Self::ALL.into_iter();
        levels
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
            .map(|(level, _)| level)
            .ok_or(LogLevelError)
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL[usize::from(self.number()) - 1].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_in_any_case() {
        for (text, number) in [
            ("debug", 1),
            ("INFO", 2),
            ("Warn", 3),
            ("error", 4),
            ("fatal", 5),
        ] {
            let level: LogLevel = text.parse().unwrap();
            assert_eq!(level.number(), number);
            assert_eq!(level.to_string(), text.to_lowercase());
        }
        for text in ["", "warning", "warn\n", "2"] {
            assert_eq!(text.parse::<LogLevel>(), Err(LogLevelError), "{text:?}");
        }
    }
}
