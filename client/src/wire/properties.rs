//! What holds for every command, every frame and every way in which bytes arrive.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    max_msg_size: 100,
    max_body_size: 400,
    max_rdy_count: 2500,
    max_req_timeout: Duration::from_hours(1),
};

/// A command that owns what it says.
#[derive(Clone, Debug)]
enum Sent {
    Identify(Vec<u8>),
    Auth(Vec<u8>),
    Subscribe(String, String),
    Publish(String, Vec<u8>),
    PublishMany(String, Vec<Vec<u8>>),
    PublishDeferred(String, u64, Vec<u8>),
    Ready(u64),
    Finish([u8; 16]),
    Requeue([u8; 16], u64),
    Touch([u8; 16]),
    Nop,
    Close,
}

impl Sent {
    fn encode(&self, out: &mut Vec<u8>) {
        let command = match self {
            Sent::Identify(body) => Command::Identify { body },
            Sent::Auth(secret) => Command::Auth { secret },
            Sent::Subscribe(topic, channel) => Command::Subscribe {
                topic: name(topic),
                channel: name(channel),
            },
            Sent::Publish(topic, body) => Command::Publish {
                topic: name(topic),
                body,
            },
            Sent::PublishMany(topic, bodies) => {
                return put_publish_many(out, name(topic), bodies.iter().map(Vec::as_slice));
            }
            Sent::PublishDeferred(topic, ms, body) => Command::PublishDeferred {
                topic: name(topic),
                delay: Duration::from_millis(*ms),
                body,
            },
            Sent::Ready(count) => Command::Ready { count: *count },
            Sent::Finish(id) => Command::Finish {
                id: MessageId::from_bytes(*id),
            },
            Sent::Requeue(id, ms) => Command::Requeue {
                id: MessageId::from_bytes(*id),
                delay: Duration::from_millis(*ms),
            },
            Sent::Touch(id) => Command::Touch {
                id: MessageId::from_bytes(*id),
            },
            Sent::Nop => Command::Nop,
            Sent::Close => Command::Close,
        };
        command.encode(out);
    }
}

fn name(name: &str) -> NameRef<'_> {
    NameRef::parse(name.as_bytes()).unwrap()
}

fn names() -> impl Strategy<Value = String> {
    "[.a-zA-Z0-9_-]{1,54}(#ephemeral)?"
}

fn ids() -> impl Strategy<Value = [u8; 16]> {
    any::<u64>().prop_map(|value| *MessageId::from_u64(value).as_bytes())
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..=LIMITS.max_msg_size)
}

fn delays_ms() -> impl Strategy<Value = u64> {
    0..=3_600_000_u64
}

fn commands() -> impl Strategy<Value = Sent> {
    prop_oneof![
        bodies().prop_map(Sent::Identify),
        bodies().prop_map(Sent::Auth),
        (names(), names()).prop_map(|(topic, channel)| Sent::Subscribe(topic, channel)),
        (names(), bodies()).prop_map(|(topic, body)| Sent::Publish(topic, body)),
        (names(), vec(vec(any::<u8>(), 1..40), 1..8))
            .prop_map(|(topic, bodies)| Sent::PublishMany(topic, bodies)),
        (names(), delays_ms(), bodies())
            .prop_map(|(topic, ms, body)| Sent::PublishDeferred(topic, ms, body)),
        (0..=2500_u64).prop_map(Sent::Ready),
        ids().prop_map(Sent::Finish),
        (ids(), delays_ms()).prop_map(|(id, ms)| Sent::Requeue(id, ms)),
        ids().prop_map(Sent::Touch),
        Just(Sent::Nop),
        Just(Sent::Close),
    ]
}

fn frames() -> impl Strategy<Value = Frame> {
    let data = || vec(any::<u8>(), 0..100).prop_map(Bytes::from);
    let codes = prop::sample::select(ErrorCode::ALL);
    prop_oneof![
        data().prop_map(Frame::Response),
        (codes, "[ -~]{0,40}").prop_map(|(code, text)| Frame::Error(ErrorReply::new(code, text))),
        (any::<i64>(), any::<u16>(), any::<[u8; 16]>(), data()).prop_map(
            |(timestamp_ns, attempts, id, body)| {
                let id = MessageId::from_bytes(id);
                Frame::Message(Message {
                    timestamp_ns,
                    attempts,
                    id,
                    body,
                })
            }
        ),
    ]
}

fn put_frame(out: &mut Vec<u8>, frame: &Frame) {
    match frame {
        Frame::Response(data) => put_response(out, data),
        Frame::Error(error) => put_error(out, error),
        Frame::Message(Message {
            timestamp_ns,
            attempts,
            id,
            body,
        }) => {
            put_message(out, *timestamp_ns, *attempts, *id, body);
        }
        Frame::UnknownError(_) | Frame::Unknown { .. } => unreachable!("no server sends it"),
    }
}

/// Bytes that look like commands often enough to reach every part of the decoder.
fn almost_commands() -> impl Strategy<Value = Vec<u8>> {
    let names = CommandKind::ALL
        .iter()
        .map(|kind| kind.name())
        .collect::<Vec<_>>();
    let line = (
        prop::sample::select(names),
        "( [a-z0-9#!-]{0,17}){0,3}\r?\n",
    )
        .prop_map(|(name, rest)| format!("{name}{rest}").into_bytes());
    let size = prop_oneof![0..120_i32, any::<i32>()].prop_map(|size| size.to_be_bytes().to_vec());
    let piece = prop_oneof![3 => line, 3 => size, 1 => vec(any::<u8>(), 0..50)];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// How many bytes arrive at a time.
fn read_sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1..8_usize, 1..200_usize], 1..20)
}

/// Decodes `input` as it arrives in reads of these sizes, over and over. Says which commands came
/// and how it ended.
fn decode_reads(input: &[u8], reads: &[usize]) -> (Vec<String>, Option<DecodeError>) {
    let mut decoder = CommandDecoder::default();
    let mut commands = Vec::new();
    let (mut start, mut end) = (0, 0);
    let mut reads = reads.iter().cycle();
    loop {
        match decoder.decode(&input[start..end], &LIMITS, |_| Ok(())) {
            Ok(Decoded::Command { command, consumed }) => {
                commands.push(format!("{command:?}"));
                start += consumed;
            }
            Ok(Decoded::Incomplete { needed }) => {
                let ahead = needed - (end - start);
                assert!(ahead > 0, "an incomplete command needs more than there is");
                assert!(ahead <= LIMITS.max_body_size + 4, "{ahead} bytes ahead");
                assert!(needed <= MAX_LINE_BYTES + 4 + LIMITS.max_body_size);
                if end == input.len() {
                    return (commands, decoder.truncated().map(DecodeError::Reply));
                }
                end = input.len().min(end + reads.next().unwrap());
            }
            Err(error) => return (commands, Some(error)),
        }
    }
}

proptest! {
    #[test]
    fn what_a_client_encodes_a_server_decodes(sent in vec(commands(), 1..10), reads in read_sizes()) {
        let mut input = Vec::new();
        for command in &sent {
            command.encode(&mut input);
        }
        let (_, error) = decode_reads(&input, &reads);
        prop_assert_eq!(error, None);

        let mut rest = &input[..];
        let mut again = Vec::new();
        let mut decoder = CommandDecoder::default();
        while !rest.is_empty() {
            let decoded = decoder.decode(rest, &LIMITS, |_| Ok(()));
            let Ok(Decoded::Command { command, consumed }) = decoded else {
                panic!("{decoded:?}");
            };
            command.encode(&mut again);
            rest = &rest[consumed..];
        }
        prop_assert_eq!(again, input);
    }

    #[test]
    fn reads_of_any_size_give_the_same(input in almost_commands(), reads in read_sizes()) {
        prop_assert_eq!(decode_reads(&input, &reads), decode_reads(&input, &[usize::MAX / 2]));
    }

    #[test]
    fn arbitrary_bytes_never_panic(input in vec(any::<u8>(), 0..500), reads in read_sizes()) {
        decode_reads(&input, &reads);
        let _refused_or_not = Batch::parse(&input, &LIMITS);
        let _refused_or_not = IdentifyRequest::parse(&input);
        let mut frames = BytesMut::from(&input[..]);
        while let Ok(Some(_)) = FrameDecoder::new(1024).decode(&mut frames) {}
    }

    #[test]
    fn what_a_server_sends_a_client_decodes(sent in vec(frames(), 1..10), reads in read_sizes()) {
        let mut bytes = Vec::new();
        for frame in &sent {
            put_frame(&mut bytes, frame);
        }
        let decoder = FrameDecoder::new(1024);
        let mut input = BytesMut::new();
        let mut received = Vec::new();
        let mut rest = &bytes[..];
        for read in reads.iter().cycle() {
            let (arrived, later) = rest.split_at(rest.len().min(*read));
            input.extend_from_slice(arrived);
            rest = later;
            while let Some(frame) = decoder.decode(&mut input).unwrap() {
                received.push(frame);
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(received, sent);
    }

    #[test]
    fn ids_are_their_numbers(value: u64, bytes: [u8; 16]) {
        prop_assert_eq!(MessageId::from_u64(value).to_u64(), Some(value));
        let id = MessageId::from_bytes(bytes);
        if let Some(value) = id.to_u64() {
            prop_assert_eq!(MessageId::from_u64(value), id);
        }
    }

    #[test]
    fn a_name_is_valid_or_says_why(name in "[.a-zA-Z0-9_#!é-]{0,66}(#ephemeral)?") {
        let stem = name.strip_suffix("#ephemeral").unwrap_or(&name);
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        let valid = !stem.is_empty() && name.len() <= 64 && stem.chars().all(allowed);
        prop_assert_eq!(TopicName::parse(&name).is_ok(), valid);
    }
}
