//! The nsqlookupd protocol (V1): what an nsqd says about itself, its topics and its channels.
//!
//! A connection starts with the nsqd's 4 bytes of [`MAGIC_V1`]. From then on each command gets one
//! reply, in order. Every error ends the connection, and with it all that the nsqd registered.
//!
//! ```text
//! command ─ a line of at most 4096 bytes; blanks around it do not count
//!   IDENTIFY\n                        size(i32) JSON: PeerInfo; once, and before REGISTER
//!   REGISTER <topic> [<channel>]\n    the nsqd has this topic, or this channel and its topic
//!   UNREGISTER <topic> [<channel>]\n  it has them no more; without a channel all those of the topic
//!   PING\n                            it is alive
//!
//! reply
//!  0        4
//!  ├ size ──┼ data, size bytes: OK, an error, or to IDENTIFY a JSON: LookupdInfo
//!    i32
//! ```
//!
//! All integers are big endian. There is no frame type: an error is told by its code.

mod command;
mod info;
mod reply;
#[cfg(test)]
mod tests;

pub use command::{Command, CommandDecoder};
pub use info::{LookupdInfo, PeerInfo};
pub use reply::{Reply, ReplyDecoder, ReplyError, put_error, put_reply};

use super::error::{ErrorCode, ErrorReply};

/// What an nsqd sends first.
pub const MAGIC_V1: [u8; 4] = *b"  V1";

/// Longest line of a command in bytes, its newline included. A longer one closes the connection.
pub const MAX_LINE_BYTES: usize = 4 * 1024;

/// Largest body of IDENTIFY in bytes. That of an nsqd has about 200.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Reply: the command succeeded.
pub const OK: &[u8] = b"OK";

/// Checks the first bytes of a connection.
///
/// # Errors
/// `E_BAD_PROTOCOL` for anything but [`MAGIC_V1`].
pub fn check_magic(magic: [u8; MAGIC_V1.len()]) -> Result<(), ErrorReply> {
    if magic == MAGIC_V1 {
        Ok(())
    } else {
        Err(ErrorReply::new(ErrorCode::BadProtocol, ""))
    }
}
