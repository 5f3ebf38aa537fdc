//! What an action would destroy, in words.

use client::http::{Action, Verb};

use crate::error::Error;
use crate::figures;
use crate::survey::{Counts, Filter, Meter, Row, survey};
use crate::targets::{Cluster, warn};

/// `topic orders`, or `channel billing of topic orders`.
pub(crate) fn name(action: &Action) -> String {
    match &action.channel {
        None => format!("topic {}", action.topic),
        Some(channel) => format!("channel {channel} of topic {}", action.topic),
    }
}

/// Asks what is there now, and says what of it would be lost.
///
/// # Errors
///
/// Nobody has it, or nobody answers.
pub(crate) async fn of(cluster: &Cluster, action: &Action) -> Result<String, Error> {
    let filter = Filter::exactly(action.topic.clone(), action.channel.clone());
    let survey = survey(cluster, &filter, false).await?;
    for error in survey.missing() {
        warn(error);
    }
    let rows = Meter::default().rows(&survey, &filter);
    let is_known_only = rows.is_empty()
        && action.channel.is_none()
        && cluster.producers(&action.topic).await?.value.is_some()
        && !cluster.lookupds.is_empty();
    if rows.is_empty() && !is_known_only {
        return Err(Error::NotFound(format!("no nsqd has {}", name(action))));
    }
    Ok(tell(action, &rows))
}

fn tell(action: &Action, rows: &[Row]) -> String {
    let (verb, concerned): (_, Vec<&Row>) = match (action.verb, &action.channel) {
        // Emptying a topic leaves its channels alone.
        (Verb::Empty, None) => {
            let topic = rows.iter().filter(|row| row.channel.is_none());
            ("emptying", topic.collect())
        }
        (Verb::Empty, Some(_)) => ("emptying", rows.iter().collect()),
        _ => ("deleting", rows.iter().collect()),
    };
    let mut sum = Counts::default();
    let mut channels = 0;
    for row in &concerned {
        sum += row.counts;
        channels += u64::from(row.channel.is_some());
    }
    let count = |count: i64| figures::count(count.max(0).unsigned_abs());
    let nodes = concerned.iter().map(|row| row.nodes).max().unwrap_or(0);
    let of_channels = match &action.channel {
        None if channels > 0 => format!(" in all, with {channels} channel{}", plural(channels)),
        _ => String::new(),
    };
    format!(
        "{verb} {} on {nodes} nsqd{} drops {} waiting, {} in flight and {} deferred{of_channels}; consumers now: {}",
        name(action),
        if nodes == 1 { "" } else { "s" },
        figures::messages(sum.depth.max(0).unsigned_abs()),
        count(sum.in_flight_count),
        count(sum.deferred_count),
        count(sum.client_count),
    )
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(channel: Option<&str>, depth: i64) -> Row {
        Row {
            channel: channel.map(ToOwned::to_owned),
            counts: Counts {
                depth,
                in_flight_count: i64::from(channel.is_some()),
                client_count: 2 * i64::from(channel.is_some()),
                ..Counts::default()
            },
            nodes: 2,
            ..Row::default()
        }
    }

    #[test]
    fn what_is_lost_is_counted_over_all_that_goes() {
        let rows = [row(None, 5), row(Some("a"), 1000), row(Some("b"), 1)];
        let mut action = Action {
            verb: Verb::Delete,
            topic: "orders".parse().unwrap(),
            channel: None,
        };
        assert_eq!(
            tell(&action, &rows),
            "deleting topic orders on 2 nsqds drops 1,006 messages waiting, 2 in flight and 0 deferred in all, \
             with 2 channels; consumers now: 4"
        );
        action.verb = Verb::Empty;
        assert_eq!(
            tell(&action, &rows),
            "emptying topic orders on 2 nsqds drops 5 messages waiting, 0 in flight and 0 deferred; consumers now: 0"
        );
        action.channel = Some("b".parse().unwrap());
        assert_eq!(
            tell(&action, &rows[2..]),
            "emptying channel b of topic orders on 2 nsqds drops 1 message waiting, 1 in flight and 0 deferred; \
             consumers now: 2"
        );
    }
}
