//! What people see: pages made here, complete without a script, from what was seen last and what nodes answer now.
//!
//! | file | owns |
//! | --- | --- |
//! | `mod.rs` | which page, what stands around it, and what is said when there is nothing to show |
//! | `topics.rs` | overview, topics, counter |
//! | `topic.rs` | a topic, a channel |
//! | `nodes.rs` | nodes, a node |
//! | `people.rs` | consumers and publishers, nsqlookupds, the audit log |
//! | `figure.rs`, `spark.rs`, `latency.rs` | parts: a figure, a verdict; the line of its past; columns of latency |

mod figure;
mod latency;
mod nodes;
mod people;
mod spark;
mod topic;
mod topics;

use askama::Template;
use client::daemon::http::{HttpError, Request, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::target::{Page, View};
use super::{Admin, filters, told};
use crate::access::Visitor;
use crate::cluster::{ClusterError, Report};
use crate::session::Role;

/// Answers a GET for a page; where there is nothing to show, with a page that says why.
pub(super) async fn show(
    admin: &Admin,
    visitor: &Visitor,
    page: &Page,
    request: &Request,
) -> Result<Response, HttpError> {
    let (guest, query) = (Guest { admin, visitor }, request.query()?);
    let shown = match page {
        Page::Overview => Ok(topics::overview(guest, &query)),
        Page::Of(View::Topics) => topics::list(guest).await,
        Page::Of(View::Topic(name)) => topic::topic(guest, name, &query).await,
        Page::Of(View::Channel(topic, name)) => topic::channel(guest, topic, name, &query).await,
        Page::Of(View::Nodes) => nodes::list(guest).await,
        Page::Of(View::Node(name)) => nodes::one(guest, name, &query).await,
        Page::Of(View::Counter) => Ok(topics::counter(guest)),
        Page::Consumers => people::consumers(guest, &query).await,
        Page::Lookup => Ok(people::lookup(guest).await),
        Page::Audit => Ok(people::audit(guest)),
    };
    Ok(shown.unwrap_or_else(|error| {
        let (title, text) = explained(&error);
        let (status, message) = told(&error);
        let refusal = Refusal {
            status,
            title,
            text,
            message: &message,
        };
        refused(guest, &refusal, error.reports())
    }))
}

/// The page to log in on.
pub(super) fn login(admin: &Admin, visitor: &Visitor) -> Response {
    let guest = Guest { admin, visitor };
    rendered(&LoginPage {
        frame: Frame::new(guest, "Log in".to_owned(), "login", Vec::new()),
    })
}

/// The page for a path that stands for nothing.
pub(super) fn nothing_there(admin: &Admin, visitor: &Visitor) -> Response {
    let refusal = Refusal {
        status: StatusCode::NOT_FOUND,
        title: "Nothing here",
        text: "No page has this address.",
        message: "NOT_FOUND",
    };
    refused(Guest { admin, visitor }, &refusal, Vec::new())
}

/// The page for who may not see a page.
pub(super) fn forbidden(admin: &Admin, visitor: &Visitor) -> Response {
    let refusal = Refusal {
        status: StatusCode::FORBIDDEN,
        title: "Not for you",
        text: "Only administrators may see this page.",
        message: "FORBIDDEN",
    };
    refused(Guest { admin, visitor }, &refusal, Vec::new())
}

/// Why there is no page.
struct Refusal<'a> {
    status: StatusCode,
    title: &'a str,
    text: &'a str,
    /// The same in the API's words.
    message: &'a str,
}

fn refused(guest: Guest<'_>, refusal: &Refusal<'_>, reports: Vec<Report>) -> Response {
    let page = ErrorPage {
        frame: Frame::new(guest, refusal.title.to_owned(), "", Vec::new()),
        text: refusal.text,
        // Reports tell more of it.
        message: Some(refusal.message).filter(|_| reports.is_empty()),
        reports,
    };
    rendered(&page).with_status(refusal.status)
}

/// What an error means, for people: a title and a sentence.
fn explained(error: &ClusterError) -> (&'static str, &'static str) {
    match error {
        ClusterError::NodeNotFound => (
            "No such node",
            "No node of this name is known. It may have left.",
        ),
        ClusterError::TopicNotFound => ("No such topic", "Nobody knows a topic of this name."),
        ClusterError::ChannelNotFound => ("No such channel", "No node has a channel of this name."),
        ClusterError::Unanswered(_) => (
            "Nobody answers",
            "Nobody who had to be asked has answered. Do they run, and are they to be reached from here under these addresses?",
        ),
    }
}

fn rendered(page: &impl Template) -> Response {
    let html = page.render().expect("a String takes everything");
    let content_type = HeaderValue::from_static("text/html; charset=utf-8");
    Response::plain(&html).with_header(CONTENT_TYPE, content_type)
}

/// For whom a page is made.
#[derive(Clone, Copy)]
struct Guest<'a> {
    admin: &'a Admin,
    visitor: &'a Visitor,
}

/// What every page has around its content.
struct Frame<'a> {
    /// What stands before every path.
    base: &'a str,
    title: String,
    /// The part of the site that the page belongs to, or none.
    part: &'static str,
    warnings: Vec<Report>,
    user: &'a str,
    is_session: bool,
    may_publish: bool,
    may_act: bool,
}

impl<'a> Frame<'a> {
    fn new(guest: Guest<'a>, title: String, part: &'static str, warnings: Vec<Report>) -> Self {
        let Guest { admin, visitor } = guest;
        Self {
            base: &admin.base_path,
            title,
            part,
            warnings,
            user: &visitor.user,
            is_session: visitor.known_by == crate::access::KnownBy::Password,
            may_publish: visitor.role >= Some(Role::Publisher),
            may_act: visitor.role == Some(Role::Admin),
        }
    }

    /// The parts that the visitor can go to: path and name.
    fn parts(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        let parts = [
            ("overview", "/", "Overview"),
            ("topics", "/topics", "Topics"),
            ("nodes", "/nodes", "Nodes"),
            ("consumers", "/consumers", "Consumers"),
            ("lookup", "/lookup", "Lookup"),
            ("counter", "/counter", "Counter"),
            ("audit", "/audit", "Audit"),
        ];
        let may_see = |part: &&(&str, _, _)| part.0 != "audit" || self.may_act;
        parts.iter().filter(may_see).copied().collect()
    }
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    frame: Frame<'a>,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame<'a>,
    text: &'a str,
    /// The same in the API's words.
    message: Option<&'a str>,
    /// Who did not answer.
    reports: Vec<Report>,
}
