//! The consumer against a scripted nsqd: what goes over the wire, to the command.

mod answers;
mod connecting;
#[cfg(feature = "http")]
mod discovery;
mod drain;
mod fake;
mod handling;
mod merging;
mod pacing;
