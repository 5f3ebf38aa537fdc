//! Steering a consumer from anywhere.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::error::ConsumerError;
use super::events::Events;
use super::shared::Shared;
use super::stats::{ConsumerReport, ConsumerStats, NodeStatus};
use super::supervisor::Request;

/// A handle on a consumer; clones steer the same one. It does not keep the consumer running.
#[derive(Clone, Debug)]
pub struct Control {
    pub(super) shared: Arc<Shared>,
    pub(super) requests: mpsc::Sender<Request>,
}

impl Control {
    /// Takes no messages from now on; those that wait are still handed out.
    pub fn pause(&self) {
        self.shared.steer(|flow| flow.pause(true, Instant::now()));
    }

    /// Takes messages again.
    pub fn resume(&self) {
        self.shared.steer(|flow| flow.pause(false, Instant::now()));
    }

    /// As [`ConsumerBuilder::max_in_flight`](super::ConsumerBuilder::max_in_flight).
    pub fn set_max_in_flight(&self, count: u32) {
        let set = |flow: &mut super::flow::Flow| flow.set_max_in_flight(count, Instant::now());
        self.shared.steer(set);
    }

    /// Consumes from one more nsqd. Cancel safe.
    ///
    /// # Errors
    /// Not an address.
    pub async fn add_nsqd(&self, address: &str) -> Result<(), ConsumerError> {
        self.request(Request::Add(address.parse()?)).await;
        Ok(())
    }

    /// Consumes from this nsqd no longer: what waits goes back, what is worked on may be answered
    /// for another minute. An nsqlookupd that lists it brings it back. Cancel safe.
    ///
    /// # Errors
    /// Not an address.
    pub async fn remove_nsqd(&self, address: &str) -> Result<(), ConsumerError> {
        self.request(Request::Remove(address.parse()?)).await;
        Ok(())
    }

    /// Whether some nsqd has sent nearly all it may (85 %), so that little more comes until
    /// messages are answered: the moment to work off a batch.
    pub fn is_starved(&self) -> bool {
        self.shared.lock_steering().flow.ready().is_starved()
    }

    /// Ends a backoff at once.
    pub fn reset_backoff(&self) {
        let transition = self.shared.steer(|flow| flow.reset_backoff(Instant::now()));
        if let Some(transition) = transition {
            self.shared.tell_transition(transition);
        }
    }

    /// The consumer at this moment.
    pub fn stats(&self) -> ConsumerStats {
        self.shared.stats()
    }

    /// Its connections at this moment.
    pub fn connections(&self) -> Vec<NodeStatus> {
        self.shared.nodes()
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        self.shared.events()
    }

    /// Ends the consumer in good order. No further messages are taken, and those that the
    /// application has not taken go back at once; those it has may be answered for `patience`.
    /// Then the connections are closed. [`Consumer::recv`](super::Consumer::recv) returns `None`
    /// from the start of it.
    ///
    /// Cancel safe: draining goes on in the background, and a further call waits for the same end,
    /// with the shorter patience of both.
    pub async fn drain(&self, patience: Duration) -> ConsumerReport {
        self.shared.stop(patience);
        let mut end = self.shared.end.subscribe();
        let ended = end.wait_for(Option::is_some).await;
        ended
            .ok()
            .and_then(|end| end.as_ref().map(|end| end.report))
            .unwrap_or_default()
    }

    /// Why the consumer ended by itself: every nsqd refused for good. `None` while it lives, and
    /// after a drain.
    pub fn closed_reason(&self) -> Option<ConsumerError> {
        let end = self.shared.end.borrow();
        end.as_ref().and_then(|end| end.reason.clone())
    }

    async fn request(&self, request: Request) {
        // A consumer that is over has no use for it.
        let _ = self.requests.send(request).await;
    }
}
