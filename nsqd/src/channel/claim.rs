//! Handing messages to consumers: what came back first, then runs of new ones from the log.

use std::sync::Arc;

use client::wire::ATTEMPTS_AT;
use tokio::time::Instant;

use super::turns::{Rivals, Turns};
use super::{Channel, ConsumerId, Entry, Inner, Run};
use crate::log::{Claim, Read, Segment, Stamp, Waiter, frame_id, frame_timestamp};

/// What a claim led to.
#[derive(Debug)]
pub enum Claimed {
    /// There may be more: come again, once others had a chance to run.
    Some,
    /// All that can be delivered now was; the consumer is rung when there is more.
    Waiting,
    /// The consumer has as many messages as it wants.
    NotReady,
    /// The next message is in a segment on disk: [`Channel::load`] it, and the consumer is rung.
    OnDisk(Arc<Segment>),
    /// The channel is being deleted.
    Exiting,
}

impl Channel {
    /// Hands messages to a consumer: appends their frames to `out`, as long as `out` is shorter than `bytes_max` and the
    /// consumer is ready. Of `sample_rate` percent (0: all), chosen by chance; the others are finished unseen.
    pub fn claim(
        &self,
        consumer: ConsumerId,
        sample_rate: u8,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Claimed {
        let mut inner = self.inner.lock();
        if inner.state.exiting {
            return Claimed::Exiting;
        }
        let now = self.shared.clock.now();
        let outcome =
            self.claim_while_ready(&mut inner, consumer, sample_rate, bytes_max, out, now);
        let claimer = inner.state.consumer(consumer);
        if claimer.held.count() > 0 {
            let deadline = now + claimer.msg_timeout;
            self.arm(&mut inner, deadline);
        }
        let left = match outcome {
            Claimed::Some | Claimed::NotReady => self.left_for_others(&mut inner),
            _ => 0,
        };
        drop(inner);
        self.ring_for(left);
        outcome
    }

    /// How many messages this consumer leaves to others that wait: an append rings only once, until somebody has come
    /// to the end of the log. It may have come there itself, with the last message that it can take; the next append then
    /// has to ring the others.
    fn left_for_others(&self, inner: &mut Inner) -> u64 {
        if inner.state.paused || inner.state.turns.nobody_waits() {
            return 0;
        }
        let again = inner.state.again_count();
        if again == 0 && self.listen(inner) {
            return 0;
        }
        self.log.waiting(self.reader) + again
    }

    fn claim_while_ready(
        &self,
        inner: &mut Inner,
        consumer: ConsumerId,
        sample_rate: u8,
        bytes_max: usize,
        out: &mut Vec<u8>,
        now: Instant,
    ) -> Claimed {
        let Some(mut share) = self.fair_share(inner, consumer) else {
            return Claimed::Some;
        };
        loop {
            let credit = inner.state.consumer(consumer).credit();
            if credit == 0 {
                return Claimed::NotReady;
            }
            if inner.state.paused {
                inner.state.wait(consumer);
                return Claimed::Waiting;
            }
            if out.len() >= bytes_max || share == 0 {
                return Claimed::Some;
            }
            if let Some(entry) = inner.state.next_again(|| self.log.cursor(self.reader)) {
                match self.claim_again(inner, consumer, entry, out, now) {
                    Read::OnDisk => return Self::on_disk(inner, consumer, entry),
                    Read::Copied => share -= 1,
                    Read::Absent => {}
                }
                continue;
            }
            let count_max = credit.min(share).min(self.before_requeued(inner));
            let start = out.len();
            let count_max = u32::try_from(count_max).unwrap_or(u32::MAX);
            match self
                .log
                .claim(self.reader, count_max, bytes_max - start, out)
            {
                Claim::Run {
                    segment,
                    first,
                    count,
                } => {
                    inner.state.holds.add(&segment, count);
                    let first = Entry {
                        segment: segment.number(),
                        index: first,
                        attempts: 0,
                    };
                    Self::register(inner, consumer, first, &out[start..], now);
                    self.sample(inner, consumer, sample_rate, start, out);
                    share -= u64::from(count);
                }
                Claim::OnDisk(segment) => {
                    inner.state.wait(consumer);
                    return Claimed::OnDisk(segment);
                }
                // What was left of the new messages is lost to damage, and one that came back stands behind them.
                Claim::Nothing
                    if inner
                        .state
                        .next_again(|| self.log.cursor(self.reader))
                        .is_some() => {}
                Claim::Nothing if self.listen(inner) => {
                    inner.loaded.clear();
                    inner.state.wait(consumer);
                    return Claimed::Waiting;
                }
                Claim::Nothing => {}
            }
        }
    }

    /// How many messages a consumer may take in one go, so that those who wait get theirs; `None` if it is to come again
    /// when nearer ones had their turn.
    fn fair_share(&self, inner: &mut Inner, consumer: ConsumerId) -> Option<u64> {
        let rivals = inner.state.arrive(consumer);
        if rivals == Rivals::Equal(0) {
            return Some(u64::MAX);
        }
        let available = self.log.waiting(self.reader) + inner.state.again_count();
        let claimer = inner.state.consumer_mut(consumer);
        match rivals {
            Rivals::Nearer if available > 0 && claimer.credit() > 0 => {
                Turns::step_back(&mut claimer.turn);
                None
            }
            Rivals::Nearer => Some(u64::MAX),
            Rivals::Equal(others) => Some(available.div_ceil(others + 1).max(1)),
        }
    }

    fn before_requeued(&self, inner: &Inner) -> u64 {
        if inner.state.has_requeued() {
            inner
                .state
                .new_before_requeued(self.log.cursor(self.reader))
        } else {
            u64::MAX
        }
    }

    /// Sees to it that the log rings when there is more; `false` if there is more already.
    fn listen(&self, inner: &mut Inner) -> bool {
        if !inner.listening {
            inner.listening = self
                .log
                .wait(self.reader, || self.this() as Arc<dyn Waiter>);
        }
        inner.listening
    }

    fn claim_again(
        &self,
        inner: &mut Inner,
        consumer: ConsumerId,
        entry: Entry,
        out: &mut Vec<u8>,
        now: Instant,
    ) -> Read {
        let start = out.len();
        let read = match inner.state.holds.segment(entry) {
            Some(segment) => self.log.read(segment, entry.index, out),
            None => Read::Absent,
        };
        match read {
            Read::OnDisk => return read,
            Read::Absent => inner.state.holds.release(entry),
            Read::Copied => {
                let frame = &mut out[start..];
                let (stamp, run) = (frame_stamp(frame), entry.into());
                let attempts = inner.state.claim(consumer, stamp, run, now);
                frame[ATTEMPTS_AT..ATTEMPTS_AT + 2].copy_from_slice(&attempts.to_be_bytes());
            }
        }
        inner.state.take_again();
        read
    }

    fn on_disk(inner: &mut Inner, consumer: ConsumerId, entry: Entry) -> Claimed {
        inner.state.wait(consumer);
        let segment = inner
            .state
            .holds
            .segment(entry)
            .expect("it was read from there just now");
        Claimed::OnDisk(Arc::clone(segment))
    }

    /// Notes that the messages of these frames are in flight; the first one is at `first`, and the others follow.
    fn register(
        inner: &mut Inner,
        consumer: ConsumerId,
        mut first: Entry,
        bytes: &[u8],
        now: Instant,
    ) {
        let mut stamps = frames(bytes).map(frame_stamp).peekable();
        while let Some(stamp) = stamps.next() {
            let mut count = 1;
            let mut follows = |count| stamps.next_if(|&next| is_together(stamp, count, next));
            while follows(count).is_some() {
                count += 1;
            }
            let run = Run { first, count };
            inner.state.claim(consumer, stamp, run, now);
            first.index += count;
        }
    }

    /// Takes out of `out[start..]` what chance does not let through, and finishes it.
    fn sample(
        &self,
        inner: &mut Inner,
        consumer: ConsumerId,
        rate: u8,
        start: usize,
        out: &mut Vec<u8>,
    ) {
        if rate == 0 {
            return;
        }
        let mut kept = Vec::new();
        for frame in frames(&out[start..]) {
            if self.shared.random.next_u64() % 100 < u64::from(rate) {
                kept.extend_from_slice(frame);
            } else {
                inner.state.discard(consumer, frame_id(frame));
            }
        }
        out.truncate(start);
        out.extend_from_slice(&kept);
    }
}

/// The message frames that lie one after the other in `bytes`.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let size = u32::from_be_bytes(*bytes.first_chunk()?);
        let (frame, rest) = bytes.split_at(size as usize + 4);
        bytes = rest;
        Some(frame)
    })
}

/// What nsqd gave the message in a frame.
fn frame_stamp(frame: &[u8]) -> Stamp {
    Stamp {
        timestamp_ns: frame_timestamp(frame),
        first_id: frame_id(frame)
            .to_u64()
            .expect("a log numbers its messages"),
    }
}

/// Whether a message was published right after `count` others that begin with `first`, and together with them.
fn is_together(first: Stamp, count: u32, next: Stamp) -> bool {
    first.timestamp_ns == next.timestamp_ns
        && first.first_id.checked_add(u64::from(count)) == Some(next.first_id)
}
