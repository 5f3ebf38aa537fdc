//! `nsq_stat`: the figures of one channel over all nsqds, a line at a time.
//!
//! Lines have the columns of the reference: rates are what the counts grew by in the nominal interval, and a restarted nsqd
//! makes them negative. Other than the reference, an nsqd that does not answer is named on stderr and its lines end with
//! `*`; `NSQ_COMPAT=1` makes it fatal again.

use std::time::Duration;

use clap::Parser;
use client::daemon::duration::GoDuration;
use client::daemon::signals;
use client::http::{Client, Limits};
use client::wire::{ChannelName, TopicName};
use tokio::time::{Instant, sleep_until};

use super::{OldTool, required};
use crate::error::Error;
use crate::stdout;
use crate::survey::{Counts, Filter, Meter, Survey, survey};
use crate::targets::{ANSWER_BYTES_MAX, Cluster, warn};

/// Print the figures of a channel, again and again.
#[derive(Debug, Parser)]
pub(super) struct Flags {
    /// NSQ topic
    #[arg(long, default_value = "")]
    topic: String,

    /// NSQ channel
    #[arg(long, default_value = "")]
    channel: String,

    /// duration of time between polling/printing output
    #[arg(long, default_value = "2s")]
    interval: GoDuration,

    /// number of reports; without end if not given
    #[arg(long)]
    count: Option<i64>,

    /// timeout for HTTP connect
    #[arg(long, default_value = "2s")]
    http_client_connect_timeout: GoDuration,

    /// timeout for HTTP request
    #[arg(long, default_value = "5s")]
    http_client_request_timeout: GoDuration,

    /// nsqd HTTP address (may be given multiple times)
    #[arg(long)]
    nsqd_http_address: Vec<String>,

    /// lookupd HTTP address (may be given multiple times)
    #[arg(long)]
    lookupd_http_address: Vec<String>,
}

/// What is to be printed, and from whom.
#[derive(Debug)]
struct Settings {
    cluster: Cluster,
    filter: Filter,
    interval: Duration,
    count: Option<u64>,
    /// An nsqd that does not answer ends the program.
    is_strict: bool,
}

impl OldTool for Flags {
    async fn run(self) -> Result<(), Error> {
        let settings = self.check()?;
        let stop = signals::shutdown().map_err(Error::Runtime)?;
        tokio::select! {
            done = settings.watch() => done,
            () = stop => Ok(()),
        }
    }
}

impl Flags {
    /// What the flags say, in the order in which the reference looks at them.
    fn check(self) -> Result<Settings, Error> {
        let topic: TopicName = required("topic", &self.topic)?;
        let channel: ChannelName = required("channel", &self.channel)?;
        let wrong = |text: &str| Err(Error::Usage(text.to_owned()));
        if self.interval.0.is_zero() {
            return wrong("--interval should be positive");
        }
        let count = self.count.map(u64::try_from).transpose();
        let Some(count) = count.ok().filter(|count| *count != Some(0)) else {
            return wrong("--count should be positive");
        };
        let timeouts = [
            self.http_client_connect_timeout.0,
            self.http_client_request_timeout.0,
        ];
        if timeouts.contains(&Duration::ZERO) {
            return wrong("HTTP client timeouts should be positive");
        }
        match (
            self.nsqd_http_address.is_empty(),
            self.lookupd_http_address.is_empty(),
        ) {
            (true, true) => return wrong("--nsqd-http-address or --lookupd-http-address required"),
            (false, false) => {
                return wrong("use --nsqd-http-address or --lookupd-http-address not both");
            }
            _ => {}
        }
        let mut addresses = self
            .nsqd_http_address
            .iter()
            .chain(&self.lookupd_http_address);
        if addresses.any(|address| address.starts_with("http")) {
            return wrong("addresses are host:port, and do not start with http");
        }
        let limits = Limits {
            connect_timeout: timeouts[0],
            timeout: timeouts[1],
            bytes_max: ANSWER_BYTES_MAX,
        };
        Ok(Settings {
            cluster: Cluster {
                client: Client::new(limits),
                lookupds: self.lookupd_http_address,
                nsqds: self.nsqd_http_address,
            },
            filter: Filter::exactly(topic, Some(channel)),
            interval: self.interval.0,
            count,
            is_strict: std::env::var_os("NSQ_COMPAT").is_some_and(|value| value == "1"),
        })
    }
}

/// Lines from one header to the next.
const LINES_PER_HEADER: u64 = 25;

const HEADER: &str = "\
------rate------+----------------depth----------------+--------------metadata---------------
ingress  egress |   total     mem    disk inflt   def |     req     t-o         msgs clients
";

impl Settings {
    /// Prints until enough was printed. The first look is only there to be compared with.
    async fn watch(&self) -> Result<(), Error> {
        let mut before: Option<Counts> = None;
        let mut looks = 0;
        while self.count.is_none_or(|count| looks <= count) {
            let next = Instant::now() + self.interval;
            let (now, is_whole) = self.look().await?;
            let mut text = String::new();
            if looks % LINES_PER_HEADER == 0 {
                text.push_str(HEADER);
            }
            if let Some(before) = before {
                let mark = if is_whole { "" } else { "*" };
                text.extend([&line(&before, &now, self.interval), mark, "\n"]);
            }
            if stdout::print_next(&text)?.is_break() {
                return Ok(());
            }
            before = Some(now);
            looks += 1;
            sleep_until(next).await;
        }
        Ok(())
    }

    /// The channel's figures, and whether every nsqd has told its own.
    async fn look(&self) -> Result<(Counts, bool), Error> {
        let survey = survey(&self.cluster, &self.filter, false).await?;
        let is_whole = survey.missing().next().is_none();
        if !is_whole && self.is_strict {
            return Err(unanswered(survey));
        }
        for error in survey.missing() {
            warn(error);
        }
        let rows = Meter::default().rows(&survey, &self.filter);
        let Some(row) = rows.first() else {
            return Err(Error::NotFound(
                "no nsqd has this topic and channel".to_owned(),
            ));
        };
        Ok((row.counts, is_whole))
    }
}

fn unanswered(survey: Survey) -> Error {
    let silent = survey.silent.into_iter().map(|silent| silent.error);
    Error::Unanswered(silent.chain(survey.failures).collect())
}

/// A line with the columns of the reference.
fn line(before: &Counts, now: &Counts, interval: Duration) -> String {
    let came = now.message_count - before.message_count;
    let grown = now.depth - before.depth;
    format!(
        "{:7} {:7} | {:7} {:7} {:7} {:5} {:5} | {:7} {:7} {:12} {:7}",
        rate(came, interval),
        rate(came - grown, interval),
        now.depth,
        now.memory_depth(),
        now.backend_depth,
        now.in_flight_count,
        now.deferred_count,
        now.requeue_count,
        now.timeout_count,
        now.message_count,
        now.client_count,
    )
}

/// Per second, without a fraction.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "the reference computes it so"
)]
fn rate(count: i64, interval: Duration) -> i64 {
    (count as f64 / interval.as_secs_f64()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_columns_of_the_reference() {
        let before = Counts {
            message_count: 100,
            depth: 10,
            ..Counts::default()
        };
        let now = Counts {
            depth: 15,
            backend_depth: 5,
            in_flight_count: 7,
            deferred_count: 3,
            requeue_count: 2,
            timeout_count: 1,
            message_count: 121,
            client_count: 4,
        };
        let expected = "     10       8 |      15      10       5     7     3 |       2       1          121       4";
        assert_eq!(line(&before, &now, Duration::from_secs(2)), expected);
        assert_eq!(
            line(&now, &before, Duration::from_secs(2))[..15],
            *"    -10      -8"
        );
        let titles = HEADER.lines().nth(1).unwrap();
        assert_eq!(titles.len(), expected.len());
    }

    #[test]
    fn each_rule_of_the_flags_is_checked() {
        let good = ["--topic=t", "--channel=c", "--nsqd-http-address=a:1"];
        let check = |words: &[&str]| {
            let words = ["nsq_stat"].iter().chain(words);
            let flags = Flags::try_parse_from(words).unwrap();
            flags.check().map(|settings| settings.count)
        };
        assert_eq!(check(&good).unwrap(), None);
        let with = |word| check(&[good[0], good[1], good[2], word]);
        assert_eq!(with("--count=3").unwrap(), Some(3));
        for (result, rule) in [
            (check(&good[1..]), "--topic required"),
            (check(&[good[0], good[2]]), "--channel required"),
            (check(&good[..2]), "required"),
            (with("--lookupd-http-address=a:1"), "not both"),
            (with("--interval=0s"), "--interval should be positive"),
            (with("--count=0"), "--count should be positive"),
            (with("--count=-1"), "--count should be positive"),
            (
                with("--http-client-connect-timeout=0s"),
                "timeouts should be positive",
            ),
            (
                with("--nsqd-http-address=http://a:1"),
                "do not start with http",
            ),
        ] {
            let text = result.unwrap_err().explain();
            assert!(text.contains(rule), "{text}");
        }
    }
}
