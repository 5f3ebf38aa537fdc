//! What an authorization server answers to nsqd.

use nsqd::auth::{Grant, Patterns, Permission};
use tokio::time::Instant;

/// Longest answer: compiling the patterns of a longer one takes more than the second that a fuzzer allows.
const BYTES_MAX: usize = 4096;

/// A grant ends, later than it is worth renewing; without lines it allows nothing.
pub fn grant(data: &[u8]) {
    let answer = &data[..data.len().min(BYTES_MAX)];
    for anchor in [false, true] {
        let now = Instant::now();
        let Ok(grant) = Grant::parse(answer, &Patterns::new(anchor), now) else {
            continue;
        };
        assert!(now <= grant.renew_at && grant.renew_at <= grant.expires_at);
        for permission in [Permission::Publish, Permission::Subscribe] {
            let allowed = grant.allows(permission, "orders", "billing");
            assert!(!allowed || grant.permission_count() > 0);
        }
    }
}
