//! How long messages take from publish to FIN.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use tests::daemon::Nsqd;
use tests::wait;

const FLAG: &str = "--e2e-processing-latency-percentile=0.95,1,0.5";

fn value(latency: &Value, index: usize) -> u64 {
    latency["percentiles"][index]["value"].as_u64().unwrap()
}

#[test]
fn percentiles_follow_what_consumers_take() {
    let nsqd = Nsqd::start(&[FLAG]);
    let mut consumer = nsqd.consumer("t", "c");
    let none = &nsqd.channel("t", "c")["e2e_processing_latency"];
    let quantiles = [json!(1), json!(0.95), json!(0.5)];
    let percentile = |quantile: &Value| json!({"quantile": quantile, "value": 0});
    let zeros: Vec<Value> = quantiles.iter().map(percentile).collect();
    assert_eq!(*none, json!({"count": 0, "percentiles": zeros}));

    consumer.ready(10);
    nsqd.publish("t", "quick");
    nsqd.publish("t", "slow");
    let messages = consumer.messages(2);
    consumer.finish(&messages[0]);
    // What is measured is this time.
    sleep(Duration::from_millis(300));
    consumer.finish(&messages[1]);
    let latency = wait::some("both are finished", || {
        let latency = nsqd.channel("t", "c")["e2e_processing_latency"].take();
        (latency["count"] == 2).then_some(latency)
    });
    assert!(value(&latency, 0) >= 300_000_000, "{latency}");
    assert!(value(&latency, 2) < 300_000_000, "{latency}");
    assert_eq!(nsqd.topic("t")["e2e_processing_latency"], latency);

    let text = nsqd.get("/stats").body;
    let line = text.lines().find(|line| line.contains("[c  ")).unwrap();
    let (_, shown) = line.split_once("e2e%: ").unwrap();
    assert_eq!(shown.split(", ").count(), 3, "{line}");
    let metrics = nsqd.get("/metrics").body;
    let name =
        r#"nsqd_channel_e2e_processing_latency_seconds{topic="t",channel="c",quantile="0.95"} "#;
    assert!(metrics.contains(name), "{metrics}");
}

#[test]
fn a_topic_merges_its_channels_and_a_window_ends() {
    let nsqd = Nsqd::start(&[FLAG, "--e2e-processing-latency-window-time=1s"]);
    for channel in ["a", "b"] {
        let mut consumer = nsqd.consumer("t", channel);
        consumer.ready(1);
        if channel == "a" {
            nsqd.publish("t", "m");
        } else {
            nsqd.publish("t", "n");
        }
        let message = consumer.message();
        consumer.finish(&message);
    }
    let count = || nsqd.topic("t")["e2e_processing_latency"]["count"].clone();
    wait::until("both are counted", || count() == 2);
    wait::until("both are forgotten", || count() == 0);
}

#[test]
fn without_percentiles_nothing_is_told() {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.consumer("t", "c");
    consumer.ready(1);
    nsqd.publish("t", "m");
    let message = consumer.message();
    consumer.finish(&message);
    nsqd.await_channel("t", "c", "in_flight_count", 0);
    let none = json!({"count": 0, "percentiles": null});
    assert_eq!(nsqd.channel("t", "c")["e2e_processing_latency"], none);
    assert!(!nsqd.get("/metrics").body.contains("e2e_processing_latency"));
}
