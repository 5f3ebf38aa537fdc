//! How much of what the wire gives the producer keeps: publishes the same messages through a bare
//! connection and through [`Producer`], in turn, and prints both rates.
//!
//! ```text
//! cargo run --release -p client --example publish_rate -- 127.0.0.1:4150 [batch [window [seconds]]]
//! ```
#![expect(clippy::print_stdout, reason = "it prints what it found")]

use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::connection::{ConnectOptions, Connection, is_heartbeat};
use client::producer::{Producer, PublishManyError, Receipt, Ticket};
use client::wire::{Command, TopicName, put_publish_many};

const BODY_BYTES: usize = 200;
const ROUNDS: u32 = 5;

type AnyError = Box<dyn Error + Send + Sync>;

/// The same load for both.
#[derive(Clone, Copy)]
struct Load {
    /// Messages in one command.
    batch: usize,
    /// Commands not yet answered.
    window: usize,
    time: Duration,
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    let nsqd = arguments.next().unwrap_or("127.0.0.1:4150".to_owned());
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let load = Load {
        batch: number(1)?,
        window: number(100)?,
        time: Duration::from_secs(number(2)? as u64),
    };
    let topic = TopicName::parse("publish_rate#ephemeral")?;
    let (mut bare_sum, mut library_sum) = (0.0, 0.0);
    for round in 1..=ROUNDS {
        let bare = tokio::spawn(bare(nsqd.clone(), topic.clone(), load)).await??;
        let library = tokio::spawn(library(nsqd.clone(), topic.clone(), load)).await??;
        println!("{round}: connection {bare:.0}/s, producer {library:.0}/s");
        bare_sum += bare;
        library_sum += library;
    }
    println!("ratio {:.2}", library_sum / bare_sum);
    Ok(())
}

/// Messages per second through a connection, with a command encoded once.
async fn bare(nsqd: String, topic: TopicName, load: Load) -> Result<f64, AnyError> {
    let options = ConnectOptions::default();
    let connection = Connection::connect(&nsqd.parse()?, &options).await?;
    let (mut reader, mut writer) = connection.split();
    let command = command(&topic, load.batch);
    let began = Instant::now();
    let (mut confirmed, mut open) = (0, 0);
    while open > 0 || began.elapsed() < load.time {
        while open < load.window && began.elapsed() < load.time {
            writer.write_encoded(&command);
            open += 1;
        }
        tokio::select! {
            received = reader.receive() => received?,
            flushed = writer.flush(), if writer.unsent_bytes() > 0 => flushed?,
        }
        while let Some(frame) = reader.received_frame()? {
            if is_heartbeat(&frame) {
                writer.write(&Command::Nop);
            } else {
                open -= 1;
                confirmed += load.batch;
            }
        }
    }
    Ok(rate(confirmed, began))
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no 15 digits")]
fn rate(confirmed: usize, began: Instant) -> f64 {
    confirmed as f64 / began.elapsed().as_secs_f64()
}

fn command(topic: &TopicName, batch: usize) -> Vec<u8> {
    let body = [b'x'; BODY_BYTES];
    let topic = topic.as_name();
    let mut command = Vec::new();
    if batch == 1 {
        Command::Publish { topic, body: &body }.encode(&mut command);
    } else {
        put_publish_many(&mut command, topic, vec![&body[..]; batch].into_iter());
    }
    command
}

/// Messages per second through a producer, whose tickets are awaited in order.
async fn library(nsqd: String, topic: TopicName, load: Load) -> Result<f64, AnyError> {
    let producer = Producer::connect(&nsqd).await?;
    let body = Bytes::from_static(&[b'x'; BODY_BYTES]);
    let began = Instant::now();
    let confirmed = if load.batch == 1 {
        singles(&producer, &topic, &body, load, began).await?
    } else {
        batches(&producer, &topic, &body, load, began).await?
    };
    let rate = rate(confirmed, began);
    producer.shutdown(Duration::from_secs(5)).await;
    Ok(rate)
}

async fn singles(
    producer: &Producer,
    topic: &TopicName,
    body: &Bytes,
    load: Load,
    began: Instant,
) -> Result<usize, AnyError> {
    let mut tickets: VecDeque<Ticket> = VecDeque::new();
    let mut confirmed = 0;
    while began.elapsed() < load.time {
        if tickets.len() == load.window {
            tickets.pop_front().expect("it is full").await?;
            confirmed += 1;
        }
        tickets.push_back(producer.publish(topic, body.clone()).enqueue().await?);
    }
    for ticket in tickets {
        ticket.await?;
        confirmed += 1;
    }
    Ok(confirmed)
}

/// As many tasks as commands may be open, each publishing batch after batch.
async fn batches(
    producer: &Producer,
    topic: &TopicName,
    body: &Bytes,
    load: Load,
    began: Instant,
) -> Result<usize, AnyError> {
    let mut tasks = Vec::new();
    for _ in 0..load.window {
        let (producer, topic, body) = (producer.clone(), topic.clone(), body.clone());
        tasks.push(tokio::spawn(async move {
            let mut confirmed = 0;
            while began.elapsed() < load.time {
                let bodies = std::iter::repeat_n(body.clone(), load.batch);
                let receipts: Result<Vec<Receipt>, PublishManyError> =
                    producer.publish_many(&topic, bodies).await;
                receipts?;
                confirmed += load.batch;
            }
            Ok::<usize, PublishManyError>(confirmed)
        }));
    }
    let mut confirmed = 0;
    for task in tasks {
        confirmed += task.await??;
    }
    Ok(confirmed)
}
