//! Short `PUB` frames: the usual small message, encoded with copies of lengths known to the compiler; and the prefix that
//! messages on one subject share.

use core::fmt;

use super::debug::Text;
use super::encoder::{publish, publish_len};

/// Length of the longest short frame, in bytes.
///
/// Arbitrary: two cache lines, into which a subject and a payload of usual length fit.
pub const SHORT_FRAME: usize = 128;

/// How much of that may be subject and payload: everything but `PUB`, two blanks, three digits and two line ends.
pub const SHORT_PARTS: usize = SHORT_FRAME - b"PUB  128\r\n\r\n".len();

/// Appends a whole `PUB` frame without a reply subject, as [`publish`](super::publish) does, and returns its length.
/// `None`: subject and payload together are longer than [`SHORT_PARTS`], and nothing was appended.
///
/// Copying parts of unknown lengths costs a call for each, which is most of the work for a small message.
/// Here room for the longest is made in one step, and each part is copied as two overlapping blocks.
///
/// ```
/// use nats_lifeline::protocol::publish_short;
///
/// let mut out = Vec::new();
/// assert_eq!(publish_short(&mut out, b"foo", b"hi"), Some(15));
/// assert_eq!(out, b"PUB foo 2\r\nhi\r\n");
/// assert_eq!(publish_short(&mut out, b"foo", &[0; 128]), None);
/// ```
#[inline(always)]
pub fn publish_short(out: &mut Vec<u8>, subject: &[u8], payload: &[u8]) -> Option<usize> {
    if subject.len() + payload.len() > SHORT_PARTS {
        return None;
    }
    let head = |rest: &mut Rest<'_>| {
        rest.array(b"PUB ");
        rest.part(subject);
    };
    Some(short(out, 4 + subject.len(), head, payload))
}

/// `PUB` and a subject, encoded once for many messages.
///
/// ```
/// use nats_lifeline::protocol::PublishPrefix;
///
/// let prefix = PublishPrefix::new(b"foo");
/// let mut out = Vec::new();
/// assert_eq!(prefix.encode(&mut out, b"hi"), 15);
/// assert_eq!(out, b"PUB foo 2\r\nhi\r\n");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PublishPrefix(Box<[u8]>);

impl fmt::Debug for PublishPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublishPrefix").field(&Text(&self.0)).finish()
    }
}

impl PublishPrefix {
    /// The prefix of messages on `subject`, which the caller has checked.
    #[must_use]
    pub fn new(subject: &[u8]) -> PublishPrefix {
        PublishPrefix([b"PUB ", subject].concat().into())
    }

    /// The subject.
    #[must_use]
    pub fn subject(&self) -> &[u8] {
        self.0.get(4..).unwrap_or_default()
    }

    /// Length in bytes of the frame that [`encode`](Self::encode) writes for a payload of this length.
    #[must_use]
    #[inline(always)]
    pub fn frame_len(&self, payload: usize) -> usize {
        publish_len(self.0.len() - 4, None, None, payload)
    }

    /// Appends a whole `PUB` frame without a reply subject, as [`publish`](super::publish) does, and returns its length.
    #[inline(always)]
    pub fn encode(&self, out: &mut Vec<u8>, payload: &[u8]) -> usize {
        if self.0.len() - 4 + payload.len() <= SHORT_PARTS {
            short(out, self.0.len(), |rest| rest.part(&self.0), payload)
        } else {
            let before = out.len();
            publish(out, self.subject(), None, None, payload);
            out.len() - before
        }
    }
}

/// Appends a short frame: the head of `head_len` bytes that `head` writes, the size and the payload. Returns its length.
#[inline(always)]
fn short(out: &mut Vec<u8>, head_len: usize, head: impl FnOnce(&mut Rest<'_>), payload: &[u8]) -> usize {
    let start = out.len();
    if head_len + payload.len() <= 4 + SHORT_PARTS - SHORT_FRAME / 2 {
        out.extend_from_slice(&[0; SHORT_FRAME / 2]);
    } else {
        out.extend_from_slice(&[0; SHORT_FRAME]);
    }
    let mut rest = Rest(out.get_mut(start..).unwrap_or_default());
    head(&mut rest);
    let digit = |unit: usize| b'0' + (payload.len() / unit % 10) as u8;
    let size = match payload.len() {
        0..=9 => {
            rest.array(&[b' ', digit(1), b'\r', b'\n']);
            4
        }
        10..=99 => {
            rest.array(&[b' ', digit(10), digit(1), b'\r', b'\n']);
            5
        }
        _ => {
            rest.array(&[b' ', digit(100), digit(10), digit(1), b'\r', b'\n']);
            6
        }
    };
    rest.part(payload);
    rest.array(b"\r\n");
    let len = head_len + size + payload.len() + 2;
    out.truncate(start + len);
    len
}

/// Where the next part goes.
struct Rest<'a>(&'a mut [u8]);

impl Rest<'_> {
    #[inline(always)]
    fn array<const N: usize>(&mut self, bytes: &[u8; N]) {
        if let Some((place, rest)) = std::mem::take(&mut self.0).split_first_chunk_mut::<N>() {
            *place = *bytes;
            self.0 = rest;
        }
    }

    #[inline(always)]
    fn part(&mut self, bytes: &[u8]) {
        if let Some((place, rest)) = std::mem::take(&mut self.0).split_at_mut_checked(bytes.len()) {
            copy(place, bytes);
            self.0 = rest;
        }
    }
}

/// Copies `from` to `to`, which have the same length.
#[inline(always)]
fn copy(to: &mut [u8], from: &[u8]) {
    match from.len() {
        16..=32 => ends::<16>(to, from),
        8..=15 => ends::<8>(to, from),
        4..=7 => ends::<4>(to, from),
        0..=3 => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
        _ => to.copy_from_slice(from),
    }
}

/// The first `N` bytes and the last `N` bytes, which are all if there are at most `2 * N`.
#[inline(always)]
fn ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk::<N>()) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_encoder_writes_for_every_length_that_fits() {
        let text: Vec<u8> = (0..=255).map(|n| b'!' + n % 90).collect();
        for (subject, payload) in (1..130).flat_map(|subject| (0..130).map(move |payload| (subject, payload))) {
            let (subject, payload) = (&text[..subject], &text[100..100 + payload]);
            let mut expected = b"before".to_vec();
            publish(&mut expected, subject, None, None, payload);
            let mut out = b"before".to_vec();
            let written = publish_short(&mut out, subject, payload);
            let prefix = PublishPrefix::new(subject);
            let mut prefixed = b"before".to_vec();
            assert_eq!(prefix.encode(&mut prefixed, payload), expected.len() - 6);
            assert_eq!((prefix.frame_len(payload.len()), prefix.subject()), (expected.len() - 6, subject));
            assert_eq!(prefixed, expected);
            if subject.len() + payload.len() <= SHORT_PARTS {
                assert_eq!(written, Some(expected.len() - 6));
                assert!(expected.len() - 6 <= SHORT_FRAME);
                assert_eq!(out, expected);
            } else {
                assert_eq!((written, &out[..]), (None, &b"before"[..]));
            }
        }
    }
}
