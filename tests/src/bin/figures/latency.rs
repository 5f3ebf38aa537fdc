//! How long a lone message takes from its producer to a consumer.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::daemon::Nsqd;

use crate::print;

const MESSAGES: usize = 300;

/// With the default output buffer timeout and with the shortest.
pub(crate) fn measure() {
    for timeout_ms in [250, 25] {
        let mut waits = waits(timeout_ms);
        waits.sort();
        for (name, index) in [("p50", MESSAGES / 2), ("p99", MESSAGES * 99 / 100)] {
            let name = format!("publish to delivery, buffer timeout {timeout_ms} ms: {name}");
            print(&name, waits[index].as_secs_f64() * 1000.0, "ms");
        }
    }
}

fn waits(timeout_ms: u64) -> Vec<Duration> {
    let nsqd = Nsqd::start(&[]);
    let mut consumer = nsqd.peer();
    consumer.identify(&json!({ "output_buffer_timeout": timeout_ms }));
    consumer.subscribe("t", "c");
    consumer.ready(10);
    let mut producer = nsqd.peer();
    let wait = |_| {
        let start = Instant::now();
        producer.publish("t", "m");
        let message = consumer.message();
        let waited = start.elapsed();
        consumer.finish(&message);
        // A quiet channel is what is measured.
        thread::sleep(Duration::from_millis(3));
        waited
    };
    (0..MESSAGES).map(wait).collect()
}
