//! The flight: what the connection task has loaded for the transport, and how much of it was taken.
//!
//! It belongs to one connection. Messages come from the [`Outbox`](super::Outbox); PING, PONG, the handshake and the replay
//! are put between them here, always at a frame's end.

use std::collections::VecDeque;

use super::backlog::Backlog;
use super::segment::Segment;
use crate::engine::config::DeliveryMode;

/// What one segment in flight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Frames of the outbox.
    Frames,
    /// A PING, tracked by liveness.
    Ping,
    /// An answer to a PING.
    Pong,
    /// The handshake and the replay: made again for each connection.
    Wire,
    /// SUBs and UNSUBs that commands have put here: the same.
    Interest,
}

/// SUBs and UNSUBs are gathered up to this size.
const GATHERED: usize = 4 * 1024;

/// The most PONGs that wait. A server that sends PINGs and reads nothing must not fill the memory, and one that reads
/// again takes any PONG as a sign of life.
const PONGS: usize = 1024;

/// What the transport took by one write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) struct Taken {
    /// Messages of which the last byte is now taken.
    pub(in crate::engine) messages: u64,
    /// PINGs of which the last byte is now taken.
    pub(in crate::engine) pings: usize,
    /// Those of the messages that a connection before this one had taken too.
    pub(in crate::engine) resent: u64,
}

/// What a flight gives back when its connection is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) struct GivenBack {
    /// Messages that the transport had taken wholly, and that were not counted as taken before.
    pub(in crate::engine) taken: u64,
    /// Those of them that a connection before this one had taken too.
    pub(in crate::engine) resent: u64,
    /// Whether the transport had taken a part of the next one, and no more.
    pub(in crate::engine) cut: bool,
}

/// Bytes on their way, with a cursor: `at <= length of the first segment`.
#[derive(Debug, Default)]
pub struct Flight {
    delivery: DeliveryMode,
    items: VecDeque<(Kind, Segment)>,
    at: usize,
    len: usize,
    messages: u64,
    /// PONGs in segments that were not wholly taken.
    pongs: usize,
    /// At least once: taken, and not confirmed.
    kept: Backlog,
    /// Bytes that no longer count for the outbox, and chunks that are free again, since the last report.
    released: usize,
    /// Bytes of SUBs and UNSUBs in segments that were not wholly taken.
    interest: usize,
    /// How many of the bytes not yet taken are with the transport already, in this order.
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

    /// Whether nothing here may go back to the outbox.
    pub(in crate::engine) fn holds_no_message(&self) -> bool {
        self.messages == 0 && self.kept.is_empty()
    }

    /// Messages in segments that were not wholly taken.
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

    /// Bytes of SUBs and UNSUBs that commands have put in line.
    pub fn interest(&self) -> usize {
        self.interest
    }

    pub(in crate::engine) fn push_ping(&mut self) {
        self.push(Kind::Ping, Segment::bare(b"PING"));
    }

    /// The transport works on the next `n` bytes: whatever becomes of them, nothing may go between.
    pub(in crate::engine) fn begin(&mut self, n: usize) {
        self.begun = n;
    }

    /// A PONG after everything. Beyond the limit it is left out.
    pub(in crate::engine) fn push_pong_behind(&mut self) {
        if self.pongs < PONGS {
            self.pongs += 1;
            self.push(Kind::Pong, Segment::bare(b"PONG"));
        }
    }

    /// A PONG goes ahead of everything but the segments in progress: the server's patience is limited. Beyond the limit it
    /// is left out.
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
                        (Kind::Ping | Kind::Pong, _) => {}
                        (Kind::Wire, _) => segment.wipe(),
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

    /// A PONG confirms this many messages more: the oldest that were taken. PINGs stand between segments, so these are whole
    /// ones. `look` sees each before it goes, and may take some out.
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

    /// How many bytes no longer count for the outbox since this was last asked, and the chunks that are free again.
    pub(in crate::engine) fn take_released(&mut self) -> (usize, &mut Vec<Vec<u8>>) {
        (std::mem::take(&mut self.released), &mut self.spent)
    }

    /// The connection is gone. Returns what goes back to the outbox: what was not taken, the cut frame from its first byte; at
    /// least once also what was taken and not confirmed.
    pub(in crate::engine) fn give_back(&mut self) -> (GivenBack, Vec<Segment>) {
        let back = match self.delivery {
            DeliveryMode::AtMostOnce => self.rewind(),
            DeliveryMode::AtLeastOnce => self.rewind_to_confirmed(),
        };
        (back, self.take_frames())
    }

    /// Nothing is sent any more: what was taken and not confirmed stays in doubt, whatever the mode. Only what was not taken
    /// goes back. Payloads that stay go to `gone`.
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

    /// Forgets the messages that were taken wholly.
    fn rewind(&mut self) -> GivenBack {
        let at = std::mem::take(&mut self.at);
        let Some((Kind::Frames, cut)) = self.items.front_mut().filter(|_| at > 0) else {
            return GivenBack::default();
        };
        let sent = cut.sent;
        let place = cut.forget_taken(at);
        GivenBack { taken: place.messages, resent: sent - cut.sent, cut: place.inside }
    }

    /// Remembers which were taken, and forgets none.
    fn rewind_to_confirmed(&mut self) -> GivenBack {
        let at = std::mem::take(&mut self.at);
        self.kept.mark_sent();
        let Some((Kind::Frames, cut)) = self.items.front_mut().filter(|_| at > 0) else {
            return GivenBack::default();
        };
        let place = cut.cut_at(at);
        let resent = cut.sent.min(place.messages);
        cut.sent = cut.sent.max(place.messages);
        GivenBack { taken: place.messages, resent, cut: place.inside }
    }

    /// Forgets everything; for a connection that never carried messages, or after a clean end.
    pub(in crate::engine) fn clear(&mut self) -> Vec<Segment> {
        let Flight { items, kept, .. } = std::mem::replace(self, Flight::new(self.delivery));
        let mut segments: Vec<Segment> = kept.into_segments().collect();
        for (kind, segment) in items {
            match kind {
                Kind::Wire => segment.wipe(),
                Kind::Frames | Kind::Ping | Kind::Pong | Kind::Interest => segments.push(segment),
            }
        }
        segments
    }

    /// Gives unused memory back.
    pub(in crate::engine) fn shrink(&mut self) {
        self.spent = Vec::new();
        self.items.shrink_to(4);
    }
}
