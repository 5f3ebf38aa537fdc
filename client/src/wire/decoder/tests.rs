//! What the decoder makes of every command, and every text with which it refuses one.

use std::cell::Cell;
use std::time::Duration;

use super::super::{Batch, MessageId, check_magic};
use super::*;

const LIMITS: Limits = Limits {
    max_msg_size: 10,
    max_body_size: 29,
    max_rdy_count: 2500,
    max_req_timeout: Duration::from_hours(1),
};

const ID: MessageId = MessageId::from_bytes(*b"18a29ef1b4005000");

fn name(name: &str) -> NameRef<'_> {
    NameRef::parse(name.as_bytes()).unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of a gate")]
fn open(_: CommandKind) -> Result<(), ErrorReply> {
    Ok(())
}

/// What a peer hears who sends `input` and then closes its side.
fn refusal(input: &[u8]) -> Option<String> {
    let mut decoder = CommandDecoder::default();
    match decoder.decode(input, &LIMITS, open) {
        Ok(Decoded::Command { command, .. }) => panic!("{command:?} was accepted"),
        Ok(Decoded::Incomplete { .. }) => decoder.truncated(),
        Err(error) => error.into_reply(),
    }
    .map(|reply| reply.to_string())
}

/// The command is decoded whole, and with the input cut at every byte; nothing after it is taken.
fn check(input: &[u8], expected: Command<'_>) {
    for cut in 0..=input.len() {
        let mut decoder = CommandDecoder::default();
        let gate_calls = Cell::new(0);
        let gate = |kind| {
            assert_eq!(kind, expected.kind());
            gate_calls.set(gate_calls.get() + 1);
            Ok(())
        };
        if cut < input.len() {
            match decoder.decode(&input[..cut], &LIMITS, gate) {
                Ok(Decoded::Incomplete { needed }) => {
                    assert!(cut < needed && needed <= input.len());
                }
                other => panic!("{other:?} for {}", input[..cut].escape_ascii()),
            }
        }
        let more = [input, b"NEXT"].concat();
        assert_eq!(
            decoder.decode(&more, &LIMITS, gate),
            Ok(Decoded::Command {
                command: expected,
                consumed: input.len()
            })
        );
        assert_eq!(gate_calls.get(), 1, "the gate is asked once, cut at {cut}");
        assert_eq!(decoder.truncated(), None, "the next command starts afresh");
    }
}

/// The input is refused with this text, also when it arrives byte by byte.
fn refuse(input: &[u8], expected: &str) {
    assert_eq!(
        refusal(input).as_deref(),
        Some(expected),
        "{}",
        input.escape_ascii()
    );
    let mut decoder = CommandDecoder::default();
    let told = (0..=input.len())
        .find_map(|end| decoder.decode(&input[..end], &LIMITS, open).err())
        .map_or_else(|| decoder.truncated(), DecodeError::into_reply);
    assert_eq!(
        told.unwrap().to_string(),
        expected,
        "{} by bytes",
        input.escape_ascii()
    );
}

#[test]
fn the_magic_is_the_only_protocol() {
    assert_eq!(check_magic(*b"  V2"), Ok(()));
    for magic in [*b"  V1", *b"V2  ", *b"GET "] {
        assert_eq!(
            check_magic(magic).unwrap_err().to_string(),
            "E_BAD_PROTOCOL"
        );
    }
}

#[test]
fn commands_without_body() {
    check(b"NOP\n", Command::Nop);
    check(b"NOP\r\n", Command::Nop);
    check(b"NOP and more\n", Command::Nop);
    check(b"CLS\n", Command::Close);
    check(
        b"SUB t c\n",
        Command::Subscribe {
            topic: name("t"),
            channel: name("c"),
        },
    );
    check(
        b"SUB t#ephemeral c#ephemeral x\r\n",
        Command::Subscribe {
            topic: name("t#ephemeral"),
            channel: name("c#ephemeral"),
        },
    );
    check(b"FIN 18a29ef1b4005000\n", Command::Finish { id: ID });
    check(b"TOUCH 18a29ef1b4005000 x\n", Command::Touch { id: ID });
    let not_hex = MessageId::from_bytes(*b"\xff23456789012345\xfe");
    check(
        b"FIN \xff23456789012345\xfe\n",
        Command::Finish { id: not_hex },
    );
}

#[test]
#[rustfmt::skip] // a table, one case a line
fn ready_counts() {
    let check = |line: &[u8], count| check(line, Command::Ready { count });
    check(b"RDY\n", 1);
    check(b"RDY \n", 0);
    check(b"RDY 0\n", 0);
    check(b"RDY 2500\n", 2500);
    check(b"RDY 0000000000000000000000007\n", 7);
    check(b"RDY 18446744073709551616\n", 0);
    refuse(b"RDY 2501\n", "E_INVALID RDY count 2501 out of range 0-2500");
    refuse(b"RDY 18446744073709551615\n", "E_INVALID RDY count -1 out of range 0-2500");
    refuse(b"RDY -1\n", "E_INVALID RDY could not parse count -1");
    refuse(b"RDY +1\n", "E_INVALID RDY could not parse count +1");
    refuse(b"RDY 1\r\r\n", "E_INVALID RDY could not parse count 1\r");
}

#[test]
#[rustfmt::skip] // a table, one case a line
fn requeue_delays_are_clamped() {
    let check = |ms: &str, delay| {
        let line = format!("REQ 18a29ef1b4005000 {ms}\n");
        check(line.as_bytes(), Command::Requeue { id: ID, delay });
    };
    check("", Duration::ZERO);
    check("0", Duration::ZERO);
    check("1500", Duration::from_millis(1500));
    check("3600000", Duration::from_hours(1));
    check("3600001", Duration::from_hours(1));
    // In nanoseconds above 2^63, hence negative in 64 bit.
    check("9223372036855", Duration::ZERO);
    refuse(b"REQ 18a29ef1b4005000 -1\n", "E_INVALID REQ could not parse timeout -1");
    refuse(b"REQ 18a29ef1b4005000 1.5\n", "E_INVALID REQ could not parse timeout 1.5");
}

#[test]
#[rustfmt::skip] // a table, one case a line
fn commands_with_body() {
    check(b"IDENTIFY\n\0\0\0\x02{}", Command::Identify { body: b"{}" });
    check(b"IDENTIFY x\n\0\0\0\x02{}", Command::Identify { body: b"{}" });
    check(b"AUTH\r\n\0\0\0\x03a\nb", Command::Auth { secret: b"a\nb" });
    check(b"PUB t\n\0\0\0\x02AB", Command::Publish { topic: name("t"), body: b"AB", });
    check(b"PUB t x\n\0\0\0\x0a0123456789", Command::Publish { topic: name("t"), body: b"0123456789", });
    let deferred = |delay| Command::PublishDeferred {
        topic: name("t"),
        delay,
        body: b"AB",
    };
    check(b"DPUB t 1500\n\0\0\0\x02AB", deferred(Duration::from_millis(1500)));
    check(b"DPUB t \n\0\0\0\x02AB", deferred(Duration::ZERO));
    check(b"DPUB t 3600000\n\0\0\0\x02AB", deferred(Duration::from_hours(1)));
}

#[test]
fn batches_end_where_their_items_end() {
    let items = b"\0\0\0\x02\0\0\0\x01A\0\0\0\x02BC";
    let batch = Batch::parse(items, &LIMITS).unwrap();
    let expected = Command::PublishMany {
        topic: name("t"),
        batch,
    };
    check(
        b"MPUB t\n\0\0\0\x0f\0\0\0\x02\0\0\0\x01A\0\0\0\x02BC",
        expected,
    );
    // The size of the body says too little, or too much.
    check(
        b"MPUB t\n\0\0\0\x01\0\0\0\x02\0\0\0\x01A\0\0\0\x02BC",
        expected,
    );
    check(
        b"MPUB t\n\0\0\0\x1d\0\0\0\x02\0\0\0\x01A\0\0\0\x02BC",
        expected,
    );
}

#[test]
#[rustfmt::skip] // a table, one case a line
fn unknown_commands() {
    refuse(b"\n", "E_INVALID invalid command ");
    refuse(b"\r\n", "E_INVALID invalid command ");
    refuse(b" NOP\n", "E_INVALID invalid command ");
    refuse(b"nop\n", "E_INVALID invalid command nop");
    refuse(b"NOP\r\r\n", "E_INVALID invalid command NOP\r");
    refuse(b"NOPE x\n", "E_INVALID invalid command NOPE");
    refuse(b"\xff\n", "E_INVALID invalid command \u{fffd}");
    let unknown = CommandDecoder::default().decode(b"HELLO x\n", &LIMITS, |_| unreachable!());
    assert_eq!(
        unknown,
        Err(DecodeError::UnknownCommand {
            name: "HELLO".to_owned()
        })
    );
}

#[test]
fn the_gate_comes_before_parameters_and_body() {
    let closed = ErrorReply::new(ErrorCode::Invalid, "cannot SUB in current state");
    for line in [
        &b"SUB\n"[..],
        b"SUB t c\n",
        b"IDENTIFY\n\0\0\0\0",
        b"PUB !\n",
    ] {
        let decoded = CommandDecoder::default().decode(line, &LIMITS, |_| Err(closed.clone()));
        assert_eq!(decoded, Err(DecodeError::Reply(closed.clone())));
    }
}

#[test]
#[rustfmt::skip] // a table, one case a line
fn missing_parameters() {
    refuse(b"SUB\n", "E_INVALID SUB insufficient number of parameters");
    refuse(b"SUB b!d\n", "E_INVALID SUB insufficient number of parameters");
    refuse(b"PUB\n", "E_INVALID PUB insufficient number of parameters");
    refuse(b"MPUB\n", "E_INVALID MPUB insufficient number of parameters");
    refuse(b"DPUB b!d\n", "E_INVALID DPUB insufficient number of parameters");
    refuse(b"FIN\n", "E_INVALID FIN insufficient number of params");
    refuse(b"REQ short\n", "E_INVALID REQ insufficient number of params");
    refuse(b"TOUCH\n", "E_INVALID TOUCH insufficient number of params");
    refuse(b"AUTH \n", "E_INVALID AUTH invalid number of parameters");
    refuse(b"AUTH secret\n", "E_INVALID AUTH invalid number of parameters");
}

#[test]
#[rustfmt::skip] // a table, one case a line
fn bad_names() {
    refuse(b"SUB  t c\n", "E_BAD_TOPIC SUB topic name \"\" is not valid");
    refuse(b"SUB t! c!\n", "E_BAD_TOPIC SUB topic name \"t!\" is not valid");
    refuse(b"SUB t \"c\n", "E_BAD_CHANNEL SUB channel name \"\\\"c\" is not valid");
    refuse(b"SUB t \n", "E_BAD_CHANNEL SUB channel name \"\" is not valid");
    refuse(b"PUB \n", "E_BAD_TOPIC PUB topic name \"\" is not valid");
    refuse(b"PUB a\xffb\n", "E_BAD_TOPIC PUB topic name \"a\\xffb\" is not valid");
    refuse(b"PUB #ephemeral\n", "E_BAD_TOPIC PUB topic name \"#ephemeral\" is not valid");
    refuse(b"DPUB t! x\n", "E_BAD_TOPIC DPUB topic name \"t!\" is not valid");
    refuse(b"MPUB t!\n", "E_BAD_TOPIC E_BAD_TOPIC MPUB topic name \"t!\" is not valid");
}

#[test]
#[rustfmt::skip] // a table, one case a line
fn bad_ids_and_delays() {
    refuse(b"FIN \n", "E_INVALID invalid message ID");
    refuse(b"FIN 18a29ef1b400500\n", "E_INVALID invalid message ID");
    refuse(b"TOUCH 18a29ef1b40050000\n", "E_INVALID invalid message ID");
    refuse(b"REQ short x\n", "E_INVALID invalid message ID");
    refuse(b"DPUB t 1s\n", "E_INVALID DPUB could not parse timeout 1s");
    refuse(b"DPUB t -1\n", "E_INVALID DPUB could not parse timeout -1");
    refuse(b"DPUB t 3600001\n", "E_INVALID DPUB timeout 3600001 out of range 0-3600000");
    refuse(b"DPUB t 9223372036855\n", "E_INVALID DPUB timeout 9223372036855 out of range 0-3600000");
}

#[test]
#[rustfmt::skip] // a table, one case a line
fn bad_sizes_are_told_as_soon_as_they_are_there() {
    refuse(b"IDENTIFY\n\0\0\0\0", "E_BAD_BODY IDENTIFY invalid body size 0");
    refuse(b"IDENTIFY\n\xff\xff\xff\xff", "E_BAD_BODY IDENTIFY invalid body size -1");
    refuse(b"IDENTIFY\n\0\0\0\x1e", "E_BAD_BODY IDENTIFY body too big 30 > 29");
    refuse(b"AUTH\n\0\0\0\0", "E_BAD_BODY AUTH invalid body size 0");
    refuse(b"AUTH\n\0\0\0\x1e", "E_BAD_BODY AUTH body too big 30 > 29");
    refuse(b"PUB t\n\0\0\0\0", "E_BAD_MESSAGE PUB invalid message body size 0");
    refuse(b"PUB t\n\x80\0\0\0", "E_BAD_MESSAGE PUB invalid message body size -2147483648");
    refuse(b"PUB t\n\0\0\0\x0b", "E_BAD_MESSAGE PUB message too big 11 > 10");
    refuse(b"DPUB t 0\n\0\0\0\0", "E_BAD_MESSAGE DPUB invalid message body size 0");
    refuse(b"DPUB t 0\n\0\0\0\x0b", "E_BAD_MESSAGE DPUB message too big 11 > 10");
    refuse(b"MPUB t\n\0\0\0\0", "E_BAD_BODY MPUB invalid body size 0");
    refuse(b"MPUB t\n\0\0\0\x1e", "E_BAD_BODY MPUB body too big 30 > 29");
}

#[test]
#[rustfmt::skip] // a table, one case a line
fn bad_batches() {
    let refuse = |body: &[u8], text: &str| refuse(&[b"MPUB t\n\0\0\0\x1d", body].concat(), text);
    refuse(b"\0\0\0\0", "E_BAD_BODY MPUB invalid message count 0");
    refuse(b"\0\0\0\x06", "E_BAD_BODY MPUB invalid message count 6");
    refuse(b"\0\0\0\x01\0\0\0\0", "E_BAD_MESSAGE MPUB invalid message(0) body size 0");
    refuse(b"\0\0\0\x01\0\0\0\x0b", "E_BAD_MESSAGE MPUB message too big 11 > 10");
    refuse(b"\0\0\0\x02\0\0\0\x0a0123456789\0\0\0\x08", "E_BAD_BODY MPUB body too big 30 > 29");
}

#[test]
#[rustfmt::skip] // a table, one case a line
fn what_a_stream_that_ends_too_early_hears() {
    refuse(b"IDENTIFY\n", "E_BAD_BODY IDENTIFY failed to read body size");
    refuse(b"IDENTIFY\n\0\0\0\x02{", "E_BAD_BODY IDENTIFY failed to read body");
    refuse(b"AUTH\n\0\0\0", "E_BAD_BODY AUTH failed to read body size");
    refuse(b"AUTH\n\0\0\0\x02a", "E_BAD_BODY AUTH failed to read body");
    refuse(b"PUB t\n\0", "E_BAD_MESSAGE PUB failed to read message body size");
    refuse(b"PUB t\n\0\0\0\x02", "E_BAD_MESSAGE PUB failed to read message body");
    refuse(b"DPUB t 0\n", "E_BAD_MESSAGE DPUB failed to read message body size");
    refuse(b"DPUB t 0\n\0\0\0\x02A", "E_BAD_MESSAGE DPUB failed to read message body");
    refuse(b"MPUB t\n", "E_BAD_BODY MPUB failed to read body size");
    refuse(b"MPUB t\n\0\0\0\x1d\0\0\0", "E_BAD_BODY MPUB failed to read message count");
    refuse(b"MPUB t\n\0\0\0\x1d\0\0\0\x02\0\0\0\x01A\0\0", "E_BAD_MESSAGE MPUB failed to read message(1) body size");
    refuse(b"MPUB t\n\0\0\0\x1d\0\0\0\x02\0\0\0\x02A", "E_BAD_MESSAGE MPUB failed to read message body");
    for partial_line in [&b""[..], b"N", b"NOP", b"PUB t\r"] {
        assert_eq!(refusal(partial_line), None);
    }
}

#[test]
fn a_line_fits_in_its_limit_or_closes_without_a_word() {
    let mut line = b"NOP ".repeat(MAX_LINE_BYTES / 4);
    line[MAX_LINE_BYTES - 1] = b'\n';
    let whole = Decoded::Command {
        command: Command::Nop,
        consumed: MAX_LINE_BYTES,
    };
    check_line(&line, &Ok(whole));

    line[MAX_LINE_BYTES - 1] = b'x';
    check_line(&line, &Err(DecodeError::LineTooLong));
    line.push(b'\n');
    check_line(&line, &Err(DecodeError::LineTooLong));
    assert_eq!(DecodeError::LineTooLong.into_reply(), None);
}

fn check_line(line: &[u8], expected: &Result<Decoded<'_>, DecodeError>) {
    let mut decoder = CommandDecoder::default();
    assert_eq!(decoder.decode(line, &LIMITS, open), *expected);
    let mut decoder = CommandDecoder::default();
    let half = decoder.decode(&line[..MAX_LINE_BYTES / 2], &LIMITS, open);
    assert_eq!(
        half,
        Ok(Decoded::Incomplete {
            needed: MAX_LINE_BYTES / 2 + 1
        })
    );
    assert_eq!(decoder.decode(line, &LIMITS, open), *expected);
}
