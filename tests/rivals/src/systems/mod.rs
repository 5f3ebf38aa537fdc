//! The systems that are compared, each behind the same verbs: a topic with channels, producers, consumers.
//!
//! | | topic | channel | confirmed by | finished by |
//! | --- | --- | --- | --- | --- |
//! | nsqd | topic | channel | `OK` | FIN |
//! | NATS core | subject | queue group | a marker that comes back behind the batch, as core confirms nothing | nothing |
//! | `JetStream` | stream | durable pull consumer | publish ack | explicit ack |
//! | Redis | stream | consumer group | the id of each XADD | XACK |
//! | discard | nothing is kept | | `OK` | |
//!
//! nsqd is spoken to in its own bytes, the others through their maintained clients, which write up to 64 KB or a whole pipeline at
//! once. The processor time that counts is that of the server, so the price of a client is not in it.

mod discard;
mod jetstream;
mod kind;
mod nats;
mod nsq;
mod redis;
mod server;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;

pub(crate) use discard::Discard;
pub(crate) use jetstream::JetStream;
pub(crate) use kind::{Kind, Programs};
pub(crate) use nats::Nats;
pub(crate) use nsq::{Level, Nsqd};
pub(crate) use redis::{AppendFsync, Redis};
pub(crate) use server::{Folder, Server};

use crate::error::Error;

/// Most messages that a consumer may hold unfinished: the largest ready count of nsqd by default.
pub(crate) const MAX_IN_FLIGHT: usize = 2500;

/// A running server, and how to talk to it. Its server ends when it is dropped.
pub(crate) trait System: Send + Sync + Sized + 'static {
    /// A connection that publishes to one topic.
    type Producer: Producer;
    /// A connection that consumes one channel.
    type Consumer: Consumer;

    /// The process whose costs are measured.
    fn server(&self) -> &Server;

    /// Stops cleanly, and starts again over the same data; tells how long that start took until clients were answered.
    fn restart(self) -> impl Future<Output = Result<(Self, Duration), Error>> + Send;

    /// Makes a topic with the channels of these names, none of which has a consumer.
    fn create(
        &self,
        topic: &str,
        channels: &[String],
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Connects a producer.
    fn producer(&self, topic: &str) -> impl Future<Output = Result<Self::Producer, Error>> + Send;

    /// Connects a consumer, which begins to receive at once.
    fn consumer(
        &self,
        topic: &str,
        channel: &str,
    ) -> impl Future<Output = Result<Self::Consumer, Error>> + Send;
}

/// How messages that are sent together look to a system which knows both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// As one command, if there is one for it (MPUB).
    Command,
    /// As so many commands of one message, in one write.
    Pipeline,
}

/// Publishes in batches, several of which may be unconfirmed.
pub(crate) trait Producer: Send + 'static {
    /// Messages as they are sent, made once and sent often.
    type Batch: Send + Sync + 'static;

    /// Prepares these messages.
    fn batch(&self, bodies: &[Bytes], grouping: Grouping) -> Self::Batch;

    /// Sends a batch, without waiting for its confirmation.
    fn send(&mut self, batch: &Self::Batch) -> impl Future<Output = Result<(), Error>> + Send;

    /// Waits until the server has confirmed the oldest unconfirmed batch. May be cancelled, and asked again.
    fn confirmed(&mut self) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Receives and finishes.
pub(crate) trait Consumer: Send + 'static {
    /// Waits for messages, shows the body of each that has come to `see`, finishes them, and returns how many there were.
    fn receive(
        &mut self,
        see: &mut (impl FnMut(&[u8]) + Send),
    ) -> impl Future<Output = Result<usize, Error>> + Send;
}
