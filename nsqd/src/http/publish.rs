//! Taking messages: `/pub`, and `/mpub` with one message per line or in the form of MPUB.
//!
//! As in the reference, the topic is created as soon as its name is known to be valid, whatever is wrong with the rest.

use std::sync::Arc;
use std::time::Duration;

use client::daemon::http::{HttpError, Query, Request, Response};
use client::wire::{Batch, ErrorCode, Limits, TopicName};
use hyper::StatusCode;
use memchr::memchr;
use tracing::warn;

use super::Api;
use crate::node::Node;
use crate::topic::{PublishError, Topic};

/// POST `/pub?topic=…[&defer=<ms>]`: the body is the message.
pub(super) async fn publish(api: Arc<Api>, mut request: Request) -> Result<Response, HttpError> {
    let (node, limits) = (&api.node, api.node.limits());
    let body = request.body(limits.max_msg_size).await;
    let body = body.map_err(|error| error.answer("MSG_TOO_BIG"))?;
    if body.is_empty() {
        return Err(HttpError::bad_request("MSG_EMPTY"));
    }
    let query = request.query()?;
    let mut topic = topic(node, &query)?;
    let delay = delay(&query, limits.max_req_timeout)?;
    loop {
        let outcome = topic.publish_deferred(&body, delay).await;
        match successor(node, &topic, &outcome) {
            Some(next) => topic = next,
            None => return answer(&topic, outcome),
        }
    }
}

/// POST `/mpub?topic=…[&binary=true]`: all messages of the body are taken, or none.
pub(super) async fn publish_many(
    api: Arc<Api>,
    mut request: Request,
) -> Result<Response, HttpError> {
    let (node, limits) = (&api.node, api.node.limits());
    let announced = request.content_length().unwrap_or(0);
    if announced > limits.max_body_size as u64 {
        return Err(too_large("BODY_TOO_BIG"));
    }
    let query = request.query()?;
    let topic = topic(node, &query)?;
    let body = request.body(limits.max_body_size).await;
    let body = body.map_err(|error| error.answer("BODY_TOO_BIG"))?;
    if is_binary(&query) {
        let batch = parse_batch(&body, limits)?;
        publish_all(node, topic, batch.iter()).await
    } else {
        let lines = Lines::parse(&body, limits.max_msg_size)?;
        publish_all(node, topic, lines).await
    }
}

async fn publish_all<'a>(
    node: &Node,
    mut topic: Arc<Topic>,
    bodies: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
) -> Result<Response, HttpError> {
    if bodies.len() == 0 {
        return answer(&topic, Ok(()));
    }
    let mut woken = Vec::new();
    loop {
        let outcome = topic.publish(bodies.clone(), &mut woken).await;
        match successor(node, &topic, &outcome) {
            Some(next) => topic = next,
            None => return answer(&topic, outcome),
        }
    }
}

/// The topic to try again with: the one that now has the name, if this one was deleted while it was published to.
fn successor(node: &Node, topic: &Topic, outcome: &Result<(), PublishError>) -> Option<Arc<Topic>> {
    let deleted = *outcome == Err(PublishError::Exiting) && !node.is_stopping();
    let next = deleted.then(|| node.topic_or_create(topic.name()));
    // At the limit of topics there is none.
    next?.ok()
}

fn answer(topic: &Topic, outcome: Result<(), PublishError>) -> Result<Response, HttpError> {
    match outcome {
        Ok(()) => Ok(Response::text("OK")),
        Err(error) => {
            warn!(topic = %topic.name(), %error, "publish over HTTP refused");
            Err(HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "EXITING"))
        }
    }
}

fn topic(node: &Node, query: &Query) -> Result<Arc<Topic>, HttpError> {
    Ok(node.topic_or_create(&topic_name(query)?)?)
}

/// The argument `topic`, which must be a valid name.
pub(super) fn topic_name(query: &Query) -> Result<TopicName, HttpError> {
    let name = query.get("topic");
    let name = name.ok_or(HttpError::bad_request("MISSING_ARG_TOPIC"))?;
    TopicName::parse(name).map_err(|_| HttpError::bad_request("INVALID_TOPIC"))
}

/// The argument `defer`, in milliseconds.
fn delay(query: &Query, max: Duration) -> Result<Duration, HttpError> {
    let Some(given) = query.get("defer") else {
        return Ok(Duration::ZERO);
    };
    let delay = given
        .parse::<i64>()
        .ok()
        .and_then(|ms| u64::try_from(ms).ok());
    delay
        .map(Duration::from_millis)
        .filter(|delay| *delay <= max)
        .ok_or(HttpError::bad_request("INVALID_DEFER"))
}

/// The argument `binary`: what is neither true nor false counts as true.
fn is_binary(query: &Query) -> bool {
    match query.get("binary") {
        None | Some("false" | "0") => false,
        Some("true" | "1") => true,
        Some(other) => {
            warn!(
                value = other,
                "mpub: binary is neither true nor false; taken for true"
            );
            true
        }
    }
}

fn parse_batch<'a>(body: &'a [u8], limits: &Limits) -> Result<Batch<'a>, HttpError> {
    Batch::parse(body, limits).map_err(|error| match error.code {
        ErrorCode::BadMessage => too_large("BAD_MESSAGE"),
        _ => too_large("BAD_BODY"),
    })
}

const fn too_large(code: &'static str) -> HttpError {
    HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, code)
}

/// The messages of a text body: what stands before, between and after newlines, where that is not empty.
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    rest: &'a [u8],
    count: usize,
}

impl<'a> Lines<'a> {
    /// Checks every line; `max` is the most bytes of a message.
    ///
    /// # Errors
    /// 413 `MSG_TOO_BIG`.
    pub fn parse(body: &'a [u8], max: usize) -> Result<Self, HttpError> {
        let (mut rest, mut count) = (body, 0);
        while let Some(line) = next_line(&mut rest) {
            if line.len() > max {
                return Err(too_large("MSG_TOO_BIG"));
            }
            count += 1;
        }
        Ok(Self { rest: body, count })
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = next_line(&mut self.rest)?;
        self.count -= 1;
        Some(line)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Lines<'_> {}

/// Takes the next line that is not empty.
fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        *rest = &rest[(end + 1).min(rest.len())..];
        if !line.is_empty() {
            return Some(line);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_lines(body: &str, expected: &[&str]) {
        let lines = Lines::parse(body.as_bytes(), 4).unwrap();
        assert_eq!(lines.len(), expected.len(), "{body:?}");
        let lines: Vec<_> = lines.map(|line| str::from_utf8(line).unwrap()).collect();
        assert_eq!(lines, expected, "{body:?}");
    }

    #[test]
    fn text_is_split_at_newlines_and_only_there() {
        check_lines("", &[]);
        check_lines("\n\n", &[]);
        check_lines("a", &["a"]);
        check_lines("a\n", &["a"]);
        check_lines("\na\n\nb c\n", &["a", "b c"]);
        check_lines("a\r\n\r\nb", &["a\r", "\r", "b"]);
        check_lines("1234\n4321", &["1234", "4321"]);
    }

    #[test]
    fn one_line_that_is_too_long_refuses_all() {
        for body in ["12345", "a\n12345\nb", "a\n1234\r"] {
            let refused = Lines::parse(body.as_bytes(), 4).unwrap_err();
            assert_eq!(refused, too_large("MSG_TOO_BIG"), "{body:?}");
        }
    }
}
