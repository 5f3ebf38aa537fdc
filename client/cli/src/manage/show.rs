//! What there is: lists of names, and one topic or channel on each nsqd.

use std::collections::BTreeSet;

use client::http::{ClientStats, RequestError};
use client::wire::TopicName;
use serde_json::json;

use crate::error::Error;
use crate::stat::print::{count, table};
use crate::stdout;
use crate::survey::{Filter, Meter, Row, Survey, survey};
use crate::table::{Column, Look, Table, has_colour};
use crate::targets::{Cluster, Targets, ask_all, warn};

/// The flags of commands that only show.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    targets: Targets,
}

/// Prints all topics, one per line.
pub(crate) async fn topics(arguments: &Arguments) -> Result<(), Error> {
    let cluster = arguments.targets.cluster().await?;
    let names = if cluster.lookupds.is_empty() {
        let survey = seen(&cluster, &Filter::default(), false).await?;
        let topics = survey.nodes.into_iter().flat_map(|node| node.stats.topics);
        topics.map(|topic| topic.topic_name).collect()
    } else {
        let client = cluster.client.clone();
        let round = ask_all(cluster.lookupds.clone(), move |address| {
            let client = client.clone();
            async move { client.lookupd(&address).topics().await }
        });
        union(round.await.at_least_one()?)
    };
    names_out(&names, arguments.json)
}

/// Prints all channels of a topic, one per line.
pub(crate) async fn channels(topic: &TopicName, arguments: &Arguments) -> Result<(), Error> {
    let cluster = arguments.targets.cluster().await?;
    let unknown = || Error::NotFound(format!("no topic {topic}; `nsq topic list` shows all"));
    let names = if cluster.lookupds.is_empty() {
        let filter = Filter::exactly(topic.clone(), None);
        let survey = seen(&cluster, &filter, false).await?;
        let topics = survey.nodes.into_iter().flat_map(|node| node.stats.topics);
        let mut topics = topics.peekable();
        topics.peek().ok_or_else(unknown)?;
        let channels = topics.flat_map(|topic| topic.channels);
        channels.map(|channel| channel.channel_name).collect()
    } else {
        let (client, asked) = (cluster.client.clone(), topic.clone());
        let round = ask_all(cluster.lookupds.clone(), move |address| {
            let (client, topic) = (client.clone(), asked.clone());
            async move { client.lookupd(&address).lookup(&topic).await }
        });
        let (lookups, failures) = round.await.at_least_one()?;
        let lists: Vec<_> = lookups.into_iter().flatten().map(|l| l.channels).collect();
        if lists.is_empty() {
            return Err(unknown());
        }
        union((lists, failures))
    };
    names_out(&names, arguments.json)
}

/// Prints one topic with its channels, or one channel with its consumers: over the cluster, then on each nsqd.
pub(crate) async fn one(filter: &Filter, arguments: &Arguments) -> Result<(), Error> {
    let cluster = arguments.targets.cluster().await?;
    let survey = seen(&cluster, filter, true).await?;
    let total = Meter::default().rows(&survey, filter);
    if total.is_empty() {
        crate::stat::known(filter)?;
    }
    let clients = clients(&survey);
    let nodes = by_node(survey, filter);
    if arguments.json {
        let nodes: Vec<_> = nodes
            .iter()
            .map(|(node, rows)| json!({"node": node, "rows": rows}))
            .collect();
        let clients: Vec<_> = clients.iter().map(Consumer::json).collect();
        let shown = json!({"rows": total, "nodes": nodes, "clients": clients});
        return stdout::print(&format!("{shown}\n"));
    }
    let colour = has_colour();
    let mut text = table(&total, colour);
    for (node, rows) in &nodes {
        text.push_str(&["\nnsqd ", node, "\n", &table(rows, colour)].concat());
    }
    if !clients.is_empty() {
        text.push('\n');
        text.push_str(&consumers(&clients).render(colour));
    }
    stdout::print(&text)
}

/// A survey whose gaps are named on stderr.
async fn seen(cluster: &Cluster, filter: &Filter, clients: bool) -> Result<Survey, Error> {
    let survey = survey(cluster, filter, clients).await?;
    for error in survey.missing() {
        warn(error);
    }
    Ok(survey)
}

fn by_node(survey: Survey, filter: &Filter) -> Vec<(String, Vec<Row>)> {
    let nodes = survey.nodes.into_iter().map(|node| {
        let address = node.address.clone();
        let alone = Survey {
            nodes: vec![node],
            silent: Vec::new(),
            failures: Vec::new(),
        };
        (address, Meter::default().rows(&alone, filter))
    });
    nodes.filter(|(_, rows)| !rows.is_empty()).collect()
}

/// A consumer, and where it is.
#[derive(Debug)]
pub(crate) struct Consumer {
    /// The nsqd that it is connected to.
    pub(crate) node: String,
    /// Its channel.
    pub(crate) channel: String,
    /// What nsqd says of it.
    pub(crate) stats: ClientStats,
}

impl Consumer {
    fn json(&self) -> serde_json::Value {
        let stats = &self.stats;
        json!({
            "node": self.node,
            "channel": self.channel,
            "client_id": stats.client_id,
            "hostname": stats.hostname,
            "remote_address": stats.remote_address,
            "user_agent": stats.user_agent,
            "ready_count": stats.ready_count,
            "in_flight_count": stats.in_flight_count,
            "message_count": stats.message_count,
            "finish_count": stats.finish_count,
            "requeue_count": stats.requeue_count,
            "connect_ts": stats.connect_ts,
        })
    }
}

/// All consumers of what was looked at.
pub(crate) fn clients(survey: &Survey) -> Vec<Consumer> {
    let mut consumers = Vec::new();
    for node in &survey.nodes {
        let topics = node.stats.topics.iter();
        for channel in topics.flat_map(|topic| &topic.channels) {
            consumers.extend(channel.clients.iter().map(|stats| Consumer {
                node: node.address.clone(),
                channel: channel.channel_name.clone(),
                stats: stats.clone(),
            }));
        }
    }
    consumers
}

fn consumers(consumers: &[Consumer]) -> Table {
    let mut table = Table::new(&[
        Column::Text("CONSUMER"),
        Column::Text("FROM"),
        Column::Text("USER AGENT"),
        Column::Text("CHANNEL"),
        Column::Text("NSQD"),
        Column::Figure("READY"),
        Column::Figure("IN FLIGHT"),
        Column::Figure("FINISHED"),
        Column::Figure("REQUEUED"),
        Column::Figure("MESSAGES"),
    ]);
    for consumer in consumers {
        let stats = &consumer.stats;
        let cells = vec![
            stats.client_id.clone(),
            stats.remote_address.clone(),
            stats.user_agent.clone(),
            consumer.channel.clone(),
            consumer.node.clone(),
            count(stats.ready_count),
            count(stats.in_flight_count),
            count(stats.finish_count),
            count(stats.requeue_count),
            count(stats.message_count),
        ];
        table.push(Look::Plain, cells);
    }
    table
}

/// All names of all lists; who did not tell is named on stderr.
fn union((lists, failures): (Vec<Vec<String>>, Vec<RequestError>)) -> BTreeSet<String> {
    for error in &failures {
        warn(error);
    }
    lists.into_iter().flatten().collect()
}

fn names_out(names: &BTreeSet<String>, json: bool) -> Result<(), Error> {
    let text = if json {
        format!("{}\n", json!(names))
    } else {
        let lines = names.iter().map(|name| name.clone() + "\n");
        lines.collect()
    };
    stdout::print(&text)
}
