//! `nsq demo`: a cluster, a file published line by line, and two channels that each get every line.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::consumer::Consumer;
use client::daemon::signals;
use client::http::{Action, Client, Limits, Verb};
use client::wire::{ChannelName, TopicName};

use crate::cluster::{Cluster, Settings};
use crate::dev::invitation;
use crate::error::Error;
use crate::figures;
use crate::publish::{self, Destination, Progress, Source};
use crate::stdout::print;

const TOPIC: &str = "lines";
const CHANNELS: [&str; 2] = ["archive", "metrics"];
/// Files that the directory of a project has.
const FILES: [&str; 3] = ["Cargo.lock", "README.md", "LICENSE"];
/// How often nsqlookupd is asked.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// As much as nsqd allows by default.
const IN_FLIGHT_MAX: u32 = 2500;
/// How long a channel waits for its next line.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// Show it at work: publish a file, receive each line in two channels
///
/// Starts a cluster on free ports, publishes the lines of FILE through TCP, and checks that each of two
/// channels receives every line exactly once. The consumers know nsqlookupd only, and find nsqd through
/// it. Fails if a line is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nsq demo --once            show it and end
  nsq demo access.log        show it with a file of yours, and stay up to play with")]
pub(crate) struct Arguments {
    /// Text file to publish [default: Cargo.lock, README.md or LICENSE, whichever is here]
    file: Option<PathBuf>,

    /// End after the demonstration
    #[arg(long)]
    once: bool,
}

/// Demonstrates, then runs until a signal comes.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let stop = signals::shutdown().map_err(Error::Runtime)?;
    let mut stop = std::pin::pin!(stop);
    let file = arguments.file.map_or_else(any_file, Ok)?;
    let cluster = Cluster::start(Settings::default()).await?;
    print(&format!("{cluster}\n"))?;
    let shown = tokio::select! {
        shown = show(&cluster, &file) => shown,
        () = &mut stop => return cluster.stop().await,
    };
    let shown = shown.and_then(|text| print(&text));
    if shown.is_ok() && !arguments.once {
        let invitation = invitation(TOPIC, cluster.nsqd_tcp_address());
        print(&format!("\n{invitation}"))?;
        stop.await;
    }
    cluster.stop().await?;
    shown
}

fn any_file() -> Result<PathBuf, Error> {
    let mut files = FILES.iter().map(PathBuf::from);
    let found = files.find(|file| file.is_file());
    found.ok_or_else(|| Error::NoFile(FILES.join(", ")))
}

/// Publishes the file, and returns what to tell about it.
async fn show(cluster: &Cluster, file: &Path) -> Result<String, Error> {
    let expected = lines(file)?;
    let topic = TopicName::parse(TOPIC).expect("a valid name");
    let lookupd = cluster.lookupd_http_address();
    let started = Instant::now();
    let channels = CHANNELS.map(|name| ChannelName::parse(name).expect("a valid name"));
    // Before the first message: nsqd creates the channels of a new topic that nsqlookupd knows.
    for channel in &channels {
        announce(lookupd, &topic, channel).await?;
    }
    let destination = Destination::nsqds(vec![cluster.nsqd_tcp_address().clone()]);
    let [first, second] = &channels;
    let source = Source::open(Some(file))?;
    let options = publish::Options::default();
    let progress = Progress::none();
    let never = std::future::pending();
    let (published, first, second) = tokio::try_join!(
        publish::publish(
            &destination,
            topic.clone(),
            source,
            options,
            progress,
            never
        ),
        receive(lookupd, &topic, first, &expected),
        receive(lookupd, &topic, second, &expected),
    )?;
    let elapsed = started.elapsed();
    let row = |name: &str, lines: u64| format!("{name:<18}{:>10} lines\n", figures::count(lines));
    Ok([
        row("published", published.messages),
        row(&format!("channel {}", CHANNELS[0]), first),
        row(&format!("channel {}", CHANNELS[1]), second),
        format!(
            "Every line of {} reached both channels, in {}.\n",
            file.display(),
            figures::duration(elapsed)
        ),
    ]
    .concat())
}

/// The lines of a file that are not empty, in order of their bytes.
fn lines(file: &Path) -> Result<Vec<Bytes>, Error> {
    let text = std::fs::read(file).map_err(|cause| Error::Input {
        path: file.display().to_string(),
        cause,
    })?;
    let text = Bytes::from(text);
    let lines = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let mut lines: Vec<Bytes> = lines.map(|line| text.slice_ref(line)).collect();
    lines.sort_unstable();
    Ok(lines)
}

/// Makes a channel known before any nsqd has it: the nsqd on which its topic begins will create it.
async fn announce(lookupd: &str, topic: &TopicName, channel: &ChannelName) -> Result<(), Error> {
    let action = Action {
        verb: Verb::Create,
        topic: topic.clone(),
        channel: Some(channel.clone()),
    };
    let client = Client::new(Limits::default());
    let created = client.act(lookupd, &action).await;
    created.map_err(|error| Error::Lookup {
        address: error.address,
        cause: error.fault.to_string(),
    })
}

/// Finds who has the topic, receives as many messages of the channel as there are lines, and checks that they are these
/// lines.
async fn receive(
    lookupd: &str,
    topic: &TopicName,
    channel: &ChannelName,
    expected: &[Bytes],
) -> Result<u64, Error> {
    let builder = Consumer::builder(topic.clone(), channel.clone())
        .lookupd(lookupd)
        .lookupd_interval(POLL_INTERVAL)
        .max_in_flight(IN_FLIGHT_MAX);
    let mut consumer = builder.start().await?;
    let mut received = Vec::with_capacity(expected.len());
    while received.len() < expected.len() {
        let message = tokio::time::timeout(IDLE_MAX, consumer.recv()).await;
        let Ok(Some(message)) = message else { break };
        let (body, acker) = message.split();
        received.push(body);
        // Otherwise it comes again, and is one too many.
        let _ = acker.finish();
    }
    consumer.control().drain(IDLE_MAX).await;
    received.sort_unstable();
    if received == expected {
        return Ok(received.len() as u64);
    }
    Err(Error::Incomplete {
        channel: channel.clone(),
        received: in_both(&received, expected),
        expected: expected.len(),
    })
}

/// How many lines two sorted lists have in common.
fn in_both(a: &[Bytes], b: &[Bytes]) -> usize {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut count = 0;
    while let (Some(left), Some(right)) = (a.peek(), b.peek()) {
        let order = left.cmp(right);
        count += usize::from(order.is_eq());
        a.next_if(|_| order.is_le());
        b.next_if(|_| order.is_ge());
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_lines_are_counted_once_each() {
        let list =
            |text: &'static str| -> Vec<Bytes> { text.split(' ').map(Bytes::from).collect() };
        let check = |a, b, count| assert_eq!(in_both(&list(a), &list(b)), count);
        check("a b c", "a b c", 3);
        check("a a b", "a b c", 2);
        check("b", "a b c", 1);
        check("d", "a b c", 0);
    }

    #[tokio::test]
    async fn every_line_reaches_both_channels() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("text");
        let lines = (0..5000).map(|number| format!("line {}\n\n", number % 4000));
        let text = lines.collect::<Vec<_>>().concat();
        std::fs::write(&file, text + "last").unwrap();
        let cluster = Cluster::start(Settings::default()).await.unwrap();
        let shown = show(&cluster, &file).await.unwrap();
        assert_eq!(shown.matches("     5,001 lines\n").count(), 3, "{shown}");
        cluster.stop().await.unwrap();
    }
}
