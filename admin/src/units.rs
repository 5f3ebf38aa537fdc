//! Counts, rates and ages as people read them.

use std::fmt::Write as _;

/// A rate a second without its unit, with a digit after the point where it is small. Scripts write it likewise.
pub(crate) fn per_second(rate: f64) -> String {
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

/// A count with thousands apart: `12,345`.
pub(crate) fn grouped(count: i64) -> String {
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

/// Seconds in their two largest units: `5m 26s`. What is in the future, as clocks differ, has just begun.
pub(crate) fn span(seconds: i64) -> String {
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

/// Nanoseconds as a latency, with three digits: `132 ms`, `1.20 s`; a dash for none. Scripts write it likewise.
pub(crate) fn latency(nanoseconds: f64) -> String {
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    let unit = units.into_iter().find(|(unit, _)| nanoseconds >= *unit);
    let Some((unit, name)) = unit else {
        return if nanoseconds > 0.0 { "<1 µs" } else { "–" }.to_owned();
    };
    let value = nanoseconds / unit;
    let digits = match value {
        ..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {name}")
}

/// Bytes in the unit of which there are a few: `12.3 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.into_iter().find(|(unit, _)| bytes >= *unit);
    let Some((unit, name)) = unit else {
        return format!("{bytes} B");
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "one digit after the point is shown"
    )]
    let value = bytes as f64 / unit as f64;
    format!("{value:.1} {name}")
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
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn latencies_and_sizes_are_in_a_unit_that_fits() {
        for (nanoseconds, text) in [
            (-1.0, "–"),
            (0.0, "–"),
            (999.0, "<1 µs"),
            (1_500.0, "1.50 µs"),
            (12_345_678.0, "12.3 ms"),
            (132_673_622.0, "133 ms"),
            (4e12, "4000 s"),
        ] {
            assert_eq!(latency(nanoseconds), text);
        }
        for (count, text) in [
            (0, "0 B"),
            (1024, "1.0 KiB"),
            (u64::MAX, "17179869184.0 GiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
