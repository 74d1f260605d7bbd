//! What is published: every message has a number of its own, from which its whole content follows.

use bytes::Bytes;

/// The first three are published to; all are subscribed to.
pub(crate) const SUBJECTS: [&str; 5] = ["a.b", "a.c", "b", "a.*", ">"];
pub(crate) const PUBLISHED: usize = 3;

/// Numbers from here on were published by others than the client under test.
pub(crate) const FOREIGN: u64 = 1 << 63;

/// The digits of the number are the beginning of each payload.
pub(crate) const DIGITS: usize = 16;

pub(crate) fn payload(number: u64, size: usize) -> Bytes {
    let mut payload = format!("{number:016x}").into_bytes();
    payload.resize(size.max(DIGITS), filler(number));
    payload.into()
}

pub(crate) fn headers(number: u64) -> Vec<u8> {
    format!("NATS/1.0\r\nNumber: {number:016x}\r\n\r\n").into_bytes()
}

fn filler(number: u64) -> u8 {
    b'a' + (number % 26) as u8
}

/// The number of a message, if all of its payload is what was published under that number.
pub(crate) fn read(payload: &[u8]) -> Option<u64> {
    let (digits, rest) = payload.split_at_checked(DIGITS)?;
    let number = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    rest.iter().all(|byte| *byte == filler(number)).then_some(number)
}

pub(crate) fn index(subject: &[u8]) -> Option<usize> {
    SUBJECTS.iter().position(|known| known.as_bytes() == subject)
}
