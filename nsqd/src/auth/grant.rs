//! What an authorization server has granted: its answer, checked, and the decisions that follow from it.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::pattern::{Pattern, Patterns};

/// Longer than this nothing is granted, so that no sum of times overflows.
const TTL_MAX: Duration = Duration::from_hours(24 * 365);
/// Patterns in one answer.
const PATTERNS_MAX: usize = 1024;

/// What a client may do, and until when.
#[derive(Debug)]
pub struct Grant {
    /// Who it is.
    pub identity: String,
    /// Where there is more about it.
    pub identity_url: String,
    entries: Vec<Entry>,
    /// When it is worth asking again, though it still holds.
    pub renew_at: Instant,
    /// When it ends.
    pub expires_at: Instant,
}

/// What is to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// SUB.
    Subscribe,
    /// PUB, MPUB, DPUB.
    Publish,
}

/// One line of a grant: all of it has to fit.
#[derive(Debug)]
struct Entry {
    topic: Pattern,
    channels: Vec<Pattern>,
    subscribe: bool,
    publish: bool,
}

/// Why an answer is no grant.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// Not the JSON that is wanted. What is there instead may be a secret.
    #[error("answer not understood at line {}, column {}", .0.line(), .0.column())]
    Json(#[from] serde_json::Error),
    /// A time to live that is over at once.
    #[error("ttl must be above 0, not {0}")]
    Ttl(i64),
    /// A permission that does not exist.
    #[error("permissions are subscribe and publish, not {0:?}")]
    Permission(String),
    /// A pattern that can't be used.
    #[error("pattern {pattern:?} can't be used: {cause}")]
    Pattern {
        /// As it was answered.
        pattern: String,
        /// What is wrong with it.
        cause: Box<regex::Error>,
    },
    /// More patterns than are looked at.
    #[error("more than {PATTERNS_MAX} patterns")]
    TooMany,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    ttl: i64,
    identity: Option<String>,
    identity_url: Option<String>,
    authorizations: Option<Vec<Authorization>>,
}

#[derive(Deserialize)]
struct Authorization {
    topic: Option<String>,
    channels: Option<Vec<String>>,
    permissions: Option<Vec<String>>,
}

impl Grant {
    /// Checks an answer that came at `now`. Compiles patterns, so it is not for the threads that serve connections.
    pub fn parse(answer: &[u8], patterns: &Patterns, now: Instant) -> Result<Self, GrantError> {
        let answer: Answer = serde_json::from_slice(answer)?;
        let ttl = match u64::try_from(answer.ttl) {
            Ok(seconds @ 1..) => Duration::from_secs(seconds).min(TTL_MAX),
            _ => return Err(GrantError::Ttl(answer.ttl)),
        };
        let authorizations = answer.authorizations.unwrap_or_default();
        let channels = authorizations
            .iter()
            .filter_map(|entry| entry.channels.as_ref());
        if authorizations.len() + channels.map(Vec::len).sum::<usize>() > PATTERNS_MAX {
            return Err(GrantError::TooMany);
        }
        let entries = authorizations
            .into_iter()
            .map(|authorization| Entry::parse(authorization, patterns))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            identity: answer.identity.unwrap_or_default(),
            identity_url: answer.identity_url.unwrap_or_default(),
            entries,
            renew_at: now + ttl / 10 * 9,
            expires_at: now + ttl,
        })
    }

    /// How many lines it has; with none it allows nothing.
    pub fn permission_count(&self) -> usize {
        self.entries.len()
    }

    /// Whether it allows this. The channel of a publish is empty.
    pub fn allows(&self, permission: Permission, topic: &str, channel: &str) -> bool {
        self.entries.iter().any(|entry| {
            let permitted = match permission {
                Permission::Subscribe => entry.subscribe,
                Permission::Publish => entry.publish,
            };
            permitted
                && entry.topic.is_match(topic.as_bytes())
                && (entry.channels.iter()).any(|pattern| pattern.is_match(channel.as_bytes()))
        })
    }
}

impl Entry {
    fn parse(authorization: Authorization, patterns: &Patterns) -> Result<Self, GrantError> {
        let compile = |text: &String| {
            patterns.get(text).map_err(|cause| GrantError::Pattern {
                pattern: text.chars().take(100).collect(),
                cause: Box::new(cause),
            })
        };
        let mut entry = Self {
            topic: compile(&authorization.topic.unwrap_or_default())?,
            channels: (authorization.channels.iter().flatten())
                .map(compile)
                .collect::<Result<_, _>>()?,
            subscribe: false,
            publish: false,
        };
        for permission in authorization.permissions.into_iter().flatten() {
            match permission.as_str() {
                "subscribe" => entry.subscribe = true,
                "publish" => entry.publish = true,
                _ => return Err(GrantError::Permission(permission)),
            }
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(answer: &str) -> Result<Grant, GrantError> {
        Grant::parse(answer.as_bytes(), &Patterns::new(false), Instant::now())
    }

    fn grant(authorizations: &str) -> Grant {
        parse(&format!(
            r#"{{"ttl":10,"authorizations":[{authorizations}]}}"#
        ))
        .unwrap()
    }

    #[test]
    fn one_line_has_to_fit_in_everything() {
        use Permission::{Publish, Subscribe};
        let all = r#"{"topic":".*","channels":[".*"],"permissions":["subscribe","publish"]}"#;
        let consumer = r#"{"topic":"^t$","channels":["^a$","^c$"],"permissions":["subscribe"]}"#;
        let producer = r#"{"topic":"^p$","channels":[],"permissions":["publish"]}"#;
        let unanchored = r#"{"topic":"test","channels":["b"],"permissions":["subscribe"]}"#;
        for (lines, permission, topic, channel, allowed) in [
            (all, Publish, "t", "", true),
            (all, Subscribe, "t", "c", true),
            (consumer, Subscribe, "t", "c", true),
            (consumer, Subscribe, "t", "b", false),
            (consumer, Subscribe, "u", "c", false),
            (consumer, Publish, "t", "", false),
            (producer, Publish, "p", "", false),
            (unanchored, Subscribe, "mytest2", "abc", true),
            ("{}", Publish, "t", "", false),
            ("", Subscribe, "t", "c", false),
        ] {
            let grant = grant(lines);
            assert_eq!(
                grant.allows(permission, topic, channel),
                allowed,
                "{lines} {topic}"
            );
        }
        let two = grant(&format!("{consumer},{producer}"));
        assert_eq!(two.permission_count(), 2);
        assert!(
            !two.allows(Publish, "t", ""),
            "not half of one and half of the other"
        );
    }

    #[test]
    fn times_are_bounded() {
        let before = Instant::now();
        let grant = grant("");
        let ends = before + Duration::from_secs(10);
        assert!(grant.expires_at >= ends && grant.renew_at < grant.expires_at);
        let longest = parse(&format!(r#"{{"ttl":{}}}"#, i64::MAX)).unwrap();
        assert!(longest.expires_at > before + TTL_MAX / 2);
    }

    #[test]
    fn answers_that_are_no_grants() {
        let many = vec!["\"a\""; PATTERNS_MAX].join(",");
        let many = format!(r#"{{"ttl":1,"authorizations":[{{"channels":[{many}]}}]}}"#);
        for (answer, reason) in [
            ("", "not understood"),
            ("[]", "not understood"),
            (r#"{"ttl":"1"}"#, "not understood"),
            (r#"{"ttl":1.5}"#, "not understood"),
            (r#"{"ttl":1}}"#, "not understood"),
            ("{}", "ttl must be above 0, not 0"),
            (r#"{"ttl":-1}"#, "not -1"),
            (
                r#"{"ttl":1,"authorizations":[{"permissions":["admin"]}]}"#,
                "\"admin\"",
            ),
            (
                r#"{"ttl":1,"authorizations":[{"topic":"("}]}"#,
                "pattern \"(\"",
            ),
            (
                r#"{"ttl":1,"authorizations":[{"channels":["["]}]}"#,
                "pattern \"[\"",
            ),
            (many.as_str(), "more than 1024"),
        ] {
            let error = parse(answer).expect_err(answer).to_string();
            assert!(error.contains(reason), "{answer:.60}: {error}");
        }
        assert!(parse(r#"{"ttl":1,"identity":null,"authorizations":null}"#).is_ok());
    }
}
