//! Logging in and out, and who one is.

use client::daemon::http::{HttpError, Request, Response};
use hyper::StatusCode;
use hyper::header::{HeaderValue, SET_COOKIE};
use serde::Deserialize;
use serde_json::json;
use tracing::warn;

use super::{Admin, body, deed};
use crate::access::{self, KnownBy, SESSION_COOKIE, Visitor};
use crate::session::{LoginError, Role};

/// GET `/api/me`.
pub(super) fn me(admin: &Admin, visitor: &Visitor) -> Response {
    Response::json(&json!({
        "user": visitor.user,
        "role": visitor.role,
        "known_by": visitor.known_by,
        "has_login": admin.access.sessions().is_some(),
        "may_publish": visitor.role >= Some(Role::Publisher),
        "may_act": visitor.role == Some(Role::Admin),
    }))
}

/// POST `/api/login` `{"user":"…","password":"…"}`.
pub(super) async fn login(admin: &Admin, mut request: Request) -> Result<Response, HttpError> {
    #[derive(Deserialize)]
    struct Credentials {
        user: String,
        password: String,
    }
    let sessions = admin
        .access
        .sessions()
        .ok_or(HttpError::not_found("NO_LOGIN"))?;
    let Credentials { user, password } = body(&mut request, CREDENTIALS_BYTES_MAX).await?;
    let peer = request
        .peer_ip()
        .map_or_else(|| "unix".to_owned(), |peer| peer.to_string());
    let token = match sessions.login(&peer, &user, &password).await {
        Ok(token) => token,
        Err(error) => {
            // Not the name: people type passwords into the wrong field.
            warn!(peer, %error, "login refused");
            return Err(match error {
                LoginError::Wrong => HttpError::new(StatusCode::UNAUTHORIZED, "WRONG_PASSWORD"),
                LoginError::TooMany => {
                    HttpError::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_ATTEMPTS")
                }
            });
        }
    };
    let visitor = Visitor {
        user,
        role: None,
        known_by: KnownBy::Password,
    };
    admin.audit.record(deed(&visitor, &request, "login"));
    let seconds = sessions.timeout().as_secs();
    let answer = Response::json(&json!({ "message": "" }));
    Ok(answer.with_header(SET_COOKIE, cookie(admin, &request, &token, seconds)))
}

/// POST `/api/logout`.
pub(super) fn logout(admin: &Admin, visitor: &Visitor, request: &Request) -> Response {
    if let (Some(sessions), Some(token)) =
        (admin.access.sessions(), access::token(request.headers()))
    {
        sessions.logout(token);
        admin.audit.record(deed(visitor, request, "logout"));
    }
    let answer = Response::json(&json!({ "message": "" }));
    answer.with_header(SET_COOKIE, cookie(admin, request, "", 0))
}

fn cookie(admin: &Admin, request: &Request, token: &str, seconds: u64) -> HeaderValue {
    let path = if admin.base_path.is_empty() {
        "/"
    } else {
        &admin.base_path
    };
    let is_https = admin.access.is_https(request.headers(), request.peer_ip());
    let secure = if is_https { "; Secure" } else { "" };
    let cookie = format!(
        "{SESSION_COOKIE}={token}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    );
    HeaderValue::try_from(cookie).expect("a token and a base path are plain characters")
}

/// A name and a password, and room for a long one.
const CREDENTIALS_BYTES_MAX: usize = 4 << 10;
