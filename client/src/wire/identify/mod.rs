//! IDENTIFY: what a client asks for, what the server can do, and what they settle on.
//!
//! ```text
//! IdentifyRequest ─ IdentifyOffer::negotiate ─▶ Settings ─ IdentifyOffer::response ─▶ IdentifyResponse
//! ```
//!
//! Durations are whole milliseconds on the wire. The request's JSON is read in `request.rs`.

mod request;

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::{ErrorCode, ErrorReply};

pub use request::IdentifyRequest;

/// The level of deflate when a client asks for none.
const DEFAULT_DEFLATE_LEVEL: u32 = 6;
/// Shortest heartbeat interval that a client may ask for.
const MIN_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Shortest message timeout that a client may ask for.
const MIN_MSG_TIMEOUT: Duration = Duration::from_secs(1);
/// Smallest output buffer that a client may ask for.
const MIN_OUTPUT_BUFFER_BYTES: usize = 64;
/// Largest sample rate, in percent; all messages is 0.
const MAX_SAMPLE_RATE: u8 = 99;

/// What a server can do and allows, the same for all its connections. `Default` is an nsqd
/// without flags.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the protocol of its own"
)]
pub struct IdentifyOffer {
    /// Largest ready count. Default 2500 (nsqd `-max-rdy-count`).
    pub max_rdy_count: u64,
    /// Version of the server. Clients compare it; the default `1.3.0` is that of the reference.
    pub version: String,
    /// Longest message timeout. Default 15 min (nsqd `-max-msg-timeout`).
    pub max_msg_timeout: Duration,
    /// Message timeout when the client asks for none. Default 1 min (nsqd `-msg-timeout`).
    pub msg_timeout: Duration,
    /// Whether there is a certificate. Default no (nsqd `-tls-cert`).
    pub tls_v1: bool,
    /// Whether deflate is offered. Default yes (nsqd `-deflate`).
    pub deflate: bool,
    /// Highest level of deflate, 1 to 9. Default 6 (nsqd `-max-deflate-level`).
    pub max_deflate_level: u32,
    /// Whether snappy is offered. Default yes (nsqd `-snappy`).
    pub snappy: bool,
    /// Whether AUTH is needed. Default no (nsqd `-auth-http-address`).
    pub auth_required: bool,
    /// Time between heartbeats when the client asks for none. Default 30 s.
    pub heartbeat_interval: Duration,
    /// Longest time between heartbeats. Default 1 min (nsqd `-max-heartbeat-interval`).
    pub max_heartbeat_interval: Duration,
    /// Bytes buffered per connection when the client asks for none. Default 16 KiB.
    pub output_buffer_size: usize,
    /// Most bytes buffered per connection. Default 64 KiB (nsqd `-max-output-buffer-size`).
    pub max_output_buffer_size: usize,
    /// Time after which the buffer is flushed when the client asks for none. Default 250 ms
    /// (nsqd `-output-buffer-timeout`).
    pub output_buffer_timeout: Duration,
    /// Shortest such time. Default 25 ms (nsqd `-min-output-buffer-timeout`).
    pub min_output_buffer_timeout: Duration,
    /// Longest such time. Default 30 s (nsqd `-max-output-buffer-timeout`).
    pub max_output_buffer_timeout: Duration,
    /// Region of the server. Default empty (nsqd `-topology-region`).
    pub topology_region: String,
    /// Zone of the server. Default empty (nsqd `-topology-zone`).
    pub topology_zone: String,
}

impl Default for IdentifyOffer {
    fn default() -> IdentifyOffer {
        IdentifyOffer {
            max_rdy_count: 2500,
            version: "1.3.0".to_owned(),
            max_msg_timeout: Duration::from_mins(15),
            msg_timeout: Duration::from_mins(1),
            tls_v1: false,
            deflate: true,
            max_deflate_level: 6,
            snappy: true,
            auth_required: false,
            heartbeat_interval: Duration::from_secs(30),
            max_heartbeat_interval: Duration::from_mins(1),
            output_buffer_size: 16 * 1024,
            max_output_buffer_size: 64 * 1024,
            output_buffer_timeout: Duration::from_millis(250),
            min_output_buffer_timeout: Duration::from_millis(25),
            max_output_buffer_timeout: Duration::from_secs(30),
            topology_region: String::new(),
            topology_zone: String::new(),
        }
    }
}

/// What holds for one connection. That of a client which never sends IDENTIFY is what an empty
/// request gives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the protocol of its own"
)]
pub struct Settings {
    /// Short name of the client; empty when it gave none.
    pub client_id: String,
    /// Host of the client; empty when it gave none.
    pub hostname: String,
    /// Library and version of the client; empty when it gave none.
    pub user_agent: String,
    /// Whether the client reads JSON instead of `OK`. Without it there is no TLS or compression.
    pub feature_negotiation: bool,
    /// Time between heartbeats; `None` is never.
    pub heartbeat_interval: Option<Duration>,
    /// Bytes buffered before they are written; 1 is no buffer.
    pub output_buffer_size: usize,
    /// Longest time that bytes stay in the buffer; `None` is until it is full.
    pub output_buffer_timeout: Option<Duration>,
    /// Whether the connection goes on in TLS.
    pub tls_v1: bool,
    /// Whether the connection goes on in deflate.
    pub deflate: bool,
    /// Level of deflate, also when it is not used.
    pub deflate_level: u32,
    /// Whether the connection goes on in snappy.
    pub snappy: bool,
    /// Percentage of messages to be handed out; 0 is all.
    pub sample_rate: u8,
    /// How long a message may stay in flight.
    pub msg_timeout: Duration,
    /// Region of the client; empty when it gave none.
    pub topology_region: String,
    /// Zone of the client; empty when it gave none.
    pub topology_zone: String,
}

/// The answer to IDENTIFY when the client asked for feature negotiation.
///
/// Keys that an older server does not send get their default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the protocol of its own"
)]
pub struct IdentifyResponse {
    /// Largest ready count.
    pub max_rdy_count: u64,
    /// Version of the server.
    pub version: String,
    /// Longest message timeout in milliseconds.
    pub max_msg_timeout: u64,
    /// Message timeout of this connection in milliseconds.
    pub msg_timeout: u64,
    /// Whether TLS follows.
    pub tls_v1: bool,
    /// Whether deflate follows.
    pub deflate: bool,
    /// Level of deflate of this connection, also when it is not used.
    pub deflate_level: u32,
    /// Highest level of deflate.
    pub max_deflate_level: u32,
    /// Whether snappy follows.
    pub snappy: bool,
    /// Percentage of messages to be handed out; 0 is all.
    pub sample_rate: u8,
    /// Whether AUTH is needed.
    pub auth_required: bool,
    /// Bytes buffered by the server before they are written; 1 is no buffer.
    pub output_buffer_size: usize,
    /// Longest time that bytes stay in that buffer, in milliseconds; 0 is until it is full.
    pub output_buffer_timeout: u64,
    /// Region of the server.
    pub topology_region: String,
    /// Zone of the server.
    pub topology_zone: String,
}

impl IdentifyOffer {
    /// Settles what holds for a connection that sent this request.
    ///
    /// # Errors
    /// `E_BAD_BODY` for a value out of range, `E_IDENTIFY_FAILED` if both compressions would be
    /// granted.
    pub fn negotiate(&self, request: &IdentifyRequest) -> Result<Settings, ErrorReply> {
        // The order of the checks is that of the reference: the first one to fail is told.
        let heartbeat_interval = self.heartbeat_interval(request)?;
        let output_buffer_timeout = self.output_buffer_timeout(request)?;
        let output_buffer_size = self.output_buffer_size(request)?;
        let unbuffered = request.output_buffer_size == Some(-1);
        let sample_rate = sample_rate(request)?;
        let msg_timeout = self.msg_timeout(request)?;

        let granted = |offered: bool, asked: Option<bool>| {
            offered && request.feature_negotiation == Some(true) && asked == Some(true)
        };
        let deflate = granted(self.deflate, request.deflate);
        let snappy = granted(self.snappy, request.snappy);
        if deflate && snappy {
            let text = "cannot enable both deflate and snappy compression";
            return Err(ErrorReply::new(ErrorCode::IdentifyFailed, text));
        }
        Ok(Settings {
            client_id: request.client_id.clone().unwrap_or_default(),
            hostname: request.hostname.clone().unwrap_or_default(),
            user_agent: request.user_agent.clone().unwrap_or_default(),
            feature_negotiation: request.feature_negotiation == Some(true),
            heartbeat_interval,
            output_buffer_size,
            output_buffer_timeout: output_buffer_timeout.filter(|_| !unbuffered),
            tls_v1: granted(self.tls_v1, request.tls_v1),
            deflate,
            deflate_level: self.deflate_level(request.deflate_level.filter(|_| deflate)),
            snappy,
            sample_rate,
            msg_timeout,
            topology_region: request.topology_region.clone().unwrap_or_default(),
            topology_zone: request.topology_zone.clone().unwrap_or_default(),
        })
    }

    /// The JSON that answers a client which asked for feature negotiation.
    pub fn response(&self, settings: &Settings) -> Vec<u8> {
        let response = IdentifyResponse {
            max_rdy_count: self.max_rdy_count,
            version: self.version.clone(),
            max_msg_timeout: millis(self.max_msg_timeout),
            msg_timeout: millis(settings.msg_timeout),
            tls_v1: settings.tls_v1,
            deflate: settings.deflate,
            deflate_level: settings.deflate_level,
            max_deflate_level: self.max_deflate_level,
            snappy: settings.snappy,
            sample_rate: settings.sample_rate,
            auth_required: self.auth_required,
            output_buffer_size: settings.output_buffer_size,
            output_buffer_timeout: settings.output_buffer_timeout.map_or(0, millis),
            topology_region: self.topology_region.clone(),
            topology_zone: self.topology_zone.clone(),
        };
        to_json(&response)
    }

    fn heartbeat_interval(
        &self,
        request: &IdentifyRequest,
    ) -> Result<Option<Duration>, ErrorReply> {
        let allowed = MIN_HEARTBEAT_INTERVAL..=self.max_heartbeat_interval;
        match request.heartbeat_interval.unwrap_or(0) {
            -1 => Ok(None),
            0 => Ok(Some(self.heartbeat_interval)),
            ms => duration_in(&allowed, ms, "heartbeat interval").map(Some),
        }
    }

    fn output_buffer_timeout(
        &self,
        request: &IdentifyRequest,
    ) -> Result<Option<Duration>, ErrorReply> {
        let allowed = self.min_output_buffer_timeout..=self.max_output_buffer_timeout;
        match request.output_buffer_timeout.unwrap_or(0) {
            -1 => Ok(None),
            0 => Ok(Some(self.output_buffer_timeout)),
            ms => duration_in(&allowed, ms, "output buffer timeout").map(Some),
        }
    }

    fn output_buffer_size(&self, request: &IdentifyRequest) -> Result<usize, ErrorReply> {
        match request.output_buffer_size.unwrap_or(0) {
            -1 => Ok(1),
            0 => Ok(self.output_buffer_size),
            given => usize::try_from(given)
                .ok()
                .filter(|size| {
                    (MIN_OUTPUT_BUFFER_BYTES..=self.max_output_buffer_size).contains(size)
                })
                .ok_or_else(|| invalid("output buffer size", given)),
        }
    }

    fn msg_timeout(&self, request: &IdentifyRequest) -> Result<Duration, ErrorReply> {
        match request.msg_timeout.unwrap_or(0) {
            0 => Ok(self.msg_timeout),
            ms => duration_in(&(MIN_MSG_TIMEOUT..=self.max_msg_timeout), ms, "msg timeout"),
        }
    }

    fn deflate_level(&self, asked: Option<i64>) -> u32 {
        let level = match asked {
            Some(level) if level > 0 => u32::try_from(level).unwrap_or(u32::MAX),
            _ => DEFAULT_DEFLATE_LEVEL,
        };
        level.min(self.max_deflate_level)
    }
}

fn sample_rate(request: &IdentifyRequest) -> Result<u8, ErrorReply> {
    let given = request.sample_rate.unwrap_or(0);
    u8::try_from(given)
        .ok()
        .filter(|rate| *rate <= MAX_SAMPLE_RATE)
        .ok_or_else(|| invalid("sample rate", given.into()))
}

fn duration_in(
    allowed: &RangeInclusive<Duration>,
    given_ms: i64,
    what: &str,
) -> Result<Duration, ErrorReply> {
    u64::try_from(given_ms)
        .ok()
        .map(Duration::from_millis)
        .filter(|duration| allowed.contains(duration))
        .ok_or_else(|| invalid(what, given_ms))
}

fn invalid(what: &str, given: i64) -> ErrorReply {
    ErrorReply::new(
        ErrorCode::BadBody,
        format!("IDENTIFY {what} ({given}) is invalid"),
    )
}

/// The JSON of a request or a response.
pub(super) fn to_json(fields: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(fields).expect("strings, numbers and booleans are always JSON")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
