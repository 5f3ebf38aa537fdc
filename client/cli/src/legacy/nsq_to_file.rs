//! `nsq_to_file`: the messages of topics in files.

use std::path::PathBuf;

use clap::Parser;
use client::consumer::ConnectPolicy;
use client::daemon::duration::GoDuration;
use client::daemon::flags::integer;
use client::daemon::log::LogLevel;
use regex::Regex;

use super::{Consuming, OldTool, required};
use crate::error::Error;
use crate::link::Sources;
use crate::sink::Selection;
use crate::to_file::{Encoding, Job, Limits, Name, Options, Size, hostname, short_host};

/// Write the messages of topics to files.
#[derive(Debug, Parser)]
pub(super) struct Flags {
    /// nsq topic (may be given multiple times)
    #[arg(long)]
    topic: Vec<String>,

    /// only log topics matching the following pattern
    #[arg(long, default_value = "")]
    topic_pattern: String,

    /// how frequently the topic list should be refreshed
    #[arg(long, default_value = "1m")]
    topic_refresh: GoDuration,

    /// nsq channel
    #[arg(long, default_value = "nsq_to_file")]
    channel: String,

    /// max number of messages to allow in flight
    #[arg(long, default_value = "200", value_parser = integer::<u32>)]
    max_in_flight: u32,

    /// directory to write output files to
    #[arg(long, default_value = "/tmp")]
    output_dir: PathBuf,

    /// directory for in-progress files before moving to output-dir
    #[arg(long, default_value = "")]
    work_dir: String,

    /// strftime compatible format for <DATETIME> in filename format
    #[arg(long, default_value = "%Y-%m-%d_%H")]
    datetime_format: String,

    /// output filename format (<TOPIC>, <HOST>, <PID>, <DATETIME>, <REV> are replaced)
    #[arg(long, default_value = "<TOPIC>.<HOST><REV>.<DATETIME>.log")]
    filename_format: String,

    /// value to output in log filename in place of hostname (`<SHORT_HOST>` and `<HOSTNAME>` are replaced)
    #[arg(long, default_value = "")]
    host_identifier: String,

    /// gzip output files
    #[arg(long)]
    gzip: bool,

    /// gzip compression level (1-9)
    #[arg(long, default_value = "6", value_parser = integer::<u32>)]
    gzip_level: u32,

    /// skip writing empty files
    #[arg(long)]
    skip_empty_files: bool,

    /// rotate the file when it grows bigger than this many bytes
    #[arg(long, default_value = "0", value_parser = integer::<u64>)]
    rotate_size: u64,

    /// rotate the file every duration
    #[arg(long, default_value = "0s")]
    rotate_interval: GoDuration,

    /// sync file to disk every duration
    #[arg(long, default_value = "30s")]
    sync_interval: GoDuration,

    /// timeout for HTTP connect
    #[arg(long, default_value = "2s")]
    http_client_connect_timeout: GoDuration,

    /// timeout for HTTP request
    #[arg(long, default_value = "5s")]
    http_client_request_timeout: GoDuration,

    /// set log verbosity: debug, info, warn, error, or fatal
    #[arg(long, default_value = "info")]
    log_level: String,

    /// log message prefix
    #[arg(long, default_value = "[nsq_to_file] ")]
    log_prefix: String,

    #[command(flatten)]
    consuming: Consuming,
}

impl OldTool for Flags {
    const TAKES_WORDS: bool = false;

    async fn run(self) -> Result<(), Error> {
        self.check()?.run().await
    }
}

impl Flags {
    /// What the flags say, in the order in which the reference looks at them.
    fn check(self) -> Result<Job, Error> {
        let level: LogLevel = super::parsed("log-level", &self.log_level)?;
        let channel = required("channel", &self.channel)?;
        self.check_durations()?;
        let sources = self.consuming.sources()?;
        if !(1..=9).contains(&self.gzip_level) {
            let level = self.gzip_level;
            return Err(Error::Usage(format!(
                "invalid --gzip-level value ({level}), should be 1-9"
            )));
        }
        let topics_match = self.pattern(&sources)?;
        let topics = super::names("topic", &self.topic)?;
        let is_wanted = |name: &str| {
            topics_match
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(name))
        };
        let job = Job {
            tool: "nsq_to_file",
            selection: Selection {
                topics: topics
                    .into_iter()
                    .filter(|topic| is_wanted(topic.as_str()))
                    .collect(),
                // With topics that are named none are looked for.
                topics_match: topics_match.clone().filter(|_| self.topic.is_empty()),
                topics_refresh: self.topic_refresh,
                channel,
                max_in_flight: self.max_in_flight,
            },
            connect: ConnectPolicy::Lazy,
            files: self.files(),
            sources,
            link: self.consuming.link(),
            name: Name {
                template: self.filename_format,
                host: host(&self.host_identifier),
                datetime_format: self.datetime_format,
            },
            sync_every: self.sync_interval.0,
            log: (self.log_prefix, level),
        };
        job.check()?;
        Ok(job)
    }

    fn check_durations(&self) -> Result<(), Error> {
        let (connect, request) = (
            self.http_client_connect_timeout,
            self.http_client_request_timeout,
        );
        for (flag, duration) in [
            ("http-client-connect-timeout", connect),
            ("http-client-request-timeout", request),
            ("sync-interval", self.sync_interval),
        ] {
            if duration.0.is_zero() {
                return Err(Error::Usage(format!("--{flag} should be positive")));
            }
        }
        Ok(())
    }

    fn files(&self) -> Options {
        Options {
            output_dir: self.output_dir.clone(),
            work_dir: match self.work_dir.as_str() {
                "" => self.output_dir.clone(),
                work_dir => work_dir.into(),
            },
            encoding: if self.gzip {
                Encoding::Gzip(self.gzip_level)
            } else {
                Encoding::Plain
            },
            limits: Limits {
                bytes: self.rotate_size,
                age: self.rotate_interval.0,
            },
            size: Size::Messages,
            skip_empty_files: self.skip_empty_files,
            utc: false,
        }
    }

    fn pattern(&self, sources: &Sources) -> Result<Option<Regex>, Error> {
        if self.topic_pattern.is_empty() {
            if self.topic.is_empty() {
                return Err(Error::Usage(
                    "--topic or --topic-pattern required".to_owned(),
                ));
            }
            return Ok(None);
        }
        if self.topic.is_empty() && sources.lookupd_http_address.is_empty() {
            let rule = "use --topic-pattern with --lookupd-http-address, which knows the topics";
            return Err(Error::Usage(rule.to_owned()));
        }
        super::parsed("topic-pattern", &self.topic_pattern).map(Some)
    }
}

fn host(identifier: &str) -> String {
    if identifier.is_empty() {
        return short_host();
    }
    identifier
        .replace("<SHORT_HOST>", &short_host())
        .replace("<HOSTNAME>", &hostname())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &str) -> Result<Job, Error> {
        Flags::parse_from(format!("nsq_to_file {words}").split_whitespace()).check()
    }

    #[test]
    fn what_the_flags_say_together_is_checked() {
        let refused = |words: &str, rule: &str| {
            let error = check(words).unwrap_err().to_string();
            assert!(error.contains(rule), "{words}: {error}");
        };
        let topic = "--topic t --nsqd-tcp-address a:1";
        refused(&format!("{topic} --log-level loud"), "--log-level \"loud\"");
        refused(&format!("{topic} --channel="), "--channel required");
        refused(
            &format!("{topic} --http-client-request-timeout 0s"),
            "should be positive",
        );
        refused(&format!("{topic} --sync-interval 0s"), "should be positive");
        refused(
            "--topic t",
            "--nsqd-tcp-address or --lookupd-http-address required",
        );
        refused(&format!("{topic} --lookupd-http-address b:1"), "not both");
        refused(&format!("{topic} --gzip-level 10"), "should be 1-9");
        refused(
            "--nsqd-tcp-address a:1",
            "--topic or --topic-pattern required",
        );
        refused(
            "--nsqd-tcp-address a:1 --topic-pattern x",
            "--lookupd-http-address",
        );
        refused(
            "--lookupd-http-address a:1 --topic-pattern (",
            "--topic-pattern \"(\"",
        );
        refused(
            &format!("{topic} --gzip --filename-format a"),
            "has no {rev}",
        );
        refused(
            &format!("{topic} --work-dir /x --filename-format a"),
            "has no {rev}",
        );
    }

    #[test]
    fn defaults_are_those_of_the_reference() {
        let job =
            check("--topic t --topic u --topic-pattern ^t --lookupd-http-address a:1").unwrap();
        let topics: Vec<_> = job
            .selection
            .topics
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(topics, ["t"]);
        assert_eq!(job.selection.channel.as_str(), "nsq_to_file");
        assert_eq!(job.files.output_dir.to_str(), Some("/tmp"));
        assert_eq!(job.files.work_dir, job.files.output_dir);
        assert_eq!(
            (job.selection.max_in_flight, job.sync_every.as_secs()),
            (200, 30)
        );
    }
}
