//! Inputs like those that are there: what a fuzzer does when it is not told what an input covers.

use fastrand::Rng;

/// Numbers that lengths and counts go wrong at.
const NUMBERS: [u32; 8] = [
    0,
    1,
    4,
    0xff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
];
/// Longest input that comes of it.
const BYTES_MAX: usize = 4096;

/// Changes an input in one to four ways; `other` is one that pieces may come from.
pub fn mutate(input: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    for _ in 0..rng.usize(1..=4) {
        change(input, other, rng);
    }
    input.truncate(BYTES_MAX);
}

fn change(input: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let at = rng.usize(..=input.len());
    let rest = input.len() - at;
    let piece = at..at + rng.usize(..=rest.min(64));
    match rng.u8(..7) {
        0 if rest > 0 => input[at] ^= 1 << rng.u8(..8),
        1 if rest > 0 => input[at] = rng.u8(..),
        2 if rest >= 4 => {
            let number = *rng.choice(&NUMBERS).expect("there are some");
            input[at..at + 4].copy_from_slice(&number.to_be_bytes());
        }
        3 => drop(input.drain(piece)),
        4 => {
            let copy = input[piece].to_vec();
            input.splice(at..at, copy);
        }
        5 if !other.is_empty() => {
            let from = rng.usize(..other.len());
            let upto = from + rng.usize(..=other.len() - from);
            input.splice(piece, other[from..upto].iter().copied());
        }
        _ => input.insert(at, rng.u8(..)),
    }
}
