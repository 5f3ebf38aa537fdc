//! Who is connected, what nsqlookupds know, and who has done what.

use std::collections::BTreeMap;

use askama::Template;
use client::daemon::http::{Query, Response};

use super::{Frame, Guest, filters, rendered};
use crate::cluster::{ClusterError, Consumer, Lookupd, Publisher, unix_seconds};
use crate::notify::Notification;

/// All consumers and publishers, or those whose names have `?q=` in them.
pub(super) async fn consumers(guest: Guest<'_>, query: &Query) -> Result<Response, ClusterError> {
    let lists = guest.admin.people.lists(&guest.admin.cluster).await?;
    let words = query.get("q").unwrap_or_default();
    let wanted = words.to_lowercase();
    let consumers = lists.consumers.iter();
    let consumers = consumers.filter(|consumer| consumer.is_called(&wanted));
    let publishers = lists.publishers.iter();
    let publishers = publishers.filter(|publisher| publisher.is_called(&wanted));
    let (consumers, publishers): (Vec<_>, Vec<_>) = (consumers.collect(), publishers.collect());
    let page = ConsumersPage {
        frame: Frame::new(
            guest,
            "Consumers".to_owned(),
            "consumers",
            lists.warnings.reports(),
        ),
        words,
        now: unix_seconds(),
        consumer_count: consumers.len(),
        consumers: &consumers[..consumers.len().min(ROWS_MAX)],
        publisher_count: publishers.len(),
        publishers: &publishers[..publishers.len().min(ROWS_MAX)],
    };
    Ok(rendered(&page))
}

/// Each nsqlookupd, and what is on no node.
pub(super) async fn lookup(guest: Guest<'_>) -> Response {
    let cluster = &guest.admin.cluster;
    let lookupds = cluster.explained().await;
    let (inactive, warnings) = match cluster.inactive_topics().await {
        Ok((topics, warnings)) => (topics, warnings.reports()),
        Err(error) => (BTreeMap::new(), error.reports()),
    };
    let differ =
        |lookupd: &Lookupd| !lookupd.missing_topics.is_empty() || !lookupd.missing_nodes.is_empty();
    rendered(&LookupPage {
        frame: Frame::new(guest, "Lookup".to_owned(), "lookup", warnings),
        do_differ: lookupds.iter().any(differ),
        has_tombstones: lookupds
            .iter()
            .any(|lookupd| !lookupd.tombstones.is_empty()),
        lookupds,
        inactive,
    })
}

/// What was done last.
pub(super) fn audit(guest: Guest<'_>) -> Response {
    rendered(&AuditPage {
        frame: Frame::new(guest, "Audit".to_owned(), "audit", Vec::new()),
        deeds: guest.admin.audit.newest(DEEDS_MAX),
        now: unix_seconds(),
    })
}

#[derive(Template)]
#[template(path = "consumers.html")]
struct ConsumersPage<'a> {
    frame: Frame<'a>,
    words: &'a str,
    consumers: &'a [&'a Consumer],
    consumer_count: usize,
    publishers: &'a [&'a Publisher],
    publisher_count: usize,
    /// In Unix seconds.
    now: i64,
}

#[derive(Template)]
#[template(path = "lookup.html")]
struct LookupPage<'a> {
    frame: Frame<'a>,
    lookupds: Vec<Lookupd>,
    do_differ: bool,
    has_tombstones: bool,
    inactive: BTreeMap<String, Option<Vec<String>>>,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage<'a> {
    frame: Frame<'a>,
    deeds: Vec<Notification>,
    now: i64,
}

/// More is found by asking for less.
const ROWS_MAX: usize = 1000;
const DEEDS_MAX: usize = 500;
