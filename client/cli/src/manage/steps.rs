//! What is done to the cluster, and in which order.
//!
//! | what | steps; in each, all daemons at once |
//! | --- | --- |
//! | create a topic | every nsqlookupd; the nsqds of `--on`, or without nsqlookupds every nsqd |
//! | create a channel | every nsqlookupd; every nsqd that has the topic |
//! | delete | find the nsqds that have the topic; every nsqlookupd; those nsqds |
//! | empty, pause, unpause | every nsqd that has the topic |
//! | tombstone | every nsqlookupd; then delete the topic on that nsqd |
//!
//! nsqlookupds come before nsqds, so that no consumer is sent to what goes away.

use client::http::{Action, RequestError, Verb};
use client::wire::TopicName;

use crate::error::Error;
use crate::targets::{Cluster, Found, Node, Round, ask_all};

/// What one daemon made of a step.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// `nsqlookupd` or `nsqd`.
    pub(crate) daemon: &'static str,
    /// Where it was asked.
    pub(crate) address: String,
    /// Whether it did it.
    pub(crate) result: Result<(), RequestError>,
}

/// Does `action`, and returns what each daemon made of it. `on` are nsqds that are to create a topic too.
///
/// # Errors
///
/// Nobody knows the topic, or who has it cannot be found out.
pub(crate) async fn act(
    cluster: &Cluster,
    action: &Action,
    on: &[String],
) -> Result<Vec<Outcome>, Error> {
    if action.verb == Verb::Create {
        return create(cluster, action, on).await;
    }
    let Found { value, failures } = cluster.producers(&action.topic).await?;
    let Some(nodes) = value else {
        return Err(Error::NotFound(format!("no topic {}", action.topic)));
    };
    let mut outcomes = unanswered(failures);
    if action.verb == Verb::Delete {
        outcomes.extend(on_lookupds(cluster, action).await);
    }
    outcomes.extend(on_nodes(cluster, addresses(nodes), action).await);
    Ok(outcomes)
}

async fn create(cluster: &Cluster, action: &Action, on: &[String]) -> Result<Vec<Outcome>, Error> {
    let mut outcomes = on_lookupds(cluster, action).await;
    let nodes = match (&action.channel, cluster.lookupds.is_empty()) {
        (None, false) => on.to_vec(),
        (None, true) => cluster.nsqds.clone(),
        (Some(_), _) => {
            let found = cluster.producers(&action.topic).await?;
            outcomes.extend(unanswered(found.failures));
            addresses(found.value.unwrap_or_default())
        }
    };
    outcomes.extend(on_nodes(cluster, nodes, action).await);
    Ok(outcomes)
}

/// Hides an nsqd from those who look for the topic, and deletes the topic there.
pub(crate) async fn tombstone(cluster: &Cluster, topic: &TopicName, node: &str) -> Vec<Outcome> {
    let (client, hidden, name) = (cluster.client.clone(), topic.clone(), node.to_owned());
    let round = ask_all(cluster.lookupds.clone(), move |address| {
        let (client, topic, node) = (client.clone(), hidden.clone(), name.clone());
        async move { client.lookupd(&address).tombstone(&topic, &node).await }
    });
    let mut outcomes = outcomes("nsqlookupd", round.await);
    let action = Action {
        verb: Verb::Delete,
        topic: topic.clone(),
        channel: None,
    };
    outcomes.extend(on_nodes(cluster, vec![node.to_owned()], &action).await);
    outcomes
}

async fn on_lookupds(cluster: &Cluster, action: &Action) -> Vec<Outcome> {
    let round = each(cluster, cluster.lookupds.clone(), action).await;
    let mut outcomes = outcomes("nsqlookupd", round);
    // One that knows nothing of what is to go has nothing to do.
    for outcome in &mut outcomes {
        if outcome.is_absent() {
            outcome.result = Ok(());
        }
    }
    outcomes
}

async fn on_nodes(cluster: &Cluster, nodes: Vec<String>, action: &Action) -> Vec<Outcome> {
    outcomes("nsqd", each(cluster, nodes, action).await)
}

async fn each(cluster: &Cluster, addresses: Vec<String>, action: &Action) -> Round<()> {
    ask_all(addresses, |address| {
        let (client, action) = (cluster.client.clone(), action.clone());
        async move { client.act(&address, &action).await }
    })
    .await
}

impl Outcome {
    /// True if it was not there.
    pub(crate) fn is_absent(&self) -> bool {
        let failed = self.result.as_ref().err();
        failed.is_some_and(RequestError::is_not_found)
    }
}

fn outcomes(daemon: &'static str, round: Round<()>) -> Vec<Outcome> {
    let outcome = |(address, result)| Outcome {
        daemon,
        address,
        result,
    };
    round.0.into_iter().map(outcome).collect()
}

/// Who could not tell which nsqds have the topic: nsqds may have been missed.
fn unanswered(failures: Vec<RequestError>) -> Vec<Outcome> {
    let outcome = |error: RequestError| Outcome {
        daemon: "nsqlookupd",
        address: error.address.clone(),
        result: Err(error),
    };
    failures.into_iter().map(outcome).collect()
}

fn addresses(nodes: Vec<Node>) -> Vec<String> {
    nodes.into_iter().map(|node| node.address).collect()
}
