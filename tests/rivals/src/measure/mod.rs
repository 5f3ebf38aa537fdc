//! Taking figures: what a process uses, how long messages take, and what that makes for each message.

mod meter;
mod metric;
mod pace;
mod syscalls;
mod usage;
mod window;

pub(crate) use meter::{Meter, Stamps};
pub(crate) use metric::{Figures, Metric};
pub(crate) use pace::ticks;
pub(crate) use syscalls::Trace;
pub(crate) use usage::{Usage, resident_bytes};
pub(crate) use window::{Tasks, costs, window};
