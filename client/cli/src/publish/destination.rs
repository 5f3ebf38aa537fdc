//! Where lines go, and how hard that is tried.

use std::time::Duration;

use client::connection::Address;
use client::daemon::duration::GoDuration;
use client::producer::{Producer, RetryPolicy, Routing};
use client::wire::Limits;

use super::Options;
use crate::error::Error;
use crate::link::{Link, local_nsqd, reach};

/// What nsqd shows as the program.
const TOOL: &str = "to_nsq";

/// The nsqds that lines go to, and what may be done about failures.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Destination {
    /// nsqd to publish to: host:port, or the path of a unix socket; may be repeated [default:
    /// 127.0.0.1:4150]
    #[arg(long, value_name = "ADDRESS", help_heading = "Connection")]
    pub(crate) nsqd_tcp_address: Vec<Address>,

    /// Which of several nsqds gets a line
    #[arg(long, value_enum, default_value_t = Mode::Primary, help_heading = "Connection")]
    pub(crate) mode: Mode,

    /// Longest time until a line is confirmed, waits for a lost nsqd included
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        help_heading = "Connection"
    )]
    pub(crate) timeout: GoDuration,

    /// Publish again what may or may not have arrived when a connection was lost; nsqd may then
    /// have lines twice
    #[arg(long, help_heading = "Connection")]
    pub(crate) at_least_once: bool,

    #[command(flatten)]
    pub(crate) link: Link,
}

/// Which of several nsqds gets a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// The first that is there
    Primary,
    /// In turn
    RoundRobin,
    /// The one with the fewest lines on their way
    LeastPending,
    /// All of them, a copy each
    All,
}

impl Destination {
    /// These nsqds, and nothing special about them.
    pub(crate) fn nsqds(addresses: Vec<Address>) -> Destination {
        Destination {
            nsqd_tcp_address: addresses,
            mode: Mode::Primary,
            timeout: GoDuration(Duration::from_secs(10)),
            at_least_once: false,
            link: Link::default(),
        }
    }

    /// Connects. Each of the producers is to get all lines.
    ///
    /// # Errors
    /// No nsqd of a producer can be reached at once, or a file that was named cannot be used.
    pub(super) async fn connect(&self, options: &Options) -> Result<Vec<Producer>, Error> {
        let nsqds = match self.nsqd_tcp_address.as_slice() {
            [] => vec![local_nsqd()],
            nsqds => nsqds.to_vec(),
        };
        let groups: Vec<&[Address]> = match self.mode {
            Mode::All => nsqds.chunks(1).collect(),
            _ => vec![&nsqds],
        };
        let producers = groups.into_iter().map(|nsqds| self.build(nsqds, options));
        let producers: Vec<Producer> = producers.collect::<Result<_, _>>()?;
        for producer in &producers {
            reach(producer).await?;
        }
        Ok(producers)
    }

    fn build(&self, nsqds: &[Address], options: &Options) -> Result<Producer, Error> {
        let retry = if self.at_least_once {
            RetryPolicy::at_least_once()
        } else {
            RetryPolicy::default()
        };
        let builder = self.link.producer(TOOL, nsqds)?;
        let producer = builder
            .routing(match self.mode {
                Mode::Primary | Mode::All => Routing::Primary,
                Mode::RoundRobin => Routing::RoundRobin,
                Mode::LeastPending => Routing::LeastPending,
            })
            .retry(retry)
            .publish_timeout(self.timeout.0)
            // The window is kept elsewhere: there has to be room at any time.
            .max_pending(options.window as usize, usize::MAX)
            // So is the longest line; of all else nsqd knows its limits itself.
            .limits(Limits {
                max_msg_size: usize::MAX,
                max_body_size: usize::MAX,
                max_req_timeout: Duration::MAX,
                ..Limits::default()
            })
            .build()?;
        Ok(producer)
    }
}
