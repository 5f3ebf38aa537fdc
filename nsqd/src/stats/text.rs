//! The text of `/stats`, for people and `grep`: widths and blanks are the reference's. What connections call themselves
//! is shown without control characters, since it ends on terminals.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::time::Duration;

use client::daemon::duration::GoDuration;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::json::{ChannelStats, ClientStats, MemoryStats, Stats, TopicStats};
use crate::latency::Latency;
use crate::node::Node;
use crate::options::DAEMON;

/// Returns `stats` as text.
pub fn text(stats: &Stats, node: &Node) -> String {
    let moment = Moment {
        uptime: node.uptime(),
        now: node.wall_seconds(),
    };
    render(stats, moment)
}

/// When the answer is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) uptime: Duration,
    /// Unix seconds.
    pub(super) now: i64,
}

pub(super) fn render(stats: &Stats, moment: Moment) -> String {
    let mut out = String::new();
    write(&mut out, stats, moment).expect("a string takes any text");
    out
}

fn write(out: &mut String, stats: &Stats, moment: Moment) -> fmt::Result {
    writeln!(out, "{}", DAEMON.version())?;
    writeln!(out, "start_time {}", local_time(stats.start_time))?;
    writeln!(out, "uptime {}", GoDuration(moment.uptime))?;
    writeln!(out, "\nHealth: {}", stats.health)?;
    if let Some(memory) = &stats.memory {
        write_memory(out, memory)?;
    }
    match stats.topics.as_deref().unwrap_or_default() {
        [] => writeln!(out, "\nTopics: None")?,
        topics => {
            write!(out, "\nTopics:")?;
            topics
                .iter()
                .try_for_each(|topic| write_topic(out, topic, moment))?;
        }
    }
    match stats.producers.as_deref().unwrap_or_default() {
        [] => writeln!(out, "\nProducers: None"),
        producers => {
            writeln!(out, "\nProducers:")?;
            producers
                .iter()
                .try_for_each(|client| write_client(out, "   ", client, moment))
        }
    }
}

fn write_memory(out: &mut String, memory: &MemoryStats) -> fmt::Result {
    writeln!(out, "\nMemory:")?;
    let runs = ("gc_total_runs", memory.gc_total_runs);
    for (name, value) in memory.gauges().into_iter().chain([runs]) {
        writeln!(out, "   {name:<25}\t{value}")?;
    }
    Ok(())
}

fn write_topic(out: &mut String, topic: &TopicStats, moment: Moment) -> fmt::Result {
    writeln!(
        out,
        "\n{}[{:<15}] depth: {:<5} be-depth: {:<5} msgs: {:<8} e2e%: {}",
        if topic.paused { "*P " } else { "   " },
        topic.topic_name,
        topic.depth,
        topic.backend_depth,
        topic.message_count,
        percentiles(&topic.e2e_processing_latency),
    )?;
    topic
        .channels
        .iter()
        .try_for_each(|channel| write_channel(out, channel, moment))
}

fn write_channel(out: &mut String, channel: &ChannelStats, moment: Moment) -> fmt::Result {
    write!(
        out,
        "   {}[{:<25}] depth: {:<5} be-depth: {:<5} ",
        if channel.paused { "*P " } else { "   " },
        channel.channel_name,
        channel.depth,
        channel.backend_depth,
    )?;
    writeln!(
        out,
        "inflt: {:<4} def: {:<4} re-q: {:<5} timeout: {:<5} msgs: {:<8} e2e%: {}",
        channel.in_flight_count,
        channel.deferred_count,
        channel.requeue_count,
        channel.timeout_count,
        channel.message_count,
        percentiles(&channel.e2e_processing_latency),
    )?;
    let clients = channel.clients.iter().flatten();
    clients
        .into_iter()
        .try_for_each(|client| write_client(out, "        ", client, moment))
}

fn percentiles(latency: &Latency) -> String {
    let percentiles = latency.percentiles.iter().flatten();
    let shown: Vec<String> = percentiles
        .map(|percentile| short(percentile.value))
        .collect();
    shown.join(", ")
}

/// Nanoseconds in the greatest unit of which they are more than one.
fn short(nanoseconds: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let value = nanoseconds as f64;
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "us")];
    let greatest = units.into_iter().find(|(size, _)| value > *size);
    let (size, unit) = greatest.unwrap_or((1.0, "ns"));
    format!("{:.1}{unit}", value / size)
}

/// A connection: as a producer if it published what is asked for, or else as a consumer.
fn write_client(
    out: &mut String,
    indent: &str,
    client: &ClientStats,
    moment: Moment,
) -> fmt::Result {
    let port = client
        .remote_address
        .rsplit_once(':')
        .map_or("", |(_, port)| port);
    let id = format!(
        "{}:{port} {}",
        printable(&client.hostname),
        printable(&client.user_agent)
    );
    write!(out, "{indent}[{} {id:<21}] ", client.version)?;
    if client.pub_counts.is_empty() {
        write_consumer(out, client)?;
    } else {
        write_producer(out, client)?;
    }
    let seconds = u64::try_from(moment.now - client.connect_ts).unwrap_or(0);
    writeln!(
        out,
        "connected: {}",
        GoDuration(Duration::from_secs(seconds))
    )
}

fn write_consumer(out: &mut String, client: &ClientStats) -> fmt::Result {
    write!(
        out,
        "state: {} inflt: {:<4} rdy: {:<4} fin: {:<8} re-q: {:<8} msgs: {:<8} ",
        client.state,
        client.in_flight_count,
        client.ready_count,
        client.finish_count,
        client.requeue_count,
        client.message_count,
    )
}

fn write_producer(out: &mut String, client: &ClientStats) -> fmt::Result {
    let total: u64 = client
        .pub_counts
        .iter()
        .map(|published| published.count)
        .sum();
    write!(out, "msgs: {total:<8} topics: ")?;
    for (index, published) in client.pub_counts.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(out, "{comma}{}={}", published.topic, published.count)?;
    }
    out.write_char(' ')
}

/// RFC 3339 in local time, as Go writes it: `Z` where the clock is UTC's.
fn local_time(unix_seconds: i64) -> String {
    let time = Timestamp::from_second(unix_seconds).unwrap_or_default();
    let time = time.to_zoned(TimeZone::system());
    let zone = if time.offset() == Offset::UTC {
        "Z"
    } else {
        "%:z"
    };
    time.strftime(&format!("%Y-%m-%dT%H:%M:%S{zone}"))
        .to_string()
}

fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        text.escape_debug().to_string().into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_short() {
        let shown = [0, 1000, 897_316, 1_000_001, 2_345_678_901].map(short);
        assert_eq!(shown, ["0.0ns", "1000.0ns", "897.3us", "1.0ms", "2.3s"]);
    }

    #[test]
    fn start_time_is_rfc_3339() {
        let shown = local_time(1_795_229_196);
        let read: Timestamp = shown.parse().unwrap();
        assert_eq!(read.as_second(), 1_795_229_196);
        assert!(
            shown.starts_with("2026-11-2") && !shown.ends_with("+00:00"),
            "{shown}"
        );
    }

    #[test]
    fn what_a_client_calls_itself_cannot_move_the_cursor() {
        assert_eq!(printable("a\n\u{1b}[2J"), "a\\n\\u{1b}[2J");
        assert_eq!(printable("Ü \"x\""), "Ü \"x\"");
    }
}
