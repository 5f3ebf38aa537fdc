//! Frames looked at in the receive buffer, where a decoder would hand out a value for each.

use bytes::{Buf, BytesMut};
use client::connection::ConnectionError;
use client::wire::{BODY_AT, FRAME_HEADER_BYTES, FrameError, HEARTBEAT, ID_AT, OK};

const RESPONSE: u32 = 0;
const ERROR: u32 = 1;
const MESSAGE: u32 = 2;
/// Bytes of a frame's type, which its size counts.
const TYPE_BYTES: usize = 4;

/// What a load generator needs to know of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen<'a> {
    /// A command was carried out.
    Ok,
    /// Wants an answer.
    Heartbeat,
    /// A message: its 16 bytes of id, and its body.
    Message { id: &'a [u8], body: &'a [u8] },
}

/// Shows every complete frame to `see`, and takes them off the buffer.
///
/// # Errors
/// The nsqd refused something, or what came is not a frame.
pub(super) fn drain(
    received: &mut BytesMut,
    mut see: impl FnMut(Seen<'_>),
) -> Result<(), ConnectionError> {
    let mut rest = &received[..];
    while let Some(header) = rest.first_chunk::<FRAME_HEADER_BYTES>() {
        let [s0, s1, s2, s3, t0, t1, t2, t3] = *header;
        let size = u32::from_be_bytes([s0, s1, s2, s3]);
        let data_bytes = (size as usize).checked_sub(TYPE_BYTES);
        let data_bytes =
            data_bytes.ok_or(ConnectionError::Protocol(FrameError::TooSmall { size }))?;
        let Some((frame, after)) = rest.split_at_checked(FRAME_HEADER_BYTES + data_bytes) else {
            break;
        };
        if let Some(seen) = look(u32::from_be_bytes([t0, t1, t2, t3]), frame)? {
            see(seen);
        }
        rest = after;
    }
    let consumed = received.len() - rest.len();
    received.advance(consumed);
    Ok(())
}

fn look(frame_type: u32, frame: &[u8]) -> Result<Option<Seen<'_>>, ConnectionError> {
    let data = &frame[FRAME_HEADER_BYTES..];
    match frame_type {
        MESSAGE if frame.len() >= BODY_AT => Ok(Some(Seen::Message {
            id: &frame[ID_AT..BODY_AT],
            body: &frame[BODY_AT..],
        })),
        MESSAGE => Err(ConnectionError::Protocol(FrameError::MessageTooShort {
            data_bytes: data.len(),
        })),
        RESPONSE if data == OK => Ok(Some(Seen::Ok)),
        RESPONSE if data == HEARTBEAT => Ok(Some(Seen::Heartbeat)),
        ERROR => Err(ConnectionError::Refused(
            String::from_utf8_lossy(data).into_owned(),
        )),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use client::wire::{ErrorCode, ErrorReply, MessageId, put_error, put_message, put_response};

    use super::*;

    #[test]
    fn frames_are_seen_once_they_are_complete() {
        let mut bytes = Vec::new();
        put_response(&mut bytes, OK);
        put_message(&mut bytes, 1, 1, MessageId::from_u64(7), b"body");
        put_response(&mut bytes, b"CLOSE_WAIT");
        put_response(&mut bytes, HEARTBEAT);
        for cut in 0..=bytes.len() {
            let mut received = BytesMut::new();
            let mut seen = Vec::new();
            for piece in [&bytes[..cut], &bytes[cut..]] {
                received.extend_from_slice(piece);
                drain(&mut received, |frame| seen.push(format!("{frame:?}"))).unwrap();
            }
            let (id, body): (&[u8], &[u8]) = (b"0000000000000007", b"body");
            let message = Seen::Message { id, body };
            let expected = [Seen::Ok, message, Seen::Heartbeat].map(|seen| format!("{seen:?}"));
            assert_eq!(seen, expected, "cut at {cut}");
            assert!(received.is_empty());
        }
    }

    #[test]
    fn what_is_refused_or_no_frame_is_an_error() {
        let check = |bytes: &[u8], expected: &str| {
            let error = drain(&mut BytesMut::from(bytes), |_| ()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        let mut refused = Vec::new();
        put_error(&mut refused, &ErrorReply::new(ErrorCode::Invalid, "no"));
        check(&refused, "refused: E_INVALID no");
        check(
            b"\0\0\0\x03\0\0\0\0",
            "not the protocol of nsqd: frame size 3 is too small, a frame type has 4 bytes",
        );
        check(
            b"\0\0\0\x05\0\0\0\x02x",
            "not the protocol of nsqd: message frame with 1 bytes of data, \
             timestamp, attempts and id have 26",
        );
    }
}
