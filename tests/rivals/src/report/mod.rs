//! Telling what was measured: a table, a file for programs, plots, and whether the goals were reached.

pub(crate) mod goals;
pub(crate) mod json;
pub(crate) mod machine;
pub(crate) mod plots;
pub(crate) mod table;
