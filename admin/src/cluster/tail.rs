//! Where new messages of a topic can be had without taking any from anybody.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::answers::TopicStats;
use super::fault::UpstreamError;
use super::model::host_port;
use super::{Cluster, ClusterError, Node, STATS, escaped};

impl Cluster {
    /// The TCP addresses of the nodes on which the topic has a channel that is no tail's, with the names of the nodes. A topic
    /// without channels keeps what is published for the first one: where a tail were that, it would take all of it.
    ///
    /// # Errors
    ///
    /// Nobody has the topic or nobody answered; or none of those nodes may be connected to.
    pub(crate) async fn tailable(
        &self,
        topic: &str,
    ) -> Result<HashMap<SocketAddr, String>, ClusterError> {
        let path = format!("{STATS}&topic={}", escaped(topic));
        let (told, _) = self.stats_of_topic(topic, &path).await?;
        let (mut addresses, mut failures) = (HashMap::new(), Vec::new());
        for (node, stats) in told {
            let mut topics = stats.topics.iter();
            if !topics.any(|told| told.topic_name == topic && has_channel(told)) {
                continue;
            }
            let address = tcp_address(&node);
            match self.to_nodes().resolve(&address).await {
                Ok(found) => addresses.extend(found.first().map(|found| (*found, node.name()))),
                Err(fault) => failures.push(UpstreamError::new(&address, "", fault)),
            }
        }
        if addresses.is_empty() && !failures.is_empty() {
            return Err(super::round::failed(super::round::Kind::Nsqd, failures).into());
        }
        Ok(addresses)
    }
}

fn has_channel(topic: &TopicStats) -> bool {
    let mut channels = topic.channels.iter();
    channels.any(|channel| !channel.channel_name.starts_with(TAIL_PREFIX))
}

/// Where the node speaks the protocol: beside its HTTP, at the host where that was found.
fn tcp_address(node: &Node) -> String {
    let host = node.http_address.rsplit_once(':');
    let host = host.map_or(node.http_address.as_str(), |(host, _)| host);
    host_port(host.trim_matches(['[', ']']), node.tcp_port)
}

/// How the channels of tails are called: this, a number, and `#ephemeral`.
pub(crate) const TAIL_PREFIX: &str = "nsqadmin-tail-";
