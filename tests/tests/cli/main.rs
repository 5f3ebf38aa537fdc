//! The `nsq` command as its users run it, against real daemons: one module per half.
#![expect(
    clippy::unwrap_used,
    reason = "everything here is a test or serves one"
)]

mod admin;
mod pub_tail;
mod refusals;
mod sinks;
mod top;
