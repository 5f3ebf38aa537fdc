//! The harness of the end-to-end tests: real binaries, real sockets, real files.
//!
//! ```no_run
//! use tests::daemon::Nsqd;
//!
//! let nsqd = Nsqd::start(&["--mem-queue-size=100"]);
//! nsqd.publish("orders", "hello");
//! let mut consumer = nsqd.consumer("orders", "billing");
//! consumer.send("RDY 1\n");
//! assert_eq!(consumer.message().body, b"hello");
//! ```
//!
//! - [`daemon`]: an nsqd with its own ports and data path, which can be stopped, killed and restarted;
//!   [`reference`] makes a data path such as a Go nsqd leaves;
//!   [`binary`] finds the program, [`log`] keeps what it wrote, [`process`] reads what it uses;
//! - [`lookupd`]: an nsqlookupd on free ports, likewise, and [`nsqadmin`];
//! - [`authd`]: an authorization server that says what it is told to;
//! - [`wire`]: a peer that speaks NSQ byte by byte, and says wrong things on purpose. It shares no code with
//!   the `client` crate, so that one mistake cannot hide behind the same mistake on the other side;
//! - [`http`]: the same for HTTP; [`certificates`]: an authority for TLS;
//! - [`slow`]: peers that begin something and do not go on;
//! - [`wait`]: until a condition holds, and [`random`]: seeds that are printed;
//! - [`fuzz`]: what is fed arbitrary bytes;
//! - [`load`]: a load generator for the commands in `src/bin`, which print figures;
//! - [`torture`]: daemons hurt on purpose under load, and the proof that they kept their promises.
#![expect(
    clippy::missing_panics_doc,
    reason = "a harness speaks by panicking: each failed expectation is a failed test"
)]

pub mod authd;
pub mod binary;
pub mod certificates;
pub mod daemon;
pub mod fuzz;
pub mod http;
pub mod load;
pub mod log;
pub mod lookupd;
pub mod nsqadmin;
pub mod process;
pub mod random;
pub mod reference;
pub mod slow;
pub mod torture;
pub mod wait;
pub mod wire;
