//! Tells an HTTP endpoint what was done, one POST after the other, in the background.
//!
//! An endpoint that is slow, wrong or away hurts nobody: what does not fit into the mailbox is dropped with a warning.

use bytes::Bytes;
use hyper::Uri;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::cluster::upstream::Upstream;
use crate::options::Options;

/// What was done: the reference's fields, and `result`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Notification {
    pub(crate) action: &'static str,
    pub(crate) topic: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) channel: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) node: String,
    /// Unix seconds.
    pub(crate) timestamp: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) user: String,
    /// The peer's `ip:port`.
    pub(crate) remote_ip: String,
    pub(crate) user_agent: String,
    pub(crate) url: String,
    /// The host that nsqadmin runs on.
    pub(crate) via: String,
    /// What the API answered: empty, `WARNING: …` or an error.
    pub(crate) result: String,
}

/// Where notifications are put.
#[derive(Debug)]
pub(crate) struct Notifier {
    outbox_tx: mpsc::Sender<Notification>,
    via: String,
}

impl Notifier {
    /// Starts the task that owns the outbox; it ends when the notifier is gone and all is sent.
    pub(crate) fn start(endpoint: Uri, options: &Options) -> (Self, JoinHandle<()>) {
        let upstream = Upstream::new(
            options.http_client_connect_timeout,
            options.http_client_request_timeout,
        );
        let (outbox_tx, outbox_rx) = mpsc::channel(OUTBOX_MAX);
        let task = tokio::spawn(send_all(endpoint, upstream, outbox_rx));
        let via = options.hostname.clone();
        (Self { outbox_tx, via }, task)
    }

    /// The host that nsqadmin runs on.
    pub(crate) fn via(&self) -> &str {
        &self.via
    }

    /// Has `notification` sent, unless too many wait already.
    pub(crate) fn notify(&self, notification: Notification) {
        if let Err(error) = self.outbox_tx.try_send(notification) {
            let lost = error.into_inner();
            warn!(
                action = lost.action,
                topic = lost.topic,
                "notification dropped: too many wait"
            );
        }
    }
}

async fn send_all(endpoint: Uri, upstream: Upstream, mut outbox_rx: mpsc::Receiver<Notification>) {
    let host = endpoint.host().unwrap_or_default();
    let address = format!("{host}:{}", endpoint.port_u16().unwrap_or(80));
    let path = endpoint.path_and_query().map_or("/", |path| path.as_str());
    while let Some(notification) = outbox_rx.recv().await {
        let body = serde_json::to_vec(&notification).expect("strings and numbers are JSON");
        // Not the whole error: the path of a webhook is often its secret.
        if let Err(error) = upstream.post(&address, path, Bytes::from(body)).await {
            warn!(action = notification.action, topic = notification.topic, error = %error.fault(), "notification not delivered");
        }
    }
}

/// Notifications that wait while the endpoint is slow.
const OUTBOX_MAX: usize = 256;
