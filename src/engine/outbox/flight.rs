//! The flight: what the connection task has loaded for the transport, and how much of it was taken.
//!
//! It belongs to one connection. Messages come from the [`Outbox`](super::Outbox); PING, PONG, the handshake and the replay are
//! inserted here, always between frames.

use std::collections::VecDeque;

use super::backlog::Backlog;
use super::segment::Segment;
use crate::engine::config::DeliveryMode;

/// The content of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Frames of the outbox.
    Frames,
    /// A PING, tracked by liveness.
    Ping,
    /// A PONG.
    Pong,
    /// The handshake, which is made again for each connection. CONNECT has credentials in it.
    Handshake,
    /// The replay and other SUBs and UNSUBs of the engine, likewise made again.
    Wire,
    /// SUBs and UNSUBs of commands, likewise.
    Interest,
}

/// SUBs and UNSUBs are gathered up to this size.
const GATHERED: usize = 4 * 1024;

/// The most PONGs that may wait. A server that sends PINGs and reads nothing must not fill the memory, and one that reads again
/// accepts any PONG as a sign of life.
const PONGS: usize = 1024;

/// What the transport took in one write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) struct Taken {
    /// Messages whose last byte is now taken.
    pub(in crate::engine) messages: u64,
    /// PINGs whose last byte is now taken.
    pub(in crate::engine) pings: usize,
    /// Those of the messages that an earlier connection had taken too.
    pub(in crate::engine) resent: u64,
}

/// What a flight returns when its connection is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) struct GivenBack {
    /// Messages that the transport had taken completely, and that were not counted as taken before.
    pub(in crate::engine) taken: u64,
    /// Those of them that an earlier connection had taken too.
    pub(in crate::engine) resent: u64,
    /// Whether the transport had taken a part of the next one.
    pub(in crate::engine) cut: bool,
}

/// Bytes in flight, with a cursor: `at <= length of the first segment`.
#[derive(Debug, Default)]
pub struct Flight {
    delivery: DeliveryMode,
    items: VecDeque<(Kind, Segment)>,
    at: usize,
    len: usize,
    messages: u64,
    /// PONGs in segments that were not taken completely.
    pongs: usize,
    /// At least once: taken, and not confirmed.
    kept: Backlog,
    /// Bytes that no longer count for the outbox, and free chunks, since the last report.
    released: usize,
    /// Bytes of SUBs and UNSUBs in segments that were not taken completely.
    interest: usize,
    /// How many of the bytes not yet taken the transport has already begun with, so that their order is fixed.
    begun: usize,
    spent: Vec<Vec<u8>>,
}

impl Flight {
    /// An empty flight.
    pub fn new(delivery: DeliveryMode) -> Flight {
        Flight { delivery, ..Flight::default() }
    }

    /// Bytes not yet taken.
    pub fn len(&self) -> usize {
        self.len - self.at
    }

    /// Whether everything was taken.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether nothing here could return to the outbox.
    pub(in crate::engine) fn holds_no_message(&self) -> bool {
        self.messages == 0 && self.kept.is_empty()
    }

    /// Messages in segments that were not taken completely.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The next bytes to write, in order.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = self.at;
        self.items.iter().flat_map(move |(_, segment)| segment.slices(std::mem::take(&mut from)))
    }

    pub(in crate::engine) fn push_frames(&mut self, segment: Segment) {
        self.messages += segment.messages;
        self.push(Kind::Frames, segment);
    }

    pub(in crate::engine) fn push_wire(&mut self, bytes: Vec<u8>) {
        self.push(Kind::Wire, Segment::wire(bytes));
    }

    /// The handshake.
    pub(in crate::engine) fn push_handshake(&mut self, bytes: Vec<u8>) {
        self.push(Kind::Handshake, Segment::wire(bytes));
    }

    /// SUB or UNSUB.
    pub(in crate::engine) fn push_interest(&mut self, bytes: Vec<u8>) {
        self.interest += bytes.len();
        match self.items.back_mut() {
            Some((Kind::Interest, last)) if last.len() + bytes.len() <= GATHERED => {
                self.len += bytes.len();
                last.head.extend_from_slice(&bytes);
            }
            _ => self.push(Kind::Interest, Segment::wire(bytes)),
        }
    }

    /// Bytes of SUBs and UNSUBs that commands have queued.
    pub fn interest(&self) -> usize {
        self.interest
    }

    pub(in crate::engine) fn push_ping(&mut self) {
        self.push(Kind::Ping, Segment::bare(b"PING"));
    }

    /// The transport has begun with the next `n` bytes: nothing may be inserted between them any more.
    pub(in crate::engine) fn begin(&mut self, n: usize) {
        self.begun = n;
    }

    /// Adds a PONG after everything else. Beyond the limit it is left out.
    pub(in crate::engine) fn push_pong_behind(&mut self) {
        if self.pongs < PONGS {
            self.pongs += 1;
            self.push(Kind::Pong, Segment::bare(b"PONG"));
        }
    }

    /// Adds a PONG ahead of everything but the segments in progress, because the server's patience is limited. Beyond the limit
    /// it is left out.
    pub(in crate::engine) fn push_pong(&mut self) {
        if self.pongs >= PONGS {
            return;
        }
        self.pongs += 1;
        let segment = Segment::bare(b"PONG");
        self.len += segment.len();
        let (mut place, mut left) = (0, self.at + self.begun);
        for (_, item) in &self.items {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(item.len());
            place += 1;
        }
        self.items.insert(place, (Kind::Pong, segment));
    }

    fn push(&mut self, kind: Kind, segment: Segment) {
        self.len += segment.len();
        self.items.push_back((kind, segment));
    }

    /// The transport took `n` more bytes.
    pub(in crate::engine) fn advance(&mut self, n: usize) -> Taken {
        self.begun = self.begun.saturating_sub(n);
        let mut taken = Taken::default();
        let mut left = n;
        while left > 0 {
            let Some((kind, segment)) = self.items.front() else {
                debug_assert!(false, "the transport can't take more than there is");
                break;
            };
            let len = segment.len();
            let step = left.min(len - self.at);
            left -= step;
            self.at += step;
            if *kind == Kind::Frames && self.delivery == DeliveryMode::AtMostOnce {
                self.released += step;
            }
            if self.at == len {
                self.at = 0;
                self.len -= len;
                if let Some((kind, segment)) = self.items.pop_front() {
                    taken.messages += segment.messages;
                    taken.pings += usize::from(kind == Kind::Ping);
                    self.pongs -= usize::from(kind == Kind::Pong);
                    taken.resent += segment.sent;
                    self.messages -= segment.messages;
                    match (kind, self.delivery) {
                        (Kind::Frames, DeliveryMode::AtMostOnce) => self.recycle(segment),
                        // SUBs alone are not sent again, and no PING would be due to confirm them.
                        (Kind::Frames, DeliveryMode::AtLeastOnce) if segment.messages == 0 => {
                            self.released += len;
                            self.recycle(segment);
                        }
                        (Kind::Frames, DeliveryMode::AtLeastOnce) => self.kept.push_back(segment, 0),
                        (Kind::Ping | Kind::Pong | Kind::Wire, _) => {}
                        (Kind::Handshake, _) => segment.wipe(),
                        (Kind::Interest, _) => self.interest -= len,
                    }
                }
            }
        }
        taken
    }

    fn recycle(&mut self, segment: Segment) {
        if segment.body.is_none() && self.spent.len() < 64 {
            let mut chunk = segment.head;
            chunk.clear();
            self.spent.push(chunk);
        }
    }

    /// A PONG confirms this many more messages: the oldest that were taken. PINGs stand between segments, so these are whole
    /// segments. `look` sees each of them first, and may take messages out.
    pub(in crate::engine) fn confirmed(&mut self, messages: u64, mut look: impl FnMut(&mut Segment)) {
        let mut left = messages;
        while self.kept.front().is_some_and(|segment| segment.messages <= left) {
            if let Some(mut segment) = self.kept.pop_front() {
                left -= segment.messages;
                self.released += segment.len();
                look(&mut segment);
                self.recycle(segment);
            }
        }
    }

    /// Returns how many bytes no longer count for the outbox since the last call, and the free chunks.
    pub(in crate::engine) fn take_released(&mut self) -> (usize, &mut Vec<Vec<u8>>) {
        (std::mem::take(&mut self.released), &mut self.spent)
    }

    /// The connection is gone. Returns what goes back to the outbox: what was not taken, with a cut frame from its first byte;
    /// at least once also what was taken and not confirmed.
    pub(in crate::engine) fn give_back(&mut self) -> (GivenBack, Vec<Segment>) {
        let back = match self.delivery {
            DeliveryMode::AtMostOnce => self.rewind(),
            DeliveryMode::AtLeastOnce => self.rewind_to_confirmed(),
        };
        (back, self.take_frames())
    }

    /// Nothing is sent any more: what was taken and not confirmed is in doubt in either mode, and only what was not taken goes
    /// back. The payloads of the rest go to `gone`.
    pub(in crate::engine) fn give_back_at_the_end(&mut self, gone: &mut Vec<Segment>) -> (GivenBack, Vec<Segment>) {
        let back = self.rewind();
        gone.extend(self.kept.drain());
        (back, self.take_frames())
    }

    fn take_frames(&mut self) -> Vec<Segment> {
        let Flight { items, mut kept, .. } = std::mem::replace(self, Flight::new(self.delivery));
        let rest = items.into_iter().filter(|(kind, _)| *kind == Kind::Frames).map(|(_, segment)| segment);
        kept.drain().chain(rest).collect()
    }

    /// Drops the messages that were taken completely.
    fn rewind(&mut self) -> GivenBack {
        let at = std::mem::take(&mut self.at);
        let Some((Kind::Frames, cut)) = self.items.front_mut().filter(|_| at > 0) else { return GivenBack::default() };
        let sent = cut.sent;
        let place = cut.forget_taken(at);
        GivenBack { taken: place.messages, resent: sent - cut.sent, cut: place.inside }
    }

    /// Records which messages were taken, and drops none.
    fn rewind_to_confirmed(&mut self) -> GivenBack {
        let at = std::mem::take(&mut self.at);
        self.kept.mark_sent();
        let Some((Kind::Frames, cut)) = self.items.front_mut().filter(|_| at > 0) else { return GivenBack::default() };
        let place = cut.cut_at(at);
        let resent = cut.sent.min(place.messages);
        cut.sent = cut.sent.max(place.messages);
        GivenBack { taken: place.messages, resent, cut: place.inside }
    }

    /// Drops everything, for a connection that never carried messages or ended cleanly.
    pub(in crate::engine) fn clear(&mut self) -> Vec<Segment> {
        let Flight { items, kept, .. } = std::mem::replace(self, Flight::new(self.delivery));
        let mut segments: Vec<Segment> = kept.into_segments().collect();
        for (kind, segment) in items {
            match kind {
                Kind::Handshake => segment.wipe(),
                Kind::Frames | Kind::Ping | Kind::Pong | Kind::Wire | Kind::Interest => segments.push(segment),
            }
        }
        segments
    }

    /// Frees unused memory.
    pub(in crate::engine) fn shrink(&mut self) {
        self.spent = Vec::new();
        self.items.shrink_to(4);
    }
}
