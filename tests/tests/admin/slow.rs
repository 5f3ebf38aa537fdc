//! Peers that begin something and do not go on: all are let go, and nobody else notices.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tests::nsqadmin::Nsqadmin;
use tests::slow::ALL_CLOSED_AFTER;

/// Half a header, half a body, half a chunk.
const BEGUN: [&str; 3] = [
    "GET / HTTP/1.1\r\nHos",
    "POST /api/topics HTTP/1.1\r\nHost: nsqd\r\nContent-Length: 100\r\n\r\nhalf",
    "POST /api/publish HTTP/1.1\r\nHost: nsqd\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n",
];
const OF_EACH: usize = 50;

#[test]
fn who_is_slow_is_let_go_and_nobody_else_waits() {
    let admin = Nsqadmin::start(&["--nsqd-http-address=127.0.0.1:1", "--allowed-host=nsqd"]);
    let begun = BEGUN.iter().cycle().take(OF_EACH * BEGUN.len());
    let mut held: Vec<TcpStream> = begun
        .map(|said| {
            let mut stream = TcpStream::connect(admin.http()).expect("nsqadmin listens");
            stream.write_all(said.as_bytes()).expect("it is read");
            stream
                .set_nonblocking(true)
                .expect("a socket can be set up");
            stream
        })
        .collect();
    let (start, mut slowest) = (Instant::now(), Duration::ZERO);
    while !held.is_empty() && start.elapsed() < ALL_CLOSED_AFTER {
        let asked = Instant::now();
        assert_eq!(admin.get("/ping").body, "OK");
        slowest = slowest.max(asked.elapsed());
        held.retain_mut(is_open);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(held.len(), 0, "some are held after {ALL_CLOSED_AFTER:?}");
    assert!(slowest < Duration::from_secs(1), "/ping took {slowest:?}");
}

/// True until the other side has closed the connection; what it says before is of no interest.
fn is_open(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}
