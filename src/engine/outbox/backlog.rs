//! The backlog: segments in order, with their sums, so that a cap can be checked for every message.

use std::collections::VecDeque;
use std::time::Instant;

use super::frame_index::FrameIndex;
use super::losses::Losses;
use super::removed::Removed;
use super::segment::{FrameView, Segment, Verdict};

/// Waiting segments. `messages` and `bytes` are those of all segments, without what was withdrawn; the first segment is not
/// empty.
#[derive(Debug, Default)]
pub(in crate::engine) struct Backlog {
    entries: VecDeque<Entry>,
    messages: u64,
    bytes: usize,
    /// How many entries are empty because all their messages were withdrawn.
    hollow: usize,
}

/// A segment in the backlog.
#[derive(Debug)]
struct Entry {
    segment: Segment,
    /// The number of the last message before it, or of an earlier one that is still after those of the previous entry.
    after: u64,
    index: Option<Box<FrameIndex>>,
}

impl Entry {
    fn len(&self) -> usize {
        self.segment.len() - self.index.as_ref().map_or(0, |index| index.dead_bytes())
    }

    /// The segment, without what was withdrawn.
    fn clean(&mut self) -> &mut Segment {
        if let Some(index) = self.index.take() {
            index.clean(&mut self.segment);
        }
        &mut self.segment
    }

    fn into_segment(mut self) -> Segment {
        self.clean();
        self.segment
    }
}

impl Backlog {
    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(in crate::engine) fn messages(&self) -> u64 {
        self.messages
    }

    pub(in crate::engine) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether SUBs or UNSUBs are among the frames.
    pub(in crate::engine) fn has_interest(&self) -> bool {
        self.entries.iter().any(|entry| entry.segment.interest)
    }

    pub(in crate::engine) fn front(&self) -> Option<&Segment> {
        self.entries.front().map(|entry| &entry.segment)
    }

    /// Adds a segment. `after`: the number of the last message before it.
    pub(in crate::engine) fn push_back(&mut self, segment: Segment, after: u64) {
        self.push_indexed(segment, after, None);
    }

    /// The same for a segment from which messages were withdrawn.
    pub(in crate::engine) fn push_indexed(&mut self, segment: Segment, after: u64, index: Option<Box<FrameIndex>>) {
        if !segment.is_empty() {
            let entry = Entry { segment, after, index };
            self.add(&entry);
            self.entries.push_back(entry);
        }
    }

    pub(in crate::engine) fn push_front(&mut self, segment: Segment, after: u64) {
        if !segment.is_empty() {
            let entry = Entry { segment, after, index: None };
            self.add(&entry);
            self.entries.push_front(entry);
        }
    }

    pub(in crate::engine) fn pop_front(&mut self) -> Option<Segment> {
        let entry = self.entries.pop_front()?;
        self.messages -= entry.segment.messages;
        self.bytes -= entry.len();
        self.trim();
        Some(entry.into_segment())
    }

    /// Restores that the first entry is not empty.
    fn trim(&mut self) {
        while self.entries.front().is_some_and(|entry| entry.segment.is_empty()) {
            self.entries.pop_front();
            self.hollow -= 1;
        }
    }

    /// Takes everything.
    pub(in crate::engine) fn drain(&mut self) -> impl Iterator<Item = Segment> + '_ {
        (self.messages, self.bytes, self.hollow) = (0, 0, 0);
        self.entries.drain(..).map(Entry::into_segment).filter(|segment| !segment.is_empty())
    }

    pub(in crate::engine) fn into_segments(self) -> impl Iterator<Item = Segment> {
        self.entries.into_iter().map(Entry::into_segment).filter(|segment| !segment.is_empty())
    }

    /// Decides about each frame, in order. Lost messages move to `losses`.
    pub(in crate::engine) fn sift(&mut self, mut decide: impl FnMut(FrameView<'_>) -> Verdict, losses: &mut Losses) {
        self.entries
            .iter_mut()
            .for_each(|entry| entry.clean().sift(&mut decide, |reason, gone| losses.take(reason, gone)));
        self.sum();
    }

    /// Drops SUBs and UNSUBs.
    pub(in crate::engine) fn forget_interest(&mut self, losses: &mut Losses) {
        let decide = |frame: FrameView<'_>| if frame.message { Verdict::Keep } else { Verdict::Forget };
        for entry in self.entries.iter_mut().filter(|entry| entry.segment.interest) {
            entry.clean().sift(decide, |reason, gone| losses.take(reason, gone));
        }
        self.sum();
    }

    fn sum(&mut self) {
        self.entries.retain(|entry| !entry.segment.is_empty());
        self.hollow = 0;
        self.messages = self.entries.iter().map(|entry| entry.segment.messages).sum();
        self.bytes = self.entries.iter().map(Entry::len).sum();
    }

    /// Sets which numbers the messages of each segment have: those after `after`, without those that were removed.
    pub(in crate::engine) fn number(&mut self, mut after: u64, removed: &Removed) {
        for entry in &mut self.entries {
            entry.after = after;
            after = removed.advance(after, entry.segment.messages);
        }
    }

    /// Withdraws message `number`, which is here and was not removed yet. `passed`: the last number that is not here. What
    /// remains of it goes to `gone`.
    pub(in crate::engine) fn withdraw(&mut self, number: u64, passed: u64, removed: &Removed, gone: &mut Vec<Segment>) {
        let at = self.entries.partition_point(|entry| entry.after < number);
        let Some(entry) = at.checked_sub(1).and_then(|at| self.entries.get_mut(at)) else { return };
        let before = entry.len();
        if entry.segment.messages == 1 && !entry.segment.interest {
            entry.index = None;
            gone.push(std::mem::take(&mut entry.segment));
            self.hollow += 1;
        } else {
            withdraw(&mut entry.segment, &mut entry.index, number, entry.after.max(passed), removed);
        }
        self.messages -= 1;
        self.bytes -= before - entry.len();
        self.trim();
        if self.hollow > self.entries.len() / 2 {
            self.entries.retain(|entry| !entry.segment.is_empty());
            self.hollow = 0;
        }
    }

    /// Stamps the segments that have no stamp: buffered since `now`, but no later than those after them.
    pub(in crate::engine) fn stamp(&mut self, now: Instant) {
        let mut since = now;
        for entry in self.entries.iter_mut().rev() {
            since = *entry.segment.buffered_since.get_or_insert(since);
        }
    }

    /// Records that all of it was given to a connection.
    pub(in crate::engine) fn mark_sent(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.segment.sent = entry.segment.messages);
    }

    /// How many messages were given to a connection before.
    pub(in crate::engine) fn sent(&self) -> u64 {
        self.entries.iter().map(|entry| entry.segment.sent).sum()
    }

    pub(in crate::engine) fn shrink(&mut self) {
        self.entries.shrink_to(0);
    }

    fn add(&mut self, entry: &Entry) {
        self.messages += entry.segment.messages;
        self.bytes += entry.len();
    }
}

/// Withdraws one of several messages of a segment. `after`: the number of the last message before the segment.
pub(in crate::engine) fn withdraw(
    segment: &mut Segment,
    index: &mut Option<Box<FrameIndex>>,
    number: u64,
    after: u64,
    removed: &Removed,
) {
    let known = index.get_or_insert_default();
    known.extend(segment, after, removed);
    if known.withdraw(number).is_some() {
        segment.messages -= 1;
    }
    if known.dead_bytes() * 2 > segment.head.len() {
        if let Some(index) = index.take() {
            index.clean(segment);
        }
    }
}
