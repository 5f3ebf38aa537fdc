//! One topic, and one channel: asked for now, with what the last looks say of them.

use askama::Template;
use client::daemon::http::{Query, Response};

use super::figure::{Figure, Kind, Tag, figures};
use super::spark::{Past, RANGES, Range};
use super::{Frame, Guest, filters, rendered};
use crate::cluster::{Channel, Client, ClusterError, Topic};
use crate::history::Subject;
use crate::sample::{ChannelSample, Figures};

pub(super) async fn topic(
    guest: Guest<'_>,
    name: &str,
    query: &Query,
) -> Result<Response, ClusterError> {
    let (topic, warnings) = guest.admin.cluster.topic(name).await?;
    let sample = guest.admin.scene.sample();
    let seen = sample.topics.get(name).cloned().unwrap_or_default();
    let range = Range::read(query);
    let past = Past::new(guest.admin, &Subject::Topic(name.to_owned()), range);
    let kinds = [
        Kind::Published,
        Kind::Finished,
        Kind::Waiting,
        Kind::InFlight,
        Kind::Consumers,
    ];
    let channels = topic.channels.iter().flatten().map(|channel| {
        let seen = seen.channels.get(&channel.channel_name);
        judged(channel, &seen.cloned().unwrap_or_default())
    });
    let tag = Tag(seen.worst_verdict());
    let title = format!("{name} · {}", tag.0.name().replace('_', " "));
    let page = TopicPage {
        frame: Frame::new(guest, title, "topics", warnings.texts()),
        figures: figures("figures.", &seen.figures, &past, &kinds),
        range,
        tag,
        nodes: topic.nodes.as_deref().unwrap_or_default(),
        channels: channels.collect(),
        topic: &topic,
    };
    Ok(rendered(&page))
}

pub(super) async fn channel(
    guest: Guest<'_>,
    topic: &str,
    name: &str,
    query: &Query,
) -> Result<Response, ClusterError> {
    let (channel, warnings) = guest.admin.cluster.channel(topic, name).await?;
    let sample = guest.admin.scene.sample();
    let seen = sample.topics.get(topic);
    let seen = seen.and_then(|topic| topic.channels.get(name).cloned());
    let seen = seen.unwrap_or_default();
    let range = Range::read(query);
    let subject = Subject::Channel(topic.to_owned(), name.to_owned());
    let past = Past::new(guest.admin, &subject, range);
    let kinds = [
        Kind::Received,
        Kind::Finished,
        Kind::Waiting,
        Kind::InFlight,
        Kind::Deferred,
        Kind::Requeued,
        Kind::TimedOut,
    ];
    let verdict = seen.verdict.name().replace('_', " ");
    let page = ChannelPage {
        frame: Frame::new(
            guest,
            format!("{topic} / {name} · {verdict}"),
            "topics",
            warnings.texts(),
        ),
        figures: figures("figures.", &seen.figures, &past, &kinds),
        range,
        nodes: channel.nodes.as_deref().unwrap_or_default(),
        clients: channel.clients.as_deref().unwrap_or_default(),
        imbalance: imbalance(&seen),
        judged: judged(&channel, &seen),
        channel: &channel,
    };
    Ok(rendered(&page))
}

/// The share of what waits that is on the fullest node, in percent, if that is most of it.
fn imbalance(seen: &ChannelSample) -> Option<i64> {
    let depth = seen.figures.depth;
    let share = seen.node_depth_max.saturating_mul(100) / depth.max(1);
    (seen.nodes > 1 && depth >= IMBALANCE_DEPTH_MIN && share > IMBALANCE_SHARE).then_some(share)
}

/// A channel and what is to be said of it.
struct Judged<'a> {
    channel: &'a Channel,
    figures: Figures,
    tag: Tag,
}

fn judged<'a>(channel: &'a Channel, seen: &ChannelSample) -> Judged<'a> {
    Judged {
        channel,
        figures: seen.figures,
        tag: Tag(seen.verdict),
    }
}

#[derive(Template)]
#[template(path = "topic.html")]
struct TopicPage<'a> {
    frame: Frame<'a>,
    topic: &'a Topic,
    tag: Tag,
    figures: Vec<Figure>,
    range: Range,
    channels: Vec<Judged<'a>>,
    nodes: &'a [Topic],
}

#[derive(Template)]
#[template(path = "channel.html")]
struct ChannelPage<'a> {
    frame: Frame<'a>,
    channel: &'a Channel,
    judged: Judged<'a>,
    figures: Vec<Figure>,
    range: Range,
    imbalance: Option<i64>,
    nodes: &'a [Channel],
    clients: &'a [Client],
}

/// Above this share of what waits, in percent, a node has too much of it; below this depth it does not matter.
const IMBALANCE_SHARE: i64 = 80;
const IMBALANCE_DEPTH_MIN: i64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_holds_nearly_all_is_told() {
        let seen = |nodes, depth, node_depth_max| ChannelSample {
            nodes,
            node_depth_max,
            figures: Figures {
                depth,
                ..Figures::default()
            },
            ..ChannelSample::default()
        };
        assert_eq!(imbalance(&seen(3, 1000, 900)), Some(90));
        for even in [
            seen(3, 1000, 800),
            seen(1, 1000, 1000),
            seen(3, 99, 99),
            seen(0, 0, 0),
        ] {
            assert_eq!(imbalance(&even), None, "{even:?}");
        }
    }
}
