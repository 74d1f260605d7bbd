//! One read from the socket: the positions of its messages, chained by subscription.

mod block;
mod kept;
#[cfg(test)]
mod tests;

pub(crate) use block::Block;
use block::{BLOCK, COPIED};
pub(super) use kept::KeptReads;

use std::sync::Arc;

use bytes::Bytes;

use crate::protocol::MsgOp;

/// The position of a message in its chunk. Half a cache line; positions are within the chunk, which the decoder's
/// limits keep far below 4 GiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    subject: u32,
    subject_len: u32,
    reply: u32,
    /// 0 without a reply subject.
    reply_len: u32,
    /// Start of the header block, if there is one, or of the payload.
    body: u32,
    /// `NO_HEADERS` for a MSG.
    headers_len: u32,
    payload_len: u32,
    /// The next message of the same subscription in this read.
    pub(super) next: u32,
}

const NO_HEADERS: u32 = u32::MAX;

impl Range {
    /// The position of `op` in `buf`, which contains its slices.
    #[inline]
    pub(super) fn of(op: &MsgOp<'_>, buf: &[u8]) -> Range {
        let base = buf.as_ptr() as usize;
        let start = |part: &[u8]| (part.as_ptr() as usize).wrapping_sub(base) as u32;
        let (reply, reply_len) = op.reply.map_or((0, 0), |reply| (start(reply), reply.len() as u32));
        let (body, headers_len) =
            op.headers.map_or((start(op.payload), NO_HEADERS), |headers| (start(headers), headers.len() as u32));
        Range {
            subject: start(op.subject),
            subject_len: op.subject.len() as u32,
            reply,
            reply_len,
            body,
            headers_len,
            payload_len: op.payload.len() as u32,
            next: 0,
        }
    }

    fn headers(&self) -> u32 {
        if self.headers_len == NO_HEADERS { 0 } else { self.headers_len }
    }

    /// The bytes that count against a subscription's limit: subject, reply, headers and payload.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.subject_len as usize + self.reply_len as usize + self.headers() as usize + self.payload_len as usize
    }

    /// From the subject's first byte to the payload's last.
    pub(super) fn span(&self) -> std::ops::Range<usize> {
        self.subject as usize..(self.body + self.headers() + self.payload_len) as usize
    }

    /// The same range, moved so that `span()` starts at `start`.
    pub(super) fn moved_to(&self, start: usize) -> Range {
        let shift = |at: u32| (at - self.subject) + start as u32;
        Range {
            subject: start as u32,
            reply: if self.reply_len == 0 { 0 } else { shift(self.reply) },
            body: shift(self.body),
            ..*self
        }
    }

    pub(super) fn subject_in<'a>(&self, chunk: &'a [u8]) -> &'a [u8] {
        part(chunk, self.subject, self.subject_len)
    }
}

fn part(chunk: &[u8], start: u32, len: u32) -> &[u8] {
    chunk.get(start as usize..(start + len) as usize).unwrap_or_default()
}

/// A chunk of received bytes and the messages in it.
#[derive(Debug)]
pub(crate) struct Read {
    pub(super) chunk: Bytes,
    pub(super) ranges: Vec<Range>,
    /// All are of one subscription, so each is followed by the next one in the list.
    pub(super) one_group: bool,
}

/// One received message: a chunk and its position. Cheap; slicing and checking are left to the consumer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    chunk: &'a Bytes,
    range: Range,
}

impl<'a> Raw<'a> {
    #[inline(always)]
    fn slice(&self, start: u32, len: u32) -> Bytes {
        let (start, end) = (start as usize, start as usize + len as usize);
        if end <= self.chunk.len() { self.chunk.slice(start..end) } else { Bytes::new() }
    }

    /// The subject, as received.
    #[inline(always)]
    pub(crate) fn subject_bytes(&self) -> &'a [u8] {
        self.range.subject_in(self.chunk)
    }

    /// [`subject_bytes`](Self::subject_bytes) as a handle.
    pub(crate) fn subject(&self) -> Bytes {
        self.slice(self.range.subject, self.range.subject_len)
    }

    /// The payload.
    #[inline(always)]
    pub(crate) fn payload(&self) -> Bytes {
        self.slice(self.range.body + self.range.headers(), self.range.payload_len)
    }

    /// The reply subject.
    #[inline(always)]
    pub(crate) fn reply(&self) -> Option<Bytes> {
        (self.range.reply_len > 0).then(|| self.slice(self.range.reply, self.range.reply_len))
    }

    /// The whole header block; `None` without one.
    #[inline(always)]
    pub(crate) fn headers(&self) -> Option<Bytes> {
        (self.range.headers_len != NO_HEADERS).then(|| self.slice(self.range.body, self.range.headers_len))
    }

    /// Bytes of subject, reply, headers and payload together.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.range.bytes()
    }

    /// The payload, borrowed.
    #[inline(always)]
    pub(crate) fn payload_bytes(&self) -> &'a [u8] {
        part(self.chunk, self.range.body + self.range.headers(), self.range.payload_len)
    }

    /// The reply subject, borrowed.
    #[inline(always)]
    pub(crate) fn reply_bytes(&self) -> Option<&'a [u8]> {
        (self.range.reply_len > 0).then(|| part(self.chunk, self.range.reply, self.range.reply_len))
    }

    /// The header block, borrowed.
    #[inline(always)]
    pub(crate) fn header_bytes(&self) -> Option<&'a [u8]> {
        (self.range.headers_len != NO_HEADERS).then(|| part(self.chunk, self.range.body, self.range.headers_len))
    }

    /// Gives `take` this message in memory of which it keeps little more alive than its own bytes.
    pub(crate) fn compact<T>(&self, take: impl FnOnce(&Raw<'_>) -> T) -> T {
        let span = self.range.span();
        if self.chunk.len() <= 2 * BLOCK || span.len() > COPIED {
            return take(self);
        }
        let chunk = Bytes::copy_from_slice(self.chunk.get(span).unwrap_or_default());
        take(&Raw { chunk: &chunk, range: self.range.moved_to(0) })
    }
}

#[cfg(test)]
impl Share {
    /// The bytes that this share keeps alive.
    pub(super) fn kept_alive(&self) -> usize {
        self.chunk().len()
    }

    /// A share of one message with these parts.
    pub(crate) fn of(subject: &[u8], reply: Option<&[u8]>, headers: Option<&[u8]>, payload: &[u8]) -> Share {
        let mut frame = Vec::new();
        crate::protocol::message(&mut frame, subject, 1, reply, headers, payload);
        let chunk = Bytes::from(frame);
        let mut decoder = crate::protocol::Decoder::new(crate::protocol::Limits::default());
        match decoder.decode_server(&chunk) {
            Ok(crate::protocol::Decoded::Op { op: crate::protocol::ServerOp::Msg(op), .. }) => {
                Share::One { range: Range::of(&op, &chunk), chunk: chunk.clone() }
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A subscription's share of one read.
#[derive(Debug)]
pub(crate) enum Share {
    /// A single message with its own chunk.
    One { chunk: Bytes, range: Range },
    /// `count` messages, chained from `first`, with `bytes` bytes when it was made. `count > 0`.
    Many { read: Arc<Read>, first: u32, count: u32, bytes: usize },
}

impl Share {
    pub(crate) fn count(&self) -> usize {
        match self {
            Share::One { .. } => 1,
            Share::Many { count, .. } => *count as usize,
        }
    }

    /// The bytes of the whole share that count against a limit.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Share::One { range, .. } => range.bytes(),
            Share::Many { bytes, .. } => *bytes,
        }
    }

    fn chunk(&self) -> &Bytes {
        match self {
            Share::One { chunk, .. } => chunk,
            Share::Many { read, .. } => &read.chunk,
        }
    }

    /// The messages, in order.
    #[inline]
    pub(crate) fn messages(&self) -> Messages<'_> {
        let (chunk, ranges, at) = match self {
            Share::One { chunk, range } => (chunk, std::slice::from_ref(range), 0),
            Share::Many { read, first, .. } => (&read.chunk, &read.ranges[..], *first),
        };
        Messages { chunk, ranges, at, left: self.count() }
    }

    /// The first message. Its `Raw` borrows from the share.
    #[inline]
    pub(crate) fn first(&self) -> Raw<'_> {
        match self {
            Share::One { chunk, range } => Raw { chunk, range: *range },
            Share::Many { read, first, .. } => {
                let range = read.ranges.get(*first as usize).copied().unwrap_or(EMPTY);
                Raw { chunk: &read.chunk, range }
            }
        }
    }

    /// Removes the first message; `false` if it was the last.
    #[inline]
    pub(crate) fn advance(&mut self) -> bool {
        match self {
            Share::Many { read, first, count, .. } if *count > 1 => {
                *count -= 1;
                *first = read.ranges.get(*first as usize).map_or(0, |range| range.next);
                true
            }
            _ => false,
        }
    }

    /// Cuts off the first `count` messages, if it has more, for a consumer: the parts have no sizes in bytes.
    pub(crate) fn cut(&mut self, wanted: usize) -> Option<Share> {
        let Share::Many { read, first, count, bytes } = self else { return None };
        let wanted = u32::try_from(wanted).ok().filter(|wanted| wanted < count)?;
        let taken = Share::Many { read: read.clone(), first: *first, count: wanted, bytes: 0 };
        *first = match read.one_group {
            true => *first + wanted,
            false => (0..wanted).fold(*first, |at, _| read.ranges.get(at as usize).map_or(0, |range| range.next)),
        };
        (*count, *bytes) = (*count - wanted, 0);
        Some(taken)
    }

    /// Splits off as many messages as fit `count` and `bytes`: returns those that fit, and the rest.
    pub(super) fn split(self, count: usize, bytes: usize) -> (Option<Share>, Option<Share>) {
        match self {
            Share::One { ref range, .. } if count >= 1 && range.bytes() <= bytes => (Some(self), None),
            Share::One { .. } => (None, Some(self)),
            Share::Many { read, first, count: all, bytes: total } => {
                let (mut at, mut fit, mut left) = (first, 0, bytes);
                while fit < all && (fit as usize) < count {
                    let Some(range) = read.ranges.get(at as usize) else {
                        break;
                    };
                    let Some(less) = left.checked_sub(range.bytes()) else {
                        break;
                    };
                    left = less;
                    at = range.next;
                    fit += 1;
                }
                let used = bytes - left;
                let rest = (fit < all).then(|| Share::Many {
                    read: read.clone(),
                    first: at,
                    count: all - fit,
                    bytes: total.saturating_sub(used),
                });
                ((fit > 0).then_some(Share::Many { read, first, count: fit, bytes: used }), rest)
            }
        }
    }
}

/// The messages of a share.
#[derive(Clone, Debug)]
pub(crate) struct Messages<'a> {
    chunk: &'a Bytes,
    ranges: &'a [Range],
    at: u32,
    left: usize,
}

impl<'a> Iterator for Messages<'a> {
    type Item = Raw<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Raw<'a>> {
        self.left = self.left.checked_sub(1)?;
        let range = *self.ranges.get(self.at as usize)?;
        self.at = range.next;
        Some(Raw { chunk: self.chunk, range })
    }
}

const EMPTY: Range = Range {
    subject: 0,
    subject_len: 0,
    reply: 0,
    reply_len: 0,
    body: 0,
    headers_len: NO_HEADERS,
    payload_len: 0,
    next: 0,
};
