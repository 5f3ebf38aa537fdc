//! The producer against a scripted nsqd, for what real ones rarely do.

mod batching;
mod cancel;
mod failover;
mod fake;
mod outcomes;
mod pipeline;
mod pressure;
mod refusals;
mod sinking;
mod state;

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::job::{Job, Outcome, Payload, Room, Terms, Waiting};
use super::*;
use crate::reconnect::Reconnect;
use fake::{Fake, Listener};

/// Longer than any test takes; a test that waits for it has failed.
const LONG: Duration = Duration::from_secs(20);

fn topic() -> TopicName {
    TopicName::parse("t").unwrap()
}

/// Comes back quickly, so that tests do not wait for it.
fn builder(nodes: &[&Listener]) -> ProducerBuilder {
    let quick = Reconnect {
        first: Duration::from_millis(2),
        max: Duration::from_millis(20),
    };
    let builder = Producer::builder().reconnect(quick).publish_timeout(LONG);
    nodes
        .iter()
        .fold(builder, |builder, node| builder.nsqd(node.address()))
}

/// A producer of one node, connected.
async fn connected(listener: &Listener) -> (Producer, Fake) {
    connected_with(builder(&[listener]), listener).await
}

async fn connected_with(builder: ProducerBuilder, listener: &Listener) -> (Producer, Fake) {
    let producer = builder.build().unwrap();
    let fake = listener.accept().await;
    producer.ready(LONG).await.unwrap();
    (producer, fake)
}

/// Queues messages with these bodies.
async fn enqueue(producer: &Producer, bodies: impl IntoIterator<Item = String>) -> Vec<Ticket> {
    let mut tickets = Vec::new();
    for body in bodies {
        tickets.push(producer.publish(&topic(), body).enqueue().await.unwrap());
    }
    tickets
}

/// A publish as the pure parts see it, and where its outcome appears.
fn job(body: &str, deadline: Instant) -> (Job, oneshot::Receiver<Outcome>) {
    let (caller, outcome) = oneshot::channel();
    let job = Job {
        topic: topic(),
        payload: Payload::One(Bytes::copy_from_slice(body.as_bytes())),
        terms: Terms {
            deadline,
            retry: RetryPolicy::default(),
            pinned: None,
        },
        started: deadline,
        room: Room::default(),
        attempts: 0,
        generation: 0,
        waiting: Waiting::One(caller),
    };
    (job, outcome)
}

fn bodies<'j>(jobs: impl IntoIterator<Item = &'j Job>) -> Vec<String> {
    let body = |job: &Job| match &job.payload {
        Payload::One(body) => String::from_utf8_lossy(body).into_owned(),
        other => panic!("{other:?} is no single message"),
    };
    jobs.into_iter().map(body).collect()
}
