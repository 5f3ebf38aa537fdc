//! The NSQ wire protocol: bytes ⇄ values. No sockets, clocks or tasks in here; both ends of a
//! connection and the tests use exactly this.
//!
//! A connection starts with the client's 4 bytes of [`MAGIC_V2`]. From then on the client sends
//! commands, the server sends frames. All integers are big endian.
//!
//! ```text
//! command ─ a line of at most 16384 bytes, then a body if the command has one
//!   IDENTIFY\n        size(i32) JSON          SUB <topic> <channel>\n     CLS\n
//!   AUTH\n            size(i32) secret        RDY [count]\n               NOP\n
//!   PUB <topic>\n     size(i32) message       FIN <id>\n
//!   DPUB <topic> <ms>\n size(i32) message     REQ <id> <ms>\n
//!   MPUB <topic>\n    size(i32) batch         TOUCH <id>\n
//!
//! batch ─ count(i32), then count times: size(i32) message
//!
//! frame
//!  0        4        8
//!  ├ size ──┼ type ──┼ data, size − 4 bytes …
//!    u32      u32      0 response: OK, CLOSE_WAIT, _heartbeat_ or JSON
//!                      1 error:    code, space, description
//!                      2 message:  timestamp(i64, ns) attempts(u16) id(16 bytes) body …
//! ```
//!
//! | to | use |
//! | --- | --- |
//! | read commands as a server | [`check_magic`], [`CommandDecoder`] within [`Limits`] |
//! | answer | [`put_response`], [`put_error`] with an [`ErrorReply`], [`put_message`] |
//! | send commands as a client | [`Command::encode`], [`BatchBuf`], [`put_publish_many`] |
//! | read frames as a client | [`FrameDecoder`] |
//! | settle what a connection can do | [`IdentifyRequest`], [`IdentifyOffer`], [`Settings`], [`IdentifyResponse`] |

mod batch;
mod batch_buf;
mod command;
mod decoder;
mod error;
mod frame;
mod identify;
mod limits;
pub mod lookup;
mod message;
mod name;
#[cfg(test)]
mod properties;

pub use batch::{Batch, BatchItems, put_batch};
pub use batch_buf::BatchBuf;
pub use command::{Command, CommandKind, put_publish_many};
pub use decoder::{CommandDecoder, DecodeError, Decoded};
pub use error::{ErrorCode, ErrorReply, Quoted, UnknownErrorCode};
pub use frame::{
    CLOSE_WAIT, Frame, FrameDecoder, FrameError, HEARTBEAT, OK, put_error, put_response,
};
pub use identify::{IdentifyOffer, IdentifyRequest, IdentifyResponse, Settings};
pub use limits::Limits;
pub use message::{
    ATTEMPTS_AT, BODY_AT, FRAME_HEADER_BYTES, ID_AT, Message, MessageId, TIMESTAMP_AT, put_message,
};
pub use name::{ChannelName, MAX_NAME_BYTES, NameError, NameRef, TopicName};

/// What a client sends first.
pub const MAGIC_V2: [u8; 4] = *b"  V2";

/// Longest line of a command in bytes, its newline included. A longer one closes the connection.
pub const MAX_LINE_BYTES: usize = 16 * 1024;

/// Checks the first bytes of a connection.
///
/// # Errors
/// `E_BAD_PROTOCOL` for anything but [`MAGIC_V2`].
pub fn check_magic(magic: [u8; MAGIC_V2.len()]) -> Result<(), ErrorReply> {
    if magic == MAGIC_V2 {
        Ok(())
    } else {
        Err(ErrorReply::new(ErrorCode::BadProtocol, ""))
    }
}
