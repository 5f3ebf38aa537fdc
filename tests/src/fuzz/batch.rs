//! Many messages in one body: MPUB's and `/mpub`'s, binary and text.

use std::time::Duration;

use client::wire::{Batch, Limits, put_batch};
use nsqd::http::Lines;

const LIMITS: Limits = Limits {
    max_msg_size: 100,
    max_body_size: 400,
    max_rdy_count: 0,
    max_req_timeout: Duration::ZERO,
};

/// A batch is what it is written as; lines are what stands between newlines. Nothing is larger than allowed.
pub fn batch(data: &[u8]) {
    if let Ok(batch) = Batch::parse(data, &LIMITS) {
        let allowed = 1..=LIMITS.max_msg_size;
        assert!(batch.iter().all(|body| allowed.contains(&body.len())));
        assert_eq!(batch.iter().count(), batch.len());
        assert_eq!(
            batch.iter().map(<[u8]>::len).sum::<usize>(),
            batch.body_bytes()
        );
        let mut written = Vec::new();
        put_batch(&mut written, batch.iter());
        assert!(written.len() <= LIMITS.max_body_size && data.starts_with(&written));
    }
    let wanted = data.split(|&byte| byte == b'\n');
    let wanted: Vec<_> = wanted.filter(|line| !line.is_empty()).collect();
    match Lines::parse(data, LIMITS.max_msg_size) {
        Ok(lines) => {
            assert_eq!(lines.len(), wanted.len());
            assert_eq!(lines.collect::<Vec<_>>(), wanted);
        }
        Err(_) => assert!(wanted.iter().any(|line| line.len() > LIMITS.max_msg_size)),
    }
}
