//! The HTTP side: what is asked for, whether it may be, and the headers that every answer has.
//!
//! | request (below the base path) | answer | in |
//! | --- | --- | --- |
//! | GET `/ping` | is it there | here |
//! | GET `/static/…` | what pages are made with | `assets.rs` |
//! | GET `/`, `/topics…`, `/nodes…`, `/consumers`, `/lookup`, `/counter`, `/audit`, `/login` | pages | `pages/` |
//! | GET `/api/topics…`, `/api/nodes…`, `/api/counter` | the same as JSON, for scripts | `api.rs` |
//! | POST and DELETE of these | changes | `actions.rs` |
//! | `/api/history`, `live`, `alerts`, `audit` | what has been seen and done | `observe.rs` |
//! | `/api/search` | the way to a name | `search.rs` |
//! | `/api/lookup`, `consumers`, `publishers`, `impact` | who is connected, who knows what | `explain.rs` |
//! | `/api/peek`, `publish`; `/api/tail` | messages | `messages.rs`; `tail.rs` |
//! | `/api/login`, `logout`, `me` | who one is | `login.rs` |
//! | GET, PUT `/config/…`; `/metrics`; `/render`, `/api/graphite` | | `config.rs`, `metrics.rs`, `graphite.rs` |
//!
//! A request passes four guards before it is looked at: the name that we are reached by, the path and its methods, the proof
//! that a page of ours made a browser send it, and the role that it takes.
//!
//! Sizes, deadlines and the refusal of what other sites make browsers send are `client::daemon::http`'s.

mod actions;
mod api;
mod assets;
mod config;
mod explain;
mod filters;
mod graphite;
mod login;
mod messages;
mod metrics;
mod observe;
mod pages;
mod search;
pub(crate) mod tail;
mod target;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use client::daemon::http::{self, HttpError, Limits, Query, Request, Response, Router};
use client::daemon::listen::Listener;
use client::daemon::log::LogHandle;
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, USER_AGENT, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{HeaderMap, Method, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::access::{Access, Visitor, lacks_proof};
use crate::audit::Audit;
use crate::cluster::upstream::Upstream;
use crate::cluster::{Cluster, ClusterError, unix_seconds};
use crate::history::History;
use crate::live::{Hub, Scene};
use crate::notify::Notification;
use crate::options::{ConfigValue, Graphite, Statsd};
use crate::people::People;
use target::{Ours, Target};

/// What handlers work with.
#[derive(Debug)]
pub(crate) struct Admin {
    /// What stands before every path: empty, or `/nsq`.
    pub(crate) base_path: String,
    pub(crate) access: Access,
    pub(crate) cluster: Cluster,
    /// Asks others than nodes.
    pub(crate) upstream: Upstream,
    pub(crate) audit: Audit,
    pub(crate) history: Arc<History>,
    pub(crate) scene: Scene,
    pub(crate) hub: Arc<Hub>,
    pub(crate) people: People,
    pub(crate) tails: tail::Tails,
    pub(crate) graphite: Option<Graphite>,
    pub(crate) statsd: Statsd,
    pub(crate) dev_static_dir: Option<PathBuf>,
    pub(crate) config: BTreeMap<&'static str, ConfigValue>,
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
    let router = GUARDS
        .into_iter()
        .fold(Router::new(), |router, (name, value)| {
            router.with_header(name, HeaderValue::from_static(value))
        });
    methods
        .into_iter()
        .fold(router, |router, method| router.route(method, "*", handle))
}

async fn handle(admin: Arc<Admin>, request: Request) -> Result<Response, HttpError> {
    let headers = request.headers().clone();
    let is_read = *request.method() == Method::GET;
    let response = answer(&admin, request).await;
    Ok(if is_read {
        response.economical(&headers)
    } else {
        response
    })
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
    let visitor = admin.access.visitor(request.headers(), request.peer_ip());
    let Some(target) = Target::parse(path) else {
        return nothing_there(admin, &visitor, path, &request);
    };
    let allowed = target.methods();
    if !allowed.contains(request.method()) {
        return without_handler(&allowed, request.method());
    }
    if lacks_proof(request.method(), request.headers()) {
        let code = "NO_PROOF: a browser has to send X-Requested-With";
        return Response::error(StatusCode::FORBIDDEN, code);
    }
    if let Some(role) = target.role(request.method()) {
        match visitor.role {
            None if target.is_page() => return redirect_to_login(admin),
            None => return Response::error(StatusCode::UNAUTHORIZED, "LOGIN_REQUIRED"),
            Some(actual) if actual < role && target.is_page() => {
                return pages::forbidden(admin, &visitor);
            }
            Some(actual) if actual < role => {
                return Response::error(StatusCode::FORBIDDEN, "FORBIDDEN");
            }
            Some(_) => {}
        }
    }
    let answered = dispatch(admin, target, &visitor, request).await;
    answered.unwrap_or_else(Response::from)
}

/// Answers what may be asked.
async fn dispatch(
    admin: &Admin,
    target: Target,
    visitor: &Visitor,
    request: Request,
) -> Result<Response, HttpError> {
    Ok(match target {
        Target::Ping => Response::plain("OK"),
        Target::Static(name) => assets::serve(admin, &name).await?,
        Target::Config(option) => config::serve(admin, &option, request).await?,
        Target::Metrics => metrics::show(admin),
        Target::Render => graphite::render(admin, &request).await?,
        Target::LoginPage => pages::login(admin, visitor),
        Target::Page(page) => pages::show(admin, visitor, &page, &request).await?,
        Target::Api(view) if *request.method() == Method::GET => {
            api::read(admin, &view, &request).await
        }
        Target::Api(view) => actions::act(admin, visitor, view, request).await,
        Target::Ours(ours) => match ours {
            Ours::Me => login::me(admin, visitor),
            Ours::Login => login::login(admin, request).await?,
            Ours::Logout => login::logout(admin, visitor, &request),
            Ours::Graphite => graphite::rate(admin, &request).await?,
            Ours::History => observe::history(admin, &request)?,
            Ours::Live => observe::live(admin, &request).await?,
            Ours::Alerts => observe::alerts(admin),
            Ours::Silence => observe::silence(admin, visitor, request).await?,
            Ours::Audit => observe::audit(admin, &request)?,
            Ours::Search => search::search(admin, &request)?,
            Ours::Lookup => explain::lookup(admin).await,
            Ours::Consumers => explain::consumers(admin, &request).await?,
            Ours::Publishers => explain::publishers(admin, &request).await?,
            Ours::Impact => explain::impact(admin, &request).await?,
            Ours::Peek => messages::peek(admin, visitor, &request).await?,
            Ours::Publish => messages::publish(admin, visitor, request).await?,
            Ours::Tail => tail::tail(admin, visitor, request).await?,
        },
    })
}

fn redirect_to_login(admin: &Admin) -> Response {
    let location = format!("{}/login", admin.base_path);
    let location = HeaderValue::try_from(location).expect("a base path is plain characters");
    let response = Response::empty().with_status(StatusCode::SEE_OTHER);
    response.with_header(LOCATION, location)
}

/// The body as JSON of this form. Its `Content-Type` is not looked at: scripts send any.
async fn body<T: DeserializeOwned>(
    request: &mut Request,
    bytes_max: usize,
) -> Result<T, HttpError> {
    let bytes = request.body(bytes_max).await;
    let bytes = bytes.map_err(|error| error.answer("BODY_TOO_LARGE"))?;
    serde_json::from_slice(&bytes).map_err(|_| HttpError::bad_request("INVALID_BODY"))
}

/// An argument of the query that has to be there.
fn required(query: &Query, name: &str, missing: &'static str) -> Result<String, HttpError> {
    let value = query.get(name).filter(|value| !value.is_empty());
    value
        .map(str::to_owned)
        .ok_or(HttpError::bad_request(missing))
}

/// What is to be written down of a request.
fn deed(visitor: &Visitor, request: &Request, action: &'static str) -> Notification {
    Notification {
        action,
        timestamp: unix_seconds(),
        user: visitor.user.clone(),
        remote_ip: request.peer().to_owned(),
        user_agent: header(request.headers(), &USER_AGENT).to_owned(),
        url: url(request),
        ..Notification::default()
    }
}

/// The URL as the browser had it.
fn url(request: &Request) -> String {
    let scheme = request.headers().get("x-scheme");
    let is_https = scheme.is_some_and(|scheme| scheme == "https");
    let scheme = if is_https { "https" } else { "http" };
    let host = header(request.headers(), &HOST);
    format!("{scheme}://{host}{}", request.uri())
}

fn header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
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

/// The answer for a path that stands for nothing: in words for who reads pages.
fn nothing_there(admin: &Admin, visitor: &Visitor, path: &str, request: &Request) -> Response {
    let accept = request.headers().get(ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    let wants_page = accept.is_some_and(|accept| accept.contains("text/html"));
    if wants_page && !path.starts_with("/api/") {
        return pages::nothing_there(admin, visitor);
    }
    not_found()
}

fn not_found() -> Response {
    HttpError::not_found("NOT_FOUND").into()
}

/// The status and the message for a view that cannot be shown.
pub(crate) fn told(error: &ClusterError) -> (StatusCode, String) {
    match error {
        ClusterError::Unanswered(failures) => (
            StatusCode::BAD_GATEWAY,
            format!("UPSTREAM_ERROR: {failures}"),
        ),
        missing => (StatusCode::NOT_FOUND, missing.to_string()),
    }
}

/// What keeps browsers from doing more with an answer than they are meant to. All comes from us; nothing is written in line,
/// and nobody frames a page.
const GUARDS: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (CACHE_CONTROL, "no-cache"),
];
