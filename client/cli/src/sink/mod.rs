//! What commands that consume for ever have in common: which topics, until when, and how they end.
//!
//! ```text
//! topics named, or found ─▶ one pipeline each ─▶ file, HTTP server, another cluster
//! first signal: every pipeline drains · second: within a second · third: the end
//! ```

mod stop;
mod topics;

pub(crate) use self::stop::Stop;
pub(crate) use self::topics::{Selection, run_each};
