//! What was lost on our side since it was told last: counts, which they were, and the messages as far as they are kept.

use std::ops::RangeInclusive;

use super::ledger::{LossReason, Lost};
use super::returned::LostMessages;
use super::segment::Segment;

/// So many bytes of lost messages are kept to be handed back, here and for each listener; what is lost beyond that is
/// only counted (DECISIONS D17).
pub const HANDED_BACK: usize = 1024 * 1024;

/// Losses that were not told yet. `bytes <= HANDED_BACK`.
#[derive(Debug, Default)]
pub(super) struct Losses {
    lost: Lost,
    runs: Vec<(LossReason, Segment)>,
    bytes: usize,
    sequences: Vec<RangeInclusive<u64>>,
    garbage: Vec<Segment>,
}

/// Losses, to be told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) lost: Lost,
    pub(super) messages: LostMessages,
    /// The sequence numbers; there may be some between them of messages that were withdrawn.
    pub(super) sequences: Vec<RangeInclusive<u64>>,
}

impl Losses {
    /// How many were lost.
    pub(super) fn lost(&self) -> Lost {
        self.lost
    }

    /// The messages of `segment` are lost.
    pub(super) fn push(&mut self, reason: LossReason, segment: Segment) {
        self.lost.add(reason, segment.messages);
        if self.bytes + segment.len() > HANDED_BACK {
            return self.forget(segment);
        }
        self.bytes += segment.len();
        match self.runs.last_mut() {
            // Small frames are gathered.
            Some((last, run)) if *last == reason && run.body.is_none() && segment.body.is_none() => {
                run.head.extend_from_slice(&segment.head);
                run.messages += segment.messages;
            }
            _ => self.runs.push((reason, segment)),
        }
    }

    /// The messages with these numbers are among those that were lost.
    pub(super) fn name(&mut self, numbers: RangeInclusive<u64>) {
        match self.sequences.last_mut() {
            Some(last) if last.end() + 1 == *numbers.start() => *last = *last.start()..=*numbers.end(),
            _ if numbers.is_empty() => {}
            _ => self.sequences.push(numbers),
        }
    }

    /// Nobody needs to know; but a shared payload is not dropped here, where a lock may be held.
    pub(super) fn forget(&mut self, segment: Segment) {
        if segment.body.is_some() {
            self.garbage.push(segment);
        }
    }

    /// What is to be dropped where no lock is held.
    pub(super) fn take_garbage(&mut self) -> Vec<Segment> {
        std::mem::take(&mut self.garbage)
    }

    /// What there is to tell, if anything.
    pub(super) fn tell(&mut self) -> Option<Told> {
        if self.lost == Lost::default() {
            return None;
        }
        self.bytes = 0;
        Some(Told {
            lost: std::mem::take(&mut self.lost),
            messages: LostMessages::new(std::mem::take(&mut self.runs)),
            sequences: std::mem::take(&mut self.sequences),
        })
    }
}
