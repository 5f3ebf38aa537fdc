//! The acceptance vectors of the reference, and what holds for every command, reply and cut.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::name::NameRef;
use super::*;

fn name(name: &str) -> NameRef<'_> {
    NameRef::parse(name.as_bytes()).unwrap()
}

/// All commands in `input` as text, and how it ends: what is left, or the error.
fn decode_all(decoder: &mut CommandDecoder, mut input: &[u8]) -> (Vec<String>, String) {
    let mut commands = Vec::new();
    loop {
        match decoder.decode(input) {
            Ok(Some((command, consumed))) => {
                commands.push(format!("{command:?}"));
                input = &input[consumed..];
            }
            Ok(None) => return (commands, input.escape_ascii().to_string()),
            Err(error) => return (commands, error.to_string()),
        }
    }
}

fn identified() -> CommandDecoder {
    let mut decoder = CommandDecoder::default();
    decoder.decode(b"IDENTIFY\n\0\0\0\0").unwrap().unwrap();
    decoder
}

/// After IDENTIFY the line must decode to this command.
fn accepts(line: &str, expected: Command<'_>) {
    let input = format!("{line}\nPING\n");
    let (command, consumed) = identified().decode(input.as_bytes()).unwrap().unwrap();
    assert_eq!((command, consumed), (expected, line.len() + 1), "{line:?}");
}

/// After IDENTIFY the line must be refused with this text.
fn refuses(line: &str, expected: &str) {
    let (commands, end) = decode_all(&mut identified(), format!("{line}\n").as_bytes());
    assert_eq!((commands, end.as_str()), (vec![], expected), "{line:?}");
}

#[test]
fn lines_are_read_as_the_reference_does() {
    let (topic, channel) = (name("t"), Some(name("c")));
    accepts("PING", Command::Ping);
    accepts("  PING \t\r", Command::Ping);
    accepts("PING x", Command::Ping);
    accepts("REGISTER t c", Command::Register { topic, channel });
    accepts("REGISTER t c d e\r", Command::Register { topic, channel });
    let channel = None;
    accepts("REGISTER t", Command::Register { topic, channel });
    accepts("REGISTER t  c", Command::Register { topic, channel });
    accepts("UNREGISTER t", Command::Unregister { topic, channel });
    let topic = name("t#ephemeral");
    accepts(
        "UNREGISTER t#ephemeral ",
        Command::Unregister { topic, channel },
    );
}

#[test]
fn wrong_lines_are_refused_as_the_reference_does() {
    refuses("ping", "E_INVALID invalid command ping");
    refuses("", "E_INVALID invalid command ");
    refuses("PING\tx", "E_INVALID invalid command PING\tx");
    refuses("IDENTIFY", "E_INVALID cannot IDENTIFY again");
    let few = "E_INVALID REGISTER insufficient number of params";
    refuses("REGISTER", few);
    refuses("REGISTER ", few);
    refuses(
        "UNREGISTER",
        "E_INVALID UNREGISTER insufficient number of params",
    );
    refuses(
        "REGISTER  ch",
        "E_BAD_TOPIC REGISTER topic name '' is not valid",
    );
    refuses(
        "REGISTER *",
        "E_BAD_TOPIC REGISTER topic name '*' is not valid",
    );
    refuses(
        "REGISTER a\tb",
        "E_BAD_TOPIC REGISTER topic name 'a\tb' is not valid",
    );
    refuses(
        "UNREGISTER a b$c",
        "E_BAD_CHANNEL UNREGISTER channel name 'b$c' is not valid",
    );
    refuses(
        &"x".repeat(MAX_LINE_BYTES),
        "E_INVALID command line longer than 4096 bytes",
    );
}

#[test]
fn nothing_is_registered_before_identify() {
    for line in ["REGISTER t c\n", "UNREGISTER\n"] {
        let end = decode_all(&mut CommandDecoder::default(), line.as_bytes()).1;
        assert_eq!(end, "E_INVALID client must IDENTIFY", "{line:?}");
    }
    let end = decode_all(&mut CommandDecoder::default(), b"PING\nPING\n");
    assert_eq!(end, (vec!["Ping".to_owned(); 2], String::new()));
}

#[test]
fn the_size_of_a_body_is_judged_before_the_body_is_there() {
    let end = |size: i32| {
        let input = [b"IDENTIFY\n".as_slice(), &size.to_be_bytes()].concat();
        decode_all(&mut CommandDecoder::default(), &input).1
    };
    assert_eq!(end(-1), "E_BAD_BODY IDENTIFY invalid body size -1");
    assert_eq!(
        end(i32::MAX),
        "E_BAD_BODY IDENTIFY body too big 2147483647 > 65536"
    );
    assert_eq!(end(65_536), r"IDENTIFY\n\x00\x01\x00\x00", "waits");
    assert_eq!(end(0), "", "an empty body is there, and no JSON");
}

#[test]
fn an_endless_line_is_refused_without_its_end() {
    let endless = vec![b'x'; MAX_LINE_BYTES];
    let decode = |input| CommandDecoder::default().decode(input).map(|_| ());
    assert_eq!(decode(&endless[1..]), Ok(()));
    assert!(decode(&endless).is_err());
}

#[test]
fn a_stream_that_ends_within_identify_is_told_where() {
    let truncated = |rest: &[u8]| {
        let error = CommandDecoder::default().truncated(rest);
        error.map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(truncated(b""), "");
    assert_eq!(truncated(b"IDENT"), "");
    assert_eq!(
        truncated(b"IDENTIFY\n\0\0\0"),
        "E_BAD_BODY IDENTIFY failed to read body size"
    );
    assert_eq!(
        truncated(b"IDENTIFY\n\0\0\0\x02{"),
        "E_BAD_BODY IDENTIFY failed to read body"
    );
}

fn peer() -> PeerInfo {
    PeerInfo {
        broadcast_address: "b".to_owned(),
        http_port: 4151,
        tcp_port: 4150,
        version: "1.3.0".to_owned(),
        ..PeerInfo::default()
    }
}

/// The required fields with more after them must be read as `expected`.
fn reads(more: &str, expected: &PeerInfo) {
    let body = format!(
        r#" {{"broadcast_address":"b","tcp_port":4150,"http_port":4151,"version":"1.3.0"{more}}} "#
    );
    assert_eq!(
        PeerInfo::parse(body.as_bytes()).as_ref(),
        Ok(expected),
        "{body}"
    );
}

fn refuses_info(body: &str, expected: &str) {
    let error = PeerInfo::parse(body.as_bytes()).expect_err(body);
    assert_eq!(
        error.to_string(),
        format!("E_BAD_BODY IDENTIFY {expected}"),
        "{body}"
    );
}

#[test]
fn peers_are_read_leniently() {
    reads("", &peer());
    reads(
        r#","later":{"a":[1]},"remote_address":"1.2.3.4:5","tcp_port":null"#,
        &peer(),
    );
    reads(
        r#","Tcp_Port":-7"#,
        &PeerInfo {
            tcp_port: -7,
            ..peer()
        },
    );
    reads(
        r#","http_port":70000,"hostname":"h""#,
        &PeerInfo {
            http_port: 70_000,
            hostname: "h".to_owned(),
            ..peer()
        },
    );
    reads(
        r#","topology_zone":"z","topology_region":"r""#,
        &PeerInfo {
            topology_zone: "z".to_owned(),
            topology_region: "r".to_owned(),
            ..peer()
        },
    );
}

#[test]
fn incomplete_and_malformed_peers_are_told_apart() {
    for body in ["{}", "null", r#"{"tcp_port":1}"#, r#"{"tcp_port":null}"#] {
        refuses_info(body, "missing fields");
    }
    for absent in ["broadcast_address", "tcp_port", "http_port", "version"] {
        let mut json = serde_json::to_value(peer()).unwrap();
        json.as_object_mut().unwrap().remove(absent);
        refuses_info(&json.to_string(), "missing fields");
    }
    let malformed = [
        "",
        "{",
        "[]",
        "1",
        "{} x",
        r#"{"tcp_port":"4150"}"#,
        r#"{"tcp_port":4150.0}"#,
        r#"{"tcp_port":1e3}"#,
        r#"{"version":1}"#,
        r#"{"remote_address":1}"#,
    ];
    for body in malformed {
        refuses_info(body, "failed to decode JSON body");
    }
}

#[test]
fn the_answer_to_identify_is_that_of_the_reference() {
    let recorded =
        br#"{"broadcast_address":"lk","hostname":"vm","http_port":34161,"tcp_port":34160,"version":"1.3.0"}"#;
    let info = LookupdInfo::parse(recorded).unwrap();
    assert_eq!(
        (info.broadcast_address.as_str(), info.http_port),
        ("lk", 34161)
    );
    assert_eq!(info.to_json(), recorded);
    assert_eq!(LookupdInfo::parse(b"{}").unwrap(), LookupdInfo::default());
    assert!(LookupdInfo::parse(b"[1]").is_err());
}

#[test]
fn replies_are_read_as_drawn() {
    let decode = |input: &[u8]| ReplyDecoder::new(64).decode(&mut BytesMut::from(input));
    assert_eq!(decode(b"\0\0\0\x02OK"), Ok(Some(Reply::Ok)));
    let error = ErrorReply::new(ErrorCode::Invalid, "client must IDENTIFY");
    assert_eq!(
        decode(b"\0\0\0\x1eE_INVALID client must IDENTIFY"),
        Ok(Some(Reply::Error(error)))
    );
    assert_eq!(
        decode(b"\0\0\0\x02{}"),
        Ok(Some(Reply::Data(Bytes::from_static(b"{}"))))
    );
    assert_eq!(decode(b"\0\0\0\x02O"), Ok(None));
    for size in [-1, 65, i32::MAX] {
        let refused = Err(ReplyError { size, max: 64 });
        assert_eq!(decode(&size.to_be_bytes()), refused);
    }
}

#[test]
fn only_the_magic_of_this_protocol_is_good() {
    assert_eq!(check_magic(MAGIC_V1), Ok(()));
    let error = check_magic(*b"  V2").unwrap_err();
    assert_eq!(error.to_string(), "E_BAD_PROTOCOL");
}

/// A command that owns what it says; the flag tells REGISTER from UNREGISTER.
#[derive(Clone, Debug)]
enum Sent {
    Registration(bool, String, Option<String>),
    Ping,
}

impl Sent {
    fn command(&self) -> Command<'_> {
        match self {
            Sent::Registration(register, topic, channel) => {
                let (topic, channel) = (name(topic), channel.as_deref().map(name));
                if *register {
                    Command::Register { topic, channel }
                } else {
                    Command::Unregister { topic, channel }
                }
            }
            Sent::Ping => Command::Ping,
        }
    }
}

fn names() -> impl Strategy<Value = String> {
    "[.a-zA-Z0-9_-]{1,54}(#ephemeral)?"
}

fn sent() -> impl Strategy<Value = Sent> {
    let channel = proptest::option::of(names());
    let registration = (any::<bool>(), names(), channel)
        .prop_map(|(register, topic, channel)| Sent::Registration(register, topic, channel));
    prop_oneof![4 => registration, 1 => Just(Sent::Ping)]
}

fn peers() -> impl Strategy<Value = PeerInfo> {
    let ports = (1..=65_535_i64, 1..=65_535_i64);
    (".{1,20}", ".{0,20}", ports, ".{1,9}", ".{0,9}").prop_map(
        |(broadcast_address, hostname, (http_port, tcp_port), version, zone)| PeerInfo {
            broadcast_address,
            hostname,
            http_port,
            tcp_port,
            version,
            topology_region: zone.clone(),
            topology_zone: zone,
        },
    )
}

proptest! {
    #[test]
    fn a_conversation_is_read_as_it_was_written_however_it_is_cut(
        info in peers(),
        sent in vec(sent(), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let body = info.to_json();
        let identify = Command::Identify { body: &body };
        let commands: Vec<Command<'_>> =
            std::iter::once(identify).chain(sent.iter().map(Sent::command)).collect();
        let mut bytes = Vec::new();
        for command in &commands {
            command.encode(&mut bytes);
        }

        let mut decoder = CommandDecoder::default();
        let cut = cut.index(bytes.len() + 1);
        let (mut decoded, _) = decode_all(&mut decoder, &bytes[..cut]);
        let consumed: usize = commands[..decoded.len()]
            .iter()
            .map(|command| {
                let mut bytes = Vec::new();
                command.encode(&mut bytes);
                bytes.len()
            })
            .sum();
        let (rest, end) = decode_all(&mut decoder, &bytes[consumed..]);
        decoded.extend(rest);
        prop_assert_eq!(end, "");
        let expected: Vec<String> = commands.iter().map(|command| format!("{command:?}")).collect();
        prop_assert_eq!(decoded, expected);
        prop_assert_eq!(PeerInfo::parse(&body), Ok(info));
    }

    #[test]
    fn bytes_of_any_kind_are_an_error_or_not_enough(
        start in prop_oneof![Just(""), Just("IDENTIFY\n"), Just("REGISTER "), Just("UNREGISTER a ")],
        noise in vec(any::<u8>(), 0..200),
    ) {
        let input = [start.as_bytes(), &noise].concat();
        for mut decoder in [CommandDecoder::default(), identified()] {
            let (_, end) = decode_all(&mut decoder, &input);
            prop_assert!(end.len() <= 4 * input.len() + 200);
            decoder.truncated(&input);
        }
        // Whatever it is, it must not panic.
        let _ = PeerInfo::parse(&noise);
        let _ = ReplyDecoder::new(100).decode(&mut BytesMut::from(&input[..]));
    }

    #[test]
    fn replies_are_read_as_they_were_written_however_they_are_cut(
        datas in vec(vec(any::<u8>(), 0..50), 0..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        for data in &datas {
            put_reply(&mut bytes, data);
        }
        let decoder = ReplyDecoder::new(50);
        let mut input = BytesMut::from(&bytes[..cut.index(bytes.len() + 1)]);
        let cut = input.len();
        let mut count = 0;
        while decoder.decode(&mut input).unwrap().is_some() {
            count += 1;
        }
        input.extend_from_slice(&bytes[cut..]);
        for data in &datas[count..] {
            let expected = match data.as_slice() {
                OK => Reply::Ok,
                data => ErrorReply::parse(data)
                    .map_or_else(|| Reply::Data(Bytes::copy_from_slice(data)), Reply::Error),
            };
            prop_assert_eq!(decoder.decode(&mut input).unwrap(), Some(expected));
        }
        prop_assert_eq!(decoder.decode(&mut input), Ok(None));
    }
}
