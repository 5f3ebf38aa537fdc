//! The forms of `/stats` against what the reference answered in the same state.

use std::time::Duration;

use client::wire::TopicName;

use super::text::{Moment, render};
use super::*;
use crate::latency::Percentile;
use crate::topic::Durability;

const NOW: i64 = 1_795_229_196;

/// One consumer, one producer, a paused channel, and a paused topic without channels.
fn sample() -> Stats {
    let consumer = ClientStats {
        state: 3,
        ready_count: 2,
        in_flight_count: 1,
        message_count: 2,
        finish_count: 1,
        topology_zone: "z1".into(),
        ..client("cons1", "c.example", "127.0.0.1:51254")
    };
    let producer = ClientStats {
        pub_counts: vec![pub_count("orders", 2)],
        ..client("prod1", "p.example", "127.0.0.1:51244")
    };
    let archive = ChannelStats {
        in_flight_count: 1,
        global_msg_count: 2,
        client_count: 1,
        clients: Some(vec![consumer]),
        e2e_processing_latency: latency(1, 897_316),
        ..channel("archive")
    };
    let billing = ChannelStats {
        depth: 2,
        paused: true,
        e2e_processing_latency: latency(0, 0),
        ..channel("billing")
    };
    let orders = TopicStats {
        channels: vec![archive, billing],
        message_count: 2,
        message_bytes: 11,
        e2e_processing_latency: latency(1, 897_316),
        ..topic("orders")
    };
    let zeta = TopicStats {
        depth: 1,
        message_count: 1,
        message_bytes: 1,
        paused: true,
        ..topic("zeta")
    };
    Stats {
        topics: Some(vec![orders, zeta]),
        memory: Some(MemoryStats {
            heap_in_use_bytes: 1_851_392,
            ..MemoryStats::default()
        }),
        producers: Some(vec![producer]),
        ..nothing()
    }
}

/// That of the reference with percentiles 1, 0.99 and 0.95, which are one value.
fn latency(count: u64, value: u64) -> Latency {
    let percentile = |quantile| Percentile { quantile, value };
    Latency {
        count,
        percentiles: Some([1.0, 0.99, 0.95].map(percentile).into()),
    }
}

fn nothing() -> Stats {
    Stats {
        version: COMPATIBLE_VERSION,
        health: "OK".into(),
        start_time: NOW,
        topics: Some(Vec::new()),
        memory: None,
        producers: None,
    }
}

fn topic(name: &str) -> TopicStats {
    TopicStats {
        topic_name: name.into(),
        channels: Vec::new(),
        depth: 0,
        backend_depth: 0,
        message_count: 0,
        message_bytes: 0,
        paused: false,
        e2e_processing_latency: Latency::default(),
        durability: Durability::Memory,
    }
}

fn channel(name: &str) -> ChannelStats {
    ChannelStats {
        channel_name: name.into(),
        depth: 0,
        backend_depth: 0,
        in_flight_count: 0,
        deferred_count: 0,
        message_count: 2,
        zone_local_msg_count: 0,
        region_local_msg_count: 0,
        global_msg_count: 0,
        requeue_count: 0,
        timeout_count: 0,
        client_count: 0,
        clients: Some(Vec::new()),
        paused: false,
        e2e_processing_latency: Latency::default(),
    }
}

fn client(client_id: &str, hostname: &str, remote_address: &str) -> ClientStats {
    ClientStats {
        client_id: client_id.into(),
        hostname: hostname.into(),
        version: "V2",
        remote_address: remote_address.into(),
        state: 0,
        ready_count: 0,
        in_flight_count: 0,
        message_count: 0,
        zone_local_msg_count: 0,
        region_local_msg_count: 0,
        global_msg_count: 0,
        finish_count: 0,
        requeue_count: 0,
        connect_ts: NOW,
        sample_rate: 0,
        deflate: false,
        snappy: false,
        user_agent: "cli/1.0".into(),
        authed: false,
        auth_identity: String::new(),
        auth_identity_url: String::new(),
        topology_zone: String::new(),
        topology_region: String::new(),
        pub_counts: Vec::new(),
        tls: false,
        tls_cipher_suite: String::new(),
        tls_version: "",
        tls_negotiated_protocol: "",
        tls_negotiated_protocol_is_mutual: false,
    }
}

fn pub_count(topic: &str, count: u64) -> PubCount {
    let topic = TopicName::parse(topic).unwrap();
    PubCount { topic, count }
}

fn text_of(stats: &Stats, age: Duration) -> String {
    let seconds = i64::try_from(age.as_secs()).unwrap();
    let text = render(
        stats,
        Moment {
            uptime: age,
            now: NOW + seconds,
        },
    );
    let (head, body) = text.split_at(text.find("\nuptime").unwrap() + 1);
    assert!(head.starts_with("nsqd v1.3.0 (built w/"), "{head}");
    assert!(head.contains(")\nstart_time 2026-11-2"), "{head}");
    body.to_owned()
}

#[test]
fn json_has_the_keys_of_the_reference_in_its_order_and_ours_last() {
    let expected = concat!(
        r#"{"version":"1.3.0","health":"OK","start_time":1795229196,"topics":[{"topic_name":"orders","channels":["#,
        r#"{"channel_name":"archive","depth":0,"backend_depth":0,"in_flight_count":1,"deferred_count":0,"message_count":2,"#,
        r#""global_msg_count":2,"requeue_count":0,"timeout_count":0,"client_count":1,"clients":[{"client_id":"cons1","hostname":"c.example","#,
        r#""version":"V2","remote_address":"127.0.0.1:51254","state":3,"ready_count":2,"in_flight_count":1,"message_count":2,"#,
        r#""finish_count":1,"requeue_count":0,"connect_ts":1795229196,"sample_rate":0,"deflate":false,"snappy":false,"#,
        r#""user_agent":"cli/1.0","topology_zone":"z1","topology_region":"","tls":false,"tls_cipher_suite":"","#,
        r#""tls_version":"","tls_negotiated_protocol":"","tls_negotiated_protocol_is_mutual":false}],"paused":false,"#,
        r#""e2e_processing_latency":{"count":1,"percentiles":[{"quantile":1,"value":897316},{"quantile":0.99,"value":897316},{"quantile":0.95,"value":897316}]}},"#,
        r#"{"channel_name":"billing","depth":2,"backend_depth":0,"in_flight_count":0,"deferred_count":0,"message_count":2,"#,
        r#""requeue_count":0,"timeout_count":0,"client_count":0,"clients":[],"paused":true,"#,
        r#""e2e_processing_latency":{"count":0,"percentiles":[{"quantile":1,"value":0},{"quantile":0.99,"value":0},{"quantile":0.95,"value":0}]}}],"#,
        r#""depth":0,"backend_depth":0,"message_count":2,"message_bytes":11,"paused":false,"#,
        r#""e2e_processing_latency":{"count":1,"percentiles":[{"quantile":1,"value":897316},{"quantile":0.99,"value":897316},{"quantile":0.95,"value":897316}]},"durability":"memory"},"#,
        r#"{"topic_name":"zeta","channels":[],"depth":1,"backend_depth":0,"message_count":1,"message_bytes":1,"paused":true,"#,
        r#""e2e_processing_latency":{"count":0,"percentiles":null},"durability":"memory"}],"#,
        r#""memory":{"heap_objects":0,"heap_idle_bytes":0,"heap_in_use_bytes":1851392,"heap_released_bytes":0,"#,
        r#""gc_pause_usec_100":0,"gc_pause_usec_99":0,"gc_pause_usec_95":0,"next_gc_bytes":0,"gc_total_runs":0},"#,
        r#""producers":[{"client_id":"prod1","hostname":"p.example","version":"V2","remote_address":"127.0.0.1:51244","#,
        r#""state":0,"ready_count":0,"in_flight_count":0,"message_count":0,"finish_count":0,"requeue_count":0,"#,
        r#""connect_ts":1795229196,"sample_rate":0,"deflate":false,"snappy":false,"user_agent":"cli/1.0","#,
        r#""topology_zone":"","topology_region":"","pub_counts":[{"topic":"orders","count":2}],"tls":false,"#,
        r#""tls_cipher_suite":"","tls_version":"","tls_negotiated_protocol":"","tls_negotiated_protocol_is_mutual":false}]}"#,
    );
    assert_eq!(serde_json::to_string(&sample()).unwrap(), expected);
}

#[test]
fn text_has_the_widths_of_the_reference() {
    let expected = "\
uptime 360.866662ms

Health: OK

Memory:
   heap_objects             \t0
   heap_idle_bytes          \t0
   heap_in_use_bytes        \t1851392
   heap_released_bytes      \t0
   gc_pause_usec_100        \t0
   gc_pause_usec_99         \t0
   gc_pause_usec_95         \t0
   next_gc_bytes            \t0
   gc_total_runs            \t0

Topics:
   [orders         ] depth: 0     be-depth: 0     msgs: 2        e2e%: 897.3us, 897.3us, 897.3us
      [archive                  ] depth: 0     be-depth: 0     inflt: 1    def: 0    re-q: 0     timeout: 0     msgs: 2        e2e%: 897.3us, 897.3us, 897.3us
        [V2 c.example:51254 cli/1.0] state: 3 inflt: 1    rdy: 2    fin: 1        re-q: 0        msgs: 2        connected: 0s
   *P [billing                  ] depth: 2     be-depth: 0     inflt: 0    def: 0    re-q: 0     timeout: 0     msgs: 2        e2e%: 0.0ns, 0.0ns, 0.0ns

*P [zeta           ] depth: 1     be-depth: 0     msgs: 1        e2e%:\u{20}

Producers:
   [V2 p.example:51244 cli/1.0] msgs: 2        topics: orders=2 connected: 0s
";
    let text = text_of(&sample(), Duration::from_nanos(360_866_662));
    assert_eq!(text, expected);
}

#[test]
fn text_of_a_daemon_without_anything() {
    let expected = "uptime 1m5s\n\nHealth: OK\n\nTopics: None\n\nProducers: None\n";
    assert_eq!(text_of(&nothing(), Duration::from_secs(65)), expected);
}

#[test]
fn text_shows_short_names_padded_and_every_topic_of_a_producer() {
    let producer = ClientStats {
        pub_counts: vec![pub_count("a", 1), pub_count("b", 41)],
        user_agent: "x\n".into(),
        ..client("", "h", "@")
    };
    let stats = Stats {
        producers: Some(vec![producer, client("", "h", "[::1]:80")]),
        ..nothing()
    };
    let text = text_of(&stats, Duration::from_hours(1));
    let (_, producers) = text.split_once("Producers:\n").unwrap();
    let expected = "   \
   [V2 h: x\\n               ] msgs: 42       topics: a=1,b=41 connected: 1h0m0s
   [V2 h:80 cli/1.0         ] state: 0 inflt: 0    rdy: 0    fin: 0        re-q: 0        msgs: 0        connected: 1h0m0s
";
    assert_eq!(producers, expected);
}
