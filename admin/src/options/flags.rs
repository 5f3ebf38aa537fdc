//! The command line as given: every flag of the reference, and those of our own at the end.

use std::path::PathBuf;

use clap::Parser;
use client::daemon::{duration::GoDuration, flags::Daemon, log::LogLevel};

/// What the command line and the configuration file of nsqadmin are called, where names alone do not tell.
pub const DAEMON: Daemon = Daemon {
    name: "nsqadmin",
    config_keys: &[
        ("lookupd-http-address", Some("nsqlookupd_http_addresses")),
        ("nsqd-http-address", Some("nsqd_http_addresses")),
        ("admin-user", Some("admin_users")),
        ("allowed-host", Some("allowed_hosts")),
        ("trusted-proxy", Some("trusted_proxies")),
        ("producer-allow-cidr", Some("producer_allow_cidrs")),
        ("alert-depth", Some("alert_depths")),
        ("alert-ignore", Some("alert_ignores")),
        ("verbose", None),
    ],
};

/// The page of NSQ: shows topics, channels and nodes of a cluster, and changes them.
///
/// Fields are the flags with `_` for `-`; the comments are their help texts.
#[derive(Clone, Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct Flags {
    /// TOML file with these settings, '_' for '-'.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Lowest level logged: debug, info, warn, error or fatal.
    #[arg(long, default_value = "info")]
    pub log_level: LogLevel,
    /// Start of each log line.
    #[arg(long, default_value = "[nsqadmin] ")]
    pub log_prefix: String,
    /// Deprecated, without effect; see --log-level.
    #[arg(long)]
    pub verbose: bool,

    /// Address to listen on: host:port, or the path of a unix socket.
    #[arg(long, default_value = "0.0.0.0:4171")]
    pub http_address: String,
    /// Path in front of every page and of the API.
    #[arg(long, default_value = "/")]
    pub base_path: String,
    /// Directory whose files are served under /static, in place of the built-in ones.
    #[arg(long, default_value = "")]
    pub dev_static_dir: String,

    /// nsqlookupd to learn nodes from, host:port, repeatable.
    #[arg(long)]
    pub lookupd_http_address: Vec<String>,
    /// nsqd to ask where there is no nsqlookupd, host:port, repeatable.
    #[arg(long)]
    pub nsqd_http_address: Vec<String>,
    /// Longest time to connect to one of them, above 0.
    #[arg(long, default_value = "2s")]
    pub http_client_connect_timeout: GoDuration,
    /// Longest time for a whole request to one of them, above 0.
    #[arg(long, default_value = "5s")]
    pub http_client_request_timeout: GoDuration,
    /// Do not check certificates of nodes: whoever sits in between can read and change everything.
    #[arg(long)]
    pub http_client_tls_insecure_skip_verify: bool,
    /// PEM file with the authorities that nodes' certificates must come from, in place of the system's.
    #[arg(long, default_value = "")]
    pub http_client_tls_root_ca_file: String,
    /// PEM file with the certificate to show to nodes; needs --http-client-tls-key.
    #[arg(long, default_value = "")]
    pub http_client_tls_cert: String,
    /// PEM file with its key.
    #[arg(long, default_value = "")]
    pub http_client_tls_key: String,

    /// Who may use /config, as a range of addresses; empty for everybody.
    #[arg(long, default_value = "127.0.0.1/8")]
    pub allow_config_from_cidr: String,
    /// Header in which a trusted proxy tells the user's name.
    #[arg(long, default_value = "X-Forwarded-User")]
    pub acl_http_header: String,
    /// User who may change things, repeatable; without any, everybody may.
    #[arg(long)]
    pub admin_user: Vec<String>,
    /// URL that is told, by POST, what was changed.
    #[arg(long, default_value = "")]
    pub notification_http_endpoint: String,

    /// http:// or https:// URL of Graphite, for /api/graphite and --proxy-graphite.
    #[arg(long, default_value = "")]
    pub graphite_url: String,
    /// Pass /render on to --graphite-url.
    #[arg(long)]
    pub proxy_graphite: bool,
    /// Prefix of figures in Graphite, %s for the node; as nsqd's.
    #[arg(long, default_value = "nsq.%s")]
    pub statsd_prefix: String,
    /// Key of a counter in Graphite, %s for its name.
    #[arg(long, default_value = "stats.counters.%s.count")]
    pub statsd_counter_format: String,
    /// Key of a gauge in Graphite, %s for its name.
    #[arg(long, default_value = "stats.gauges.%s")]
    pub statsd_gauge_format: String,
    /// Time between nsqd's pushes to statsd, above 0.
    #[arg(long, default_value = "1m")]
    pub statsd_interval: GoDuration,

    /// Name that browsers may reach nsqadmin by, repeatable; IP addresses, localhost and this host's
    /// name always may; * allows any.
    #[arg(long)]
    pub allowed_host: Vec<String>,
    /// Range of addresses from which --acl-http-header is believed, repeatable: 127.0.0.1/8.
    #[arg(long)]
    pub trusted_proxy: Vec<String>,
    /// Range of addresses that nsqds which nsqlookupds announce are connected to at, repeatable: 10.0.0.0/8;
    /// without any, all but link-local ones.
    #[arg(long)]
    pub producer_allow_cidr: Vec<String>,

    /// Time between two looks at every nsqd, 100ms to 1m; history and alerts are made of them.
    #[arg(long, default_value = "2s")]
    pub sample_interval: GoDuration,
    /// Most messages that may wait in channels, repeatable: topic/channel=messages, with * for any letters.
    #[arg(long, value_name = "PATTERN=N")]
    pub alert_depth: Vec<String>,
    /// Channels that no alert is wanted of, repeatable: topic/channel, with * for any letters.
    #[arg(long, value_name = "PATTERN")]
    pub alert_ignore: Vec<String>,
    /// How long a channel may be paused before that is an alert; 0 for ever.
    #[arg(long, default_value = "1h")]
    pub alert_paused_after: GoDuration,
    /// Keep no history.
    #[arg(long)]
    pub no_history: bool,
    /// Most topics, channels and nodes together that history is kept of; each takes up to 39 KiB.
    #[arg(long, default_value_t = 5000)]
    pub history_series_max: usize,
    /// Most browsers that may watch live figures at a time.
    #[arg(long, default_value_t = 256)]
    pub live_viewers_max: usize,
    /// File with a line user:role:hash for everybody who may log in; see nsqadmin hash-password.
    #[arg(long, default_value = "")]
    pub password_file: String,
    /// Longest time for which a login holds, above 0.
    #[arg(long, default_value = "12h")]
    pub session_timeout: GoDuration,
}
