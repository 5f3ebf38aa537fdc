//! What nsqlookupd answers to one nsqd: commands in, replies out. The socket is elsewhere.

use std::sync::Arc;

use client::daemon::duration::GoDuration;
use client::wire::lookup::{Command, OK, PeerInfo, put_reply};
use client::wire::{ErrorCode, ErrorReply, NameRef};
use tracing::{debug, info, warn};

use crate::directory::Directory;
use crate::registry::{PeerId, Producer};

/// One nsqd. What it registered goes when this is dropped.
#[derive(Debug)]
pub(super) struct Conversation {
    directory: Arc<Directory>,
    /// Its address, `ip:port`.
    address: String,
    /// `None` until it has identified.
    peer: Option<PeerId>,
}

impl Conversation {
    pub(super) fn new(directory: Arc<Directory>, address: String) -> Self {
        Self {
            directory,
            address,
            peer: None,
        }
    }

    pub(super) fn is_identified(&self) -> bool {
        self.peer.is_some()
    }

    /// Carries out `command` and appends the reply to `out`.
    ///
    /// # Errors
    ///
    /// What the nsqd is told before the connection is closed.
    pub(super) fn answer(
        &mut self,
        command: &Command<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), ErrorReply> {
        match *command {
            Command::Identify { body } => {
                self.identify(PeerInfo::parse(body)?);
                put_reply(out, &self.directory.about);
            }
            Command::Register { topic, channel } => {
                self.register(topic, channel)?;
                put_reply(out, OK);
            }
            Command::Unregister { topic, channel } => {
                self.unregister(topic, channel)?;
                put_reply(out, OK);
            }
            Command::Ping => {
                self.ping();
                put_reply(out, OK);
            }
        }
        self.directory.metrics.command(command.name());
        Ok(())
    }

    fn identify(&mut self, info: PeerInfo) {
        info!(
            "CLIENT({}): IDENTIFY Address:{} TCP:{} HTTP:{} Version:{}",
            self.address, info.broadcast_address, info.tcp_port, info.http_port, info.version
        );
        let producer = Producer::new(self.address.clone(), info);
        let peer = self
            .directory
            .with(|registry, now| registry.connect(producer, now));
        self.peer = Some(peer);
    }

    fn register(&self, topic: NameRef<'_>, channel: Option<NameRef<'_>>) -> Result<(), ErrorReply> {
        let peer = self.identified()?;
        let registered = self
            .directory
            .with(|registry, _| registry.register(peer, topic, channel))
            .map_err(|error| ErrorReply::new(ErrorCode::Invalid, format!("REGISTER {error}")))?;
        let address = &self.address;
        if let Some(channel) = channel.filter(|_| registered.channel) {
            info!("DB: client({address}) REGISTER category:channel key:{topic} subkey:{channel}");
        }
        if registered.topic {
            info!("DB: client({address}) REGISTER category:topic key:{topic} subkey:");
        }
        Ok(())
    }

    fn unregister(
        &self,
        topic: NameRef<'_>,
        channel: Option<NameRef<'_>>,
    ) -> Result<(), ErrorReply> {
        let peer = self.identified()?;
        let unregistered = self
            .directory
            .with(|registry, _| registry.unregister(peer, topic, channel));
        let address = &self.address;
        for name in unregistered.channels {
            if channel.is_some() {
                info!(
                    "DB: client({address}) UNREGISTER category:channel key:{topic} subkey:{name}"
                );
            } else {
                // An nsqd that deletes a topic says so of each channel first.
                warn!(
                    "client({address}) unexpected UNREGISTER category:channel key:{topic} subkey:{name}"
                );
            }
        }
        if unregistered.topic {
            info!("DB: client({address}) UNREGISTER category:topic key:{topic} subkey:");
        }
        Ok(())
    }

    fn ping(&self) {
        let Some(peer) = self.peer else { return };
        let last = self
            .directory
            .with(|registry, now| registry.ping(peer, now));
        debug!(
            "CLIENT({}): pinged (last ping {})",
            self.address,
            GoDuration(last)
        );
    }

    /// The decoder lets nothing be registered before IDENTIFY; this says the same where it matters.
    fn identified(&self) -> Result<PeerId, ErrorReply> {
        self.peer
            .ok_or_else(|| ErrorReply::new(ErrorCode::Invalid, "client must IDENTIFY"))
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        let Some(peer) = self.peer else { return };
        let registrations = self.directory.with(|registry, _| registry.disconnect(peer));
        info!(
            registrations,
            "DB: client({}) UNREGISTER everything, it is gone", self.address
        );
    }
}
