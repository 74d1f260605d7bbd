//! Where the messages of one segment are, by number: built when one of them is withdrawn, so that the next need not be searched
//! for. Withdrawn messages stay in place until half of the segment is withdrawn or the segment leaves.

use super::removed::Removed;
use super::segment::{FrameView, Segment, Verdict, frames};

/// The index of a segment without a separate body. `dead_bytes <=` the length of the segment.
#[derive(Debug, Default)]
pub(in crate::engine) struct FrameIndex {
    /// Number, and length or 0 if it was withdrawn. In order.
    frames: Vec<(u64, u32)>,
    /// How many bytes of the segment were indexed.
    known: usize,
    dead_bytes: usize,
}

impl FrameIndex {
    /// Bytes that were withdrawn and are still in the segment.
    pub(in crate::engine) fn dead_bytes(&self) -> usize {
        self.dead_bytes
    }

    /// Indexes frames that were added since. `after`: the number of the last message before the segment.
    pub(in crate::engine) fn extend(&mut self, segment: &Segment, after: u64, removed: &Removed) {
        let mut last = self.frames.last().map_or(after, |(number, _)| *number);
        let rest = segment.head.get(self.known..).unwrap_or_default();
        for (range, view) in frames(rest) {
            if view.message {
                last = removed.skip(last + 1);
                self.frames.push((last, u32::try_from(range.len()).unwrap_or(u32::MAX)));
            }
        }
        self.known = segment.head.len();
    }

    /// Withdraws message `number`. Returns its length; `None`: it is not here.
    pub(in crate::engine) fn withdraw(&mut self, number: u64) -> Option<usize> {
        let at = self.frames.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        let (_, len) = self.frames.get_mut(at)?;
        let len = std::mem::take(len) as usize;
        self.dead_bytes += len;
        (len > 0).then_some(len)
    }

    /// Removes the withdrawn messages from the segment.
    pub(in crate::engine) fn clean(self, segment: &mut Segment) {
        if self.dead_bytes == 0 {
            return;
        }
        let live = segment.messages;
        let mut lens = self.frames.iter().map(|(_, len)| *len);
        segment.keep(|frame: FrameView<'_>| {
            let dead = frame.message && lens.next() == Some(0);
            if dead { Verdict::Forget } else { Verdict::Keep }
        });
        debug_assert_eq!(segment.messages, live, "the withdrawn ones were no longer counted");
        if segment.head.capacity() > 2 * segment.head.len() {
            segment.head.shrink_to_fit();
        }
    }
}
