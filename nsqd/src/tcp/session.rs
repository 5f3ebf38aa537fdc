//! nsqd's side of one connection: one loop, and all that can happen in it.
//!
//! The loop handles every command that is complete in the input, delivers what there is, and then waits: for the
//! socket, for the bell of its channel, or for its timer. Commands are in `commands.rs`.

use std::fmt;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use client::wire::{
    CommandDecoder, ErrorReply, HEARTBEAT, MessageId, NameRef, Settings, put_error, put_response,
};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::warn;

use super::authorization::{Authorized, rechecked};
use super::connection::{Connection, Progress};
use super::registry::{Connected, Registered, Stage, Subscription};
use super::replies::Replies;
use crate::auth::{Question, Secret};
use crate::channel::{Claimed, Locality};
use crate::log::Waiter;
use crate::node::Node;
use crate::options::TlsRequired;
use crate::topic::{TooMany, Topic};

/// Deliveries are put together up to this many bytes before they are written, or the connection's output buffer size if
/// that is more.
const DELIVERY_BYTES: usize = 64 * 1024;
/// What is received from a client whose commands wait for a commit, up to one read of a busy connection.
const READ_AHEAD_BYTES: usize = 256 * 1024;
/// How often a connection without heartbeats is looked at.
const LOOK: Duration = Duration::from_secs(30);
/// How long such a connection may take for the rest of a command, and to take some of what it is sent.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a connection may take for the rest of its first command: it has shown nothing yet.
const FIRST_PATIENCE: Duration = Duration::from_secs(30);

/// Why a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// The peer closed the connection, or it broke.
    Gone,
    /// The peer was told why.
    Refused(ErrorReply),
    /// A command line without end.
    LineTooLong,
    /// Nothing was heard for two heartbeats.
    Silent,
    /// The peer took nothing of what was sent for a heartbeat.
    Stuck,
    /// Its channel was deleted.
    ChannelGone,
    /// What arrives is not the TLS or the compression that was settled.
    Damaged(io::Error),
    /// The upgrade that the client asked for took it too long.
    UpgradeTooSlow,
    /// The daemon stops.
    Stopping,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("connection closed"),
            Self::Refused(reply) => write!(f, "{}", reply.to_string().escape_debug()),
            Self::LineTooLong => f.write_str("command line too long"),
            Self::Silent => f.write_str("nothing heard for two heartbeats"),
            Self::Stuck => f.write_str("peer does not read"),
            Self::ChannelGone => f.write_str("channel closed"),
            Self::Damaged(error) => write!(f, "{error}"),
            Self::UpgradeTooSlow => f.write_str("the upgrade took too long"),
            Self::Stopping => f.write_str("the daemon stops"),
        }
    }
}

impl From<ErrorReply> for End {
    fn from(reply: ErrorReply) -> Self {
        Self::Refused(reply)
    }
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) node: Arc<Node>,
    pub(super) connection: Connection,
    pub(super) registered: Registered,
    pub(super) settings: Arc<Settings>,
    pub(super) stage: Stage,
    /// Nothing but IDENTIFY is allowed before TLS.
    pub(super) needs_tls: bool,
    pub(super) decoder: CommandDecoder,
    pub(super) subscription: Option<Subscription>,
    /// How near the client is; known from IDENTIFY on.
    pub(super) locality: Locality,
    /// Rung when there may be messages, or credit.
    pub(super) bell: Arc<Notify>,
    /// There may be something to deliver.
    pub(super) hungry: bool,
    /// The client's address without its port; empty on a unix socket.
    remote_ip: String,
    /// What it may do, once it has said AUTH.
    pub(super) authorized: Option<Authorized>,
    /// The topic of the last publish, and the counter of what this connection published to it.
    pub(super) published: Option<(Arc<Topic>, Arc<AtomicU64>)>,
    /// Publishes that are not answered before their topics have made them durable, and the replies from there on.
    pub(super) unsettled: Replies,
    /// Commands of one kind in a row, gathered to be done at once; empty between reads.
    pub(super) gathered: Gathered,
    last_command: Instant,
    /// It has completed a command.
    has_spoken: bool,
    /// Since when the start of a command is here without its end.
    begun: Option<Instant>,
    next_heartbeat: Instant,
}

/// What is gathered from one read: bodies of PUBs to one topic, as ranges of the input, and ids of FINs.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) bodies: Vec<Range<usize>>,
    pub(super) finished: Vec<MessageId>,
    pub(super) woken: Vec<Arc<dyn Waiter>>,
}

/// Ends the subscription of a connection, however its session ends: what it holds goes back at once.
#[derive(Debug)]
struct Leaver {
    node: Arc<Node>,
    connected: Arc<Connected>,
}

impl Drop for Leaver {
    fn drop(&mut self) {
        if let Some(Subscription {
            topic,
            channel,
            consumer,
        }) = self.connected.unsubscribe()
            && channel.remove_consumer(consumer)
            && channel.name().is_ephemeral()
        {
            self.node.delete_ephemeral(&topic, &channel);
        }
    }
}

impl Session {
    pub(super) fn new(
        node: Arc<Node>,
        connection: Connection,
        peer: String,
        remote_ip: Option<String>,
    ) -> Self {
        let name = remote_ip.clone().unwrap_or_else(|| peer.clone());
        let settings = node.default_settings(name);
        let registered = node.connections().add(peer, node.wall_seconds(), settings);
        let settings = registered.connected.settings();
        let needs_tls = node.options().tls.required != TlsRequired::No;
        let now = Instant::now();
        Self {
            node,
            connection,
            registered,
            next_heartbeat: now + settings.heartbeat_interval.unwrap_or(LOOK),
            settings,
            stage: Stage::Init,
            needs_tls,
            decoder: CommandDecoder::default(),
            subscription: None,
            locality: Locality::Global,
            bell: Arc::default(),
            hungry: false,
            remote_ip: remote_ip.unwrap_or_default(),
            authorized: None,
            published: None,
            unsettled: Replies::default(),
            gathered: Gathered::default(),
            last_command: now,
            has_spoken: false,
            begun: None,
        }
    }

    /// Serves the connection until it ends; what its consumer holds goes back to the channel at once.
    /// When `stopped` is over, what was asked before is still answered.
    pub(super) async fn run(mut self, stopped: impl Future<Output = ()>) -> End {
        let leaver = Leaver {
            node: Arc::clone(&self.node),
            connected: Arc::clone(&self.registered.connected),
        };
        let end = self.serve(stopped).await;
        drop(leaver);
        match &end {
            End::Refused(reply) => put_error(&mut self.connection.output, reply),
            End::Damaged(error) => {
                warn!(%error, "session ends, what arrives is damaged");
                return end;
            }
            End::Stuck | End::UpgradeTooSlow => return end,
            _ => {}
        }
        self.connection.finish().await;
        end
    }

    async fn serve(&mut self, stopped: impl Future<Output = ()>) -> End {
        tokio::pin!(stopped);
        let timer = sleep_until(self.next_wake());
        tokio::pin!(timer);
        let bell = Arc::clone(&self.bell);
        // How it ends, once what was published before is answered.
        let mut ending = None;
        loop {
            if ending.is_none() && self.unsettled.is_empty() {
                ending = self.handle_input().await.err();
            }
            if !self.connection.input.is_empty() {
                self.begun.get_or_insert_with(Instant::now);
            }
            if ending.is_none() {
                ending = self.deliver().err();
            }
            let input_max = match (&ending, self.unsettled.is_empty()) {
                (None, true) => usize::MAX,
                (None, false) => READ_AHEAD_BYTES,
                (Some(_), false) => 0,
                (Some(_), true) => break,
            };
            let next_wake = self.next_wake();
            if next_wake < timer.deadline() {
                timer.as_mut().reset(next_wake);
            }
            tokio::select! {
                // In this order, since the socket of a busy connection is always ready.
                biased;
                () = &mut stopped, if ending.is_none() => ending = Some(End::Stopping),
                () = bell.notified(), if self.subscription.is_some() => self.hungry = true,
                () = timer.as_mut() => if let Err(end) = self.on_timer(timer.as_mut()) {
                    return end;
                },
                settled = self.unsettled.settled(), if !self.unsettled.is_empty() => {
                    self.heard();
                    ending = self.reply_settled(settled).err().or(ending);
                }
                progress = self.connection.progress(input_max) => match progress {
                    Ok(Progress::Received) => {}
                    Ok(Progress::Sent) => self.hungry |= self.subscription.is_some(),
                    Ok(Progress::End) => ending = Some(self.input_ended()),
                    Err(error) => return End::broken(error),
                },
                answer = rechecked(&mut self.authorized), if self.subscription.is_some() => {
                    ending = self.recheck(&answer).err().or(ending);
                }
                // It took nothing, though there is something: others come first, then it is its turn.
                () = tokio::task::yield_now(), if ending.is_none() && self.hungry
                    && !self.connection.has_output() => {}
            }
        }
        ending.expect("the loop ends with it")
    }

    /// The stream has ended: within a body the peer is told, as it may still read.
    fn input_ended(&self) -> End {
        self.decoder.truncated().map_or(End::Gone, End::Refused)
    }

    /// Claims what the consumer may be sent, as long as the output is not full.
    fn deliver(&mut self) -> Result<(), End> {
        let Some(Subscription {
            channel, consumer, ..
        }) = &self.subscription
        else {
            return Ok(());
        };
        let bytes_max = self.settings.output_buffer_size.max(DELIVERY_BYTES);
        if !self.hungry || self.connection.output.len() >= bytes_max {
            return Ok(());
        }
        self.hungry = false;
        let output = &mut self.connection.output;
        match channel.claim(*consumer, self.settings.sample_rate, bytes_max, output) {
            Claimed::Some => self.hungry = true,
            Claimed::Waiting | Claimed::NotReady => {}
            Claimed::OnDisk(segment) => {
                tokio::spawn(Arc::clone(channel).load(segment));
            }
            Claimed::Exiting => return Err(End::ChannelGone),
        }
        Ok(())
    }

    fn on_timer(&mut self, timer: Pin<&mut Sleep>) -> Result<(), End> {
        let now = Instant::now();
        if self.patience_ends().is_some_and(|at| now >= at) {
            return Err(self.decoder.truncated().map_or(End::Silent, End::Refused));
        }
        let patience = self.settings.heartbeat_interval.unwrap_or(PATIENCE);
        let stuck_since = self.connection.stuck_since();
        if stuck_since.is_some_and(|since| now >= since + patience) {
            return Err(End::Stuck);
        }
        if now >= self.next_heartbeat {
            self.beat(now);
        }
        if !self.connection.has_output() {
            self.connection.release_memory();
        }
        timer.reset(self.next_wake());
        Ok(())
    }

    fn beat(&mut self, now: Instant) {
        if self.settings.heartbeat_interval.is_some() {
            put_response(&mut self.connection.output, HEARTBEAT);
        }
        self.next_heartbeat = now + self.settings.heartbeat_interval.unwrap_or(LOOK);
    }

    /// Waits for `answer`, for which the client has to wait too, and sends heartbeats meanwhile.
    pub(super) async fn while_beating<T>(
        &mut self,
        answer: impl Future<Output = T>,
    ) -> Result<T, End> {
        tokio::pin!(answer);
        loop {
            tokio::select! {
                biased;
                answer = answer.as_mut() => return Ok(answer),
                () = sleep_until(self.next_heartbeat) => self.beat(Instant::now()),
                sent = self.connection.send(), if self.connection.has_output() => {
                    sent.map_err(|_| End::Gone)?;
                }
            }
        }
    }

    /// What an authorization server is asked about this client.
    pub(super) fn question(&self, secret: Secret) -> Question {
        let tls = self.registered.connected.tls();
        Question {
            secret,
            remote_ip: self.remote_ip.clone(),
            tls: tls.is_some(),
            common_name: tls.map(|tls| tls.common_name.clone()).unwrap_or_default(),
        }
    }

    /// When the timer has something to look at next.
    fn next_wake(&self) -> Instant {
        let ends = self.patience_ends().into_iter();
        ends.fold(self.next_heartbeat, Instant::min)
    }

    /// When the next command has to be complete at the latest: two heartbeats after the last one, as in the reference.
    /// Without heartbeats it may never come, but not stop in the middle. While the client waits for a commit, what it
    /// sends is not looked at.
    fn patience_ends(&self) -> Option<Instant> {
        if !self.unsettled.is_empty() {
            return None;
        }
        let heartbeats = self.settings.heartbeat_interval;
        let silent = heartbeats.map(|interval| self.last_command + 2 * interval);
        let patience = if !self.has_spoken {
            FIRST_PATIENCE
        } else if heartbeats.is_none() {
            PATIENCE
        } else {
            return silent;
        };
        let stalled = self.begun.map(|begun| begun + patience);
        [silent, stalled].into_iter().flatten().min()
    }

    /// A command was complete: the peer is alive.
    pub(super) fn heard(&mut self) {
        self.last_command = Instant::now();
        (self.has_spoken, self.begun) = (true, None);
    }

    /// Applies what IDENTIFY has settled.
    pub(super) fn apply(&mut self, settings: Settings) {
        self.locality = self.node.locality(&settings);
        self.settings = self.registered.connected.set_settings(settings);
        self.next_heartbeat = Instant::now() + self.settings.heartbeat_interval.unwrap_or(LOOK);
    }

    pub(super) fn set_stage(&mut self, stage: Stage) {
        self.stage = stage;
        self.registered.connected.set_stage(stage);
    }

    /// The topic to publish to, from the last time if it is the same, and the counter of what is published to it.
    pub(super) fn topic_to_publish(
        &mut self,
        name: NameRef<'_>,
    ) -> Result<(Arc<Topic>, Arc<AtomicU64>), TooMany> {
        let same = |(topic, _): &&(Arc<Topic>, _)| {
            topic.name().as_str() == name.as_str() && !topic.is_exiting()
        };
        if let Some((topic, count)) = self.published.as_ref().filter(same) {
            return Ok((Arc::clone(topic), Arc::clone(count)));
        }
        let topic = self.node.topic_or_create(&name.to_topic())?;
        let count = self.registered.connected.published_to(topic.name());
        self.published = Some((Arc::clone(&topic), Arc::clone(&count)));
        Ok((topic, count))
    }
}
