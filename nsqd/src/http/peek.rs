//! A look at the messages of a channel, for people: they stay where they are. Only with `--enable-peek`, as it shows what
//! producers wrote to whoever reaches the port.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use client::daemon::http::{HttpError, Query, Request, Response};
use client::wire::BODY_AT;
use serde::Serialize;

use super::{Api, channels};
use crate::channel::{Channel, Seen, Which};
use crate::log::{frame_id, frame_timestamp};

/// Messages in one answer at most.
const COUNT_MAX: u64 = 100;
/// Messages in an answer when nothing is said.
const COUNT_DEFAULT: u64 = 10;
/// Bytes of a body shown when nothing is said.
const BODY_BYTES_DEFAULT: u64 = 4096;
/// Bytes of all bodies in one answer at most; also the longest that one may be shown.
const BYTES_MAX: u64 = 1 << 20;

/// The answer.
#[derive(Debug, Serialize)]
struct Peeked {
    messages: Vec<Shown>,
}

/// A message as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    /// Nanoseconds since the Unix epoch.
    timestamp: i64,
    /// Deliveries so far.
    attempts: u16,
    /// Bytes of the whole body.
    size: usize,
    /// The body in base64, or its beginning.
    body: String,
    body_truncated: bool,
    /// When a deferred one becomes due: nanoseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<i64>,
}

/// What a request asks for.
#[derive(Debug)]
struct Wanted {
    which: Which,
    skip: u64,
    count: usize,
    body_bytes: usize,
}

/// GET `/channel/peek?topic=…&channel=…[&n=10][&offset=0][&state=queued|in_flight|deferred][&max_bytes=4096]`.
pub(super) async fn peek(api: Arc<Api>, request: Request) -> Result<Response, HttpError> {
    let (_, channel) = channels::channel(&api, &request)?;
    let wanted = wanted(&request.query()?)?;
    // One at a time, so that many that ask cost no more memory than one.
    let turn = Arc::clone(&api.peeking).lock_owned().await;
    let look = move || {
        let _turn = turn;
        Response::json(&Peeked {
            messages: look(&api, &channel, &wanted),
        })
    };
    let answer = tokio::task::spawn_blocking(look).await;
    // It has panicked, which is logged, or the runtime ends.
    answer.map_err(|_| HttpError::INTERNAL)
}

fn wanted(query: &Query) -> Result<Wanted, HttpError> {
    let number = |name, default, max, code| {
        let number = match query.get(name) {
            None => Some(default),
            Some(text) => text.parse().ok().filter(|&number: &u64| number <= max),
        };
        number.ok_or(HttpError::bad_request(code))
    };
    let size = |number| usize::try_from(number).unwrap_or(usize::MAX);
    Ok(Wanted {
        which: match query.get("state") {
            None | Some("queued") => Which::Queued,
            Some("in_flight") => Which::InFlight,
            Some("deferred") => Which::Deferred,
            Some(_) => return Err(HttpError::bad_request("INVALID_STATE")),
        },
        skip: number("offset", 0, u64::MAX, "INVALID_OFFSET")?,
        count: size(number("n", COUNT_DEFAULT, COUNT_MAX, "INVALID_N")?),
        body_bytes: size(number(
            "max_bytes",
            BODY_BYTES_DEFAULT,
            BYTES_MAX,
            "INVALID_MAX_BYTES",
        )?),
    })
}

/// Reads the messages. One that is damaged, finished and gone, or not readable at the moment is left out.
fn look(api: &Api, channel: &Channel, wanted: &Wanted) -> Vec<Shown> {
    let mut messages = Vec::new();
    let mut body_bytes = 0;
    let mut frame = Vec::new();
    for seen in channel.peek(wanted.which, wanted.skip, wanted.count) {
        frame.clear();
        if !channel.read_seen(&seen, &mut frame).unwrap_or(false) {
            continue;
        }
        let shown = show(api, &seen, &frame, wanted.body_bytes);
        body_bytes += shown.body.len();
        messages.push(shown);
        if body_bytes as u64 >= BYTES_MAX {
            break;
        }
    }
    messages
}

fn show(api: &Api, seen: &Seen, frame: &[u8], body_bytes: usize) -> Shown {
    let body = &frame[BODY_AT..];
    Shown {
        id: frame_id(frame).to_string(),
        timestamp: frame_timestamp(frame),
        attempts: seen.attempts,
        size: body.len(),
        body: BASE64_STANDARD.encode(&body[..body.len().min(body_bytes)]),
        body_truncated: body.len() > body_bytes,
        due: seen.due.map(|due| api.node.wall_ns_at(due)),
    }
}
