//! What has been seen and done: history, live figures, alerts, the audit log.

use client::daemon::http::{HttpError, Query, Request, Response};
use hyper::StatusCode;
use hyper::header::{ACCEPT, HeaderValue};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

use super::{Admin, body, required};
use crate::access::Visitor;
use crate::history::{RINGS, Subject};
use crate::live::View;

/// GET `/api/history?topic=&channel=&node=&range=10m|2h|24h`.
pub(super) fn history(admin: &Admin, request: &Request) -> Result<Response, HttpError> {
    let query = request.query()?;
    let given = |name| {
        query
            .get(name)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    };
    let subject = match (given("topic"), given("channel"), given("node")) {
        (None, None, None) => Subject::Cluster,
        (None, None, Some(node)) => Subject::Node(node),
        (Some(topic), None, None) => Subject::Topic(topic),
        (Some(topic), Some(channel), None) => Subject::Channel(topic, channel),
        (None, Some(_), _) => return Err(HttpError::bad_request("MISSING_ARG_TOPIC")),
        // Of each node only the sum of all its topics is kept.
        (Some(_), _, Some(_)) => return Err(HttpError::bad_request("INVALID_ARG_NODE")),
    };
    let ring = match query.get("range") {
        None | Some("" | "10m") => RINGS[0],
        Some("2h") => RINGS[1],
        Some("24h") => RINGS[2],
        Some(_) => return Err(HttpError::bad_request("INVALID_ARG_RANGE")),
    };
    let points = admin.history.points(&subject, ring);
    let points = points.ok_or(HttpError::not_found("NO_HISTORY"))?;
    Ok(Response::json(&points))
}

/// GET `/api/live?view=…`: a stream of events for who asks for `text/event-stream`, else all there is to be seen now.
pub(super) async fn live(admin: &Admin, request: &Request) -> Result<Response, HttpError> {
    let view = view(&request.query()?)?;
    let accept = request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    if !accept.is_some_and(|accept| accept.contains(EVENTS)) {
        return Ok(Response::json(&admin.scene.whole(&view).await));
    }
    let events = admin.hub.watch(&admin.scene, view).await;
    let too_many = HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_VIEWERS");
    let events = events.ok_or(too_many)?;
    Ok(Response::stream(events, HeaderValue::from_static(EVENTS)))
}

fn view(query: &Query) -> Result<View, HttpError> {
    let topic = || required(query, "topic", "MISSING_ARG_TOPIC");
    Ok(match query.get("view") {
        None | Some("" | "overview") => View::Overview,
        Some("topics") => View::Topics,
        Some("topic") => View::Topic(topic()?),
        Some("channel") => {
            View::Channel(topic()?, required(query, "channel", "MISSING_ARG_CHANNEL")?)
        }
        Some("nodes") => View::Nodes,
        Some("node") => View::Node(required(query, "node", "MISSING_ARG_NODE")?),
        Some("counter") => View::Counter,
        Some(_) => return Err(HttpError::bad_request("INVALID_ARG_VIEW")),
    })
}

/// GET `/api/alerts`.
pub(super) fn alerts(admin: &Admin) -> Response {
    Response::json(&json!({ "alerts": admin.scene.alerts.firing() }))
}

/// POST `/api/alerts/silence` `{"id":"…","minutes":60}`; 0 minutes end a silence.
pub(super) async fn silence(
    admin: &Admin,
    visitor: &Visitor,
    mut request: Request,
) -> Result<Response, HttpError> {
    #[derive(Deserialize)]
    struct Silence {
        id: String,
        minutes: u64,
    }
    let silence: Silence = body(&mut request, SILENCE_BYTES_MAX).await?;
    if silence.id.is_empty() || silence.minutes > SILENCE_MINUTES_MAX {
        return Err(HttpError::bad_request("INVALID_BODY"));
    }
    let duration = Duration::from_secs(60 * silence.minutes);
    if !admin.scene.alerts.silence(&silence.id, duration) {
        return Err(HttpError::new(StatusCode::CONFLICT, "TOO_MANY_SILENCES"));
    }
    let mut deed = super::deed(visitor, &request, "silence_alert");
    deed.detail = format!("{} for {} min", silence.id, silence.minutes);
    admin.audit.record(deed);
    Ok(Response::json(&json!({ "message": "" })))
}

/// GET `/api/audit?n=`: what was done last, the newest first.
pub(super) fn audit(admin: &Admin, request: &Request) -> Result<Response, HttpError> {
    let query = request.query()?;
    let count = query.get("n").map_or(Ok(100), str::parse);
    let count = count.map_err(|_| HttpError::bad_request("INVALID_ARG_N"))?;
    Ok(Response::json(
        &json!({ "deeds": admin.audit.newest(count) }),
    ))
}

const EVENTS: &str = "text/event-stream";
const SILENCE_BYTES_MAX: usize = 4 << 10;
/// A year.
const SILENCE_MINUTES_MAX: u64 = 366 * 24 * 60;
