//! What was lost on our side since the last report: counts, numbers, and the messages as far as they are kept.

use std::ops::RangeInclusive;

use super::returned::LostMessages;
use super::segment::{FrameView, Segment, Verdict};
use crate::engine::ledger::{LossReason, Lost};

/// How many bytes of lost messages are kept to be returned, here and for each listener; messages lost beyond that are only
/// counted (D17).
pub(in crate::engine) const RETURNED_BYTES: usize = 1024 * 1024;

/// Losses that were not reported yet. `bytes <= RETURNED_BYTES`.
#[derive(Debug, Default)]
pub(in crate::engine) struct Losses {
    lost: Lost,
    runs: Vec<(LossReason, Segment)>,
    bytes: usize,
    sequences: Vec<DroppedRun>,
    garbage: Vec<Segment>,
}

/// Messages that were lost on our side, by their sequence numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedRun {
    /// Why.
    pub reason: LossReason,
    /// The numbers. Messages with some of them may have been withdrawn before.
    pub numbers: RangeInclusive<u64>,
    /// A connection that is gone had taken them before (at least once only): a server may have processed them.
    pub handed_over: bool,
}

impl DroppedRun {
    fn goes_on_with(&self, next: &DroppedRun) -> bool {
        let same = (self.reason, self.handed_over) == (next.reason, next.handed_over);
        same && self.numbers.end() + 1 == *next.numbers.start()
    }
}

/// Losses, to be reported.
#[derive(Debug)]
pub(in crate::engine) struct LossReport {
    pub(in crate::engine) lost: Lost,
    pub(in crate::engine) messages: LostMessages,
    /// Which they were.
    pub(in crate::engine) sequences: Vec<DroppedRun>,
}

impl Losses {
    /// How many were lost.
    pub(in crate::engine) fn lost(&self) -> Lost {
        self.lost
    }

    /// Takes what a segment's [`sift`](Segment::sift) removes.
    pub(in crate::engine) fn take(&mut self, reason: Option<LossReason>, segment: Segment) {
        match reason {
            Some(reason) => self.push(reason, segment),
            None => self.forget(segment),
        }
    }

    /// The messages of `segment` that are `unwanted` are lost.
    pub(in crate::engine) fn take_from(
        &mut self,
        segment: &mut Segment,
        reason: LossReason,
        unwanted: impl Fn(&FrameView<'_>) -> bool,
    ) {
        let decide = |frame: FrameView<'_>| if unwanted(&frame) { Verdict::Lose(reason) } else { Verdict::Keep };
        segment.sift(decide, |reason, gone| self.take(reason, gone));
    }

    /// Counts messages as lost that are no longer here.
    pub(in crate::engine) fn count(&mut self, reason: LossReason, messages: u64) {
        self.lost.add(reason, messages);
    }

    /// The messages of `segment` are lost.
    pub(in crate::engine) fn push(&mut self, reason: LossReason, segment: Segment) {
        self.lost.add(reason, segment.messages);
        if self.bytes + segment.len() > RETURNED_BYTES {
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

    /// Records which messages were lost.
    pub(in crate::engine) fn name(&mut self, run: DroppedRun) {
        match self.sequences.last_mut() {
            _ if run.numbers.is_empty() => {}
            Some(last) if last.goes_on_with(&run) => last.numbers = *last.numbers.start()..=*run.numbers.end(),
            _ => self.sequences.push(run),
        }
    }

    /// Drops frames without a report; but a shared payload is not dropped here, where a lock may be held.
    pub(in crate::engine) fn forget(&mut self, segment: Segment) {
        if segment.body.is_some() {
            self.garbage.push(segment);
        }
    }

    /// Segments to be dropped where no lock is held.
    pub(in crate::engine) fn take_garbage(&mut self) -> Vec<Segment> {
        std::mem::take(&mut self.garbage)
    }

    /// What there is to report, if anything.
    pub(in crate::engine) fn take_report(&mut self) -> Option<LossReport> {
        if self.lost == Lost::default() {
            return None;
        }
        self.bytes = 0;
        Some(LossReport {
            lost: std::mem::take(&mut self.lost),
            messages: LostMessages::new(std::mem::take(&mut self.runs)),
            sequences: std::mem::take(&mut self.sequences),
        })
    }
}
