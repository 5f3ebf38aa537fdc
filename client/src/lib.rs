//! NSQ for Rust: the wire protocol, a connection to an nsqd, and what the daemons share.
//!
//! - [`wire`]: bytes ⇄ values. No sockets, clocks or tasks; both ends of the protocol use exactly this.
//! - `daemon` (feature `daemon`): what nsqd, nsqlookupd and nsqadmin have in common as processes.

#[cfg(feature = "daemon")]
pub mod daemon;
pub mod wire;
