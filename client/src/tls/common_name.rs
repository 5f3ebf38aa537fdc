//! The common name of a certificate, which authorization servers are told.
//!
//! ```text
//! Certificate   SEQUENCE { tbs SEQUENCE { [0] version?, serial, algorithm, issuer, validity, subject, … }, … }
//! subject       SEQUENCE OF SET OF SEQUENCE { type OID, value string }                        (RFC 5280, 4.1)
//! ```

/// Returns the common name of the subject of a certificate in DER; empty if it has none, or is no certificate. Of several
/// names the last counts, as in the reference.
pub fn common_name(certificate: &[u8]) -> String {
    subject(certificate)
        .and_then(|subject| names(subject).last())
        .unwrap_or_default()
}

fn subject(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = contents(certificate, SEQUENCE)?;
    let (mut fields, _) = contents(certificate, SEQUENCE)?;
    if let Some((_, rest)) = contents(fields, VERSION) {
        fields = rest;
    }
    // Serial, algorithm, issuer, validity.
    for _ in 0..4 {
        (_, _, fields) = element(fields)?;
    }
    contents(fields, SEQUENCE).map(|(subject, _)| subject)
}

/// The common names in the order they are in.
fn names(subject: &[u8]) -> impl Iterator<Item = String> {
    elements(subject).flat_map(elements).filter_map(|pair| {
        let (kind, rest) = contents(pair, OBJECT_IDENTIFIER)?;
        let (_, value, _) = element(rest)?;
        (kind == COMMON_NAME).then(|| String::from_utf8_lossy(value).into_owned())
    })
}

/// The contents of the elements that follow each other, up to one that is damaged.
fn elements(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (_, contents, rest) = element(bytes)?;
        bytes = rest;
        Some(contents)
    })
}

/// The contents of the first element if it has this tag, and what follows.
fn contents(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, contents, rest) = element(bytes)?;
    (tag == wanted).then_some((contents, rest))
}

/// Tag and contents of the first element, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = if length < LONG_FORM {
        (usize::from(length), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(length - LONG_FORM))?;
        if digits.len() > LENGTH_BYTES_MAX {
            return None;
        }
        let length = digits
            .iter()
            .fold(0, |length, digit| length << 8 | usize::from(*digit));
        (length, rest)
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// The version's tag, constructed and specific to its place.
const VERSION: u8 = 0xa0;
/// A length of this and more is the count of bytes that hold it.
const LONG_FORM: u8 = 0x80;
/// Certificates are far below 16 MiB.
const LENGTH_BYTES_MAX: usize = 3;
/// 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 4, 3];
