//! A connection that finishes everything it receives.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use client::connection::{Connection, ConnectionError, Reader, Writer};
use client::wire::Command;
use tokio::sync::watch;

use super::frames::{Seen, drain};
use super::report::Histogram;
use super::stamp::Stamps;

/// What one connection received.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) messages: u64,
    /// Bodies together.
    pub(super) bytes: u64,
    /// From publish to here, if that is known.
    pub(super) latency: Histogram,
    /// When the first and the last message came.
    pub(super) span: Option<(Instant, Instant)>,
}

/// Receives until told to stop. Counts every message in `total`, or with `stamps` those of the run.
pub(super) async fn consume(
    connection: Connection,
    in_flight: u64,
    stamps: Option<Stamps>,
    total: &AtomicU64,
    mut stop: watch::Receiver<bool>,
) -> Result<Received, ConnectionError> {
    let (reader, mut writer) = connection.split();
    writer.write(&Command::Ready { count: in_flight });
    let mut consumer = Consumer {
        reader,
        writer,
        stamps,
        received: Received {
            messages: 0,
            bytes: 0,
            latency: Histogram::new(),
            span: None,
        },
    };
    loop {
        tokio::select! {
            received = consumer.reader.receive() => {
                received?;
                let before = consumer.received.messages;
                consumer.take_frames()?;
                total.fetch_add(consumer.received.messages - before, Ordering::Relaxed);
            }
            flushed = consumer.writer.flush(), if consumer.writer.unsent_bytes() > 0 => flushed?,
            // The sender being gone is a reason to stop, too.
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    consumer.writer.write(&Command::Ready { count: 0 });
    consumer.writer.flush().await?;
    Ok(consumer.received)
}

struct Consumer {
    reader: Reader,
    writer: Writer,
    stamps: Option<Stamps>,
    received: Received,
}

impl Consumer {
    fn take_frames(&mut self) -> Result<(), ConnectionError> {
        let now = Instant::now();
        let Consumer {
            reader,
            writer,
            stamps,
            received,
        } = self;
        let before = received.messages;
        drain(reader.received(), |seen| match seen {
            Seen::Message { id, body } => {
                finish(writer, id);
                received.count(body, stamps.as_ref(), now);
            }
            Seen::Heartbeat => writer.write(&Command::Nop),
            Seen::Ok => {}
        })?;
        if received.messages > before {
            let first = received.span.map_or(now, |(first, _)| first);
            received.span = Some((first, now));
        }
        Ok(())
    }
}

impl Received {
    fn count(&mut self, body: &[u8], stamps: Option<&Stamps>, now: Instant) {
        if let Some(stamps) = stamps {
            let Some(age) = stamps.age(body, now) else {
                return;
            };
            self.latency.record(age);
        }
        self.messages += 1;
        self.bytes += body.len() as u64;
    }
}

fn finish(writer: &mut Writer, id: &[u8]) {
    let mut command = *b"FIN ................\n";
    command[4..20].copy_from_slice(id);
    writer.write_encoded(&command);
}
