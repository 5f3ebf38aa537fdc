//! How nsqlookupd is to run: [`Flags`] as given, then [`Options`], which cannot be wrong.

use std::path::PathBuf;

use clap::Parser;
use client::daemon::{
    duration::GoDuration,
    flags::{Daemon, integer},
    log::LogLevel,
};

use crate::error::OptionsError;
use crate::registry::Rules;

/// What the command line and the configuration file of nsqlookupd are called, where names alone do not tell.
pub const DAEMON: Daemon = Daemon {
    name: "nsqlookupd",
    config_keys: &[("verbose", None)],
};

/// The directory of NSQ: nsqds tell it their topics and channels, consumers ask it who has a topic.
///
/// Fields are the flags with `_` for `-`; what they mean, their units and defaults are their help texts.
#[derive(Clone, Debug, Parser)]
#[expect(
    missing_docs,
    reason = "the help texts would be shown as doc comments, and are the docs"
)]
pub struct Flags {
    #[arg(
        long,
        value_name = "FILE",
        help = "TOML file with these settings, '_' for '-'"
    )]
    pub config: Option<PathBuf>,
    #[arg(
        long,
        default_value = "info",
        help = "Lowest level logged: debug, info, warn, error or fatal"
    )]
    pub log_level: LogLevel,
    #[arg(long, default_value = "[nsqlookupd] ", help = "Start of each log line")]
    pub log_prefix: String,
    #[arg(long, help = "Deprecated, without effect; see --log-level")]
    pub verbose: bool,

    #[arg(
        long,
        default_value = "0.0.0.0:4160",
        help = "Address for nsqds: host:port, or the path of a unix socket"
    )]
    pub tcp_address: String,
    #[arg(
        long,
        default_value = "0.0.0.0:4161",
        help = "Address for HTTP clients: host:port, or the path of a unix socket"
    )]
    pub http_address: String,
    #[arg(
        long,
        help = "Address that nsqds reach the HTTP API by [default: the host name]"
    )]
    pub broadcast_address: Option<String>,

    #[arg(
        long,
        default_value = "5m",
        help = "Time without a ping after which an nsqd is left out of answers"
    )]
    pub inactive_producer_timeout: GoDuration,
    #[arg(
        long,
        default_value = "45s",
        help = "Time for which a tombstoned nsqd is hidden from consumers of the topic"
    )]
    pub tombstone_lifetime: GoDuration,
    #[arg(long, default_value = "100000", value_parser = integer::<i64>, help = "Most topics and channels that one nsqd may register, from 1")]
    pub max_registrations: i64,
    #[arg(long, default_value = "1000000", value_parser = integer::<i64>, help = "Most topics and channels known in all, from 1; about 300 bytes each")]
    pub max_names: i64,
    #[arg(long, default_value = "0", value_parser = integer::<i64>, help = "Most connections of nsqds; 0 for as many as the limit of file descriptors has room for")]
    pub max_connections: i64,
}

/// Checked settings. Names and meanings are those of the flags; defaults are in their help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Lowest level logged at the start.
    pub log_level: LogLevel,
    /// Start of each log line.
    pub log_prefix: String,
    /// Name of this host, as the kernel has it.
    pub hostname: String,
    /// Where nsqds connect: `host:port`, or the path of a unix socket. Not empty.
    pub tcp_address: String,
    /// Where HTTP clients connect, likewise.
    pub http_address: String,
    /// Address that nsqds reach the HTTP API by. Default the host name.
    pub broadcast_address: String,
    /// What the registry hides, and how much it holds.
    pub rules: Rules,
    /// Most connections of nsqds; 0 for as many as file descriptors allow.
    pub max_connections: usize,
}

impl Options {
    /// Checks `flags`, and fills in the defaults that depend on the machine. Opens nothing.
    ///
    /// # Errors
    ///
    /// The first flag that is out of range.
    pub fn check(flags: Flags) -> Result<Self, OptionsError> {
        let hostname = hostname();
        // An nsqd could not use an empty address.
        let broadcast_address = flags
            .broadcast_address
            .filter(|address| !address.is_empty());
        Ok(Self {
            log_level: flags.log_level,
            log_prefix: flags.log_prefix,
            tcp_address: address("tcp-address", flags.tcp_address)?,
            http_address: address("http-address", flags.http_address)?,
            broadcast_address: broadcast_address.unwrap_or_else(|| hostname.clone()),
            rules: Rules {
                inactive_producer_timeout: flags.inactive_producer_timeout.0,
                tombstone_lifetime: flags.tombstone_lifetime.0,
                max_registrations: from_1("max-registrations", flags.max_registrations)?,
                max_names: from_1("max-names", flags.max_names)?,
            },
            max_connections: from_0("max-connections", flags.max_connections)?,
            hostname,
        })
    }
}

/// The host name as the kernel has it.
fn hostname() -> String {
    let names = rustix::system::uname();
    names.nodename().to_string_lossy().into_owned()
}

fn address(flag: &'static str, address: String) -> Result<String, OptionsError> {
    if address.is_empty() {
        return Err(OptionsError {
            flag,
            value: "empty".to_owned(),
            allowed: "host:port or the path of a unix socket",
        });
    }
    Ok(address)
}

fn from_0(flag: &'static str, value: i64) -> Result<usize, OptionsError> {
    usize::try_from(value).map_err(|_| OptionsError {
        flag,
        value: value.to_string(),
        allowed: "at least 0",
    })
}

fn from_1(flag: &'static str, value: i64) -> Result<usize, OptionsError> {
    // Slots are numbered with 32 bits.
    let in_range = u32::try_from(value).ok().filter(|count| *count > 0);
    let count = in_range.and_then(|count| usize::try_from(count).ok());
    count.ok_or_else(|| OptionsError {
        flag,
        value: value.to_string(),
        allowed: "[1,4294967295]",
    })
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, time::Duration};

    use client::daemon::flags::{Exit, parse};

    use super::*;

    fn flags(words: &[&str]) -> Result<Flags, Exit> {
        let words = ["nsqlookupd"].iter().chain(words);
        parse(&DAEMON, words.map(OsString::from))
    }

    fn options(words: &[&str]) -> Options {
        let flags = flags(words).unwrap_or_else(|exit| panic!("{words:?}: {}", exit.text));
        Options::check(flags).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    #[test]
    fn defaults_are_those_of_the_reference() {
        let options = options(&[]);
        assert_eq!(options.tcp_address, "0.0.0.0:4160");
        assert_eq!(options.http_address, "0.0.0.0:4161");
        assert_eq!(options.log_prefix, "[nsqlookupd] ");
        assert_eq!(options.log_level, LogLevel::Info);
        assert_eq!(options.broadcast_address, options.hostname);
        assert!(!options.hostname.is_empty());
        assert_eq!(options.rules, Rules::default());
        assert_eq!(
            options.rules.inactive_producer_timeout,
            Duration::from_mins(5)
        );
        assert_eq!(options.rules.tombstone_lifetime, Duration::from_secs(45));
    }

    #[test]
    fn a_command_line_for_the_reference_is_understood() {
        let options = options(&[
            "-tcp-address=127.0.0.1:0",
            "--http-address",
            ":4161",
            "-broadcast-address=lk",
            "--inactive-producer-timeout=1m30s",
            "-tombstone-lifetime=0",
            "-verbose",
            "-log-level=WARN",
        ]);
        assert_eq!(options.tcp_address, "127.0.0.1:0");
        assert_eq!(options.http_address, ":4161");
        assert_eq!(options.broadcast_address, "lk");
        assert_eq!(
            options.rules.inactive_producer_timeout,
            Duration::from_secs(90)
        );
        assert_eq!(options.rules.tombstone_lifetime, Duration::ZERO);
        assert_eq!(options.log_level, LogLevel::Warn);
    }

    #[test]
    fn the_sample_file_of_the_reference_loads() {
        let sample = "log_level = \"info\"\ntcp_address = \"0.0.0.0:4160\"\n\
            http_address = \"0.0.0.0:4161\"\n# broadcast_address = \"\"\n\
            inactive_producer_timeout = \"300s\"\ntombstone_lifetime = \"45s\"\n";
        let path = std::env::temp_dir().join(format!("lookupd-{}.toml", std::process::id()));
        std::fs::write(&path, sample).unwrap();
        let read = options(&["--config", path.to_str().unwrap()]);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read, options(&[]));
    }

    #[test]
    fn wrong_values_are_refused_with_what_is_allowed() {
        for (word, allowed) in [
            ("--tcp-address=", "host:port"),
            ("--http-address=", "host:port"),
            ("--max-registrations=0", "[1,"),
            ("--max-names=-1", "[1,"),
            ("--max-connections=-1", "at least 0"),
        ] {
            let error = Options::check(flags(&[word]).unwrap())
                .expect_err(word)
                .to_string();
            let (flag, _) = word.split_once('=').unwrap();
            assert!(error.contains(flag) && error.contains(allowed), "{error}");
        }
        for word in [
            "--tombstone-lifetime=45",
            "--log-level=warning",
            "--no-such",
        ] {
            assert_eq!(flags(&[word]).expect_err(word).status, 2, "{word}");
        }
    }
}
