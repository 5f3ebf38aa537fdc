//! What both sides say about themselves with IDENTIFY, as JSON.
//!
//! What an nsqd sends is read as leniently as the reference does: keys are matched without regard to
//! case and the last of several wins; `null` is like an absent key, and instead of the object like an
//! empty one; unknown keys are skipped. Any other type, and text after the object, is an error.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::super::error::{ErrorCode, ErrorReply};

/// What an nsqd says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PeerInfo {
    /// Host name or address that consumers and tools dial. Not empty.
    pub broadcast_address: String,
    /// Name of its host; may be empty.
    pub hostname: String,
    /// Port of its HTTP API. Not 0; otherwise unchecked, as in the reference.
    pub http_port: i64,
    /// Port for consumers. Not 0; otherwise unchecked, as in the reference.
    pub tcp_port: i64,
    /// Region of its host; may be empty.
    pub topology_region: String,
    /// Zone of its host within the region; may be empty.
    pub topology_zone: String,
    /// Its version. Not empty.
    pub version: String,
}

impl PeerInfo {
    /// Reads the body of IDENTIFY.
    ///
    /// # Errors
    /// `E_BAD_BODY` if it is not JSON, not an object or `null`, a value has the wrong type, or a
    /// field that must be there is absent, empty or 0.
    pub fn parse(body: &[u8]) -> Result<PeerInfo, ErrorReply> {
        let bad_body = |text: &str| ErrorReply::new(ErrorCode::BadBody, text);
        // Bytes that are not UTF-8 are replaced, as in the reference, instead of refused.
        let info: PeerInfo = serde_json::from_str(&String::from_utf8_lossy(body))
            .map_err(|_| bad_body("IDENTIFY failed to decode JSON body"))?;
        let is_complete = !info.broadcast_address.is_empty()
            && !info.version.is_empty()
            && info.http_port != 0
            && info.tcp_port != 0;
        if !is_complete {
            return Err(bad_body("IDENTIFY missing fields"));
        }
        Ok(info)
    }

    /// The body of IDENTIFY.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

impl<'de> Deserialize<'de> for PeerInfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PeerInfo, D::Error> {
        deserializer.deserialize_any(PeerInfoVisitor)
    }
}

struct PeerInfoVisitor;

impl<'de> Visitor<'de> for PeerInfoVisitor {
    type Value = PeerInfo;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_unit<E>(self) -> Result<PeerInfo, E> {
        Ok(PeerInfo::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PeerInfo, A::Error> {
        let mut info = PeerInfo::default();
        // Its type is checked, its value is not believed: the socket tells the address.
        let mut remote_address = String::new();
        while let Some(mut key) = map.next_key::<String>()? {
            key.make_ascii_lowercase();
            match key.as_str() {
                "broadcast_address" => take(&mut map, &mut info.broadcast_address)?,
                "hostname" => take(&mut map, &mut info.hostname)?,
                "http_port" => take(&mut map, &mut info.http_port)?,
                "tcp_port" => take(&mut map, &mut info.tcp_port)?,
                "topology_region" => take(&mut map, &mut info.topology_region)?,
                "topology_zone" => take(&mut map, &mut info.topology_zone)?,
                "version" => take(&mut map, &mut info.version)?,
                "remote_address" => take(&mut map, &mut remote_address)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(info)
    }
}

/// Takes the next value; `null` leaves what an earlier key of that name gave.
fn take<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    field: &mut T,
) -> Result<(), A::Error> {
    if let Some(given) = map.next_value()? {
        *field = given;
    }
    Ok(())
}

/// What an nsqlookupd says about itself, in answer to IDENTIFY. Keys that are absent get their default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LookupdInfo {
    /// Host name or address that its HTTP API is reached by; an nsqd cannot use an empty one.
    pub broadcast_address: String,
    /// Name of its host.
    pub hostname: String,
    /// Port of its HTTP API.
    pub http_port: i64,
    /// Port of this protocol.
    pub tcp_port: i64,
    /// Its version.
    pub version: String,
}

impl LookupdInfo {
    /// The reply to IDENTIFY.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }

    /// Reads the reply to IDENTIFY.
    ///
    /// # Errors
    /// It is not a JSON object, or a value has the wrong type.
    pub fn parse(data: &[u8]) -> Result<LookupdInfo, serde_json::Error> {
        serde_json::from_slice(data)
    }
}

fn to_json(fields: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(fields).expect("strings and numbers are always JSON")
}
