//! Where graphs come from, and what figures are called there.

use std::time::Duration;

use hyper::Uri;

use super::{Flags, above_zero, not_allowed, url};
use crate::error::OptionsError;

/// A Graphite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graphite {
    /// Its URL: `http://` or `https://`, with a host; may have a user and a password, and a path.
    pub url: Uri,
    /// True if browsers get their graphs through nsqadmin.
    pub is_proxied: bool,
}

/// How nsqd's figures are called, which must be as nsqd has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statsd {
    /// Prefix; `%s` stands for the node.
    pub prefix: String,
    /// Key of a counter; `%s` stands for its name.
    pub counter_format: String,
    /// Key of a gauge; `%s` stands for its name.
    pub gauge_format: String,
    /// Time between two pushes, above 0.
    pub interval: Duration,
}

pub(super) fn graphite(flags: &Flags) -> Result<Option<Graphite>, OptionsError> {
    let allowed = "an http:// or https:// URL";
    let url = url("graphite-url", &flags.graphite_url, allowed)?;
    if url.is_none() && flags.proxy_graphite {
        let allowed = "given only with --graphite-url";
        return Err(not_allowed("proxy-graphite", "true", allowed));
    }
    Ok(url.map(|url| Graphite {
        url,
        is_proxied: flags.proxy_graphite,
    }))
}

pub(super) fn statsd(flags: &Flags) -> Result<Statsd, OptionsError> {
    Ok(Statsd {
        prefix: flags.statsd_prefix.clone(),
        counter_format: flags.statsd_counter_format.clone(),
        gauge_format: flags.statsd_gauge_format.clone(),
        interval: above_zero("statsd-interval", flags.statsd_interval)?,
    })
}
