//! Durations as operators write them: the syntax of Go, in which NSQ's flags and files are written.
//!
//! A number with a unit, or several: `300ms`, `1.5h`, `1m30s`. Units are `ns`, `us` (also `µs`), `ms`,
//! `s`, `m` and `h`; a bare `0` needs none. Nothing in NSQ has a negative duration, so those are refused.

use std::{fmt, str::FromStr, time::Duration};

use thiserror::Error;

/// A [`Duration`] that is read and shown as Go does it. At most 2^63 − 1 ns, about 292 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(pub Duration);

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DurationError {
    /// Not numbers with units.
    #[error("not a duration; allowed are numbers with a unit (ns, us, ms, s, m, h), as in 1m30s")]
    Syntax,
    /// A number without a unit other than `0`.
    #[error("a duration needs a unit: ns, us, ms, s, m or h, as in 250ms")]
    NoUnit,
    /// Below zero.
    #[error("negative; a duration is 0 or more")]
    Negative,
    /// Longer than the reference can hold.
    #[error("too long; at most 2562047h47m16.854775807s are allowed")]
    TooLong,
}

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        if text.starts_with('-') {
            return Err(DurationError::Negative);
        }
        let mut rest = text.strip_prefix('+').unwrap_or(text);
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.is_empty() {
            return Err(DurationError::Syntax);
        }
        let mut nanos: u128 = 0;
        while !rest.is_empty() {
            let (part, after) = leading_part(rest)?;
            nanos += part;
            if nanos > NANOS_MAX {
                return Err(DurationError::TooLong);
            }
            rest = after;
        }
        let nanos = u64::try_from(nanos).expect("checked against NANOS_MAX above");
        Ok(Self(Duration::from_nanos(nanos)))
    }
}

/// As Go shows it: `1h0m5s`, `360.866662ms`, `0s`.
impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        match nanos {
            0 => f.write_str("0s"),
            1..MICRO => write!(f, "{nanos}ns"),
            MICRO..MILLI => write!(f, "{}µs", Decimal { nanos, unit: MICRO }),
            MILLI..SECOND => write!(f, "{}ms", Decimal { nanos, unit: MILLI }),
            _ => {
                let (hours, minutes) = (nanos / HOUR, nanos % HOUR / MINUTE);
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if nanos >= MINUTE {
                    write!(f, "{minutes}m")?;
                }
                let nanos = nanos % MINUTE;
                write!(
                    f,
                    "{}s",
                    Decimal {
                        nanos,
                        unit: SECOND
                    }
                )
            }
        }
    }
}

/// `nanos` counted in `unit`, with the fraction but without its trailing zeros.
struct Decimal {
    nanos: u128,
    unit: u128,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = self.nanos % self.unit;
        write!(f, "{}", self.nanos / self.unit)?;
        if fraction == 0 {
            return Ok(());
        }
        let width = self.unit.ilog10() as usize;
        let digits = format!("{fraction:0width$}");
        write!(f, ".{}", digits.trim_end_matches('0'))
    }
}

/// The first number with its unit, in nanoseconds, and what follows it.
fn leading_part(text: &str) -> Result<(u128, &str), DurationError> {
    let (whole, rest) = leading_digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => leading_digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationError::Syntax);
    }
    let unit_end = rest
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let unit = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => MICRO,
        "ms" => MILLI,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        "" => return Err(DurationError::NoUnit),
        _ => return Err(DurationError::Syntax),
    };
    Ok((scaled(whole, fraction, unit)?, rest))
}

fn leading_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// `whole.fraction` units in nanoseconds; what is below a nanosecond is cut off.
fn scaled(whole: &str, fraction: &str, unit: u128) -> Result<u128, DurationError> {
    let whole: u128 = match whole {
        "" => 0,
        digits => digits.parse().map_err(|_| DurationError::TooLong)?,
    };
    // Digits below 10^-15 of an hour are far below a nanosecond, and would only overflow.
    let fraction = &fraction[..fraction.len().min(15)];
    let fraction_nanos = match fraction {
        "" => 0,
        digits => {
            let value: u128 = digits.parse().expect("at most 15 digits");
            value * unit / 10u128.pow(u32::try_from(digits.len()).expect("at most 15"))
        }
    };
    let whole_nanos = whole.checked_mul(unit).ok_or(DurationError::TooLong)?;
    whole_nanos
        .checked_add(fraction_nanos)
        .filter(|&nanos| nanos <= NANOS_MAX)
        .ok_or(DurationError::TooLong)
}

const MICRO: u128 = 1_000;
const MILLI: u128 = 1_000 * MICRO;
const SECOND: u128 = 1_000 * MILLI;
const MINUTE: u128 = 60 * SECOND;
const HOUR: u128 = 60 * MINUTE;
/// The longest duration of the reference: a signed 64-bit count of nanoseconds.
const NANOS_MAX: u128 = i64::MAX as u128;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, nanos: u64) {
        assert_eq!(
            text.parse(),
            Ok(GoDuration(Duration::from_nanos(nanos))),
            "{text}"
        );
    }

    fn refuses(text: &str, error: DurationError) {
        assert_eq!(text.parse::<GoDuration>(), Err(error), "{text:?}");
    }

    #[test]
    fn reads_what_go_reads() {
        check("0", 0);
        check("+0", 0);
        check("0s", 0);
        check("5ns", 5);
        check("300ms", 300_000_000);
        check("1.5h", 5_400_000_000_000);
        check(".5s", 500_000_000);
        check("1.s", 1_000_000_000);
        check("1m30s", 90_000_000_000);
        check("2us3µs4μs", 9_000);
        check("0.0000000000000000000001s", 0);
        check("9223372036854775807ns", i64::MAX.unsigned_abs());
    }

    #[test]
    fn refuses_what_is_no_duration() {
        refuses("", DurationError::Syntax);
        refuses("s", DurationError::Syntax);
        refuses(".s", DurationError::Syntax);
        refuses("1 s", DurationError::Syntax);
        refuses("1d", DurationError::Syntax);
        refuses("5", DurationError::NoUnit);
        refuses("1s5", DurationError::NoUnit);
        refuses("-1s", DurationError::Negative);
        refuses("9223372036854775808ns", DurationError::TooLong);
        refuses(
            "999999999999999999999999999999999999999999h",
            DurationError::TooLong,
        );
        refuses("2562047h2562047h", DurationError::TooLong);
    }

    #[test]
    fn shows_as_go_does() {
        for text in [
            "0s",
            "1ns",
            "1.1µs",
            "2.2ms",
            "360.866662ms",
            "3.3s",
            "1m5s",
            "4m5.001s",
            "1h0m0s",
            "5h6m7.001s",
            "8m0.000000001s",
            "2562047h47m16.854775807s",
        ] {
            assert_eq!(text.parse::<GoDuration>().unwrap().to_string(), text);
        }
    }
}
