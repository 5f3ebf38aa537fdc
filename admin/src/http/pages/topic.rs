//! One topic, and one channel: asked for now, with what the last looks say of them.

use askama::Template;
use client::daemon::http::{Query, Response};

use super::figure::{Figure, Kind, Tag, figures};
use super::latency::Shares;
use super::spark::{Past, RANGES, Range};
use super::{Frame, Guest, filters, rendered};
use crate::cluster::{Channel, Client, ClusterError, Topic};
use crate::history::Subject;
use crate::sample::{ChannelSample, Figures};
use crate::session::Role;

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
    let channels = topic.channels.iter().flatten().map(|channel| {
        let seen = seen.channels.get(&channel.channel_name);
        judged(channel, &seen.cloned().unwrap_or_default())
    });
    let tag = Tag(seen.worst_verdict());
    let title = format!("{name} · {}", tag.0.name().replace('_', " "));
    let page = TopicPage {
        frame: Frame::new(guest, title, "topics", warnings.reports()),
        figures: figures("figures.", &seen.figures, &past, &Kind::OF_MANY),
        range,
        tag,
        shares: Shares::of(topic.e2e_processing_latency.as_ref()),
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
    let cluster = &guest.admin.cluster;
    let may_publish = guest.visitor.role >= Some(Role::Publisher);
    let (answer, may_peek) = tokio::join!(cluster.channel(topic, name), async {
        may_publish && cluster.may_peek(topic).await
    });
    let (channel, warnings) = answer?;
    let sample = guest.admin.scene.sample();
    let seen = sample.topics.get(topic);
    let seen = seen.and_then(|topic| topic.channels.get(name).cloned());
    let mut seen = seen.unwrap_or_default();
    seen.verdict = seen.verdict.refined(&channel);
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
            warnings.reports(),
        ),
        figures: figures("figures.", &seen.figures, &past, &kinds),
        range,
        nodes: channel.nodes.as_deref().unwrap_or_default(),
        clients: channel.clients.as_deref().unwrap_or_default(),
        distances: Distances::of(&channel),
        shares: Shares::of(channel.e2e_processing_latency.as_ref()),
        may_peek,
        judged: judged(&channel, &seen),
        channel: &channel,
    };
    Ok(rendered(&page))
}

/// How far what was delivered had to go, in percent: in the consumer's own zone, in its region, farther.
struct Distances([i64; 3]);

impl Distances {
    /// Nothing where nodes and consumers do not say where they are.
    fn of(channel: &Channel) -> Option<Self> {
        let counts = [
            channel.zone_local_msg_count,
            channel.region_local_msg_count,
            channel.global_msg_count,
        ];
        let percent = |count: i64| count.saturating_mul(100) / channel.delivery_msg_count.max(1);
        (counts[0] > 0 || counts[1] > 0).then(|| Self(counts.map(percent)))
    }
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
    shares: Shares,
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
    distances: Option<Distances>,
    shares: Shares,
    /// True if a node shows its messages to who asks.
    may_peek: bool,
    nodes: &'a [Channel],
    clients: &'a [Client],
}
