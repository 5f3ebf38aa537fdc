//! NSQ for Rust: the wire protocol, and what the daemons share.
//!
//! - [`wire`]: bytes ⇄ values. No sockets, clocks or tasks; both ends of the protocol use exactly
//!   this.
//! - `daemon` (feature `daemon`): what nsqd, nsqlookupd and nsqadmin have in common as processes.
//!
//! What a client encodes, a server decodes:
//!
//! ```
//! use client::wire::{Command, CommandDecoder, Decoded, Limits, NameRef};
//!
//! let publish = Command::Publish { topic: NameRef::parse(b"orders")?, body: b"one coffee" };
//! let mut bytes = Vec::new();
//! publish.encode(&mut bytes);
//! assert_eq!(bytes, b"PUB orders\n\0\0\0\x0aone coffee");
//!
//! let mut decoder = CommandDecoder::default();
//! let decoded = decoder.decode(&bytes, &Limits::default(), |_kind| Ok(()))?;
//! assert_eq!(decoded, Decoded::Command { command: publish, consumed: bytes.len() });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "daemon")]
pub mod daemon;
pub mod wire;
