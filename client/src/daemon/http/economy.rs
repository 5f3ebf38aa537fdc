//! Answers that cost less: none at all to who has it already, and gzip for who takes it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, VARY,
};
use hyper::{HeaderMap, StatusCode};

use super::{Response, body::Body};

impl Response {
    /// The answer to a GET that came with these headers: with an `ETag`; without its body, as 304, if that is the one which
    /// the client has; else compressed, if the client takes gzip, it is text, and has 1 KiB or more. Streams, and answers
    /// other than 200, stay as they are.
    #[must_use]
    pub fn economical(mut self, asked: &HeaderMap) -> Self {
        let Body::Whole(Some(bytes)) = self.0.body() else {
            return self;
        };
        if self.status() != StatusCode::OK {
            return self;
        }
        let bytes = bytes.clone();
        let tag = tag(&bytes);
        self = self.with_header(ETAG, tag.clone());
        let is_text = self.is_text();
        if is_text {
            self = self.with_header(VARY, HeaderValue::from_name(ACCEPT_ENCODING));
        }
        if has(asked, &tag) {
            self.0.headers_mut().remove(CONTENT_TYPE);
            *self.0.body_mut() = Body::Whole(None);
            return self.with_status(StatusCode::NOT_MODIFIED);
        }
        if is_text && bytes.len() >= GZIP_BYTES_MIN && takes_gzip(asked) {
            *self.0.body_mut() = Body::from(compressed(&bytes));
            self = self.with_header(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        self
    }

    /// True for what gets smaller: not for images and fonts, that are compressed already.
    fn is_text(&self) -> bool {
        let kind = self.0.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let starts = ["text/", "application/json", "image/svg"];
        starts.iter().any(|start| kind.starts_with(start))
    }
}

/// What the bytes are known by. It is a weak one: compressed or not, they are the same.
fn tag(bytes: &Bytes) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let tag = format!("W/\"{:016x}\"", hasher.finish());
    HeaderValue::try_from(tag).expect("digits in quotes")
}

fn has(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let tags = asked.get_all(IF_NONE_MATCH).iter();
    let mut tags = tags
        .filter_map(|tags| tags.to_str().ok())
        .flat_map(|tags| tags.split(','));
    tags.any(|known| known.trim() == tag)
}

/// True if gzip is among what is accepted, and not with a weight of zero.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let codings = asked.get_all(ACCEPT_ENCODING).iter();
    let mut codings = codings
        .filter_map(|codings| codings.to_str().ok())
        .flat_map(|codings| codings.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=");
        let weight: Option<f32> = weight.and_then(|weight| weight.parse().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight| weight > 0.0)
    })
}

fn compressed(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes).expect("a Vec takes everything");
    encoder.finish().expect("a Vec takes everything").into()
}

/// Less fits into a packet or two anyway.
const GZIP_BYTES_MIN: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn answer(asked: &[(hyper::header::HeaderName, &str)], body: &str) -> (Response, Bytes) {
        let asked = asked.iter();
        let asked = asked
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect();
        let response = Response::text(body.to_owned()).economical(&asked);
        let Body::Whole(bytes) = response.0.body() else {
            panic!("a stream");
        };
        let bytes = bytes.clone().unwrap_or_default();
        (response, bytes)
    }

    #[test]
    fn long_text_is_compressed_for_who_takes_gzip() {
        let long = "ab".repeat(600);
        for (accepted, body, is_compressed) in [
            ("gzip", &*long, true),
            ("br, GZIP;q=0.5", &long, true),
            ("gzip;q=0", &long, false),
            ("gzip;q=", &long, false),
            ("br", &long, false),
            ("", &long, false),
            ("gzip", "short", false),
        ] {
            let (response, bytes) = answer(&[(ACCEPT_ENCODING, accepted)], body);
            let headers = response.0.headers();
            assert_eq!(
                headers.contains_key(CONTENT_ENCODING),
                is_compressed,
                "{accepted}"
            );
            assert_eq!(headers[VARY], "accept-encoding");
            let mut text = String::new();
            if is_compressed {
                let mut decoder = flate2::read::GzDecoder::new(&bytes[..]);
                decoder.read_to_string(&mut text).unwrap();
                assert!(bytes.len() < 100, "{}", bytes.len());
            } else {
                text = String::from_utf8(bytes.to_vec()).unwrap();
            }
            assert_eq!(text, body, "{accepted}");
        }
    }

    #[test]
    fn who_has_it_already_gets_no_body() {
        let (first, _) = answer(&[], "hello");
        let tag = first.0.headers()[ETAG].to_str().unwrap().to_owned();
        for (known, status) in [
            (tag.clone(), 304),
            (format!("\"x\", {tag}"), 304),
            ("\"x\"".to_owned(), 200),
        ] {
            let (response, bytes) = answer(&[(IF_NONE_MATCH, &known)], "hello");
            assert_eq!(
                (response.status().as_u16(), bytes.is_empty()),
                (status, status == 304)
            );
        }
        assert_eq!(answer(&[(IF_NONE_MATCH, &tag)], "hello!").0.status(), 200);
    }

    #[test]
    fn errors_and_streams_stay_as_they_are() {
        let error = Response::error(StatusCode::NOT_FOUND, "NOT_FOUND");
        let (_, parts) = tokio::sync::mpsc::channel(1);
        let stream = Response::stream(parts, HeaderValue::from_static("text/event-stream"));
        for response in [error, stream] {
            let response = response.economical(&HeaderMap::new());
            assert!(!response.0.headers().contains_key(ETAG));
        }
    }
}
