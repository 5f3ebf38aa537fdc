//! What runs only when it is asked for: authorization, statsd, latencies, and the experiment.

use std::path::PathBuf;

use client::daemon::duration::GoDuration;
use client::tls::ClientTls;

use super::{Flags, OptionsError, above_zero, integer, not_allowed};
use crate::lookup::is_address;
use crate::{auth, latency, statsd};

/// The one experiment there is.
const TOPOLOGY_AWARE: &str = "topology-aware-consumption";
/// The largest payload of UDP over IPv4.
const UDP_BYTES_MAX: i64 = 65_507;

/// The authorization servers, if any; empty addresses are none.
pub(super) fn auth(flags: &Flags) -> Result<Option<auth::Settings>, OptionsError> {
    let mut addresses = flags.auth_http_address.clone();
    addresses.retain(|address| !address.is_empty());
    if let Some(wrong) = addresses.iter().find(|address| !is_server(address)) {
        return Err(not_allowed(
            "auth-http-address",
            wrong,
            "host:port or a URL with http or https",
        ));
    }
    let settings = auth::Settings {
        addresses,
        post: flags.auth_http_request_method == "post",
        anchor_patterns: flags.auth_anchor_patterns,
        connect_timeout: flags.http_client_connect_timeout.0,
        request_timeout: flags.http_client_request_timeout.0,
        tls: ClientTls {
            root_ca_file: (!flags.tls_root_ca_file.is_empty())
                .then(|| PathBuf::from(&flags.tls_root_ca_file)),
            min_version: flags.tls_min_version.parse().unwrap_or_default(),
            ..ClientTls::default()
        },
    };
    Ok((!settings.addresses.is_empty()).then_some(settings))
}

fn is_server(address: &str) -> bool {
    let url = ["http://", "https://"]
        .iter()
        .find_map(|scheme| address.strip_prefix(scheme));
    url.map_or_else(|| is_address(address), |rest| !rest.is_empty())
}

/// Where figures are pushed, if anywhere.
pub(super) fn statsd(flags: &Flags) -> Result<Option<statsd::Settings>, OptionsError> {
    let address = flags.statsd_address.clone();
    if !address.is_empty() && !is_address(&address) {
        return Err(not_allowed("statsd-address", address, "host:port"));
    }
    let settings = statsd::Settings {
        address,
        interval: above_zero("statsd-interval", flags.statsd_interval)?,
        prefix: flags.statsd_prefix.clone(),
        packet_bytes: integer(
            "statsd-udp-packet-size",
            flags.statsd_udp_packet_size,
            1..=UDP_BYTES_MAX,
        )?,
        memory: flags.statsd_mem_stats,
        exclude_ephemeral: flags.statsd_exclude_ephemeral,
    };
    Ok((!settings.address.is_empty()).then_some(settings))
}

/// The percentiles that are measured, if any: the greatest first, as the reference has those of its flag.
pub(super) fn latency(flags: &Flags) -> Result<Option<latency::Settings>, OptionsError> {
    let window_time: GoDuration = flags.e2e_processing_latency_window_time;
    let window = above_zero("e2e-processing-latency-window-time", window_time)?;
    let mut quantiles = flags.e2e_processing_latency_percentile.clone();
    if let Some(wrong) = quantiles.iter().find(|&&q| !(q > 0.0 && q <= 1.0)) {
        let flag = "e2e-processing-latency-percentile";
        return Err(not_allowed(flag, wrong, "above 0, at most 1"));
    }
    quantiles.sort_by(|a, b| b.total_cmp(a));
    Ok((!quantiles.is_empty()).then_some(latency::Settings { quantiles, window }))
}

/// Whether the experiment is asked for. Another name is no reason not to start: the reference accepts any.
pub(super) fn is_topology_aware(flags: &Flags) -> bool {
    flags
        .enable_experiment
        .iter()
        .any(|name| name == TOPOLOGY_AWARE)
}
