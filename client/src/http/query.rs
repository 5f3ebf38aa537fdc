//! Paths with their query.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// All that a value may not have in a query; the bytes of a name pass, but for the `#` of `#ephemeral`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'.')
    .remove(b'_')
    .remove(b'-')
    .remove(b'~')
    .remove(b':');

/// `path?name=value&…`, with values escaped; those that are `None` are left out.
pub(super) fn path(path: &str, values: &[(&str, Option<&str>)]) -> String {
    let mut text = path.to_owned();
    let given = values
        .iter()
        .filter_map(|(name, value)| Some((name, (*value)?)));
    for (index, (name, value)) in given.enumerate() {
        let separator = if index == 0 { '?' } else { '&' };
        let value = escaped(value);
        write!(text, "{separator}{name}={value}").expect("a String takes everything");
    }
    text
}

/// A value as a query or a path may have it.
pub(super) fn escaped(value: &str) -> PercentEncode<'_> {
    utf8_percent_encode(value, RESERVED)
}
