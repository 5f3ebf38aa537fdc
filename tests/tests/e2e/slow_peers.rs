//! Who is slow on purpose: every wait for a peer has an end, and nobody else notices.

use std::time::Duration;

use tests::daemon::Nsqd;
use tests::slow;

#[test]
fn all_that_is_slow_is_closed_and_nobody_else_notices() {
    let nsqd = Nsqd::start(&[]);
    let outcome = slow::hold(&nsqd, 100);
    assert_eq!(outcome.left_open, 0, "{outcome:?}");
    // Beside compilers too.
    assert!(outcome.slowest_ping < Duration::from_secs(5), "{outcome:?}");
    nsqd.peer().publish("t", "m");
    assert!(!nsqd.log().contains("panicked"));
}
