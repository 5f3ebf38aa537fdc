//! What can be done to a topic or a channel; nsqd and nsqlookupd have the same endpoints for it.

use std::fmt;

use super::{Client, RequestError, query};
use crate::wire::{ChannelName, TopicName};

/// What can be done to a topic or a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Makes it exist. Both daemons.
    Create,
    /// Removes it, with its messages. Both daemons.
    Delete,
    /// Drops its messages. nsqd only.
    Empty,
    /// Hands out no messages until `Unpause`. nsqd only.
    Pause,
    /// Ends `Pause`. nsqd only.
    Unpause,
}

/// As the endpoints are called.
impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Empty => "empty",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
        })
    }
}

/// Something to be done to a topic, or to one channel of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What to do.
    pub verb: Verb,
    /// To which topic.
    pub topic: TopicName,
    /// To which channel of it; `None` means the topic itself.
    pub channel: Option<ChannelName>,
}

impl Action {
    /// The path with its query, the same on nsqd and nsqlookupd.
    pub(super) fn path(&self) -> String {
        let endpoint = match self.channel {
            None => format!("/topic/{}", self.verb),
            Some(_) => format!("/channel/{}", self.verb),
        };
        let channel = self.channel.as_ref().map(ChannelName::as_str);
        let values = [("topic", Some(self.topic.as_str())), ("channel", channel)];
        query::path(&endpoint, &values)
    }
}

impl Client {
    /// Has the nsqd or nsqlookupd at `address` do something.
    pub async fn act(&self, address: &str, action: &Action) -> Result<(), RequestError> {
        let answer = self.post(address, &action.path(), "").await;
        answer.map(drop)
    }
}
