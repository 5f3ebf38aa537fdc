//! What an authorization server is asked, and how it is put to it.

use std::fmt::{self, Write};
use std::sync::Arc;

use client::http::{Client, Fault, RequestError};
use hyper::body::Bytes;
use serde::Serialize;

/// What a client proves itself with. It is never shown: `Debug` does not, and there is no `Display`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// The secret of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Who asks to be authorized.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// The body of AUTH.
    pub secret: Secret,
    /// The client's address without its port; empty on a unix socket.
    pub remote_ip: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The common name of the client's certificate; empty without one.
    pub common_name: String,
}

/// The body of a POST: every value is a list, as in a form.
#[derive(Serialize)]
struct Form<'a> {
    common_name: [&'a str; 1],
    remote_ip: [&'a str; 1],
    secret: [&'a str; 1],
    tls: [&'a str; 1],
}

impl Question {
    /// Puts the question to the server at `address`, `host:port` or a URL.
    ///
    /// # Errors
    /// Why there is no answer, without the question in it.
    pub(super) async fn put(
        &self,
        client: &Client,
        address: &str,
        post: bool,
    ) -> Result<Bytes, Fault> {
        let (server, path) = split(address);
        let answer = if post {
            client.post_json(server, path, &self.form()).await
        } else {
            let path = format!("{path}?{}", self.query());
            client.get(server, &path).await
        };
        // The error's path has the secret in it.
        answer.map_err(|RequestError { fault, .. }| fault)
    }

    fn tls(&self) -> &'static str {
        if self.tls { "true" } else { "false" }
    }

    fn form(&self) -> impl Serialize {
        let secret = String::from_utf8_lossy(&self.secret.0);
        serde_json::json!(Form {
            common_name: [&self.common_name],
            remote_ip: [&self.remote_ip],
            secret: [&secret],
            tls: [self.tls()],
        })
    }

    /// The question as a query, its keys in order.
    fn query(&self) -> String {
        let mut query = String::new();
        for (key, value) in [
            ("common_name", self.common_name.as_bytes()),
            ("&remote_ip", self.remote_ip.as_bytes()),
            ("&secret", &self.secret.0),
            ("&tls", self.tls().as_bytes()),
        ] {
            query.push_str(key);
            query.push('=');
            escape(value, &mut query);
        }
        query
    }
}

/// The server, and the path that it is asked for: `/auth` unless a URL says otherwise.
fn split(address: &str) -> (&str, &str) {
    let Some(scheme) = address.find("://") else {
        return (address, "/auth");
    };
    let host = scheme + "://".len();
    let path = address[host..].find(['/', '?']).map(|path| host + path);
    match path.map(|path| address.split_at(path)) {
        Some((server, path)) if path.starts_with('/') => (server, path),
        _ => (address, "/"),
    }
}

/// Appends a value as Go's `url.QueryEscape` writes it.
fn escape(value: &[u8], query: &mut String) {
    for &byte in value {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                query.push(byte.into());
            }
            b' ' => query.push('+'),
            other => write!(query, "%{other:02X}").expect("a string takes any text"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(secret: &[u8]) -> Question {
        Question {
            secret: Secret::new(secret),
            remote_ip: "127.0.0.1".into(),
            tls: false,
            common_name: String::new(),
        }
    }

    #[test]
    fn a_query_is_that_of_the_reference() {
        let query = question(b"sec&ret").query();
        assert_eq!(
            query,
            "common_name=&remote_ip=127.0.0.1&secret=sec%26ret&tls=false"
        );
        let query = question(b" ~*\xff\n").query();
        assert!(query.contains("&secret=+~%2A%FF%0A&"), "{query}");
    }

    #[test]
    fn a_form_is_that_of_the_reference() {
        let form = serde_json::to_string(&question(b"s").form()).unwrap();
        let expected =
            r#"{"common_name":[""],"remote_ip":["127.0.0.1"],"secret":["s"],"tls":["false"]}"#;
        assert_eq!(form, expected);
    }

    #[test]
    fn a_url_says_where_to_ask() {
        assert_eq!(split("a:80"), ("a:80", "/auth"));
        assert_eq!(split("http://a:80/x/y?z=1"), ("http://a:80", "/x/y?z=1"));
        assert_eq!(split("https://a/"), ("https://a", "/"));
        assert_eq!(split("https://a"), ("https://a", "/"));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let shown = format!("{:?}", question(b"canary"));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
