//! What peers may not do: announce much and send little, send without end, or not at all.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::daemon::Nsqd;
use tests::wire::{Frame, Peer};

#[test]
fn memory_follows_the_bytes_received_not_the_length_announced() {
    let nsqd = Nsqd::start(&[]);
    let before = nsqd.rss_bytes();
    let greedy: Vec<Peer> = (0..500)
        .map(|number| {
            let mut peer = nsqd.peer();
            // 5 MB announced, one byte sent; or a message count that would need a table of megabytes.
            peer.send(match number % 2 {
                0 => &b"MPUB t\n\0\x50\0\0x"[..],
                _ => &b"MPUB t\n\0\x50\0\0\0\x0f\xff\xff"[..],
            });
            peer
        })
        .collect();
    nsqd.publish("t", "the others have been served by now");
    tests::wait::until("all are accepted", || nsqd.open_files() > greedy.len());
    let grown = nsqd.rss_bytes().saturating_sub(before);
    assert!(grown < 24 << 20, "{} KiB for 500 connections", grown >> 10);
}

#[test]
fn an_endless_line_is_closed_without_a_word() {
    let nsqd = Nsqd::start(&[]);
    let mut peer = nsqd.peer();
    peer.send(vec![b'x'; 64 * 1024]);
    peer.expect_closed();
    // The longest line has 16384 bytes with its end.
    let mut line = b"NOP ".to_vec();
    line.resize(16_383, b'x');
    line.push(b'\n');
    let mut peer = nsqd.peer();
    peer.send(&line);
    peer.publish("t", "goes on");
    line.insert(4, b'x');
    let mut peer = nsqd.peer();
    peer.send(&line);
    peer.expect_closed();
}

#[test]
fn garbage_harms_nobody() {
    let nsqd = Nsqd::start(&[]);
    let mut random = tests::random::seeded("garbage_harms_nobody");
    let words: [&[u8]; 9] = [
        b"PUB t\n",
        b"MPUB t\n",
        b"SUB t c\n",
        b"IDENTIFY\n",
        b"DPUB t 5\n",
        b"RDY 3\n",
        b"\0\0\0\x05",
        b"FIN 0123456789abcdef\n",
        b"\xff\xff\xff\xff",
    ];
    for _ in 0..300 {
        let mut peer = nsqd.peer();
        for _ in 0..random.usize(1..20) {
            let noise: Vec<u8> = (0..random.usize(1..50)).map(|_| random.u8(..)).collect();
            let word = words[random.usize(..words.len())];
            peer.send(if random.bool() { word } else { &noise });
        }
    }
    nsqd.publish("after", "m");
    let log = nsqd.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_stall_in_the_middle_of_a_command_ends_after_two_heartbeats() {
    let nsqd = Nsqd::start(&[]);
    let check = |input: &[u8], error: Option<&str>| {
        let mut peer = nsqd.peer();
        peer.identify(&json!({ "heartbeat_interval": 1000 }));
        let start = Instant::now();
        peer.send(input);
        let mut said = None;
        while let Ok(frame) = peer.frame_within(Duration::from_secs(10)) {
            match frame {
                Frame::Response(text) => assert_eq!(text, "_heartbeat_"),
                Frame::Error(text) => said = Some(text),
                Frame::Message(message) => panic!("{message:?}"),
            }
        }
        assert_eq!(said.as_deref(), error);
        let stalled = start.elapsed();
        assert!((1900..6000).contains(&stalled.as_millis()), "{stalled:?}");
    };
    let size = "E_BAD_MESSAGE PUB failed to read message body size";
    let body = "E_BAD_MESSAGE PUB failed to read message body";
    std::thread::scope(|scope| {
        scope.spawn(|| check(b"PUB", None));
        scope.spawn(|| check(b"PUB t\n\0\0", Some(size)));
        scope.spawn(|| check(b"PUB t\n\0\0\0\x09abc", Some(body)));
    });
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let nsqd = Nsqd::start(&[]);
    let mut silent = nsqd.silent_peer();
    let mut half = nsqd.silent_peer();
    half.send("  ");
    let start = Instant::now();
    for peer in [&mut silent, &mut half] {
        let end = peer.frame_within(Duration::from_secs(30));
        assert_eq!(end, Err(tests::wire::End::Closed));
    }
    let waited = start.elapsed();
    assert!((5..20).contains(&waited.as_secs()), "{waited:?}");
}

#[test]
fn connections_leave_nothing_behind() {
    let nsqd = Nsqd::start(&[]);
    nsqd.publish("t", "m");
    let before = nsqd.open_files();
    for _ in 0..10 {
        let peers: Vec<Peer> = (0..50).map(|_| nsqd.consumer("t", "c")).collect();
        drop(peers);
    }
    tests::wait::until("every descriptor is closed", || {
        nsqd.open_files() <= before + 2
    });
    assert_eq!(nsqd.channel("t", "c")["client_count"], 0);
}
