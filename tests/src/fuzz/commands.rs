//! What a client sends to nsqd.

use std::time::Duration;

use client::wire::{
    Command, CommandDecoder, CommandKind, DecodeError, Decoded, ErrorReply, Limits, MAX_LINE_BYTES,
};

use super::Cuts;

/// Small, so that they are met.
const LIMITS: Limits = Limits {
    max_msg_size: 100,
    max_body_size: 400,
    max_rdy_count: 2500,
    max_req_timeout: Duration::from_hours(1),
};

/// What a stream of commands came to.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    /// The commands as they are written, and where each one ended.
    commands: Vec<(Vec<u8>, usize)>,
    error: Option<DecodeError>,
    /// What a peer is told that breaks off after all of it.
    truncated: Option<ErrorReply>,
}

/// Commands are the same however their stream is cut, and are what they are written as. A gate that lets nobody subscribe
/// twice is asked once for each.
pub fn commands(data: &[u8]) {
    let Some((cuts, stream)) = Cuts::of(data) else {
        return;
    };
    let whole = hear(stream, std::iter::once(stream.len()));
    let pieces = hear(stream, cuts.pieces(stream.len()).map(|piece| piece.end));
    assert_eq!(whole, pieces);
    // The return before a newline is no part of a line, though an id that nobody made may end with it.
    let clear = |(written, _): &&(Vec<u8>, usize)| !written.ends_with(b"\r\n");
    for (written, _) in whole.commands.iter().filter(clear) {
        let again = hear(written, std::iter::once(written.len()));
        assert_eq!(again.commands, [(written.clone(), written.len())]);
    }
}

/// Decodes a stream, of which more arrives up to each of `ends`.
fn hear(stream: &[u8], ends: impl Iterator<Item = usize>) -> Heard {
    let mut heard = Heard::default();
    let mut decoder = CommandDecoder::default();
    let mut subscribed = false;
    let (mut at, mut asked) = (0, 0);
    for end in ends {
        while at < end {
            let gate = |kind| {
                asked += 1;
                let again = std::mem::replace(&mut subscribed, kind == CommandKind::Subscribe);
                let refused = again && kind == CommandKind::Subscribe;
                let refusal = ErrorReply::new(client::wire::ErrorCode::Invalid, "again");
                if refused { Err(refusal) } else { Ok(()) }
            };
            let input = &stream[at..end];
            match decoder.decode(input, &LIMITS, gate) {
                Ok(Decoded::Command { command, consumed }) => {
                    assert!((1..=input.len()).contains(&consumed));
                    at += consumed;
                    heard.commands.push((encoded(&command), at));
                    assert_eq!(asked, heard.commands.len());
                }
                Ok(Decoded::Incomplete { needed }) => {
                    let longest = MAX_LINE_BYTES + 4 + LIMITS.max_body_size;
                    assert!((input.len() + 1..=longest).contains(&needed));
                    break;
                }
                Err(error) => {
                    heard.error = Some(error);
                    return heard;
                }
            }
        }
    }
    heard.truncated = decoder.truncated();
    heard
}

fn encoded(command: &Command<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    command.encode(&mut out);
    out
}
