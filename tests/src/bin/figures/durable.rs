//! What durability costs: how much producers gain by sharing a sync, and how near batches come to what memory takes.

use tests::daemon::Nsqd;
use tests::load::{self, Publishing};
use tokio::runtime::Runtime;

use crate::{median, print, rate};

const LEVELS: [&str; 3] = ["memory", "disk", "fsync"];

/// Messages of 200 bytes; each producer waits for OK before it publishes again.
struct Shape {
    name: &'static str,
    producers: usize,
    batch: usize,
    /// How many are published in one run, at the levels in their order.
    messages: [usize; 3],
}

const ONE: Shape = Shape {
    name: "1 producer of singles",
    producers: 1,
    batch: 1,
    messages: [50_000, 20_000, 4_000],
};
const MANY: Shape = Shape {
    name: "50 producers of singles",
    producers: 50,
    batch: 1,
    messages: [400_000, 400_000, 200_000],
};
const BATCHES: Shape = Shape {
    name: "16 producers of batches of 200",
    producers: 16,
    batch: 200,
    messages: [4_000_000, 4_000_000, 4_000_000],
};

/// Prints the rates of each shape at each level, and the two relations that matter.
pub(crate) fn measure(runs: usize) {
    let runtime = Runtime::new().expect("a runtime can be made");
    let [_, _, one] = ONE.print(&runtime, runs);
    let [_, _, many] = MANY.print(&runtime, runs);
    print("fsync: 50 producers of singles / 1", many / one, "");
    let [memory, _, fsync] = BATCHES.print(&runtime, runs);
    print("batches of 200: fsync / memory", fsync / memory, "");
}

impl Shape {
    fn print(&self, runtime: &Runtime, runs: usize) -> [f64; 3] {
        let mut rates = [const { Vec::new() }; 3];
        for _ in 0..runs {
            for (at, level) in LEVELS.into_iter().enumerate() {
                rates[at].push(self.rate(runtime, level, self.messages[at]));
            }
        }
        let medians = rates.map(median);
        for (level, rate) in LEVELS.into_iter().zip(medians) {
            print(&format!("{level}: {}", self.name), rate, "/s");
        }
        medians
    }

    fn rate(&self, runtime: &Runtime, level: &str, messages: usize) -> f64 {
        let nsqd = Nsqd::start(&[&format!("--durability={level}")]);
        let load = Publishing {
            messages,
            connections: self.producers,
            batch: self.batch,
            window: 1,
            body_bytes: 200,
        };
        let start = std::time::Instant::now();
        let published = runtime.block_on(load::publish(nsqd.tcp(), "load", load));
        published.expect("every publish is answered with OK");
        rate(messages, start.elapsed())
    }
}
