//! What nsqd sends to a client, and nsqlookupd to nsqd.

use std::fmt::Debug;

use bytes::BytesMut;
use client::wire::lookup::ReplyDecoder;
use client::wire::{Frame, FrameDecoder, put_error, put_message, put_response};

use super::Cuts;

/// Largest frame, and largest reply.
const BYTES_MAX: usize = 1000;

/// Frames and replies are the same however their stream is cut, and a frame is what it is written as.
pub fn frames(data: &[u8]) {
    let Some((cuts, stream)) = Cuts::of(data) else {
        return;
    };
    let frames = FrameDecoder::new(BYTES_MAX);
    for frame in both_ways(&cuts, stream, |input| frames.decode(input)) {
        let mut written = BytesMut::from(&*encoded(&frame));
        let again = frames.decode(&mut written);
        // An error whose text was not UTF-8, and was replaced, may have grown.
        if let Ok(again) = again {
            assert_eq!(again, Some(frame));
        } else {
            assert!(matches!(frame, Frame::Error(_)));
        }
    }
    let replies = ReplyDecoder::new(BYTES_MAX);
    both_ways(&cuts, stream, |input| replies.decode(input));
}

/// What `decode` takes off a stream that arrives at once, which is what it takes off one that arrives in pieces.
fn both_ways<T, E>(
    cuts: &Cuts,
    stream: &[u8],
    decode: impl Fn(&mut BytesMut) -> Result<Option<T>, E>,
) -> Vec<T>
where
    T: PartialEq + Debug,
    E: PartialEq + Debug,
{
    let whole = all(std::iter::once(stream), &decode);
    let pieces = cuts.clone().pieces(stream.len());
    assert_eq!(all(pieces.map(|piece| &stream[piece]), &decode), whole);
    whole.0
}

fn all<'a, T, E>(
    pieces: impl Iterator<Item = &'a [u8]>,
    decode: impl Fn(&mut BytesMut) -> Result<Option<T>, E>,
) -> (Vec<T>, Option<E>) {
    let mut input = BytesMut::new();
    let mut taken = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            let before = input.len();
            match decode(&mut input) {
                Ok(Some(one)) => {
                    assert!(input.len() < before);
                    taken.push(one);
                }
                Ok(None) => {
                    assert_eq!(input.len(), before);
                    break;
                }
                Err(error) => return (taken, Some(error)),
            }
        }
    }
    (taken, None)
}

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    match frame {
        Frame::Response(data) => put_response(&mut out, data),
        Frame::Error(error) => put_error(&mut out, error),
        Frame::Message(message) => put_message(
            &mut out,
            message.timestamp_ns,
            message.attempts,
            message.id,
            &message.body,
        ),
        Frame::UnknownError(data) => put_typed(&mut out, 1, data),
        Frame::Unknown { frame_type, data } => put_typed(&mut out, *frame_type, data),
    }
    out
}

fn put_typed(out: &mut Vec<u8>, frame_type: u32, data: &[u8]) {
    let size = u32::try_from(4 + data.len()).expect("a frame is small here");
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(&frame_type.to_be_bytes());
    out.extend_from_slice(data);
}
