//! What a user of the client library sees, tried against real daemons: one module per half, and one for what both do.
#![expect(
    clippy::unwrap_used,
    reason = "everything here is a test or serves one"
)]

mod consumer;
mod producer;
mod security;
