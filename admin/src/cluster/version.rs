//! Versions of nsqd, and which of two is the later one.

/// A semantic version, as far as order needs it; what cannot be parsed is 0.0.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    numbers: [u64; 3],
    /// A release is later than its alphas and betas.
    is_release: bool,
}

impl Version {
    pub(super) fn parse(text: &str) -> Self {
        let (core, is_release) = match text.split_once(['-', '+']) {
            Some((core, rest)) => (core, text.as_bytes()[core.len()] == b'+' || rest.is_empty()),
            None => (text, true),
        };
        let numbers: Option<Vec<u64>> = core.split('.').map(|part| part.parse().ok()).collect();
        let numbers = numbers.and_then(|numbers| numbers.try_into().ok());
        numbers.map_or_else(Self::default, |numbers| Self {
            numbers,
            is_release,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_order_and_garbage_is_the_oldest() {
        let ordered = ["garbage", "0.3.8", "1.2.1", "1.3.0-rc.1", "1.3.0", "1.10.0"];
        let parsed = ordered.map(Version::parse);
        assert!(parsed.is_sorted_by(|a, b| a < b), "{parsed:?}");
        assert_eq!(Version::parse("1.3.0+build"), Version::parse("1.3.0"));
        for garbage in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "a.b.c",
            "-1.0.0",
            "99999999999999999999.0.0",
        ] {
            assert_eq!(Version::parse(garbage), Version::default(), "{garbage}");
        }
    }
}
