//! What templates show other than as it is: counts and ages.
#![expect(
    unreachable_pub,
    clippy::inline_always,
    clippy::trivially_copy_pass_by_ref,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "askama decides what a filter looks like, and what it becomes"
)]

use std::fmt::Write as _;

/// A count with thousands apart: `12,345`.
#[askama::filter_fn]
pub(super) fn count(count: &i64, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(grouped(*count))
}

/// A rate, with a digit after the point where it is small.
#[askama::filter_fn]
pub(super) fn rate(rate: &f64, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(per_second(*rate))
}

/// Nanoseconds as an age: `5m 26s`.
#[askama::filter_fn]
pub(super) fn age(nanoseconds: &i64, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(in_two_units(nanoseconds / 1_000_000_000))
}

/// Seconds as an age, from one moment to another.
#[askama::filter_fn]
pub(super) fn span(seconds: &i64, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(in_two_units(*seconds))
}

/// A rate without its unit: scripts write it likewise.
pub(super) fn per_second(rate: f64) -> String {
    if rate < 0.05 {
        return "0".to_owned();
    }
    if rate < 9.95 {
        return format!("{rate:.1}");
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast stops at the largest number"
    )]
    grouped(rate.round() as i64)
}

/// A count with thousands apart.
pub(super) fn grouped(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut text = if count < 0 {
        "-".to_owned()
    } else {
        String::new()
    };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The two largest units; what is in the future, as clocks differ, has just begun.
fn in_two_units(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let first = units
        .iter()
        .position(|(unit, _)| seconds >= *unit)
        .unwrap_or(units.len() - 1);
    let mut rest = seconds;
    let mut text = String::new();
    for (unit, name) in units.iter().skip(first).take(2) {
        let separator = if text.is_empty() { "" } else { " " };
        write!(text, "{separator}{}{name}", rest / unit).expect("a String takes everything");
        rest %= unit;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_thousands_apart() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (-1_234_567, "-1,234,567"),
        ] {
            assert_eq!(grouped(count), text);
        }
        assert_eq!(grouped(i64::MIN), "-9,223,372,036,854,775,808");
    }

    #[test]
    fn rates_are_short() {
        for (rate, text) in [
            (0.0, "0"),
            (9.94, "9.9"),
            (10.2, "10"),
            (12_345.6, "12,346"),
        ] {
            assert_eq!(per_second(rate), text);
        }
    }

    #[test]
    fn ages_have_two_units() {
        for (seconds, text) in [
            (-5, "0s"),
            (0, "0s"),
            (59, "59s"),
            (326, "5m 26s"),
            (3600, "1h 0m"),
            (200_000, "2d 7h"),
        ] {
            assert_eq!(in_two_units(seconds), text);
        }
    }
}
