//! Reading every setting, and changing two of them for the rest of the process.

use client::daemon::http::{HttpError, Request, Response};
use hyper::{Method, StatusCode};
use tracing::info;

use super::Admin;
use crate::options::{ConfigValue, Sources, is_address};

/// Answers a GET or PUT for `/config/<option>`; that of a PUT is the value from now on.
pub(super) async fn serve(
    admin: &Admin,
    option: &str,
    mut request: Request,
) -> Result<Response, HttpError> {
    if !admin.access.may_configure(request.peer_ip()) {
        return Err(HttpError::new(StatusCode::FORBIDDEN, "FORBIDDEN"));
    }
    if *request.method() == Method::PUT {
        let body = request.body(VALUE_BYTES_MAX).await;
        let body = body.map_err(|error| error.answer("INVALID_VALUE"))?;
        if body.is_empty() {
            return Err(HttpError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "INVALID_VALUE",
            ));
        }
        set(admin, option, &body)?;
    }
    value(admin, option)
}

fn value(admin: &Admin, option: &str) -> Result<Response, HttpError> {
    match option {
        "log_level" => return Ok(Response::json(&admin.log.level().number())),
        LOOKUP_ADDRESSES => return Ok(Response::json(&admin.cluster.lookupds())),
        _ => {}
    }
    match admin.config.get(option) {
        Some(ConfigValue::Text(text)) => Ok(Response::text(text.clone())),
        Some(ConfigValue::Json(value)) => Ok(Response::json(value)),
        None => Err(HttpError::bad_request("INVALID_OPTION")),
    }
}

fn set(admin: &Admin, option: &str, body: &[u8]) -> Result<(), HttpError> {
    match option {
        "log_level" => {
            let text = str::from_utf8(body).ok();
            let level = text.and_then(|text| text.parse().ok());
            let level = level.ok_or(INVALID_VALUE)?;
            admin.log.set_level(level);
            info!(%level, "log level changed");
        }
        LOOKUP_ADDRESSES => {
            let addresses: Vec<String> = serde_json::from_slice(body).map_err(|_| INVALID_VALUE)?;
            let is_direct = matches!(admin.cluster.sources(), Sources::Nsqds(_));
            if is_direct || !addresses.iter().all(|address| is_address(address)) {
                return Err(INVALID_VALUE);
            }
            info!(?addresses, "addresses of nsqlookupds changed");
            admin.cluster.set_lookupds(addresses);
        }
        _ => return Err(HttpError::bad_request("INVALID_OPTION")),
    }
    Ok(())
}

const LOOKUP_ADDRESSES: &str = "nsqlookupd_http_addresses";
const INVALID_VALUE: HttpError = HttpError::bad_request("INVALID_VALUE");
const VALUE_BYTES_MAX: usize = 1 << 20;
