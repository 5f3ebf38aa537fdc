//! Who may act, and under which names nsqadmin is reached.
//!
//! Reading is open to whoever reaches the port, as in the reference. Acting is too, until there are `--admin-user`s: then the
//! name in the ACL header decides, and it is believed only from a `--trusted-proxy`, as anybody can send a header. With a
//! `--password-file` who is vouched for by no proxy has to log in, to read too.

use std::net::{IpAddr, Ipv6Addr};

use hyper::HeaderMap;
use hyper::Method;
use hyper::header::{COOKIE, HOST, HeaderName, ORIGIN};
use serde::Serialize;

use crate::cidr::Cidr;
use crate::options::Options;
use crate::session::{Role, Sessions};

/// The rules, from the flags.
#[derive(Debug)]
pub(crate) struct Access {
    acl_http_header: HeaderName,
    admin_users: Vec<String>,
    trusted_proxies: Vec<Cidr>,
    allow_config_from_cidr: Option<Cidr>,
    /// In lower case.
    hosts: Vec<String>,
    /// Where there is a password file.
    sessions: Option<Sessions>,
}

/// Who has sent a request, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Visitor {
    /// Empty if nobody says.
    pub(crate) user: String,
    /// `None` for who has to log in first.
    pub(crate) role: Option<Role>,
    pub(crate) known_by: KnownBy,
}

/// Whose word on the user it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KnownBy {
    Nobody,
    Proxy,
    Password,
}

impl Access {
    pub(crate) fn new(options: &Options, sessions: Option<Sessions>) -> Self {
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
            sessions,
        }
    }

    /// Who has sent a request with these headers.
    pub(crate) fn visitor(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Visitor {
        if let Some(user) = self.vouched_user(headers, peer) {
            let is_admin = self.admin_users.iter().any(|admin| admin == user);
            let is_open = self.admin_users.is_empty() && self.sessions.is_none();
            return Visitor {
                user: user.to_owned(),
                role: Some(if is_admin || is_open {
                    Role::Admin
                } else {
                    Role::ReadOnly
                }),
                known_by: KnownBy::Proxy,
            };
        }
        let Some(sessions) = &self.sessions else {
            let is_open = self.admin_users.is_empty();
            return Visitor {
                user: String::new(),
                role: Some(if is_open { Role::Admin } else { Role::ReadOnly }),
                known_by: KnownBy::Nobody,
            };
        };
        let session = token(headers).and_then(|token| sessions.user(token));
        let known_by = match session {
            Some(_) => KnownBy::Password,
            None => KnownBy::Nobody,
        };
        let (user, role) = session.unzip();
        Visitor {
            user: user.unwrap_or_default(),
            role,
            known_by,
        }
    }

    /// The user that a trusted proxy vouches for.
    fn vouched_user<'h>(&self, headers: &'h HeaderMap, peer: Option<IpAddr>) -> Option<&'h str> {
        let user = headers.get(&self.acl_http_header)?.to_str().ok();
        user.filter(|_| self.is_trusted(peer))
    }

    /// True for a proxy whose word counts. A peer without an address, on a unix socket, is trusted: files have rights.
    fn is_trusted(&self, peer: Option<IpAddr>) -> bool {
        let in_range = |peer| {
            self.trusted_proxies
                .iter()
                .any(|range| range.contains(peer))
        };
        peer.is_none_or(in_range)
    }

    /// True if a trusted proxy says that the browser speaks TLS with it.
    pub(crate) fn is_https(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> bool {
        let says = |name| headers.get(name).is_some_and(|scheme| scheme == "https");
        self.is_trusted(peer) && (says("x-forwarded-proto") || says("x-scheme"))
    }

    /// The logins, where there is a password file.
    pub(crate) fn sessions(&self) -> Option<&Sessions> {
        self.sessions.as_ref()
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

/// True if a browser sends what may change something, and nothing proves that a page of ours made it do so. Such a page sends
/// [`PROOF`], which no form can, and which a script of another site may not without our leave; it has none. Scripts outside of
/// browsers need not.
pub(crate) fn lacks_proof(method: &Method, headers: &HeaderMap) -> bool {
    let changes = ![Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
    let is_browser = [COOKIE, ORIGIN, SEC_FETCH_SITE]
        .iter()
        .any(|name| headers.contains_key(name));
    changes && is_browser && !headers.contains_key(PROOF)
}

/// The token in the cookie of a session.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter();
    let mut cookies = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    cookies.find_map(|cookie| {
        cookie
            .trim()
            .strip_prefix(SESSION_COOKIE)?
            .strip_prefix('=')
    })
}

/// The name of the cookie of a session.
pub(crate) const SESSION_COOKIE: &str = "nsqadmin_session";
/// The header with which our own pages prove that they are.
pub(crate) const PROOF: HeaderName = HeaderName::from_static("x-requested-with");
/// Set by every browser of today, and not to be set by a page.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

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
        let access = Access::new(&options(&[]), None);
        let visitor = access.visitor(&headers(&[]), Some([192, 0, 2, 1].into()));
        assert_eq!(visitor.role, Some(Role::Admin));
    }

    #[test]
    fn the_header_counts_only_from_a_trusted_proxy_and_exactly() {
        let options = options(&["--admin-user=joe", "--trusted-proxy=10.0.0.0/8"]);
        let access = Access::new(&options, None);
        let check = |user: &str, peer: [u8; 4], may| {
            let headers = headers(&[("x-forwarded-user", user)]);
            let role = access.visitor(&headers, Some(peer.into())).role;
            assert_eq!(role == Some(Role::Admin), may, "{user} {peer:?}");
        };
        check("joe", [10, 1, 2, 3], true);
        check("Joe", [10, 1, 2, 3], false);
        check("", [10, 1, 2, 3], false);
        check("joe", [127, 0, 0, 1], false);
        let role = |headers: &HeaderMap, peer| access.visitor(headers, peer).role;
        let read_only = Some(Role::ReadOnly);
        assert_eq!(role(&headers(&[]), Some([10, 1, 2, 3].into())), read_only);
        let joe = headers(&[("x-forwarded-user", "joe")]);
        assert_eq!(role(&joe, None), Some(Role::Admin));
    }

    #[test]
    fn a_browser_has_to_prove_that_a_page_of_ours_made_it_ask() {
        let check = |method: Method, pairs, lacks| {
            assert_eq!(
                lacks_proof(&method, &headers(pairs)),
                lacks,
                "{method} {pairs:?}"
            );
        };
        check(Method::POST, &[], false);
        check(Method::GET, &[("cookie", "a=b")], false);
        check(Method::POST, &[("cookie", "a=b")], true);
        check(Method::DELETE, &[("origin", "http://h")], true);
        check(Method::PUT, &[("sec-fetch-site", "same-origin")], true);
        check(
            Method::POST,
            &[("cookie", "a=b"), ("x-requested-with", "nsqadmin")],
            false,
        );
    }

    #[test]
    fn the_token_is_found_among_cookies() {
        for (cookie, found) in [
            ("nsqadmin_session=abc", Some("abc")),
            ("a=b; nsqadmin_session=abc; c=d", Some("abc")),
            ("xnsqadmin_session=abc", None),
            ("nsqadmin_sessionx=abc", None),
            ("", None),
        ] {
            assert_eq!(token(&headers(&[("cookie", cookie)])), found, "{cookie}");
        }
    }

    #[test]
    fn only_our_own_names_are_answered_to() {
        let access = Access::new(&options(&["--allowed-host=NSQ.example.com"]), None);
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
        let any = Access::new(&options(&["--allowed-host=*"]), None);
        assert!(any.is_our_host(&headers(&[("host", "evil")])));
    }
}
