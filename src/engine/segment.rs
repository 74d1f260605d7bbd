//! A segment: a run of whole frames on their way to the transport.
//!
//! Frames describe themselves: where one ends is found again by decoding what was encoded, which costs
//! nothing until a connection is lost. No index is kept beside the bytes.

use std::ops::Range;

use bytes::Bytes;

use crate::protocol::{ClientOp, Decoded, Decoder, Limits};

/// One or more whole frames. Small frames share `head`; a frame with a large payload has a segment to
/// itself, with its control line and headers in `head` and its payload, shared and not copied, in `body`.
///
/// On the wire: `head`, then, if there is a body, `body` and CR LF.
#[derive(Debug, Default)]
pub struct Segment {
    pub(super) head: Vec<u8>,
    pub(super) body: Option<Bytes>,
    /// How many of the frames are PUB or HPUB.
    pub(super) messages: u64,
    /// Whether SUB or UNSUB is among the frames.
    pub(super) interest: bool,
}

/// What a frame is, as far as admission to another server is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameView {
    /// PUB or HPUB.
    pub message: bool,
    /// HPUB.
    pub headers: bool,
    /// Header block and payload together: what `max_payload` limits.
    pub size: usize,
}

const CRLF: &[u8] = b"\r\n";

impl Segment {
    /// `PING` or another operation without arguments; nothing is allocated.
    pub(super) fn bare(op: &'static [u8]) -> Segment {
        Segment { body: Some(Bytes::from_static(op)), ..Segment::default() }
    }

    pub(super) fn wire(head: Vec<u8>) -> Segment {
        Segment { head, ..Segment::default() }
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
    pub(super) fn slices(&self, from: usize) -> impl Iterator<Item = &[u8]> {
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

    /// Forgets the frames of which all bytes lie before `taken`, and so rewinds to the first byte of the
    /// frame that was cut. Returns how many messages were forgotten.
    pub(super) fn forget_taken(&mut self, taken: usize) -> u64 {
        if self.body.is_some() {
            return 0;
        }
        let (mut end, mut messages) = (0, 0);
        for (range, view) in frames(&self.head) {
            if range.end > taken {
                break;
            }
            end = range.end;
            messages += u64::from(view.message);
        }
        self.head.drain(..end);
        self.messages -= messages;
        messages
    }

    /// Keeps the frames for which `keep` says so. Returns the bytes that went.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(FrameView) -> bool) -> usize {
        let before = self.len();
        if let Some(body) = &self.body {
            let headers = self.head.first() == Some(&b'H');
            let line = memchr::memchr(b'\n', &self.head).map_or(self.head.len(), |at| at + 1);
            let size = self.head.len() - line + body.len();
            if !keep(FrameView { message: true, headers, size }) {
                *self = Segment::default();
            }
            return before - self.len();
        }
        let (mut write, mut messages, mut interest) = (0, 0, false);
        let kept: Vec<Range<usize>> = frames(&self.head)
            .filter_map(|(range, view)| {
                let stays = keep(view);
                if stays {
                    messages += u64::from(view.message);
                    interest |= !view.message;
                }
                stays.then_some(range)
            })
            .collect();
        for range in kept {
            let len = range.len();
            self.head.copy_within(range, write);
            write += len;
        }
        self.head.truncate(write);
        self.messages = messages;
        self.interest = interest;
        before - self.len()
    }
}

/// The frames in `bytes`, which hold whole frames of our own making.
fn frames(bytes: &[u8]) -> impl Iterator<Item = (Range<usize>, FrameView)> {
    // Our own bytes were limited when they were admitted; here nothing may be refused.
    let mut decoder = Decoder::new(Limits { line: usize::MAX, headers: usize::MAX, total: usize::MAX });
    let mut at = 0;
    std::iter::from_fn(move || {
        let Ok(Decoded::Op { op, len }) = decoder.decode_client(bytes.get(at..)?) else {
            debug_assert!(at == bytes.len(), "a segment holds whole frames of our own");
            return None;
        };
        let view = match op {
            ClientOp::Pub(op) => FrameView {
                message: true,
                headers: op.headers.is_some(),
                size: op.headers.map_or(0, <[u8]>::len) + op.payload.len(),
            },
            _ => FrameView { message: false, headers: false, size: 0 },
        };
        let range = at..at + len;
        at += len;
        Some((range, view))
    })
}
