//! The flight: what the connection task has loaded for the transport, and how much of it was taken.
//!
//! It belongs to one connection. Messages come from the [`Outbox`]; PING, PONG, the handshake and the replay
//! are put between them here, always at a frame's end.

use std::collections::VecDeque;

use super::outbox::Outbox;
use super::segment::Segment;

/// What one segment in flight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Frames of the outbox.
    Frames,
    /// A PING, tracked by liveness.
    Ping,
    /// Handshake, replay, UNSUB with a maximum, PONG: made anew for each connection.
    Wire,
}

/// What the transport took by one write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Messages of which the last byte is now taken.
    pub messages: u64,
    /// PINGs of which the last byte is now taken.
    pub pings: usize,
}

/// Bytes on their way, with a cursor: `at <= length of the first segment`.
#[derive(Debug, Default)]
pub struct Flight {
    items: VecDeque<(Kind, Segment)>,
    at: usize,
    len: usize,
    messages: u64,
    released: usize,
    /// So many of the bytes not yet taken are with the transport already, in this order.
    begun: usize,
    spent: Vec<Vec<u8>>,
}

impl Flight {
    /// Bytes not yet taken.
    pub fn len(&self) -> usize {
        self.len - self.at
    }

    /// Whether everything was taken.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
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

    pub(super) fn push_frames(&mut self, segment: Segment) {
        self.messages += segment.messages;
        self.push(Kind::Frames, segment);
    }

    pub(super) fn push_wire(&mut self, bytes: Vec<u8>) {
        self.push(Kind::Wire, Segment::wire(bytes));
    }

    pub(super) fn push_ping(&mut self) {
        self.push(Kind::Ping, Segment::bare(b"PING"));
    }

    /// The transport works on the next `n` bytes: whatever becomes of them, nothing may go between.
    pub(super) fn begin(&mut self, n: usize) {
        self.begun = n;
    }

    /// A PONG goes ahead of everything but the segments in progress: the server's patience is limited.
    pub(super) fn push_pong(&mut self) {
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
        self.items.insert(place, (Kind::Wire, segment));
    }

    fn push(&mut self, kind: Kind, segment: Segment) {
        self.len += segment.len();
        self.items.push_back((kind, segment));
    }

    /// The transport took `n` more bytes.
    pub(super) fn advance(&mut self, n: usize) -> Taken {
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
            if *kind == Kind::Frames {
                self.released += step;
            }
            if self.at == len {
                self.at = 0;
                self.len -= len;
                if let Some((kind, segment)) = self.items.pop_front() {
                    taken.messages += segment.messages;
                    taken.pings += usize::from(kind == Kind::Ping);
                    self.messages -= segment.messages;
                    if kind == Kind::Frames && segment.body.is_none() && self.spent.len() < 64 {
                        let mut chunk = segment.head;
                        chunk.clear();
                        self.spent.push(chunk);
                    }
                }
            }
        }
        taken
    }

    /// Tells the outbox what was taken since the last time.
    pub(super) fn report(&mut self, outbox: &mut Outbox) {
        outbox.release(std::mem::take(&mut self.released), &mut self.spent);
    }

    /// The connection is gone: what was not taken goes back to the outbox, the cut frame from its first byte.
    /// Returns how many messages of the cut segment had been taken wholly.
    pub(super) fn give_back(&mut self, outbox: &mut Outbox) -> u64 {
        let at = std::mem::take(&mut self.at);
        let mut taken = 0;
        if let Some((Kind::Frames, cut)) = self.items.front_mut() {
            if at > 0 {
                taken = cut.forget_taken(at);
            }
        }
        let frames = self.items.drain(..).filter(|(kind, _)| *kind == Kind::Frames).map(|(_, segment)| segment);
        outbox.take_back(frames.collect::<Vec<_>>().into_iter());
        *self = Flight::default();
        taken
    }

    /// Forgets everything; for a connection that never carried messages, or after a clean end.
    pub(super) fn clear(&mut self) -> Vec<Segment> {
        let items = std::mem::take(&mut self.items);
        *self = Flight::default();
        items.into_iter().map(|(_, segment)| segment).collect()
    }

    /// Gives unused memory back.
    pub(super) fn shrink(&mut self) {
        self.spent = Vec::new();
        self.items.shrink_to(4);
    }
}
