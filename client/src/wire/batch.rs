//! Many messages in one body, for MPUB and for HTTP `/mpub?binary=true`.
//!
//! ```text
//!  0       4        8
//!  ├ count ┼ size ──┼ message … ┼ size ──┼ message …
//!    i32     i32                   i32
//! ```
//!
//! Integers are big endian and above 0. A count is at most (max body size − 4) / 5, since an item
//! has at least 5 bytes; a size is at most the max message size.

use super::error::{ErrorCode, ErrorReply};
use super::limits::Limits;

pub(super) const SIZE_BYTES: usize = 4;

/// Messages that arrived in one body; every size in it was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Size and message, `count` times.
    items: &'a [u8],
    count: usize,
}

impl<'a> Batch<'a> {
    /// Checks a whole body: count and items. Bytes after the last item are ignored.
    ///
    /// # Errors
    /// `E_BAD_BODY` or `E_BAD_MESSAGE` with the text that MPUB gives, also when items are missing.
    pub fn parse(body: &'a [u8], limits: &Limits) -> Result<Batch<'a>, ErrorReply> {
        let mut scan = BatchScan::default();
        match scan.advance(body, limits)? {
            Scanned::Complete(batch) => Ok(batch),
            Scanned::Needs(_) => Err(scan.truncated()),
        }
    }

    /// `items` is size and message, `count` times.
    pub(super) fn of_checked(items: &'a [u8], count: usize) -> Batch<'a> {
        Batch { items, count }
    }

    /// Appends it as it stands in a command: the count, then each message after its size.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.reserve(2 * SIZE_BYTES + self.items.len());
        put_size(out, SIZE_BYTES + self.items.len());
        put_size(out, self.count);
        out.extend_from_slice(self.items);
    }

    /// Number of messages.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no messages, which [`Batch::parse`] never returns.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of all messages together.
    pub fn body_bytes(&self) -> usize {
        self.items.len() - self.count * SIZE_BYTES
    }

    /// The messages in the order of the producer.
    pub fn iter(&self) -> BatchItems<'a> {
        BatchItems {
            rest: self.items,
            count: self.count,
        }
    }
}

impl<'a> IntoIterator for &Batch<'a> {
    type Item = &'a [u8];
    type IntoIter = BatchItems<'a>;

    fn into_iter(self) -> BatchItems<'a> {
        self.iter()
    }
}

/// The messages of a [`Batch`].
#[derive(Clone, Debug)]
pub struct BatchItems<'a> {
    rest: &'a [u8],
    count: usize,
}

impl<'a> Iterator for BatchItems<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (size, rest) = self.rest.split_first_chunk::<SIZE_BYTES>()?;
        let size = usize::try_from(u32::from_be_bytes(*size)).ok()?;
        let (message, rest) = rest.split_at_checked(size)?;
        self.rest = rest;
        self.count -= 1;
        Some(message)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for BatchItems<'_> {}

/// Appends a batch: the count, then each body after its size.
///
/// # Panics
/// If there are 2^31 bodies or one has 2 GiB, which no size on the wire can say.
pub fn put_batch<'b>(out: &mut Vec<u8>, bodies: impl ExactSizeIterator<Item = &'b [u8]>) {
    put_size(out, bodies.len());
    for body in bodies {
        put_size(out, body.len());
        out.extend_from_slice(body);
    }
}

/// Length of what [`put_batch`] appends.
pub(super) fn batch_bytes<'b>(bodies: impl Iterator<Item = &'b [u8]>) -> usize {
    SIZE_BYTES + bodies.map(|body| SIZE_BYTES + body.len()).sum::<usize>()
}

/// Appends a size or a count as the wire has it.
pub(super) fn put_size(out: &mut Vec<u8>, size: usize) {
    let size = i32::try_from(size).expect("a size on the wire is below 2^31");
    out.extend_from_slice(&size.to_be_bytes());
}

/// The size at this offset; `None` while it has not arrived.
#[inline]
pub(super) fn read_size(input: &[u8], at: usize) -> Option<i32> {
    let size = input.get(at..)?.first_chunk::<SIZE_BYTES>()?;
    Some(i32::from_be_bytes(*size))
}

/// How far a batch was checked, so that no byte is looked at twice while it arrives in pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BatchScan {
    /// Offset of the first byte that was not looked at, from the start of the count.
    at: usize,
    /// Number of items announced; 0 until the count has arrived.
    count: usize,
    /// Items that were seen in full.
    seen: usize,
    /// Size of the item at `at`, once known.
    open: Option<usize>,
}

/// What a scan came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scanned<'a> {
    /// All items are there.
    Complete(Batch<'a>),
    /// This many bytes, from the start of the count, let the scan go on.
    Needs(usize),
}

impl BatchScan {
    /// Goes on as far as `input`, which starts at the count, allows.
    pub(super) fn advance<'a>(
        &mut self,
        input: &'a [u8],
        limits: &Limits,
    ) -> Result<Scanned<'a>, ErrorReply> {
        if self.count == 0 {
            let Some(count) = read_size(input, 0) else {
                return Ok(Scanned::Needs(SIZE_BYTES));
            };
            self.count = check_count(count, limits)?;
            self.at = SIZE_BYTES;
        }
        while self.seen < self.count {
            let size = match self.open {
                Some(size) => size,
                None => match read_size(input, self.at) {
                    Some(size) => self.open_item(size, limits)?,
                    None => return Ok(Scanned::Needs(self.at + SIZE_BYTES)),
                },
            };
            if input.len() - self.at < size {
                return Ok(Scanned::Needs(self.at + size));
            }
            self.at += size;
            self.seen += 1;
            self.open = None;
        }
        Ok(Scanned::Complete(Batch {
            items: &input[SIZE_BYTES..self.at],
            count: self.count,
        }))
    }

    /// How many bytes, from the start of the count, were looked at.
    pub(super) fn scanned_bytes(&self) -> usize {
        self.at
    }

    /// What is missing when nothing more arrives.
    pub(super) fn truncated(&self) -> ErrorReply {
        if self.count == 0 {
            return bad_body("failed to read message count");
        }
        if self.open.is_some() {
            return bad_message("failed to read message body");
        }
        bad_message(&format!("failed to read message({}) body size", self.seen))
    }

    /// Checks the size of the next item and steps over it. The items together must fit in a body,
    /// too: the size announced for the body is not what bounds them.
    #[inline]
    fn open_item(&mut self, given: i32, limits: &Limits) -> Result<usize, ErrorReply> {
        let size = match usize::try_from(given) {
            Ok(size) if size > 0 => size,
            _ => return Err(invalid_item_size(self.seen, given)),
        };
        if size > limits.max_msg_size {
            let max = limits.max_msg_size;
            return Err(bad_message(&format!("message too big {size} > {max}")));
        }
        self.at += SIZE_BYTES;
        let end = self.at + size;
        if end > limits.max_body_size {
            return Err(bad_body(&format!(
                "body too big {end} > {}",
                limits.max_body_size
            )));
        }
        self.open = Some(size);
        Ok(size)
    }
}

fn check_count(given: i32, limits: &Limits) -> Result<usize, ErrorReply> {
    let max = limits.max_body_size.saturating_sub(SIZE_BYTES) / (SIZE_BYTES + 1);
    match usize::try_from(given) {
        Ok(count) if (1..=max).contains(&count) => Ok(count),
        _ => Err(bad_body(&format!("invalid message count {given}"))),
    }
}

fn invalid_item_size(index: usize, given: i32) -> ErrorReply {
    bad_message(&format!("invalid message({index}) body size {given}"))
}

#[cold]
fn bad_body(text: &str) -> ErrorReply {
    ErrorReply::new(ErrorCode::BadBody, format!("MPUB {text}"))
}

#[cold]
fn bad_message(text: &str) -> ErrorReply {
    ErrorReply::new(ErrorCode::BadMessage, format!("MPUB {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        max_msg_size: 10,
        max_body_size: 29,
        max_rdy_count: 0,
        max_req_timeout: std::time::Duration::ZERO,
    };

    fn check(body: &[u8], expected: Result<&[&[u8]], &str>) {
        let parsed = Batch::parse(body, &LIMITS);
        match (parsed, expected) {
            (Ok(batch), Ok(messages)) => {
                assert_eq!(batch.iter().collect::<Vec<_>>(), messages);
                assert_eq!(batch.len(), messages.len());
                assert_eq!(batch.iter().len(), messages.len());
                assert_eq!(batch.body_bytes(), messages.concat().len());
            }
            (Err(error), Err(text)) => assert_eq!(error.to_string(), text),
            (parsed, expected) => panic!("{parsed:?} is not {expected:?}"),
        }
    }

    #[test]
    fn a_batch_is_count_and_items() {
        check(b"\0\0\0\x01\0\0\0\x02ab", Ok(&[b"ab"]));
        check(b"\0\0\0\x02\0\0\0\x01a\0\0\0\x03bcd", Ok(&[b"a", b"bcd"]));
        check(b"\0\0\0\x01\0\0\0\x02ab and more", Ok(&[b"ab"]));
    }

    #[test]
    fn every_fault_has_its_text() {
        check(b"", Err("E_BAD_BODY MPUB failed to read message count"));
        check(
            b"\0\0\0",
            Err("E_BAD_BODY MPUB failed to read message count"),
        );
        check(b"\0\0\0\0", Err("E_BAD_BODY MPUB invalid message count 0"));
        check(
            b"\xff\xff\xff\xff",
            Err("E_BAD_BODY MPUB invalid message count -1"),
        );
        check(
            b"\0\0\0\x06",
            Err("E_BAD_BODY MPUB invalid message count 6"),
        );
        check(
            b"\0\0\0\x01\0\0\0",
            Err("E_BAD_MESSAGE MPUB failed to read message(0) body size"),
        );
        check(
            b"\0\0\0\x01\0\0\0\0",
            Err("E_BAD_MESSAGE MPUB invalid message(0) body size 0"),
        );
        check(
            b"\0\0\0\x02\0\0\0\x01a\x80\0\0\0",
            Err("E_BAD_MESSAGE MPUB invalid message(1) body size -2147483648"),
        );
        check(
            b"\0\0\0\x01\0\0\0\x0b",
            Err("E_BAD_MESSAGE MPUB message too big 11 > 10"),
        );
        check(
            b"\0\0\0\x01\0\0\0\x02a",
            Err("E_BAD_MESSAGE MPUB failed to read message body"),
        );
    }

    #[test]
    fn the_items_together_must_fit_in_a_body() {
        let full = b"\0\0\0\x02\0\0\0\x0a0123456789\0\0\0\x070123456";
        check(full, Ok(&[b"0123456789", b"0123456"]));
        let more = b"\0\0\0\x02\0\0\0\x0a0123456789\0\0\0\x08";
        check(more, Err("E_BAD_BODY MPUB body too big 30 > 29"));
    }

    #[test]
    fn a_scan_in_pieces_comes_to_the_same_batch() {
        let body = b"\0\0\0\x02\0\0\0\x01a\0\0\0\x03bcd";
        let mut scan = BatchScan::default();
        let mut needed = 0;
        for end in 0..body.len() {
            let Ok(Scanned::Needs(bytes)) = scan.advance(&body[..end], &LIMITS) else {
                panic!("{end} bytes cannot be enough");
            };
            assert!(end < bytes && needed <= bytes && bytes <= body.len());
            needed = bytes;
        }
        let whole = Batch::parse(body, &LIMITS).unwrap();
        assert_eq!(scan.advance(body, &LIMITS), Ok(Scanned::Complete(whole)));
    }

    #[test]
    fn what_is_put_is_parsed() {
        let bodies: [&[u8]; 2] = [b"a", b"bcd"];
        let mut out = Vec::new();
        put_batch(&mut out, bodies.into_iter());
        assert_eq!(out.len(), batch_bytes(bodies.into_iter()));
        check(&out, Ok(&bodies));
    }
}
