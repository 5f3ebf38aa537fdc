//! `nsq_to_nsq`: the messages of topics to other nsqds.

use std::time::Duration;

use clap::Parser;
use client::daemon::duration::GoDuration;
use client::daemon::flags::integer;
use client::producer::BatchConfig;

use super::{Consuming, OldTool, required};
use crate::bridge::{Filter, Invalid, Job, Mode};
use crate::error::Error;
use crate::link::{Link, Setting};
use crate::sink::Selection;

/// Publish the messages of topics to other nsqds.
#[derive(Debug, Parser)]
pub(super) struct Flags {
    /// nsq topic (may be given multiple times)
    #[arg(long)]
    topic: Vec<String>,

    /// nsq channel
    #[arg(long, default_value = "nsq_to_nsq")]
    channel: String,

    /// use this destination topic for all consumed topics (default is consumed topic)
    #[arg(long, default_value = "")]
    destination_topic: String,

    /// destination nsqd TCP address (may be given multiple times)
    #[arg(long)]
    destination_nsqd_tcp_address: Vec<String>,

    /// the upstream request mode: round-robin, hostpool, or epsilon-greedy
    #[arg(long, default_value = "hostpool")]
    mode: String,

    /// max number of messages to allow in flight
    #[arg(long, default_value = "200", value_parser = integer::<u32>)]
    max_in_flight: u32,

    /// for JSON messages: only pass messages that have this field
    #[arg(long, default_value = "")]
    require_json_field: String,

    /// for JSON messages: only pass messages in which the required field has this value
    #[arg(long, default_value = "")]
    require_json_value: String,

    /// for JSON messages: pass this field (may be given multiple times)
    #[arg(long)]
    whitelist_json_field: Vec<String>,

    /// what becomes of messages that are no JSON objects: drop, requeue or pass
    #[arg(long, default_value = "drop")]
    invalid_json: Invalid,

    /// the # of requests between logging status; accepted, and without effect
    #[arg(long, default_value = "250", value_parser = integer::<u32>)]
    status_every: u32,

    #[command(flatten)]
    consuming: Consuming,

    /// option to passthrough to nsq.Producer (may be given multiple times)
    #[arg(long)]
    producer_opt: Vec<Setting>,
}

impl OldTool for Flags {
    async fn run(self) -> Result<(), Error> {
        self.check()?.run("").await
    }
}

impl Flags {
    /// What the flags say, in the order in which the reference looks at them.
    fn check(self) -> Result<Job, Error> {
        let channel = required("channel", &self.channel)?;
        let to_topic = match self.destination_topic.as_str() {
            "" => None,
            topic => Some(super::parsed("destination-topic", topic)?),
        };
        let sources = self.consuming.sources()?;
        let topics = super::names("topic", &self.topic)?;
        if topics.is_empty() {
            return Err(Error::Usage("--topic required".to_owned()));
        }
        let flag = "destination-nsqd-tcp-address";
        let to = super::addresses(flag, &self.destination_nsqd_tcp_address)?;
        if to.is_empty() {
            return Err(Error::Usage(format!("--{flag} required")));
        }
        let value = Some(self.require_json_value).filter(|value| !value.is_empty());
        let require = Some((self.require_json_field, value)).filter(|(field, _)| !field.is_empty());
        Ok(Job {
            selection: Selection {
                topics,
                topics_match: None,
                topics_refresh: GoDuration(Duration::from_mins(1)),
                channel,
                max_in_flight: self.max_in_flight,
            },
            sources,
            link: self.consuming.link(),
            to,
            to_link: Link::of(self.producer_opt),
            to_topic,
            mode: mode(&self.mode)?,
            batch: BatchConfig::default(),
            demands_destination: false,
            filter: Filter {
                require,
                fields: self.whitelist_json_field,
                invalid: self.invalid_json,
            },
        })
    }
}

/// The producer leaves out who is not there, and can tell how busy the others are.
fn mode(word: &str) -> Result<Mode, Error> {
    match word {
        "hostpool" | "round-robin" => Ok(Mode::RoundRobin),
        "epsilon-greedy" => Ok(Mode::LeastPending),
        _ if super::is_compatible() => Ok(Mode::RoundRobin),
        _ => Err(Error::Usage(format!(
            "--mode {word:?} is unknown; allowed are hostpool, round-robin and epsilon-greedy"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_flags_say_together_is_checked() {
        let refused = |words: &str, rule: &str| {
            let flags = Flags::parse_from(format!("nsq_to_nsq {words}").split_whitespace());
            let error = flags.check().unwrap_err().to_string();
            assert!(error.contains(rule), "{words}: {error}");
        };
        refused("--nsqd-tcp-address a:1", "--topic required");
        refused(
            "--nsqd-tcp-address a:1 --topic t",
            "--destination-nsqd-tcp-address required",
        );
        refused("--nsqd-tcp-address a:1 --topic a:b", "--topic \"a:b\"");
        refused("--nsqd-tcp-address a:1 --channel=a:b", "--channel \"a:b\"");
        refused(
            "--nsqd-tcp-address a:1 --destination-topic=a:b",
            "--destination-topic \"a:b\"",
        );
        let all = "--topic t --nsqd-tcp-address a:1 --destination-nsqd-tcp-address b:1";
        refused(&format!("{all} --mode all"), "--mode \"all\" is unknown");
        refused("--topic t --destination-nsqd-tcp-address b:1", "required");
    }
}
