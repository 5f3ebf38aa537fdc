//! Messages that wait are looked at; others are published.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use client::daemon::http::{HttpError, Query, Request, Response};
use client::wire::NameRef;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{Admin, api, body, deed, required, told};
use crate::access::Visitor;
use crate::cluster::{Look, Publication, State};

/// GET `/api/peek?topic=&channel=&node=&state=&n=&offset=`.
pub(super) async fn peek(
    admin: &Admin,
    visitor: &Visitor,
    request: &Request,
) -> Result<Response, HttpError> {
    let look = look(&request.query()?)?;
    let peeked = admin.cluster.peek(&look).await;
    let mut deed = deed(visitor, request, "peek_channel");
    (deed.topic, deed.channel) = (look.topic, look.channel);
    deed.node = look.node.unwrap_or_default();
    deed.result = peeked
        .as_ref()
        .map_or_else(|error| told(error).1, |(_, warnings)| warnings.message());
    admin.audit.record(deed);
    Ok(match peeked {
        Ok((messages, warnings)) => api::with_message(json!({ "messages": messages }), &warnings),
        Err(error) => api::refused(&error),
    })
}

fn look(query: &Query) -> Result<Look, HttpError> {
    let count = query.get("n").map_or(Ok(10), str::parse);
    let count = count.ok().filter(|count| (1..=PEEK_MAX).contains(count));
    let offset = query.get("offset").map_or(Ok(0), str::parse);
    let state = query
        .get("state")
        .map_or(Some(State::default()), State::parse);
    let node = query.get("node").filter(|node| !node.is_empty());
    Ok(Look {
        topic: required(query, "topic", "MISSING_ARG_TOPIC")?,
        channel: required(query, "channel", "MISSING_ARG_CHANNEL")?,
        node: node.map(str::to_owned),
        state: state.ok_or(HttpError::bad_request("INVALID_ARG_STATE"))?,
        count: count.ok_or(HttpError::bad_request("INVALID_ARG_N"))?,
        offset: offset.map_err(|_| HttpError::bad_request("INVALID_ARG_OFFSET"))?,
    })
}

/// What POST `/api/publish` takes: `body` as text, or `body_base64`.
#[derive(Debug, Deserialize)]
struct Form {
    topic: String,
    #[serde(default)]
    node: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    body_base64: String,
    /// A message for each line of the body.
    #[serde(default)]
    batch: bool,
    #[serde(default)]
    defer_ms: u64,
}

/// POST `/api/publish`.
pub(super) async fn publish(
    admin: &Admin,
    visitor: &Visitor,
    mut request: Request,
) -> Result<Response, HttpError> {
    let form: Form = body(&mut request, FORM_BYTES_MAX).await?;
    let publication = publication(form)?;
    let published = admin.cluster.publish(&publication).await;
    let mut deed = deed(visitor, &request, "publish_message");
    deed.topic.clone_from(&publication.topic);
    deed.detail = format!("{} bytes", publication.body.len());
    match &published {
        Ok((node, warnings)) => {
            deed.nodes = vec![node.clone()];
            deed.result = warnings.message();
        }
        Err(error) => deed.result = told(error).1,
    }
    admin.audit.record(deed);
    Ok(match published {
        Ok((node, warnings)) => api::with_message(json!({ "node": node }), &warnings),
        Err(error) => api::refused(&error),
    })
}

fn publication(form: Form) -> Result<Publication, HttpError> {
    if NameRef::parse(form.topic.as_bytes()).is_err() {
        return Err(HttpError::bad_request("INVALID_TOPIC"));
    }
    let body = match (form.body.is_empty(), form.body_base64.is_empty()) {
        (true, true) => return Err(HttpError::bad_request("MSG_EMPTY")),
        (false, false) => return Err(HttpError::bad_request("INVALID_BODY")),
        (false, true) => form.body.into_bytes(),
        (true, false) => {
            let bytes = BASE64_STANDARD.decode(&form.body_base64);
            bytes.map_err(|_| HttpError::bad_request("INVALID_BODY"))?
        }
    };
    if body.len() > BODY_BYTES_MAX {
        return Err(HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "MSG_TOO_BIG"));
    }
    // nsqd defers single messages only.
    if form.batch && form.defer_ms > 0 {
        return Err(HttpError::bad_request("INVALID_DEFER"));
    }
    Ok(Publication {
        topic: form.topic,
        node: Some(form.node).filter(|node| !node.is_empty()),
        body: Bytes::from(body),
        is_batch: form.batch,
        defer_ms: form.defer_ms,
    })
}

/// Messages looked at on a node at a time.
const PEEK_MAX: usize = 100;
/// nsqd's own bound for a body, as it comes.
const BODY_BYTES_MAX: usize = 5 << 20;
/// The same with the escapes of JSON, or as base64.
const FORM_BYTES_MAX: usize = 8 << 20;
