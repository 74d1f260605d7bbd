//! A payload that shows its number, and whether any byte of it has changed.
//!
//! Sequence number, a filler whose length and bytes depend on it, checksum.

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of the sequence number, and of the checksum.
const WORD: usize = 8;

/// Fillers are shorter than this.
const FILLER: u64 = 256;

/// The payload of message `number`.
pub(crate) fn of(number: u64) -> Bytes {
    let filler = filler(number);
    let mut payload = BytesMut::with_capacity(filler + 2 * WORD);
    payload.put_u64(number);
    payload.put_bytes(number as u8, filler);
    let sum = checksum(&payload);
    payload.put_u64(sum);
    payload.freeze()
}

/// The number of the message; `None`: it is not one that was sent.
pub(crate) fn number(payload: &[u8]) -> Option<u64> {
    let (rest, sum) = payload.split_last_chunk::<WORD>()?;
    let number = u64::from_be_bytes(*rest.first_chunk()?);
    let whole = rest.len() == WORD + filler(number) && checksum(rest) == u64::from_be_bytes(*sum);
    whole.then_some(number)
}

/// Lengths differ from message to message, so that no position repeats by chance.
fn filler(number: u64) -> usize {
    (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % FILLER as usize
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
