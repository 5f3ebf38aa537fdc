//! What a user of the client library sees, tried against real daemons: one module per half.
#![expect(
    clippy::unwrap_used,
    reason = "everything here is a test or serves one"
)]

mod consumer;
mod producer;
