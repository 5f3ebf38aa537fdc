//! Figures of a producer.

use std::sync::Arc;

use super::error::PublishError;
use super::job::Outcome;
use crate::connection::{Address, ConnectError};

/// What a producer did since it was built. All but the bytes count publishes: one for a single
/// message, one for each MPUB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerStats {
    /// Confirmed by an nsqd.
    pub published: u64,
    /// Bytes of the messages confirmed.
    pub published_bytes: u64,
    /// Refused by an nsqd for good.
    pub rejected: u64,
    /// Given up without being sent: no nsqd, no time, or shut down.
    pub not_sent: u64,
    /// Sent, and never known whether stored: connection lost, or no answer in time.
    pub unknown: u64,
    /// Sent again after an nsqd failed to store it, or with an unknown outcome.
    pub retried: u64,
    /// Sent again, or elsewhere, because it certainly had not been stored.
    pub replayed: u64,
    /// Connections made.
    pub connects: u64,
    /// Connections lost, and attempts that failed.
    pub disconnects: u64,
    /// Waiting to be sent, or sent and not answered.
    pub pending: usize,
    /// Bytes of the messages in them.
    pub pending_bytes: usize,
}

impl ProducerStats {
    /// Counts how a publish with so many bytes ended.
    pub(super) fn count(&mut self, bytes: usize, outcome: &Outcome) {
        match outcome {
            Ok(_) => {
                self.published += 1;
                self.published_bytes += bytes as u64;
            }
            Err(PublishError::Rejected { .. }) => self.rejected += 1,
            Err(error) if error.maybe_stored() => self.unknown += 1,
            Err(_) => self.not_sent += 1,
        }
    }
}

/// What a producer leaves behind; counts publishes since it was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerReport {
    /// Confirmed by an nsqd.
    pub acked: u64,
    /// Certainly not stored: rejected, or never sent.
    pub failed: u64,
    /// Sent, and never known whether stored.
    pub unknown: u64,
}

impl From<ProducerStats> for ProducerReport {
    fn from(stats: ProducerStats) -> ProducerReport {
        ProducerReport {
            acked: stats.published,
            failed: stats.rejected + stats.not_sent,
            unknown: stats.unknown,
        }
    }
}

/// How a producer stands with one nsqd.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeStatus {
    /// Which one.
    pub address: Arc<Address>,
    /// Whether publishes go to it.
    pub connected: bool,
    /// Publishes given to it and not answered.
    pub pending: usize,
    /// Why it was last not reached; `None` once it is.
    pub last_error: Option<Arc<ConnectError>>,
}
