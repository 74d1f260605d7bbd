//! Lists of positions that are used again.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::{Range, Read};

/// Reads of which messages may still be wanted. When they are not, their lists of positions are used again: under load fresh
/// ones would take as much memory from the system as the bytes do, whose pages must be cleared first.
#[derive(Debug, Default)]
pub(in crate::driver) struct KeptReads {
    kept: VecDeque<Arc<Read>>,
    free: Vec<Vec<Range>>,
}

/// At most this many are kept. The same as that of buffers.
const KEPT: usize = 8;

impl KeptReads {
    /// A read with this chunk and these positions; `ranges` is empty afterwards.
    pub(in crate::driver) fn read(&mut self, chunk: Bytes, ranges: &mut Vec<Range>, one_group: bool) -> Arc<Read> {
        let next = self.free.pop().unwrap_or_default();
        let read = Arc::new(Read { chunk, ranges: std::mem::replace(ranges, next), one_group });
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(Arc::clone(&read));
        read
    }

    /// Frees the chunks whose messages are gone. Those of a slow reader stay, and keep no others.
    pub(in crate::driver) fn release(&mut self) {
        let mut at = 0;
        while let Some(read) = self.kept.get_mut(at) {
            let Some(read) = Arc::get_mut(read) else {
                at += 1;
                continue;
            };
            let mut ranges = std::mem::take(&mut read.ranges);
            ranges.clear();
            self.free.push(ranges);
            self.kept.remove(at);
        }
    }
}
