//! Consumers nearby first: `--enable-experiment=topology-aware-consumption`.

use serde_json::json;
use tests::daemon::Nsqd;
use tests::wire::Peer;

const HERE: [&str; 2] = ["--topology-region=r1", "--topology-zone=z1"];
const EXPERIMENT: &str = "--enable-experiment=topology-aware-consumption";

/// A consumer that says where it is, with ready count `ready`.
fn consumer(nsqd: &Nsqd, region: &str, zone: &str, ready: u64) -> Peer {
    let mut peer = nsqd.peer();
    peer.identify(&json!({
        "feature_negotiation": true, "topology_region": region, "topology_zone": zone,
    }));
    peer.subscribe("t", "c");
    peer.ready(ready);
    // Answered after RDY was carried out, so that this one is among those who can be chosen.
    peer.publish("others#ephemeral", "there");
    peer
}

/// Waits until this many messages are in flight: nobody has anything on its way any more.
fn publish_one(nsqd: &Nsqd, number: u64) {
    nsqd.publish("t", number.to_string());
    nsqd.await_channel("t", "c", "in_flight_count", number);
}

#[test]
fn the_zone_comes_first_then_the_region_then_others() {
    let nsqd = Nsqd::start(&[HERE[0], HERE[1], EXPERIMENT]);
    // The furthest waits longest.
    let mut other = consumer(&nsqd, "r2", "z2", 3);
    let mut region = consumer(&nsqd, "r1", "z2", 3);
    let mut zone = consumer(&nsqd, "r1", "z1", 3);
    for number in 1..=9 {
        publish_one(&nsqd, number);
    }
    let bodies = |peer: &mut Peer| {
        let messages = peer.messages(3);
        messages
            .iter()
            .map(|message| message.text().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(bodies(&mut zone), ["1", "2", "3"]);
    assert_eq!(bodies(&mut region), ["4", "5", "6"]);
    assert_eq!(bodies(&mut other), ["7", "8", "9"]);

    let channel = nsqd.channel("t", "c");
    for key in [
        "zone_local_msg_count",
        "region_local_msg_count",
        "global_msg_count",
    ] {
        assert_eq!(channel[key], 3, "{channel}");
        let clients = channel["clients"].as_array().unwrap();
        let with: Vec<_> = clients
            .iter()
            .filter(|client| !client[key].is_null())
            .collect();
        assert_eq!((with.len(), &with[0][key]), (1, &json!(3)), "{channel}");
    }
    let metrics = nsqd.get("/metrics").body;
    let line = r#"nsqd_channel_zone_local_messages_total{topic="t",channel="c"} 3"#;
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn a_backlog_reaches_everybody_and_nothing_stalls() {
    let nsqd = Nsqd::start(&[HERE[0], HERE[1], EXPERIMENT]);
    nsqd.act("/topic/create?topic=t");
    nsqd.act("/channel/create?topic=t&channel=c");
    let mut near = consumer(&nsqd, "r1", "z1", 1);
    let mut far = consumer(&nsqd, "r2", "z2", 100);
    let mut producer = nsqd.peer();
    let bodies: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    producer.publish_many("t", &bodies);
    // The one nearby takes one and never finishes it: all others go to the other one.
    assert_eq!(near.message().attempts, 1);
    assert_eq!(far.consume(199).len(), 199);
    assert_eq!(nsqd.channel("t", "c")["zone_local_msg_count"], 1);
}

#[test]
fn without_the_experiment_everybody_is_the_same() {
    let nsqd = Nsqd::start(&[HERE[0], HERE[1], "--enable-experiment=something-else"]);
    let mut far = consumer(&nsqd, "r2", "z2", 1);
    let _near = consumer(&nsqd, "r1", "z1", 1);
    publish_one(&nsqd, 1);
    assert_eq!(far.message().text(), "1");
    let channel = nsqd.channel("t", "c");
    assert_eq!(channel["global_msg_count"], 1);
    assert!(channel["zone_local_msg_count"].is_null(), "{channel}");
    assert!(
        channel["clients"][0]["global_msg_count"].is_null(),
        "{channel}"
    );
}
