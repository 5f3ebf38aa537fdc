//! The way to a name: topics, nodes, channels and clients that have all the words of a question in theirs.

use client::daemon::http::{HttpError, Request, Response};
use serde_json::{Value, json};

use super::{Admin, required};
use crate::sample::Sample;

/// GET `/api/search?q=`: consumers only if they were listed a moment ago.
pub(super) fn search(admin: &Admin, request: &Request) -> Result<Response, HttpError> {
    let words = Words::new(&required(&request.query()?, "q", "MISSING_ARG_Q")?);
    let sample = admin.scene.sample();
    let results = [
        topics(&sample, &words),
        nodes(&sample, &words),
        channels(&sample, &words),
        clients(admin, &words),
    ];
    Ok(Response::json(&json!({ "results": results.concat() })))
}

/// The words, in lower case.
struct Words(Vec<String>);

impl Words {
    fn new(text: &str) -> Self {
        let words = text.split_whitespace();
        Self(words.map(str::to_lowercase).collect())
    }

    /// True if all of them are in `name`.
    fn are_in(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.0.iter().all(|word| name.contains(word))
    }
}

fn topics(sample: &Sample, words: &Words) -> Vec<Value> {
    let names = sample.topics.keys().filter(|name| words.are_in(name));
    let found = names.map(|name| json!({ "kind": "topic", "topic": name }));
    found.take(RESULTS_MAX).collect()
}

fn nodes(sample: &Sample, words: &Words) -> Vec<Value> {
    let nodes = sample.nodes.iter();
    let nodes = nodes.filter(|(name, node)| words.are_in(&format!("{name} {}", node.hostname)));
    let found = nodes
        .map(|(name, node)| json!({ "kind": "node", "node": name, "hostname": node.hostname }));
    found.take(RESULTS_MAX).collect()
}

/// Those of topics that are found themselves are left out.
fn channels(sample: &Sample, words: &Words) -> Vec<Value> {
    let topics = sample.topics.iter();
    let topics = topics.filter(|(topic, _)| !words.are_in(topic));
    let channels = topics.flat_map(|(topic, seen)| {
        let names = seen.channels.keys();
        names.map(move |channel| (topic, channel))
    });
    let channels = channels.filter(|(topic, channel)| words.are_in(&format!("{topic}/{channel}")));
    let found = channels
        .map(|(topic, channel)| json!({ "kind": "channel", "topic": topic, "channel": channel }));
    found.take(RESULTS_MAX).collect()
}

fn clients(admin: &Admin, words: &Words) -> Vec<Value> {
    let consumers = admin.people.known_consumers().into_iter();
    let consumers = consumers.filter(|consumer| {
        let client = &consumer.client;
        let names = [&client.client_id, &client.hostname, &client.remote_address];
        words.are_in(&names.map(String::as_str).join(" "))
    });
    let found = consumers.map(|consumer| {
        json!({
            "kind": "client",
            "client_id": consumer.client.client_id,
            "hostname": consumer.client.hostname,
            "remote_address": consumer.client.remote_address,
            "topic": consumer.topic_name,
            "channel": consumer.channel_name,
        })
    });
    found.take(RESULTS_MAX).collect()
}

/// Of each kind.
const RESULTS_MAX: usize = 20;
