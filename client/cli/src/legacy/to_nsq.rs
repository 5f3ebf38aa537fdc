//! `to_nsq`: each record of stdin becomes a message on every nsqd named.

use clap::Parser;
use client::daemon::flags::integer;
use client::daemon::signals;
use client::wire::TopicName;

use super::{OldTool, required};
use crate::error::Error;
use crate::link::{Link, Setting};
use crate::publish::{Delimiter, Destination, Mode, Options, Progress, Source, publish};

/// Publish the records of stdin.
#[derive(Debug, Parser)]
pub(super) struct Flags {
    /// NSQ topic to publish to
    #[arg(long, default_value = "")]
    topic: String,

    /// character to split input from stdin
    #[arg(long, default_value = "\n")]
    delimiter: String,

    /// destination nsqd TCP address (may be given multiple times); each of them gets every record
    #[arg(long)]
    nsqd_tcp_address: Vec<String>,

    /// throttle messages to n/second; 0 is unlimited
    #[arg(long, default_value = "0", value_parser = integer::<u32>)]
    rate: u32,

    /// option to passthrough to nsq.Producer (may be given multiple times)
    #[arg(long)]
    producer_opt: Vec<Setting>,
}

impl OldTool for Flags {
    const HAS_VERSION: bool = false;

    async fn run(self) -> Result<(), Error> {
        let stop = signals::shutdown().map_err(Error::Runtime)?;
        let (destination, topic, options) = self.check()?;
        let (source, progress) = (Source::open(None)?, Progress::none());
        let published = publish(&destination, topic, source, options, progress, stop).await;
        published.map(drop)
    }
}

impl Flags {
    /// What the flags say, in the order in which the reference looks at them.
    fn check(self) -> Result<(Destination, TopicName, Options), Error> {
        let topic = required("topic", &self.topic)?;
        let delimiter = match self.delimiter.as_bytes() {
            [byte] => Delimiter::new(&[*byte]),
            _ => return Err(Error::Usage("--delimiter must be a single byte".to_owned())),
        };
        let addresses = super::addresses("nsqd-tcp-address", &self.nsqd_tcp_address)?;
        if addresses.is_empty() {
            return Err(Error::Usage("--nsqd-tcp-address required".to_owned()));
        }
        let options = Options {
            rate: self.rate,
            delimiter,
            ..Options::default()
        };
        let destination = Destination {
            mode: Mode::All,
            link: Link::of(self.producer_opt),
            ..Destination::nsqds(addresses)
        };
        Ok((destination, topic, options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_flags_say_together_is_checked() {
        let check = |words: &str, rule: &str| {
            let flags = Flags::parse_from(format!("to_nsq {words}").split_whitespace());
            let error = flags.check().unwrap_err();
            assert!(error.to_string().contains(rule), "{words}: {error}");
        };
        check("--nsqd-tcp-address a:1", "--topic required");
        check("--topic t", "--nsqd-tcp-address required");
        check(
            "--topic t --nsqd-tcp-address a:1 --delimiter ab",
            "single byte",
        );
        check(
            "--topic t --nsqd-tcp-address a:1 --delimiter é",
            "single byte",
        );
        check("--topic t --nsqd-tcp-address a", "--nsqd-tcp-address");
    }
}
