//! What an nsqd can be asked: what it is, how it does, and what is in it.

use bytes::Bytes;
use serde::Deserialize;

use super::{Client, RequestError, Stats, host_port, port, query};
use crate::connection::Address;
use crate::wire::{ChannelName, TopicName};

/// What an nsqd says of itself (`GET /info`). What is not told is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Info {
    /// Its version.
    pub version: String,
    /// Where consumers reach its host.
    pub broadcast_address: String,
    /// What it calls its host.
    pub hostname: String,
    /// Its port for HTTP; 0 if it has none.
    #[serde(deserialize_with = "port")]
    pub http_port: u16,
    /// Its port for the protocol; 0 on a unix socket.
    #[serde(deserialize_with = "port")]
    pub tcp_port: u16,
    /// When it started, in seconds since 1970.
    pub start_time: i64,
    /// Where it stands, for consumers that prefer what is near.
    pub topology_zone: String,
    /// The region of its zone.
    pub topology_region: String,
}

impl Info {
    /// Where it speaks the protocol.
    pub fn tcp_address(&self) -> Address {
        Address::Tcp(host_port(&self.broadcast_address, self.tcp_port))
    }

    /// Where it answers HTTP, by what it announces.
    pub fn http_address(&self) -> String {
        host_port(&self.broadcast_address, self.http_port)
    }
}

/// Which statistics are wanted. The default is everything but consumers and producers.
#[derive(Debug, Clone, Copy, Default)]
pub struct StatsQuery<'a> {
    /// Only this topic.
    pub topic: Option<&'a TopicName>,
    /// Only channels of this name, and topics that have one.
    pub channel: Option<&'a ChannelName>,
    /// With each consumer.
    pub clients: bool,
}

/// Questions to one nsqd.
#[derive(Debug, Clone, Copy)]
pub struct Nsqd<'a> {
    client: &'a Client,
    address: &'a str,
}

impl<'a> Nsqd<'a> {
    pub(super) fn new(client: &'a Client, address: &'a str) -> Self {
        Self { client, address }
    }

    /// Its topics and channels with their counts (`GET /stats`).
    pub async fn stats(&self, wanted: &StatsQuery<'_>) -> Result<Stats, RequestError> {
        let clients = (!wanted.clients).then_some("false");
        let values = [
            ("format", Some("json")),
            ("topic", wanted.topic.map(TopicName::as_str)),
            ("channel", wanted.channel.map(ChannelName::as_str)),
            ("include_clients", clients),
        ];
        let path = query::path("/stats", &values);
        self.client.get_json(self.address, &path).await
    }

    /// What it says of itself (`GET /info`).
    pub async fn info(&self) -> Result<Info, RequestError> {
        self.client.get_json(self.address, "/info").await
    }

    /// Succeeds if it is well (`GET /ping`).
    ///
    /// # Errors
    ///
    /// No answer, or status 500 with what is wrong, such as the last failed write to disk.
    pub async fn ping(&self) -> Result<(), RequestError> {
        self.client.get(self.address, "/ping").await.map(drop)
    }

    /// A setting as it is in force, such as `log_level` (`GET /config/…`).
    pub async fn config(&self, option: &str) -> Result<Bytes, RequestError> {
        let path = format!("/config/{}", query::escaped(option));
        self.client.get(self.address, &path).await
    }

    /// Changes a setting until nsqd ends, and returns it as it is then in force (`PUT /config/…`).
    pub async fn set_config(&self, option: &str, value: &str) -> Result<Bytes, RequestError> {
        let path = format!("/config/{}", query::escaped(option));
        let value = value.to_owned();
        self.client.put(self.address, &path, value).await
    }
}
