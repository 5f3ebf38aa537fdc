//! Deflate without any header (RFC 1951): one stream for the life of a connection, flushed to a byte boundary
//! wherever the other end has to understand all that was sent. A flush ends with an empty stored block, `00 00 ff ff`.

use bytes::{Buf, BytesMut};
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use super::codec::{DamagedStream, Decode, Encode, PIECE_BYTES};

/// The room made at a time for what is compressed.
const ROOM_BYTES: usize = 4 * 1024;
/// How a flushed stream ends.
const FLUSHED: [u8; 4] = [0, 0, 0xff, 0xff];

/// Compresses, holding back what may be compressed better together with what follows.
pub(super) struct Encoder {
    stream: Compress,
    /// Something was taken since the last flush.
    holds: bool,
}

impl Encoder {
    pub(super) fn new(level: u32) -> Encoder {
        let level = flate2::Compression::new(level.clamp(1, 9));
        Encoder {
            stream: Compress::new(level, false),
            holds: false,
        }
    }

    /// Goes on until all was taken, and the output was not filled: nothing more is to come then.
    fn run(&mut self, mut plain: &[u8], flush: FlushCompress, encoded: &mut Vec<u8>) {
        loop {
            encoded.reserve(ROOM_BYTES);
            let before = self.stream.total_in();
            self.stream
                .compress_vec(plain, encoded, flush)
                .expect("compressing has no way to fail");
            plain = &plain[difference(before, self.stream.total_in())..];
            if plain.is_empty() && encoded.len() < encoded.capacity() {
                return;
            }
        }
    }
}

impl Encode for Encoder {
    fn encode(&mut self, plain: &[u8], encoded: &mut Vec<u8>) {
        self.holds = true;
        self.run(plain, FlushCompress::None, encoded);
    }

    fn flush(&mut self, encoded: &mut Vec<u8>) {
        if std::mem::take(&mut self.holds) {
            self.run(&[], FlushCompress::Sync, encoded);
        }
    }
}

/// Decompresses a piece at a time.
pub(super) struct Decoder {
    stream: Decompress,
    /// The stream has said that nothing follows.
    ended: bool,
    /// The last bytes taken.
    tail: [u8; FLUSHED.len()],
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            stream: Decompress::new(false),
            ended: false,
            tail: FLUSHED,
        }
    }
}

impl Decode for Decoder {
    fn decode(&mut self, encoded: &mut BytesMut, plain: &mut Vec<u8>) -> Result<(), DamagedStream> {
        if self.ended {
            return encoded
                .is_empty()
                .then_some(())
                .ok_or(DamagedStream::AfterEnd);
        }
        // Also without input: the stream may hold more than the last piece had room for.
        plain.resize(PIECE_BYTES, 0);
        let (taken, given) = (self.stream.total_in(), self.stream.total_out());
        let status = self
            .stream
            .decompress(encoded, plain, FlushDecompress::None)
            .map_err(|_| DamagedStream::BadDeflate)?;
        plain.truncate(difference(given, self.stream.total_out()));
        let taken = difference(taken, self.stream.total_in());
        for byte in &encoded[taken.saturating_sub(FLUSHED.len())..taken] {
            self.tail.rotate_left(1);
            self.tail[FLUSHED.len() - 1] = *byte;
        }
        encoded.advance(taken);
        self.ended = status == Status::StreamEnd;
        Ok(())
    }

    fn end(&self, encoded: &BytesMut) -> Result<(), DamagedStream> {
        if encoded.is_empty() && (self.ended || self.tail == FLUSHED) {
            return Ok(());
        }
        Err(DamagedStream::Truncated("deflate"))
    }
}

fn difference(before: u64, after: u64) -> usize {
    usize::try_from(after - before).expect("a call moves no more than a buffer")
}
