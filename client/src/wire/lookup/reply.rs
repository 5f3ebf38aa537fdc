//! The replies, written by nsqlookupd and read by an nsqd.

use bytes::{Buf, Bytes, BytesMut};

use super::super::error::ErrorReply;
use super::OK;

const SIZE_BYTES: usize = 4;

/// Appends a reply to `out`.
///
/// # Panics
/// If `data` has 2 GiB or more, which no size on the wire can say.
pub fn put_reply(out: &mut Vec<u8>, data: &[u8]) {
    let size = i32::try_from(data.len()).expect("a reply is smaller than 2 GiB");
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(data);
}

/// Appends an error to `out`.
pub fn put_error(out: &mut Vec<u8>, error: &ErrorReply) {
    put_reply(out, error.to_string().as_bytes());
}

/// A reply as an nsqd receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The command succeeded.
    Ok,
    /// The command was refused, and nsqlookupd closes the connection.
    Error(ErrorReply),
    /// Anything else: the JSON that answers IDENTIFY.
    Data(Bytes),
}

/// A reply that cannot be: the stream is out of step and must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reply size {size} is not allowed, from 0 to {max} bytes are")]
pub struct ReplyError {
    /// The size field.
    pub size: i32,
    /// Largest size accepted.
    pub max: usize,
}

/// Cuts received bytes into replies without copying them.
#[derive(Clone, Copy, Debug)]
pub struct ReplyDecoder {
    max_reply_bytes: usize,
}

impl ReplyDecoder {
    /// Accepts replies of at most `max_reply_bytes`.
    pub fn new(max_reply_bytes: usize) -> ReplyDecoder {
        ReplyDecoder { max_reply_bytes }
    }

    /// Takes the first reply off `input`; `None` while it is not all there.
    ///
    /// # Errors
    /// Its size is negative or too big, which is judged as soon as it is there.
    pub fn decode(&self, input: &mut BytesMut) -> Result<Option<Reply>, ReplyError> {
        let Some(size) = input.first_chunk::<SIZE_BYTES>() else {
            return Ok(None);
        };
        let size = i32::from_be_bytes(*size);
        let max = self.max_reply_bytes;
        let data_bytes = usize::try_from(size).ok().filter(|bytes| *bytes <= max);
        let data_bytes = data_bytes.ok_or(ReplyError { size, max })?;
        if input.len() < SIZE_BYTES + data_bytes {
            return Ok(None);
        }
        input.advance(SIZE_BYTES);
        Ok(Some(reply(input.split_to(data_bytes).freeze())))
    }
}

fn reply(data: Bytes) -> Reply {
    if data == OK {
        return Reply::Ok;
    }
    ErrorReply::parse(&data).map_or(Reply::Data(data), Reply::Error)
}
