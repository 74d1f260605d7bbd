//! The head of the last MSG: most messages of a stream begin with the same bytes as the one before.

use super::plain::{body, digits};
use crate::protocol::limits::Limits;
use crate::protocol::op::MsgOp;

/// Longer heads are not remembered: comparing them would cost as much as reading them.
const LONGEST: usize = 64;

/// How many messages with another head come before the head is replaced, so that a stream in which no two messages are alike
/// pays for it rarely.
const PATIENCE: u8 = 16;

/// `MSG subject sid ` of an earlier message, blanks included, and what was read from it.
#[derive(Debug, Clone)]
pub(super) struct Head {
    bytes: [u8; LONGEST],
    /// 0: none was remembered.
    len: usize,
    subject: usize,
    sid: u64,
    misses: u8,
}

impl Default for Head {
    fn default() -> Self {
        Self { bytes: [0; LONGEST], len: 0, subject: 0, sid: 0, misses: PATIENCE }
    }
}

impl Head {
    /// Reads a MSG that is complete, canonical and without a reply subject, and that begins like the remembered one. `None` for
    /// anything else.
    #[inline(always)]
    pub(super) fn msg<'a>(&self, buf: &'a [u8], limits: &Limits) -> Option<(MsgOp<'a>, usize)> {
        let (head, rest) = buf.split_at_checked(self.len)?;
        if !same(head, self.bytes.get(..self.len)?) {
            return None;
        }
        let (total, rest) = digits(rest)?;
        let (payload, len) = body(buf, rest.strip_prefix(b"\r\n")?, total, limits)?;
        let subject = buf.get(4..4 + self.subject)?;
        Some((MsgOp { subject, sid: self.sid, reply: None, headers: None, payload }, len))
    }

    /// Another message was read from the start of `buf`.
    #[inline(always)]
    pub(super) fn missed(&mut self, buf: &[u8], message: &MsgOp<'_>) {
        self.misses += 1;
        if self.misses >= PATIENCE {
            self.remember(buf, message);
        }
    }

    #[cold]
    fn remember(&mut self, buf: &[u8], message: &MsgOp<'_>) {
        self.misses = 0;
        self.len = 0;
        if message.reply.is_some() || message.headers.is_some() {
            return;
        }
        // The last blank of the line is the one before the size.
        let line = buf.iter().position(|byte| *byte == b'\r').and_then(|end| buf.get(..end)).unwrap_or_default();
        let len = line.iter().rposition(|byte| *byte == b' ').map_or(0, |blank| blank + 1);
        if let (Some(place), Some(head)) = (self.bytes.get_mut(..len), line.get(..len)) {
            place.copy_from_slice(head);
            (self.len, self.subject, self.sid) = (len, message.subject.len(), message.sid);
        }
    }
}

/// Whether two slices of the same length, at most [`LONGEST`], are equal: without a call for the usual lengths.
#[inline(always)]
fn same(one: &[u8], other: &[u8]) -> bool {
    match one.len() {
        // Nothing was remembered.
        0..=7 => false,
        8..=16 => ends::<8>(one, other),
        17..=32 => ends::<16>(one, other),
        _ => one == other,
    }
}

/// The first `N` bytes and the last `N` bytes are equal, which are all if there are at most `2 * N`.
#[inline(always)]
fn ends<const N: usize>(one: &[u8], other: &[u8]) -> bool {
    one.first_chunk::<N>() == other.first_chunk::<N>() && one.last_chunk::<N>() == other.last_chunk::<N>()
}
