//! A message: its id, and the frame in which a consumer receives it.
//!
//! ```text
//!  0        4        8             16         18            34
//!  ├ size ──┼ type 2 ┼ timestamp ──┼ attempts ┼ message id ─┼ body …
//!    u32      u32      i64, ns       u16        16 bytes
//! ```
//!
//! Integers are big endian; size counts everything after itself. The timestamp is the wall clock at
//! which nsqd accepted the publish, attempts is 1 on the first delivery.

use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

use super::frame::{FrameType, frame_header};

/// Bytes of a frame's size and type, which precede its data.
pub const FRAME_HEADER_BYTES: usize = 8;
/// Where the timestamp starts in a message frame.
pub const TIMESTAMP_AT: usize = FRAME_HEADER_BYTES;
/// Where the attempts start in a message frame.
pub const ATTEMPTS_AT: usize = 16;
/// Where the message id starts in a message frame.
pub const ID_AT: usize = 18;
/// Where the body starts in a message frame; it is the rest of the frame.
pub const BODY_AT: usize = 34;

/// A message as a consumer receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When nsqd accepted the publish, in nanoseconds since the Unix epoch.
    pub timestamp_ns: i64,
    /// How often this channel handed the message out, this time included.
    pub attempts: u16,
    /// What FIN, REQ and TOUCH name.
    pub id: MessageId,
    /// What the producer sent.
    pub body: Bytes,
}

/// Appends the whole frame of a message to `out`.
///
/// # Panics
/// If the body has 2 GiB or more, which no size on the wire can say.
pub fn put_message(
    out: &mut Vec<u8>,
    timestamp_ns: i64,
    attempts: u16,
    id: MessageId,
    body: &[u8],
) {
    let mut header = [0; BODY_AT];
    header[..FRAME_HEADER_BYTES].copy_from_slice(&frame_header(
        FrameType::Message,
        BODY_AT - FRAME_HEADER_BYTES + body.len(),
    ));
    header[TIMESTAMP_AT..ATTEMPTS_AT].copy_from_slice(&timestamp_ns.to_be_bytes());
    header[ATTEMPTS_AT..ID_AT].copy_from_slice(&attempts.to_be_bytes());
    header[ID_AT..].copy_from_slice(&id.0);
    out.reserve(BODY_AT + body.len());
    out.extend_from_slice(&header);
    out.extend_from_slice(body);
}

/// Names a message: 16 bytes, which from an nsqd are lowercase hex characters.
///
/// A peer may send any 16 bytes, so nothing here relies on their being hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId([u8; MessageId::BYTES]);

impl MessageId {
    /// Length of an id on the wire.
    pub const BYTES: usize = 16;

    /// The id that spells `value` as 16 lowercase hex characters.
    pub fn from_u64(value: u64) -> MessageId {
        let mut hex = [0; MessageId::BYTES];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(value.to_be_bytes()) {
            pair.copy_from_slice(&HEX_PAIRS[usize::from(byte)]);
        }
        MessageId(hex)
    }

    /// The id made of these bytes, whatever they are.
    pub const fn from_bytes(bytes: [u8; MessageId::BYTES]) -> MessageId {
        MessageId(bytes)
    }

    /// The number given to [`MessageId::from_u64`]; `None` when the id was not made by it.
    pub fn to_u64(self) -> Option<u64> {
        let mut value = 0;
        let mut seen = 0;
        for byte in self.0 {
            let nibble = NIBBLES[usize::from(byte)];
            seen |= nibble;
            value = value << 4 | u64::from(nibble & 0xf);
        }
        (seen & NOT_HEX == 0).then_some(value)
    }

    /// The bytes as they stand on the wire.
    pub fn as_bytes(&self) -> &[u8; MessageId::BYTES] {
        &self.0
    }
}

impl Hash for MessageId {
    /// Feeds one number mixed from both halves. The multiplication spreads hex digits, half of
    /// whose bits never change, over all bits of the number.
    fn hash<H: Hasher>(&self, state: &mut H) {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 / golden ratio, as in Fibonacci hashing
        let halves = u128::from_be_bytes(self.0);
        let high = u64::try_from(halves >> 64).expect("64 bits are left");
        let low = u64::try_from(halves & u128::from(u64::MAX)).expect("64 bits are kept");
        state.write_u64((high.wrapping_mul(ODD).rotate_left(32) ^ low).wrapping_mul(ODD));
    }
}

impl fmt::Display for MessageId {
    /// Bytes that are not printable ASCII are escaped, so that no two ids look the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({self})")
    }
}

/// Every byte as its two hex characters.
const HEX_PAIRS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 0xf]];
        byte += 1;
    }
    pairs
};

/// In [`NIBBLES`]: not a lowercase hex character.
const NOT_HEX: u8 = 0xf0;

/// Every lowercase hex character's value.
const NIBBLES: [u8; 256] = {
    let digits = b"0123456789abcdef";
    let mut nibbles = [NOT_HEX; 256];
    let mut value = 0_u8;
    while value < 16 {
        nibbles[digits[value as usize] as usize] = value;
        value += 1;
    }
    nibbles
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use super::*;

    /// Recorded from an nsqd 1.3.0.
    const RECORDED: &[u8] =
        b"\0\0\0\x20\0\0\0\x02\x18\xe9\xf0\x8c\x92\x0b\x33\x78\0\x0118a29ef1b4005000AB";

    #[test]
    fn a_message_has_the_bytes_of_the_reference() {
        let mut out = b"before".to_vec();
        let id = MessageId::from_u64(0x18a2_9ef1_b400_5000);
        put_message(&mut out, 0x18e9_f08c_920b_3378, 1, id, b"AB");
        assert_eq!(&out[6..], RECORDED);
        assert_eq!(&RECORDED[ID_AT..BODY_AT], id.as_bytes());
    }

    #[test]
    fn an_id_is_the_hex_of_its_number() {
        for value in [0, 1, 0x18a2_9ef1_b400_5000, u64::MAX] {
            let id = MessageId::from_u64(value);
            assert_eq!(id.to_string(), format!("{value:016x}"));
            assert_eq!(id.to_u64(), Some(value));
        }
    }

    #[test]
    fn an_id_that_nobody_made_has_no_number() {
        assert_eq!(MessageId::from_bytes(*b"00000000000000AF").to_u64(), None);
        assert_eq!(MessageId::from_bytes(*b"g000000000000000").to_u64(), None);
        assert_eq!(MessageId::from_bytes([0xff; 16]).to_u64(), None);
    }

    #[test]
    fn an_id_is_shown_without_loss() {
        let id = MessageId::from_bytes(*b"\n2345678\xff0\\23456");
        assert_eq!(id.to_string(), r"\n2345678\xff0\\23456");
    }

    #[test]
    fn ids_in_a_row_hash_apart() {
        let build = BuildHasherDefault::<DefaultHasher>::default();
        let hashes: HashSet<u64> = (0..10_000)
            .map(|value| build.hash_one(MessageId::from_u64(value)))
            .collect();
        assert_eq!(hashes.len(), 10_000);
    }
}
