//! What operators ask before they act: who is connected, what each nsqlookupd knows, what an action would touch.

use client::daemon::http::{HttpError, Request, Response};
use serde_json::json;

use super::{Admin, api, required};
use crate::cluster::ClusterError;

/// GET `/api/lookup`.
pub(super) async fn lookup(admin: &Admin) -> Response {
    let lookupds = admin.cluster.explained().await;
    let (inactive, message) = match admin.cluster.inactive_topics().await {
        Ok((topics, warnings)) => (topics, warnings.message()),
        Err(error) => (std::collections::BTreeMap::new(), super::told(&error).1),
    };
    Response::json(&json!({
        "nsqlookupds": lookupds,
        "inactive_topics": inactive,
        "message": message,
    }))
}

/// GET `/api/consumers?q=&topic=&channel=&limit=`.
pub(super) async fn consumers(admin: &Admin, request: &Request) -> Result<Response, HttpError> {
    let filter = Filter::read(request)?;
    let lists = match admin.people.lists(&admin.cluster).await {
        Ok(lists) => lists,
        Err(error) => return Ok(api::refused(&error)),
    };
    let found = lists.consumers.iter().filter(|consumer| {
        let is_topic = filter.topic.is_empty() || filter.topic == consumer.topic_name;
        let is_channel = filter.channel.is_empty() || filter.channel == consumer.channel_name;
        is_topic && is_channel && consumer.is_called(&filter.text)
    });
    let found: Vec<_> = found.collect();
    Ok(Response::json(&json!({
        "total": found.len(),
        "consumers": found.into_iter().take(filter.limit).collect::<Vec<_>>(),
        "message": lists.warnings.message(),
    })))
}

/// GET `/api/publishers?q=&topic=&limit=`.
pub(super) async fn publishers(admin: &Admin, request: &Request) -> Result<Response, HttpError> {
    let filter = Filter::read(request)?;
    let lists = match admin.people.lists(&admin.cluster).await {
        Ok(lists) => lists,
        Err(error) => return Ok(api::refused(&error)),
    };
    let found = lists.publishers.iter().filter(|publisher| {
        let mut counts = publisher.pub_counts.iter();
        let is_topic = filter.topic.is_empty() || counts.any(|count| count.topic == filter.topic);
        is_topic && publisher.is_called(&filter.text)
    });
    let found: Vec<_> = found.collect();
    Ok(Response::json(&json!({
        "total": found.len(),
        "publishers": found.into_iter().take(filter.limit).collect::<Vec<_>>(),
        "message": lists.warnings.message(),
    })))
}

/// Which of many are asked for.
struct Filter {
    /// In lower case.
    text: String,
    topic: String,
    channel: String,
    limit: usize,
}

impl Filter {
    fn read(request: &Request) -> Result<Self, HttpError> {
        let query = request.query()?;
        let text = |name| query.get(name).unwrap_or_default().to_owned();
        let limit = query.get("limit").map_or(Ok(1000), str::parse);
        Ok(Self {
            text: text("q").to_lowercase(),
            topic: text("topic"),
            channel: text("channel"),
            limit: limit.map_err(|_| HttpError::bad_request("INVALID_ARG_LIMIT"))?,
        })
    }
}

/// GET `/api/impact?action=&topic=&channel=&node=`: the nodes that the action would touch, and what there is on them.
pub(super) async fn impact(admin: &Admin, request: &Request) -> Result<Response, HttpError> {
    let query = request.query()?;
    let action = required(&query, "action", "MISSING_ARG_ACTION")?;
    if !["pause", "unpause", "empty", "delete", "tombstone"].contains(&action.as_str()) {
        return Err(HttpError::bad_request("INVALID_ARG_ACTION"));
    }
    let topic = required(&query, "topic", "MISSING_ARG_TOPIC")?;
    let channel = query.get("channel").filter(|channel| !channel.is_empty());
    let node = query.get("node").filter(|node| !node.is_empty());
    let rows = match channel {
        None => on_topic(admin, &topic).await,
        Some(channel) => on_channel(admin, &topic, channel).await,
    };
    let (rows, message) = match rows {
        Ok(found) => found,
        Err(error) => return Ok(api::refused(&error)),
    };
    let rows = rows
        .into_iter()
        .filter(|row| node.is_none_or(|node| row.node == node));
    let rows: Vec<Row> = rows.collect();
    let sum = |count: fn(&Row) -> i64| rows.iter().map(count).fold(0, i64::saturating_add);
    // A pause loses nothing; emptying a topic leaves its channels alone.
    let loses = ["empty", "delete", "tombstone"].contains(&action.as_str());
    let lost = match (loses, channel.is_none() && action == "empty") {
        (false, _) => 0,
        (true, true) => sum(|row| row.queue_depth),
        (true, false) => sum(|row| row.depth),
    };
    Ok(Response::json(&json!({
        "action": action,
        "topic": topic,
        "channel": channel.unwrap_or_default(),
        "lost_messages": lost,
        "depth": sum(|row| row.depth),
        "in_flight_count": sum(|row| row.in_flight_count),
        "client_count": sum(|row| row.client_count),
        "nodes": rows,
        "message": message,
    })))
}

/// What there is on one node.
#[derive(serde::Serialize)]
struct Row {
    node: String,
    hostname: String,
    /// Of a topic that which no channel has been given yet; of a channel its depth.
    queue_depth: i64,
    /// Everything that waits, is in flight or is deferred.
    depth: i64,
    in_flight_count: i64,
    client_count: i64,
    paused: bool,
}

async fn on_topic(admin: &Admin, name: &str) -> Result<(Vec<Row>, String), ClusterError> {
    let (topic, warnings) = admin.cluster.topic(name).await?;
    let rows = topic.nodes.into_iter().flatten().map(|topic| {
        let mut row = Row {
            queue_depth: topic.depth,
            depth: topic.depth,
            in_flight_count: 0,
            client_count: 0,
            paused: topic.paused,
            node: topic.node,
            hostname: topic.hostname,
        };
        for channel in topic.channels.iter().flatten() {
            row.add(channel);
        }
        row
    });
    Ok((rows.collect(), warnings.message()))
}

async fn on_channel(
    admin: &Admin,
    topic: &str,
    name: &str,
) -> Result<(Vec<Row>, String), ClusterError> {
    let (channel, warnings) = admin.cluster.channel(topic, name).await?;
    let rows = channel.nodes.into_iter().flatten().map(|channel| {
        let mut row = Row {
            node: channel.node.clone(),
            hostname: channel.hostname.clone(),
            queue_depth: channel.depth,
            depth: 0,
            in_flight_count: 0,
            client_count: 0,
            paused: channel.paused,
        };
        row.add(&channel);
        row
    });
    Ok((rows.collect(), warnings.message()))
}

impl Row {
    fn add(&mut self, channel: &crate::cluster::Channel) {
        for count in [
            channel.depth,
            channel.in_flight_count,
            channel.deferred_count,
        ] {
            self.depth = self.depth.saturating_add(count);
        }
        self.in_flight_count = self.in_flight_count.saturating_add(channel.in_flight_count);
        self.client_count = self.client_count.saturating_add(channel.client_count);
    }
}
