//! A figure in two bytes, good to one part in a thousand.
//!
//! ```text
//!  15      10 9         0
//! ┌──────────┬───────────┐
//! │ exponent │ mantissa  │   value = (1 + mantissa / 1024) * 2^(exponent - 16), from 2^-16 to 2^48
//! └──────────┴───────────┘   0x0000 is 0
//! ```

/// The code nearest to `value`. What is below 0, or no number, is 0; what is too large is the largest.
pub(super) fn encode(value: f64) -> u16 {
    if value.is_nan() || value < SMALLEST {
        return 0;
    }
    let value = value.min(LARGEST);
    let exponent = value.log2().floor();
    let mantissa = ((value / exponent.exp2() - 1.0) * 1024.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between the smallest and the largest, both are small and positive"
    )]
    // A mantissa that is rounded up to 1024 carries into the exponent, which is as it should be.
    let code = (exponent + 16.0) as u16 * 1024 + mantissa as u16;
    code.max(1)
}

/// The value of a code.
pub(super) fn decode(code: u16) -> f64 {
    if code == 0 {
        return 0.0;
    }
    let exponent = f64::from(code >> 10) - 16.0;
    (1.0 + f64::from(code & 1023) / 1024.0) * exponent.exp2()
}

const SMALLEST: f64 = 1.0 / 65_536.0;
/// A little below 2^48, where the codes end.
const LARGEST: f64 = 281_337_537_757_184.0;

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these figures are exact in binary")]
mod tests {
    use super::*;

    #[test]
    fn figures_come_back_to_one_part_in_a_thousand() {
        for value in [
            0.0, 0.001, 0.1, 1.0, 2.0, 3.0, 999.0, 1023.5, 1024.0, 2047.9, 123_456.0, 1e9, 1e14,
        ] {
            let back = decode(encode(value));
            assert!((back - value).abs() <= value * 0.001, "{value} {back}");
        }
    }

    #[test]
    fn whatever_comes_has_a_code() {
        for value in [-1.0, f64::NEG_INFINITY, f64::NAN, 1e-9] {
            assert_eq!(decode(encode(value)), 0.0, "{value}");
        }
        for value in [1e15, f64::MAX, f64::INFINITY] {
            assert!(decode(encode(value)) > 1.4e14, "{value}");
        }
    }
}
