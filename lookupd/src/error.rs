//! Why the daemon does not start.

use client::daemon::listen::BindError;
use thiserror::Error;

/// A setting that nsqlookupd cannot run with.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("failed to instantiate nsqlookupd - --{flag} must be {allowed}, not {value}")]
pub struct OptionsError {
    /// The flag, without dashes.
    pub flag: &'static str,
    /// The value given.
    pub value: String,
    /// The values allowed.
    pub allowed: &'static str,
}

/// Why the daemon cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// One of its two addresses cannot be listened on.
    #[error("failed to instantiate nsqlookupd - {0}")]
    Bind(#[from] BindError),
}
