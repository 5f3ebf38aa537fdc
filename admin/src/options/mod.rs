//! How nsqadmin is to run: [`Flags`] as given, then [`Options`], which cannot be wrong.
//!
//! Every flag of the reference is accepted. One that asks for what is not there yet (TLS to nodes, Graphite) is refused
//! rather than ignored.

mod flags;

use std::time::Duration;

use client::daemon::{duration::GoDuration, log::LogLevel};
use hyper::Uri;
use hyper::header::HeaderName;

use crate::cidr::Cidr;
use crate::error::OptionsError;

pub use flags::{DAEMON, Flags};

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
    /// Who may use `/config`; `None` for everybody.
    pub allow_config_from_cidr: Option<Cidr>,
    /// Names in `Host` that are ours, in lower case, besides addresses, `localhost` and the host's name.
    pub allowed_hosts: Vec<String>,
    /// Who is told of changes: an `http://` URL with a host.
    pub notification_http_endpoint: Option<Uri>,
}

/// Where knowledge of the cluster comes from: addresses as `host:port`, never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sources {
    /// These nsqlookupds know the nodes.
    Lookupds(Vec<String>),
    /// These are the nodes.
    Nsqds(Vec<String>),
}

impl Options {
    /// Checks `flags`. Opens and resolves nothing: a name that has no address yet may have one later.
    ///
    /// # Errors
    ///
    /// The first flag that is out of range, or asks for what is not there yet.
    pub fn check(flags: Flags) -> Result<Self, OptionsError> {
        refuse_unsupported(&flags)?;
        let trusted = flags.trusted_proxy.iter();
        let trusted = trusted.filter_map(|range| cidr("trusted-proxy", range).transpose());
        let allowed_hosts = flags.allowed_host.iter();
        Ok(Self {
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
            trusted_proxies: trusted.collect::<Result<_, _>>()?,
            allowed_hosts: allowed_hosts
                .map(|host| host.to_ascii_lowercase())
                .collect(),
            notification_http_endpoint: endpoint(&flags.notification_http_endpoint)?,
            admin_users: flags.admin_user,
            log_prefix: flags.log_prefix,
        })
    }
}

/// Refuses the first flag that asks for a function that is not there yet.
fn refuse_unsupported(flags: &Flags) -> Result<(), OptionsError> {
    let if_set = |set: bool| if set { "true" } else { "" };
    let asked = [
        ("dev-static-dir", flags.dev_static_dir.as_str()),
        (
            "http-client-tls-insecure-skip-verify",
            if_set(flags.http_client_tls_insecure_skip_verify),
        ),
        (
            "http-client-tls-root-ca-file",
            &flags.http_client_tls_root_ca_file,
        ),
        ("http-client-tls-cert", &flags.http_client_tls_cert),
        ("http-client-tls-key", &flags.http_client_tls_key),
        ("graphite-url", &flags.graphite_url),
        ("proxy-graphite", if_set(flags.proxy_graphite)),
    ];
    match asked.into_iter().find(|(_, value)| !value.is_empty()) {
        Some((flag, value)) => Err(OptionsError::NotSupported {
            flag,
            value: value.to_owned(),
        }),
        None => Ok(()),
    }
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
        let parts = address.rsplit_once(':');
        let is_host = |host: &str| !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
        if !parts.is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok()) {
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

fn endpoint(given: &str) -> Result<Option<Uri>, OptionsError> {
    if given.is_empty() {
        return Ok(None);
    }
    let uri: Option<Uri> = given.parse().ok();
    let uri = uri.filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
    let allowed = "an http:// URL (https is not supported yet)";
    let refused = || not_allowed("notification-http-endpoint", given, allowed);
    uri.map(Some).ok_or_else(refused)
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
