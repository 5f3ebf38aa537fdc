//! Message bodies that prove who they are: a delivery that decodes is one that some producer sent, bit by bit.
//!
//! ```text
//!  0  4  magic "NSQT"        14  8  sequence number at its producer
//!  4  8  run                 22  n  random bytes that follow from the fields before
//! 12  2  producer          22+n  4  CRC32C of all before
//! ```
//!
//! All integers are big endian.

use super::event::Key;

/// The smallest body.
pub const BYTES_MIN: usize = HEADER_BYTES + CHECK_BYTES;

const MAGIC: &[u8; 4] = b"NSQT";
const HEADER_BYTES: usize = 22;
const CHECK_BYTES: usize = 4;

/// The body of a message of so many bytes, at least [`BYTES_MIN`].
pub fn encode(run: u64, message: Key, bytes: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(bytes);
    body.extend_from_slice(MAGIC);
    body.extend_from_slice(&run.to_be_bytes());
    body.extend_from_slice(&message.producer.to_be_bytes());
    body.extend_from_slice(&message.seq.to_be_bytes());
    body.resize(bytes.max(BYTES_MIN) - CHECK_BYTES, 0);
    fill(run, message, &mut body[HEADER_BYTES..]);
    let check = crc32c::crc32c(&body);
    body.extend_from_slice(&check.to_be_bytes());
    body
}

/// Whose body this is; the error tells what is wrong with it.
pub fn decode(run: u64, body: &[u8]) -> Result<Key, String> {
    let bytes = body.len();
    let (content, check) = body
        .split_last_chunk::<CHECK_BYTES>()
        .ok_or_else(|| format!("{bytes} bytes are no body"))?;
    if u32::from_be_bytes(*check) != crc32c::crc32c(content) {
        return Err(format!("{bytes} bytes don't match their check"));
    }
    let header = content
        .first_chunk::<HEADER_BYTES>()
        .ok_or_else(|| format!("{bytes} bytes are no body"))?;
    let number = |from: usize, to: usize| {
        header[from..to]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    if &header[..4] != MAGIC || number(4, 12) != run {
        return Err(format!("a body of run {}, not of {run}", number(4, 12)));
    }
    let message = Key {
        producer: u16::from_be_bytes([header[12], header[13]]),
        seq: number(14, 22),
    };
    let mut expected = vec![0; content.len() - HEADER_BYTES];
    fill(run, message, &mut expected);
    if content[HEADER_BYTES..] != expected {
        return Err(format!(
            "the body of {message} has other bytes than were sent"
        ));
    }
    Ok(message)
}

fn fill(run: u64, message: Key, bytes: &mut [u8]) {
    let seed = run ^ (u64::from(message.producer) << 48) ^ message.seq.rotate_left(17);
    fastrand::Rng::with_seed(seed).fill(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: Key = Key {
        producer: 3,
        seq: 77,
    };

    #[test]
    fn a_body_tells_whose_it_is() {
        for bytes in [BYTES_MIN, 27, 200, 5000] {
            let body = encode(9, MESSAGE, bytes);
            assert_eq!(body.len(), bytes);
            assert_eq!(decode(9, &body), Ok(MESSAGE));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let body = encode(9, MESSAGE, 60);
        for bit in 0..body.len() * 8 {
            let mut flipped = body.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(9, &flipped).is_err(), "bit {bit}");
        }
        for cut in 0..body.len() {
            assert!(decode(9, &body[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_body_of_another_run_is_not_ours() {
        assert!(decode(8, &encode(9, MESSAGE, 60)).is_err());
    }
}
