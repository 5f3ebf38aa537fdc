//! What `GET /config/<option>` tells: the settings by their keys in the configuration file.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::Flags;

/// The value of one setting.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigValue {
    /// A string, answered raw.
    Text(String),
    /// A number, a boolean or a list, answered as JSON. Durations are nanoseconds.
    Json(Value),
}

/// Every setting of the reference. Of URLs only the part that holds no secret: a path or a password often is one.
pub(super) fn values(flags: &Flags) -> BTreeMap<&'static str, ConfigValue> {
    let texts = [
        ("log_prefix", flags.log_prefix.clone()),
        ("http_address", flags.http_address.clone()),
        ("base_path", flags.base_path.clone()),
        ("dev_static_dir", flags.dev_static_dir.clone()),
        ("acl_http_header", flags.acl_http_header.clone()),
        (
            "allow_config_from_cidr",
            flags.allow_config_from_cidr.clone(),
        ),
        (
            "notification_http_endpoint",
            origin(&flags.notification_http_endpoint),
        ),
        ("graphite_url", origin(&flags.graphite_url)),
        ("statsd_prefix", flags.statsd_prefix.clone()),
        ("statsd_counter_format", flags.statsd_counter_format.clone()),
        ("statsd_gauge_format", flags.statsd_gauge_format.clone()),
        (
            "http_client_tls_root_ca_file",
            flags.http_client_tls_root_ca_file.clone(),
        ),
        ("http_client_tls_cert", flags.http_client_tls_cert.clone()),
        ("http_client_tls_key", flags.http_client_tls_key.clone()),
    ];
    let others = [
        ("admin_users", json!(flags.admin_user)),
        ("nsqd_http_addresses", json!(flags.nsqd_http_address)),
        ("proxy_graphite", json!(flags.proxy_graphite)),
        (
            "http_client_tls_insecure_skip_verify",
            json!(flags.http_client_tls_insecure_skip_verify),
        ),
        (
            "http_client_connect_timeout",
            nanoseconds(flags.http_client_connect_timeout.0),
        ),
        (
            "http_client_request_timeout",
            nanoseconds(flags.http_client_request_timeout.0),
        ),
        ("statsd_interval", nanoseconds(flags.statsd_interval.0)),
    ];
    let texts = texts
        .into_iter()
        .map(|(key, text)| (key, ConfigValue::Text(text)));
    let others = others
        .into_iter()
        .map(|(key, value)| (key, ConfigValue::Json(value)));
    texts.chain(others).collect()
}

fn nanoseconds(duration: Duration) -> Value {
    json!(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> String {
    let uri: Option<hyper::Uri> = url.parse().ok();
    let parts = uri.and_then(|uri| {
        let port = uri
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        Some(format!("{}://{}{port}", uri.scheme_str()?, uri.host()?))
    });
    parts.unwrap_or_default()
}
