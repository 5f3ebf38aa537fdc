//! Graphs of a Graphite: passed on, or one figure of them.
//!
//! Only the Graphite that was configured is ever asked, only for `render`, and nothing of the browser's request goes there but
//! the query.

use client::daemon::http::{HttpError, Request, Response};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;
use tracing::warn;

use super::Admin;
use crate::cluster::upstream::{Answer, Question};
use crate::options::{Graphite, Statsd};

/// Answers GET `/render`: what Graphite answers.
pub(super) async fn render(admin: &Admin, request: &Request) -> Result<Response, HttpError> {
    let graphite = admin
        .graphite
        .as_ref()
        .filter(|graphite| graphite.is_proxied);
    let graphite = graphite.ok_or(HttpError::not_found("NOT_FOUND"))?;
    let query = request.uri().query().unwrap_or_default();
    let answer = ask(admin, graphite, query).await;
    let answer = answer.ok_or(HttpError::new(StatusCode::BAD_GATEWAY, "UPSTREAM_ERROR"))?;
    let plain = HeaderValue::from_static("application/octet-stream");
    let content_type = answer.content_type.unwrap_or(plain);
    Ok(Response::text(answer.body).with_header(CONTENT_TYPE, content_type))
}

/// Answers GET `/api/graphite?metric=rate&target=T`: the target's newest whole point, by second.
pub(super) async fn rate(admin: &Admin, request: &Request) -> Result<Response, HttpError> {
    let query = request.query()?;
    match query.get("metric") {
        Some("rate") => {}
        _ => return Err(HttpError::bad_request("INVALID_ARG_METRIC")),
    }
    let target = query.get("target").filter(|target| !target.is_empty());
    let target = target.ok_or(HttpError::bad_request("INVALID_ARG_TARGET"))?;
    let graphite = admin.graphite.as_ref().ok_or(HttpError::INTERNAL)?;
    let seconds = admin.statsd.interval.as_secs().max(1);
    let target = utf8_percent_encode(target, NON_ALPHANUMERIC);
    let query = format!(
        "target={target}&from=-{}sec&until=-{seconds}sec&format=json",
        2 * seconds
    );
    let answer = ask(admin, graphite, &query)
        .await
        .ok_or(HttpError::INTERNAL)?;
    let rate = newest_rate(&answer.body, &admin.statsd).ok_or(HttpError::INTERNAL)?;
    Ok(Response::json(&json!({ "rate": rate })))
}

async fn ask(admin: &Admin, graphite: &Graphite, query: &str) -> Option<Answer> {
    let path = graphite.url.path().trim_end_matches('/');
    let question = Question {
        path: format!("{path}/render?{query}"),
        ..Question::to_url(Method::GET, &graphite.url)
    };
    // A query that is no part of a URL never leaves.
    question.path.parse::<Uri>().ok()?;
    match admin.upstream.ask(question).await {
        Ok(answer) => Some(answer),
        Err(error) => {
            warn!(error = %error.fault(), "Graphite did not answer");
            None
        }
    }
}

/// What `/render` says in JSON: for each target its points, value and time.
#[derive(Deserialize)]
struct Target {
    datapoints: Vec<(Option<f64>, f64)>,
}

/// As the reference has it: two digits after the point, or `N/A` for what falls.
fn newest_rate(body: &[u8], statsd: &Statsd) -> Option<String> {
    let targets: Vec<Target> = serde_json::from_slice(body).ok()?;
    let (value, _) = targets.first()?.datapoints.first()?;
    let rate = (*value)? / statsd.interval.as_secs_f64();
    Some(if rate < 0.0 {
        "N/A".to_owned()
    } else {
        format!("{rate:.2}")
    })
}
