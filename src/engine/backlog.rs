//! The backlog: segments in order, with their sums kept, so that a cap can be held against them at every message.

use std::collections::VecDeque;
use std::time::Instant;

use super::losses::Losses;
use super::segment::{FrameView, Segment, Verdict};

/// Segments that wait. `messages` and `bytes` are those of all segments; none is empty.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    segments: VecDeque<Segment>,
    messages: u64,
    bytes: usize,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether SUBs or UNSUBs are among the frames.
    pub(super) fn has_interest(&self) -> bool {
        self.segments.iter().any(|segment| segment.interest)
    }

    pub(super) fn front(&self) -> Option<&Segment> {
        self.segments.front()
    }

    pub(super) fn push_back(&mut self, segment: Segment) {
        if !segment.is_empty() {
            self.add(&segment);
            self.segments.push_back(segment);
        }
    }

    pub(super) fn push_front(&mut self, segment: Segment) {
        if !segment.is_empty() {
            self.add(&segment);
            self.segments.push_front(segment);
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<Segment> {
        let segment = self.segments.pop_front()?;
        self.messages -= segment.messages;
        self.bytes -= segment.len();
        Some(segment)
    }

    /// Takes everything.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Segment> + '_ {
        self.messages = 0;
        self.bytes = 0;
        self.segments.drain(..)
    }

    pub(super) fn into_segments(self) -> impl Iterator<Item = Segment> {
        self.segments.into_iter()
    }

    /// Decides on each frame, in order. What goes moves to `losses`.
    pub(super) fn sift(&mut self, mut decide: impl FnMut(FrameView<'_>) -> Verdict, losses: &mut Losses) {
        self.segments.iter_mut().for_each(|segment| segment.sift(&mut decide, losses));
        self.sum();
    }

    /// Forgets SUBs and UNSUBs.
    pub(super) fn forget_interest(&mut self, losses: &mut Losses) {
        let decide = |frame: FrameView<'_>| if frame.message { Verdict::Keep } else { Verdict::Forget };
        for segment in self.segments.iter_mut().filter(|segment| segment.interest) {
            segment.sift(decide, losses);
        }
        self.sum();
    }

    fn sum(&mut self) {
        self.segments.retain(|segment| !segment.is_empty());
        self.messages = self.segments.iter().map(|segment| segment.messages).sum();
        self.bytes = self.segments.iter().map(Segment::len).sum();
    }

    /// Takes out the message behind which there are `behind` others. What it leaves goes to `losses`, untold.
    pub(super) fn withdraw(&mut self, mut behind: u64, losses: &mut Losses) {
        for segment in self.segments.iter_mut().rev() {
            if behind >= segment.messages {
                behind -= segment.messages;
                continue;
            }
            let before = segment.len();
            segment.withdraw(behind, losses);
            self.messages -= 1;
            self.bytes -= before - segment.len();
            break;
        }
        self.segments.retain(|segment| !segment.is_empty());
    }

    /// Says since when the segments without a stamp are held: since `now`, but no later than those behind them.
    pub(super) fn stamp(&mut self, now: Instant) {
        let mut since = now;
        for segment in self.segments.iter_mut().rev() {
            since = *segment.held_since.get_or_insert(since);
        }
    }

    /// Notes that all of it was handed to a connection.
    pub(super) fn mark_sent(&mut self) {
        self.segments.iter_mut().for_each(|segment| segment.sent = segment.messages);
    }

    /// How many messages were handed to a connection before.
    pub(super) fn sent(&self) -> u64 {
        self.segments.iter().map(|segment| segment.sent).sum()
    }

    pub(super) fn shrink(&mut self) {
        self.segments.shrink_to(0);
    }

    fn add(&mut self, segment: &Segment) {
        self.messages += segment.messages;
        self.bytes += segment.len();
    }
}
