//! Peers that are slow on purpose: they begin something and do not go on.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::Nsqd;

/// The longest wait for a peer is 30 s, and it is looked at every few seconds.
pub const ALL_CLOSED_AFTER: Duration = Duration::from_secs(35);

/// What became of slow connections.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// How many were still open after [`ALL_CLOSED_AFTER`], counted from when nothing more went on.
    pub left_open: usize,
    /// How long it took until the last of the others was closed.
    pub closed_after: Duration,
    /// The longest that `/ping` took while they were open.
    pub slowest_ping: Duration,
}

/// Opens so many connections of each kind at a time, and waits until nsqd has closed them.
pub fn hold(nsqd: &Nsqd, connections: usize) -> Outcome {
    // So that an answer is long.
    for number in 0..TOPICS {
        nsqd.act(&format!("/topic/create?topic={number:0>60}"));
    }
    let start = Instant::now();
    thread::scope(|scope| {
        let held = KINDS.map(|kind| {
            let to = if kind.is_http {
                nsqd.http()
            } else {
                nsqd.tcp()
            };
            // What is sent to those who read nothing first fills their sockets.
            let filling = if kind.reads { Duration::ZERO } else { FILLING };
            let deadline = start + ALL_CLOSED_AFTER + filling;
            scope.spawn(move || {
                let connections: Vec<_> = (0..connections / kind.one_of)
                    .map(|_| kind.open(to))
                    .collect();
                let is_open = |stream| !kind.await_close(stream, deadline);
                let left_open = connections.into_iter().map(is_open);
                let left_open = left_open.filter(|is_open| *is_open).count();
                (left_open, start.elapsed())
            })
        });
        let pings = scope.spawn(|| slowest_ping(nsqd, start + PINGED));
        let outcomes = held.map(|held| held.join().expect("sockets do not panic"));
        Outcome {
            left_open: outcomes.iter().map(|(left_open, _)| left_open).sum(),
            closed_after: outcomes
                .iter()
                .map(|(_, after)| *after)
                .max()
                .unwrap_or_default(),
            slowest_ping: pings.join().expect("/ping answers"),
        }
    })
}

/// What a peer says and how often, how many of the connections do, whether to HTTP, and whether they read what they are told.
#[derive(Clone, Copy)]
struct Kind {
    said: &'static [u8],
    times: usize,
    one_of: usize,
    is_http: bool,
    reads: bool,
}

const KINDS: [Kind; 6] = [
    Kind::http(b"GET /ping HTTP/1.1\r\nHos"),
    Kind::http(b"POST /pub?topic=t HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf"),
    Kind::http(b"POST /pub?topic=t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n"),
    Kind {
        times: 20_000,
        // Each of them is served long answers until its sockets are full.
        one_of: 5,
        reads: false,
        ..Kind::http(b"GET /stats?format=json HTTP/1.1\r\nHost: h\r\n\r\n")
    },
    // The magic, and the body of IDENTIFY.
    Kind {
        is_http: false,
        ..Kind::http(b"  V")
    },
    Kind {
        is_http: false,
        ..Kind::http(b"  V2IDENTIFY\n\0\0\x10\0{")
    },
];

impl Kind {
    const fn http(said: &'static [u8]) -> Self {
        Self {
            said,
            times: 1,
            one_of: 1,
            is_http: true,
            reads: true,
        }
    }

    fn open(self, to: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(to).expect("nsqd listens");
        stream
            .set_nonblocking(!self.reads)
            .expect("a connected socket can be set up");
        for _ in 0..self.times {
            // Of many requests only some fit.
            if stream.write(self.said).is_err() {
                break;
            }
        }
        stream
    }

    /// Waits until the other end closes, in time; a peer that reads nothing notices when it sends on.
    fn await_close(self, mut stream: TcpStream, deadline: Instant) -> bool {
        if self.reads {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = left.max(Duration::from_millis(1));
            stream
                .set_read_timeout(Some(left))
                .expect("the bound is not zero");
            let read = stream.read_to_end(&mut Vec::new());
            // A reset is an end too.
            return !is_would_block(&read);
        }
        loop {
            let written = stream.write(b"x");
            if written.is_err() && !is_would_block(&written) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn is_would_block(outcome: &io::Result<usize>) -> bool {
    let error = outcome.as_ref().err();
    error.is_some_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

fn slowest_ping(nsqd: &Nsqd, until: Instant) -> Duration {
    let mut slowest = Duration::ZERO;
    while Instant::now() < until {
        let start = Instant::now();
        assert_eq!(nsqd.get("/ping").body, "OK");
        slowest = slowest.max(start.elapsed());
        thread::sleep(Duration::from_millis(20));
    }
    slowest
}

const TOPICS: usize = 200;
const FILLING: Duration = Duration::from_secs(15);
/// As long as all of them are open.
const PINGED: Duration = Duration::from_secs(10);
