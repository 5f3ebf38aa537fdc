//! Bytes as they were read → lines. No I/O.

use bytes::{Bytes, BytesMut};
use memchr::memmem;

/// What stands between two lines.
#[derive(Clone, Debug)]
pub(crate) struct Delimiter(Box<memmem::Finder<'static>>);

impl Delimiter {
    pub(crate) fn newline() -> Delimiter {
        Delimiter::new(b"\n")
    }

    pub(crate) fn new(bytes: &[u8]) -> Delimiter {
        Delimiter(Box::new(memmem::Finder::new(bytes).into_owned()))
    }

    fn len(&self) -> usize {
        self.0.needle().len()
    }
}

/// Reads a delimiter as a flag has it, with the escapes of most languages.
pub(super) fn parse_delimiter(text: &str) -> Result<Delimiter, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if character == '\\' {
            let (byte, after) = parse_escape(rest)?;
            bytes.push(byte);
            rest = after;
        } else {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    if bytes.is_empty() {
        return Err("a delimiter has at least one byte".to_owned());
    }
    Ok(Delimiter::new(&bytes))
}

/// The byte that an escape stands for, and what follows it.
fn parse_escape(text: &str) -> Result<(u8, &str), String> {
    let hex = text
        .strip_prefix('x')
        .and_then(|rest| rest.split_at_checked(2));
    if let Some((digits, rest)) = hex
        && let Ok(byte) = u8::from_str_radix(digits, 16)
    {
        return Ok((byte, rest));
    }
    let byte = match text.bytes().next() {
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'0') => 0,
        Some(b'\\') => b'\\',
        _ => return Err(r"after a '\' stands n, r, t, 0, \ or x and two hex digits".to_owned()),
    };
    Ok((byte, &text[1..]))
}

/// A line that is a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1, empty lines included.
    pub(super) number: u64,
    /// What stands in it, at least one byte.
    pub(super) body: Bytes,
}

/// A line longer than a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineTooLong {
    /// Counted from 1.
    pub(super) line: u64,
}

/// Cuts what is pushed into lines. Holds one line more than was pushed at most.
#[derive(Debug)]
pub(super) struct Lines {
    delimiter: Delimiter,
    max_line_bytes: usize,
    pending: BytesMut,
    /// How much of `pending` is known to hold no delimiter.
    searched: usize,
    /// Whether what is left is a line too.
    ended: bool,
    /// Lines seen, empty ones included.
    count: u64,
    skipped: u64,
}

impl Lines {
    pub(super) fn new(delimiter: Delimiter, max_line_bytes: usize) -> Lines {
        Lines {
            delimiter,
            max_line_bytes,
            pending: BytesMut::new(),
            searched: 0,
            ended: false,
            count: 0,
            skipped: 0,
        }
    }

    /// Appends what was read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// There is no more: what is left is the last line.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Forgets what is left: a part of a line is no line.
    pub(super) fn cut(&mut self) {
        self.pending.clear();
        self.searched = 0;
        self.ended = true;
    }

    /// Number of empty lines passed over.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The next line with content; `None` until more is pushed.
    pub(super) fn next(&mut self) -> Result<Option<Line>, LineTooLong> {
        loop {
            let Some(body) = self.next_body()? else {
                return Ok(None);
            };
            self.count += 1;
            if !body.is_empty() {
                let number = self.count;
                return Ok(Some(Line { number, body }));
            }
            self.skipped += 1;
        }
    }

    fn next_body(&mut self) -> Result<Option<Bytes>, LineTooLong> {
        if let Some(at) = self.delimiter.0.find(&self.pending[self.searched..]) {
            let line_bytes = self.searched + at;
            self.check(line_bytes)?;
            let body = self.pending.split_to(line_bytes).freeze();
            drop(self.pending.split_to(self.delimiter.len()));
            self.searched = 0;
            return Ok(Some(body));
        }
        // The start of a delimiter may be here already.
        self.searched = self.pending.len().saturating_sub(self.delimiter.len() - 1);
        self.check(self.searched)?;
        if !self.ended || self.pending.is_empty() {
            return Ok(None);
        }
        self.check(self.pending.len())?;
        self.searched = 0;
        Ok(Some(self.pending.split().freeze()))
    }

    fn check(&self, line_bytes: usize) -> Result<(), LineTooLong> {
        if line_bytes <= self.max_line_bytes {
            return Ok(());
        }
        Err(LineTooLong {
            line: self.count + 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(input: &[u8], delimiter: &str, chunk: usize) -> (Vec<(u64, Vec<u8>)>, u64) {
        let mut lines = Lines::new(parse_delimiter(delimiter).unwrap(), 10);
        let mut found = Vec::new();
        let mut drain = |lines: &mut Lines| {
            while let Some(line) = lines.next().unwrap() {
                found.push((line.number, line.body.to_vec()));
            }
        };
        for bytes in input.chunks(chunk) {
            lines.push(bytes);
            drain(&mut lines);
        }
        lines.end();
        drain(&mut lines);
        (found, lines.skipped())
    }

    fn check(input: &str, delimiter: &str, expected: &[(u64, &str)], skipped: u64) {
        for chunk in 1..=input.len().max(1) {
            let (found, empty) = split(input.as_bytes(), delimiter, chunk);
            let found = found
                .iter()
                .map(|(number, body)| (*number, str::from_utf8(body).unwrap()));
            assert_eq!(found.collect::<Vec<_>>(), expected, "in pieces of {chunk}");
            assert_eq!(empty, skipped);
        }
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        check("", r"\n", &[], 0);
        check("a\nbc\n", r"\n", &[(1, "a"), (2, "bc")], 0);
        check("a\nbc", r"\n", &[(1, "a"), (2, "bc")], 0);
        check("\na\n\n\nb\n\n", r"\n", &[(2, "a"), (5, "b")], 4);
        check(
            "a\r\nb\r\r\nc\r",
            r"\r\n",
            &[(1, "a"), (2, "b\r"), (3, "c\r")],
            0,
        );
        check("a\0b", r"\0", &[(1, "a"), (2, "b")], 0);
        check("0123456789\nx", r"\n", &[(1, "0123456789"), (2, "x")], 0);
    }

    #[test]
    fn a_line_above_the_limit_is_named() {
        for input in ["a\n\n01234567890\nb\n", "a\n\n01234567890"] {
            let mut lines = Lines::new(Delimiter::newline(), 10);
            lines.push(input.as_bytes());
            lines.end();
            assert_eq!(lines.next().unwrap().unwrap().body, "a");
            assert_eq!(lines.next(), Err(LineTooLong { line: 3 }));
        }
    }

    #[test]
    fn a_line_that_never_ends_takes_no_more_memory() {
        let mut lines = Lines::new(Delimiter::newline(), 10);
        lines.push(b"0123456789");
        assert_eq!(lines.next(), Ok(None));
        lines.push(b"0");
        assert_eq!(lines.next(), Err(LineTooLong { line: 1 }));
    }

    #[test]
    fn a_part_of_a_line_can_be_cut() {
        let mut lines = Lines::new(Delimiter::newline(), 10);
        lines.push(b"a\nb");
        assert_eq!(lines.next().unwrap().unwrap().body, "a");
        assert_eq!(lines.next(), Ok(None));
        lines.cut();
        assert_eq!(lines.next(), Ok(None));
    }

    #[test]
    fn delimiters_may_be_escaped() {
        let check = |text: &str, bytes: &[u8]| {
            assert_eq!(parse_delimiter(text).unwrap().0.needle(), bytes);
        };
        check(r"\n\r\t\0\\\x1F", b"\n\r\t\0\\\x1f");
        check(";é", ";é".as_bytes());
        for text in ["", r"\", r"\q", r"\x1", r"\xzz"] {
            parse_delimiter(text).unwrap_err();
        }
    }
}
