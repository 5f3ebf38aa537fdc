//! What the producer and the consumer of the client library leave of the speed of the wire.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::iter::repeat_n;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use client::consumer::Consumer;
use client::producer::Producer;
use client::wire::TopicName;
use tests::daemon::Nsqd;
use tests::load::{self, Publishing};
use tokio::runtime::Runtime;

use crate::{IN_MEMORY, median, print, rate};

const BODY: &[u8] = &[b'x'; 200];
/// Its memory is used again, so that no run pays for fresh memory, nor finds what another has left.
const TOPIC: &str = "library#ephemeral";
const CHANNEL: &str = "channel";
const PATIENCE: Duration = Duration::from_secs(10);

/// The library and the wire publish and consume the same messages of the same nsqd, in turn.
pub(crate) fn measure(messages: usize, runs: usize) {
    let runtime = Runtime::new().expect("a runtime can be made");
    for (name, batch, window) in [("batches of 200", 200, 8), ("singles", 1, 1000)] {
        let load = Publishing {
            messages,
            connections: 1,
            batch,
            window,
            body_bytes: BODY.len(),
        };
        let nsqd = Nsqd::start(&[]);
        compare(&format!("publish {name}"), messages, runs, |side| {
            spawned(&runtime, publish(side, nsqd.tcp(), load))
        });
    }
    let nsqd = Nsqd::start(IN_MEMORY);
    let topic = TOPIC.replace('#', "%23");
    nsqd.act(&format!("/topic/create?topic={topic}"));
    nsqd.act(&format!("/channel/create?topic={topic}&channel={CHANNEL}"));
    for in_flight in [2500, 200] {
        let name = format!("consume, {in_flight} in flight");
        compare(&name, messages, runs, |side| {
            spawned(&runtime, consume(side, nsqd.tcp(), in_flight, messages))
        });
    }
}

/// Runs as a task beside those of the library, as most of an application does.
fn spawned(runtime: &Runtime, run: impl Future<Output = Duration> + Send + 'static) -> Duration {
    let run = runtime.spawn(run);
    runtime.block_on(run).expect("it does not panic")
}

/// Who does it.
#[derive(Clone, Copy)]
enum Side {
    Wire,
    Library,
}

/// Prints the median rates of both sides, and what the library reaches of the wire's.
fn compare(name: &str, messages: usize, runs: usize, run: impl Fn(Side) -> Duration) {
    let (mut wire, mut library) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        wire.push(rate(messages, run(Side::Wire)));
        library.push(rate(messages, run(Side::Library)));
    }
    let (wire, library) = (median(wire), median(library));
    print(&format!("{name}, wire: messages"), wire, "/s");
    print(&format!("{name}, library: messages"), library, "/s");
    print(
        &format!("{name}: speed, library / wire"),
        library / wire,
        "",
    );
}

async fn publish(side: Side, to: SocketAddr, load: Publishing) -> Duration {
    let start = Instant::now();
    match side {
        Side::Wire => load::publish(to, TOPIC, load)
            .await
            .expect("every publish is answered with OK"),
        Side::Library => produce(to, load).await,
    }
    start.elapsed()
}

async fn produce(to: SocketAddr, load: Publishing) {
    let producer = Producer::connect(&to.to_string()).await;
    let producer = producer.expect("nsqd listens");
    let topic = TOPIC.parse().expect("the name is valid");
    match load.batch {
        1 => produce_singles(&producer, &topic, load).await,
        _ => produce_batches(&producer, &topic, load).await,
    }
    producer.shutdown(PATIENCE).await;
}

/// Batch after batch, whose tickets are awaited in order.
async fn produce_batches(producer: &Producer, topic: &TopicName, load: Publishing) {
    let mut open = VecDeque::new();
    for _ in 0..load.messages / load.batch {
        if open.len() == load.window {
            let oldest = open.pop_front().expect("the window is not empty");
            confirmed(oldest).await;
        }
        let bodies = repeat_n(BODY, load.batch);
        let tickets = producer.publish_many(topic, bodies).enqueue().await;
        open.push_back(tickets.expect("the messages are valid"));
    }
    for tickets in open {
        confirmed(tickets).await;
    }
}

/// The same with single messages.
async fn produce_singles(producer: &Producer, topic: &TopicName, load: Publishing) {
    let mut open = VecDeque::new();
    for _ in 0..load.messages {
        if open.len() == load.window {
            let oldest = open.pop_front().expect("the window is not empty");
            confirmed(oldest).await;
        }
        let ticket = producer.publish(topic, BODY).enqueue().await;
        open.push_back(ticket.expect("the message is valid"));
    }
    for ticket in open {
        confirmed(ticket).await;
    }
}

async fn confirmed<R, E: Debug>(ticket: impl Future<Output = Result<R, E>>) {
    ticket.await.expect("every publish is answered with OK");
}

async fn consume(side: Side, from: SocketAddr, in_flight: u16, messages: usize) -> Duration {
    let publishing = Publishing {
        messages,
        connections: 1,
        batch: 200,
        window: 8,
        body_bytes: BODY.len(),
    };
    let published = load::publish(from, TOPIC, publishing).await;
    published.expect("every publish is answered with OK");
    let start = Instant::now();
    match side {
        Side::Wire => load::consume(from, TOPIC, CHANNEL, in_flight.into(), messages)
            .await
            .expect("every message is delivered"),
        Side::Library => receive(from, in_flight, messages).await,
    }
    start.elapsed()
}

/// Finishes each message before it takes the next one.
async fn receive(from: SocketAddr, in_flight: u16, messages: usize) {
    let channel = CHANNEL.parse().expect("the name is valid");
    let consumer = Consumer::builder(TOPIC.parse().expect("the name is valid"), channel)
        .nsqd(from.to_string())
        .max_in_flight(in_flight.into())
        .start();
    let mut consumer = consumer.await.expect("the settings are valid");
    for _ in 0..messages {
        let message = consumer.recv().await.expect("nsqd stays there");
        message.finish().expect("the message has not timed out");
    }
    let report = consumer.control().drain(PATIENCE).await;
    assert_eq!(report.abandoned, 0, "every answer was sent");
}
