//! Reading every setting, and changing two of them for the rest of the process.

use std::sync::Arc;

use client::daemon::http::{HttpError, Request, Response};
use hyper::StatusCode;
use tracing::info;

use super::Api;
use crate::lookup::is_address;
use crate::options::ConfigValue;

/// GET `/config/<option>`.
pub(super) async fn read(api: Arc<Api>, request: Request) -> Result<Response, HttpError> {
    value(&api, request.tail())
}

/// PUT `/config/<option>`: the body is the value, the answer the value from now on.
pub(super) async fn write(api: Arc<Api>, mut request: Request) -> Result<Response, HttpError> {
    let body = request.body(api.node.limits().max_msg_size).await;
    let body = body.map_err(|error| error.answer("INVALID_VALUE"))?;
    if body.is_empty() {
        return Err(HttpError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "INVALID_VALUE",
        ));
    }
    match request.tail() {
        "log_level" => set_log_level(&api, &body)?,
        LOOKUP_ADDRESSES => set_lookup_addresses(&api, &body)?,
        _ => return Err(HttpError::bad_request("INVALID_OPTION")),
    }
    value(&api, request.tail())
}

fn value(api: &Api, option: &str) -> Result<Response, HttpError> {
    if option == "log_level" {
        return Ok(Response::json(&api.node.log().level().number()));
    }
    if option == LOOKUP_ADDRESSES {
        return Ok(Response::json(&api.node.lookup().addresses()));
    }
    if option == "statsd_prefix" {
        return Ok(Response::text(
            api.node.options().statsd_prefix(api.ports.http),
        ));
    }
    match api.node.options().config_value(option) {
        Some(ConfigValue::Text(text)) => Ok(Response::text(text)),
        Some(ConfigValue::Json(value)) => Ok(Response::json(&value)),
        None => Err(HttpError::bad_request("INVALID_OPTION")),
    }
}

fn set_log_level(api: &Api, body: &[u8]) -> Result<(), HttpError> {
    let level = str::from_utf8(body)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(INVALID_VALUE)?;
    api.node.log().set_level(level);
    info!(%level, "log level changed");
    Ok(())
}

/// A JSON array of `host:port`, or `null`.
fn set_lookup_addresses(api: &Api, body: &[u8]) -> Result<(), HttpError> {
    let addresses: Option<Vec<String>> = serde_json::from_slice(body).map_err(|_| INVALID_VALUE)?;
    if !addresses
        .iter()
        .flatten()
        .all(|address| is_address(address))
    {
        return Err(INVALID_VALUE);
    }
    info!(?addresses, "addresses of nsqlookupds changed");
    api.node.lookup().set_addresses(addresses);
    Ok(())
}

const LOOKUP_ADDRESSES: &str = "nsqlookupd_tcp_addresses";
const INVALID_VALUE: HttpError = HttpError::bad_request("INVALID_VALUE");
