//! What channels a new topic has elsewhere: a question to every nsqlookupd over HTTP, `GET /channels?topic=…`.

use std::collections::BTreeSet;
use std::time::Duration;

use client::http::{Client, Limits, RequestError};
use client::wire::{ChannelName, TopicName};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::peer::Status;

/// Largest answer: some 15,000 names.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How long a question may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For the connection (`--http-client-connect-timeout`).
    pub(super) connect_timeout: Duration,
    /// When all must be over (`--http-client-request-timeout` after the topic's creation).
    pub(super) deadline: Instant,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum QuestionError {
    /// The nsqlookupd is lost, was not reached in time, or told no address.
    #[error("it can't be asked now")]
    NotInformed,
    /// No answer, or not the one of an nsqlookupd that is well.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// Asks all peers at once, and returns the channels that any of them knows, but for ephemeral ones. A peer that can't
/// answer adds nothing; one that was not reached yet is waited for, since nsqd may have started just now.
pub(super) async fn known_channels(
    topic: &TopicName,
    peers: Vec<(String, watch::Receiver<Status>)>,
    patience: Patience,
) -> BTreeSet<ChannelName> {
    let mut questions = JoinSet::new();
    for (peer, status) in peers {
        let topic = topic.clone();
        questions.spawn(async move { (peer, ask(&topic, status, patience).await) });
    }
    let mut known = BTreeSet::new();
    while let Some(answered) = questions.join_next().await {
        match answered.expect("a question does not panic") {
            (_, Ok(channels)) => known.extend(channels),
            (peer, Err(error)) => {
                warn!(%topic, %peer, %error, "nsqlookupd did not tell the channels of a new topic");
            }
        }
    }
    known
}

async fn ask(
    topic: &TopicName,
    mut status: watch::Receiver<Status>,
    patience: Patience,
) -> Result<Vec<ChannelName>, QuestionError> {
    let known = status.wait_for(|status| *status != Status::Unknown);
    // Whatever came of it: the time is over, the peer was removed, or its status is known.
    let _ = timeout_at(patience.deadline, known).await;
    let Status::Informed(Some(address)) = status.borrow().clone() else {
        return Err(QuestionError::NotInformed);
    };
    let limits = Limits {
        connect_timeout: patience.connect_timeout,
        timeout: patience.deadline.duration_since(Instant::now()),
        bytes_max: ANSWER_BYTES_MAX,
    };
    let client = Client::new(limits);
    let names = client.lookupd(&address).channels(topic).await?;
    Ok(usable(&names))
}

/// The channels that can be made here: ephemeral ones exist only where they are, and names that can't be are skipped.
fn usable(names: &[String]) -> Vec<ChannelName> {
    let names = names.iter().filter_map(|name| name.parse().ok());
    names
        .filter(|name: &ChannelName| !name.is_ephemeral())
        .collect()
}

#[cfg(test)]
mod tests;
