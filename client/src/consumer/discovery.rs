//! Asking nsqlookupds which nsqds have the topic.
//!
//! Each nsqlookupd is asked by a task of its own, so that a slow or dead one delays nobody. What
//! it said last holds until it says something else: an outage never empties the list.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::events::Event;
use super::shared::Shared;
use super::supervisor::Request;
use crate::connection::Address;
use crate::http::{Client, Producer};

/// How nsqlookupds are asked.
#[derive(Clone)]
pub(super) struct Polling {
    /// Between two questions, on average.
    pub(super) interval: Duration,
    /// How far chance moves a question, as a part of the interval.
    pub(super) jitter: f64,
    /// Who asks; shared by all questions.
    pub(super) client: Client,
    /// Which of the nsqds found to use.
    pub(super) filter: Filter,
}

/// Chooses among the nsqds that were found.
pub(super) type Filter = Arc<dyn Fn(Vec<Producer>) -> Vec<Producer> + Send + Sync>;

/// One nsqlookupd.
pub(super) struct Lookupd {
    pub(super) address: String,
    pub(super) polling: Polling,
}

impl Lookupd {
    /// Asks for as long as the consumer lives: at once, then in intervals, and each time a
    /// connection was lost.
    pub(super) async fn poll(
        self,
        index: usize,
        shared: Arc<Shared>,
        mut lost: watch::Receiver<()>,
        found: mpsc::Sender<Request>,
    ) {
        loop {
            let listed = self.ask(&shared).await.map(|addresses| Request::Listed {
                lookupd: index,
                addresses,
            });
            if let Some(listed) = listed
                && found.send(listed).await.is_err()
            {
                return;
            }
            tokio::select! {
                () = sleep(self.pause()) => {}
                () = settled_loss(&mut lost) => {}
            }
        }
    }

    async fn ask(&self, shared: &Shared) -> Option<Vec<Address>> {
        let client = &self.polling.client;
        match client.lookupd(&self.address).producers(&shared.topic).await {
            Ok(producers) => {
                let producers = (self.polling.filter)(producers);
                Some(producers.iter().map(Producer::tcp_address).collect())
            }
            Err(error) => {
                let (address, reason) = (self.address.clone(), error.to_string());
                tracing::warn!(
                    nsqlookupd = address,
                    error = reason,
                    "nsqlookupd gave no answer"
                );
                shared.tell(Event::LookupFailed { address, reason });
                None
            }
        }
    }

    fn pause(&self) -> Duration {
        let spread = self.polling.jitter * (fastrand::f64() - 0.5);
        self.polling.interval.mul_f64(1.0 + spread)
    }
}

/// Many connections that are lost at once are one reason to ask.
async fn settled_loss(lost: &mut watch::Receiver<()>) {
    const SETTLE: Duration = Duration::from_millis(100);
    if lost.changed().await.is_err() {
        return std::future::pending().await;
    }
    sleep(SETTLE).await;
    lost.mark_unchanged();
}
