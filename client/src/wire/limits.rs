//! How much one command may ask of an nsqd.

use std::time::Duration;

/// The limits that a command is checked against while it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest body of one message in bytes. Default 1 MiB (nsqd `-max-msg-size`).
    pub max_msg_size: usize,
    /// Largest body of IDENTIFY, AUTH and MPUB in bytes. Default 5 MiB (nsqd `-max-body-size`).
    pub max_body_size: usize,
    /// Largest ready count of a consumer. Default 2500 (nsqd `-max-rdy-count`).
    pub max_rdy_count: u64,
    /// Longest delay of DPUB and REQ. Default 1 h (nsqd `-max-req-timeout`).
    pub max_req_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_msg_size: 1024 * 1024,
            max_body_size: 5 * 1024 * 1024,
            max_rdy_count: 2500,
            max_req_timeout: Duration::from_hours(1),
        }
    }
}
