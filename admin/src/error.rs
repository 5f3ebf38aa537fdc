//! Why the daemon does not start.

use client::daemon::listen::BindError;
use thiserror::Error;

/// A setting that nsqadmin cannot run with.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OptionsError {
    /// Nobody to ask. Worded as the reference does.
    #[error(
        "failed to instantiate nsqadmin - --nsqd-http-address or --lookupd-http-address required"
    )]
    NoAddress,
    /// Two ways to learn of nodes. Worded as the reference does.
    #[error(
        "failed to instantiate nsqadmin - use --nsqd-http-address or --lookupd-http-address not both"
    )]
    BothKinds,
    /// Outside what is allowed.
    #[error("failed to instantiate nsqadmin - --{flag} must be {allowed}, not {value:?}")]
    NotAllowed {
        /// The flag, without dashes.
        flag: &'static str,
        /// The value given.
        value: String,
        /// The values allowed.
        allowed: &'static str,
    },
    /// Asks for a function that is not there yet.
    #[error(
        "failed to instantiate nsqadmin - --{flag}={value} is not supported yet; start without it"
    )]
    NotSupported {
        /// The flag, without dashes.
        flag: &'static str,
        /// The value given.
        value: String,
    },
}

/// Why the daemon cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Its address cannot be listened on.
    #[error("failed to instantiate nsqadmin - {0}")]
    Bind(#[from] BindError),
}
