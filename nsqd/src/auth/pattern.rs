//! The patterns of authorization servers, compiled once for all connections that have them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use regex::bytes::{Regex, RegexBuilder};
use tracing::warn;

/// What a compiled pattern may take, twice: for the program and for the states it has met.
const PATTERN_BYTES_MAX: usize = 256 << 10;

/// A pattern, as it is searched for.
pub(super) type Pattern = Arc<Regex>;

/// Compiles patterns; those in use are compiled once.
#[derive(Debug)]
pub struct Patterns {
    /// They are for whole names.
    anchor: bool,
    warned: AtomicBool,
    in_use: Mutex<HashMap<String, Weak<Regex>>>,
}

impl Patterns {
    /// None yet; with `anchor` they will be for whole names (`--auth-anchor-patterns`).
    pub fn new(anchor: bool) -> Self {
        Self {
            anchor,
            warned: AtomicBool::new(false),
            in_use: Mutex::default(),
        }
    }

    /// The pattern of this text.
    ///
    /// # Errors
    /// Not a regular expression, or one that takes too much memory.
    pub(super) fn get(&self, text: &str) -> Result<Pattern, regex::Error> {
        let known = self.in_use.lock().get(text).and_then(Weak::upgrade);
        if let Some(known) = known {
            return Ok(known);
        }
        let pattern = Arc::new(self.compile(text)?);
        let mut in_use = self.in_use.lock();
        // Whenever their number has doubled.
        if in_use.len().is_power_of_two() {
            in_use.retain(|_, pattern| pattern.strong_count() > 0);
        }
        in_use.insert(text.to_owned(), Arc::downgrade(&pattern));
        Ok(pattern)
    }

    fn compile(&self, text: &str) -> Result<Regex, regex::Error> {
        let pattern = compile(text)?;
        if self.anchor {
            // Compiled alone first: what is no pattern by itself must not become one by what is around it.
            return compile(&format!(r"\A(?:{text})\z"));
        }
        if !is_anchored(text) && !self.warned.swap(true, Ordering::Relaxed) {
            warn!(
                pattern = text,
                "pattern of the authorization server allows every name that has it inside: begin it with ^ and end it \
                 with $, or start with --auth-anchor-patterns; further ones are not told"
            );
        }
        Ok(pattern)
    }
}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    // Names are ASCII.
    RegexBuilder::new(text)
        .unicode(false)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .build()
}

/// Whether a pattern plainly is for whole names, or for all of them. What is not plain is taken for unanchored.
fn is_anchored(text: &str) -> bool {
    let inner = text
        .strip_prefix('^')
        .and_then(|text| text.strip_suffix('$'));
    text == ".*" || inner.is_some_and(|inner| !inner.contains('|') && !inner.ends_with('\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(anchor: bool, pattern: &str, name: &str) -> bool {
        let pattern = Patterns::new(anchor).get(pattern).unwrap();
        pattern.is_match(name.as_bytes())
    }

    #[test]
    fn patterns_are_searched_for_unless_they_are_for_whole_names() {
        for (pattern, name, searched, whole) in [
            ("test", "test", true, true),
            ("test", "mytest2", true, false),
            ("^test$", "mytest2", false, false),
            ("a|b", "ab", true, false),
            ("^a|b$", "ac", true, false),
            (".*", "", true, true),
            ("", "t", true, false),
            ("(?i)ORDERS", "orders", true, true),
            (r"^t\.[0-9]+#ephemeral$", "t.12#ephemeral", true, true),
        ] {
            assert_eq!(
                matches(false, pattern, name),
                searched,
                "{pattern:?} {name:?}"
            );
            assert_eq!(matches(true, pattern, name), whole, "{pattern:?} {name:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let long = "a".repeat(1 << 20);
        for text in ["(", "a)|(?:b", "(?P<", "a{1000}{1000}{1000}", &long] {
            for anchor in [false, true] {
                assert!(Patterns::new(anchor).get(text).is_err(), "{text:.20}");
            }
        }
    }

    #[test]
    fn anchors_are_seen() {
        for text in [".*", "^a$", "^(a)$", "^$"] {
            assert!(is_anchored(text), "{text:?}");
        }
        for text in ["", "a", "^a", "a$", "^a|b$", r"^a\$", ".+"] {
            assert!(!is_anchored(text), "{text:?}");
        }
    }

    #[test]
    fn those_in_use_are_compiled_once_and_others_forgotten() {
        let patterns = Patterns::new(false);
        let kept = patterns.get("^kept$").unwrap();
        for number in 0..100 {
            patterns.get(&format!("^{number}$")).unwrap();
        }
        assert!(Arc::ptr_eq(&kept, &patterns.get("^kept$").unwrap()));
        assert!(patterns.in_use.lock().len() <= 4);
    }
}
