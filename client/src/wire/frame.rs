//! Frames: everything that nsqd sends.
//!
//! ```text
//!  0        4        8
//!  ├ size ──┼ type ──┼ data, size − 4 bytes …
//!    u32      u32      0 response · 1 error · 2 message
//! ```
//!
//! Integers are big endian. The data of a message is drawn in `message.rs`, that of an error in
//! `error.rs`. A response is `OK`, `CLOSE_WAIT`, `_heartbeat_` or JSON.

use bytes::{Buf, Bytes, BytesMut};

use super::error::ErrorReply;
use super::message::{
    ATTEMPTS_AT, BODY_AT, FRAME_HEADER_BYTES, ID_AT, Message, MessageId, TIMESTAMP_AT,
};

/// Response: the command succeeded.
pub const OK: &[u8] = b"OK";
/// Response to CLS: no further messages will come.
pub const CLOSE_WAIT: &[u8] = b"CLOSE_WAIT";
/// Response to nothing: asks whether the client is alive, who answers with any command.
pub const HEARTBEAT: &[u8] = b"_heartbeat_";

const SIZE_BYTES: usize = 4;
const TYPE_BYTES: usize = 4;

/// What the data of a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameType {
    Response = 0,
    Error = 1,
    Message = 2,
}

/// Size and type of a frame with this many bytes of data.
///
/// # Panics
/// If the frame would have 2 GiB or more, which no size on the wire can say.
#[inline]
pub(super) fn frame_header(frame_type: FrameType, data_bytes: usize) -> [u8; FRAME_HEADER_BYTES] {
    let size = i32::try_from(TYPE_BYTES + data_bytes).expect("a frame is smaller than 2 GiB");
    let mut header = [0; FRAME_HEADER_BYTES];
    header[..SIZE_BYTES].copy_from_slice(&size.to_be_bytes());
    header[SIZE_BYTES..].copy_from_slice(&(frame_type as u32).to_be_bytes());
    header
}

/// Appends a response frame to `out`.
pub fn put_response(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(&frame_header(FrameType::Response, data.len()));
    out.extend_from_slice(data);
}

/// Appends an error frame to `out`.
pub fn put_error(out: &mut Vec<u8>, error: &ErrorReply) {
    let data = error.to_string();
    out.extend_from_slice(&frame_header(FrameType::Error, data.len()));
    out.extend_from_slice(data.as_bytes());
}

/// A frame as a client receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The answer to a command, or a heartbeat.
    Response(Bytes),
    /// A command was refused.
    Error(ErrorReply),
    /// A command was refused with a code unknown here; the data as it came.
    UnknownError(Bytes),
    /// A message to be worked on.
    Message(Message),
    /// A type of a later protocol, to be ignored.
    Unknown {
        /// The type as it came.
        frame_type: u32,
        /// What follows the type.
        data: Bytes,
    },
}

/// A frame that cannot be: the stream is out of step and must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The size does not even cover the frame's type.
    #[error("frame size {size} is too small, a frame type has {TYPE_BYTES} bytes")]
    TooSmall {
        /// The size field.
        size: u32,
    },
    /// The size is above what this side accepts.
    #[error("frame size {size} is too big, at most {max} bytes are accepted")]
    TooBig {
        /// The size field.
        size: u32,
        /// Largest size accepted.
        max: usize,
    },
    /// A message without all of timestamp, attempts and id.
    #[error("message frame with {data_bytes} bytes of data, timestamp, attempts and id have 26")]
    MessageTooShort {
        /// Length of what follows the type.
        data_bytes: usize,
    },
}

/// Cuts received bytes into frames without copying them.
#[derive(Clone, Copy, Debug)]
pub struct FrameDecoder {
    max_frame_bytes: usize,
}

impl FrameDecoder {
    /// Accepts frames whose size field is at most `max_frame_bytes`.
    pub fn new(max_frame_bytes: usize) -> FrameDecoder {
        FrameDecoder { max_frame_bytes }
    }

    /// Takes the first frame off `input`; `None` while it is not all there.
    ///
    /// # Errors
    /// The frame is impossible or too big. The size is judged as soon as it is there.
    pub fn decode(&self, input: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let Some(size) = input.first_chunk::<SIZE_BYTES>() else {
            return Ok(None);
        };
        let size_bytes = self.check_size(u32::from_be_bytes(*size))?;
        if input.len() < SIZE_BYTES + size_bytes {
            return Ok(None);
        }
        let mut frame = input.split_to(SIZE_BYTES + size_bytes).freeze();
        frame.advance(SIZE_BYTES);
        let frame_type = frame.get_u32();
        parse_frame(frame_type, frame).map(Some)
    }

    fn check_size(self, size: u32) -> Result<usize, FrameError> {
        let max = self.max_frame_bytes;
        match usize::try_from(size) {
            Ok(bytes) if bytes < TYPE_BYTES => Err(FrameError::TooSmall { size }),
            Ok(bytes) if bytes <= max => Ok(bytes),
            _ => Err(FrameError::TooBig { size, max }),
        }
    }
}

fn parse_frame(frame_type: u32, data: Bytes) -> Result<Frame, FrameError> {
    const RESPONSE: u32 = FrameType::Response as u32;
    const ERROR: u32 = FrameType::Error as u32;
    const MESSAGE: u32 = FrameType::Message as u32;
    Ok(match frame_type {
        RESPONSE => Frame::Response(data),
        ERROR => match ErrorReply::parse(&data) {
            Some(error) => Frame::Error(error),
            None => Frame::UnknownError(data),
        },
        MESSAGE => Frame::Message(parse_message(data)?),
        _ => Frame::Unknown { frame_type, data },
    })
}

fn parse_message(mut data: Bytes) -> Result<Message, FrameError> {
    const { assert!(TIMESTAMP_AT == FRAME_HEADER_BYTES && ATTEMPTS_AT < ID_AT) };
    if data.len() < BODY_AT - FRAME_HEADER_BYTES {
        return Err(FrameError::MessageTooShort {
            data_bytes: data.len(),
        });
    }
    let timestamp_ns = data.get_i64();
    let attempts = data.get_u16();
    let mut id = [0; MessageId::BYTES];
    data.copy_to_slice(&mut id);
    Ok(Message {
        timestamp_ns,
        attempts,
        id: MessageId::from_bytes(id),
        body: data,
    })
}

#[cfg(test)]
mod tests {
    use super::super::error::ErrorCode;
    use super::super::message::put_message;
    use super::*;

    const MAX: usize = 64;

    fn check(input: &[u8], expected: &Result<Frame, FrameError>) {
        let decoder = FrameDecoder::new(MAX);
        if expected.is_ok() {
            for end in 0..input.len() {
                let mut cut = BytesMut::from(&input[..end]);
                assert_eq!(decoder.decode(&mut cut), Ok(None), "cut at {end}");
                assert_eq!(cut.len(), end, "nothing is taken of an incomplete frame");
            }
        }
        let mut input = BytesMut::from(input);
        input.extend_from_slice(b"next");
        assert_eq!(decoder.decode(&mut input), expected.clone().map(Some));
        if expected.is_ok() {
            assert_eq!(&input[..], b"next");
        }
    }

    #[test]
    fn frames_are_read_as_drawn() {
        check(
            b"\0\0\0\x06\0\0\0\0OK",
            &Ok(Frame::Response(Bytes::from_static(OK))),
        );
        check(b"\0\0\0\x04\0\0\0\0", &Ok(Frame::Response(Bytes::new())));
        check(
            b"\0\0\0\x0f\0\0\0\x01E_INVALID x",
            &Ok(Frame::Error(ErrorReply::new(ErrorCode::Invalid, "x"))),
        );
        check(
            b"\0\0\0\x0b\0\0\0\x01E_NEWER",
            &Ok(Frame::UnknownError(Bytes::from_static(b"E_NEWER"))),
        );
        check(
            b"\0\0\0\x05\0\0\0\x07x",
            &Ok(Frame::Unknown {
                frame_type: 7,
                data: Bytes::from_static(b"x"),
            }),
        );
        check(
            b"\0\0\0\x20\0\0\0\x02\x18\xe9\xf0\x8c\x92\x0b\x33\x78\0\x0118a29ef1b4005000AB",
            &Ok(Frame::Message(Message {
                timestamp_ns: 0x18e9_f08c_920b_3378,
                attempts: 1,
                id: MessageId::from_bytes(*b"18a29ef1b4005000"),
                body: Bytes::from_static(b"AB"),
            })),
        );
    }

    #[test]
    fn impossible_frames_are_refused() {
        check(b"\0\0\0\x03", &Err(FrameError::TooSmall { size: 3 }));
        check(
            b"\0\0\0\x41",
            &Err(FrameError::TooBig { size: 65, max: MAX }),
        );
        check(
            b"\xff\xff\xff\xff",
            &Err(FrameError::TooBig {
                size: u32::MAX,
                max: MAX,
            }),
        );
        check(
            b"\0\0\0\x05\0\0\0\x02x",
            &Err(FrameError::MessageTooShort { data_bytes: 1 }),
        );
    }

    #[test]
    fn what_is_put_is_read_back() {
        let id = MessageId::from_u64(7);
        let error = ErrorReply::new(ErrorCode::BadProtocol, "");
        let mut out = Vec::new();
        put_response(&mut out, HEARTBEAT);
        put_error(&mut out, &error);
        put_message(&mut out, -1, u16::MAX, id, b"");
        assert_eq!(&out[..19], b"\0\0\0\x0f\0\0\0\0_heartbeat_");

        let decoder = FrameDecoder::new(MAX);
        let mut input = BytesMut::from(&out[..]);
        let mut next = || decoder.decode(&mut input).unwrap();
        assert_eq!(next(), Some(Frame::Response(Bytes::from_static(HEARTBEAT))));
        assert_eq!(next(), Some(Frame::Error(error)));
        let message = Message {
            timestamp_ns: -1,
            attempts: u16::MAX,
            id,
            body: Bytes::new(),
        };
        assert_eq!(next(), Some(Frame::Message(message)));
        assert_eq!(next(), None);
    }
}
