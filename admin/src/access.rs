//! Who may act, and under which names nsqadmin is reached.
//!
//! Reading is open to whoever reaches the port, as in the reference. Acting is too, until there are `--admin-user`s: then the
//! name in the ACL header decides, and it is believed only from a `--trusted-proxy`, as anybody can send a header.

use std::net::{IpAddr, Ipv6Addr};

use hyper::HeaderMap;
use hyper::header::{HOST, HeaderName};

use crate::cidr::Cidr;
use crate::options::Options;

/// The rules, from the flags.
#[derive(Debug)]
pub(crate) struct Access {
    acl_http_header: HeaderName,
    admin_users: Vec<String>,
    trusted_proxies: Vec<Cidr>,
    allow_config_from_cidr: Option<Cidr>,
    /// In lower case.
    hosts: Vec<String>,
}

impl Access {
    pub(crate) fn new(options: &Options) -> Self {
        let hostname = options.hostname.to_ascii_lowercase();
        let short = hostname.split('.').next().unwrap_or_default().to_owned();
        let mut hosts = options.allowed_hosts.clone();
        hosts.extend(["localhost".to_owned(), short, hostname]);
        Self {
            acl_http_header: options.acl_http_header.clone(),
            admin_users: options.admin_users.clone(),
            trusted_proxies: options.trusted_proxies.clone(),
            allow_config_from_cidr: options.allow_config_from_cidr,
            hosts,
        }
    }

    /// The user that a trusted proxy vouches for. A peer without an address, on a unix socket, is trusted: files have rights.
    pub(crate) fn user<'h>(&self, headers: &'h HeaderMap, peer: Option<IpAddr>) -> Option<&'h str> {
        let is_trusted = |peer| {
            self.trusted_proxies
                .iter()
                .any(|range| range.contains(peer))
        };
        if !peer.is_none_or(is_trusted) {
            return None;
        }
        headers.get(&self.acl_http_header)?.to_str().ok()
    }

    /// True if who sent this may change things.
    pub(crate) fn may_act(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> bool {
        let is_admin = |user| self.admin_users.iter().any(|admin| admin == user);
        self.admin_users.is_empty() || self.user(headers, peer).is_some_and(is_admin)
    }

    /// True if the peer may change settings of nsqadmin itself.
    pub(crate) fn may_configure(&self, peer: Option<IpAddr>) -> bool {
        match (self.allow_config_from_cidr, peer) {
            (Some(range), Some(peer)) => range.contains(peer),
            _ => true,
        }
    }

    /// True if `Host` is a name of ours. Any other means that a site has pointed its own name at our address, to have the
    /// browsers of those who reach us read for it.
    pub(crate) fn is_our_host(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        // HTTP/1.0 needs none, and no browser speaks it.
        let Some(host) = host else {
            return !headers.contains_key(HOST);
        };
        let name = without_port(host).to_ascii_lowercase();
        let is_address = name.parse::<IpAddr>().is_ok();
        is_address || self.hosts.iter().any(|ours| *ours == name || ours == "*")
    }
}

/// The host of `host:port`; an IPv6 address comes without its brackets.
fn without_port(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return if address.parse::<Ipv6Addr>().is_ok() {
            address
        } else {
            host
        };
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::options;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn without_admin_users_everybody_may_act() {
        let access = Access::new(&options(&[]));
        assert!(access.may_act(&headers(&[]), Some([192, 0, 2, 1].into())));
    }

    #[test]
    fn the_header_counts_only_from_a_trusted_proxy_and_exactly() {
        let access = Access::new(&options(&[
            "--admin-user=joe",
            "--trusted-proxy=10.0.0.0/8",
        ]));
        let check = |user: &str, peer: [u8; 4], may| {
            let headers = headers(&[("x-forwarded-user", user)]);
            assert_eq!(
                access.may_act(&headers, Some(peer.into())),
                may,
                "{user} {peer:?}"
            );
        };
        check("joe", [10, 1, 2, 3], true);
        check("Joe", [10, 1, 2, 3], false);
        check("", [10, 1, 2, 3], false);
        check("joe", [127, 0, 0, 1], false);
        assert!(!access.may_act(&headers(&[]), Some([10, 1, 2, 3].into())));
        assert!(access.may_act(&headers(&[("x-forwarded-user", "joe")]), None));
    }

    #[test]
    fn only_our_own_names_are_answered_to() {
        let access = Access::new(&options(&["--allowed-host=NSQ.example.com"]));
        let hostname = options(&[]).hostname;
        for host in [
            "127.0.0.1:4171",
            "[::1]:4171",
            "10.0.0.1",
            "localhost:1",
            "LOCALHOST",
            "nsq.example.com",
            "nsq.example.com:443",
            &hostname,
        ] {
            assert!(access.is_our_host(&headers(&[("host", host)])), "{host}");
        }
        for host in ["evil", "evil:4171", "127.0.0.1.evil", "[evil]:1", "", "*"] {
            assert!(!access.is_our_host(&headers(&[("host", host)])), "{host}");
        }
        let any = Access::new(&options(&["--allowed-host=*"]));
        assert!(any.is_our_host(&headers(&[("host", "evil")])));
    }
}
