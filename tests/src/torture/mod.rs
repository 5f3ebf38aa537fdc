//! The torture harness: real daemons under load, hurt on purpose, and a checker that knows what was promised.
//!
//! ```text
//! seed ─▶ plan ─▶ run: world (daemons, volume, proxy) ◀── nemesis: kill, cut, fill, …
//!                  │   load (producers, consumers)                  each at so many acknowledgements
//!                  ▼
//!               history ─▶ checker (promises) ─▶ verdict: figures, violations, the trail of each
//! ```
//!
//! - [`plan`]: one number makes all choices of a run; [`promises`]: what may be lost by which mishap, as data;
//! - [`body`], [`event`], [`history`]: messages that prove who they are, and all that happened to them, in order;
//! - [`checker`]: a pure function from a history to a verdict, which also judges histories read from a file;
//! - [`world`], `setting`, [`accounts`], [`process`], [`lookupds`], [`volume`], [`proxy`], [`namespace`]: the daemons and what they stand on; [`load`]: producers and consumers, which
//!   speak byte by byte through [`crate::wire`] and share no code with the `client` crate, and one of each by that crate;
//! - [`nemesis`]: the faults; [`requirement`]: what they need of the machine, and what becomes of those that lack it;
//! - [`run`]: warm up, hurt, heal, drain, check; [`profile`]: the runs of a submission and of a long night; [`exercise`]: what
//!   they have tried;
//! - [`flips`]: a bit flipped in each of many copies of a topic; [`sabotage`]: proof that the harness can see.

pub mod accounts;
pub mod body;
pub mod checker;
pub mod event;
pub mod exercise;
pub mod flips;
pub mod history;
pub mod load;
pub mod lookupds;
pub mod namespace;
pub mod nemesis;
pub mod plan;
pub mod process;
pub mod profile;
pub mod promises;
pub mod proxy;
pub mod report;
pub mod requirement;
pub mod run;
pub mod sabotage;
mod setting;
pub mod volume;
pub mod world;
