//! New messages of a topic as they come, through a channel that is there for one viewer.
//!
//! The channel is ephemeral and goes with its viewer. Whoever reads slowly gets fewer messages; others notice nothing.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use client::consumer::{Consumer, ConsumerError, Message as Delivered};
use client::daemon::http::{HttpError, Request, Response};
use client::wire::{ChannelName, TopicName};
use hyper::StatusCode;
use hyper::header::HeaderValue;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::{Admin, api, body, deed};
use crate::access::Visitor;
use crate::cluster::{Message, TAIL_PREFIX};

/// Room for those who watch, until the end of the process.
#[derive(Debug)]
pub(crate) struct Tails {
    places: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

impl Tails {
    pub(crate) fn new(stopped: watch::Receiver<bool>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(TAILS_MAX)),
            stopped,
        }
    }
}

/// POST `/api/tail` `{"topic":"…","percent":100}`: a stream of events.
pub(super) async fn tail(
    admin: &Admin,
    visitor: &Visitor,
    mut request: Request,
) -> Result<Response, HttpError> {
    #[derive(Deserialize)]
    struct Form {
        topic: String,
        percent: Option<u8>,
    }
    let form: Form = body(&mut request, FORM_BYTES_MAX).await?;
    let topic: TopicName = form.topic.parse().map_err(|_| INVALID_TOPIC)?;
    let percent = form.percent.unwrap_or(100);
    if !(1..=100).contains(&percent) {
        return Err(HttpError::bad_request("INVALID_PERCENT"));
    }
    let place = Arc::clone(&admin.tails.places).try_acquire_owned();
    let place = place.map_err(|_| TOO_MANY)?;
    let nodes = match admin.cluster.tailable(topic.as_str()).await {
        Ok(nodes) => nodes,
        Err(error) => return Ok(api::refused(&error)),
    };
    if nodes.is_empty() {
        let code = "NO_CHANNEL: the first channel of a topic is given all that waits, which a tail would lose";
        return Ok(Response::error(StatusCode::CONFLICT, code));
    }
    let Ok(consumer) = consume(topic, percent, nodes.keys()).await else {
        let code = "UPSTREAM_ERROR: no node lets nsqadmin subscribe";
        return Ok(Response::error(StatusCode::BAD_GATEWAY, code));
    };
    let mut deed = deed(visitor, &request, "tail_topic");
    deed.topic = form.topic;
    deed.nodes = nodes.values().cloned().collect();
    deed.nodes.sort_unstable();
    admin.audit.record(deed);
    let (events_tx, events) = mpsc::channel(EVENTS_MAX);
    let tail = Tail {
        consumer,
        nodes,
        events_tx,
        _place: place,
    };
    tokio::spawn(tail.run(admin.tails.stopped.clone()));
    let content_type = HeaderValue::from_static("text/event-stream");
    Ok(Response::stream(events, content_type))
}

async fn consume(
    topic: TopicName,
    percent: u8,
    nodes: impl Iterator<Item = &SocketAddr>,
) -> Result<Consumer, ConsumerError> {
    let name = format!("{TAIL_PREFIX}{:016x}#ephemeral", fastrand::u64(..));
    let channel: ChannelName = name.parse().expect("letters, digits and a known ending");
    let mut builder = Consumer::builder(topic, channel).max_in_flight(IN_FLIGHT_MAX);
    // Nobody is sampled at 100.
    if percent < 100 {
        builder = builder.sample_rate(percent);
    }
    let builder = nodes.fold(builder, |builder, node| builder.nsqd(node.to_string()));
    builder.start().await
}

/// What one viewer sees.
struct Tail {
    consumer: Consumer,
    /// Their names.
    nodes: HashMap<SocketAddr, String>,
    events_tx: mpsc::Sender<Bytes>,
    /// Given back with the rest.
    _place: OwnedSemaphorePermit,
}

impl Tail {
    /// Goes on until the viewer has gone, for [`LASTS`], or until the process ends; then the channel goes too.
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let events_tx = self.events_tx.clone();
        let show = async {
            // An error says that nobody looks any more.
            while self.show().await.is_ok() {
                sleep(PACE).await;
            }
        };
        tokio::select! {
            _ = timeout(LASTS, show) => {}
            () = events_tx.closed() => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }

    /// Shows one message, or after a while without one that the stream goes on.
    async fn show(&mut self) -> Result<(), mpsc::error::SendError<Bytes>> {
        let message = match timeout(HEARTBEAT, self.consumer.recv()).await {
            Err(_) => return self.events_tx.send(Bytes::from_static(b":\n\n")).await,
            // Every node has refused: the stream ends with the last word.
            Ok(None) => return Err(mpsc::error::SendError(Bytes::new())),
            Ok(Some(message)) => message,
        };
        let data = serde_json::to_string(&self.seen(&message)).expect("text and numbers are JSON");
        // A node that has gone meanwhile gives it to nobody else: the channel is ours alone.
        let _ = message.finish();
        self.events_tx
            .send(format!("data: {data}\n\n").into())
            .await
    }

    fn seen(&self, message: &Delivered) -> Message {
        let body = message.body();
        let shown = &body[..body.len().min(BODY_BYTES_MAX)];
        let address: Option<SocketAddr> = message.node().to_string().parse().ok();
        let node = address.and_then(|address| self.nodes.get(&address));
        Message {
            id: message.id().to_string(),
            timestamp: message.timestamp_ns(),
            attempts: message.attempts().into(),
            size: body.len() as u64,
            body: BASE64_STANDARD.encode(shown),
            body_truncated: shown.len() < body.len(),
            due: None,
            node: node.cloned().unwrap_or_default(),
        }
    }
}

/// Those who watch at a time.
const TAILS_MAX: usize = 16;
/// Nobody looks for longer; who does begins anew.
const LASTS: Duration = Duration::from_mins(15);
/// More than fifty a second nobody reads, and no browser draws.
const PACE: Duration = Duration::from_millis(20);
/// Often enough for proxies between us and the viewer.
const HEARTBEAT: Duration = Duration::from_secs(15);
const IN_FLIGHT_MAX: u32 = 5;
/// Messages that wait for a viewer.
const EVENTS_MAX: usize = 8;
/// As much of a body as peeking shows.
const BODY_BYTES_MAX: usize = 4096;
const FORM_BYTES_MAX: usize = 4 << 10;
const INVALID_TOPIC: HttpError = HttpError::bad_request("INVALID_TOPIC");
const TOO_MANY: HttpError = HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_VIEWERS");
