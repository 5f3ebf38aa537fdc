//! One connection: its requests one after the other, its deadlines, and its polite end.

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use hyper::{
    StatusCode, Version, body::Incoming, header::HOST, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
    time::Instant,
};
use tracing::{debug, error, info};

use super::{
    HttpError, Limits, Request, Response, Router,
    body::Body,
    cross_site,
    deadline::{Deadline, Watched},
    request::Peer,
    router::Answer,
};
use crate::{
    daemon::{duration::GoDuration, listen::Stream},
    tls::ServerConfig,
};

/// What all connections of a server share.
pub(super) struct Service<S> {
    pub(super) router: Router<S>,
    pub(super) state: Arc<S>,
    /// What every connection begins with, if it is HTTPS.
    pub(super) tls: Option<Arc<ServerConfig>>,
}

/// Answers requests on `stream` until either side ends, a deadline passes, or `closing` becomes true.
pub(super) async fn run<S: Send + Sync + 'static>(
    service: Arc<Service<S>>,
    stream: Stream,
    limits: Limits,
    closing: watch::Receiver<bool>,
) {
    let peer = Arc::new(Peer {
        text: stream.peer(),
        ip: stream.peer_ip(),
    });
    let Some(mut stream) = secured(&service, stream, &limits, &peer).await else {
        return;
    };
    match talk(&service, &mut stream, limits, &peer, closing).await {
        Ok(()) => linger(stream).await,
        Err(End::Deadline) => debug!(peer = peer.text, "connection took too long, closed"),
        Err(End::Closing) => debug!(peer = peer.text, "idle connection closed"),
        Err(End::Http(error)) => {
            debug!(peer = peer.text, %error, "connection ended");
            linger(stream).await;
        }
    }
}

/// Does the handshake of TLS, if this is HTTPS; one that fails has nobody to be told.
async fn secured<S>(
    service: &Service<S>,
    stream: Stream,
    limits: &Limits,
    peer: &Peer,
) -> Option<Stream> {
    let Some(config) = &service.tls else {
        return Some(stream);
    };
    let handshake = stream.accept_tls(Arc::clone(config));
    match tokio::time::timeout(limits.header_timeout, handshake).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => debug!(peer = peer.text, %error, "TLS handshake failed"),
        Err(_) => debug!(peer = peer.text, "TLS handshake took too long"),
    }
    None
}

/// Why a connection ended before the client was done with it.
enum End {
    Deadline,
    Closing,
    Http(hyper::Error),
}

async fn talk<S: Send + Sync + 'static>(
    service: &Arc<Service<S>>,
    stream: &mut Stream,
    limits: Limits,
    peer: &Arc<Peer>,
    mut closing: watch::Receiver<bool>,
) -> Result<(), End> {
    let deadline = Deadline::new(&limits);
    let answer = service_fn(|request: hyper::Request<Incoming>| {
        let (service, peer, deadline) = (Arc::clone(service), Arc::clone(peer), deadline.clone());
        async move {
            deadline.request_started();
            let response = service.answer(request, &limits, peer).await;
            if response.is_stream() {
                deadline.stream_started();
            } else {
                deadline.request_ended();
            }
            Ok::<hyper::Response<Body>, Infallible>(response.0)
        }
    });
    let socket = TokioIo::new(Watched {
        socket: stream,
        deadline: deadline.clone(),
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Ours tells a slow head from an idle connection, which hyper's does not.
        .header_read_timeout(None)
        .keep_alive(!limits.idle_timeout.is_zero())
        .max_headers(limits.headers)
        .max_header_size(limits.header_bytes)
        .title_case_headers(true)
        .serve_connection(socket, answer);
    let mut connection = std::pin::pin!(connection);

    tokio::select! {
        result = &mut connection => return result.map_err(End::Http),
        () = deadline.passed() => return Err(End::Deadline),
        _ = closing.wait_for(|closing| *closing) => {}
    }
    if deadline.is_awaiting_head() {
        return Err(End::Closing);
    }
    connection.as_mut().graceful_shutdown();
    connection.await.map_err(End::Http)
}

/// Reads on for a moment after our last byte. Closing at once, with unread bytes of a refused body in the
/// socket, would reset the connection and lose the answer on its way.
async fn linger(mut stream: Stream) {
    let discard = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // However it ends, the connection is over.
    let _ = tokio::time::timeout(LINGER, discard).await;
}

impl<S: Send + Sync + 'static> Service<S> {
    /// Answers one request, and logs it.
    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        limits: &Limits,
        peer: Arc<Peer>,
    ) -> Response {
        let start = Instant::now();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let response = if let Some(refusal) = refusal(&request, limits) {
            refusal
        } else {
            let request = Request::new(request, Arc::clone(&peer), limits.body_timeout);
            guarded(self.router.dispatch(&self.state, request)).await
        };
        let response = self.router.with_common_headers(response);
        if !self.router.is_quiet(uri.path()) {
            let (status, took) = (response.status().as_u16(), GoDuration(start.elapsed()));
            info!("{status} {method} {uri} ({}) {took}", peer.text);
        }
        response
    }
}

/// The answer to a request that no handler should see.
fn refusal(request: &hyper::Request<Incoming>, limits: &Limits) -> Option<Response> {
    let hosts = request.headers().get_all(HOST).iter().count();
    let is_1_1 = request.version() == Version::HTTP_11;
    if hosts > 1 || (is_1_1 && hosts == 0) {
        let text = "400 Bad Request: exactly one Host header is required";
        return Some(Response::plain(text).with_status(StatusCode::BAD_REQUEST));
    }
    let uri = request
        .uri()
        .path_and_query()
        .map_or("", |uri| uri.as_str());
    if uri.len() > limits.uri_bytes {
        return Some(Response::error(StatusCode::URI_TOO_LONG, "URI_TOO_LONG"));
    }
    if cross_site::is_forged(request.method(), request.headers()) {
        return Some(Response::error(StatusCode::FORBIDDEN, "CROSS_SITE"));
    }
    None
}

/// Waits for a handler. Its panic is its own: the answer is 500, and the daemon goes on.
async fn guarded(mut answer: Answer) -> Response {
    let result = std::future::poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))).unwrap_or_else(|_| {
            error!("handler panicked; this is a bug");
            Poll::Ready(Err(HttpError::INTERNAL))
        })
    });
    result.await.unwrap_or_else(Response::from)
}

/// As long as Go's server waits for the same reason.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: u64 = 1 << 20;
