//! The node: owns the topics, and what all of them share. The order of start and of stop is in `lib.rs`; how topics and
//! channels come and go, in `topics.rs`; what the storage worker does for all topics, in `storage.rs`.

mod storage;
mod topics;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use client::daemon::log::LogHandle;
use client::tls::TlsError;
use client::wire::{IdentifyOffer, Limits, Settings, TopicName};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::warn;

use crate::auth::Auth;
use crate::channel::{self, Locality};
use crate::clock::{Clock, System};
use crate::data_dir::DataDir;
use crate::import::Import;
use crate::log::{self, Bell, Care, Directory, Memory};
use crate::lookup::Lookup;
use crate::message_id::MessageIds;
use crate::metadata::Metadata;
use crate::options::Options;
use crate::tcp::Registry;
use crate::timers::Timers;
use crate::topic::{self, Known, Topic};

/// A segment is sealed at this size, or at `--max-bytes-per-file` if that is less.
const SEGMENT_BYTES: u64 = 1 << 20;

/// What nsqd is, apart from its sockets.
#[derive(Debug)]
pub struct Node {
    options: Options,
    limits: Limits,
    offer: IdentifyOffer,
    data_dir: DataDir,
    metadata: Metadata,
    topics: RwLock<BTreeMap<TopicName, Arc<Topic>>>,
    shared: topic::Shared,
    memory: Arc<Memory>,
    connections: Arc<Registry>,
    auth: Option<Arc<Auth>>,
    lookup: Lookup,
    /// Rung when a topic wants the storage worker.
    bell: Arc<Bell>,
    /// Held by who does storage work, as what is removed depends on what was synced before.
    storage_turn: Mutex<()>,
    stopping: AtomicBool,
    /// There are directories of deleted topics to be removed.
    deleted: AtomicBool,
    log: LogHandle,
    started_at: i64,
    opened_at: Instant,
}

impl Node {
    /// Opens the data directory, and brings back every topic that is in it. Blocks.
    ///
    /// # Errors
    /// A data directory that can't be used or read, as text for the operator.
    pub fn open(options: Options, log: LogHandle) -> Result<Arc<Self>, OpenError> {
        let disk = Arc::new(log::RealDisk);
        let data_dir = DataDir::open(disk, &options.data_path)?;
        if let Err(cause) = data_dir.remove_deleted() {
            warn!(%cause, "remains of deleted topics not removed");
        }
        let clock = System;
        let ids = MessageIds::open(
            Arc::clone(data_dir.disk()),
            data_dir.path(),
            options.node_id,
            clock.wall_ns(),
        )
        .map_err(OpenError::Ids)?;
        let auth = options.auth.clone().map(Auth::new).transpose()?;
        let auth = auth.map(Arc::new);
        let segment_bytes =
            usize::try_from(SEGMENT_BYTES.min(options.max_bytes_per_file)).unwrap_or(usize::MAX);
        let node = Self {
            limits: options.limits(),
            offer: options.offer(),
            metadata: Metadata::new(Arc::clone(data_dir.disk()), data_dir.path()),
            topics: RwLock::default(),
            shared: topic::Shared {
                channels: channel::Shared {
                    clock: Arc::new(clock),
                    random: Arc::new(System),
                    timers: Arc::new(Timers::default()),
                    max_msg_timeout: options.max_msg_timeout,
                    consumers_max: options.max_channel_consumers,
                    latency: options.latency.clone().map(Arc::new),
                },
                ids: Arc::new(ids),
                channels_max: options.max_channels_per_topic,
                durability: options.durability,
                commit_turns: Arc::new(Semaphore::new(topic::COMMITS_MAX)),
            },
            memory: Memory::new(options.mem_queue_bytes, segment_bytes),
            connections: Arc::default(),
            auth,
            lookup: Lookup::new(options.lookupd_tcp_addresses.clone()),
            bell: Arc::default(),
            storage_turn: Mutex::default(),
            stopping: AtomicBool::new(false),
            deleted: AtomicBool::new(false),
            log,
            started_at: clock.wall_ns() / 1_000_000_000,
            opened_at: clock.now(),
            data_dir,
            options,
        };
        let import = Import {
            data_dir: &node.data_dir,
            metadata: &node.metadata,
            memory: &node.memory,
            random: &node.shared.channels.random,
        };
        import.run()?;
        node.restore()?;
        Ok(Arc::new(node))
    }

    fn restore(&self) -> Result<(), OpenError> {
        let metadata = self.metadata.read().map_err(OpenError::Metadata)?;
        let metadata_is_lost = metadata.is_none();
        let mut known: BTreeMap<TopicName, Option<Known>> = metadata
            .unwrap_or_default()
            .into_iter()
            .map(|(name, known)| (name, Some(known)))
            .collect();
        let on_disk = self
            .data_dir
            .topics_on_disk()
            .map_err(OpenError::Metadata)?;
        for name in &on_disk {
            if !known.contains_key(name) && !metadata_is_lost {
                warn!(topic = %name, "topic is not in the metadata, but has a directory; restored");
            }
            known.entry(name.clone()).or_insert(None);
        }
        let mut topics = self.topics.write();
        for (name, known) in known {
            let created = on_disk.contains(&name);
            let directory = self.directory(&name, created);
            let place = (&self.memory, directory);
            let topic = Topic::restore(
                name.clone(),
                self.log_settings(&name),
                place,
                known,
                self.shared.clone(),
            )
            .map_err(|cause| OpenError::Topic {
                topic: name.clone(),
                cause,
            })?;
            topics.insert(name, topic);
        }
        self.metadata.changed();
        Ok(())
    }

    fn directory(&self, topic: &TopicName, created: bool) -> Arc<Directory> {
        let path = self.data_dir.topic(topic);
        Directory::new(
            Arc::clone(self.data_dir.disk()),
            path,
            created,
            Care::new(&self.bell),
        )
    }

    fn log_settings(&self, topic: &TopicName) -> log::Settings {
        log::Settings {
            mem_queue_size: self.options.mem_queue_size,
            ephemeral: topic.is_ephemeral(),
        }
    }

    /// How it is to run.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What a command may ask.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What IDENTIFY is answered with.
    pub fn offer(&self) -> &IdentifyOffer {
        &self.offer
    }

    /// The log's level.
    pub fn log(&self) -> &LogHandle {
        &self.log
    }

    /// Who is connected.
    pub fn connections(&self) -> &Arc<Registry> {
        &self.connections
    }

    /// Who tells what clients may do, if they may not do everything.
    pub fn auth(&self) -> Option<&Arc<Auth>> {
        self.auth.as_ref()
    }

    /// What discovery is told.
    pub fn lookup(&self) -> &Lookup {
        &self.lookup
    }

    /// The memory that messages are in.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Who wakes channels at their deadlines.
    pub fn timers(&self) -> &Arc<Timers> {
        &self.shared.channels.timers
    }

    /// When it started, in seconds since the Unix epoch.
    pub fn started_at(&self) -> i64 {
        self.started_at
    }

    /// How long it has been running.
    pub fn uptime(&self) -> Duration {
        self.shared.channels.clock.now() - self.opened_at
    }

    /// When that is on the wall clock, in nanoseconds since the Unix epoch.
    pub fn wall_ns_at(&self, at: Instant) -> i64 {
        let clock = &self.shared.channels.clock;
        let left = at.saturating_duration_since(clock.now()).as_nanos();
        (clock.wall_ns()).saturating_add(i64::try_from(left).unwrap_or(i64::MAX))
    }

    /// Now, in seconds since the Unix epoch.
    pub fn wall_seconds(&self) -> i64 {
        self.shared.channels.clock.wall_ns() / 1_000_000_000
    }

    /// Why messages can't be moved to disk, if so: the first topic's reason.
    pub fn fault(&self) -> Option<String> {
        self.topics().iter().find_map(|topic| topic.fault())
    }

    /// What a connection from `ip` has before it says IDENTIFY.
    pub fn default_settings(&self, ip: String) -> Settings {
        let settings = self
            .offer
            .negotiate(&client::wire::IdentifyRequest::default());
        let settings =
            settings.expect("defaults are within the limits, as the options were checked");
        Settings {
            client_id: ip.clone(),
            hostname: ip,
            ..settings
        }
    }

    /// How near a client with these settings is; all are the same unless it is asked for
    /// (`--enable-experiment=topology-aware-consumption`).
    pub fn locality(&self, client: &Settings) -> Locality {
        let options = &self.options;
        if options.topology_aware {
            Locality::of(client, &options.topology_region, &options.topology_zone)
        } else {
            Locality::Global
        }
    }

    /// Whether the daemon stops.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// From now on nothing is created any more.
    pub fn begin_stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

/// Why a node can't start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory.
    #[error("failed to instantiate nsqd - {0}")]
    DataDir(#[from] crate::data_dir::DataDirError),
    /// What a reference nsqd left there.
    #[error("failed to instantiate nsqd - {0}")]
    Import(#[from] crate::import::ImportError),
    /// The authorization servers.
    #[error("failed to instantiate nsqd - failed to build client TLS config - {0}")]
    Auth(#[from] TlsError),
    /// The message ids.
    #[error("failed to instantiate nsqd - failed to reserve message ids - {0}")]
    Ids(#[source] io::Error),
    /// The metadata.
    #[error("failed to load metadata - {0}")]
    Metadata(#[source] io::Error),
    /// The directory of a topic.
    #[error("failed to recover topic {topic} - {cause}")]
    Topic {
        /// Its name.
        topic: TopicName,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}
