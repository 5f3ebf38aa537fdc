//! What people see: pages made here, complete without a script. A page is a table or two; who did not answer stands above.

use std::collections::BTreeMap;

use askama::Template;
use client::daemon::http::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::target::View;
use super::{Admin, filters, told};
use crate::cluster::{Channel, Client, ClusterError, Node, NodeDetail, Topic, Warnings};
use crate::sample::{Figures, TopicSample};

/// Answers a GET for a page; where there is nothing to show, with a page that says why.
pub(super) async fn show(admin: &Admin, view: &View) -> Response {
    let page = match view {
        View::Topics => overview(admin).await,
        View::Topic(name) => topic(admin, name).await,
        View::Channel(topic, name) => channel(admin, topic, name).await,
        View::Nodes | View::Counter => nodes(admin).await,
        View::Node(name) => node(admin, name).await,
    };
    page.unwrap_or_else(|error| {
        let (status, message) = told(&error);
        let page = ErrorPage {
            frame: Frame::new(admin, "Nothing to show", "", &Warnings::default()),
            message: explained(&error, message),
        };
        rendered(&page).with_status(status)
    })
}

async fn overview(admin: &Admin) -> Result<Response, ClusterError> {
    let (names, warnings) = admin.cluster.topics().await?;
    let sample = admin.scene.sample();
    let mut lines: BTreeMap<String, TopicLine> = BTreeMap::new();
    // Some are on no node; of others, nsqlookupds have not heard yet.
    for name in names.into_iter().chain(sample.topics.keys().cloned()) {
        let line = TopicLine {
            name: name.clone(),
            topic: sample.topics.get(&name).cloned().unwrap_or_default(),
        };
        lines.insert(name, line);
    }
    let page = OverviewPage {
        frame: Frame::new(admin, "Topics", "topics", &warnings),
        total: sample.total,
        messages: sample.message_count,
        topics: lines.into_values().collect(),
    };
    Ok(rendered(&page))
}

/// The page to log in on.
pub(super) fn login(admin: &Admin) -> Response {
    let page = ErrorPage {
        frame: Frame::new(admin, "Log in", "", &Warnings::default()),
        message: "Log in to see the cluster.".to_owned(),
    };
    rendered(&page)
}

async fn topic(admin: &Admin, name: &str) -> Result<Response, ClusterError> {
    let (topic, warnings) = admin.cluster.topic(name).await?;
    let page = TopicPage {
        frame: Frame::new(admin, name, "topics", &warnings),
        nodes: topic.nodes.as_deref().unwrap_or_default(),
        channels: topic.channels.as_deref().unwrap_or_default(),
        topic: &topic,
    };
    Ok(rendered(&page))
}

async fn channel(admin: &Admin, topic: &str, name: &str) -> Result<Response, ClusterError> {
    let (channel, warnings) = admin.cluster.channel(topic, name).await?;
    let title = format!("{topic} / {name}");
    let page = ChannelPage {
        frame: Frame::new(admin, &title, "topics", &warnings),
        nodes: channel.nodes.as_deref().unwrap_or_default(),
        clients: channel.clients.as_deref().unwrap_or_default(),
        channel: &channel,
    };
    Ok(rendered(&page))
}

async fn nodes(admin: &Admin) -> Result<Response, ClusterError> {
    let (nodes, warnings) = admin.cluster.nodes().await?;
    let page = NodesPage {
        frame: Frame::new(admin, "Nodes", "nodes", &warnings),
        nodes: &nodes,
    };
    Ok(rendered(&page))
}

async fn node(admin: &Admin, name: &str) -> Result<Response, ClusterError> {
    let (node, warnings) = admin.cluster.node_detail(name).await?;
    let page = NodePage {
        frame: Frame::new(admin, name, "nodes", &warnings),
        node: &node,
    };
    Ok(rendered(&page))
}

fn rendered(page: &impl Template) -> Response {
    let html = page.render().expect("a String takes everything");
    let content_type = HeaderValue::from_static("text/html; charset=utf-8");
    Response::plain(&html).with_header(CONTENT_TYPE, content_type)
}

/// What an error means, for people.
fn explained(error: &ClusterError, message: String) -> String {
    match error {
        ClusterError::NodeNotFound => "No node of this name is known. It may have left.".to_owned(),
        ClusterError::TopicNotFound => "Nobody knows a topic of this name.".to_owned(),
        ClusterError::ChannelNotFound => "No node has a channel of this name.".to_owned(),
        ClusterError::Unanswered(_) => message,
    }
}

/// What every page has around its content.
struct Frame<'a> {
    /// What stands before every path.
    base: &'a str,
    title: &'a str,
    /// The part of the site that the page belongs to: `topics`, `nodes`, or none.
    part: &'static str,
    warnings: Vec<String>,
}

impl<'a> Frame<'a> {
    fn new(admin: &'a Admin, title: &'a str, part: &'static str, warnings: &Warnings) -> Self {
        Self {
            base: &admin.base_path,
            title,
            part,
            warnings: warnings.texts(),
        }
    }
}

/// A topic in the overview.
struct TopicLine {
    name: String,
    topic: TopicSample,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage<'a> {
    frame: Frame<'a>,
    topics: Vec<TopicLine>,
    total: Figures,
    messages: i64,
}

#[derive(Template)]
#[template(path = "topic.html")]
struct TopicPage<'a> {
    frame: Frame<'a>,
    topic: &'a Topic,
    nodes: &'a [Topic],
    channels: &'a [Channel],
}

#[derive(Template)]
#[template(path = "channel.html")]
struct ChannelPage<'a> {
    frame: Frame<'a>,
    channel: &'a Channel,
    nodes: &'a [Channel],
    clients: &'a [Client],
}

#[derive(Template)]
#[template(path = "nodes.html")]
struct NodesPage<'a> {
    frame: Frame<'a>,
    nodes: &'a [Node],
}

#[derive(Template)]
#[template(path = "node.html")]
struct NodePage<'a> {
    frame: Frame<'a>,
    node: &'a NodeDetail,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame<'a>,
    message: String,
}
