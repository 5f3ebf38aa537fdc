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
    /// One of two flags that belong together.
    #[error("failed to instantiate nsqadmin - --{needs} must be specified with --{by}")]
    Half {
        /// The flag that is missing.
        needs: &'static str,
        /// The flag that is there.
        by: &'static str,
    },
    /// Files for TLS cannot be used.
    #[error("failed to instantiate nsqadmin - {0}")]
    Tls(String),
}

/// Why the daemon cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Its address cannot be listened on.
    #[error("failed to instantiate nsqadmin - {0}")]
    Bind(#[from] BindError),
    /// The password file cannot be used.
    #[error("failed to instantiate nsqadmin - --password-file: {0}")]
    Passwords(#[from] crate::session::PasswordsError),
}
