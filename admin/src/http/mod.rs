//! The HTTP side: what is asked for, whether it may be, and the headers that every answer has.
//!
//! | request (below the base path) | answer | in |
//! | --- | --- | --- |
//! | GET `/ping`, `/style.css` | is it there; how pages look | here |
//! | GET `/`, `/topics…`, `/nodes…` | pages | `pages.rs` |
//! | GET `/api/topics…`, `/api/nodes…`, `/api/counter` | the same as JSON, for scripts | `api.rs` |
//! | POST and DELETE `/api/…` | changes | `actions.rs` |
//! | GET, PUT `/config/log_level` | how much is logged | `config.rs` |
//!
//! Sizes, deadlines and the refusal of what other sites make browsers send are `client::daemon::http`'s.

mod actions;
mod api;
mod config;
mod filters;
mod pages;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use client::daemon::http::{self, HttpError, Limits, Request, Response, Router};
use client::daemon::listen::Listener;
use client::daemon::log::LogHandle;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Method, StatusCode};
use tokio::sync::watch;

use crate::access::Access;
use crate::cluster::{Cluster, ClusterError};
use crate::notify::Notifier;
use crate::rates::Rates;
use target::Target;

/// What handlers work with.
#[derive(Debug)]
pub(crate) struct Admin {
    /// What stands before every path: empty, or `/nsq`.
    pub(crate) base_path: String,
    pub(crate) access: Access,
    pub(crate) cluster: Cluster,
    pub(crate) notifier: Option<Notifier>,
    pub(crate) rates: Rates,
    pub(crate) log: LogHandle,
}

/// Answers requests until `stopping` says so; those under way then have a few seconds to end.
pub(crate) async fn serve(
    admin: Arc<Admin>,
    listener: Listener,
    mut stopping: watch::Receiver<bool>,
) {
    let shutdown = async move {
        // An error means that nobody is left to say so: that is the end too.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    http::serve(listener, routes(), admin, Limits::default(), shutdown).await;
}

/// One route for all: paths have names in them, and every answer gets the same headers.
fn routes() -> Router<Admin> {
    let methods = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
    ];
    let router = Router::new();
    methods
        .into_iter()
        .fold(router, |router, method| router.route(method, "*", handle))
}

async fn handle(admin: Arc<Admin>, request: Request) -> Result<Response, HttpError> {
    Ok(guarded(answer(&admin, request).await))
}

async fn answer(admin: &Admin, request: Request) -> Response {
    if !admin.access.is_our_host(request.headers()) {
        let code = "FORBIDDEN_HOST: start nsqadmin with --allowed-host to reach it by this name";
        return Response::error(StatusCode::FORBIDDEN, code);
    }
    let path = request.uri().path().strip_prefix(&admin.base_path);
    // `/nsqx` does not lie below `/nsq`.
    let Some(path) = path.filter(|path| path.is_empty() || path.starts_with('/')) else {
        return not_found();
    };
    let path = if path == "/" && admin.base_path.is_empty() {
        ""
    } else {
        path
    };
    if let Some(canonical) = target::canonical(path) {
        return redirect(&format!("{}{canonical}", admin.base_path), &request);
    }
    let Some(target) = Target::parse(path) else {
        return not_found();
    };
    let allowed = target.methods();
    if !allowed.contains(request.method()) {
        return without_handler(&allowed, request.method());
    }
    match target {
        Target::Ping => Response::plain("OK"),
        Target::Style => style(),
        Target::LogLevel => config::log_level(admin, request)
            .await
            .unwrap_or_else(Response::from),
        Target::Page(view) => pages::show(admin, &view).await,
        Target::Api(view) if *request.method() == Method::GET => {
            api::read(admin, &view, &request).await
        }
        Target::Api(view) => actions::act(admin, view, request).await,
    }
}

/// Adds what keeps browsers from doing more with an answer than showing it.
fn guarded(response: Response) -> Response {
    response
        .with_header(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
        .with_header(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
        .with_header(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"))
        .with_header(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        .with_header(OPENER_POLICY, HeaderValue::from_static("same-origin"))
        .with_header(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
}

fn style() -> Response {
    let css = HeaderValue::from_static("text/css; charset=utf-8");
    Response::plain(include_str!("../../assets/style.css")).with_header(CONTENT_TYPE, css)
}

fn redirect(path: &str, request: &Request) -> Response {
    let path = if path.is_empty() { "/" } else { path };
    let location = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let status = if *request.method() == Method::GET {
        StatusCode::MOVED_PERMANENTLY
    } else {
        StatusCode::TEMPORARY_REDIRECT
    };
    let Ok(location) = HeaderValue::from_str(&location) else {
        return not_found();
    };
    let response = Response::empty().with_status(status);
    response.with_header(LOCATION, location)
}

/// The answer for a method that has no handler.
fn without_handler(allowed: &[Method], method: &Method) -> Response {
    let mut names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
    names.push("OPTIONS");
    names.sort_unstable();
    let allow = HeaderValue::from_str(&names.join(", ")).expect("methods are letters");
    let response = if *method == Method::OPTIONS {
        Response::empty()
    } else {
        Response::error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED")
    };
    response.with_header(ALLOW, allow)
}

fn not_found() -> Response {
    HttpError::not_found("NOT_FOUND").into()
}

/// The status and the message for a view that cannot be shown.
fn told(error: &ClusterError) -> (StatusCode, String) {
    match error {
        ClusterError::Unanswered(failures) => (
            StatusCode::BAD_GATEWAY,
            format!("UPSTREAM_ERROR: {failures}"),
        ),
        missing => (StatusCode::NOT_FOUND, missing.to_string()),
    }
}

/// Everything comes from us: no scripts, no frames, no pictures, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
