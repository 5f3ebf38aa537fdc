//! The task of one subscribed connection: frames in, orders out. It never waits for the
//! application, so heartbeats are answered whatever a handler does.
//!
//! ```text
//! nsqd ─▶ Reader ─▶ all messages of a read ─▶ Buffer ─▶ application
//! nsqd ◀─ Writer ◀─ all orders of the moment ◀─ Session ◀─ answers
//! ```

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

use super::backoff::{Outcome, Transition};
use super::events::Event;
use super::flow::Flow;
use super::message::{Message, Origin};
use super::session::{Deadline, LINGER, Order, Session};
use crate::connection::{ConnectionError, Reader, Writer};
use crate::wire::{CLOSE_WAIT, Command, ErrorReply, Frame, HEARTBEAT, MessageId};

/// One connection and what it has to do.
pub(super) struct Link {
    session: Arc<Session>,
    reader: Reader,
    writer: Writer,
    /// When to be gone; none while messages are wanted.
    stop: watch::Receiver<Option<Instant>>,
    /// The ready count that nsqd knows.
    ready: u32,
    received_at: Instant,
    /// Longest silence of an nsqd that is alive.
    silence_max: Duration,
    kept_alive: HashMap<MessageId, KeptAlive>,
    /// CLS was sent, and maybe answered.
    closing: bool,
    closed: bool,
    /// Orders wait for others.
    lingering: bool,
    batch: Vec<Message>,
    orders: Vec<Order>,
}

struct KeptAlive {
    touch_at: Instant,
    until: Instant,
    deadline: Arc<Deadline>,
}

impl Link {
    /// A link over a subscribed connection whose nsqd sends heartbeats at least this often.
    pub(super) fn new(
        session: Arc<Session>,
        (reader, writer): (Reader, Writer),
        stop: watch::Receiver<Option<Instant>>,
        heartbeat: Duration,
    ) -> Link {
        Link {
            session,
            reader,
            writer,
            stop,
            ready: 0,
            received_at: Instant::now(),
            silence_max: 2 * heartbeat + SILENCE_MARGIN,
            kept_alive: HashMap::new(),
            closing: false,
            closed: false,
            lingering: false,
            batch: Vec::new(),
            orders: Vec::new(),
        }
    }

    /// Serves the connection until it breaks, or until it was stopped and all is answered.
    pub(super) async fn run(&mut self) -> Result<(), ConnectionError> {
        let session = self.session.clone();
        let timer = sleep_until(self.next_timer());
        let linger = sleep_until(self.received_at);
        tokio::pin!(timer, linger);
        // Frames that came with the answer to SUB.
        self.take_frames()?;
        loop {
            self.obey_stop();
            self.send_ready();
            if self.is_done() {
                return self.writer.flush().await;
            }
            tokio::select! {
                received = self.reader.receive() => {
                    received?;
                    self.take_frames()?;
                }
                () = session.wake.notified() => self.carry_out_or_linger(linger.as_mut()),
                () = &mut linger, if self.lingering => self.carry_out(linger.as_mut()),
                flushed = self.writer.flush(), if self.writer.unsent_bytes() > 0 => flushed?,
                () = &mut timer => self.keep_time()?,
                changed = self.stop.changed() => {
                    // Whoever could stop this link is gone: so is the consumer.
                    changed.map_err(|_| ConnectionError::Closed)?;
                }
            }
            self.set_timer(timer.as_mut());
        }
    }

    /// Ends the session: what waits for the application is nobody's any more.
    pub(super) fn end(&mut self) {
        let (session, shared) = (&self.session, &self.session.shared);
        session.close();
        session.take_orders(&mut self.orders);
        let answers = self.orders.drain(..).filter(Order::is_last);
        let mut released = answers.count();
        let discarded = shared.buffer.take_of(session.id);
        released += discarded.len();
        let now = Instant::now();
        shared.disconnected(session, count_u32(released), now);
        if !discarded.is_empty() {
            let count = discarded.len() as u64;
            for message in &discarded {
                message.acker().mark_answered();
            }
            shared.counters.discarded.add(count);
            let address = session.address.clone();
            shared.tell(Event::Discarded { address, count });
        }
    }

    /// How many messages the application holds, or would get.
    pub(super) fn in_flight(&self) -> u32 {
        let mut steering = self.session.shared.lock_steering();
        steering.flow.ready().in_flight(self.session.id)
    }

    fn is_done(&self) -> bool {
        let Some(deadline) = *self.stop.borrow() else {
            return false;
        };
        deadline <= Instant::now() || self.closed && self.in_flight() == 0
    }

    fn obey_stop(&mut self) {
        if self.closing || self.stop.borrow().is_none() {
            return;
        }
        self.closing = true;
        self.writer.write(&Command::Close);
        // Of a consumer that goes on without this nsqd.
        for message in self.session.shared.buffer.take_of(self.session.id) {
            message.acker().give_back();
        }
    }

    /// Tells nsqd the ready count, if it is another one than it knows.
    fn send_ready(&mut self) {
        if self.closing {
            return;
        }
        let mut steering = self.session.shared.lock_steering();
        let ready = steering.flow.ready().count(self.session.id);
        drop(steering);
        self.write_ready(ready);
    }

    fn write_ready(&mut self, ready: u32) {
        if ready != self.ready && !self.closing {
            self.ready = ready;
            let count = ready.into();
            self.writer.write(&Command::Ready { count });
        }
    }

    fn take_frames(&mut self) -> Result<(), ConnectionError> {
        let now = Instant::now();
        self.received_at = now;
        let mut origin = None;
        while let Some(frame) = self.reader.received_frame()? {
            match frame {
                Frame::Message(message) => {
                    let origin = origin.get_or_insert_with(|| Origin::new(&self.session, now));
                    self.batch.push(Message::new(message, origin));
                }
                Frame::Response(data) if *data == *HEARTBEAT => self.writer.write(&Command::Nop),
                Frame::Response(data) if *data == *CLOSE_WAIT => self.closed = true,
                Frame::Error(error) if error.is_fatal() => {
                    return Err(ConnectionError::Refused(error.to_string()));
                }
                Frame::Error(error) => self.tell_rejected(&error),
                Frame::UnknownError(text) => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    return Err(ConnectionError::Refused(text));
                }
                Frame::Unknown { .. } => {
                    return Err(ConnectionError::Unexpected("a frame of an unknown type"));
                }
                Frame::Response(_) => {}
            }
        }
        self.hand_over(now);
        Ok(())
    }

    fn hand_over(&mut self, now: Instant) {
        if self.batch.is_empty() {
            return;
        }
        let (id, shared) = (self.session.id, &self.session.shared);
        shared.counters.received.add(self.batch.len() as u64);
        let count = count_u32(self.batch.len());
        shared.steer(|flow| flow.received(id, count, now));
        let expired = if self.closing {
            Vec::new()
        } else {
            shared.buffer.append(&mut self.batch, now)
        };
        shared.discard_expired(&expired);
        // Too late for the application: the consumer drains.
        for message in self.batch.drain(..) {
            message.acker().give_back();
        }
    }

    /// Sends answers in company, see [`Session::are_orders_due`].
    fn carry_out_or_linger(&mut self, linger: Pin<&mut Sleep>) {
        if self.session.are_orders_due() || self.closing {
            self.carry_out(linger);
        } else if !self.lingering {
            self.lingering = true;
            linger.reset(Instant::now() + LINGER);
        }
    }

    fn carry_out(&mut self, linger: Pin<&mut Sleep>) {
        self.obey_stop();
        // A count that was lowered before holds for the room that the answers make.
        self.send_ready();
        let mut orders = std::mem::take(&mut self.orders);
        let session = self.session.clone();
        self.lingering = session.take_orders(&mut orders);
        if !orders.is_empty() {
            let now = Instant::now();
            if self.lingering {
                linger.reset(now + LINGER);
            }
            let mut done = Done::default();
            // All at once: what follows from so many answers is looked at once.
            session.shared.steer(|flow| {
                for order in orders.drain(..) {
                    self.carry_out_one(order, flow, now, &mut done);
                }
            });
            let counters = &session.shared.counters;
            counters.finished.add(done.finished);
            counters.requeued.add(done.requeued);
            counters.touched.add(done.touched);
            for transition in done.transitions {
                session.shared.tell_transition(transition);
            }
        }
        self.orders = orders;
    }

    fn carry_out_one(&mut self, order: Order, flow: &mut Flow, now: Instant, done: &mut Done) {
        match order {
            Order::Finish(id) => {
                self.answered(id, Outcome::Success, flow, now, done);
                self.writer.write(&Command::Finish { id });
                done.finished += 1;
            }
            Order::Requeue { id, delay, outcome } => {
                self.answered(id, outcome, flow, now, done);
                self.writer.write(&Command::Requeue { id, delay });
                done.requeued += 1;
            }
            Order::Touch(id) => {
                self.writer.write(&Command::Touch { id });
                done.touched += 1;
            }
            Order::KeepAlive {
                id,
                until,
                deadline,
            } => {
                let half = self.session.msg_timeout / 2;
                let touch_at = deadline.at(&self.session).checked_sub(half).unwrap_or(now);
                let kept = KeptAlive {
                    touch_at,
                    until,
                    deadline,
                };
                self.kept_alive.insert(id, kept);
            }
            Order::LetGo(id) => {
                self.kept_alive.remove(&id);
            }
            Order::Forget(id) => {
                self.kept_alive.remove(&id);
                flow.released(self.session.id, 1, now);
            }
        }
    }

    /// The ready count that follows from an answer goes before it, so that nsqd sends nothing in
    /// between.
    fn answered(
        &mut self,
        id: MessageId,
        outcome: Outcome,
        flow: &mut Flow,
        now: Instant,
        done: &mut Done,
    ) {
        if !self.kept_alive.is_empty() {
            self.kept_alive.remove(&id);
        }
        let transition = flow.answered(self.session.id, outcome, now);
        if transition.is_some() {
            done.transitions.extend(transition);
            let ready = flow.ready().count(self.session.id);
            self.write_ready(ready);
        }
    }

    fn tell_rejected(&self, error: &ErrorReply) {
        let shared = &self.session.shared;
        shared.counters.rejected.add(1);
        // "FIN 0123456789abcdef failed …"
        let id = error.description.split(' ').nth(1);
        let id = id.and_then(|id| id.as_bytes().try_into().ok());
        shared.tell(Event::AnswerRejected {
            address: self.session.address.clone(),
            code: error.code,
            id: id.map(MessageId::from_bytes),
        });
    }

    fn keep_time(&mut self) -> Result<(), ConnectionError> {
        let now = Instant::now();
        if self.received_at + self.silence_max <= now {
            return Err(ConnectionError::TimedOut(self.silence_max));
        }
        self.kept_alive.retain(|_, kept| kept.until > now);
        for (id, kept) in &mut self.kept_alive {
            if kept.touch_at <= now {
                self.writer.write(&Command::Touch { id: *id });
                self.session.shared.counters.touched.add(1);
                let deadline = now + self.session.msg_timeout;
                kept.deadline.set(&self.session, deadline.min(kept.until));
                kept.touch_at = now + self.session.msg_timeout / 2;
            }
        }
        Ok(())
    }

    fn next_timer(&self) -> Instant {
        let touches = self.kept_alive.values().map(|kept| kept.touch_at);
        let silence = self.received_at + self.silence_max;
        let next = touches.min().map_or(silence, |touch| touch.min(silence));
        let stop = *self.stop.borrow();
        stop.map_or(next, |deadline| deadline.min(next))
    }

    /// A timer that fires too early does no harm, and moving it costs; so it moves only when it
    /// has fired or would be late.
    fn set_timer(&self, timer: Pin<&mut Sleep>) {
        if timer.is_elapsed() || !self.kept_alive.is_empty() || self.closing {
            timer.reset(self.next_timer());
        }
    }
}

/// What an nsqd's own delay may add to its heartbeats.
const SILENCE_MARGIN: Duration = Duration::from_secs(1);

/// Counted for all orders of a moment at once.
#[derive(Default)]
struct Done {
    finished: u64,
    requeued: u64,
    touched: u64,
    /// Told once the lock is gone.
    transitions: Vec<Transition>,
}

pub(super) fn count_u32(count: usize) -> u32 {
    u32::try_from(count).expect("a read brings fewer than 2^32 messages")
}
