//! The one setting that can change while nsqadmin runs: how much it logs.

use client::daemon::http::{HttpError, Request, Response};
use hyper::{Method, StatusCode};
use tracing::info;

use super::Admin;

/// Answers a GET or PUT for `/config/log_level`: a number, 1 for debug to 5 for fatal; the body of a PUT is a level's name.
pub(super) async fn log_level(admin: &Admin, mut request: Request) -> Result<Response, HttpError> {
    let forbidden = HttpError::new(StatusCode::FORBIDDEN, "FORBIDDEN");
    if !admin.access.may_configure(request.peer_ip()) {
        return Err(forbidden);
    }
    if *request.method() == Method::PUT {
        let body = request.body(LEVEL_BYTES_MAX).await;
        let body = body.map_err(|error| error.answer("INVALID_VALUE"))?;
        let text = str::from_utf8(&body).ok();
        let level = text.and_then(|text| text.parse().ok());
        let level = level.ok_or(HttpError::bad_request("INVALID_VALUE"))?;
        admin.log.set_level(level);
        info!(%level, "log level changed");
    }
    Ok(Response::json(&admin.log.level().number()))
}

/// The longest name of a level has five.
const LEVEL_BYTES_MAX: usize = 16;
