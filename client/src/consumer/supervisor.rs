//! The task that owns a consumer's parts: the nsqds it consumes from, the nsqlookupds it asks,
//! the clock of its flow. It ends when all of them have.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::error::ConsumerError;
use super::events::Event;
use super::node::{Contact, Node, NodeEnd};
use super::shared::{End, Shared};
use super::stats::ConsumerReport;
use crate::connection::{Address, ConnectionError};

/// What the supervisor is asked for.
#[derive(Debug)]
pub(super) enum Request {
    /// These nsqds have the topic, says an nsqlookupd.
    #[cfg_attr(
        not(feature = "http"),
        expect(dead_code, reason = "nobody to ask without HTTP")
    )]
    Listed {
        /// Which one says so.
        lookupd: usize,
        addresses: Vec<Address>,
    },
    /// Consume from this nsqd, whatever nsqlookupds say.
    Add(Address),
    /// Not any more.
    Remove(Address),
}

/// How many nsqds are connected, of how many that are known.
#[derive(Clone, Debug, Default)]
pub(super) struct Census {
    /// Known, not connected, and not refused; and why, if it was tried.
    pub(super) missing: Vec<(Address, Option<Arc<ConnectionError>>)>,
    pub(super) connected: usize,
    /// The last refusal.
    pub(super) refused: Option<ConsumerError>,
    /// Every nsqlookupd answered at least once, or there is none.
    pub(super) complete: bool,
}

pub(super) struct Supervisor {
    shared: Arc<Shared>,
    requests: mpsc::Receiver<Request>,
    found: mpsc::Sender<Request>,
    census: watch::Sender<Census>,
    nodes: HashMap<Address, Known>,
    tasks: JoinSet<NodeEnd>,
    addresses: HashMap<Id, Address>,
    /// Asks nsqlookupds; aborted when the consumer drains.
    lookups: JoinSet<()>,
    /// What each nsqlookupd said last.
    listed: Vec<Option<HashSet<Address>>>,
    /// Rung when a node connects or loses its connection.
    moved: Arc<Notify>,
    /// Tells those who might know a replacement that a connection was lost.
    lost: watch::Sender<()>,
    stop: watch::Receiver<Option<Instant>>,
    stopping: bool,
    /// The counters when the drain began.
    before: ConsumerReport,
    /// The last refusal.
    refused: Option<ConsumerError>,
    /// Why the consumer ends, unless it was asked to.
    reason: Option<ConsumerError>,
}

/// An nsqd that is, or was, consumed from.
struct Known {
    stop: watch::Sender<Option<Instant>>,
    wanted: watch::Sender<bool>,
    contact: watch::Receiver<Contact>,
    /// It was named by the application.
    direct: bool,
    refused: bool,
}

impl Supervisor {
    pub(super) fn new(
        shared: Arc<Shared>,
        (found, requests): (mpsc::Sender<Request>, mpsc::Receiver<Request>),
        census: watch::Sender<Census>,
    ) -> Supervisor {
        Supervisor {
            stop: shared.stop.subscribe(),
            shared,
            requests,
            found,
            census,
            nodes: HashMap::new(),
            tasks: JoinSet::new(),
            addresses: HashMap::new(),
            lookups: JoinSet::new(),
            listed: Vec::new(),
            moved: Arc::new(Notify::new()),
            lost: watch::Sender::new(()),
            stopping: false,
            before: ConsumerReport::default(),
            refused: None,
            reason: None,
        }
    }

    /// Consumes from this nsqd, whatever nsqlookupds say.
    pub(super) fn consume_from(&mut self, address: Address) {
        self.add(address, true);
    }

    /// Asks this nsqlookupd from now on.
    #[cfg(feature = "http")]
    pub(super) fn ask(&mut self, lookupd: super::discovery::Lookupd) {
        let index = self.listed.len();
        self.listed.push(None);
        let (shared, lost) = (self.shared.clone(), self.lost.subscribe());
        let found = self.found.clone();
        self.lookups.spawn(lookupd.poll(index, shared, lost, found));
    }

    /// Runs until the consumer is over.
    pub(super) async fn run(mut self) {
        let moved = self.moved.clone();
        while !(self.stopping && self.tasks.is_empty()) {
            let wake = self.shared.lock_steering().flow.next_wake();
            tokio::select! {
                Some(request) = self.requests.recv(), if !self.stopping => self.obey(request),
                Some(ended) = self.tasks.join_next_with_id() => self.node_ended(ended),
                () = moved.notified() => {}
                () = self.shared.flow_timer.notified() => {}
                () = sleep_or_never(wake) => self.wake_flow(),
                Ok(()) = self.stop.changed() => self.drain(),
            }
            self.take_census();
        }
        self.finish();
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::Listed { lookupd, addresses } => self.learn(lookupd, addresses),
            Request::Add(address) => self.add(address, true),
            Request::Remove(address) => {
                if let Some(known) = self.nodes.get_mut(&address) {
                    known.direct = false;
                    known.wanted.send_replace(false);
                    known
                        .stop
                        .send_replace(Some(Instant::now() + REMOVE_PATIENCE));
                }
            }
        }
    }

    /// Consumes from what is new on the list. What left it is kept for as long as it holds.
    fn learn(&mut self, lookupd: usize, addresses: Vec<Address>) {
        let before = self.all_listed();
        self.listed[lookupd] = Some(addresses.into_iter().collect());
        let after = self.all_listed();
        let added: Vec<Address> = after.difference(&before).cloned().collect();
        let removed: Vec<Address> = before.difference(&after).cloned().collect();
        for address in &after {
            self.add(address.clone(), false);
        }
        for address in &removed {
            self.unlist(address);
        }
        if !(added.is_empty() && removed.is_empty()) {
            self.shared.tell(Event::Discovered { added, removed });
        }
    }

    fn all_listed(&self) -> HashSet<Address> {
        self.listed.iter().flatten().flatten().cloned().collect()
    }

    fn unlist(&mut self, address: &Address) {
        let Some(known) = self.nodes.get(address) else {
            return;
        };
        if known.refused {
            // Should it be listed again, it may have been mended.
            self.nodes.remove(address);
        } else if !known.direct {
            known.wanted.send_replace(false);
        }
    }

    fn add(&mut self, address: Address, direct: bool) {
        if let Some(known) = self.nodes.get_mut(&address) {
            known.direct |= direct;
            known.wanted.send_replace(true);
            return;
        }
        let stop = watch::Sender::new(None);
        let wanted = watch::Sender::new(true);
        let contact = watch::Sender::new(Contact::None(None));
        let known = Known {
            stop: stop.clone(),
            wanted: wanted.clone(),
            contact: contact.subscribe(),
            direct,
            refused: false,
        };
        let node = Node {
            address: address.clone(),
            shared: self.shared.clone(),
            stop: stop.subscribe(),
            wanted: wanted.subscribe(),
            contact,
            moved: self.moved.clone(),
            lost: self.lost.clone(),
        };
        let task = self.tasks.spawn(node.run());
        self.addresses.insert(task.id(), address.clone());
        self.nodes.insert(address, known);
    }

    fn node_ended(&mut self, ended: Result<(Id, NodeEnd), JoinError>) {
        // A node's task is never aborted, and what it runs does not panic.
        let (id, end) = ended.expect("tasks of nodes end by themselves");
        let address = self
            .addresses
            .remove(&id)
            .expect("noted when it was spawned");
        match end {
            NodeEnd::Stopped | NodeEnd::Unlisted => {
                self.nodes.remove(&address);
                // It was listed again while it ended.
                if !self.stopping && self.all_listed().contains(&address) {
                    self.add(address, false);
                }
            }
            NodeEnd::Refused(error) => {
                let known = self.nodes.get_mut(&address).expect("known until it ends");
                known.refused = true;
                self.refused = Some(error.clone());
                self.shared.tell(Event::Refused { error });
                self.give_up_if_all_refuse();
            }
        }
    }

    /// Without anybody left to ask the consumer is over.
    fn give_up_if_all_refuse(&mut self) {
        if self.listed.is_empty() && self.nodes.values().all(|known| known.refused) {
            self.reason = self.refused.clone();
            self.shared.stop(Duration::ZERO);
        }
    }

    fn wake_flow(&mut self) {
        let transition = self.shared.steer(|flow| flow.wake(Instant::now()));
        if let Some(transition) = transition {
            self.shared.tell_transition(transition);
        }
    }

    /// Wants no messages any more; each connection ends when all of its messages are answered.
    fn drain(&mut self) {
        let deadline = *self.stop.borrow_and_update();
        if !self.stopping {
            self.stopping = true;
            self.before = self.shared.counters.report();
            self.lookups.abort_all();
            self.shared.tell(Event::Draining);
            self.shared.steer(|flow| flow.stop(Instant::now()));
            for message in self.shared.buffer.close() {
                message.acker().give_back();
            }
        }
        // Messages that are given back at the deadline still leave.
        let deadline = deadline.map(|deadline| deadline + LAST_ANSWERS);
        for known in self.nodes.values() {
            known.stop.send_replace(deadline);
        }
    }

    fn take_census(&self) {
        let mut missing = Vec::new();
        let mut connected = 0;
        for (address, known) in &self.nodes {
            match &*known.contact.borrow() {
                Contact::Made => connected += 1,
                Contact::None(_) if known.refused => {}
                Contact::None(cause) => missing.push((address.clone(), cause.clone())),
            }
        }
        self.census.send_replace(Census {
            missing,
            connected,
            refused: self.refused.clone(),
            complete: self.listed.iter().all(Option::is_some),
        });
    }

    fn finish(self) {
        let report = self.shared.counters.report().since(self.before);
        let topic = &self.shared.topic;
        tracing::info!(%topic, ?report, "consumer closed");
        self.shared.tell(Event::Closed);
        let reason = self.reason;
        self.shared.end.send_replace(Some(End { report, reason }));
    }
}

/// How long messages of an nsqd that was removed may be worked on.
const REMOVE_PATIENCE: Duration = Duration::from_mins(1);

/// How long connections stay open beyond the deadline of a drain.
const LAST_ANSWERS: Duration = Duration::from_millis(100);

async fn sleep_or_never(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}
