//! Taking over the data path of a reference nsqd that has a large backlog.

use std::time::Instant;

use tempfile::TempDir;
use tests::daemon::Nsqd;
use tests::reference::{Queue, write_metadata};

use crate::{mib, print};

const BODY_BYTES: u64 = 1000;

/// Has half of the backlog in a topic's queue and half in a channel's.
pub(crate) fn measure(bytes: u64) {
    let data = TempDir::new().expect("a temporary folder can be made");
    write_metadata(data.path(), &[("t", &["c"])]);
    let messages = bytes / BODY_BYTES / 2;
    for (name, first) in [("t:c", 0), ("t", messages)] {
        let mut queue = Queue::create(data.path(), name);
        let body = vec![b'x'; usize::try_from(BODY_BYTES).expect("a body fits in memory")];
        (first..first + messages).for_each(|id| queue.put(id, 0, &body));
        queue.close();
    }
    let start = Instant::now();
    let nsqd = Nsqd::start_in(data, &[]);
    let seconds = start.elapsed().as_secs_f64();
    print(
        "import: time to start over the reference's backlog",
        seconds,
        "s",
    );
    print(
        "import: rate, synced",
        mib(2 * messages * BODY_BYTES) / seconds,
        "MiB/s",
    );
    print("import: most memory", mib(nsqd.peak_rss_bytes()), "MiB");
    assert_eq!(
        nsqd.channel("t", "c")["depth"],
        2 * messages,
        "nothing is lost"
    );
}
