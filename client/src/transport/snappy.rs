//! Snappy's framing format (`framing_format.txt` of google/snappy).
//!
//! ```text
//! chunk   type (1)  length (3, little endian)  contents
//! 00      masked CRC-32C of the data (4, little endian), data compressed          at most 65536 bytes of data
//! 01      masked CRC-32C of the data (4), data as it is
//! fe, 80…fd   to be skipped
//! ff      "sNaPpY", the identifier: first, and allowed anywhere
//! ```

use bytes::{Buf, BytesMut};
use snap::raw;

use super::codec::{DamagedStream, Decode, Encode, PIECE_BYTES};

const COMPRESSED: u8 = 0x00;
const STORED: u8 = 0x01;
const SKIPPABLE: std::ops::RangeInclusive<u8> = 0x80..=0xfe;
const IDENTIFIER: u8 = 0xff;
/// The whole chunk.
const IDENTIFIER_CHUNK: [u8; 10] = *b"\xff\x06\0\0sNaPpY";
const HEADER_BYTES: usize = 4;
const CHECKSUM_BYTES: usize = 4;
/// Checksum, and 65536 bytes that got larger by compression as much as is possible.
const CHUNK_BYTES_MAX: usize = CHECKSUM_BYTES + 32 + PIECE_BYTES + PIECE_BYTES / 6;

/// Writes one chunk per piece.
pub(super) struct Encoder {
    raw: raw::Encoder,
    started: bool,
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder {
            raw: raw::Encoder::new(),
            started: false,
        }
    }
}

impl Encode for Encoder {
    fn encode(&mut self, plain: &[u8], encoded: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            encoded.extend(IDENTIFIER_CHUNK);
        }
        let header = encoded.len();
        let data = header + HEADER_BYTES + CHECKSUM_BYTES;
        encoded.resize(data + raw::max_compress_len(plain.len()), 0);
        let compressed = self.raw.compress(plain, &mut encoded[data..]);
        let compressed = compressed.expect("the output has the size that any input needs");
        // As the reference: what saves less than an eighth is not worth decompressing.
        let kind = if compressed < plain.len() - plain.len() / 8 {
            encoded.truncate(data + compressed);
            COMPRESSED
        } else {
            encoded.truncate(data);
            encoded.extend_from_slice(plain);
            STORED
        };
        let length = encoded.len() - header - HEADER_BYTES;
        let length = u32::try_from(length).expect("a piece is 64 KiB at most");
        let [low, middle, high, _] = length.to_le_bytes();
        encoded[header..header + HEADER_BYTES].copy_from_slice(&[kind, low, middle, high]);
        encoded[header + HEADER_BYTES..data].copy_from_slice(&checksum(plain).to_le_bytes());
    }

    /// Nothing is ever held back.
    fn flush(&mut self, _: &mut Vec<u8>) {}
}

/// Reads chunks whole; those to be skipped are never kept.
pub(super) struct Decoder {
    raw: raw::Decoder,
    started: bool,
    /// Bytes to come of a chunk that is skipped.
    skip: usize,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            raw: raw::Decoder::new(),
            started: false,
            skip: 0,
        }
    }
}

impl Decode for Decoder {
    fn decode(&mut self, encoded: &mut BytesMut, plain: &mut Vec<u8>) -> Result<(), DamagedStream> {
        while plain.is_empty() {
            let skipped = self.skip.min(encoded.len());
            encoded.advance(skipped);
            self.skip -= skipped;
            let Some(&[kind, low, middle, high]) = encoded.first_chunk::<HEADER_BYTES>() else {
                return Ok(());
            };
            let bytes = u32::from_le_bytes([low, middle, high, 0]) as usize;
            let whole = HEADER_BYTES + bytes;
            match kind {
                IDENTIFIER => check_size(bytes, 6, 6)?,
                _ if !self.started => return Err(DamagedStream::NoIdentifier),
                COMPRESSED | STORED => check_size(bytes, CHECKSUM_BYTES, CHUNK_BYTES_MAX)?,
                kind if SKIPPABLE.contains(&kind) => {
                    self.skip = whole;
                    continue;
                }
                kind => return Err(DamagedStream::UnknownChunk(kind)),
            }
            if encoded.len() < whole {
                return Ok(());
            }
            self.contents(kind, &encoded[HEADER_BYTES..whole], plain)?;
            encoded.advance(whole);
        }
        Ok(())
    }

    fn end(&self, encoded: &BytesMut) -> Result<(), DamagedStream> {
        if encoded.is_empty() && self.skip == 0 {
            return Ok(());
        }
        Err(DamagedStream::Truncated("snappy"))
    }
}

impl Decoder {
    fn contents(
        &mut self,
        kind: u8,
        contents: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<(), DamagedStream> {
        if kind == IDENTIFIER {
            self.started = true;
            let is_right = *contents == IDENTIFIER_CHUNK[HEADER_BYTES..];
            return is_right.then_some(()).ok_or(DamagedStream::NoIdentifier);
        }
        let (told, data) = contents
            .split_first_chunk::<CHECKSUM_BYTES>()
            .expect("the size was checked before");
        if kind == COMPRESSED {
            self.decompress(data, plain)?;
        } else {
            check_size(data.len(), 0, PIECE_BYTES)?;
            plain.extend_from_slice(data);
        }
        let (found, told) = (checksum(plain), u32::from_le_bytes(*told));
        if found == told {
            return Ok(());
        }
        Err(DamagedStream::Checksum { found, told })
    }

    fn decompress(&mut self, data: &[u8], plain: &mut Vec<u8>) -> Result<(), DamagedStream> {
        let bad = |error: snap::Error| DamagedStream::BadChunk(error.to_string());
        // What the chunk claims, before anything is allocated for it.
        let bytes = raw::decompress_len(data).map_err(bad)?;
        check_size(bytes, 0, PIECE_BYTES)?;
        plain.resize(bytes, 0);
        self.raw.decompress(data, plain).map_err(bad)?;
        Ok(())
    }
}

fn check_size(bytes: usize, min: usize, max: usize) -> Result<(), DamagedStream> {
    if (min..=max).contains(&bytes) {
        return Ok(());
    }
    Err(DamagedStream::ChunkSize { bytes, min, max })
}

/// CRC-32C, masked: data may hold checksums itself.
fn checksum(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}
