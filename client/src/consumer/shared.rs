//! What all parts of a consumer share.
//!
//! Locks are short. The flow's may be held while none other is, except that an answer queue is
//! never taken within it: who holds it only rings wakers.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;

use super::answer::{OnDrop, RequeueDelay};
use super::backoff::Transition;
use super::buffer::Buffer;
use super::error::ConsumerError;
use super::events::{Event, Events};
use super::exhausted::Exhausted;
use super::flow::Flow;
use super::lock;
use super::message::Message;
use super::ready::LinkId;
use super::session::Session;
use super::stats::{ConsumerReport, ConsumerStats, Counters, NodeStatus};
use crate::connection::ConnectOptions;
use crate::reconnect::Reconnect;
use crate::wire::{ChannelName, TopicName};

/// One consumer: its settings, its state, its figures.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) topic: TopicName,
    pub(super) channel: ChannelName,
    pub(super) connect: ConnectOptions,
    pub(super) reconnect: Reconnect,
    pub(super) requeue_delay: RequeueDelay,
    pub(super) attempts_max: Option<NonZeroU16>,
    pub(super) exhausted: Exhausted,
    pub(super) on_drop: OnDrop,
    pub(super) buffer: Buffer,
    pub(super) counters: Counters,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) steering: Mutex<Steering>,
    /// When the flow wants to be woken has changed.
    pub(super) flow_timer: Notify,
    /// No messages are wanted any more; those that are held must be answered until then.
    pub(super) stop: watch::Sender<Option<Instant>>,
    pub(super) end: watch::Sender<Option<End>>,
}

/// How a consumer ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) report: ConsumerReport,
    /// None after a drain that was asked for.
    pub(super) reason: Option<ConsumerError>,
}

/// The flow and the connections that it steers.
#[derive(Debug)]
pub(super) struct Steering {
    pub(super) flow: Flow,
    pub(super) sessions: HashMap<LinkId, Arc<Session>>,
}

impl Shared {
    /// Changes the flow, and wakes whom it concerns.
    pub(super) fn steer<T>(&self, change: impl FnOnce(&mut Flow) -> T) -> T {
        self.steer_holding(&mut self.lock_steering(), change)
    }

    pub(super) fn lock_steering(&self) -> MutexGuard<'_, Steering> {
        lock(&self.steering)
    }

    /// As [`Shared::steer`], for who holds the lock already.
    pub(super) fn steer_holding<T>(
        &self,
        steering: &mut Steering,
        change: impl FnOnce(&mut Flow) -> T,
    ) -> T {
        let before = steering.flow.next_wake();
        let value = change(&mut steering.flow);
        for id in steering.flow.ready().take_changed() {
            if let Some(session) = steering.sessions.get(&id) {
                session.wake.notify_one();
            }
        }
        if steering.flow.next_wake() != before {
            self.flow_timer.notify_one();
        }
        value
    }

    /// Messages are out of the application's hands without an answer.
    pub(super) fn released(&self, link: LinkId, count: u32) {
        self.steer(|flow| flow.released(link, count, Instant::now()));
    }

    /// A connection is subscribed; its nsqd allows a ready count of `ceiling`.
    pub(super) fn connected(&self, session: Arc<Session>, ceiling: u32) {
        let (id, address) = (session.id, session.address.clone());
        let mut steering = self.lock_steering();
        steering.sessions.insert(id, session);
        self.steer_holding(&mut steering, |flow| {
            flow.connected(id, ceiling, Instant::now());
        });
        drop(steering);
        self.tell(Event::Connected { address });
    }

    /// A connection is gone, with this many messages that nobody holds.
    pub(super) fn disconnected(&self, session: &Session, released: u32, now: Instant) {
        let mut steering = self.lock_steering();
        steering.sessions.remove(&session.id);
        self.steer_holding(&mut steering, |flow| {
            flow.released(session.id, released, now);
            flow.disconnected(session.id, session.msg_timeout, now);
        });
    }

    /// Messages timed out before the application took them.
    pub(super) fn discard_expired(&self, messages: &[Message]) {
        for message in messages {
            message.acker().forget();
            self.counters.expired.add(1);
            let address = message.node().clone();
            self.tell(Event::Expired { address, count: 1 });
        }
    }

    /// A message was handed out too often.
    pub(super) fn give_up(&self, message: Message) {
        let (id, attempts) = (message.id(), message.attempts());
        tracing::warn!(topic = %self.topic, message_id = %id, attempts, "too many attempts");
        self.counters.exhausted.add(1);
        self.tell(Event::AttemptsExhausted { id, attempts });
        self.exhausted.apply(message);
    }

    pub(super) fn tell(&self, event: Event) {
        // Nobody listening is fine.
        let _ = self.events.send(event);
    }

    pub(super) fn tell_transition(&self, transition: Transition) {
        let (topic, channel) = (&self.topic, &self.channel);
        self.tell(match transition {
            Transition::Slept { level, until } => {
                let sleep = until.saturating_duration_since(Instant::now());
                tracing::info!(%topic, %channel, level, ?sleep, "messages fail, backing off");
                Event::BackingOff { level, until }
            }
            Transition::Probed { level } => {
                tracing::info!(%topic, %channel, level, "backoff tries one message");
                Event::BackoffProbe { level }
            }
            Transition::Ended => {
                tracing::info!(%topic, %channel, "backoff ended");
                Event::BackoffEnded
            }
        });
    }

    /// Asks for the end: no further messages, and what is held is to be answered within
    /// `patience`. An earlier deadline stays.
    pub(super) fn stop(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        self.stop.send_if_modified(|stop| {
            let sooner = stop.is_none_or(|earlier| deadline < earlier);
            if sooner {
                *stop = Some(deadline);
            }
            sooner
        });
    }

    pub(super) fn is_draining(&self) -> bool {
        self.stop.borrow().is_some()
    }

    pub(super) fn events(&self) -> Events {
        Events {
            receiver: self.events.subscribe(),
        }
    }

    pub(super) fn stats(&self) -> ConsumerStats {
        let nodes = self.nodes();
        let counters = &self.counters;
        ConsumerStats {
            received: counters.received.value(),
            finished: counters.finished.value(),
            requeued: counters.requeued.value(),
            touched: counters.touched.value(),
            expired: counters.expired.value(),
            discarded: counters.discarded.value(),
            dropped: counters.dropped.value(),
            exhausted: counters.exhausted.value(),
            panicked: counters.panicked.value(),
            rejected: counters.rejected.value(),
            connections: nodes.len() as u64,
            in_flight: nodes.iter().map(|node| u64::from(node.in_flight)).sum(),
            buffered: self.buffer.len() as u64,
            ready: nodes.iter().map(|node| u64::from(node.ready)).sum(),
            backoff_level: self.lock_steering().flow.backoff_level(),
        }
    }

    pub(super) fn nodes(&self) -> Vec<NodeStatus> {
        let mut steering = self.lock_steering();
        let Steering { flow, sessions } = &mut *steering;
        let sessions = sessions.values();
        sessions
            .map(|session| NodeStatus {
                address: session.address.clone(),
                ready: flow.ready().count(session.id),
                in_flight: flow.ready().in_flight(session.id),
            })
            .collect()
    }
}
