//! Bytes as they stand in a file. Each sync makes a member of its own, so that a file is readable up to its last one
//! whatever happens behind it.

use std::io::{self, Write as _};
use std::str::FromStr;

use flate2::Compression;
use flate2::write::GzEncoder;

/// How files are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Not at all.
    #[default]
    Plain,
    /// gzip members (RFC 1952, section 2.2), level 1 to 9.
    Gzip(u32),
    /// Zstandard frames (RFC 8878, section 3.1), level 1 to 19.
    Zstd(i32),
}

impl Encoding {
    /// What the names of such files end with.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Encoding::Plain => "",
            Encoding::Gzip(_) => ".gz",
            Encoding::Zstd(_) => ".zst",
        }
    }

    /// Appends `bytes` to `to` as one member.
    pub(super) fn encode(self, bytes: &[u8], to: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Encoding::Plain => to.extend_from_slice(bytes),
            Encoding::Gzip(level) => {
                let mut member = GzEncoder::new(to, Compression::new(level));
                member.write_all(bytes)?;
                member.finish()?;
            }
            Encoding::Zstd(level) => {
                let mut frame = zstd::Encoder::new(to, level)?;
                frame.include_checksum(true)?;
                frame.write_all(bytes)?;
                frame.finish()?;
            }
        }
        Ok(())
    }
}

impl FromStr for Encoding {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Encoding, &'static str> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level.parse::<u8>().map_err(|_| RULE)?)),
            None => (text, None),
        };
        match (name, level) {
            ("none", None) => Ok(Encoding::Plain),
            ("gzip", None) => Ok(Encoding::Gzip(6)),
            ("gzip", Some(level @ 1..=9)) => Ok(Encoding::Gzip(level.into())),
            ("zstd", None) => Ok(Encoding::Zstd(3)),
            ("zstd", Some(level @ 1..=19)) => Ok(Encoding::Zstd(level.into())),
            _ => Err(RULE),
        }
    }
}

const RULE: &str = "allowed are none, gzip, gzip:1 to gzip:9, zstd, and zstd:1 to zstd:19";

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn members_follow_one_another() {
        let bytes = b"line\n".repeat(1000);
        let encoded = |encoding: Encoding| {
            let mut encoded = Vec::new();
            encoding.encode(&bytes, &mut encoded).unwrap();
            encoding.encode(b"more\n", &mut encoded).unwrap();
            encoded
        };
        let expected = [&bytes[..], b"more\n"].concat();
        assert_eq!(encoded(Encoding::Plain), expected);
        let mut decoded = Vec::new();
        let gzip = encoded(Encoding::Gzip(6));
        let mut reader = flate2::read::MultiGzDecoder::new(&gzip[..]);
        reader.read_to_end(&mut decoded).unwrap();
        assert_eq!(decoded, expected);
        let zstd = encoded(Encoding::Zstd(3));
        assert_eq!(zstd::decode_all(&zstd[..]).unwrap(), expected);
        assert!(gzip.len() < 200 && zstd.len() < 200);
    }

    #[test]
    fn levels_have_limits() {
        let check = |text: &str, encoding| assert_eq!(text.parse(), encoding, "{text}");
        check("none", Ok(Encoding::Plain));
        check("gzip", Ok(Encoding::Gzip(6)));
        check("gzip:9", Ok(Encoding::Gzip(9)));
        check("zstd:19", Ok(Encoding::Zstd(19)));
        for text in ["", "none:1", "gzip:0", "gzip:10", "zstd:20", "zstd:", "lz4"] {
            check(text, Err(RULE));
        }
    }
}
