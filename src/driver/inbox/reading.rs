//! What a consumer needs while it reads messages.

use bytes::Bytes;

use crate::driver::reads::{Block, Share};
use crate::protocol::Subject;

/// The share that is being read. While the consumer waits for messages, its inbox has this, and frees it if that takes
/// long.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) share: Option<Share>,
    /// Small messages of the share are taken from it.
    pub(crate) block: Block,
    /// The messages of the last batch; empty between batches.
    batch: Vec<Share>,
    /// The subject of the subscription, or of the first message: most messages carry it. Empty before the first.
    pub(crate) subject: Subject,
    /// The subject was given, and can't be made again.
    given: bool,
}

impl Default for Reading {
    fn default() -> Reading {
        Reading {
            share: None,
            block: Block::default(),
            batch: Vec::new(),
            subject: Subject::from_static(""),
            given: false,
        }
    }
}

impl Reading {
    /// For a subscription to `subject`. A subject that lives elsewhere, such as a literal, is kept, since the clones of
    /// a literal cost nothing; another one is made when messages come. One with wildcards is no message's.
    pub(crate) fn of(subject: &Subject) -> Option<Box<Reading>> {
        let given = !subject.is_unique() && !subject.as_bytes().iter().any(|byte| matches!(byte, b'*' | b'>'));
        given.then(|| Box::new(Reading { subject: subject.clone(), given, ..Reading::default() }))
    }

    /// Begins a share.
    pub(crate) fn begin(&mut self, share: Share) {
        if self.subject.is_empty() {
            // A copy, so that it does not keep the memory of its message alive.
            self.subject = Subject::from_wire(Bytes::copy_from_slice(share.first().subject_bytes()));
        }
        self.share = Some(share);
    }

    /// Messages that are left.
    pub(crate) fn count(&self) -> usize {
        self.share.as_ref().map_or(0, Share::count)
    }

    /// Moves at most `most` messages of the share to the batch. Returns how many more there is room for.
    pub(crate) fn collect(&mut self, most: usize) -> usize {
        self.block.clear();
        let Some(mut share) = self.share.take() else { return most };
        if let Some(taken) = share.cut(most) {
            self.batch.push(taken);
            self.share = Some(share);
            return 0;
        }
        let left = most - share.count();
        self.batch.push(share);
        left
    }

    /// The messages of the batch.
    pub(crate) fn batch(&self) -> &[Share] {
        &self.batch
    }

    /// How many messages the batch has.
    pub(crate) fn in_batch(&self) -> usize {
        self.batch.iter().map(Share::count).sum()
    }

    /// The batch was read. Returns how many messages it had.
    pub(crate) fn finish_batch(&mut self) -> usize {
        let messages = self.in_batch();
        self.batch.clear();
        if self.batch.capacity() > 64 {
            self.batch = Vec::new();
        }
        messages
    }

    /// The share has been read.
    #[inline]
    pub(crate) fn end(&mut self) {
        self.share = None;
        self.block.clear();
    }

    /// Whether the inbox may have it while the consumer waits.
    #[inline]
    pub(super) fn is_spare(&self) -> bool {
        !self.given
    }
}
