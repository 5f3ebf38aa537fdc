//! Which topics and channels are looked at: `TOPIC`, `TOPIC/CHANNEL`, each a name or a pattern with `*`.

use std::str::FromStr;

use client::wire::{ChannelName, NameError, TopicName};

/// What is looked at; the default is everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    topic: Option<Pattern<TopicName>>,
    channel: Option<Pattern<ChannelName>>,
}

#[derive(Clone, Debug)]
enum Pattern<N> {
    /// Exactly this.
    Name(N),
    /// Anything of this form; each `*` stands for any text.
    Glob(String),
}

impl Filter {
    /// Exactly one topic, or one channel of it.
    pub(crate) fn exactly(topic: TopicName, channel: Option<ChannelName>) -> Self {
        Self {
            topic: Some(Pattern::Name(topic)),
            channel: channel.map(Pattern::Name),
        }
    }

    /// The topic, if it is a single one.
    pub(crate) fn only_topic(&self) -> Option<&TopicName> {
        match &self.topic {
            Some(Pattern::Name(name)) => Some(name),
            _ => None,
        }
    }

    /// The channel, if it is a single one.
    pub(crate) fn only_channel(&self) -> Option<&ChannelName> {
        match &self.channel {
            Some(Pattern::Name(name)) => Some(name),
            _ => None,
        }
    }

    /// Whether a topic itself is looked at; not if channels were asked for.
    pub(crate) fn has_topic(&self, topic: &str) -> bool {
        self.channel.is_none() && self.topic_matches(topic)
    }

    /// Whether a channel is looked at.
    pub(crate) fn has_channel(&self, topic: &str, channel: &str) -> bool {
        let wanted = self.channel.as_ref();
        self.topic_matches(topic) && wanted.is_none_or(|wanted| wanted.matches(channel))
    }

    fn topic_matches(&self, topic: &str) -> bool {
        let wanted = self.topic.as_ref();
        wanted.is_none_or(|wanted| wanted.matches(topic))
    }
}

impl FromStr for Filter {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (topic, channel) = match text.split_once('/') {
            Some((topic, channel)) => (topic, Some(channel)),
            None => (text, None),
        };
        Ok(Self {
            topic: Some(topic.parse()?),
            channel: channel.map(str::parse).transpose()?,
        })
    }
}

impl<N: FromStr<Err = NameError>> FromStr for Pattern<N> {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.contains('*') {
            return Ok(Self::Glob(text.to_owned()));
        }
        text.parse().map(Self::Name)
    }
}

impl<N: AsRef<str>> Pattern<N> {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(wanted) => wanted.as_ref() == name,
            Self::Glob(glob) => glob_matches(glob, name),
        }
    }
}

/// Whether `text` is of the form `glob`.
fn glob_matches(glob: &str, text: &str) -> bool {
    let Some((start, rest)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(text) = text.strip_prefix(start) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let end = pieces.pop().unwrap_or_default();
    let mut text = text;
    // The earliest place of each piece leaves the most text for those behind it.
    for piece in pieces {
        let Some(at) = text.find(piece) else {
            return false;
        };
        text = &text[at + piece.len()..];
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns_choose_topics_and_channels() {
        let all = Filter::default();
        assert!(all.has_topic("a") && all.has_channel("a", "b"));
        let topic: Filter = "orders".parse().unwrap();
        assert!(topic.has_topic("orders") && topic.has_channel("orders", "x"));
        assert!(!topic.has_topic("orders2") && !topic.has_channel("order", "x"));
        let channel: Filter = "orders/bill*".parse().unwrap();
        assert!(channel.has_channel("orders", "billing"));
        assert!(!channel.has_channel("orders", "archive") && !channel.has_topic("orders"));
        assert_eq!(channel.only_topic().unwrap().as_str(), "orders");
        assert!(channel.only_channel().is_none());
        assert!("a b".parse::<Filter>().is_err() && "orders/".parse::<Filter>().is_err());
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (glob, text, expected) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "ac", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*c", "a", false),
            ("a*a", "a", false),
            ("*b*", "ac", false),
            ("a**c", "abc", true),
        ] {
            assert_eq!(glob_matches(glob, text), expected, "{glob} {text}");
        }
    }
}
