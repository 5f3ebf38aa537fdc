//! Why a topic or a channel is not created.

use client::daemon::http::HttpError;
use hyper::StatusCode;

/// There are as many as there may be. What exists goes on; nothing more is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// Topics of this nsqd.
    #[error("too many topics, --max-topics allows {0}")]
    Topics(usize),
    /// Channels of one topic.
    #[error("too many channels, --max-channels-per-topic allows {0}")]
    Channels(usize),
}

/// Why there is no channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The topic is being deleted: get it anew from the node.
    #[error("exiting")]
    Exiting,
    /// The limit is reached.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// 503, as long as nobody deletes something.
impl From<TooMany> for HttpError {
    fn from(error: TooMany) -> Self {
        let code = match error {
            TooMany::Topics(_) => "TOO_MANY_TOPICS",
            TooMany::Channels(_) => "TOO_MANY_CHANNELS",
        };
        HttpError::new(StatusCode::SERVICE_UNAVAILABLE, code)
    }
}

/// Whether `count` is all that `max` allows; 0 allows any number.
pub(crate) fn is_reached(count: usize, max: usize) -> bool {
    max > 0 && count >= max
}
