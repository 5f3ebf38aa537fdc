//! Latency in an open loop: messages are sent when they are due, however slow the server is, and the time from there counts.
//! So a server that stalls is charged for all who would have waited, not only for the one whom it kept waiting.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::catalogue::Load;
use super::{TOPIC, channels, deliver};
use crate::error::Error;
use crate::measure::{Figures, Meter, Metric, Stamps, Tasks, ticks, window};
use crate::settings::Settings;
use crate::systems::{Consumer, Producer, System};

/// Where the highest rate is looked for, by the same messages in a closed loop.
const TRIAL_TOPIC: &str = "trial";
const LOAD: Load = Load::batched(200);

/// Finds the highest rate, and sends at this share of it.
pub(super) async fn measure<S: System>(
    system: &S,
    percent: u32,
    settings: &Settings,
) -> Result<Figures, Error> {
    let trial = deliver::measure(system, TRIAL_TOPIC, LOAD, 1, settings).await?;
    let highest = trial[&Metric::MessagesPerSecond];
    let rate = highest * f64::from(percent) / 100.0;

    let channels = channels(1);
    system.create(TOPIC, &channels).await?;
    let start = Instant::now();
    let stamps = Stamps::since(start);
    let meter = Arc::new(Meter::new());
    let mut tasks = Tasks::new();
    let consumer = system.consumer(TOPIC, &channels[0]).await?;
    tasks.spawn(consume(consumer, Arc::clone(&meter), stamps));
    let offer = Offer {
        producer: system.producer(TOPIC).await?,
        start,
        rate,
        sent: 0,
        stamps,
    };
    tasks.spawn(offer.send_when_due(ticks(start)));
    let messages_max = settings.bytes_max / LOAD.body_bytes as u64;
    window(system.server(), &meter, &mut tasks, messages_max, settings).await
}

async fn consume<C: Consumer>(
    mut consumer: C,
    meter: Arc<Meter>,
    stamps: Stamps,
) -> Result<(), Error> {
    let mut ages = Vec::new();
    loop {
        let mut see = |body: &[u8]| ages.extend(stamps.age(body));
        let count = consumer.receive(&mut see).await?;
        meter.count(count);
        meter.took(ages.drain(..));
    }
}

/// A producer with a timetable.
struct Offer<P> {
    producer: P,
    start: Instant,
    /// Messages in a second.
    rate: f64,
    sent: u64,
    stamps: Stamps,
}

impl<P: Producer> Offer<P> {
    async fn send_when_due(mut self, mut ticks: mpsc::Receiver<Instant>) -> Result<(), Error> {
        let mut unconfirmed = 0_usize;
        loop {
            tokio::select! {
                Some(tick) = ticks.recv() => unconfirmed += self.send_until(tick).await?,
                confirmed = self.producer.confirmed(), if unconfirmed > 0 => {
                    confirmed?;
                    unconfirmed -= 1;
                }
            }
        }
    }

    /// Sends what is due by then, and returns the number of batches.
    async fn send_until(&mut self, tick: Instant) -> Result<usize, Error> {
        let due = self.due_by(tick);
        let mut batches = 0;
        while self.sent < due {
            let count = (due - self.sent).min(LOAD.batch as u64);
            let bodies = bodies(
                usize::try_from(count).expect("a batch"),
                self.stamps.stamp(tick),
            );
            let batch = self.producer.batch(&bodies, LOAD.grouping);
            self.producer.send(&batch).await?;
            self.sent += count;
            batches += 1;
        }
        Ok(batches)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is positive, and a run too short for 2^64 messages"
    )]
    fn due_by(&self, tick: Instant) -> u64 {
        ((tick - self.start).as_secs_f64() * self.rate) as u64
    }
}

/// Bodies with the time that they are due at.
fn bodies(count: usize, stamp: [u8; Stamps::BYTES]) -> Vec<Bytes> {
    let mut body = BytesMut::zeroed(LOAD.body_bytes);
    body[..Stamps::BYTES].copy_from_slice(&stamp);
    vec![body.freeze(); count]
}
