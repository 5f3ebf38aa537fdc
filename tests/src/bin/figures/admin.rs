//! What an nsqadmin costs over a large cluster of nodes that are not there: 20 that answer, and one that never does.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tests::nsqadmin::Nsqadmin;
use tests::{http, wait};

use crate::{median, mib, print};

const NODES: usize = 20;
const TOPICS: usize = 1000;
const CHANNELS: usize = 3;
const ASKED: usize = 10;
/// Looks that are waited for before memory is measured; a series takes all its memory with its first figures.
const LOOKS: u64 = 5;

/// Time and size of the page of topics and of its figures, memory, and what a dead node does to them.
pub(crate) fn measure() {
    let nodes: Vec<SocketAddr> = (0..NODES).map(node).collect();
    let admin = start(&nodes);
    print_pages(&admin, "");
    print(
        "nsqadmin, 60,000 channels on 20 nodes: memory",
        mib(admin.rss_bytes()),
        "MiB",
    );
    let metrics = admin.get("/metrics").body;
    print(
        "... of which history",
        mib(metric(&metrics, "nsqadmin_history_bytes")),
        "MiB",
    );
    drop(admin);

    let dead = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let dead_address = dead.local_addr().expect("it listens");
    let admin = start(&[&nodes[..], &[dead_address]].concat());
    print_pages(&admin, ", one node dead (timeout 1 s)");
    // It listened to the end, and never answered.
    drop(dead);
}

fn start(nodes: &[SocketAddr]) -> Nsqadmin {
    let flags: Vec<String> = nodes
        .iter()
        .map(|node| format!("--nsqd-http-address={node}"))
        .collect();
    let mut flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    flags.extend(["--allowed-host=nsqd", "--http-client-request-timeout=1s"]);
    let admin = Nsqadmin::start(&flags);
    wait::within(Duration::from_mins(1), || {
        let metrics = admin.get("/metrics").body;
        (metric(&metrics, "nsqadmin_samples_total") >= LOOKS).then_some(())
    })
    .expect("it looks at the nodes");
    admin
}

fn print_pages(admin: &Nsqadmin, of: &str) {
    for (name, path) in [
        ("overview", "/"),
        ("topics page", "/topics"),
        ("its figures as JSON", "/api/live?view=topics"),
    ] {
        let mut bytes = 0;
        let times = (0..ASKED).map(|_| {
            let start = Instant::now();
            let answer = http::request(admin.http(), "GET", path, b"");
            assert_eq!(answer.status, 200, "{}", answer.body);
            bytes = answer.body.len() as u64;
            start.elapsed().as_secs_f64() * 1000.0
        });
        let times = median(times.collect());
        print(&format!("{name}{of}: time"), times, "ms");
        #[expect(
            clippy::cast_precision_loss,
            reason = "a figure is read with three digits"
        )]
        print(&format!("{name}{of}: size"), bytes as f64 / 1000.0, "KB");
    }
}

fn metric(metrics: &str, name: &str) -> u64 {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok())
        .unwrap_or_default()
}

/// Starts something that answers `/info` and `/stats` as an nsqd does; its counts grow with each question.
fn node(number: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it listens");
    let looks = Arc::new(AtomicU64::new(1));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let looks = Arc::clone(&looks);
            // A client that goes away early is no matter.
            thread::spawn(move || drop(answer(&stream, number, address.port(), &looks)));
        }
    });
    address
}

fn answer(
    mut stream: &TcpStream,
    number: usize,
    port: u16,
    looks: &AtomicU64,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream);
    let mut first = String::new();
    lines.read_line(&mut first)?;
    let mut line = String::new();
    while lines.read_line(&mut line)? > 2 {
        line.clear();
    }
    let body = if first.contains("/info") {
        format!(
            r#"{{"broadcast_address":"127.0.0.1","hostname":"node-{number}","http_port":{port},"tcp_port":{port},"version":"1.3.0"}}"#
        )
    } else {
        stats(looks.fetch_add(1, Ordering::Relaxed))
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body.as_bytes())
}

/// Every topic is busy; of ten channels one is given messages back.
fn stats(look: u64) -> String {
    let mut text = r#"{"version":"1.3.0","health":"OK","start_time":1,"topics":["#.to_owned();
    for topic in 0..TOPICS {
        let comma = if topic == 0 { "" } else { "," };
        let count = look * (100 + topic as u64);
        write!(text, r#"{comma}{{"topic_name":"topic-with-a-longish-name-{topic}","depth":{},"message_count":{count},"paused":false,"channels":["#, look % 7).expect("a String takes everything");
        for channel in 0..CHANNELS {
            let comma = if channel == 0 { "" } else { "," };
            let requeues = if topic % 10 == 0 { look } else { 0 };
            write!(text, r#"{comma}{{"channel_name":"channel-{channel}","depth":{},"in_flight_count":5,"deferred_count":0,"requeue_count":{requeues},"timeout_count":0,"message_count":{count},"client_count":3,"paused":false}}"#, look % 11 + 1).expect("a String takes everything");
        }
        text.push_str("]}");
    }
    text.push_str("]}");
    text
}
