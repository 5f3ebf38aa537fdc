//! A producer and a consumer by the client library, beside those that speak byte by byte: so it is under test as well, and what
//! both ends have wrong in the same way still shows at the others.
//!
//! The library connects anew by itself, of which its user hears at some time later. So its deliveries prove that a message came, and
//! what was in it, and not whether it came too often or too soon.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use client::connection::ConnectOptions;
use client::consumer::{Backoff, Consumer, Event, Message};
use client::producer::{Producer, PublishError, RetryPolicy};
use client::reconnect::Reconnect;
use client::wire::ChannelName;
use fastrand::Rng;
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

use super::consumer::{HEARTBEAT_MS, TICK};
use super::{ANSWER_MAX, DONE, LOADING, RECONNECT_PAUSE, Shared};
use crate::torture::body::{self, BYTES_MIN};
use crate::torture::event::{Batch, Outcome, What};

/// The topic and the channel of both.
const PLACE: u16 = 0;
/// Sends less than others, whose commands are of all kinds.
const PAUSE: Duration = Duration::from_millis(5);

/// Publishes until the load ends.
pub(super) fn produce(shared: &Shared, number: u16) {
    runtime().block_on(async {
        let producer = Producer::builder()
            .nsqd(shared.address.to_string())
            .options(options())
            .retry(RetryPolicy::once())
            .reconnect(reconnect())
            .publish_timeout(ANSWER_MAX)
            .reply_timeout(ANSWER_MAX)
            .build()
            .expect("an address and times above 0 are right");
        let mut random = Rng::with_seed(shared.plan.seed ^ u64::from(number));
        for seq in 0.. {
            if shared.phase() != LOADING {
                break;
            }
            publish(shared, &producer, (number, seq), &mut random).await;
            sleep(PAUSE).await;
        }
        producer.shutdown(ANSWER_MAX).await;
    });
}

async fn publish(
    shared: &Shared,
    producer: &Producer,
    (number, first): (u16, u64),
    random: &mut Rng,
) {
    let batch = Batch {
        producer: number,
        first,
        count: 1,
    };
    let topic = format!("t{PLACE}").parse().expect("a name as NSQ has it");
    let bytes = random.usize(BYTES_MIN..=shared.plan.body_bytes_max);
    let key = batch.keys().next().expect("it has one");
    let body = body::encode(shared.plan.seed, key, bytes);
    shared.history.record(What::Published {
        topic: PLACE,
        batch,
        delay_ms: 0,
    });
    let published = producer.publish(&topic, body).await;
    let outcome = match &published {
        Ok(_) => Outcome::Accepted,
        Err(error) => outcome(error),
    };
    shared.history.record(What::Answered { batch, outcome });
    let counter = match &published {
        Ok(_) => &shared.acknowledged,
        Err(_) => &shared.declined,
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What the library says of a message that was not confirmed. Where it was not sent it may not appear.
fn outcome(error: &PublishError) -> Outcome {
    // What nsqd could not bring to the disk it may deliver all the same.
    let failed = matches!(error, PublishError::Rejected { .. }) && error.is_retryable();
    if failed || error.maybe_stored() {
        Outcome::Unknown
    } else {
        Outcome::Refused
    }
}

/// Consumes until the run ends.
pub(super) fn consume(shared: &Shared, frozen: &AtomicBool) {
    runtime().block_on(async {
        let topic = format!("t{PLACE}").parse().expect("a name as NSQ has it");
        let channel: ChannelName = format!("c{PLACE}").parse().expect("likewise");
        let consumer = Consumer::builder(topic, channel)
            .nsqd(shared.address.to_string())
            .options(options())
            .reconnect(reconnect())
            .max_in_flight(shared.plan.ready)
            .backoff(Backoff::disabled())
            .start();
        let mut consumer = consumer.await.expect("an address is right");
        let mut events = consumer.control().events();
        let mut connection = connect(shared);
        while shared.phase() < DONE {
            let is_frozen = frozen.load(Ordering::Acquire);
            tokio::select! {
                Some(message) = consumer.recv(), if !is_frozen => receive(shared, connection, message),
                Some(Event::Disconnected { .. }) = events.next() => {
                    shared.history.record(What::Disconnected { connection });
                    connection = connect(shared);
                }
                () = sleep(TICK) => {}
            }
        }
        consumer.control().drain(ANSWER_MAX).await;
    });
}

/// A connection that is stale from the start: nobody knows when what it delivers was sent.
fn connect(shared: &Shared) -> u32 {
    let connection = shared.connections.fetch_add(1, Ordering::Relaxed);
    shared.history.record(What::Connected {
        connection,
        topic: PLACE,
        channel: PLACE,
        ready: shared.plan.ready,
    });
    shared.history.record(What::Frozen { connection });
    connection
}

fn receive(shared: &Shared, connection: u32, message: Message) {
    let key = match body::decode(shared.plan.seed, message.body()) {
        Ok(key) => key,
        Err(text) => {
            shared.history.record(What::Garbled { connection, text });
            return;
        }
    };
    shared.history.record(What::Delivered {
        connection,
        message: key,
        id: message.id().to_u64().unwrap_or(0),
        attempts: message.attempts(),
    });
    // One that has timed out by the library's clock comes again.
    if message.finish().is_ok() {
        shared.history.record(What::Finished {
            connection,
            message: key,
        });
        shared.finished.fetch_add(1, Ordering::Relaxed);
    }
}

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a thread can wait for sockets and timers")
}

fn reconnect() -> Reconnect {
    Reconnect {
        first: RECONNECT_PAUSE,
        max: 10 * RECONNECT_PAUSE,
    }
}

fn options() -> ConnectOptions {
    let mut options = ConnectOptions::default();
    options.identify.heartbeat_interval = Some(HEARTBEAT_MS.into());
    options
}
