//! What templates show other than as it is: counts, rates, ages, sizes; in the words of `units.rs`.
#![expect(
    unreachable_pub,
    clippy::inline_always,
    clippy::trivially_copy_pass_by_ref,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "askama decides what a filter looks like, and what it becomes"
)]

use crate::units;

/// A count with thousands apart: `12,345`.
#[askama::filter_fn]
pub(super) fn count(count: &i64, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(units::grouped(*count))
}

/// A rate, with a digit after the point where it is small.
#[askama::filter_fn]
pub(super) fn rate(rate: &f64, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(units::per_second(*rate))
}

/// Nanoseconds as an age: `5m 26s`.
#[askama::filter_fn]
pub(super) fn age(nanoseconds: &i64, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(units::span(nanoseconds / 1_000_000_000))
}

/// Seconds as an age, from one moment to another.
#[askama::filter_fn]
pub(super) fn span(seconds: &i64, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(units::span(*seconds))
}

/// A size, given in bytes.
#[askama::filter_fn]
pub(super) fn size(bytes: &u64, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(units::bytes(*bytes))
}
