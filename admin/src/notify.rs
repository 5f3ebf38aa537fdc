//! Tells an HTTP endpoint what was done, one POST after the other, in the background.
//!
//! An endpoint that is slow, wrong or away hurts nobody: what does not fit into the mailbox is dropped with a warning.

use hyper::{Method, Uri};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::cluster::upstream::{Question, Upstream};
use crate::options::Options;

/// What was done: the reference's fields, and `result`, `nodes`, `detail`.
#[derive(Clone, Debug, Default, Serialize)]
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
    /// The nodes it was to be done on, `host:port`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) nodes: Vec<String>,
    /// What else there is to know: sizes of what was published. Never a body.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) detail: String,
}

/// Where notifications are put.
#[derive(Clone, Debug)]
pub(crate) struct Notifier {
    outbox_tx: mpsc::Sender<Notification>,
}

impl Notifier {
    /// Starts the task that owns the outbox; it ends when the notifier and its clones are gone and all is sent.
    pub(crate) fn start(endpoint: Uri, options: &Options) -> (Self, JoinHandle<()>) {
        let upstream = Upstream::new(options);
        let (outbox_tx, outbox_rx) = mpsc::channel(OUTBOX_MAX);
        let task = tokio::spawn(send_all(endpoint, upstream, outbox_rx));
        (Self { outbox_tx }, task)
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
    while let Some(notification) = outbox_rx.recv().await {
        let body = serde_json::to_vec(&notification).expect("strings and numbers are JSON");
        let question = Question {
            body: body.into(),
            ..Question::to_url(Method::POST, &endpoint)
        };
        // Not the whole error: the path of a webhook is often its secret.
        if let Err(error) = upstream.ask(question).await {
            warn!(action = notification.action, topic = notification.topic, error = %error.fault(), "notification not delivered");
        }
    }
}

/// Notifications that wait while the endpoint is slow.
const OUTBOX_MAX: usize = 256;
