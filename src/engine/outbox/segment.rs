//! A segment: a run of whole frames on their way to the transport.
//!
//! Frames describe themselves: where one ends is found by decoding it again, which costs nothing until a connection is lost. No
//! index is kept beside the bytes.

use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;
use zeroize::Zeroize;

use super::payload::Payload;
use crate::engine::ledger::LossReason;
use crate::protocol::{ClientOp, Decoded, Decoder, Limits};

/// One or more whole frames. Small frames share `head`; a frame with a large payload has a segment to
/// itself, with its control line and headers in `head` and its payload, shared and not copied, in `body`.
///
/// On the wire: `head`, then, if there is a body, `body` and CR LF.
#[derive(Debug, Default)]
pub struct Segment {
    pub(in crate::engine) head: Vec<u8>,
    pub(in crate::engine) body: Option<Payload>,
    /// How many of the frames are PUB or HPUB.
    pub(in crate::engine) messages: u64,
    /// Whether SUB or UNSUB is among the frames.
    pub(in crate::engine) interest: bool,
    /// How many of the messages, from the first on, were given to a connection that died and are sent again (at least once
    /// only). `sent <= messages`.
    pub(in crate::engine) sent: u64,
    /// Since when the youngest of the frames is buffered; `None`: it is not, or there is no age limit.
    pub(in crate::engine) buffered_since: Option<Instant>,
}

/// A frame, as far as it matters for whether a server can take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct FrameView<'a> {
    /// PUB or HPUB.
    pub(in crate::engine) message: bool,
    /// Its subject; empty for another frame.
    pub(in crate::engine) subject: &'a [u8],
    /// Its reply subject.
    pub(in crate::engine) reply: Option<&'a [u8]>,
    /// Whether it is HPUB.
    pub(in crate::engine) headers: bool,
    /// Header block and payload together: what `max_payload` limits.
    pub(in crate::engine) size: usize,
}

const CRLF: &[u8] = b"\r\n";

impl Segment {
    /// `PING` or another operation without arguments; nothing is allocated.
    pub(in crate::engine) fn bare(op: &'static [u8]) -> Segment {
        Segment { body: Some(Payload::new(Bytes::from_static(op))), ..Segment::default() }
    }

    pub(in crate::engine) fn wire(head: Vec<u8>) -> Segment {
        Segment { head, ..Segment::default() }
    }

    /// Overwrites its content: CONNECT has credentials in it.
    pub(in crate::engine) fn wipe(mut self) {
        self.head.zeroize();
    }

    /// Bytes on the wire.
    pub fn len(&self) -> usize {
        self.head.len() + self.body.as_ref().map_or(0, |body| body.len() + CRLF.len())
    }

    /// Whether it holds no byte.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.body.is_none()
    }

    /// The parts from byte `from` on, in order.
    pub(in crate::engine) fn slices(&self, from: usize) -> impl Iterator<Item = &[u8]> {
        let parts: [&[u8]; 3] = match &self.body {
            Some(body) => [&self.head, body, CRLF],
            None => [&self.head, &[], &[]],
        };
        let mut skip = from;
        parts.into_iter().filter_map(move |part| {
            let rest = part.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(part.len());
            (!rest.is_empty()).then_some(rest)
        })
    }

    /// Drops the frames that lie completely before byte `taken`, and so rewinds to the first byte of the frame that was cut.
    /// Returns what was dropped.
    pub(in crate::engine) fn forget_taken(&mut self, taken: usize) -> Cut {
        let cut = self.cut_at(taken);
        self.head.drain(..cut.whole);
        self.messages -= cut.messages;
        self.sent = self.sent.saturating_sub(cut.messages);
        cut
    }

    /// What lies before byte `taken`.
    pub(in crate::engine) fn cut_at(&self, taken: usize) -> Cut {
        let mut cut = Cut { whole: 0, messages: 0, inside: taken > 0 };
        if self.body.is_some() {
            return cut;
        }
        for (range, view) in frames(&self.head) {
            if range.end > taken {
                cut.inside = range.start < taken && view.message;
                break;
            }
            cut.whole = range.end;
            cut.messages += u64::from(view.message);
        }
        cut
    }

    /// Decides about each frame, in order. `gone` gets what is lost, with the reason, and the payloads of what is dropped.
    pub(in crate::engine) fn sift(
        &mut self,
        mut decide: impl FnMut(FrameView<'_>) -> Verdict,
        mut gone: impl FnMut(Option<LossReason>, Segment),
    ) {
        if self.body.is_some() {
            match decide(self.large_view()) {
                Verdict::Keep => {}
                Verdict::Forget => gone(None, std::mem::take(self)),
                Verdict::Lose(reason) => gone(Some(reason), std::mem::take(self)),
            }
            return;
        }
        let (mut messages, mut interest, mut sent, mut number) = (0, false, 0, 0);
        let mut kept: Vec<Range<usize>> = Vec::new();
        for (range, view) in frames(&self.head) {
            let again = view.message && number < self.sent;
            number += u64::from(view.message);
            match decide(view) {
                Verdict::Keep => {
                    messages += u64::from(view.message);
                    sent += u64::from(again);
                    interest |= !view.message;
                    kept.push(range);
                }
                Verdict::Forget => {}
                Verdict::Lose(reason) => {
                    let head = self.head.get(range).unwrap_or_default().to_vec();
                    gone(Some(reason), Segment { head, messages: 1, ..Segment::default() });
                }
            }
        }
        let mut write = 0;
        for range in kept {
            let len = range.len();
            self.head.copy_within(range, write);
            write += len;
        }
        self.head.truncate(write);
        (self.messages, self.interest, self.sent) = (messages, interest, sent);
    }

    /// Keeps the frames for which `decide` returns true.
    pub(in crate::engine) fn keep(&mut self, decide: impl FnMut(FrameView<'_>) -> Verdict) {
        self.sift(decide, |_, _| {});
    }

    /// Takes the first message out.
    pub(in crate::engine) fn pop_message(&mut self) -> Option<Segment> {
        if self.body.is_some() {
            return Some(std::mem::take(self));
        }
        let (range, _) = frames(&self.head).find(|(_, view)| view.message)?;
        let head = self.head.drain(range).collect();
        let sent = self.sent.min(1);
        self.messages -= 1;
        self.sent -= sent;
        Some(Segment { head, messages: 1, sent, ..Segment::default() })
    }

    /// Splits this many messages off at the front, with the SUBs and UNSUBs before them; `self` keeps the rest.
    pub(in crate::engine) fn split_messages(&mut self, messages: u64) -> Segment {
        self.split(|_, before| before < messages)
    }

    /// Splits off the frames that lie completely in the first `bytes`, but at least one.
    pub(in crate::engine) fn split_bytes(&mut self, bytes: usize) -> Segment {
        self.split(|range, _| range.start == 0 || range.end <= bytes)
    }

    /// Splits frames off as long as `goes` returns true. It is given the frame's range and how many messages come before it.
    fn split(&mut self, mut goes: impl FnMut(&Range<usize>, u64) -> bool) -> Segment {
        if self.body.is_some() {
            return if goes(&(0..self.len()), 0) { std::mem::take(self) } else { Segment::default() };
        }
        let (mut end, mut messages, mut interest) = (0, 0, false);
        for (range, view) in frames(&self.head) {
            if !goes(&range, messages) {
                break;
            }
            end = range.end;
            messages += u64::from(view.message);
            interest |= !view.message;
        }
        let rest = self.head.split_off(end);
        let head = std::mem::replace(&mut self.head, rest);
        let sent = self.sent.min(messages);
        self.messages -= messages;
        self.sent -= sent;
        Segment { head, body: None, messages, interest, sent, buffered_since: self.buffered_since }
    }

    fn large_view(&self) -> FrameView<'_> {
        let line = memchr::memchr(b'\n', &self.head).map_or(self.head.len(), |at| at + 1);
        let size = self.head.len() - line + self.body.as_ref().map_or(0, |body| body.len());
        let headers = self.head.first() == Some(&b'H');
        let (subject, reply) = large_names(&self.head).unwrap_or_default();
        FrameView { message: true, subject, reply, headers, size }
    }
}

/// Subject and reply subject of a frame whose payload is separate. Its control line is one of ours: a word, the subject,
/// perhaps a reply subject, and one number or, with headers, two.
pub(in crate::engine) fn large_names(head: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let end = memchr::memchr(b'\n', head)?;
    let mut tokens = head.get(..end)?.trim_ascii_end().split(|byte| *byte == b' ');
    let numbers = if tokens.next()? == b"HPUB" { 2 } else { 1 };
    let (subject, next) = (tokens.next()?, tokens.next());
    Some((subject, next.filter(|_| tokens.count() == numbers)))
}

/// What a byte offset means for the frames of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Cut {
    /// Bytes of the frames that lie completely before it.
    pub(in crate::engine) whole: usize,
    /// How many of those are messages.
    pub(in crate::engine) messages: u64,
    /// Whether it lies inside a message.
    pub(in crate::engine) inside: bool,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Verdict {
    Keep,
    /// It is dropped without a report.
    Forget,
    Lose(LossReason),
}

/// The frames in `bytes`, which are whole frames of our own making. If the rest ever is not, it counts as one message: every
/// byte belongs to a frame, so that no loop waits for a piece that never comes.
pub(in crate::engine) fn frames(bytes: &[u8]) -> impl Iterator<Item = (Range<usize>, FrameView<'_>)> {
    // Our own frames were checked when they were admitted; nothing may be refused here.
    let mut decoder = Decoder::new(Limits { line: usize::MAX, headers: usize::MAX, total: usize::MAX });
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let none = FrameView { message: false, subject: &[], reply: None, headers: false, size: 0 };
        let (view, len) = match decoder.decode_client(rest) {
            Ok(Decoded::Op { op: ClientOp::Pub(op), len }) => {
                let headers = op.headers.is_some();
                let size = op.headers.map_or(0, <[u8]>::len) + op.payload.len();
                (FrameView { message: true, subject: op.subject, reply: op.reply, headers, size }, len)
            }
            Ok(Decoded::Op { len, .. }) => (none, len),
            _ => (FrameView { message: true, size: rest.len(), ..none }, rest.len()),
        };
        let range = at..at + len;
        at += len;
        Some((range, view))
    })
}
