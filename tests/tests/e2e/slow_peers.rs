//! Who is slow on purpose: every wait for a peer has an end, and nobody else notices.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tests::daemon::Nsqd;
use tests::wire::{MAGIC, with_body};
use tests::{slow, wait};

#[test]
fn all_that_is_slow_is_closed_and_nobody_else_notices() {
    let nsqd = Nsqd::start(&[]);
    let outcome = slow::hold(&nsqd, 100);
    assert_eq!(outcome.left_open, 0, "{outcome:?}");
    // Beside compilers too.
    assert!(outcome.slowest_ping < Duration::from_secs(5), "{outcome:?}");
    nsqd.peer().publish("t", "m");
    assert!(!nsqd.log().contains("panicked"));
}

#[test]
fn without_heartbeats_too_every_wait_has_an_end() {
    /// Longest that a client without heartbeats may stand still.
    const PATIENCE: Duration = Duration::from_mins(1);
    let nsqd = Nsqd::start(&[]);
    let identify = with_body(
        "IDENTIFY",
        r#"{"heartbeat_interval":-1,"feature_negotiation":true}"#,
    );
    // It asks again and again, reads no answer, and is not read from any more in the end.
    let mut deaf = TcpStream::connect(nsqd.tcp()).unwrap();
    deaf.set_write_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    deaf.write_all(MAGIC).unwrap();
    while deaf.write_all(&identify).is_ok() {}
    let mut idle = nsqd.peer();
    let mut stalled = nsqd.peer();
    for peer in [&mut idle, &mut stalled] {
        peer.send(&identify);
        peer.response();
    }
    stalled.send(b"PUB t\n\0\0\0\x09half");
    let begun = Instant::now();
    assert_eq!(nsqd.connections(), 3);
    let leeway = Duration::from_secs(20);
    let gone = wait::within(PATIENCE + leeway, || {
        (nsqd.connections() == 1).then_some(())
    });
    assert!(gone.is_some(), "{} are left", nsqd.connections());
    // The half command was on its way before the watch was started.
    assert!(begun.elapsed() + Duration::from_secs(1) > PATIENCE);
    idle.publish("t", "who asks for nothing may wait for ever");
}
