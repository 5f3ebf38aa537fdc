//! What channels a new topic has elsewhere: a question to every nsqlookupd over HTTP, `GET /channels?topic=…`.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use client::wire::{ChannelName, TopicName};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
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

/// The answer of nsqlookupd.
#[derive(Debug, Deserialize)]
struct Answer {
    channels: Option<Vec<String>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum QuestionError {
    /// The nsqlookupd is lost, or told no address.
    #[error("it can't be asked now")]
    NotInformed,
    /// Time is over.
    #[error("no answer in time (--http-client-request-timeout)")]
    Late,
    /// No connection in time.
    #[error("no connection in time (--http-client-connect-timeout)")]
    LateConnection,
    /// No connection.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Not HTTP, or broken off.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// Not the answer of an nsqlookupd that is well.
    #[error("status {0}")]
    Status(StatusCode),
    /// Larger than 1 MiB, or broken off.
    #[error("answer not read: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// Not the JSON that was asked for.
    #[error("answer not understood: {0}")]
    Json(#[from] serde_json::Error),
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
                warn!(%topic, %peer, %error, "nsqlookupd not asked for channels of a new topic");
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
    let asking = async {
        let status = status.wait_for(|status| *status != Status::Unknown);
        let status = status.await.map(|status| status.clone());
        // Without a sender the peer was removed meanwhile.
        let Ok(Status::Informed(Some(address))) = status else {
            return Err(QuestionError::NotInformed);
        };
        let answer = get(&address, topic, patience.connect_timeout).await?;
        channels(&answer)
    };
    let answer = timeout_at(patience.deadline, asking).await;
    answer.unwrap_or(Err(QuestionError::Late))
}

async fn get(
    address: &str,
    topic: &TopicName,
    connect_timeout: Duration,
) -> Result<Bytes, QuestionError> {
    let stream = timeout(connect_timeout, TcpStream::connect(address)).await;
    let stream = stream.map_err(|_| QuestionError::LateConnection)??;
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The only byte of a name that means something in a query.
    let topic = topic.as_str().replace('#', "%23");
    let request = Request::get(format!("/channels?topic={topic}"))
        .header(HOST, address)
        .header(ACCEPT, "application/vnd.nsq; version=1.0")
        .body(Empty::<Bytes>::new())
        .map_err(|error| QuestionError::Body(error.into()))?;
    let answer = async move {
        let response = requests.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(QuestionError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await.map_err(QuestionError::Body)?;
        Ok(body.to_bytes())
    };
    // The connection ends when the answer is there and `requests` is gone. Its own failure is the answer's too.
    let (answer, _) = tokio::join!(answer, connection);
    answer
}

/// The channels in an answer; ephemeral ones exist only where they are, and names that can't be are skipped.
fn channels(answer: &[u8]) -> Result<Vec<ChannelName>, QuestionError> {
    let answer: Answer = serde_json::from_slice(answer)?;
    let names = answer.channels.unwrap_or_default();
    let names = names.iter().filter_map(|name| name.parse().ok());
    Ok(names
        .filter(|name: &ChannelName| !name.is_ephemeral())
        .collect())
}

#[cfg(test)]
mod tests;
