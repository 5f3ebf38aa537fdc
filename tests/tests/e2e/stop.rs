//! The end at any moment: soon, and without loss.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::daemon::{Nsqd, stop_after};
use tests::wire::{Peer, with_body};
use tests::{random, wait};

/// Longest that a stop may take.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_stop_while_it_starts_is_soon_and_harms_nothing() {
    let mut random = random::seeded("a_stop_while_it_starts_is_soon_and_harms_nothing");
    let mut nsqd = Nsqd::start(&["--mem-queue-size=10"]);
    for number in 0..20 {
        let topic = format!("t{number}");
        drop(nsqd.consumer(&topic, "c"));
        nsqd.peer().publish_many(&topic, &vec![[b'x'; 1000]; 100]);
    }
    assert!(nsqd.terminate().success());
    let data = nsqd.into_data();
    for _ in 0..20 {
        let after = Duration::from_micros(random.u64(..200_000));
        let (status, took) = stop_after(data.path(), &["--mem-queue-size=10"], after);
        // Before it listens for signals there is nothing to be stopped cleanly.
        let ended = status.success() || status.code().is_none();
        assert!(ended, "{status} after {after:?}");
        assert!(took < SOON, "{took:?} after {after:?}");
    }
    let nsqd = Nsqd::start_in(data, &["--mem-queue-size=10"]);
    for number in 0..20 {
        assert_eq!(nsqd.channel(&format!("t{number}"), "c")["depth"], 100);
    }
}

#[test]
fn a_stop_under_load_is_soon() {
    let mut random = random::seeded("a_stop_under_load_is_soon");
    for _ in 0..5 {
        let mut nsqd = Nsqd::start(&["--mem-queue-size=1000"]);
        let (tcp, http) = (nsqd.tcp(), nsqd.http());
        let after = Duration::from_millis(random.u64(..500));
        thread::scope(|scope| {
            scope.spawn(move || {
                publish_until_closed(&mut Peer::connect(tcp));
            });
            scope.spawn(move || consume_until_closed(&mut Peer::connect(tcp)));
            // Connections come all the time, and do all that may hold up an end.
            scope.spawn(move || {
                while let Ok(mut half) = TcpStream::connect(tcp) {
                    let _ = half.write_all(b"  V2PUB t\n\0\0\0\x09abc");
                    let Ok(mut half) = TcpStream::connect(http) else {
                        return;
                    };
                    let _ = half.write_all(b"POST /pub?topic=t HTTP/1.1\r\nContent-Le");
                    thread::sleep(Duration::from_millis(1));
                }
            });
            thread::sleep(after);
            let start = Instant::now();
            assert!(nsqd.terminate().success());
            let took = start.elapsed();
            assert!(took < SOON, "{took:?} after {after:?}");
        });
    }
}

fn publish_until_closed(peer: &mut Peer) {
    loop {
        peer.send(with_body("PUB t", [b'x'; 200]));
        if peer.frame_within(wait::PATIENCE).is_err() {
            return;
        }
    }
}

fn consume_until_closed(peer: &mut Peer) {
    peer.send("SUB t c\nRDY 100\n");
    while peer.frame_within(wait::PATIENCE).is_ok() {}
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut nsqd = Nsqd::start(&[]);
    // A request under way is waited for, for 3 s.
    let mut under_way = TcpStream::connect(nsqd.http()).unwrap();
    let request = b"POST /pub?topic=t HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf";
    under_way.write_all(request).unwrap();
    // It was accepted before this one, which is answered.
    assert_eq!(nsqd.get("/ping").body, "OK");
    nsqd.signal(Signal::TERM);
    wait::until("it stops", || {
        nsqd.log().contains("stopping signal=SIGTERM")
    });
    let start = Instant::now();
    nsqd.signal(Signal::TERM);
    assert_eq!(nsqd.await_exit().code(), Some(1));
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}
