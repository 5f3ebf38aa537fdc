//! Where messages are sent to, and which statuses are success. No I/O.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};

/// A URL, maybe with a place for the message in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    before: String,
    /// What follows the message; `None` if the message is the body of the request.
    after: Option<String>,
}

const PLACE: &str = "{body:url}";

impl Target {
    /// A URL that takes the message as the body.
    ///
    /// # Errors
    /// Not an absolute URL.
    pub(crate) fn body(text: &str) -> Result<Target, String> {
        Target {
            before: text.to_owned(),
            after: None,
        }
        .checked()
    }

    /// A URL with `{body:url}` where the message stands.
    ///
    /// # Errors
    /// Not an absolute URL, or not exactly one place.
    pub(crate) fn query(text: &str) -> Result<Target, String> {
        let (before, after) = text
            .split_once(PLACE)
            .filter(|(_, after)| !after.contains(PLACE))
            .ok_or_else(|| {
                format!("{text:?} needs {PLACE} exactly once, where the message goes")
            })?;
        let (before, after) = (before.to_owned(), Some(after.to_owned()));
        Target { before, after }.checked()
    }

    /// The same as the old tool has it: `%s` is the place, `%%` is a `%`.
    ///
    /// # Errors
    /// As for [`Target::query`].
    pub(crate) fn printf(text: &str) -> Result<Target, String> {
        let rule = || {
            format!(
                "invalid GET address {text:?} - it needs exactly one %s, and %% for each other %"
            )
        };
        let mut parts = vec![String::new()];
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let last = parts.last_mut().expect("starts with one");
            match character {
                '%' => match characters.next() {
                    Some('%') => last.push('%'),
                    Some('s') => parts.push(String::new()),
                    _ => return Err(rule()),
                },
                character => last.push(character),
            }
        }
        let [before, after] = <[String; 2]>::try_from(parts).map_err(|_| rule())?;
        let after = Some(after);
        Target { before, after }.checked()
    }

    /// Whether the message stands in the URL.
    pub(super) fn has_place(&self) -> bool {
        self.after.is_some()
    }

    /// The URL for this message.
    pub(super) fn url(&self, body: &[u8]) -> String {
        let mut url = self.before.clone();
        if let Some(after) = &self.after {
            push_escaped(&mut url, body);
            url.push_str(after);
        }
        url
    }

    fn checked(self) -> Result<Target, String> {
        let uri = self.url(b"x").parse::<Uri>();
        let is_absolute = uri.as_ref().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
        });
        if is_absolute {
            return Ok(self);
        }
        Err(format!(
            "{:?} is no URL; wanted is http://… or https://…",
            self.to_string()
        ))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.before)?;
        match &self.after {
            Some(after) => write!(f, "{PLACE}{after}"),
            None => Ok(()),
        }
    }
}

/// Escapes as Go does for a query: letters, digits and `-_.~` stay, a space is a `+`.
fn push_escaped(url: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' | b'~' => {
                url.push(byte.into());
            }
            b' ' => url.push('+'),
            _ => {
                url.push('%');
                url.push(DIGITS[usize::from(byte >> 4)].into());
                url.push(DIGITS[usize::from(byte & 15)].into());
            }
        }
    }
}

/// Statuses such as `200-299,409`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statuses(Vec<(u16, u16)>);

impl Statuses {
    /// All of these, both ends included.
    pub(crate) fn range(first: u16, last: u16) -> Statuses {
        Statuses(vec![(first, last)])
    }

    /// None at all.
    pub(crate) fn none() -> Statuses {
        Statuses(Vec::new())
    }

    pub(super) fn contains(&self, status: u16) -> bool {
        self.0
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&status))
    }
}

impl FromStr for Statuses {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Statuses, &'static str> {
        let parse = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            (100 <= first && first <= last && last <= 599).then_some((first, last))
        };
        let ranges: Option<Vec<_>> = text.split(',').map(parse).collect();
        let rule = "wanted are statuses from 100 to 599 and ranges of them, such as 200-299,409";
        ranges.map(Statuses).ok_or(rule)
    }
}

/// A header to send: `Name: value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header(pub(super) HeaderName, pub(super) HeaderValue);

impl Header {
    /// A header of these parts.
    pub(crate) fn new(name: HeaderName, value: HeaderValue) -> Header {
        Header(name, value)
    }
}

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Header, String> {
        let parsed = text.split_once(':').and_then(|(name, value)| {
            let value = Some(value.trim()).filter(|value| !value.is_empty())?;
            Some(Header(name.trim().parse().ok()?, value.parse().ok()?))
        });
        parsed.ok_or_else(|| format!("{text:?} is no header; wanted is \"Name: value\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_escaped_into_its_place() {
        let body = "a b&é%/~*".as_bytes();
        let escaped = "a+b%26%C3%A9%25%2F~%2A";
        let target = Target::printf("http://a/?q=%s&p=100%%").unwrap();
        assert_eq!(target.url(body), format!("http://a/?q={escaped}&p=100%"));
        let target = Target::query("http://a/{body:url}?x").unwrap();
        assert_eq!(target.url(body), format!("http://a/{escaped}?x"));
        assert_eq!(
            Target::body("https://a:1/x").unwrap().url(body),
            "https://a:1/x"
        );
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in [
            "http://a/",
            "http://a/%s%s",
            "http://a/%d?%s",
            "http://a/%s%",
            "a/%s",
            "/%s",
        ] {
            Target::printf(text).unwrap_err();
        }
        for text in [
            "http://a/",
            "http://a/{body:url}{body:url}",
            "ftp://a/{body:url}",
        ] {
            Target::query(text).unwrap_err();
        }
        for text in ["", "a:80", "/x", "http://", "http://a b"] {
            Target::body(text).unwrap_err();
        }
    }

    #[test]
    fn statuses_are_numbers_and_ranges() {
        let statuses: Statuses = "200-299,409".parse().unwrap();
        let among = [199, 200, 299, 300, 409].map(|status| statuses.contains(status));
        assert_eq!(among, [false, true, true, false, true]);
        for text in ["", "99", "600", "300-200", "2xx", "200-", "200,,"] {
            text.parse::<Statuses>().unwrap_err();
        }
    }

    #[test]
    fn headers_have_two_parts() {
        let Header(name, value) = " X-Key :  a: b ".parse().unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-key", "a: b"));
        for text in ["", "X-Key", "X-Key:", ": a", "X-Key=a", "X Key: a"] {
            text.parse::<Header>().unwrap_err();
        }
    }
}
