use std::io;
use std::time::Duration;

use bytes::BytesMut;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::codec::{PIECE_BYTES, pair};
use super::*;

const DEFLATE: Compression = Compression::Deflate { level: 6 };
const BOTH: [Compression; 2] = [Compression::Snappy, DEFLATE];
/// The frame that answers an upgrade.
const OK_FRAME: [u8; 10] = *b"\0\0\0\x06\0\0\0\0OK";
/// What the reference sends for it in a new snappy stream.
const OK_IN_SNAPPY: [u8; 28] =
    *b"\xff\x06\0\0sNaPpY\x01\x0e\0\0\x26\x98\x2b\xcf\0\0\0\x06\0\0\0\0OK";
/// And in a new deflate stream.
const OK_IN_DEFLATE: [u8; 16] = *b"\x62\x60\x60\x60\x63\x60\x60\x60\xf0\xf7\x06\0\0\0\xff\xff";

/// Writes these pieces, with a flush behind each.
fn encode(compression: Compression, pieces: &[&[u8]]) -> Vec<u8> {
    let (_, mut encoder) = pair(compression);
    let mut bytes = Vec::new();
    for piece in pieces {
        for part in piece.chunks(PIECE_BYTES) {
            encoder.encode(part, &mut bytes);
        }
        encoder.flush(&mut bytes);
    }
    bytes
}

/// Reads a stream that arrives in pieces of this size.
fn decode(compression: Compression, bytes: &[u8], size: usize) -> Result<Vec<u8>, DamagedStream> {
    let (mut decoder, _) = pair(compression);
    let (mut waiting, mut read) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(size.max(1)) {
        waiting.extend_from_slice(piece);
        loop {
            let mut plain = Vec::new();
            decoder.decode(&mut waiting, &mut plain)?;
            assert!(plain.len() <= PIECE_BYTES);
            if plain.is_empty() {
                break;
            }
            read.extend(plain);
        }
    }
    decoder.end(&waiting).map(|()| read)
}

#[test]
fn the_first_frame_is_that_of_the_reference() {
    assert_eq!(encode(Compression::Snappy, &[&OK_FRAME]), OK_IN_SNAPPY);
    // The reference's deflate takes other matches; what counts is that each reads the other's.
    let deflated = encode(DEFLATE, &[&OK_FRAME]);
    assert!(deflated.ends_with(&[0, 0, 0xff, 0xff]), "{deflated:x?}");
    assert_eq!(decode(DEFLATE, &OK_IN_DEFLATE, 1), Ok(OK_FRAME.to_vec()));
    assert_eq!(
        decode(Compression::Snappy, &OK_IN_SNAPPY, 1),
        Ok(OK_FRAME.to_vec())
    );
}

#[test]
fn every_cut_of_a_stream_is_noticed() {
    for (compression, name) in [(Compression::Snappy, "snappy"), (DEFLATE, "deflate")] {
        let encoded = encode(compression, &[&OK_FRAME]);
        for cut in 1..encoded.len() {
            // Between two chunks there is nothing that is missing.
            if compression == Compression::Snappy && cut == 10 {
                continue;
            }
            let expected = Err(DamagedStream::Truncated(name));
            assert_eq!(decode(compression, &encoded[..cut], 7), expected, "{cut}");
        }
        assert_eq!(decode(compression, &[], 1), Ok(Vec::new()));
    }
}

#[test]
fn snappy_streams_are_held_to_their_format() {
    let check = |bytes: &[u8], expected: &str| {
        let error = decode(Compression::Snappy, bytes, 5).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let after_identifier = |chunk: &[u8]| [&OK_IN_SNAPPY[..10], chunk].concat();
    let no_identifier = "the snappy stream does not start with its identifier";
    check(&OK_IN_SNAPPY[10..], no_identifier);
    check(b"\xff\x06\0\0sNaPpy", no_identifier);
    check(b"\xfe\0\0\0", no_identifier);
    check(
        b"\xff\x07\0\0sNaPpYY",
        "a snappy chunk has 7 bytes; allowed are 6 to 6",
    );
    check(
        &after_identifier(b"\x02\0\0\0"),
        "a snappy chunk has type 0x02, which is not known",
    );
    check(
        &after_identifier(b"\0\xff\xff\xff"),
        "a snappy chunk has 16777215 bytes; allowed are 4 to 76494",
    );
    check(
        &after_identifier(b"\x01\x03\0\0abc"),
        "a snappy chunk has 3 bytes; allowed are 4 to 76494",
    );
    // 256 MiB in a few bytes: refused by what it claims.
    check(
        &after_identifier(b"\0\x09\0\0\0\0\0\0\x80\x80\x80\x80\x01"),
        "a snappy chunk has 268435456 bytes; allowed are 0 to 65536",
    );
    let mut flipped = OK_IN_SNAPPY;
    flipped[27] = b'L';
    let error = decode(Compression::Snappy, &flipped, 100).unwrap_err();
    assert!(matches!(error, DamagedStream::Checksum { .. }), "{error}");
}

#[test]
fn padding_and_repeated_identifiers_are_skipped() {
    let mut stream = OK_IN_SNAPPY.to_vec();
    stream.extend(b"\xfe\x05\0\0\0\0\0\0\0");
    stream.extend(b"\x80\0\0\x01");
    stream.extend(vec![1; 0x1_0000]);
    stream.extend(OK_IN_SNAPPY);
    let expected = Ok([OK_FRAME, OK_FRAME].concat());
    assert_eq!(decode(Compression::Snappy, &stream, 1000), expected);
}

#[test]
fn what_follows_the_end_of_a_deflate_stream_is_refused() {
    // An empty final block.
    let stream = [OK_IN_DEFLATE.as_slice(), &[3, 0]].concat();
    assert_eq!(decode(DEFLATE, &stream, 100), Ok(OK_FRAME.to_vec()));
    let longer = [stream.as_slice(), &[0]].concat();
    assert_eq!(decode(DEFLATE, &longer, 100), Err(DamagedStream::AfterEnd));
    let damaged = decode(DEFLATE, &[0xff; 16], 100);
    assert_eq!(damaged, Err(DamagedStream::BadDeflate));
}

fn transports(compression: Compression) -> (Transport, Transport) {
    let (near, far) = tokio::io::duplex(100);
    let transport = |stream| {
        let (receive, send) = tokio::io::split(stream);
        Transport::new(receive, send).compress(compression, BytesMut::new())
    };
    (transport(near), transport(far))
}

#[tokio::test]
async fn what_was_flushed_can_be_read_at_the_other_end() {
    for compression in BOTH {
        let (mut near, mut far) = transports(compression);
        for round in 0..3_u8 {
            let body = vec![round; 200_000];
            let send = async {
                near.send.write_all(&body).await.unwrap();
                near.send.flush().await.unwrap();
            };
            let mut received = vec![0; body.len()];
            let receive = far.receive.read_exact(&mut received);
            let ((), count) = tokio::join!(send, receive);
            assert_eq!(count.unwrap(), body.len());
            assert!(received == body);
        }
        near.send.shutdown().await.unwrap();
        assert_eq!(far.receive.read(&mut [0]).await.unwrap(), 0, "the end");
    }
}

#[tokio::test]
async fn bytes_that_came_early_belong_to_the_stream() {
    let (socket, _other) = tokio::io::duplex(100);
    let (receive, send) = tokio::io::split(socket);
    let early = BytesMut::from(&OK_IN_DEFLATE[..]);
    let mut transport = Transport::new(receive, send).compress(DEFLATE, early);
    let mut frame = [0; 10];
    transport.receive.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame, OK_FRAME);
}

#[tokio::test]
async fn damage_fails_the_read_and_says_what_it_is() {
    let (mut raw, socket) = tokio::io::duplex(1000);
    let (receive, send) = tokio::io::split(socket);
    let mut transport =
        Transport::new(receive, send).compress(Compression::Snappy, BytesMut::new());
    raw.write_all(&OK_IN_SNAPPY[..20]).await.unwrap();
    drop(raw);
    let error = transport.receive.read(&mut [0; 100]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(error.to_string(), "the snappy stream ends too early");
}

#[tokio::test]
async fn a_read_takes_what_came_together() {
    let mut stream = OK_IN_SNAPPY.to_vec();
    stream.extend_from_within(10..);
    let one_more_damaged = [&stream[..], b"\x02\0\0\0"].concat();
    for (stream, ends_with) in [
        (stream, "early eof"),
        (
            one_more_damaged,
            "a snappy chunk has type 0x02, which is not known",
        ),
    ] {
        let (mut raw, socket) = tokio::io::duplex(1000);
        let (receive, send) = tokio::io::split(socket);
        let transport = Transport::new(receive, send);
        let mut transport = transport.compress(Compression::Snappy, BytesMut::new());
        raw.write_all(&stream).await.unwrap();
        drop(raw);
        let mut buffer = [0; 100];
        let count = transport.receive.read(&mut buffer).await.unwrap();
        assert_eq!(buffer[..count], [OK_FRAME, OK_FRAME].concat());
        let error = transport.receive.read_exact(&mut buffer).await.unwrap_err();
        assert_eq!(error.to_string(), ends_with);
    }
}

/// A stream of nothing but zeros is never in memory but a piece at a time, and leaves other tasks their turn.
#[tokio::test]
async fn a_bomb_is_read_piece_by_piece() {
    let bomb = encode(DEFLATE, &[&vec![0; 16 << 20]]);
    assert!(bomb.len() < 40_000, "{}", bomb.len());
    let (socket, _other) = tokio::io::duplex(100);
    let (receive, send) = tokio::io::split(socket);
    let early = BytesMut::from(&bomb[..]);
    let mut transport = Transport::new(receive, send).compress(DEFLATE, early);
    let mut buffer = vec![0; 3 * PIECE_BYTES / 2];
    let count = transport.receive.read(&mut buffer).await.unwrap();
    assert_eq!(count, buffer.len(), "as much as there is room for");

    let mut rest = vec![0; (16 << 20) - buffer.len()];
    let turns = std::cell::Cell::new(0);
    let read = transport.receive.read_exact(&mut rest);
    let others = async {
        loop {
            turns.set(turns.get() + 1);
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        count = read => assert_eq!(count.unwrap(), rest.len()),
        () = others => unreachable!("it has no end"),
        () = tokio::time::sleep(Duration::from_mins(1)) => panic!("too slow"),
    }
    assert!(turns.get() >= 1);
}

/// Bytes of which some can be compressed.
fn bodies() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let dull = (any::<u8>(), 0_usize..200_000).prop_map(|(byte, count)| vec![byte; count]);
    let noise = proptest::collection::vec(any::<u8>(), 0..3000);
    proptest::collection::vec(prop_oneof![dull, noise], 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_however_it_is_cut(bodies in bodies(), size in 1_usize..100_000) {
        let pieces: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        for compression in BOTH {
            let encoded = encode(compression, &pieces);
            prop_assert!(decode(compression, &encoded, size) == Ok(bodies.concat()));
        }
    }

    #[test]
    fn garbage_has_no_panic(garbage in proptest::collection::vec(any::<u8>(), 0..2000), at in 0_usize..28, byte: u8) {
        for compression in BOTH {
            let _ = decode(compression, &garbage, 100);
            let mut damaged = encode(compression, &[&OK_FRAME, &garbage]);
            let last = damaged.len() - 1;
            damaged[at.min(last)] = byte;
            let _ = decode(compression, &damaged, 100);
        }
    }
}
