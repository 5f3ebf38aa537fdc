//! How nsqd is to run: [`Flags`] as given, then [`Options`], which cannot be wrong.
//!
//! Every flag of the reference is accepted. What only runs when it is asked for is checked in `optional.rs`, TLS in
//! `tls.rs`: an operator who asks for it must not get a daemon without it.

mod config;
mod flags;
mod machine;
mod optional;
mod tls;

use std::{fmt::Display, ops::RangeInclusive, path::PathBuf, time::Duration};

use client::{
    daemon::{duration::GoDuration, flags::COMPATIBLE_VERSION, log::LogLevel},
    wire::{IdentifyOffer, Limits, lookup::PeerInfo},
};
use thiserror::Error;

use crate::lookup::is_address;
use crate::topic::Durability;
use crate::{auth, latency, statsd};

pub use config::ConfigValue;
pub use flags::{DAEMON, Flags};
pub use tls::{Tls, TlsRequired, TlsRequiredError};

/// Checked settings. Names and meanings are those of the flags; defaults are in their help.
#[derive(Clone, Debug)]
pub struct Options {
    /// Lowest level logged at the start.
    pub log_level: LogLevel,
    /// Start of each log line.
    pub log_prefix: String,
    /// Part of message ids, 0 to 1023.
    pub node_id: u16,
    /// Name of this host, as the kernel has it.
    pub hostname: String,
    /// Where TCP clients connect: `host:port`, or the path of a unix socket. Not empty.
    pub tcp_address: String,
    /// Where HTTP clients connect, likewise; empty for nowhere.
    pub http_address: String,
    /// Where HTTPS clients connect, if there is a certificate; empty for nowhere.
    pub https_address: String,
    /// How connections are protected.
    pub tls: Tls,
    /// Address that others reach this host by. Default the host name.
    pub broadcast_address: String,
    /// TCP port that others reach this host by; 0 for the one listened on.
    pub broadcast_tcp_port: u16,
    /// HTTP port that others reach this host by; 0 for the one listened on.
    pub broadcast_http_port: u16,
    /// nsqlookupds to be registered with at the start: `host:port` each.
    pub lookupd_tcp_addresses: Vec<String>,
    /// Longest time to connect to nsqlookupd over HTTP, above 0.
    pub http_client_connect_timeout: Duration,
    /// Longest time for a question to it, above 0.
    pub http_client_request_timeout: Duration,
    /// Whom to ask what clients may do, if they may not do everything.
    pub auth: Option<auth::Settings>,
    /// Where to push figures, if anywhere.
    pub statsd: Option<statsd::Settings>,
    /// How to measure the time from publish to finish, if it is to be measured.
    pub latency: Option<latency::Settings>,
    /// Give messages to consumers nearby first.
    pub topology_aware: bool,
    /// Region of this host; may be empty.
    pub topology_region: String,
    /// Zone of this host; may be empty.
    pub topology_zone: String,
    /// Directory for all files.
    pub data_path: PathBuf,
    /// Messages of a topic kept in memory; with 0 all go to disk.
    pub mem_queue_size: u64,
    /// What OK promises where a topic has no level of its own; with `mem_queue_size` 0 not memory.
    pub durability: Durability,
    /// Bytes of messages kept in memory by the whole process, from 1 MiB.
    pub mem_queue_bytes: usize,
    /// Most bytes in one file of messages, from 1.
    pub max_bytes_per_file: u64,
    /// Messages written between syncs to disk, from 1.
    pub sync_every: u64,
    /// Longest time between syncs to disk, above 0.
    pub sync_timeout: Duration,
    /// Time between checkpoints of the progress of channels in durable topics, above 0.
    pub checkpoint_interval: Duration,
    /// Time in flight unless the client asks for another, above 0.
    pub msg_timeout: Duration,
    /// Longest time in flight, from `msg_timeout`.
    pub max_msg_timeout: Duration,
    /// Largest message in bytes, from 1.
    pub max_msg_size: usize,
    /// Largest body of a command in bytes, from 1.
    pub max_body_size: usize,
    /// Longest delay of a message.
    pub max_req_timeout: Duration,
    /// Longest time between heartbeats that a client may ask for, from 1 s.
    pub max_heartbeat_interval: Duration,
    /// Most messages in flight that a client may ask for, from 1.
    pub max_rdy_count: u64,
    /// Largest output buffer that a client may ask for in bytes, from 64.
    pub max_output_buffer_size: usize,
    /// Longest time between flushes that a client may ask for.
    pub max_output_buffer_timeout: Duration,
    /// Shortest time between flushes that a client may ask for, above 0.
    pub min_output_buffer_timeout: Duration,
    /// Time between flushes unless a client asks for another, above 0.
    pub output_buffer_timeout: Duration,
    /// Most consumers of a channel; 0 for no limit.
    pub max_channel_consumers: usize,
    /// Most TCP connections; 0 for as many as file descriptors allow.
    pub max_connections: usize,
    /// Most topics; 0 for no limit.
    pub max_topics: usize,
    /// Most channels of a topic; 0 for no limit.
    pub max_channels_per_topic: usize,
    /// Offer deflate.
    pub deflate: bool,
    /// Highest level of deflate, 1 to 9.
    pub max_deflate_level: u32,
    /// Offer snappy.
    pub snappy: bool,
    /// As given, for `/config`: what has no effect is shown there too.
    flags: Flags,
}

/// A setting that nsqd cannot run with.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OptionsError {
    /// Outside what is allowed.
    #[error("failed to instantiate nsqd - --{flag} must be {allowed}, not {value}")]
    NotAllowed {
        /// The flag, without dashes.
        flag: &'static str,
        /// The value given.
        value: String,
        /// The values allowed.
        allowed: String,
    },
    /// The certificate, or what belongs to it.
    #[error("failed to instantiate nsqd - failed to build TLS config - {cause}")]
    Tls {
        /// What is wrong, with the flag or the file.
        cause: String,
    },
    /// TLS is required, of clients or by a policy for their certificates, and cannot be had.
    #[error(
        "failed to instantiate nsqd - cannot require TLS client connections without TLS key and cert"
    )]
    NoCertificate,
}

impl Options {
    /// Checks `flags`, reads the files of TLS, and fills in the defaults that depend on the machine. Opens no port.
    ///
    /// # Errors
    ///
    /// The first flag that is out of range, or a file that is of no use.
    pub fn check(flags: Flags) -> Result<Self, OptionsError> {
        let hostname = machine::hostname();
        let given = flags.clone();
        Ok(Self {
            log_level: flags.log_level,
            log_prefix: flags.log_prefix,
            node_id: match flags.node_id {
                // Worded as the reference does.
                Some(id) => integer("node-id", id, 0..=1023)
                    .map_err(|_| not_allowed("node-id", id, "[0,1024)"))?,
                None => machine::node_id(&hostname),
            },
            tcp_address: match flags.tcp_address {
                empty if empty.is_empty() => {
                    let allowed = "host:port or the path of a unix socket";
                    return Err(not_allowed("tcp-address", "empty", allowed));
                }
                address => address,
            },
            http_address: flags.http_address,
            https_address: flags.https_address,
            tls: tls::tls(&given)?,
            broadcast_address: flags.broadcast_address.unwrap_or_else(|| hostname.clone()),
            broadcast_tcp_port: integer("broadcast-tcp-port", flags.broadcast_tcp_port, 0..=65535)?,
            broadcast_http_port: integer(
                "broadcast-http-port",
                flags.broadcast_http_port,
                0..=65535,
            )?,
            lookupd_tcp_addresses: lookupd_tcp_addresses(flags.lookupd_tcp_address)?,
            http_client_connect_timeout: above_zero(
                "http-client-connect-timeout",
                flags.http_client_connect_timeout,
            )?,
            http_client_request_timeout: above_zero(
                "http-client-request-timeout",
                flags.http_client_request_timeout,
            )?,
            auth: optional::auth(&given)?,
            statsd: optional::statsd(&given)?,
            latency: optional::latency(&given)?,
            topology_aware: optional::is_topology_aware(&given),
            topology_region: flags.topology_region,
            topology_zone: flags.topology_zone,
            data_path: match flags.data_path {
                empty if empty.is_empty() => PathBuf::from("."),
                path => PathBuf::from(path),
            },
            mem_queue_size: integer("mem-queue-size", flags.mem_queue_size, FROM_0)?,
            durability: durability(flags.durability, flags.mem_queue_size)?,
            mem_queue_bytes: mem_queue_bytes(flags.mem_queue_bytes.map(|size| size.0))?,
            max_bytes_per_file: integer("max-bytes-per-file", flags.max_bytes_per_file, FROM_1)?,
            sync_every: integer("sync-every", flags.sync_every, FROM_1)?,
            sync_timeout: above_zero("sync-timeout", flags.sync_timeout)?,
            checkpoint_interval: above_zero("checkpoint-interval", flags.checkpoint_interval)?,
            msg_timeout: above_zero("msg-timeout", flags.msg_timeout)?,
            max_msg_timeout: from("max-msg-timeout", flags.max_msg_timeout, flags.msg_timeout)?,
            max_msg_size: integer("max-msg-size", flags.max_msg_size, 1..=MSG_SIZE_MAX)?,
            max_body_size: integer("max-body-size", flags.max_body_size, 1..=BODY_SIZE_MAX)?,
            max_req_timeout: flags.max_req_timeout.0,
            max_heartbeat_interval: from(
                "max-heartbeat-interval",
                flags.max_heartbeat_interval,
                GoDuration(Duration::from_secs(1)),
            )?,
            max_rdy_count: integer("max-rdy-count", flags.max_rdy_count, FROM_1)?,
            max_output_buffer_size: integer(
                "max-output-buffer-size",
                flags.max_output_buffer_size,
                64..=BODY_SIZE_MAX,
            )?,
            max_output_buffer_timeout: from(
                "max-output-buffer-timeout",
                flags.max_output_buffer_timeout,
                flags.min_output_buffer_timeout,
            )?,
            min_output_buffer_timeout: above_zero(
                "min-output-buffer-timeout",
                flags.min_output_buffer_timeout,
            )?,
            output_buffer_timeout: above_zero(
                "output-buffer-timeout",
                flags.output_buffer_timeout,
            )?,
            max_channel_consumers: integer(
                "max-channel-consumers",
                flags.max_channel_consumers,
                FROM_0,
            )?,
            max_connections: integer("max-connections", flags.max_connections, FROM_0)?,
            max_topics: integer("max-topics", flags.max_topics, FROM_0)?,
            max_channels_per_topic: integer(
                "max-channels-per-topic",
                flags.max_channels_per_topic,
                FROM_0,
            )?,
            deflate: flags.deflate,
            max_deflate_level: integer("max-deflate-level", flags.max_deflate_level, 1..=9)?,
            snappy: flags.snappy,
            hostname,
            flags: given,
        })
    }

    /// Returns whether messages are shown over HTTP.
    pub fn enable_peek(&self) -> bool {
        self.flags.enable_peek
    }

    /// Returns what commands are checked against.
    pub fn limits(&self) -> Limits {
        Limits {
            max_msg_size: self.max_msg_size,
            max_body_size: self.max_body_size,
            max_rdy_count: self.max_rdy_count,
            max_req_timeout: self.max_req_timeout,
        }
    }

    /// Returns what clients are offered at IDENTIFY.
    pub fn offer(&self) -> IdentifyOffer {
        IdentifyOffer {
            max_rdy_count: self.max_rdy_count,
            max_msg_timeout: self.max_msg_timeout,
            msg_timeout: self.msg_timeout,
            tls_v1: self.tls.config.is_some(),
            deflate: self.deflate,
            max_deflate_level: self.max_deflate_level,
            snappy: self.snappy,
            max_heartbeat_interval: self.max_heartbeat_interval,
            max_output_buffer_size: self.max_output_buffer_size,
            auth_required: self.auth.is_some(),
            output_buffer_timeout: self.output_buffer_timeout,
            min_output_buffer_timeout: self.min_output_buffer_timeout,
            max_output_buffer_timeout: self.max_output_buffer_timeout,
            topology_region: self.topology_region.clone(),
            topology_zone: self.topology_zone.clone(),
            ..IdentifyOffer::default()
        }
    }

    /// Returns what names in statsd begin with, where this HTTP port is listened on.
    pub fn statsd_prefix(&self, http_port: Option<u16>) -> String {
        let port = match self.broadcast_http_port {
            0 => http_port.unwrap_or(0),
            given => given,
        };
        statsd::prefix(&self.flags.statsd_prefix, &self.broadcast_address, port)
    }

    /// Returns what nsqlookupds are told, where these ports are listened on. One that is neither given nor listened on is
    /// 0, which they refuse.
    pub fn about(&self, tcp_port: Option<u16>, http_port: Option<u16>) -> PeerInfo {
        let port = |given, bound: Option<u16>| match given {
            0 => bound.unwrap_or(0).into(),
            given => given.into(),
        };
        PeerInfo {
            broadcast_address: self.broadcast_address.clone(),
            hostname: self.hostname.clone(),
            http_port: port(self.broadcast_http_port, http_port),
            tcp_port: port(self.broadcast_tcp_port, tcp_port),
            topology_region: self.topology_region.clone(),
            topology_zone: self.topology_zone.clone(),
            version: COMPATIBLE_VERSION.to_owned(),
        }
    }
}

/// The addresses given, without empty ones.
fn lookupd_tcp_addresses(given: Vec<String>) -> Result<Vec<String>, OptionsError> {
    let mut addresses = given;
    addresses.retain(|address| !address.is_empty());
    match addresses.iter().find(|address| !is_address(address)) {
        Some(wrong) => Err(not_allowed("lookupd-tcp-address", wrong, "host:port")),
        None => Ok(addresses),
    }
}

/// The value of an integer flag in the type it is used as, if it is in `range`.
fn integer<T>(flag: &'static str, value: i64, range: RangeInclusive<i64>) -> Result<T, OptionsError>
where
    T: TryFrom<i64>,
{
    let allowed = || match range.end() {
        &i64::MAX => format!("at least {}", range.start()),
        end => format!("[{},{end}]", range.start()),
    };
    let checked = range
        .contains(&value)
        .then(|| T::try_from(value).ok())
        .flatten();
    checked.ok_or_else(|| not_allowed(flag, value, allowed()))
}

fn above_zero(flag: &'static str, value: GoDuration) -> Result<Duration, OptionsError> {
    if value.0.is_zero() {
        return Err(not_allowed(flag, value, "above 0"));
    }
    Ok(value.0)
}

fn from(flag: &'static str, value: GoDuration, min: GoDuration) -> Result<Duration, OptionsError> {
    if value < min {
        return Err(not_allowed(flag, value, format!("at least {min}")));
    }
    Ok(value.0)
}

/// The level given, or the one that goes with this queue in memory.
fn durability(given: Option<Durability>, mem_queue_size: i64) -> Result<Durability, OptionsError> {
    match (given, mem_queue_size) {
        (None, 0) => Ok(Durability::Disk),
        (Some(Durability::Memory), 0) => Err(not_allowed(
            "durability",
            Durability::Memory,
            "disk or fsync with --mem-queue-size=0",
        )),
        (given, _) => Ok(given.unwrap_or(Durability::Memory)),
    }
}

/// The byte budget given, or the one for this machine.
fn mem_queue_bytes(given: Option<u64>) -> Result<usize, OptionsError> {
    let bytes = given.unwrap_or_else(machine::mem_queue_bytes);
    if bytes < MEM_QUEUE_BYTES_MIN {
        return Err(not_allowed("mem-queue-bytes", bytes, "at least 1MiB"));
    }
    usize::try_from(bytes).map_err(|_| not_allowed("mem-queue-bytes", bytes, "at most 4GiB here"))
}

fn not_allowed(
    flag: &'static str,
    value: impl Display,
    allowed: impl Into<String>,
) -> OptionsError {
    OptionsError::NotAllowed {
        flag,
        value: value.to_string(),
        allowed: allowed.into(),
    }
}

const FROM_0: RangeInclusive<i64> = 0..=i64::MAX;
const FROM_1: RangeInclusive<i64> = 1..=i64::MAX;
/// Sizes on the wire are signed 32 bit.
const BODY_SIZE_MAX: i64 = i32::MAX as i64;
/// The size of a message frame counts its type and the header of the message too.
const MSG_SIZE_MAX: i64 = BODY_SIZE_MAX - 30;
/// One segment has to fit.
const MEM_QUEUE_BYTES_MIN: u64 = 1 << 20;

#[cfg(test)]
mod tests;
