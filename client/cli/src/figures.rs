//! Figures as people read them.

use std::time::Duration;

/// A count with a comma between groups of three digits.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many of something, and what: `1 message`, `2 messages`.
pub(crate) fn messages(value: u64) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} message{plural}", count(value))
}

/// `value` in each second of `elapsed`; 0 if no time has passed.
#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is an estimate, 52 bits of it are plenty"
)]
pub(crate) fn per_second(value: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() {
        return 0.0;
    }
    value as f64 / elapsed.as_secs_f64()
}

/// A rate without fraction, with a comma between groups of three digits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are positive, and far below 2^64"
)]
pub(crate) fn rate(per_second: f64) -> String {
    count(per_second.round() as u64)
}

/// A duration with three digits that count: `12.3 ms`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let (value, unit) = match duration.as_nanos() {
        0..1_000_000 => (seconds * 1e6, "µs"),
        1_000_000..1_000_000_000 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    let decimals = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_groups_of_three() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(value), text);
        }
        assert_eq!(messages(1), "1 message");
        assert_eq!(messages(2000), "2,000 messages");
    }

    #[test]
    fn durations_have_three_digits() {
        let check = |nanos, text: &str| assert_eq!(duration(Duration::from_nanos(nanos)), text);
        check(0, "0.00 µs");
        check(1_500, "1.50 µs");
        check(45_678, "45.7 µs");
        check(999_400, "999 µs");
        check(12_345_678, "12.3 ms");
        check(61_000_000_000, "61.0 s");
    }

    #[test]
    fn rates_are_per_second() {
        assert_eq!(rate(per_second(3000, Duration::from_millis(1500))), "2,000");
        assert_eq!(rate(per_second(3000, Duration::ZERO)), "0");
    }
}
