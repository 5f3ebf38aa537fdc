//! Which channels an alert is wanted of, and from when on.

use std::time::Duration;

use super::{Flags, not_allowed};
use crate::error::OptionsError;

/// What operators say of alerts; all else is built in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertLimits {
    /// Most messages that may wait in channels with such names, by `--alert-depth`.
    pub depths: Vec<(Pattern, i64)>,
    /// Nothing is said of these.
    pub ignored: Vec<Pattern>,
    /// For how long a channel may be paused; zero for ever.
    pub paused_max: Duration,
}

impl AlertLimits {
    /// Most messages that may wait in this channel: the least of what is said of it.
    pub(crate) fn depth_max(&self, topic: &str, channel: &str) -> Option<i64> {
        let said = self.depths.iter();
        let said = said.filter(|(pattern, _)| pattern.matches(topic, channel));
        said.map(|(_, depth_max)| *depth_max).min()
    }

    /// True if nothing is to be said of this channel; of a topic, with an empty name, if of none of its channels.
    pub(crate) fn ignores(&self, topic: &str, channel: &str) -> bool {
        let mut ignored = self.ignored.iter();
        ignored.any(|pattern| pattern.matches(topic, channel))
    }
}

/// Names of topics and of channels in them, with `*` for any letters: `orders.*/archive`. Without a slash, all channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    topic: String,
    channel: String,
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let (topic, channel) = text.split_once('/').unwrap_or((text, "*"));
        let is_plain = |name: &str| !name.is_empty() && !name.contains('/');
        (is_plain(topic) && is_plain(channel)).then(|| Self {
            topic: topic.to_owned(),
            channel: channel.to_owned(),
        })
    }

    fn matches(&self, topic: &str, channel: &str) -> bool {
        fits(&self.topic, topic) && fits(&self.channel, channel)
    }
}

/// True if `name` is `pattern`, whose stars stand for anything. Time is bounded by the product of both lengths.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

pub(super) fn limits(flags: &Flags) -> Result<AlertLimits, OptionsError> {
    let depths = flags.alert_depth.iter().map(|given| {
        let parsed = given.rsplit_once('=').and_then(|(pattern, depth)| {
            let depth_max: i64 = depth.parse().ok().filter(|depth| *depth >= 0)?;
            Some((Pattern::parse(pattern)?, depth_max))
        });
        let allowed = "topic/channel=messages, such as orders.*/*=10000";
        parsed.ok_or_else(|| not_allowed("alert-depth", given, allowed))
    });
    let ignored = flags.alert_ignore.iter().map(|given| {
        let allowed = "topic/channel, such as */*#ephemeral";
        Pattern::parse(given).ok_or_else(|| not_allowed("alert-ignore", given, allowed))
    });
    Ok(AlertLimits {
        depths: depths.collect::<Result<_, _>>()?,
        ignored: ignored.collect::<Result<_, _>>()?,
        paused_max: flags.alert_paused_after.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, topic, channel, is_meant) in [
            ("orders/archive", "orders", "archive", true),
            ("orders/archive", "orders", "archive2", false),
            ("orders", "orders", "any", true),
            ("orders", "orders2", "any", false),
            ("or*", "orders", "", true),
            ("*/*#ephemeral", "t", "c#ephemeral", true),
            ("*/*#ephemeral", "t", "c", false),
            ("a*b*c/x", "aXbbYc", "x", true),
            ("a*b*c/x", "acb", "x", false),
            ("a*a/x", "a", "x", false),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            let matches = parsed.matches(topic, channel);
            assert_eq!(matches, is_meant, "{pattern}: {topic}/{channel}");
        }
        for wrong in ["", "/", "a/", "/c", "a/b/c"] {
            assert_eq!(Pattern::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_lowest_bound_counts() {
        let pattern = |text| Pattern::parse(text).unwrap();
        let limits = AlertLimits {
            depths: vec![(pattern("*"), 1000), (pattern("orders/c"), 10)],
            ignored: vec![pattern("test.*")],
            ..AlertLimits::default()
        };
        assert_eq!(limits.depth_max("orders", "c"), Some(10));
        assert_eq!(limits.depth_max("orders", "d"), Some(1000));
        assert_eq!(AlertLimits::default().depth_max("orders", "c"), None);
        assert!(limits.ignores("test.a", "c") && limits.ignores("test.a", ""));
        assert!(!limits.ignores("tests", "c"));
    }
}
