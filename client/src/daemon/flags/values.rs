//! Values as Go writes them: booleans and integers; and sizes in bytes, which the reference does not know.

use std::{fmt, num::IntErrorKind, str::FromStr};

use thiserror::Error;

/// The text is none of Go's booleans.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a boolean; allowed are 1, t, T, true, TRUE, True, 0, f, F, false, FALSE and False")]
pub struct BooleanError;

/// Reads a boolean as Go does.
///
/// # Errors
///
/// Any spelling but Go's twelve.
pub fn boolean(text: &str) -> Result<bool, BooleanError> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(BooleanError),
    }
}

/// Why a text is not an integer of the type asked for.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum IntegerError {
    /// Not digits of the base that its prefix says.
    #[error("not a whole number; allowed are decimal, 0x, 0o and 0b digits, as in 1_000 or 0xff")]
    Syntax,
    /// Outside the type.
    #[error("out of range; allowed are {min} to {max}")]
    Range {
        /// The smallest value allowed.
        min: i128,
        /// The greatest value allowed.
        max: i128,
    },
}

/// The integer types of flags, with their limits.
pub trait Integer: TryFrom<i128> {
    /// The limits of the type; no type of flags is wider than 64 bits.
    const RANGE: (i128, i128);
}

macro_rules! integers {
    ($($type:ty),*) => {
        $(impl Integer for $type {
            const RANGE: (i128, i128) = (<$type>::MIN as i128, <$type>::MAX as i128);
        })*
    };
}

integers!(u8, u16, u32, u64, i64);

/// Reads an integer as Go's flags do: a sign, a base (`0x`, `0o` or a leading zero, `0b`), underscores.
///
/// # Errors
///
/// Not an integer, or one that `T` cannot hold.
pub fn integer<T: Integer>(text: &str) -> Result<T, IntegerError> {
    let (min, max) = T::RANGE;
    let out_of_range = IntegerError::Range { min, max };
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = base(magnitude);
    // Go wants an underscore to stand between digits, where it helps the eye.
    if digits.starts_with(['_', '+', '-']) || digits.ends_with('_') || digits.contains("__") {
        return Err(IntegerError::Syntax);
    }
    let value = match i128::from_str_radix(&digits.replace('_', ""), radix) {
        Ok(value) => value,
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => return Err(out_of_range),
        Err(_) => return Err(IntegerError::Syntax),
    };
    T::try_from(if negative { -value } else { value }).map_err(|_| out_of_range)
}

/// The base that the prefix of `text` says, and the digits after the prefix.
fn base(text: &str) -> (u32, &str) {
    let bytes = text.as_bytes();
    match bytes {
        [b'0', b'x' | b'X', ..] => (16, text[2..].strip_prefix('_').unwrap_or(&text[2..])),
        [b'0', b'o' | b'O', ..] => (8, text[2..].strip_prefix('_').unwrap_or(&text[2..])),
        [b'0', b'b' | b'B', ..] => (2, text[2..].strip_prefix('_').unwrap_or(&text[2..])),
        [b'0', _, ..] => (8, text[1..].strip_prefix('_').unwrap_or(&text[1..])),
        _ => (10, text),
    }
}

/// A number of bytes, written plainly or with a suffix: `1048576`, `64MiB`, `2g`.
///
/// `k`, `m`, `g` and `KiB`, `MiB`, `GiB` are powers of 1024, in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// The text is not a size.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "not a size in bytes; allowed is a whole number, maybe with k, m, g, KiB, MiB or GiB after it"
)]
pub struct ByteSizeError;

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let lower = text.to_ascii_lowercase();
        let suffixes = [
            ("kib", 10),
            ("mib", 20),
            ("gib", 30),
            ("k", 10),
            ("m", 20),
            ("g", 30),
        ];
        let split = suffixes
            .into_iter()
            .find_map(|(suffix, shift)| Some((lower.strip_suffix(suffix)?, shift)));
        // In hexadecimal no suffix is also a digit, so there is nothing to confuse.
        let (number, shift) = split.unwrap_or((&lower, 0));
        let number: u64 = integer(number.trim_end()).map_err(|_| ByteSizeError)?;
        number
            .checked_mul(1 << shift)
            .map(Self)
            .ok_or(ByteSizeError)
    }
}

/// Plain bytes, which [`FromStr`] reads back.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_go_reads_them() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("+7", 7),
            ("-12", -12),
            ("2500", 2500),
            ("1_000_000", 1_000_000),
            ("0xfF", 255),
            ("0x_ff", 255),
            ("0o17", 15),
            ("017", 15),
            ("0b101", 5),
            ("-9223372036854775808", i64::MIN),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(integer(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_integer_is_refused() {
        for text in [
            "", "-", "+", "--1", "0x", "0x-1", "1.5", "1e3", "_1", "1_", "1__0", "08", "0b2", " 1",
            "a",
        ] {
            assert_eq!(integer::<i64>(text), Err(IntegerError::Syntax), "{text:?}");
        }
        let range = IntegerError::Range { min: 0, max: 65535 };
        for text in [
            "65536",
            "-1",
            "999999999999999999999999999999999999999999999999",
        ] {
            assert_eq!(integer::<u16>(text), Err(range), "{text}");
        }
    }

    #[test]
    fn booleans_are_the_twelve_of_go() {
        for text in ["1", "t", "T", "true", "TRUE", "True"] {
            assert_eq!(boolean(text), Ok(true), "{text}");
        }
        for text in ["0", "f", "F", "false", "FALSE", "False"] {
            assert_eq!(boolean(text), Ok(false), "{text}");
        }
        for text in ["", "yes", "on", "tRUE", "2"] {
            assert_eq!(boolean(text), Err(BooleanError), "{text:?}");
        }
    }

    #[test]
    fn sizes_take_suffixes() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("1k", 1024),
            ("64MiB", 64 << 20),
            ("64 mib", 64 << 20),
            ("2G", 2 << 30),
            ("4GiB", 4 << 30),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "k", "-1", "1.5g", "1tb", "99999999999999g"] {
            assert_eq!(text.parse::<ByteSize>(), Err(ByteSizeError), "{text:?}");
        }
    }
}
