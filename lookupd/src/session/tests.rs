//! The acceptance vectors of the reference over real sockets, then what the reference does not survive.

use std::time::Duration;

use client::wire::lookup::LookupdInfo;
use tokio::time::{Instant, timeout};

use crate::testing::{Nsqd, get, identify, start};

/// The reply to IDENTIFY, which is checked on its own.
const JSON: &str = "JSON";

/// After the magic, `input` must get `replies`, and the connection stays open or not.
async fn check(input: &[u8], replies: &[&str], stays_open: bool) {
    let daemon = start(&[]).await;
    let mut nsqd = Nsqd::connect(&daemon).await;
    nsqd.send(input).await;
    let shown = input.escape_ascii();
    for expected in replies {
        let reply = nsqd
            .reply()
            .await
            .unwrap_or_else(|| panic!("{shown}: closed, not {expected}"));
        let is_expected = reply == *expected || (*expected == JSON && reply.starts_with('{'));
        assert!(is_expected, "{shown}: {reply:?} is not {expected:?}");
    }
    if stays_open {
        assert_eq!(nsqd.ask("PING").await, "OK", "{shown}");
    } else {
        assert_eq!(nsqd.reply().await, None, "{shown}: not closed");
    }
    drop(nsqd);
    daemon.stop().await;
}

/// After the magic and IDENTIFY.
async fn check_identified(input: &str, replies: &[&str], stays_open: bool) {
    let input = [&identify("a"), input.as_bytes()].concat();
    check(&input, &[&[JSON], replies].concat(), stays_open).await;
}

fn identify_with(body: &str) -> Vec<u8> {
    let size = u32::try_from(body.len()).unwrap();
    [
        b"IDENTIFY\n",
        size.to_be_bytes().as_slice(),
        body.as_bytes(),
    ]
    .concat()
}

#[tokio::test]
async fn before_identify() {
    check(b"PING\n", &["OK"], true).await;
    check(b"  PING  \r\nPING x\n", &["OK", "OK"], true).await;
    check(b"ping\n", &["E_INVALID invalid command ping"], false).await;
    check(b"\n", &["E_INVALID invalid command "], false).await;
    check(
        b"REGISTER t c\n",
        &["E_INVALID client must IDENTIFY"],
        false,
    )
    .await;
    check(
        b"PING\nUNREGISTER t\n",
        &["OK", "E_INVALID client must IDENTIFY"],
        false,
    )
    .await;
}

#[tokio::test]
async fn the_body_of_identify() {
    let missing = "E_BAD_BODY IDENTIFY missing fields";
    let malformed = "E_BAD_BODY IDENTIFY failed to decode JSON body";
    for body in ["{}", "null"] {
        check(&identify_with(body), &[missing], false).await;
    }
    for body in ["[]", "{", "", r#"{"tcp_port":"4150"}"#] {
        check(&identify_with(body), &[malformed], false).await;
    }
    let twice = [identify("a"), identify("a")].concat();
    check(&twice, &[JSON, "E_INVALID cannot IDENTIFY again"], false).await;
}

#[tokio::test]
async fn registrations() {
    check_identified(
        "REGISTER p c1\nPING\nREGISTER p c2\n",
        &["OK", "OK", "OK"],
        true,
    )
    .await;
    check_identified(
        "UNREGISTER nosuch x\nUNREGISTER nosuch\n",
        &["OK", "OK"],
        true,
    )
    .await;
    let longest = format!(
        "REGISTER {}\nREGISTER {}#ephemeral\n",
        "x".repeat(64),
        "x".repeat(54)
    );
    check_identified(&longest, &["OK", "OK"], true).await;

    let few = "E_INVALID REGISTER insufficient number of params";
    check_identified("REGISTER\n", &[few], false).await;
    check_identified("REGISTER \n", &[few], false).await;
    let empty = "E_BAD_TOPIC REGISTER topic name '' is not valid";
    check_identified("REGISTER  ch\n", &[empty], false).await;
    let channel = "E_BAD_CHANNEL REGISTER channel name 'b$c' is not valid";
    check_identified("REGISTER a b$c\n", &[channel], false).await;
    for name in [
        "x".repeat(65),
        format!("{}#ephemeral", "x".repeat(55)),
        "*".into(),
        "a\tb".into(),
    ] {
        let refused = format!("E_BAD_TOPIC REGISTER topic name '{name}' is not valid");
        check_identified(&format!("REGISTER {name}\n"), &[&refused], false).await;
    }
}

#[tokio::test]
async fn another_protocol_is_refused() {
    let daemon = start(&[]).await;
    let mut nsqd = Nsqd::silent(&daemon).await;
    nsqd.send("  V2").await;
    assert_eq!(nsqd.reply().await.as_deref(), Some("E_BAD_PROTOCOL"));
    assert_eq!(nsqd.reply().await, None);
    daemon.stop().await;
}

#[tokio::test]
async fn identify_is_answered_with_the_ports_that_are_bound() {
    let daemon = start(&[]).await;
    let mut nsqd = Nsqd::connect(&daemon).await;
    nsqd.send(identify("a")).await;
    let reply = nsqd.reply().await.unwrap();
    assert!(
        reply.starts_with(r#"{"broadcast_address":"lk","hostname":""#),
        "{reply}"
    );
    let info = LookupdInfo::parse(reply.as_bytes()).unwrap();
    assert!(
        daemon
            .tcp_address()
            .ends_with(&format!(":{}", info.tcp_port))
    );
    assert!(
        daemon
            .http_address()
            .ends_with(&format!(":{}", info.http_port))
    );
    assert_eq!(info.version, "1.3.0");
    daemon.stop().await;
}

#[tokio::test]
async fn sizes_that_crash_the_reference_are_refused() {
    for (size, refused) in [
        (-1, "E_BAD_BODY IDENTIFY invalid body size -1"),
        (
            i32::MAX,
            "E_BAD_BODY IDENTIFY body too big 2147483647 > 65536",
        ),
    ] {
        let input = [
            b"IDENTIFY\n".as_slice(),
            &i32::to_be_bytes(size),
            &vec![b'x'; 100_000],
        ]
        .concat();
        check(&input, &[refused], false).await;
    }
    let refused = "E_INVALID command line longer than 4096 bytes";
    check(&vec![b'x'; 100_000], &[refused], false).await;
}

#[tokio::test]
async fn a_peer_that_ends_within_identify_is_told() {
    let daemon = start(&[]).await;
    for (input, refused) in [
        (
            "IDENTIFY\n\0\0",
            "E_BAD_BODY IDENTIFY failed to read body size",
        ),
        (
            "IDENTIFY\n\0\0\0\u{9}{",
            "E_BAD_BODY IDENTIFY failed to read body",
        ),
    ] {
        let mut nsqd = Nsqd::connect(&daemon).await;
        nsqd.send(input).await;
        nsqd.finish_sending().await;
        assert_eq!(nsqd.reply().await.as_deref(), Some(refused));
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_flood_of_names_ends_at_the_limit_and_leaves_others_alone() {
    let daemon = start(&["--max-registrations=10"]).await;
    let mut good = Nsqd::identified(&daemon, "good").await;
    assert_eq!(good.ask("REGISTER orders billing").await, "OK");
    let mut flood = Nsqd::identified(&daemon, "flood").await;
    for index in 0..10 {
        assert_eq!(flood.ask(&format!("REGISTER t{index}")).await, "OK");
    }
    assert_eq!(flood.ask("REGISTER t0").await, "OK", "it has this one");
    let refused = flood.ask("REGISTER t10").await;
    assert_eq!(
        refused,
        "E_INVALID REGISTER too many topics and channels, --max-registrations allows 10 per nsqd"
    );
    assert_eq!(flood.reply().await, None);
    assert_eq!(good.ask("REGISTER orders shipping").await, "OK");
    let nodes = get(&daemon, "/nodes").await;
    assert!(
        nodes.contains("good") && !nodes.contains("flood"),
        "{nodes}"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_silent_peers() {
    let daemon = start(&[]).await;
    let mut peers = [
        Nsqd::silent(&daemon).await,
        Nsqd::connect(&daemon).await,
        Nsqd::identified(&daemon, "a").await,
    ];
    peers[1].send("IDENTIFY\n\0\0").await;
    timeout(Duration::from_secs(2), daemon.stop())
        .await
        .expect("stops at once");
    for mut peer in peers {
        assert_eq!(peer.reply().await, None);
    }
}

/// How long the peer is waited for, in seconds of a clock that jumps when nothing happens.
async fn seconds_until_closed(mut peer: Nsqd) -> u64 {
    let start = Instant::now();
    assert_eq!(peer.reply().await, None);
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn peers_that_keep_silent_too_early_are_closed() {
    let daemon = start(&[]).await;
    assert_eq!(seconds_until_closed(Nsqd::silent(&daemon).await).await, 10);

    let mut pinging = Nsqd::connect(&daemon).await;
    assert_eq!(pinging.ask("PING").await, "OK");
    assert_eq!(seconds_until_closed(pinging).await, 60);

    let mut half = Nsqd::identified(&daemon, "a").await;
    half.send("REGIS").await;
    assert_eq!(seconds_until_closed(half).await, 10);
    daemon.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_identified_may_be_silent_for_long() {
    let daemon = start(&[]).await;
    let mut nsqd = Nsqd::identified(&daemon, "a").await;
    tokio::time::sleep(Duration::from_hours(24)).await;
    assert_eq!(nsqd.ask("PING").await, "OK");
    assert_eq!(nsqd.ask("REGISTER t").await, "OK");
    daemon.stop().await;
}
