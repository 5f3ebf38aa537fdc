//! What happens to a producer besides its publishes, for those who watch it.

use std::sync::Arc;
use std::time::Duration;

use crate::connection::{Address, ConnectError, ConnectionError};

/// How many events are kept for a watcher that does not read; then the oldest are dropped, and the
/// watcher is told how many ([`RecvError::Lagged`](tokio::sync::broadcast::error::RecvError::Lagged)).
pub(super) const EVENTS_KEPT: usize = 256;

/// A change in what a producer can do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An nsqd is connected; publishes go to it.
    Connected {
        /// Which one.
        node: Arc<Address>,
    },
    /// A connection was lost. What was sent and not answered is unknown or tried again, as its
    /// retry policy says.
    Disconnected {
        /// Which one.
        node: Arc<Address>,
        /// What ended it.
        cause: Arc<ConnectionError>,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// An nsqd cannot be reached, or refuses this client.
    ConnectFailed {
        /// Why, and which one.
        cause: Arc<ConnectError>,
        /// Whether it will fail again until somebody changes something.
        permanent: bool,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// An nsqd refused a publish. Untouched ones behind it are sent again on a new connection.
    Rejected {
        /// Which one.
        node: Arc<Address>,
        /// What it said, its code first.
        text: String,
        /// How many publishes are sent again.
        replayed: usize,
    },
    /// The producer takes no further publishes and finishes what is pending.
    Closing,
}
