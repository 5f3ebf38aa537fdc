//! How much there may be: connections, topics, channels, memory for those who read nothing, log lines that nobody reads.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tests::daemon::Nsqd;
use tests::lookupd::Lookupd;
use tests::wire::{Frame, Peer, batch, with_body};
use tests::{binary, wait};

#[test]
fn connections_above_the_limit_are_told_so_until_there_is_room() {
    let nsqd = Nsqd::start(&["--max-connections=3"]);
    let mut served: Vec<Peer> = (0..3).map(|_| nsqd.peer()).collect();
    for peer in &mut served {
        peer.publish("t", "m");
    }
    let refused = "E_INVALID too many connections, --max-connections allows 3";
    let start = Instant::now();
    for _ in 0..200 {
        let mut peer = nsqd.peer();
        // As clients do: the answer to IDENTIFY is the error.
        peer.send(with_body("IDENTIFY", r#"{"client_id":"late"}"#));
        match peer.frame_within(wait::PATIENCE) {
            Ok(frame) => assert_eq!(frame, Frame::Error(refused.to_owned())),
            // While many are being told, others are closed without a word.
            Err(end) => assert_eq!(end, tests::wire::End::Closed),
        }
        peer.expect_closed();
    }
    let seconds = start.elapsed().as_secs();
    let log = nsqd.log();
    let lines = log.matches("connections refused").count() as u64;
    assert!((1..=seconds + 1).contains(&lines), "{seconds} s: {log}");
    let metrics = nsqd.get("/metrics").body;
    assert!(
        metrics.contains("\nnsqd_connections_refused_total 200\n"),
        "{metrics}"
    );

    assert_eq!(nsqd.get("/ping").body, "OK");
    for peer in &mut served {
        peer.publish("t", "m");
    }
    drop(served.pop());
    wait::until("the next one is let in", || {
        let mut peer = nsqd.peer();
        peer.send(with_body("PUB t", "m"));
        peer.frame_within(wait::PATIENCE) == Ok(Frame::Response("OK".to_owned()))
    });
}

#[test]
fn nsqlookupd_refuses_nsqds_above_the_limit() {
    let lookupd = Lookupd::start_with(&["--max-connections=1"]);
    let flag = lookupd.flag();
    let nsqd = Nsqd::start(&[&flag, "--broadcast-address=127.0.0.1"]);
    nsqd.act("/topic/create?topic=first");
    wait::until("the first one is registered", || {
        !lookupd.producers("first").is_empty()
    });
    let mut second = TcpStream::connect(lookupd.tcp()).unwrap();
    second.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    second.write_all(b"  V1PING\n").unwrap();
    let mut said = String::new();
    second.read_to_string(&mut said).unwrap();
    let refused = "E_INVALID too many connections, --max-connections allows 1";
    assert!(said.ends_with(refused), "{said:?}");
    let metrics = lookupd.get("/metrics").body;
    let counted = "nsqlookupd_refused_total{code=\"E_INVALID\"} 1\n";
    assert!(metrics.contains(counted), "{metrics}");
    assert_eq!(lookupd.producers("first").len(), 1);
}

#[test]
fn topics_above_the_limit_are_not_created() {
    let nsqd = Nsqd::start(&["--max-topics=2"]);
    nsqd.publish("one", "m");
    nsqd.publish("two", "m");
    let refuses = |code: &str, command: &str, bytes: Vec<u8>| {
        let mut peer = nsqd.peer();
        peer.send(bytes);
        let limit = "failed too many topics, --max-topics allows 2";
        assert_eq!(peer.error(), format!("{code} {command} {limit}"));
        peer.expect_closed();
    };
    refuses("E_PUB_FAILED", "PUB", with_body("PUB three", "m"));
    refuses("E_DPUB_FAILED", "DPUB", with_body("DPUB three 5", "m"));
    refuses(
        "E_MPUB_FAILED",
        "MPUB",
        with_body("MPUB three", batch(&["m"])),
    );
    let mut peer = nsqd.peer();
    peer.send("SUB three c\n");
    assert_eq!(
        peer.error(),
        "E_SUB_FAILED SUB failed too many topics, --max-topics allows 2"
    );
    for path in [
        "/pub?topic=three",
        "/mpub?topic=three",
        "/topic/create?topic=three",
    ] {
        let answer = nsqd.post(path, "m");
        assert_eq!(answer.status, 503, "{path}");
        assert_eq!(answer.body, r#"{"message":"TOO_MANY_TOPICS"}"#, "{path}");
    }
    assert!(nsqd.topic("three").is_null());
    nsqd.publish("one", "what is there goes on");
    nsqd.act("/topic/delete?topic=two");
    nsqd.publish("three", "m");
}

#[test]
fn channels_above_the_limit_are_not_created() {
    let mut nsqd = Nsqd::start(&["--max-channels-per-topic=2"]);
    for topic in ["t", "u"] {
        drop(nsqd.consumer(topic, "one"));
        drop(nsqd.consumer(topic, "two"));
    }
    let mut peer = nsqd.peer();
    peer.send("SUB t three#ephemeral\n");
    assert_eq!(
        peer.error(),
        "E_SUB_FAILED SUB failed too many channels, --max-channels-per-topic allows 2"
    );
    let answer = nsqd.post("/channel/create?topic=t&channel=three", "");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (503, r#"{"message":"TOO_MANY_CHANNELS"}"#)
    );
    nsqd.restart();
    drop(nsqd.consumer("t", "two"));
    nsqd.act("/channel/delete?topic=t&channel=one");
    drop(nsqd.consumer("t", "three"));
}

#[test]
fn those_who_read_nothing_take_little_memory() {
    const DEAF: usize = 20;
    const MESSAGES: usize = 20;
    let nsqd = Nsqd::start(&["--mem-queue-bytes=32m"]);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(MESSAGES as u64);
    let deaf: Vec<Peer> = (0..DEAF)
        .map(|number| {
            let mut peer = nsqd.consumer("t", &format!("deaf{number}"));
            peer.ready(2500);
            peer
        })
        .collect();
    let before = nsqd.rss_bytes();
    let body = vec![b'x'; 1 << 20];
    let mut producer = nsqd.peer();
    for _ in 0..MESSAGES {
        producer.publish("t", &body);
    }
    consumer.consume(MESSAGES);
    let grown = nsqd.peak_rss_bytes().saturating_sub(before) >> 20;
    // Those messages, and for each of the deaf one that it is being sent.
    let allowed = (32 + MESSAGES + DEAF * 3 / 2) as u64;
    assert!(grown <= allowed, "{grown} MiB, {allowed} allowed");
    drop(deaf);
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let data = TempDir::new().unwrap();
    let (tcp, http) = (data.path().join("tcp"), data.path().join("http"));
    let mut nsqd = Command::new(binary::nsqd())
        .arg("--log-level=debug")
        .arg(format!("--tcp-address={}", tcp.display()))
        .arg(format!("--http-address={}", http.display()))
        .arg(format!("--data-path={}", data.path().display()))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait::until("it listens", || UnixStream::connect(&http).is_ok());
    let mut early = UnixStream::connect(&tcp).unwrap();
    early.write_all(b"  V2").unwrap();
    wait::until("lines are dropped", || {
        publish(&mut UnixStream::connect(&tcp).unwrap(), b"  V2");
        let metrics = get(&http, "/metrics");
        let dropped = metrics.lines().find_map(|line| {
            let (_, count) = line.split_once("nsqd_log_lines_dropped_total ")?;
            count.parse::<u64>().ok()
        });
        dropped.expect("the metric is there") > 100
    });
    publish(&mut early, b"");
    assert!(get(&http, "/ping").ends_with("OK"));

    // The reader is back: it gets what there was, and how much is missing.
    let mut log = nsqd.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).map(|_| text)
    });
    let pid = Pid::from_child(&nsqd);
    publish(&mut early, b"");
    kill_process(pid, Signal::TERM).unwrap();
    let status = wait::some("it ends", || nsqd.try_wait().unwrap());
    assert!(status.success(), "{status}");
    let text = reader.join().unwrap().unwrap();
    assert!(
        text.contains(" WARNING: log lines dropped, as nobody read them count="),
        "{text}"
    );
    assert!(text.ends_with(" INFO: NSQ: bye\n"), "{text}");
}

fn publish(stream: &mut UnixStream, before: &[u8]) {
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let command = [before, &with_body("PUB t", "m")].concat();
    stream.write_all(&command).unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"\0\0\0\x06\0\0\0\0OK");
}

fn get(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: nsqd\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
