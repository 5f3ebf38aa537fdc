//! The command line as given: every flag of the reference, and those of our own at the end.

use std::{ffi::OsString, path::PathBuf};

use clap::Parser;
use client::daemon::{
    duration::GoDuration,
    flags::{ByteSize, Daemon, integer},
    log::LogLevel,
};

use super::tls::{TlsRequired, version_name};
use crate::topic::Durability;

/// What the command line and the configuration file of nsqd are called, where names alone do not tell.
pub const DAEMON: Daemon = Daemon {
    name: "nsqd",
    config_keys: &[
        ("node-id", Some("id")),
        ("lookupd-tcp-address", Some("nsqlookupd_tcp_addresses")),
        ("auth-http-address", Some("auth_http_addresses")),
        (
            "e2e-processing-latency-percentile",
            Some("e2e_processing_latency_percentiles"),
        ),
        ("verbose", None),
        ("worker-id", None),
    ],
};

/// The message daemon of NSQ: takes messages, keeps them, and fans each topic out to its channels.
///
/// Fields are the flags with `_` for `-`; the comments are their help texts.
#[derive(Clone, Debug, Parser)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the reference"
)]
pub struct Flags {
    /// TOML file with these settings, '_' for '-'.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Lowest level logged: debug, info, warn, error or fatal.
    #[arg(long, default_value = "info")]
    pub log_level: LogLevel,
    /// Start of each log line.
    #[arg(long, default_value = "[nsqd] ")]
    pub log_prefix: String,
    /// Deprecated, without effect; see --log-level.
    #[arg(long)]
    pub verbose: bool,
    /// Part of message ids, 0 to 1023, different on each nsqd; default from the host name.
    #[arg(long, value_parser = integer::<i64>)]
    pub node_id: Option<i64>,
    /// Deprecated, without effect; see --node-id.
    #[arg(long)]
    pub worker_id: bool,

    /// Address for TCP clients: host:port, or the path of a unix socket.
    #[arg(long, default_value = "0.0.0.0:4150")]
    pub tcp_address: String,
    /// Address for HTTP clients: host:port, or the path of a unix socket; empty for none.
    #[arg(long, default_value = "0.0.0.0:4151")]
    pub http_address: String,
    /// Address for HTTPS clients, host:port; opened with --tls-cert; empty for none.
    #[arg(long, default_value = "0.0.0.0:4152")]
    pub https_address: String,
    /// Address that consumers reach this host by, told to nsqlookupd; default the host name.
    #[arg(long)]
    pub broadcast_address: Option<String>,
    /// TCP port that consumers reach this host by; 0 for the one listened on.
    #[arg(long, default_value = "0", value_parser = integer::<i64>)]
    pub broadcast_tcp_port: i64,
    /// HTTP port that consumers reach this host by; 0 for the one listened on.
    #[arg(long, default_value = "0", value_parser = integer::<i64>)]
    pub broadcast_http_port: i64,
    /// nsqlookupd to be registered with, host:port, repeatable.
    #[arg(long)]
    pub lookupd_tcp_address: Vec<String>,
    /// Server that authorizes clients, host:port or a URL, repeatable: another one is asked when one
    /// fails.
    #[arg(long)]
    pub auth_http_address: Vec<String>,
    /// Take patterns of authorization servers for whole names: `a` allows `a` only, not `xay`.
    #[arg(long)]
    pub auth_anchor_patterns: bool,
    /// How authorization servers are asked; post keeps secrets out of their access logs.
    #[arg(long, default_value = "get", value_parser = ["get", "post"])]
    pub auth_http_request_method: String,
    /// Longest time to connect to nsqlookupd or an authorization server over HTTP, above 0.
    #[arg(long, default_value = "2s")]
    pub http_client_connect_timeout: GoDuration,
    /// Longest time for a question to it, above 0: what a new topic waits for its channels.
    #[arg(long, default_value = "5s")]
    pub http_client_request_timeout: GoDuration,
    /// Show the messages that wait in a channel, over HTTP at /channel/peek.
    #[arg(long)]
    pub enable_peek: bool,
    /// Region of this host, told to clients.
    #[arg(long, default_value = "")]
    pub topology_region: String,
    /// Zone of this host within its region, told to clients.
    #[arg(long, default_value = "")]
    pub topology_zone: String,
    /// Experiment to enable, repeatable: topology-aware-consumption gives messages to consumers in the
    /// zone of this host first, then to those in its region.
    #[arg(long)]
    pub enable_experiment: Vec<String>,

    /// Directory for all files, which must exist; default the current one.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub data_path: OsString,
    /// Messages of a topic kept in memory; more go to disk, and with 0 all do.
    #[arg(long, default_value = "10000", value_parser = integer::<i64>)]
    pub mem_queue_size: i64,
    /// What OK promises unless a topic has a level of its own: memory, as the reference; disk, where the end of the
    /// process loses nothing; fsync, where a power cut loses nothing; default memory, with --mem-queue-size=0 disk.
    #[arg(long)]
    pub durability: Option<Durability>,
    /// Bytes of messages kept in memory in all, from 1MiB; suffixes k, m, g; default an eighth of
    /// the memory, from 64MiB to 4GiB.
    #[arg(long)]
    pub mem_queue_bytes: Option<ByteSize>,
    /// Bytes in one file of messages, from 1.
    #[arg(long, default_value = "104857600", value_parser = integer::<i64>)]
    pub max_bytes_per_file: i64,
    /// Messages written between syncs to disk, from 1.
    #[arg(long, default_value = "2500", value_parser = integer::<i64>)]
    pub sync_every: i64,
    /// Longest time between syncs to disk, above 0.
    #[arg(long, default_value = "2s")]
    pub sync_timeout: GoDuration,
    /// Time between checkpoints of the progress of channels in durable topics, above 0.
    #[arg(long, default_value = "1s")]
    pub checkpoint_interval: GoDuration,
    /// Without effect: nothing is scanned.
    #[arg(long, default_value = "4", value_parser = integer::<i64>)]
    pub queue_scan_worker_pool_max: i64,
    /// Without effect: nothing is scanned.
    #[arg(long, default_value = "20", value_parser = integer::<i64>)]
    pub queue_scan_selection_count: i64,

    /// Time in flight after which a message is delivered again, unless the client asks for another;
    /// above 0.
    #[arg(long, default_value = "1m")]
    pub msg_timeout: GoDuration,
    /// Longest time in flight, however often touched; from --msg-timeout.
    #[arg(long, default_value = "15m")]
    pub max_msg_timeout: GoDuration,
    /// Largest message in bytes, from 1.
    #[arg(long, default_value = "1048576", value_parser = integer::<i64>)]
    pub max_msg_size: i64,
    /// Longest delay of a message, deferred or requeued.
    #[arg(long, default_value = "1h")]
    pub max_req_timeout: GoDuration,
    /// Largest body of a command in bytes, from 1: many messages, or JSON.
    #[arg(long, default_value = "5242880", value_parser = integer::<i64>)]
    pub max_body_size: i64,
    /// Longest time between heartbeats that a client may ask for, from 1s.
    #[arg(long, default_value = "1m")]
    pub max_heartbeat_interval: GoDuration,
    /// Most messages in flight that a client may ask for, from 1.
    #[arg(long, default_value = "2500", value_parser = integer::<i64>)]
    pub max_rdy_count: i64,
    /// Largest output buffer that a client may ask for in bytes, from 64.
    #[arg(long, default_value = "65536", value_parser = integer::<i64>)]
    pub max_output_buffer_size: i64,
    /// Longest time between flushes that a client may ask for.
    #[arg(long, default_value = "30s")]
    pub max_output_buffer_timeout: GoDuration,
    /// Shortest time between flushes that a client may ask for, above 0.
    #[arg(long, default_value = "25ms")]
    pub min_output_buffer_timeout: GoDuration,
    /// Time between flushes unless a client asks for another, above 0.
    #[arg(long, default_value = "250ms")]
    pub output_buffer_timeout: GoDuration,
    /// Most consumers of a channel; 0 for no limit.
    #[arg(long, default_value = "0", value_parser = integer::<i64>)]
    pub max_channel_consumers: i64,
    /// Most TCP connections; 0 for as many as the limit of file descriptors has room for.
    #[arg(long, default_value = "0", value_parser = integer::<i64>)]
    pub max_connections: i64,
    /// Most topics; 0 for no limit.
    #[arg(long, default_value = "50000", value_parser = integer::<i64>)]
    pub max_topics: i64,
    /// Most channels of a topic; 0 for no limit.
    #[arg(long, default_value = "10000", value_parser = integer::<i64>)]
    pub max_channels_per_topic: i64,

    /// statsd to push figures to over UDP, host:port; empty for none.
    #[arg(long, default_value = "")]
    pub statsd_address: String,
    /// Time between pushes to statsd, above 0.
    #[arg(long, default_value = "1m")]
    pub statsd_interval: GoDuration,
    /// Push memory figures to statsd.
    #[arg(long, default_value = "true")]
    pub statsd_mem_stats: bool,
    /// Prefix of figures in statsd, %s for this host's broadcast address and HTTP port.
    #[arg(long, default_value = "nsq.%s")]
    pub statsd_prefix: String,
    /// Bytes in a packet to statsd, 1 to 65507; a longer line goes alone.
    #[arg(long, default_value = "508", value_parser = integer::<i64>)]
    pub statsd_udp_packet_size: i64,
    /// Leave ephemeral topics and channels out of statsd.
    #[arg(long)]
    pub statsd_exclude_ephemeral: bool,
    /// Percentile of the time from publish to finish to be told, above 0 to 1, repeatable.
    #[arg(long, value_delimiter = ',')]
    pub e2e_processing_latency_percentile: Vec<f64>,
    /// Time over which percentiles are taken, above 0.
    #[arg(long, default_value = "10m")]
    pub e2e_processing_latency_window_time: GoDuration,

    /// PEM file with the certificate for TLS and HTTPS; needs --tls-key.
    #[arg(long, default_value = "")]
    pub tls_cert: String,
    /// PEM file with the key of the certificate.
    #[arg(long, default_value = "")]
    pub tls_key: String,
    /// Which certificates clients need: require for any, require-verify for one of an authority; empty
    /// for none. Either makes TLS required.
    #[arg(long, default_value = "")]
    pub tls_client_auth_policy: String,
    /// PEM file with the authorities of clients and authorization servers; default those of the system.
    #[arg(long, default_value = "")]
    pub tls_root_ca_file: String,
    /// Refuse clients without TLS: true, false, or tcp-https to leave HTTP open.
    #[arg(long, default_value = "false", default_missing_value = "true", num_args = 0..=1)]
    pub tls_required: TlsRequired,
    /// Lowest version of TLS: tls1.2 or tls1.3; tls1.0 and tls1.1 are accepted, and mean tls1.2.
    #[arg(long, default_value = "tls1.0", value_parser = version_name)]
    pub tls_min_version: String,
    /// Offer deflate to clients.
    #[arg(long, default_value = "true")]
    pub deflate: bool,
    /// Highest level of deflate, 1 to 9.
    #[arg(long, default_value = "6", value_parser = integer::<i64>)]
    pub max_deflate_level: i64,
    /// Offer snappy to clients.
    #[arg(long, default_value = "true")]
    pub snappy: bool,
}
