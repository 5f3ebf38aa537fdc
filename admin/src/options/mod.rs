//! How nsqadmin is to run: [`Flags`] as given, then [`Options`], which cannot be wrong.
//!
//! Every flag of the reference is accepted, and some of our own.

mod alerts;
mod config;
mod flags;
mod graphite;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use client::tls::{ClientConfig, ClientTls};

use client::daemon::{duration::GoDuration, log::LogLevel};
use hyper::Uri;
use hyper::header::HeaderName;

use crate::cidr::Cidr;
use crate::error::OptionsError;

pub use alerts::{AlertLimits, Pattern};
pub use config::ConfigValue;
pub use flags::{DAEMON, Flags};
pub use graphite::{Graphite, Statsd};

/// Checked settings. Names and meanings are those of the flags; defaults are in their help.
#[derive(Clone, Debug)]
pub struct Options {
    /// Lowest level logged at the start.
    pub log_level: LogLevel,
    /// Start of each log line.
    pub log_prefix: String,
    /// Name of this host, as the kernel has it.
    pub hostname: String,
    /// Where browsers connect: `host:port`, or the path of a unix socket. Not empty.
    pub http_address: String,
    /// What stands before every path: empty, or `/nsq`.
    pub base_path: String,
    /// Whom to ask about the cluster.
    pub sources: Sources,
    /// Longest time to connect to a node, above 0.
    pub http_client_connect_timeout: Duration,
    /// Longest time for a whole request to a node, above 0.
    pub http_client_request_timeout: Duration,
    /// Header in which a trusted proxy tells the user's name.
    pub acl_http_header: HeaderName,
    /// Who may change things; if empty, everybody.
    pub admin_users: Vec<String>,
    /// Whose word on the user's name is believed.
    pub trusted_proxies: Vec<Cidr>,
    /// Where announced nodes are connected to; if empty, everywhere.
    pub producer_ranges: Vec<Cidr>,
    /// Who may use `/config`; `None` for everybody.
    pub allow_config_from_cidr: Option<Cidr>,
    /// Names in `Host` that are ours, in lower case, besides addresses, `localhost` and the host's name.
    pub allowed_hosts: Vec<String>,
    /// Who is told of changes: an `http://` or `https://` URL with a host.
    pub notification_http_endpoint: Option<Uri>,
    /// How nodes are asked over TLS; `None` where the system has no authorities and no flag names any.
    pub tls: Option<Arc<ClientConfig>>,
    /// Where files under `/static` come from, if they are not the built-in ones.
    pub dev_static_dir: Option<PathBuf>,
    /// Where graphs come from, if there are any.
    pub graphite: Option<Graphite>,
    /// How figures are called in Graphite.
    pub statsd: Statsd,
    /// Time between two samples, [`SAMPLE_INTERVAL_MIN`] to [`SAMPLE_INTERVAL_MAX`].
    pub sample_interval: Duration,
    /// Which alerts are wanted.
    pub alert_limits: AlertLimits,
    /// Most series that history is kept of; 0 for no history.
    pub history_series_max: usize,
    /// Most viewers of live figures at a time.
    pub live_viewers_max: usize,
    /// Who may log in; `None` where nobody has to.
    pub password_file: Option<PathBuf>,
    /// Longest time for which a login holds, above 0.
    pub session_timeout: Duration,
    /// What `/config` tells, by key of the configuration file, as it was at the start.
    pub config: BTreeMap<&'static str, ConfigValue>,
}

/// Faster, and nodes would do little else than answer.
pub const SAMPLE_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Slower, and there would be no rate of the moment.
pub const SAMPLE_INTERVAL_MAX: Duration = Duration::from_mins(1);

/// Where knowledge of the cluster comes from: addresses as `host:port`, never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sources {
    /// These nsqlookupds know the nodes.
    Lookupds(Vec<String>),
    /// These are the nodes.
    Nsqds(Vec<String>),
}

impl Options {
    /// Checks `flags`. Reads files for TLS, and resolves nothing: a name that has no address yet may have one later.
    ///
    /// # Errors
    ///
    /// The first flag that is out of range, or names a file that cannot be used.
    pub fn check(flags: Flags) -> Result<Self, OptionsError> {
        let allowed_hosts = flags.allowed_host.iter();
        Ok(Self {
            config: config::values(&flags),
            tls: tls(&flags)?,
            graphite: graphite::graphite(&flags)?,
            statsd: graphite::statsd(&flags)?,
            sample_interval: sample_interval(flags.sample_interval)?,
            alert_limits: alerts::limits(&flags)?,
            history_series_max: if flags.no_history {
                0
            } else {
                flags.history_series_max
            },
            live_viewers_max: flags.live_viewers_max,
            password_file: path(flags.password_file.as_str()),
            session_timeout: above_zero("session-timeout", flags.session_timeout)?,
            dev_static_dir: path(flags.dev_static_dir.as_str()),
            sources: sources(&flags)?,
            log_level: flags.log_level,
            hostname: hostname(),
            http_address: match flags.http_address {
                empty if empty.is_empty() => {
                    let allowed = "host:port or the path of a unix socket";
                    return Err(not_allowed("http-address", "", allowed));
                }
                address => address,
            },
            base_path: base_path(&flags.base_path)?,
            http_client_connect_timeout: above_zero(
                "http-client-connect-timeout",
                flags.http_client_connect_timeout,
            )?,
            http_client_request_timeout: above_zero(
                "http-client-request-timeout",
                flags.http_client_request_timeout,
            )?,
            acl_http_header: flags.acl_http_header.parse().map_err(|_| {
                let allowed = "the name of a header";
                not_allowed("acl-http-header", &flags.acl_http_header, allowed)
            })?,
            allow_config_from_cidr: cidr("allow-config-from-cidr", &flags.allow_config_from_cidr)?,
            trusted_proxies: cidrs("trusted-proxy", &flags.trusted_proxy)?,
            producer_ranges: cidrs("producer-allow-cidr", &flags.producer_allow_cidr)?,
            allowed_hosts: allowed_hosts
                .map(|host| host.to_ascii_lowercase())
                .collect(),
            notification_http_endpoint: endpoint(&flags.notification_http_endpoint)?,
            admin_users: flags.admin_user,
            log_prefix: flags.log_prefix,
        })
    }
}

/// What TLS to nodes is done with. Without any flag for it, the lack of authorities is no reason not to start.
fn tls(flags: &Flags) -> Result<Option<Arc<ClientConfig>>, OptionsError> {
    let tls = ClientTls {
        root_ca_file: path(&flags.http_client_tls_root_ca_file),
        cert_file: path(&flags.http_client_tls_cert),
        key_file: path(&flags.http_client_tls_key),
        insecure_skip_verify: flags.http_client_tls_insecure_skip_verify,
        ..ClientTls::default()
    };
    let half = |needs, by| Err(OptionsError::Half { needs, by });
    match (&tls.cert_file, &tls.key_file) {
        (Some(_), None) => return half("http-client-tls-key", "http-client-tls-cert"),
        (None, Some(_)) => return half("http-client-tls-cert", "http-client-tls-key"),
        _ => {}
    }
    let is_asked_for =
        tls.root_ca_file.is_some() || tls.cert_file.is_some() || tls.insecure_skip_verify;
    match tls.build() {
        Ok(config) => Ok(Some(config)),
        Err(_) if !is_asked_for => Ok(None),
        Err(error) => Err(OptionsError::Tls(error.to_string())),
    }
}

fn path(given: &str) -> Option<PathBuf> {
    (!given.is_empty()).then(|| given.into())
}

fn sample_interval(given: GoDuration) -> Result<Duration, OptionsError> {
    if (SAMPLE_INTERVAL_MIN..=SAMPLE_INTERVAL_MAX).contains(&given.0) {
        return Ok(given.0);
    }
    let value = given.to_string();
    Err(not_allowed("sample-interval", &value, "100ms to 1m"))
}

fn sources(flags: &Flags) -> Result<Sources, OptionsError> {
    let lookupds = addresses("lookupd-http-address", &flags.lookupd_http_address)?;
    let nsqds = addresses("nsqd-http-address", &flags.nsqd_http_address)?;
    match (lookupds.is_empty(), nsqds.is_empty()) {
        (true, true) => Err(OptionsError::NoAddress),
        (false, false) => Err(OptionsError::BothKinds),
        (false, true) => Ok(Sources::Lookupds(lookupds)),
        (true, false) => Ok(Sources::Nsqds(nsqds)),
    }
}

/// The addresses, each once.
fn addresses(flag: &'static str, given: &[String]) -> Result<Vec<String>, OptionsError> {
    let mut addresses: Vec<String> = Vec::new();
    for address in given {
        if !is_address(address) {
            return Err(not_allowed(flag, address, "host:port, without http://"));
        }
        if !addresses.contains(address) {
            addresses.push(address.clone());
        }
    }
    Ok(addresses)
}

/// A slash before, none after, none doubled: `nsq//x/` is `/nsq/x`, and `/` is nothing.
fn base_path(given: &str) -> Result<String, OptionsError> {
    let mut path = String::with_capacity(given.len() + 1);
    for segment in given.split('/').filter(|segment| !segment.is_empty()) {
        path.push('/');
        path.push_str(segment);
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let is_dots = |segment: &str| [".", ".."].contains(&segment);
    if path.bytes().all(is_plain) && !path.split('/').any(is_dots) {
        return Ok(path);
    }
    let allowed = "a path of letters, digits, '-', '_', '.' and '~'";
    Err(not_allowed("base-path", given, allowed))
}

/// The range of addresses given, if any.
fn cidr(flag: &'static str, given: &str) -> Result<Option<Cidr>, OptionsError> {
    if given.is_empty() {
        return Ok(None);
    }
    let range = given.parse();
    range
        .map(Some)
        .map_err(|_| not_allowed(flag, given, "a range such as 127.0.0.1/8 or fd00::/8"))
}

/// The ranges of addresses given; empty ones are none.
fn cidrs(flag: &'static str, given: &[String]) -> Result<Vec<Cidr>, OptionsError> {
    let ranges = given
        .iter()
        .filter_map(|range| cidr(flag, range).transpose());
    ranges.collect()
}

fn endpoint(given: &str) -> Result<Option<Uri>, OptionsError> {
    let allowed = "an http:// or https:// URL";
    url("notification-http-endpoint", given, allowed)
}

fn url(
    flag: &'static str,
    given: &str,
    allowed: &'static str,
) -> Result<Option<Uri>, OptionsError> {
    if given.is_empty() {
        return Ok(None);
    }
    let uri: Option<Uri> = given.parse().ok();
    let is_web = |uri: &Uri| ["http", "https"].contains(&uri.scheme_str().unwrap_or_default());
    let uri = uri.filter(|uri| is_web(uri) && uri.host().is_some());
    uri.map(Some)
        .ok_or_else(|| not_allowed(flag, given, allowed))
}

/// True for `host:port` without a scheme, a path or a user.
pub(crate) fn is_address(address: &str) -> bool {
    let is_host = |host: &str| !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
    let parts = address.rsplit_once(':');
    parts.is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok())
}

fn above_zero(flag: &'static str, value: GoDuration) -> Result<Duration, OptionsError> {
    if value.0.is_zero() {
        return Err(not_allowed(flag, &value.to_string(), "above 0"));
    }
    Ok(value.0)
}

fn not_allowed(flag: &'static str, value: &str, allowed: &'static str) -> OptionsError {
    OptionsError::NotAllowed {
        flag,
        value: value.to_owned(),
        allowed,
    }
}

/// The host name as the kernel has it.
fn hostname() -> String {
    let names = rustix::system::uname();
    names.nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
