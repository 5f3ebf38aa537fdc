//! What the compressed formats have in common.

use bytes::BytesMut;

use super::{deflate, snappy};

/// How a connection is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Snappy, in its framing format.
    Snappy,
    /// Deflate without header (RFC 1951).
    Deflate {
        /// From 1, fastest, to 9, smallest; what is outside is taken as the nearest.
        level: u32,
    },
}

/// What arrives is not the compressed stream that it should be. Reads fail with it inside an [`std::io::Error`]
/// of the kind `InvalidData`, or `UnexpectedEof` for [`DamagedStream::Truncated`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DamagedStream {
    /// The stream ends in the middle of a piece.
    #[error("the {0} stream ends too early")]
    Truncated(&'static str),
    /// Snappy streams start with an identifier.
    #[error("the snappy stream does not start with its identifier")]
    NoIdentifier,
    /// A chunk of a type that nobody may skip.
    #[error("a snappy chunk has type {0:#04x}, which is not known")]
    UnknownChunk(u8),
    /// A chunk larger than what it may hold.
    #[error("a snappy chunk has {bytes} bytes; allowed are {min} to {max}")]
    ChunkSize {
        /// Its announced size.
        bytes: usize,
        /// The smallest that makes sense.
        min: usize,
        /// The largest for 65536 bytes of data.
        max: usize,
    },
    /// The contents of a snappy chunk cannot be decompressed.
    #[error("a snappy chunk cannot be decompressed: {0}")]
    BadChunk(String),
    /// A chunk that is not what was sent.
    #[error("a snappy chunk has checksum {found:#010x}, and says {told:#010x}")]
    Checksum {
        /// What its contents have.
        found: u32,
        /// What the chunk says.
        told: u32,
    },
    /// The contents of a deflate stream make no sense.
    #[error("the deflate stream is damaged")]
    BadDeflate,
    /// Something follows the end of a deflate stream.
    #[error("bytes follow the end of the deflate stream")]
    AfterEnd,
}

/// Makes a compressed stream.
pub(super) trait Encode: Send {
    /// Takes all of `plain`, at most [`PIECE_BYTES`]; appends what becomes of it, now or later.
    fn encode(&mut self, plain: &[u8], encoded: &mut Vec<u8>);

    /// Appends what was held back, so that the other end can decode all that was taken.
    fn flush(&mut self, encoded: &mut Vec<u8>);
}

/// Reads a compressed stream.
pub(super) trait Decode: Send {
    /// Takes from the start of `encoded`, and puts at most [`PIECE_BYTES`] into `plain`, which is empty. If that stays
    /// empty, more of the stream is needed. A stream that was found to be damaged stays so.
    fn decode(&mut self, encoded: &mut BytesMut, plain: &mut Vec<u8>) -> Result<(), DamagedStream>;

    /// Whether the stream may end here, where `encoded` is left of it.
    fn end(&self, encoded: &BytesMut) -> Result<(), DamagedStream>;
}

pub(super) fn pair(compression: Compression) -> (Box<dyn Decode>, Box<dyn Encode>) {
    match compression {
        Compression::Snappy => (
            Box::new(snappy::Decoder::default()),
            Box::new(snappy::Encoder::default()),
        ),
        Compression::Deflate { level } => (
            Box::new(deflate::Decoder::default()),
            Box::new(deflate::Encoder::new(level)),
        ),
    }
}

/// What is compressed or decompressed at a time: the largest chunk of snappy's framing format.
pub(super) const PIECE_BYTES: usize = 64 * 1024;
