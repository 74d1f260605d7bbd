//! The outbox: frames that wait for the transport, in the order in which they were admitted, under an exact cap.
//!
//! It is the half that publishers reach, under the mailbox's lock; [`Flight`](super::Flight) is the half that the connection
//! task owns. Frames move from here to there when the task loads them, and return to the front when a connection dies before
//! the transport took them.

mod admission;
mod backlog;
mod buffering;
mod flight;
mod frame_index;
mod loading;
mod losses;
mod payload;
mod promised;
mod removed;
mod returned;
mod segment;

pub use admission::{Frame, Gate, Refusal};
use backlog::Backlog;
pub(super) use buffering::Fill;
pub use flight::Flight;
pub(super) use flight::Taken;
pub use losses::DroppedRun;
pub(super) use losses::{Losses, RETURNED_BYTES};
pub use returned::{LostMessage, LostMessages};
pub(super) use segment::FrameView;
pub use segment::Segment;

use std::time::Instant;

use self::frame_index::FrameIndex;
use self::payload::Payload;
use self::removed::Removed;
use super::config::{DeliveryMode, OutboxRules};
use crate::protocol;

/// Small frames are gathered into chunks of this size; none straddles two.
///
/// Arbitrary: large enough that a chunk costs nothing per frame, small enough that a PONG, which must wait for the end of the
/// chunk in progress, is not late.
pub(super) const CHUNK: usize = 64 * 1024;

/// The first size of a chunk, so that an idle client stays small; it grows up to [`CHUNK`].
const FIRST_CHUNK: usize = 4 * 1024;

/// A payload of this size or more is shared and not copied: below it, the copy is cheaper than a segment of its own.
pub(super) const SHARED_PAYLOAD: usize = 32 * 1024;

/// While the gate is open, publishers wait when this many bytes are pending. Measured: with 64 KiB a publisher of 1 KiB
/// messages reaches half of the socket's throughput, with 1 MiB 95 %.
pub(super) const MARK: usize = 1024 * 1024;

/// Chunks kept for reuse.
const SPARE_CHUNKS: usize = MARK / CHUNK;

/// The waiting frames.
///
/// Invariants: `pending` = bytes here + bytes that a [`Flight`](super::Flight) has loaded and not yet reported as taken or, at
/// least once, as confirmed. While buffering, `pending <= cap` after every admission.
#[derive(Debug)]
pub struct Outbox {
    gate: Gate,
    cap: usize,
    mark: usize,
    /// The mark while the gate is open, otherwise 0: one comparison instead of two.
    open_mark: usize,
    sealed: Backlog,
    tail: Segment,
    /// The number of the last message before the tail.
    tail_after: u64,
    /// The tail's index, once one of its messages was withdrawn.
    tail_index: Option<Box<FrameIndex>>,
    /// Messages up to this number do not wait here.
    passed: u64,
    spare: Vec<Vec<u8>>,
    pending: usize,
    admitted: u64,
    /// Numbers between those of the waiting messages that no longer wait: withdrawn, dropped, or not fit for the server.
    removed: Removed,
    /// How many were ever withdrawn.
    withdrawn: u64,
    /// The last sid whose SUB was admitted.
    subscribed: u64,
    /// Accepted, and dropped before they had a number.
    unnumbered: u64,
    rules: OutboxRules,
    /// What was lost since the last exchange.
    losses: Losses,
    /// Whether the next exchange has something to report that nobody waits for: losses, or a watermark.
    news: bool,
    /// At this many pending bytes the next exchange has something to report.
    alarm: usize,
    /// Messages dropped here since [`take_dropped`](Outbox::take_dropped).
    dropped: usize,
    /// The time of the last [`tick`](Outbox::tick), and when the tail was begun.
    clock: Option<(Instant, Instant)>,
    /// The last message after which a publisher waits for a PONG; 0: none so far.
    pong_wanted: u64,
    /// At least once: waiting messages up to this number were given to a connection that died.
    given: u64,
}

impl Outbox {
    /// An empty outbox whose gate is buffering. While a server is connected, frames are admitted up to the mark, and the one
    /// that exceeds it may be larger than the cap; it is kept if the connection is lost.
    pub fn new(rules: OutboxRules) -> Outbox {
        let cap = rules.cap;
        let mark = match rules.delivery {
            // With cap 0 buffering is off, but not writing: the mark stays whole.
            _ if cap == 0 => MARK,
            DeliveryMode::AtMostOnce => MARK.min(cap / 2).max(1),
            // What is kept until its PONG is what the line can carry, not what the socket can: a mark made for a socket would
            // slow down a long line.
            DeliveryMode::AtLeastOnce => (cap / 2).max(1),
        };
        Outbox {
            gate: Gate::Buffering,
            cap,
            mark,
            open_mark: 0,
            sealed: Backlog::default(),
            tail: Segment::default(),
            tail_after: 0,
            tail_index: None,
            passed: 0,
            spare: Vec::new(),
            pending: 0,
            admitted: 0,
            removed: Removed::default(),
            withdrawn: 0,
            subscribed: 0,
            unnumbered: 0,
            alarm: buffering::alarm(cap),
            rules,
            losses: Losses::default(),
            news: false,
            dropped: 0,
            clock: None,
            pong_wanted: 0,
            given: 0,
        }
    }

    /// What may be admitted now.
    #[inline]
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// Bytes that are not yet taken by the transport, those in a [`Flight`](super::Flight) included.
    #[inline]
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Messages ever admitted and not withdrawn: the left side of the ledger.
    pub fn accepted(&self) -> u64 {
        self.ever_accepted() - self.withdrawn
    }

    /// Messages ever admitted, even if they were withdrawn: it never falls.
    pub fn ever_accepted(&self) -> u64 {
        self.admitted + self.unnumbered
    }

    /// The sequence number of the last message that was admitted.
    #[cfg(feature = "jetstream")]
    pub fn last(&self) -> u64 {
        self.admitted
    }

    /// The sequence number of the last message before those that wait here.
    pub fn through(&self) -> u64 {
        if self.messages() == 0 { self.admitted } else { self.removed.skip(self.passed + 1) - 1 }
    }

    /// The sequence number of the first message that waits here, or of the next one.
    pub(super) fn first_waiting(&self) -> u64 {
        self.removed.skip(self.through() + 1)
    }

    /// Whether SUBs or UNSUBs wait here.
    pub(super) fn has_interest(&self) -> bool {
        self.tail.interest || self.sealed.has_interest()
    }

    /// The cap in bytes.
    pub fn cap(&self) -> usize {
        self.cap
    }

    /// Bytes at which publishers wait while the gate is open.
    pub fn mark(&self) -> usize {
        self.mark
    }

    /// Whether a waiter for room would now be admitted or refused.
    #[inline]
    pub fn has_room(&self) -> bool {
        if self.gate == Gate::Open { self.pending < self.mark } else { self.has_room_while_buffering(1) }
    }

    /// The same for a waiter with a frame of this size, or for one that does not wait during an outage.
    pub fn has_room_for(&self, frame: Option<usize>) -> bool {
        match frame {
            Some(len) if self.gate != Gate::Open => self.has_room_while_buffering(len),
            None if self.gate != Gate::Open => true,
            _ => self.pending < self.mark,
        }
    }

    /// Whether the next exchange has something to report, so that the task must be woken for it.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.news
    }

    /// Whether there is nothing to load.
    pub fn is_empty(&self) -> bool {
        self.tail.is_empty() && self.sealed.is_empty()
    }

    /// Messages that wait here, not counting those in a [`Flight`](super::Flight).
    pub fn messages(&self) -> u64 {
        self.tail.messages + self.sealed.messages()
    }

    /// Admits a message, or returns why not. `Ok` is its sequence number, from 1. `over_mark`: the caller was promised room, so
    /// the mark does not matter.
    #[inline(always)]
    pub fn admit(&mut self, frame: &Frame<'_>, over_mark: bool) -> Result<u64, Refusal> {
        let len = frame.len();
        self.check_room(frame, len, over_mark)?;
        let Frame { subject, reply, headers, payload } = *frame;
        if payload.len() >= SHARED_PAYLOAD {
            self.push_shared(frame, len);
        } else {
            let head = self.room_for(len);
            let whole = head.len();
            // Encoding can't panic on checked input; if it ever does, no half frame may remain.
            let guard = Truncate { to: whole, head };
            protocol::publish(guard.head, subject, reply, headers, payload);
            debug_assert_eq!(guard.head.len(), whole + len);
            std::mem::forget(guard);
            self.tail.messages += 1;
        }
        self.pending += len;
        self.admitted += 1;
        Ok(self.admitted)
    }

    /// Makes sure that a frame of `len` bytes may be admitted.
    #[inline(always)]
    fn check_room(&mut self, frame: &Frame<'_>, len: usize, over_mark: bool) -> Result<(), Refusal> {
        match self.gate {
            // The cap limits what is buffered while no server is connected, and not what a connected one takes: below the mark
            // one frame passes, whatever its size.
            Gate::Open if over_mark || self.pending < self.mark => Ok(()),
            Gate::Open => Err(Refusal::NoRoom),
            Gate::Buffering => self.make_place(frame, len),
            Gate::Shut => Err(Refusal::Shut),
        }
    }

    /// Admits a frame with a large payload, as a segment of its own in which the payload is shared.
    fn push_shared(&mut self, frame: &Frame<'_>, len: usize) {
        let Frame { subject, reply, headers, payload } = *frame;
        let mut head = Vec::with_capacity(len - payload.len());
        protocol::publish_head(&mut head, subject, reply, headers, payload.len());
        self.seal();
        let buffered_since = self.clock.map(|(now, _)| now);
        let body = Some(Payload::new(payload.clone()));
        let segment = Segment { head, body, messages: 1, buffered_since, ..Segment::default() };
        self.sealed.push_back(segment, self.admitted);
        // Its own number is the next one.
        self.tail_after = self.admitted + 1;
    }

    /// The tail's buffer. It is sealed and replaced first if `len` more bytes would make the chunk too large.
    #[inline(always)]
    fn room_for(&mut self, len: usize) -> &mut Vec<u8> {
        if self.tail.head.capacity() - self.tail.head.len() < len {
            self.make_room(len);
        }
        &mut self.tail.head
    }

    /// The tail is full: seals it if the chunk would become too large, and otherwise grows it.
    #[cold]
    fn make_room(&mut self, len: usize) {
        if !self.tail.head.is_empty() && self.tail.head.len() + len > CHUNK {
            self.seal();
        }
        let tail = &mut self.tail.head;
        if tail.capacity() == 0 {
            *tail = self.spare.pop().unwrap_or_default();
        }
        if tail.capacity() - tail.len() < len {
            let doubled = (tail.capacity() * 2).clamp(FIRST_CHUNK, CHUNK);
            tail.reserve_exact(doubled.max(tail.len() + len) - tail.len());
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let sealed = std::mem::take(&mut self.tail);
            self.sealed.push_indexed(sealed, self.tail_after, self.tail_index.take());
        }
        self.tail_after = self.admitted;
    }

    /// Takes the tail, without what was withdrawn.
    fn take_tail(&mut self) -> Segment {
        self.tail_after = self.admitted;
        let mut tail = std::mem::take(&mut self.tail);
        if let Some(index) = self.tail_index.take() {
            index.clean(&mut tail);
        }
        tail
    }

    pub(super) fn set_gate(&mut self, gate: Gate) {
        self.gate = gate;
        self.open_mark = if gate == Gate::Open { self.mark } else { 0 };
        if gate == Gate::Open && self.clock.take().is_some() {
            // What is admitted from here on must not count as being as old as what was buffered.
            self.seal();
            self.tail.buffered_since = None;
        }
    }

    /// Nothing is admitted any more: the task that loaded from here is gone.
    pub fn shut(&mut self) {
        self.set_gate(Gate::Shut);
    }

    /// Frees unused memory; called when nothing has moved for a while.
    pub fn shrink(&mut self) {
        self.spare = Vec::new();
        self.sealed.shrink();
        if self.tail.is_empty() {
            self.tail = Segment::default();
        }
    }

    /// Bytes that wait here, not counting those in a [`Flight`](super::Flight).
    fn waiting(&self) -> usize {
        let dead = self.tail_index.as_ref().map_or(0, |index| index.dead_bytes());
        self.tail.len() - dead + self.sealed.bytes()
    }

    /// Frames were removed: `before` bytes were waiting here. What a flight has loaded still counts.
    fn forget(&mut self, before: usize) {
        self.pending -= before - self.waiting();
    }
}

/// Cuts a half-encoded frame off if its encoder unwinds.
struct Truncate<'a> {
    to: usize,
    head: &'a mut Vec<u8>,
}

impl Drop for Truncate<'_> {
    fn drop(&mut self) {
        self.head.truncate(self.to);
    }
}
