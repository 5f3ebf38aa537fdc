//! Random numbers that can be had again.

/// A generator whose seed is printed, and shown when the test fails. `NSQ_TEST_SEED` repeats a run.
///
/// # Panics
///
/// When `NSQ_TEST_SEED` is not a number.
pub fn seeded(test: &str) -> fastrand::Rng {
    let seed = match std::env::var("NSQ_TEST_SEED") {
        Ok(seed) => seed
            .parse()
            .expect("NSQ_TEST_SEED is a number from 0 to 2^64 - 1"),
        Err(_) => fastrand::u64(..),
    };
    eprintln!("{test}: repeat with NSQ_TEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}
