//! Which topics are consumed, and a pipeline for each of them.

use std::collections::BTreeSet;
use std::time::Duration;

use client::daemon::duration::GoDuration;
use client::http::{Client, Limits};
use client::wire::{ChannelName, TopicName};
use regex::Regex;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{info, warn};

use super::Stop;
use crate::error::Error;

/// What is consumed.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Selection {
    /// Topics to consume, separated by commas
    #[arg(
        long,
        value_name = "TOPICS",
        value_delimiter = ',',
        required_unless_present = "topics_match"
    )]
    pub(crate) topics: Vec<TopicName>,

    /// Consume all topics with a match of this regular expression in their names, as nsqlookupd tells of them
    #[arg(
        long,
        value_name = "REGEX",
        requires = "lookupd_http_address",
        conflicts_with = "nsqd_tcp_address"
    )]
    pub(crate) topics_match: Option<Regex>,

    /// How often nsqlookupd is asked for topics
    #[arg(long, value_name = "DURATION", default_value = "1m")]
    pub(crate) topics_refresh: GoDuration,

    /// Channel to consume
    #[arg(long)]
    pub(crate) channel: ChannelName,

    /// Most messages received and not yet finished, of each topic
    #[arg(long, value_name = "COUNT", default_value_t = 2500, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_in_flight: u32,
}

/// Runs `pipeline` for each topic until all of them have ended, which `stop` asks them to. The first failure stops the
/// others, too.
///
/// # Errors
/// The first failure.
pub(crate) async fn run_each<Pipeline>(
    selection: &Selection,
    lookupds: &[String],
    mut stop: Stop,
    pipeline: impl Fn(TopicName, Stop) -> Pipeline,
) -> Result<(), Error>
where
    Pipeline: Future<Output = Result<(), Error>> + Send + 'static,
{
    let mut search = Search::new(selection, lookupds);
    let mut running = JoinSet::new();
    for topic in search.named(selection) {
        running.spawn(pipeline(topic, stop.clone()));
    }
    let mut result = Ok(());
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = running.join_next(), if !running.is_empty() => {
                let ended = ended.expect("there is one").expect("a pipeline does not panic");
                if ended.is_err() && result.is_ok() {
                    result = ended;
                    stop.ask();
                }
            }
            () = stop.asked(), if !stopping => stopping = true,
            found = search.next(), if !stopping => {
                for topic in found {
                    running.spawn(pipeline(topic, stop.clone()));
                }
            }
            else => return result,
        }
        if running.is_empty() && (stopping || !search.is_open()) {
            return result;
        }
    }
}

/// Looks for topics.
struct Search {
    pattern: Option<Regex>,
    lookupds: Vec<String>,
    client: Client,
    every: Interval,
    known: BTreeSet<TopicName>,
}

impl Search {
    fn new(selection: &Selection, lookupds: &[String]) -> Search {
        let mut every = interval(selection.topics_refresh.0.max(Duration::from_millis(10)));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Search {
            pattern: selection.topics_match.clone(),
            lookupds: lookupds.to_vec(),
            client: Client::new(Limits::default()),
            every,
            known: BTreeSet::new(),
        }
    }

    /// The topics that were named.
    fn named(&mut self, selection: &Selection) -> Vec<TopicName> {
        self.take_new(selection.topics.iter().cloned())
    }

    /// Whether topics may still be found.
    fn is_open(&self) -> bool {
        self.pattern.is_some()
    }

    /// Waits for topics that are new; for ever if none are looked for. Cancel safe.
    async fn next(&mut self) -> Vec<TopicName> {
        let Some(pattern) = self.pattern.clone() else {
            return std::future::pending().await;
        };
        self.every.tick().await;
        let mut found = Vec::new();
        for address in &self.lookupds {
            match self.client.lookupd(address).topics().await {
                Ok(topics) => found.extend(topics),
                Err(error) => warn!(%error, "cannot ask for topics"),
            }
        }
        let found = found.iter().filter(|name| pattern.is_match(name));
        let found: Vec<TopicName> = found.filter_map(|name| name.parse().ok()).collect();
        let new = self.take_new(found);
        for topic in &new {
            info!(%topic, "consuming a topic that was found");
        }
        new
    }

    fn take_new(&mut self, topics: impl IntoIterator<Item = TopicName>) -> Vec<TopicName> {
        let topics = topics.into_iter();
        topics
            .filter(|topic| self.known.insert(topic.clone()))
            .collect()
    }
}
