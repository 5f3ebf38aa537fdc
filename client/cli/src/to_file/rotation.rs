//! When a file has to give way to the next. No files, no clock.

use std::time::Duration;

/// The limits of one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Most bytes, passed by one message at most. 0 is no limit.
    pub(crate) bytes: u64,
    /// Longest time that a file is written. Zero is no limit.
    pub(crate) age: Duration,
}

/// The file that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Current<'a> {
    /// What it is called, revision aside.
    pub(super) series: &'a str,
    /// Its size.
    pub(super) bytes: u64,
    /// For how long it has been open.
    pub(super) age: Duration,
}

/// What comes after the current file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The first revision of a new series.
    Series,
    /// The next revision.
    Revision,
}

impl Limits {
    /// What has to come after the `current` file, if its time is over. `series` is what a file is called now.
    pub(super) fn next(self, current: Current<'_>, series: &str) -> Option<Next> {
        if current.series != series {
            Some(Next::Series)
        } else if self.age_is_reached(current.age) || self.bytes_are_passed(current.bytes) {
            Some(Next::Revision)
        } else {
            None
        }
    }

    /// Whether a file of this size takes no more.
    pub(super) fn bytes_are_passed(self, bytes: u64) -> bool {
        self.bytes > 0 && bytes > self.bytes
    }

    fn age_is_reached(self, age: Duration) -> bool {
        !self.age.is_zero() && age > self.age
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_way_to_a_new_name_then_to_age_and_size() {
        let limits = Limits {
            bytes: 60,
            age: Duration::from_secs(10),
        };
        let check = |limits: Limits, series: &str, bytes, age, expected| {
            let age = Duration::from_secs(age);
            let current = Current {
                series: "a",
                bytes,
                age,
            };
            assert_eq!(limits.next(current, series), expected, "{current:?}");
        };
        check(limits, "a", 60, 10, None);
        check(limits, "a", 61, 0, Some(Next::Revision));
        check(limits, "a", 0, 11, Some(Next::Revision));
        check(limits, "b", 61, 11, Some(Next::Series));
        check(Limits::default(), "a", u64::MAX, 1 << 40, None);
    }
}
