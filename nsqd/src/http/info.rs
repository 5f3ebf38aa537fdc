//! Whether the daemon is well, and what it is.

use std::sync::Arc;
use std::time::Duration;

use client::daemon::flags::COMPATIBLE_VERSION;
use client::daemon::http::{HttpError, Request, Response};
use hyper::StatusCode;
use serde::Serialize;

use super::Api;
use crate::stats;

/// `/info`. Durations are nanoseconds; the port of a unix socket is -1.
#[derive(Debug, Serialize)]
struct Info<'a> {
    version: &'a str,
    broadcast_address: &'a str,
    hostname: &'a str,
    http_port: i32,
    tcp_port: i32,
    start_time: i64,
    max_heartbeat_interval: u64,
    max_output_buffer_size: usize,
    max_output_buffer_timeout: u64,
    max_deflate_level: u32,
    topology_zone: &'a str,
    topology_region: &'a str,
    /// Whether there is `/channel/peek`; absent if not, as in the reference.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    peek: bool,
}

/// GET `/ping`: 200 `OK`, or 500 and why messages can't be moved to disk.
pub(super) async fn ping(api: Arc<Api>, _: Request) -> Result<Response, HttpError> {
    let health = stats::health(&api.node);
    let response = Response::plain(&health.to_string());
    Ok(if health.is_ok() {
        response
    } else {
        response.with_status(StatusCode::INTERNAL_SERVER_ERROR)
    })
}

/// GET `/info`.
pub(super) async fn info(api: Arc<Api>, _: Request) -> Result<Response, HttpError> {
    let options = api.node.options();
    Ok(Response::json(&Info {
        version: COMPATIBLE_VERSION,
        broadcast_address: &options.broadcast_address,
        hostname: &options.hostname,
        http_port: port(api.ports.http),
        tcp_port: port(api.ports.tcp),
        start_time: api.node.started_at(),
        max_heartbeat_interval: nanoseconds(options.max_heartbeat_interval),
        max_output_buffer_size: options.max_output_buffer_size,
        max_output_buffer_timeout: nanoseconds(options.max_output_buffer_timeout),
        max_deflate_level: options.max_deflate_level,
        topology_zone: &options.topology_zone,
        topology_region: &options.topology_region,
        peek: options.enable_peek(),
    }))
}

fn port(port: Option<u16>) -> i32 {
    port.map_or(-1, i32::from)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
