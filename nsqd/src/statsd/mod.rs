//! Pushing figures to statsd over UDP: every interval, what was counted since the last push and what there is now.
//!
//! ```text
//! <prefix>topic.<t>.message_count:<difference>|c\n
//! <prefix>topic.<t>.channel.<c>.depth:<value>|g\n
//! ```
//!
//! Names and their order are the reference's, see [`lines`]; lines go out in packets, see [`packets`]. The task is
//! alone with its socket: whatever becomes of a name that can't be resolved or a host that is gone, nobody waits for it.

mod lines;
mod packets;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tracing::{debug, info, warn};

use crate::node::Node;
use crate::stats::{self, Selection};
use lines::Push;

/// How long a name may take to be resolved.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The packets of a push are spread over the interval, but for this much of it.
const REST: Duration = Duration::from_secs(1);

/// Where to push what, how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `host:port`, resolved for each push (`--statsd-address`).
    pub address: String,
    /// Time between pushes, above 0 (`--statsd-interval`).
    pub interval: Duration,
    /// What names begin with; see [`prefix`] (`--statsd-prefix`).
    pub prefix: String,
    /// A packet has at most this many bytes, unless a single line is longer (`--statsd-udp-packet-size`).
    pub packet_bytes: usize,
    /// Figures of the memory too (`--statsd-mem-stats`).
    pub memory: bool,
    /// No ephemeral topics and channels (`--statsd-exclude-ephemeral`).
    pub exclude_ephemeral: bool,
}

/// What names begin with: `given` with every `%s` replaced by the address and HTTP port that this nsqd is reached by, `_`
/// for `.` and `:`, and a dot at its end. Empty stays empty.
pub fn prefix(given: &str, broadcast_address: &str, http_port: u16) -> String {
    // As Go joins the two: an IPv6 address gets brackets.
    let host = if broadcast_address.contains(':') {
        format!("[{broadcast_address}]:{http_port}")
    } else {
        format!("{broadcast_address}:{http_port}")
    };
    let mut prefix = given.replace("%s", &host.replace(['.', ':'], "_"));
    if !prefix.is_empty() && !prefix.ends_with('.') {
        prefix.push('.');
    }
    prefix
}

/// Pushes figures of `node` under `prefix` until `stopping` says so; what is left of a push then goes out at once.
pub async fn run(
    node: Arc<Node>,
    settings: Settings,
    prefix: String,
    mut stopping: watch::Receiver<bool>,
) {
    info!(address = %settings.address, interval = ?settings.interval, prefix, "figures go to statsd");
    let mut ticks = interval_at(Instant::now() + settings.interval, settings.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut push = Push::new(prefix);
    let mut failing = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // An error means that nobody is left to say so: that is the end too.
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let lines = push.lines(&collect(&node, &settings).await, settings.exclude_ephemeral);
        let packets = packets::packets(&lines, settings.packet_bytes);
        debug!(packets = packets.len(), "figures pushed to statsd");
        let outcome = send(&packets, &settings, stopping.clone()).await;
        match &outcome {
            Err(error) if !failing => {
                warn!(address = %settings.address, %error, "statsd gets no figures");
            }
            Ok(()) if failing => info!(address = %settings.address, "statsd gets figures again"),
            _ => {}
        }
        failing = outcome.is_err();
    }
}

async fn collect(node: &Arc<Node>, settings: &Settings) -> stats::Stats {
    let node = Arc::clone(node);
    let selection = Selection {
        memory: settings.memory,
        ..Selection::FIGURES
    };
    let collecting = tokio::task::spawn_blocking(move || stats::collect(&node, &selection));
    collecting.await.expect("collecting does not panic")
}

/// Sends packets, spread over the interval; all are tried, and the last failure is told.
async fn send(
    packets: &[String],
    settings: &Settings,
    mut stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    let socket = connect(&settings.address).await?;
    let count = u32::try_from(packets.len()).unwrap_or(u32::MAX).max(1);
    let pause = settings.interval.saturating_sub(REST) / count;
    let mut outcome = Ok(());
    for (index, packet) in packets.iter().enumerate() {
        if index > 0 {
            tokio::select! {
                () = sleep(pause) => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
        }
        // A datagram is sent as a whole or not at all.
        outcome = socket.send(packet.as_bytes()).await.map(drop).or(outcome);
    }
    outcome
}

/// A socket for the first address that the name resolves to.
async fn connect(address: &str) -> io::Result<UdpSocket> {
    let resolving = timeout(RESOLVE_TIMEOUT, lookup_host(address));
    let resolved = resolving
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "name not resolved in time"))??
        .next();
    let no_address = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let to = resolved.ok_or_else(no_address)?;
    let any: SocketAddr = if to.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(to).await?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_those_of_the_reference() {
        let at = |given| prefix(given, "my-host.example", 4151);
        assert_eq!(at("nsq.%s"), "nsq.my-host_example_4151.");
        assert_eq!(
            at("a.%s.%s."),
            "a.my-host_example_4151.my-host_example_4151."
        );
        assert_eq!(at("plain"), "plain.");
        assert_eq!(at(""), "");
        assert_eq!(prefix("%s", "::1", 1), "[__1]_1.");
    }
}
