//! What helps to see why a daemon is slow or large. There is no profiler inside: those of the system see more, cost nothing
//! when they are not used, and open no door to who reaches the port.

use std::sync::Arc;

use client::daemon::http::{HttpError, Request, Response};
use hyper::StatusCode;
use serde::Serialize;
use tokio::runtime::Handle;

use super::Api;
use crate::allocator;
use crate::stats::process::{self, Thread};

/// `/debug/vars`.
#[derive(Debug, Serialize)]
struct Vars {
    uptime_seconds: f64,
    /// Processor time of all threads that there were.
    cpu_seconds: f64,
    threads: Vec<Thread>,
    runtime: Runtime,
    resident_bytes: u64,
    /// Memory that holds messages, and how much there may be of it.
    message_bytes: usize,
    message_budget_bytes: usize,
    open_fds: u64,
    connections: usize,
    topics: usize,
}

/// The scheduler of tasks.
#[derive(Debug, Serialize)]
struct Runtime {
    workers: Vec<Worker>,
    /// Tasks that have not ended.
    alive_tasks: usize,
    /// Tasks that wait for any worker.
    global_queue_depth: usize,
}

#[derive(Debug, Serialize)]
struct Worker {
    /// Time that it spent on tasks.
    busy_seconds: f64,
    /// How often it went to sleep.
    parks: u64,
}

/// GET `/debug/vars`.
pub(super) async fn vars(api: Arc<Api>, _: Request) -> Result<Response, HttpError> {
    let node = &api.node;
    Ok(Response::json(&Vars {
        uptime_seconds: node.uptime().as_secs_f64(),
        cpu_seconds: process::cpu_seconds(),
        threads: process::threads(),
        runtime: Runtime::now(),
        resident_bytes: process::resident_bytes(),
        message_bytes: node.memory().used(),
        message_budget_bytes: node.options().mem_queue_bytes,
        open_fds: process::open_fds(),
        connections: node.connections().count(),
        topics: node.topics().len(),
    }))
}

impl Runtime {
    fn now() -> Self {
        let metrics = Handle::current().metrics();
        let worker = |index| Worker {
            busy_seconds: metrics.worker_total_busy_duration(index).as_secs_f64(),
            parks: metrics.worker_park_count(index),
        };
        Self {
            workers: (0..metrics.num_workers()).map(worker).collect(),
            alive_tasks: metrics.num_alive_tasks(),
            global_queue_depth: metrics.global_queue_depth(),
        }
    }
}

/// POST `/debug/freememory`: gives memory that is free back to the system.
pub(super) async fn free_memory(_: Arc<Api>, _: Request) -> Result<Response, HttpError> {
    let trimmed = tokio::task::spawn_blocking(allocator::trim).await;
    // It has panicked, which is logged, or the runtime ends.
    trimmed.map_err(|_| HttpError::INTERNAL)?;
    Ok(Response::plain("OK"))
}

/// PUT `/debug/setblockrate`, which is for Go's profiler: a wrong rate is refused as there, a right one too.
pub(super) async fn set_block_rate(_: Arc<Api>, request: Request) -> Result<Response, HttpError> {
    let query = request.query()?;
    let rate = query.get("rate").unwrap_or_default();
    if rate.parse::<i64>().is_err() {
        let text = format!("invalid block rate : {}", rate.escape_debug());
        return Ok(Response::plain(&text).with_status(StatusCode::BAD_REQUEST));
    }
    Ok(not_here("Nothing is sampled when a task waits"))
}

/// GET `/debug/pprof/*`: where to get what was asked for.
pub(super) async fn profile(_: Arc<Api>, _: Request) -> Result<Response, HttpError> {
    Ok(not_here("There is no profiler inside"))
}

fn not_here(what: &str) -> Response {
    let text = format!(
        "{what}. GET /debug/vars tells time per thread, tasks and memory. From outside: perf record -g -p <pid>, then perf \
         report, for where time goes; gdb -p <pid> -batch -ex 'thread apply all bt' for where every thread is; heaptrack -p \
         <pid> for memory. Release builds have the line tables that these need.\n"
    );
    Response::plain(&text).with_status(StatusCode::NOT_IMPLEMENTED)
}
