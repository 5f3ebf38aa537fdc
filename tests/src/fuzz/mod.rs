//! Functions that are fed arbitrary bytes: everything that a peer, an operator or a damaged disk can hand to the daemons.
//!
//! Each is a plain `fn(&[u8])` that asserts what must hold for any input, and panics where it does not. The fuzzer in
//! `tests/fuzz` drives them by coverage; the test `fuzz` runs them over the seeds kept there and over [mutations](mutate) of
//! these, so that they are tried wherever the other tests are.
//!
//! Where bytes come as a stream, the first two of an input say how the rest is cut into pieces: it must not matter.

mod batch;
mod commands;
mod config;
mod damage;
mod disk;
mod frames;
mod grant;
mod http;
mod identify;
mod lookup;
mod metadata;
pub mod mutate;
mod progress;
mod segments;
mod transport;

use std::ops::Range;

use fastrand::Rng;

pub use batch::batch;
pub use commands::commands;
pub use config::config;
pub use frames::frames;
pub use grant::grant;
pub use http::http;
pub use identify::identify;
pub use lookup::lookup;
pub use metadata::metadata;
pub use progress::progress;
pub use segments::segments;
pub use transport::transport;

/// What is fed any bytes, and panics where something does not hold that should.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its program and of its folder of seeds in `tests/fuzz`.
pub const TARGETS: &[(&str, Target)] = &[
    ("batch", batch),
    ("commands", commands),
    ("config", config),
    ("frames", frames),
    ("grant", grant),
    ("http", http),
    ("identify", identify),
    ("lookup", lookup),
    ("metadata", metadata),
    ("progress", progress),
    ("segments", segments),
    ("transport", transport),
];

/// Cuts a stream into pieces of random lengths.
#[derive(Debug, Clone)]
struct Cuts {
    rng: Rng,
    longest: usize,
}

impl Cuts {
    /// Takes what says how to cut off the start of an input; `None` if it is too short to say.
    fn of(data: &[u8]) -> Option<(Cuts, &[u8])> {
        let (seed, stream) = data.split_first_chunk::<2>()?;
        let cuts = Cuts {
            rng: Rng::with_seed(u64::from(u16::from_be_bytes(*seed))),
            longest: 1 << (seed[0] % 12),
        };
        Some((cuts, stream))
    }

    /// How long the next piece is, from 1.
    fn next(&mut self) -> usize {
        self.rng.usize(1..=self.longest)
    }

    /// The pieces of a stream of this length.
    fn pieces(mut self, length: usize) -> impl Iterator<Item = Range<usize>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = at;
            at = length.min(start + self.next());
            (start < length).then_some(start..at)
        })
    }
}
