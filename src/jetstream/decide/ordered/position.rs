//! Where an ordered consumer stands in its stream.

use super::{Arrival, Created, Verdict};
use crate::jetstream::wire::DeliverPolicy;

/// Messages that the stream has lost before they were delivered: it was limited, purged, or they were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The number of the first one.
    pub first: u64,
    /// The number of the last one.
    pub last: u64,
}

impl Gap {
    /// How many they are.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

/// Everything up to a number of the stream is done: delivered, lost, or not wanted.
#[derive(Debug)]
pub(super) struct Position {
    /// `None`: nothing was delivered, and the start is the server's to find.
    done: Option<u64>,
    delivered: Option<u64>,
    /// The stream has had a message of this number.
    seen: u64,
    /// The first message that the stream had when the consumer was created last: those before it are lost.
    floor: u64,
    jumps: Jumps,
}

/// What a jump in the numbers of the stream means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Jumps {
    /// The messages between are lost.
    Lost,
    /// They may not match the filter.
    Unknown,
    /// They have been replaced by newer ones of the same subject, until this many messages have been delivered.
    Replaced { left: u64 },
}

impl Position {
    pub(super) fn new(policy: DeliverPolicy, whole: bool) -> Position {
        let jumps = match policy {
            _ if !whole => Jumps::Unknown,
            DeliverPolicy::LastPerSubject => Jumps::Replaced { left: u64::MAX },
            _ => Jumps::Lost,
        };
        Position { done: None, delivered: None, seen: 0, floor: 0, jumps }
    }

    /// Where the next incarnation starts.
    pub(super) fn start(&self, policy: DeliverPolicy) -> DeliverPolicy {
        match self.done {
            Some(done) => DeliverPolicy::ByStartSequence { start_sequence: done.saturating_add(1) },
            None => policy,
        }
    }

    /// Learns from an incarnation that was created. Whether the stream has begun again, so that the incarnation starts at the
    /// wrong place.
    pub(super) fn settle(&mut self, policy: DeliverPolicy, created: Created) -> bool {
        if self.done.is_some() {
            let Some(stream) = created.stream else { return false };
            self.floor = stream.first;
            if !stream.replaced && stream.last >= self.seen {
                return false;
            }
            // A stream that was replaced is new from its beginning; one that was restored has lost what came last.
            self.seen = if stream.replaced { 0 } else { stream.last };
            self.done = Some(self.seen);
            return true;
        }
        // A start that only the server could find is firm from now on, or what comes during an outage would be skipped.
        self.done = match policy {
            // Later the last messages are others, and the older ones are not wanted.
            DeliverPolicy::LastPerSubject => None,
            // What was lost before the consumer was created is lost all the same.
            DeliverPolicy::ByStartSequence { start_sequence } => {
                Some(created.before.min(start_sequence.saturating_sub(1)))
            }
            _ => {
                self.seen = created.before;
                Some(created.before)
            }
        };
        if let Jumps::Replaced { left } = &mut self.jumps {
            *left = created.pending;
        }
        false
    }

    /// Whether a message of this number was not delivered yet.
    pub(super) fn is_new(&self, stream: u64) -> bool {
        self.done.is_none_or(|done| stream > done)
    }

    /// The next message of an incarnation.
    pub(super) fn advance(&mut self, arrival: Arrival) -> Verdict {
        if !self.is_new(arrival.stream) {
            return Verdict::Ignore;
        }
        let next = self.done.map_or(arrival.stream, |done| done.saturating_add(1));
        self.done = Some(arrival.stream);
        self.delivered = self.done;
        self.seen = arrival.stream;
        let end = match &mut self.jumps {
            Jumps::Lost => arrival.stream,
            Jumps::Unknown => self.floor.min(arrival.stream),
            Jumps::Replaced { left } => {
                *left = left.saturating_sub(1).min(arrival.pending);
                if *left == 0 {
                    self.jumps = Jumps::Lost;
                }
                return Verdict::Deliver;
            }
        };
        match end.checked_sub(1) {
            Some(last) if last >= next => Verdict::DeliverAfter(Gap { first: next, last }),
            _ => Verdict::Deliver,
        }
    }

    /// The last message that was delivered.
    pub(super) fn last(&self) -> Option<u64> {
        self.delivered
    }
}
