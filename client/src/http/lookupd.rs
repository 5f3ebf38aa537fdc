//! What an nsqlookupd can be asked: which nsqds there are, and which of them have a topic.

use serde::Deserialize;

use super::{Client, RequestError, host_port, or_default, port, query};
use crate::connection::Address;
use crate::wire::TopicName;

/// An nsqd, as an nsqlookupd tells of it. What is not told is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Producer {
    /// Where its connection to the nsqlookupd comes from.
    pub remote_address: String,
    /// What it calls its host.
    pub hostname: String,
    /// Where consumers reach its host.
    pub broadcast_address: String,
    /// Its port for the protocol.
    #[serde(deserialize_with = "port")]
    pub tcp_port: u16,
    /// Its port for HTTP; 0 if it has none.
    #[serde(deserialize_with = "port")]
    pub http_port: u16,
    /// Its version.
    pub version: String,
    /// Where it stands, for consumers that prefer what is near.
    pub topology_zone: String,
    /// The region of its zone.
    pub topology_region: String,
    /// Its topics. Only told by [`Lookupd::nodes`].
    #[serde(deserialize_with = "or_default")]
    pub topics: Vec<String>,
    /// For each topic, whether it is hidden from consumers. May be shorter than `topics`: the rest is not.
    #[serde(deserialize_with = "or_default")]
    pub tombstones: Vec<bool>,
}

impl Producer {
    /// Where it speaks the protocol.
    pub fn tcp_address(&self) -> Address {
        Address::Tcp(host_port(&self.broadcast_address, self.tcp_port))
    }

    /// Where it answers HTTP.
    pub fn http_address(&self) -> String {
        host_port(&self.broadcast_address, self.http_port)
    }
}

/// What an nsqlookupd knows of a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Lookup {
    /// Its channels, on any nsqd.
    #[serde(deserialize_with = "or_default")]
    pub channels: Vec<String>,
    /// The nsqds that have it, but for those that are silent or hidden.
    #[serde(deserialize_with = "or_default")]
    pub producers: Vec<Producer>,
}

/// Questions to one nsqlookupd.
#[derive(Debug, Clone, Copy)]
pub struct Lookupd<'a> {
    client: &'a Client,
    address: &'a str,
}

impl<'a> Lookupd<'a> {
    pub(super) fn new(client: &'a Client, address: &'a str) -> Self {
        Self { client, address }
    }

    /// What is known of a topic; `None` if it is unknown (`GET /lookup`).
    pub async fn lookup(&self, topic: &TopicName) -> Result<Option<Lookup>, RequestError> {
        let path = query::path("/lookup", &[("topic", Some(topic.as_str()))]);
        match self.client.get_json(self.address, &path).await {
            Ok(lookup) => Ok(Some(lookup)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The nsqds that have a topic; none if it is unknown (`GET /lookup`).
    pub async fn producers(&self, topic: &TopicName) -> Result<Vec<Producer>, RequestError> {
        let lookup = self.lookup(topic).await?;
        Ok(lookup.unwrap_or_default().producers)
    }

    /// All topics, also those that no nsqd has (`GET /topics`).
    pub async fn topics(&self) -> Result<Vec<String>, RequestError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Answer {
            #[serde(deserialize_with = "or_default")]
            topics: Vec<String>,
        }
        let answer: Answer = self.client.get_json(self.address, "/topics").await?;
        Ok(answer.topics)
    }

    /// The channels of a topic; none if it is unknown (`GET /channels`).
    pub async fn channels(&self, topic: &TopicName) -> Result<Vec<String>, RequestError> {
        let path = query::path("/channels", &[("topic", Some(topic.as_str()))]);
        let answer: Lookup = self.client.get_json(self.address, &path).await?;
        Ok(answer.channels)
    }

    /// All nsqds that are registered, one for each connection, with their topics (`GET /nodes`).
    pub async fn nodes(&self) -> Result<Vec<Producer>, RequestError> {
        let answer: Lookup = self.client.get_json(self.address, "/nodes").await?;
        Ok(answer.producers)
    }

    /// Hides an nsqd (`host:http_port`, as it is announced) from those who look for the topic, for as long as the
    /// nsqlookupd's `-tombstone-lifetime` says (`POST /topic/tombstone`).
    pub async fn tombstone(&self, topic: &TopicName, node: &str) -> Result<(), RequestError> {
        let values = [("topic", Some(topic.as_str())), ("node", Some(node))];
        let path = query::path("/topic/tombstone", &values);
        let answer = self.client.post(self.address, &path, "").await;
        answer.map(drop)
    }
}
