//! The publishes that no connection has taken yet, and which node each is for: what all tasks of a
//! producer share. No clock, no lock and no I/O in here.
//!
//! ```text
//! accept ─▶ a node is connected? ─▶ its queue ── take ──▶ the pipeline of its connection
//!                │ none                ▲  ▲                    │ refused: the untouched ones
//!                ▼                     │  └──── put_back ──────┤
//!             parked ── connected ─────┘        lost ──────────┘ to other nodes, or parked
//! ```
//!
//! Order is kept everywhere: what comes back goes in front of what came later.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use super::error::PublishError;
use super::generations::Generations;
use super::job::{Job, Outcome};
use super::policy::{Candidate, Routing};
use super::stats::{NodeStatus, ProducerStats};
use crate::connection::{Address, ConnectError};

/// A publish and how it ends.
pub(super) type Settled = (Job, Outcome);

/// A publish that was not taken in, and why; boxed, for it is rare and large.
pub(super) type Refused = Box<(Job, PublishError)>;

/// Whether publishes are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// What is pending is finished, nothing is added.
    Closing,
    /// Nothing is finished any more.
    Aborted,
}

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    pub(super) nodes: Vec<Node>,
    pub(super) generations: Generations,
    pub(super) stats: ProducerStats,
    pub(super) phase: Phase,
    /// For any node, in the order of acceptance; empty while one is connected.
    parked: VecDeque<Job>,
    routing: Routing,
    turn: usize,
    /// No deadline of what waits here is before this; may be earlier than the first of them.
    earliest: Option<Instant>,
}

/// An nsqd, seen from the queue.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) address: Arc<Address>,
    /// What its connection will take next.
    queue: VecDeque<Job>,
    /// Publishes in the queue or on the connection.
    pending: usize,
    zone: String,
    link: Link,
}

/// How it stands with an nsqd.
#[derive(Debug)]
enum Link {
    /// Connected, or just connecting again after it refused a publish.
    Up,
    /// Not connected; why, once it was tried.
    Down(Option<Arc<ConnectError>>),
    /// Not connected, and nothing will change by itself.
    Refused(Arc<ConnectError>),
}

/// Where a publish went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// To a node whose queue was empty: its task is to be woken.
    First(usize),
    /// Behind others, or where it waits for a connection.
    Behind,
}

/// What the loss of a node moved.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// Nodes whose tasks are to be woken.
    pub(super) woken: Vec<usize>,
    /// Publishes that are over by it.
    pub(super) ended: Vec<Settled>,
}

impl State {
    pub(super) fn new(addresses: Vec<Arc<Address>>, routing: Routing) -> State {
        let node = |address| Node {
            address,
            queue: VecDeque::new(),
            pending: 0,
            zone: String::new(),
            link: Link::Down(None),
        };
        State {
            nodes: addresses.into_iter().map(node).collect(),
            generations: Generations::new(),
            stats: ProducerStats::default(),
            phase: Phase::Open,
            parked: VecDeque::new(),
            routing,
            turn: 0,
            earliest: None,
        }
    }

    /// Takes in a new publish. `at_once`: only if a node is connected for it.
    ///
    /// # Errors
    /// Closed, or no node will take it; nothing was taken in then.
    pub(super) fn accept(&mut self, mut job: Job, at_once: bool) -> Result<Placed, Refused> {
        if self.phase != Phase::Open {
            return Err(Box::new((job, PublishError::Closed)));
        }
        let nodes = self.nodes_for(&job);
        if nodes.iter().all(Node::refuses) || at_once && !nodes.iter().any(Node::is_up) {
            let cause = nodes.iter().find_map(Node::error).cloned();
            return Err(Box::new((job, PublishError::NotSent { cause })));
        }
        job.generation = self.generations.begin();
        self.stats.pending += 1;
        self.stats.pending_bytes += job.payload.bytes();
        Ok(self.place(job))
    }

    /// Moves publishes of at least one and, if there are more, about `bytes` bytes to `taken`.
    pub(super) fn take(&mut self, index: usize, bytes: usize, taken: &mut Vec<Job>) {
        let mut sum = 0;
        let queue = &mut self.nodes[index].queue;
        while sum < bytes
            && let Some(job) = queue.pop_front()
        {
            sum += job.payload.bytes();
            taken.push(job);
        }
    }

    /// A node is connected. Returns the nodes whose tasks are to be woken.
    pub(super) fn connected(&mut self, index: usize, zone: &str) -> Vec<usize> {
        self.stats.connects += 1;
        let node = &mut self.nodes[index];
        zone.clone_into(&mut node.zone);
        node.link = Link::Up;
        let parked = std::mem::take(&mut self.parked);
        let mut woken = self.place_all(parked);
        woken.push(index);
        woken
    }

    /// A node could not be reached. What waits for it goes elsewhere; what nobody else will ever
    /// take ends.
    pub(super) fn unreachable(&mut self, index: usize, error: &Arc<ConnectError>) -> Moved {
        self.stats.disconnects += 1;
        let is_permanent = error.cause.is_permanent();
        let link = if is_permanent {
            Link::Refused
        } else {
            |error| Link::Down(Some(error))
        };
        self.nodes[index].link = link(Arc::clone(error));
        // After a refused publish those behind it wait here for the new connection.
        let waiting = self.nodes[index].give_up_queue();
        let woken = self.place_all(waiting);
        let mut ended = VecDeque::new();
        if is_permanent {
            ended = self.nodes[index].give_up_queue();
        }
        if self.nodes.iter().all(Node::refuses) {
            ended.append(&mut self.parked);
        }
        let not_sent = |job| {
            let cause = Some(Arc::clone(error));
            (job, Err(PublishError::NotSent { cause }))
        };
        let ended = ended.into_iter().map(not_sent).collect();
        Moved { woken, ended }
    }

    /// A connection was lost; `back`, oldest first, is to be sent elsewhere or later. Returns the
    /// nodes whose tasks are to be woken.
    pub(super) fn lost(&mut self, index: usize, back: Vec<Job>) -> Vec<usize> {
        self.stats.disconnects += 1;
        self.put_back(index, back);
        let node = &mut self.nodes[index];
        node.link = Link::Down(None);
        let waiting = node.give_up_queue();
        self.place_all(waiting)
    }

    /// Puts publishes which came back, oldest first, in front of the node's queue.
    pub(super) fn put_back(&mut self, index: usize, back: Vec<Job>) {
        for job in back.into_iter().rev() {
            self.watch(&job);
            self.nodes[index].queue.push_front(job);
        }
    }

    /// A publish on the connection of this node became two.
    pub(super) fn split(&mut self, index: usize, generation: u64) {
        self.generations.split(generation);
        self.nodes[index].pending += 1;
        self.stats.pending += 1;
    }

    /// Counts publishes that ended; `index` is the node which had taken them, if any.
    pub(super) fn account(&mut self, index: Option<usize>, settled: &[Settled]) {
        for (job, outcome) in settled {
            let bytes = job.payload.bytes();
            self.generations.settle(job.generation);
            self.stats.count(bytes, outcome);
            self.stats.pending -= 1;
            self.stats.pending_bytes -= bytes;
        }
        if let Some(index) = index {
            self.nodes[index].pending -= settled.len();
        }
    }

    /// Takes what waits here and whose deadline is at or before `now`.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Settled> {
        if self.earliest.is_none_or(|first| first > now) {
            return Vec::new();
        }
        let mut late = Vec::new();
        take_late(&mut self.parked, now, &mut late);
        for node in &mut self.nodes {
            node.pending -= take_late(&mut node.queue, now, &mut late);
        }
        let waiting = self.nodes.iter().flat_map(|node| &node.queue);
        let deadlines = waiting.chain(&self.parked).map(|job| job.terms.deadline);
        self.earliest = deadlines.min();
        let timeout = |job: Job| {
            let maybe_stored = job.attempts > 0;
            (job, Err(PublishError::Timeout { maybe_stored }))
        };
        late.into_iter().map(timeout).collect()
    }

    /// Takes all that waits here, when nothing is finished any more.
    pub(super) fn abort(&mut self) -> Vec<Settled> {
        self.phase = Phase::Aborted;
        let mut left: Vec<Job> = self.parked.drain(..).collect();
        for node in &mut self.nodes {
            node.pending -= node.queue.len();
            left.extend(node.queue.drain(..));
        }
        let closed = |job| (job, Err(PublishError::Closed));
        left.into_iter().map(closed).collect()
    }

    /// Not later than the first deadline of what waits here.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.earliest
    }

    /// Whether the tasks of the producer have nothing more to do.
    pub(super) fn is_over(&self) -> bool {
        match self.phase {
            Phase::Open => false,
            Phase::Closing => self.stats.pending == 0,
            Phase::Aborted => true,
        }
    }

    /// Whether a node is connected; the refusal if all of them refuse.
    pub(super) fn readiness(&self) -> Option<Result<(), Arc<ConnectError>>> {
        if self.nodes.iter().any(Node::is_up) {
            return Some(Ok(()));
        }
        let all_refuse = self.nodes.iter().all(Node::refuses);
        all_refuse.then(|| self.last_error()).flatten().map(Err)
    }

    /// Why a node was last not reached.
    pub(super) fn last_error(&self) -> Option<Arc<ConnectError>> {
        self.nodes.iter().find_map(Node::error).cloned()
    }

    /// How each node stands.
    pub(super) fn statuses(&self) -> Vec<NodeStatus> {
        let status = |node: &Node| NodeStatus {
            address: Arc::clone(&node.address),
            connected: node.is_up(),
            pending: node.pending,
            last_error: node.error().cloned(),
        };
        self.nodes.iter().map(status).collect()
    }

    fn nodes_for(&self, job: &Job) -> &[Node] {
        match job.terms.pinned {
            Some(index) => &self.nodes[index..=index],
            None => &self.nodes,
        }
    }

    fn place_all(&mut self, jobs: VecDeque<Job>) -> Vec<usize> {
        let placed: Vec<Placed> = jobs.into_iter().map(|job| self.place(job)).collect();
        let first = |placed| match placed {
            Placed::First(index) => Some(index),
            Placed::Behind => None,
        };
        placed.into_iter().filter_map(first).collect()
    }

    fn place(&mut self, job: Job) -> Placed {
        self.watch(&job);
        let Some(index) = job.terms.pinned.or_else(|| self.route()) else {
            self.parked.push_back(job);
            return Placed::Behind;
        };
        let node = &mut self.nodes[index];
        let is_first = node.queue.is_empty();
        node.pending += 1;
        node.queue.push_back(job);
        if is_first {
            Placed::First(index)
        } else {
            Placed::Behind
        }
    }

    fn route(&mut self) -> Option<usize> {
        self.turn = self.turn.wrapping_add(1);
        let up = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.is_up());
        let candidates = up.map(|(index, node)| Candidate {
            index,
            pending: node.pending,
            zone: &node.zone,
        });
        self.routing.pick(candidates, self.nodes.len(), self.turn)
    }

    fn watch(&mut self, job: &Job) {
        let deadline = job.terms.deadline;
        self.earliest = Some(self.earliest.map_or(deadline, |first| first.min(deadline)));
    }
}

impl Node {
    fn is_up(&self) -> bool {
        matches!(self.link, Link::Up)
    }

    fn refuses(&self) -> bool {
        matches!(self.link, Link::Refused(_))
    }

    fn error(&self) -> Option<&Arc<ConnectError>> {
        match &self.link {
            Link::Up => None,
            Link::Down(error) => error.as_ref(),
            Link::Refused(error) => Some(error),
        }
    }

    /// Takes the whole queue, of a node that is no longer connected.
    fn give_up_queue(&mut self) -> VecDeque<Job> {
        self.pending -= self.queue.len();
        std::mem::take(&mut self.queue)
    }
}

/// Moves late publishes to `late`; returns how many they were.
fn take_late(queue: &mut VecDeque<Job>, now: Instant, late: &mut Vec<Job>) -> usize {
    let before = late.len();
    for _ in 0..queue.len() {
        let job = queue.pop_front().expect("as many as were counted");
        if job.terms.deadline <= now {
            late.push(job);
        } else {
            queue.push_back(job);
        }
    }
    late.len() - before
}
