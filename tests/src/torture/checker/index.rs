//! A history by message, channel and connection.

use std::collections::{HashMap, VecDeque};

use crate::torture::event::{Batch, Event, Key, Outcome, Stop, What};

/// A message as its producer saw it, and its deliveries by channel.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) key: Key,
    pub(super) topic: u16,
    pub(super) published_at: u64,
    pub(super) delay_ms: u64,
    pub(super) outcome: Outcome,
    pub(super) answered_at: u64,
    pub(super) batch: Batch,
    pub(super) deliveries: HashMap<u16, Vec<Delivery>>,
}

impl Message {
    pub(super) fn deliveries(&self, channel: u16) -> &[Delivery] {
        self.deliveries.get(&channel).map_or(&[], Vec::as_slice)
    }

    /// Whether a FIN of this channel's consumers was sent and not answered with an error.
    pub(super) fn is_finished(&self, channel: u16) -> bool {
        let mut deliveries = self.deliveries(channel).iter();
        deliveries.any(|delivery| matches!(delivery.then, Then::Finished { .. }))
    }
}

/// One time that a channel handed out a message.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) at: u64,
    pub(super) connection: u32,
    pub(super) id: u64,
    pub(super) attempts: u16,
    pub(super) then: Then,
}

impl Delivery {
    fn new(at: u64, connection: u32, id: u64, attempts: u16) -> Self {
        Self {
            at,
            connection,
            id,
            attempts,
            then: Then::Nothing,
        }
    }
}

/// What the consumer did with it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    /// Confirmed once a later command of the same connection was answered.
    Finished {
        at: u64,
        confirmed: bool,
    },
    /// Likewise.
    Requeued {
        at: u64,
        delay_ms: u64,
        confirmed: bool,
    },
}

impl Then {
    fn finished(at: u64) -> Self {
        Self::Finished {
            at,
            confirmed: false,
        }
    }

    fn requeued(at: u64, delay_ms: u64) -> Self {
        Self::Requeued {
            at,
            delay_ms,
            confirmed: false,
        }
    }
}

/// A consumer's connection.
#[derive(Debug, Default)]
pub(super) struct Connection {
    pub(super) topic: u16,
    pub(super) channel: u16,
    pub(super) ready: u32,
    pub(super) began_at: u64,
    pub(super) ended_at: Option<u64>,
    pub(super) frozen_at: Option<u64>,
    /// What FINs and REQs were for, in the order sent, and how many of these preceded each barrier that is not passed yet.
    settled: Vec<Key>,
    confirmed: usize,
    barriers: VecDeque<usize>,
}

impl Connection {
    /// Whether what comes at this time may have been sent long before.
    pub(super) fn is_stale(&self, at: u64) -> bool {
        self.frozen_at.is_some_and(|frozen_at| frozen_at <= at)
    }
}

/// A history in order.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// By producer, then by number.
    pub(super) producers: Vec<Vec<Message>>,
    pub(super) connections: HashMap<u32, Connection>,
    pub(super) stops: Vec<(u64, Stop)>,
    /// From when to when something was wrong with the disk, the clock, or the process.
    pub(super) faults: Vec<(u64, u64)>,
    /// Deliveries of what was not published by then.
    pub(super) phantoms: Vec<(u64, Key)>,
    /// The power is being cut, and nsqd is not back.
    is_cut: bool,
    /// By connection and message id, which message came so.
    came: HashMap<(u32, u64), Key>,
}

impl Index {
    pub(super) fn new(events: &[Event]) -> Self {
        let mut index = Self::default();
        let mut active = Vec::new();
        for event in events {
            if let What::Fault {
                fault,
                active: true,
            } = event.what
            {
                active.push((fault, event.at));
            }
            if let What::Fault {
                fault,
                active: false,
            } = event.what
            {
                let at = active.iter().position(|(other, _)| *other == fault);
                let began = at.map(|at| active.remove(at).1);
                index.faults.extend(began.map(|began| (began, event.at)));
            }
            index.take(event);
        }
        let unended = active.into_iter().map(|(_, began)| (began, u64::MAX));
        index.faults.extend(unended);
        index
    }

    /// All messages.
    pub(super) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.producers.iter().flatten()
    }

    /// A message, if it was published.
    pub(super) fn message(&self, key: Key) -> Option<&Message> {
        let producer = self.producers.get(usize::from(key.producer))?;
        producer.get(usize::try_from(key.seq).ok()?)
    }

    fn message_mut(&mut self, key: Key) -> Option<&mut Message> {
        let producer = self.producers.get_mut(usize::from(key.producer))?;
        producer.get_mut(usize::try_from(key.seq).ok()?)
    }

    /// The last delivery of a message on this connection.
    fn delivery_mut(&mut self, connection: u32, key: Key) -> Option<&mut Delivery> {
        let channel = self.connections.get(&connection)?.channel;
        let deliveries = self.message_mut(key)?.deliveries.get_mut(&channel)?;
        let mut latest_first = deliveries.iter_mut().rev();
        latest_first.find(|delivery| delivery.connection == connection)
    }

    fn take(&mut self, event: &Event) {
        let at = event.at;
        match event.what {
            What::Published {
                topic,
                batch,
                delay_ms,
            } => self.publish(at, topic, batch, delay_ms),
            What::Answered { batch, outcome } => self.answer(at, batch, outcome),
            What::Connected {
                connection,
                topic,
                channel,
                ready,
            } => self.connect(at, connection, (topic, channel), ready),
            What::Delivered {
                connection,
                message,
                id,
                attempts,
            } => self.deliver(message, Delivery::new(at, connection, id, attempts)),
            What::Finished {
                connection,
                message,
            } => self.settle(connection, message, Then::finished(at)),
            What::Requeued {
                connection,
                message,
                delay_ms,
            } => self.settle(connection, message, Then::requeued(at, delay_ms)),
            What::Failed { connection, id } => self.fail(connection, id),
            What::Barrier { connection } => {
                self.on(connection, |it| it.barriers.push_back(it.settled.len()));
            }
            What::Passed { connection } => self.pass(connection),
            What::Disconnected { connection } => self.on(connection, |it| it.ended_at = Some(at)),
            What::Frozen { connection } => self.on(connection, |it| it.frozen_at = Some(at)),
            What::Cutting => self.is_cut = true,
            What::Up => self.is_cut = false,
            What::Down { stop } => self.stops.push((at, stop)),
            _ => {}
        }
    }

    fn answer(&mut self, at: u64, batch: Batch, outcome: Outcome) {
        let outcome = if self.is_cut && outcome == Outcome::Accepted {
            Outcome::Unknown
        } else {
            outcome
        };
        for key in batch.keys() {
            if let Some(message) = self.message_mut(key) {
                (message.outcome, message.answered_at) = (outcome, at);
            }
        }
    }

    fn connect(&mut self, at: u64, connection: u32, (topic, channel): (u16, u16), ready: u32) {
        let opened = Connection {
            topic,
            channel,
            ready,
            began_at: at,
            ..Connection::default()
        };
        self.connections.insert(connection, opened);
    }

    fn publish(&mut self, published_at: u64, topic: u16, batch: Batch, delay_ms: u64) {
        let producers = usize::from(batch.producer) + 1;
        if self.producers.len() < producers {
            self.producers.resize_with(producers, Vec::new);
        }
        self.producers[producers - 1].extend(batch.keys().map(|key| Message {
            key,
            topic,
            published_at,
            delay_ms,
            outcome: Outcome::Unknown,
            answered_at: u64::MAX,
            batch,
            deliveries: HashMap::new(),
        }));
    }

    fn deliver(&mut self, key: Key, delivery: Delivery) {
        let place = self.connections.get(&delivery.connection);
        let place = place.map(|connection| (connection.topic, connection.channel));
        self.came.insert((delivery.connection, delivery.id), key);
        let (at, message) = (delivery.at, self.message_mut(key));
        match (message, place) {
            (Some(message), Some((topic, channel))) if message.topic == topic => {
                message
                    .deliveries
                    .entry(channel)
                    .or_default()
                    .push(delivery);
            }
            _ => self.phantoms.push((at, key)),
        }
    }

    fn on(&mut self, connection: u32, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            change(connection);
        }
    }

    fn settle(&mut self, connection: u32, message: Key, then: Then) {
        if let Some(delivery) = self.delivery_mut(connection, message) {
            delivery.then = then;
        }
        self.on(connection, |it| it.settled.push(message));
    }

    /// Takes back what the consumer thought it had done with a message.
    fn fail(&mut self, connection: u32, id: u64) {
        let key = self.came.get(&(connection, id)).copied();
        if let Some(delivery) = key.and_then(|key| self.delivery_mut(connection, key)) {
            delivery.then = Then::Nothing;
        }
    }

    fn pass(&mut self, connection: u32) {
        let mut passed = Vec::new();
        self.on(connection, |it| {
            let confirmed = it.barriers.pop_front().unwrap_or(it.confirmed);
            passed = it.settled[it.confirmed..confirmed].to_vec();
            it.confirmed = confirmed;
        });
        for key in passed {
            if let Some(delivery) = self.delivery_mut(connection, key)
                && let Then::Finished { confirmed, .. } | Then::Requeued { confirmed, .. } =
                    &mut delivery.then
            {
                *confirmed = true;
            }
        }
    }
}
