//! Figures for statsd, as a socket in its place receives them.

use std::collections::BTreeMap;
use std::net::UdpSocket;

use tests::daemon::Nsqd;
use tests::wait::{self, PATIENCE};

struct Statsd(UdpSocket);

impl Statsd {
    fn listen() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn flag(&self) -> String {
        format!("--statsd-address={}", self.0.local_addr().unwrap())
    }

    fn packet(&self) -> String {
        let mut bytes = vec![0; 70_000];
        let count = self.0.recv(&mut bytes).expect("nsqd pushes");
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    /// Reads until a line is this one.
    fn await_line(&self, line: &str) {
        let mut seen = BTreeMap::new();
        let found = wait::within(PATIENCE, || {
            self.packet().lines().find_map(|got| {
                *seen.entry(got.to_owned()).or_insert(0) += 1;
                (got == line).then_some(())
            })
        });
        assert!(found.is_some(), "{line} was not among {seen:#?}");
    }
}

#[test]
fn figures_come_under_the_names_of_the_reference() {
    let statsd = Statsd::listen();
    let nsqd = Nsqd::start(&[
        &statsd.flag(),
        "--statsd-interval=200ms",
        "--broadcast-address=my.host",
        "--broadcast-http-port=4151",
        "--e2e-processing-latency-percentile=0.99",
    ]);
    let prefix = "nsq.my_host_4151.";
    assert_eq!(nsqd.get("/config/statsd_prefix").body, prefix);
    let mut consumer = nsqd.consumer("t", "c");
    // At once, so that one push has all of them.
    nsqd.peer().publish_many("t", &["hello"; 3]);
    statsd.await_line(&format!("{prefix}topic.t.message_count:3|c"));
    statsd.await_line(&format!("{prefix}topic.t.message_count:0|c"));
    for line in [
        "topic.t.depth:0|g",
        "topic.t.backend_depth:0|g",
        "topic.t.channel.c.message_count:0|c",
        "topic.t.channel.c.depth:3|g",
        "topic.t.channel.c.in_flight_count:0|g",
        "topic.t.channel.c.clients:1|g",
        "topic.t.e2e_processing_latency_99:0|g",
        "topic.t.channel.c.e2e_processing_latency_99:0|g",
        "mem.heap_objects:0|g",
        "mem.gc_runs:0|c",
    ] {
        statsd.await_line(&format!("{prefix}{line}"));
    }
    consumer.ready(2);
    consumer.messages(2);
    statsd.await_line(&format!("{prefix}topic.t.channel.c.in_flight_count:2|g"));
}

#[test]
fn packets_are_bounded_and_ephemeral_names_can_be_left_out() {
    let statsd = Statsd::listen();
    let nsqd = Nsqd::start(&[
        &statsd.flag(),
        "--statsd-interval=100ms",
        "--statsd-prefix=p",
        "--statsd-udp-packet-size=100",
        "--statsd-mem-stats=false",
        "--statsd-exclude-ephemeral",
    ]);
    for topic in ["a", "b", "gone%23ephemeral"] {
        nsqd.act(&format!("/topic/create?topic={topic}"));
        nsqd.act(&format!("/channel/create?topic={topic}&channel=c"));
    }
    statsd.await_line("p.topic.b.channel.c.clients:0|g");
    for _ in 0..50 {
        let packet = statsd.packet();
        assert!(packet.len() <= 100 && packet.ends_with('\n'), "{packet:?}");
        assert!(
            !packet.contains("gone") && !packet.contains("mem."),
            "{packet}"
        );
        assert!(
            packet.lines().all(|line| line.starts_with("p.topic.")),
            "{packet}"
        );
    }
}

#[test]
fn a_statsd_that_is_not_there_disturbs_nobody() {
    let nsqd = Nsqd::start(&[
        "--statsd-address=no-such-host.invalid:8125",
        "--statsd-interval=50ms",
    ]);
    nsqd.publish("t", "m");
    wait::until("it is told once", || {
        nsqd.log().contains("statsd gets no figures")
    });
    nsqd.publish("t", "m");
    assert_eq!(nsqd.topic("t")["message_count"], 2);
}
