//! A message that shows its sender and number, and whether any byte of it has changed.
//!
//! Publisher, number, era, a filler whose length and bytes depend on those, checksum. Every fourth one has headers with
//! the same data.

use bytes::{BufMut, Bytes, BytesMut};
use nats_lifeline::{HeaderMap, Message};

use super::dice::mix;

/// Publisher, number and era at the beginning, the checksum at the end.
const FRONT: usize = 20;
const SUM: usize = 8;

const NAME: &str = "Chaos-Letter";
const FILLER: &str = "Chaos-Filler";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) from: u32,
    /// From 0, without gaps.
    pub(crate) number: u64,
    /// It is sent on this connection of its client or on a later one, counted from 1.
    pub(crate) era: u64,
}

impl Letter {
    pub(crate) fn payload(&self) -> Bytes {
        let filler = self.filler();
        let mut payload = BytesMut::with_capacity(FRONT + filler + SUM);
        payload.put_u32(self.from);
        payload.put_u64(self.number);
        payload.put_u64(self.era);
        let mut word = self.mixed();
        for _ in 0..filler / 8 {
            payload.put_u64(word);
            word = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
        }
        payload.put_bytes(word as u8, filler % 8);
        let sum = checksum(&payload);
        payload.put_u64(sum);
        payload.freeze()
    }

    pub(crate) fn headers(&self) -> Option<HeaderMap> {
        if self.number % 4 != 1 {
            return None;
        }
        let mut headers = HeaderMap::new();
        headers.insert(NAME, self.name().as_str());
        headers.insert(FILLER, "x".repeat(1 + self.mixed() as usize % 200).as_str());
        Some(headers)
    }

    /// Parses a received message; `None`: it is not one that was sent.
    pub(crate) fn of(message: &Message) -> Option<Letter> {
        let (letter, filler) = Letter::read(&message.payload)?;
        let headers = message.headers.as_ref().filter(|headers| !headers.is_empty());
        let same = match (letter.headers(), headers) {
            (None, None) => true,
            (Some(sent), Some(came)) => [NAME, FILLER].iter().all(|name| {
                let text = |headers: &HeaderMap| headers.get(*name).map(ToString::to_string);
                text(&sent) == text(came)
            }),
            _ => false,
        };
        (same && filler.len() == letter.filler()).then_some(letter)
    }

    /// Parses a payload and its filler; `None`: it is not one that was sent.
    pub(crate) fn read(payload: &[u8]) -> Option<(Letter, &[u8])> {
        let (rest, sum) = payload.split_last_chunk::<SUM>()?;
        if checksum(rest) != u64::from_be_bytes(*sum) {
            return None;
        }
        let (from, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (era, filler) = rest.split_first_chunk()?;
        let (from, number) = (u32::from_be_bytes(*from), u64::from_be_bytes(*number));
        Some((Letter { from, number, era: u64::from_be_bytes(*era) }, filler))
    }

    fn name(&self) -> String {
        format!("{}-{}", self.from, self.number)
    }

    fn mixed(&self) -> u64 {
        mix(self.number ^ (u64::from(self.from) << 48))
    }

    /// Mostly small, some larger than a read, a few larger than the payloads that are copied into the outbox.
    fn filler(&self) -> usize {
        let mixed = self.mixed() >> 8;
        let (percent, length) = (mixed % 1000, (mixed / 1000) as usize);
        match percent {
            0..900 => length % 400,
            900..990 => length % 5_000,
            990..999 => length % 50_000,
            _ => length % 300_000,
        }
    }
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
