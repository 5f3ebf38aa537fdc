//! NSQ for Rust: the wire protocol, and what the daemons share.
//!
//! - [`wire`]: bytes ⇄ values. No sockets, clocks or tasks; both ends of the protocol use exactly
//!   this.
//! - [`connection`]: one connection to an nsqd. Connect, handshake, then frames in and commands out.
//! - [`consumer`]: messages of a topic from all nsqds that have it.
//! - [`producer`]: publishing to one nsqd or many, confirmed, with reconnect and failover.
//! - [`typed`]: values instead of bytes, through a codec.
//! - `http` (feature `http`): questions to the daemons' HTTP APIs, above all who has a topic.
//! - `tls` (feature `tls`): whom to trust and what to show, as files and policies; a configuration of rustls.
//! - [`transport`]: TLS (feature `tls`), snappy and deflate (feature `compression`) below the frames.
//! - `daemon` (feature `daemon`): what nsqd, nsqlookupd and nsqadmin have in common as processes.
//!
//! Publish a message, then receive it:
//!
//! ```no_run
//! use client::connection::{ConnectOptions, Connection};
//! use client::wire::{Command, Frame, NameRef};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let address = "127.0.0.1:4150".parse()?;
//! let topic = NameRef::parse(b"orders")?;
//!
//! let mut producer = Connection::connect(&address, &ConnectOptions::default()).await?;
//! producer.request(&Command::Publish { topic, body: b"one coffee" }).await?;
//!
//! let mut consumer = Connection::connect(&address, &ConnectOptions::default()).await?;
//! consumer.subscribe(topic, NameRef::parse(b"kitchen")?).await?;
//! consumer.writer().write(&Command::Ready { count: 1 });
//! if let Frame::Message(message) = consumer.next_frame().await? {
//!     assert_eq!(message.body, "one coffee");
//!     consumer.writer().write(&Command::Finish { id: message.id });
//!     consumer.writer().flush().await?;
//! }
//! # Ok(())
//! # }
//! ```
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

pub mod connection;
pub mod consumer;
#[cfg(feature = "daemon")]
pub mod daemon;
#[cfg(feature = "http")]
pub mod http;
pub mod producer;
pub mod reconnect;
#[cfg(feature = "tls")]
pub mod tls;
pub mod transport;
pub mod typed;
pub mod wire;
