//! Refuses what a web page of another site makes a browser send.
//!
//! Whoever can reach a daemon's port may change its topics, and so may every page that such a person's browser
//! opens. Browsers say where a request comes from; NSQ's clients and tools send neither of these headers.

use hyper::{
    HeaderMap, Method,
    header::{HOST, HeaderName, ORIGIN},
};

/// True if the request could change something and a browser says that another site made it.
pub(super) fn is_forged(method: &Method, headers: &HeaderMap) -> bool {
    let changes = ![Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
    changes && (is_fetched_across_sites(headers) || has_foreign_origin(headers))
}

/// `same-site` is another host of the same domain, which is no friend either.
fn is_fetched_across_sites(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    sites.any(|site| site == "cross-site" || site == "same-site")
}

/// True unless every `Origin` names the host that the request was sent to. `null` names none.
fn has_foreign_origin(headers: &HeaderMap) -> bool {
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let is_ours = |origin: &str| {
        let Some((scheme, authority)) = origin.split_once("://") else {
            return false;
        };
        let default_port = if scheme == "https" { ":443" } else { ":80" };
        let bare = |text: &str| text.trim_end_matches(default_port).to_ascii_lowercase();
        bare(authority) == bare(host)
    };
    let mut origins = headers.get_all(ORIGIN).iter();
    origins.any(|origin| !origin.to_str().is_ok_and(is_ours))
}

/// Set by every browser of today, and not to be set by a page.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, headers: &[(HeaderName, &'static str)], forged: bool) {
        let map: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect();
        assert_eq!(is_forged(method, &map), forged, "{method} {headers:?}");
    }

    #[test]
    fn only_what_another_site_changes_is_forged() {
        let host = || (HOST, "nsqd:4151");
        let origin = |value| (ORIGIN, value);
        let site = |value| (SEC_FETCH_SITE, value);
        check(&Method::POST, &[host()], false);
        check(&Method::POST, &[host(), site("same-origin")], false);
        check(&Method::POST, &[host(), site("none")], false);
        check(&Method::POST, &[host(), site("cross-site")], true);
        check(&Method::PUT, &[host(), site("same-site")], true);
        check(
            &Method::GET,
            &[host(), site("cross-site"), origin("http://evil")],
            false,
        );
        check(&Method::POST, &[host(), origin("http://NSQD:4151")], false);
        check(&Method::POST, &[host(), origin("http://nsqd:4171")], true);
        check(&Method::DELETE, &[host(), origin("http://evil")], true);
        check(&Method::POST, &[host(), origin("null")], true);
        check(&Method::POST, &[origin("http://nsqd:4151")], true);
        check(
            &Method::POST,
            &[(HOST, "nsqd:80"), origin("http://nsqd")],
            false,
        );
        check(
            &Method::POST,
            &[(HOST, "nsqd"), origin("https://nsqd:443")],
            false,
        );
    }
}
