//! The JSON object that a client sends with IDENTIFY, read as leniently as the reference does.
//!
//! Keys are matched without regard to case and the last of several wins; `null` is like an absent
//! key, and instead of the object like an empty one. Unknown keys are skipped. Numbers are
//! integers; any other type, and text after the object, is an error.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::super::error::{ErrorCode, ErrorReply};
use super::to_json;

/// What a client says about itself and asks for. Absent is [`None`], and means the server's
/// default. Build one with struct update syntax from `IdentifyRequest::default()`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IdentifyRequest {
    /// Short name of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Host of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Library and version of the client, such as `name/1.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Whether to answer with JSON and grant TLS and compression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature_negotiation: Option<bool>,
    /// Milliseconds between heartbeats; −1 is never, 0 the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_interval: Option<i64>,
    /// Bytes that the server buffers before it writes; −1 is none, 0 the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_buffer_size: Option<i64>,
    /// Milliseconds that bytes may stay in that buffer; −1 is until it is full, 0 the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_buffer_timeout: Option<i64>,
    /// Whether to go on in TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_v1: Option<bool>,
    /// Whether to go on in deflate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deflate: Option<bool>,
    /// Level of deflate; 0 and below is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deflate_level: Option<i64>,
    /// Whether to go on in snappy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snappy: Option<bool>,
    /// Percentage of messages to be handed out, 1 to 99; 0 is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<i32>,
    /// Milliseconds that a message may stay in flight; 0 is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg_timeout: Option<i64>,
    /// Region of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_region: Option<String>,
    /// Zone of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_zone: Option<String>,
}

impl IdentifyRequest {
    /// Reads the body of IDENTIFY.
    ///
    /// # Errors
    /// `E_BAD_BODY` if it is not JSON, not an object or `null`, or a value has the wrong type.
    pub fn parse(body: &[u8]) -> Result<IdentifyRequest, ErrorReply> {
        // Bytes that are not UTF-8 are replaced, as in the reference, instead of refused.
        serde_json::from_str(&String::from_utf8_lossy(body))
            .map_err(|_| ErrorReply::new(ErrorCode::BadBody, "IDENTIFY failed to decode JSON body"))
    }

    /// The body of IDENTIFY: JSON with the keys that are not `None`.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

impl<'de> Deserialize<'de> for IdentifyRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<IdentifyRequest, D::Error> {
        deserializer.deserialize_any(RequestVisitor)
    }
}

struct RequestVisitor;

impl<'de> Visitor<'de> for RequestVisitor {
    type Value = IdentifyRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_unit<E>(self) -> Result<IdentifyRequest, E> {
        Ok(IdentifyRequest::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<IdentifyRequest, A::Error> {
        let mut request = IdentifyRequest::default();
        while let Some(mut key) = map.next_key::<String>()? {
            key.make_ascii_lowercase();
            match key.as_str() {
                "client_id" => take(&mut map, &mut request.client_id)?,
                "hostname" => take(&mut map, &mut request.hostname)?,
                "user_agent" => take(&mut map, &mut request.user_agent)?,
                "feature_negotiation" => take(&mut map, &mut request.feature_negotiation)?,
                "heartbeat_interval" => take(&mut map, &mut request.heartbeat_interval)?,
                "output_buffer_size" => take(&mut map, &mut request.output_buffer_size)?,
                "output_buffer_timeout" => take(&mut map, &mut request.output_buffer_timeout)?,
                "tls_v1" => take(&mut map, &mut request.tls_v1)?,
                "deflate" => take(&mut map, &mut request.deflate)?,
                "deflate_level" => take(&mut map, &mut request.deflate_level)?,
                "snappy" => take(&mut map, &mut request.snappy)?,
                "sample_rate" => take(&mut map, &mut request.sample_rate)?,
                "msg_timeout" => take(&mut map, &mut request.msg_timeout)?,
                "topology_region" => take(&mut map, &mut request.topology_region)?,
                "topology_zone" => take(&mut map, &mut request.topology_zone)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(request)
    }
}

/// Takes the next value; `null` leaves what an earlier key of that name gave.
fn take<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    field: &mut Option<T>,
) -> Result<(), A::Error> {
    if let Some(given) = map.next_value()? {
        *field = Some(given);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &[u8], expected: Option<IdentifyRequest>) {
        let refused = "E_BAD_BODY IDENTIFY failed to decode JSON body";
        let parsed = IdentifyRequest::parse(body).map_err(|error| error.to_string());
        assert_eq!(
            parsed,
            expected.ok_or(refused.to_owned()),
            "{}",
            body.escape_ascii()
        );
    }

    fn client(name: &str) -> IdentifyRequest {
        let client_id = Some(name.to_owned());
        IdentifyRequest {
            client_id,
            ..IdentifyRequest::default()
        }
    }

    #[test]
    fn requests_are_read_leniently() {
        let empty = || Some(IdentifyRequest::default());
        check(b"{}", empty());
        check(b" {}\n", empty());
        check(b"null", empty());
        check(
            br#"{"client_id":null,"sample_rate":null,"short_id":1,"later":{"a":[]}}"#,
            empty(),
        );
        check(br#"{"client_id":"a"}"#, Some(client("a")));
        check(br#"{"CLIENT_Id":"a"}"#, Some(client("a")));
        check(br#"{"client_id":"a","Client_ID":"b"}"#, Some(client("b")));
        check(br#"{"client_id":"a","client_id":null}"#, Some(client("a")));
        check(b"{\"client_id\":\"\xff\"}", Some(client("\u{fffd}")));
    }

    #[test]
    fn other_types_are_refused() {
        let refused = [
            "",
            "{",
            "[]",
            "[1]",
            "1",
            "true",
            "\"text\"",
            "{} x",
            "{}{}",
            r#"{"client_id":1}"#,
            r#"{"client_id":1,"client_id":"a"}"#,
            r#"{"tls_v1":"true"}"#,
            r#"{"tls_v1":1}"#,
            r#"{"heartbeat_interval":1000.0}"#,
            r#"{"heartbeat_interval":1e3}"#,
            r#"{"heartbeat_interval":"1000"}"#,
            r#"{"heartbeat_interval":9223372036854775808}"#,
            r#"{"sample_rate":2147483648}"#,
        ];
        for body in refused {
            check(body.as_bytes(), None);
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let request = IdentifyRequest {
            client_id: Some("a".to_owned()),
            hostname: Some("b".to_owned()),
            user_agent: Some("c/1.0".to_owned()),
            feature_negotiation: Some(true),
            heartbeat_interval: Some(-1),
            output_buffer_size: Some(64),
            output_buffer_timeout: Some(25),
            tls_v1: Some(false),
            deflate: Some(true),
            deflate_level: Some(3),
            snappy: Some(false),
            sample_rate: Some(10),
            msg_timeout: Some(1000),
            topology_region: Some("r".to_owned()),
            topology_zone: Some("z".to_owned()),
        };
        check(&request.to_json(), Some(request));
        assert_eq!(IdentifyRequest::default().to_json(), b"{}");
    }
}
