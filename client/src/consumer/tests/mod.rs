//! The consumer against a scripted nsqd: what goes over the wire, to the command.

mod answers;
mod connecting;
mod drain;
mod fake;
mod pacing;
