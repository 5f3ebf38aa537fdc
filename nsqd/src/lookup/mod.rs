//! Discovery, nsqd's side: keeping every nsqlookupd informed, and asking them for the channels of new topics.
//!
//! ```text
//!   Node ── changed() ──▶ each peer's task: what there is now, minus what it has announced ──▶ nsqlookupd (TCP)
//!     │
//!     └──── ask_for(topic) ──▶ run(): what channels has it elsewhere? ──▶ every nsqlookupd (HTTP)
//!                                └──▶ create them, and let the topic start
//! ```
//!
//! **Informing.** Each peer has a task, a connection and deadlines of its own, so that one which is slow or dead disturbs
//! neither the others nor publishing; see `peer.rs`. Nothing is queued: a change rings, and the tasks look.
//!
//! **A new topic** may have channels on other nsqds, whose consumers come here a poll later. If its messages went to the first
//! channel that turns up, the others would miss them. So a topic that is created while there are peers is *held*: it
//! takes messages at once, and channels and consumers too, but shows channels nothing until the peers have answered, or
//! `--http-client-request-timeout` is over. As nothing has been shown, every channel that exists by then gets every message.
//! Publishers never wait for it. Held is not paused: it is not told in `/stats`, and not kept over a restart.
//! Topics that come back at the start know their channels, and are not held.

mod connection;
mod peer;
mod question;
mod registrations;

use std::collections::BTreeMap;
use std::sync::Arc;

use client::connection::Address;
use client::wire::lookup::PeerInfo;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::info;

use crate::node::Node;
use crate::topic::Topic;
use peer::Peer;
use question::{Patience, known_channels};

/// Topics that are asked for at the same time; the others wait, and their time runs.
const QUESTIONS_MAX: usize = 32;

/// What the rest of nsqd tells discovery. Nothing in here waits.
#[derive(Debug)]
pub struct Lookup {
    /// As given. JSON's `null` is kept, since it is what `/config` then answers.
    addresses: watch::Sender<Option<Vec<String>>>,
    changes: watch::Sender<()>,
    /// Topics that are held and not yet asked for, with the time of their creation.
    held: Mutex<Vec<(Arc<Topic>, Instant)>>,
    /// Rung when there are some.
    bell: Notify,
}

impl Lookup {
    /// Discovery through the nsqlookupds at these addresses, see [`is_address`].
    pub fn new(addresses: Vec<String>) -> Self {
        Self {
            addresses: watch::Sender::new(Some(addresses)),
            changes: watch::Sender::new(()),
            held: Mutex::default(),
            bell: Notify::new(),
        }
    }

    /// The nsqlookupds that are to be informed; `None` if that was set.
    pub fn addresses(&self) -> Option<Vec<String>> {
        self.addresses.borrow().clone()
    }

    /// Changes them: those no longer in the list are let go, new ones are connected to.
    pub fn set_addresses(&self, addresses: Option<Vec<String>>) {
        self.addresses.send_replace(addresses);
    }

    /// Notes that a topic or a channel has come or gone.
    pub fn changed(&self) {
        self.changes.send_replace(());
    }

    /// Holds a new topic until it is known which channels it has elsewhere, if there is anybody to ask.
    pub fn ask_for(&self, topic: &Arc<Topic>) {
        let nobody = self.addresses.borrow().as_ref().is_none_or(Vec::is_empty);
        if nobody {
            return;
        }
        topic.hold();
        self.held.lock().push((Arc::clone(topic), Instant::now()));
        self.bell.notify_one();
    }

    /// Rung at each change from now on.
    fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

/// Whether an nsqlookupd can be at this address: `host:port`.
pub fn is_address(text: &str) -> bool {
    matches!(text.parse(), Ok(Address::Tcp(_)))
}

/// Informs the nsqlookupds about `node`, which is reached as `about` tells, and asks them for channels of new topics, until `stopping`
/// says so. The connections are then closed, which tells each nsqlookupd that this nsqd is gone.
pub async fn run(node: Arc<Node>, about: PeerInfo, mut stopping: watch::Receiver<bool>) {
    let lookup = node.lookup();
    let mut addresses = lookup.addresses.subscribe();
    addresses.mark_changed();
    let mut peers = Peers {
        node: Arc::clone(&node),
        about,
        by_address: BTreeMap::new(),
    };
    let turns = Arc::new(Semaphore::new(QUESTIONS_MAX));
    let mut questions = JoinSet::new();
    loop {
        tokio::select! {
            // In this order: a topic is asked for at the peers that were there when it was created.
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return,
            // The sender is in the node, so there is always one.
            _ = addresses.changed() => {
                let wanted = addresses.borrow_and_update().clone();
                peers.set(&wanted.unwrap_or_default());
            }
            () = lookup.bell.notified() => {
                for (topic, created_at) in std::mem::take(&mut *lookup.held.lock()) {
                    questions.spawn(peers.start_topic(topic, created_at, Arc::clone(&turns)));
                }
            }
            _ = questions.join_next(), if !questions.is_empty() => {}
        }
    }
}

/// The nsqlookupds that are kept informed.
struct Peers {
    node: Arc<Node>,
    about: PeerInfo,
    by_address: BTreeMap<String, Peer>,
}

impl Peers {
    fn set(&mut self, wanted: &[String]) {
        self.by_address.retain(|address, _| {
            let stays = wanted.contains(address);
            if !stays {
                info!(peer = %address, "nsqlookupd removed");
            }
            stays
        });
        for address in wanted {
            if !self.by_address.contains_key(address) {
                info!(peer = %address, "nsqlookupd added");
                let peer = Peer::start(address.clone(), Arc::clone(&self.node), self.about.clone());
                self.by_address.insert(address.clone(), peer);
            }
        }
    }

    /// Asks for the channels of a topic, when it is its turn, creates them, and lets the topic start.
    fn start_topic(
        &self,
        topic: Arc<Topic>,
        created_at: Instant,
        turns: Arc<Semaphore>,
    ) -> impl Future<Output = ()> + use<> {
        let options = self.node.options();
        let patience = Patience {
            connect_timeout: options.http_client_connect_timeout,
            deadline: created_at + options.http_client_request_timeout,
        };
        let peers = self.by_address.iter();
        let peers = peers
            .map(|(address, peer)| (address.clone(), peer.status()))
            .collect();
        let node = Arc::clone(&self.node);
        async move {
            let _turn = turns.acquire().await;
            let channels = known_channels(topic.name(), peers, patience).await;
            node.start_topic(&topic, &channels).await;
        }
    }
}
