//! A message, and the right to answer it.
//!
//! An answer is an order in the queue of the message's connection: it never waits, cannot fail for
//! lack of room, and is sent with all others of the moment in one write.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::time::Instant;

use super::answer::{OnDrop, Requeue, Settle};
use super::error::AnswerError;
use super::events::Event;
use super::ready::LinkId;
use super::session::{Deadline, Order, Session};
use crate::connection::Address;
use crate::wire::{self, ChannelName, MessageId, TopicName};

/// A message that this consumer holds until it is answered or its deadline passes.
///
/// It may go to any task or thread, and may outlive the consumer. Dropped without an answer it is
/// requeued, see [`OnDrop`].
#[derive(Debug)]
#[must_use = "a message that is dropped without an answer is requeued"]
pub struct Message {
    body: Bytes,
    acker: Acker,
}

/// The right to answer a message, apart from its body.
#[must_use = "a message that is dropped without an answer is requeued"]
pub struct Acker {
    id: MessageId,
    attempts: u16,
    answered: AtomicBool,
    timestamp_ns: i64,
    deadline: Deadline,
    /// Set once the message is kept alive, and moved by each touch from then on.
    kept: OnceLock<Arc<Deadline>>,
    origin: Arc<Origin>,
}

/// What the messages of one read have in common. Counted for each read rather than on the session: two threads that
/// count on one place, one for each message that comes and one for each that goes, hold each other up.
pub(super) struct Origin {
    session: Arc<Session>,
    received_at: Instant,
    deadline: Deadline,
}

impl Origin {
    /// For what is read `now`.
    pub(super) fn new(session: &Arc<Session>, now: Instant) -> Arc<Origin> {
        Arc::new(Origin {
            session: session.clone(),
            received_at: now,
            deadline: session.deadline(now),
        })
    }
}

impl Message {
    pub(super) fn new(message: wire::Message, origin: &Arc<Origin>) -> Message {
        Message {
            body: message.body,
            acker: Acker {
                id: message.id,
                attempts: message.attempts,
                answered: AtomicBool::new(false),
                timestamp_ns: message.timestamp_ns,
                deadline: origin.deadline.copy(),
                kept: OnceLock::new(),
                origin: origin.clone(),
            },
        }
    }

    /// What the producer sent: a slice of the receive buffer. Who keeps it for long copies it, or
    /// keeps up to 256 KiB with it.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What FIN, REQ and TOUCH name.
    pub fn id(&self) -> MessageId {
        self.acker.id
    }

    /// How often this channel handed the message out, this time included. It stops at 65535.
    pub fn attempts(&self) -> u16 {
        self.acker.attempts
    }

    /// When nsqd accepted the publish, by its clock.
    pub fn timestamp(&self) -> SystemTime {
        let distance = Duration::from_nanos(self.acker.timestamp_ns.unsigned_abs());
        if self.acker.timestamp_ns < 0 {
            SystemTime::UNIX_EPOCH - distance
        } else {
            SystemTime::UNIX_EPOCH + distance
        }
    }

    /// As [`Message::timestamp`], in nanoseconds since the Unix epoch as it came.
    pub fn timestamp_ns(&self) -> i64 {
        self.acker.timestamp_ns
    }

    /// Which nsqd it came from.
    pub fn node(&self) -> &Address {
        &self.acker.origin.session.address
    }

    /// The topic it was published to.
    pub fn topic(&self) -> &TopicName {
        &self.acker.origin.session.shared.topic
    }

    /// The channel that handed it out.
    pub fn channel(&self) -> &ChannelName {
        &self.acker.origin.session.shared.channel
    }

    /// As [`Acker::deadline`].
    pub fn deadline(&self) -> Instant {
        self.acker.deadline()
    }

    /// As [`Acker::hard_deadline`].
    pub fn hard_deadline(&self) -> Instant {
        self.acker.hard_deadline()
    }

    /// As [`Acker::finish`].
    ///
    /// # Errors
    /// As [`Acker::finish`].
    pub fn finish(self) -> Result<(), AnswerError> {
        self.acker.finish()
    }

    /// As [`Acker::requeue`].
    ///
    /// # Errors
    /// As [`Acker::finish`].
    pub fn requeue(self, how: Requeue) -> Result<(), AnswerError> {
        self.acker.requeue(how)
    }

    /// As [`Acker::settle`].
    ///
    /// # Errors
    /// As [`Acker::finish`].
    pub fn settle(self, settle: Settle) -> Result<(), AnswerError> {
        self.acker.settle(settle)
    }

    /// As [`Acker::touch`].
    ///
    /// # Errors
    /// As [`Acker::finish`].
    pub fn touch(&self) -> Result<Instant, AnswerError> {
        self.acker.touch()
    }

    /// As [`Acker::keep_alive`].
    pub fn keep_alive(&self) -> KeepAlive {
        self.acker.keep_alive()
    }

    /// As [`Acker::abandon`].
    pub fn abandon(self) {
        self.acker.abandon();
    }

    /// The body and the right to answer, to go separate ways.
    pub fn split(self) -> (Bytes, Acker) {
        (self.body, self.acker)
    }

    /// The right to answer.
    pub(super) fn acker(&self) -> &Acker {
        &self.acker
    }

    pub(super) fn link(&self) -> LinkId {
        self.acker.origin.session.id
    }
}

impl Acker {
    /// The message is done: nsqd forgets it.
    ///
    /// `Ok` means that FIN will be sent, not that it was accepted: should nsqd have timed out the
    /// message meanwhile, [`Event::AnswerRejected`] tells.
    ///
    /// # Errors
    /// The deadline has passed, or the connection is gone; nothing is sent, and nsqd hands the
    /// message out again.
    pub fn finish(self) -> Result<(), AnswerError> {
        self.answer(Settle::Finish)
    }

    /// The message goes back to nsqd, to be handed out again.
    ///
    /// # Errors
    /// As [`Acker::finish`].
    pub fn requeue(self, how: Requeue) -> Result<(), AnswerError> {
        self.answer(Settle::Requeue(how))
    }

    /// Answers whatever was decided.
    ///
    /// # Errors
    /// As [`Acker::finish`].
    pub fn settle(self, settle: Settle) -> Result<(), AnswerError> {
        self.answer(settle)
    }

    /// Asks nsqd for as much time as the message had at first, and returns the new deadline.
    ///
    /// # Errors
    /// As [`Acker::finish`].
    pub fn touch(&self) -> Result<Instant, AnswerError> {
        self.check()?;
        self.order(Order::Touch(self.id))?;
        let until = Instant::now() + self.origin.session.msg_timeout;
        let until = until.min(self.hard_deadline());
        self.moving_deadline().set(&self.origin.session, until);
        Ok(until)
    }

    /// Touches the message as often as needed, until it is answered, the value returned is
    /// dropped, or [`Acker::hard_deadline`] has come. The connection's task does it, so it needs
    /// nothing from the task that holds the message.
    pub fn keep_alive(&self) -> KeepAlive {
        let deadline = self.kept.get_or_init(|| Arc::new(self.deadline.copy()));
        let order = Order::KeepAlive {
            id: self.id,
            until: self.hard_deadline(),
            deadline: deadline.clone(),
        };
        // Without a connection there is nothing to keep; an answer will tell.
        let _ = self.origin.session.order(order);
        KeepAlive {
            id: self.id,
            session: self.origin.session.clone(),
        }
    }

    /// Gives up the message without an answer: nsqd hands it out again when it times out.
    pub fn abandon(self) {
        // Nothing is sent, so nothing can fail.
        let _ = self.answer(Settle::LetTimeOut);
    }

    /// When nsqd hands the message out again, as far as this side knows: the message timeout after
    /// it came or was last touched, less 5 % (at most 1 s) for the way.
    pub fn deadline(&self) -> Instant {
        self.moving_deadline().at(&self.origin.session)
    }

    /// When nsqd does so however often the message is touched (its `-max-msg-timeout`).
    pub fn hard_deadline(&self) -> Instant {
        self.origin.received_at + self.origin.session.max_msg_timeout
    }

    /// Answers once; whoever comes second gets an error.
    pub(super) fn answer(&self, settle: Settle) -> Result<(), AnswerError> {
        if self.answered.swap(true, Ordering::Relaxed) {
            return Err(AnswerError::Answered);
        }
        if settle != Settle::LetTimeOut && self.deadline() <= Instant::now() {
            self.origin.session.shared.counters.expired.add(1);
            self.forget();
            return Err(AnswerError::Expired);
        }
        self.order(match settle {
            Settle::Finish => Order::Finish(self.id),
            Settle::Requeue(how) => Order::Requeue {
                id: self.id,
                delay: how.delay(self.attempts, &self.origin.session.shared.requeue_delay),
                outcome: how.outcome(),
            },
            Settle::LetTimeOut => Order::Forget(self.id),
        })
    }

    /// The message never reached the application, and nsqd has it again by now.
    pub(super) fn forget(&self) {
        self.mark_answered();
        // Without a connection it is out of hands as well.
        let _ = self.order(Order::Forget(self.id));
    }

    /// The message goes back at once: the application never had it, or the consumer drains.
    pub(super) fn give_back(&self) {
        // Without a connection nsqd has it already.
        let _ = self.answer(Settle::Requeue(Requeue::NOW.no_backoff()));
    }

    /// Nobody can answer any more.
    pub(super) fn mark_answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), AnswerError> {
        if self.answered.load(Ordering::Relaxed) {
            return Err(AnswerError::Answered);
        }
        if self.deadline() <= Instant::now() {
            return Err(AnswerError::Expired);
        }
        Ok(())
    }

    fn order(&self, order: Order) -> Result<(), AnswerError> {
        self.origin.session.order(order).map_err(|order| {
            if !matches!(order, Order::Touch(_)) {
                self.origin
                    .session
                    .shared
                    .released(self.origin.session.id, 1);
            }
            AnswerError::ConnectionLost
        })
    }

    fn moving_deadline(&self) -> &Deadline {
        self.kept.get().map_or(&self.deadline, |kept| kept)
    }
}

impl Drop for Acker {
    fn drop(&mut self) {
        if self.answered.load(Ordering::Relaxed) {
            return;
        }
        let shared = &self.origin.session.shared;
        shared.counters.dropped.add(1);
        shared.tell(Event::Dropped { id: self.id });
        let settle = match shared.on_drop {
            _ if shared.is_draining() => Settle::Requeue(Requeue::NOW.no_backoff()),
            OnDrop::Requeue(how) => Settle::Requeue(how),
            OnDrop::LetTimeOut => Settle::LetTimeOut,
        };
        // Either it goes back now, or nsqd has it already.
        let _ = self.answer(settle);
    }
}

impl fmt::Debug for Acker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acker")
            .field("id", &self.id)
            .field("attempts", &self.attempts)
            .field("node", &self.origin.session.address)
            .finish_non_exhaustive()
    }
}

/// Keeps a message from timing out for as long as it lives. See [`Acker::keep_alive`].
#[derive(Debug)]
#[must_use = "the message is kept alive only until this value is dropped"]
pub struct KeepAlive {
    id: MessageId,
    session: Arc<Session>,
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        // Without a connection there is nothing to let go.
        let _ = self.session.order(Order::LetGo(self.id));
    }
}
