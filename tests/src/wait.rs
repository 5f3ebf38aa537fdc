//! Waiting for a condition instead of for a time.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what must happen. Generous: a busy machine is not a failure.
pub const PATIENCE: Duration = Duration::from_secs(20);

const POLL: Duration = Duration::from_millis(5);

/// Waits until `holds` answers true, at most [`PATIENCE`]; then fails, naming `what` was awaited.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    some(what, || holds().then_some(()));
}

/// Waits until `find` answers something, at most [`PATIENCE`], and returns it.
#[track_caller]
pub fn some<T>(what: &str, find: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, find)
        .unwrap_or_else(|| panic!("waited {} s in vain until {what}", PATIENCE.as_secs()))
}

/// Asks `find` again and again until it answers something or `bound` has passed.
pub fn within<T>(bound: Duration, mut find: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + bound;
    loop {
        let found = find();
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        thread::sleep(POLL);
    }
}
