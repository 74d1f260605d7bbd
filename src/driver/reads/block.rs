//! Copies of pieces of a chunk, from which small messages are taken.

use bytes::{Bytes, BytesMut};

use super::{Raw, Share};

/// Small messages are taken from a copy of this many bytes of their chunk: a program that keeps one of a thousand
/// messages keeps only this copy alive, and not the whole read.
pub(super) const BLOCK: usize = 4 * 1024;

/// Longer messages stay in their chunk: copying costs more the longer they are, and saves less.
pub(super) const COPIED: usize = 1024;

/// The copy of a piece of a chunk, from which messages are taken. Its memory is reused if no message was kept, so that
/// messages that are read and dropped cost no allocation.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(super) copy: Option<Box<Copy>>,
}

#[derive(Debug, Default)]
pub(super) struct Copy {
    bytes: Bytes,
    /// Its position in the chunk.
    start: usize,
    memory: BytesMut,
}

impl Block {
    /// The first message of `share`, from this block if it is small. The block belongs to the share's read, and must be
    /// [cleared](Self::clear) before the next one.
    #[inline]
    pub(crate) fn first<'a>(&'a mut self, share: &'a Share) -> Raw<'a> {
        self.place(share.first())
    }

    /// The same, and removes it from `share`, which has more messages.
    #[inline(always)]
    pub(crate) fn next<'a>(&'a mut self, share: &'a mut Share) -> Raw<'a> {
        let range = share.first().range;
        share.advance();
        self.place(Raw { chunk: share.chunk(), range })
    }

    #[inline(always)]
    fn place<'a>(&'a mut self, raw: Raw<'a>) -> Raw<'a> {
        let Raw { chunk, range } = raw;
        let span = range.span();
        // A small chunk is as good as a block.
        if chunk.len() <= 2 * BLOCK || span.len() > COPIED {
            return raw;
        }
        let copy = self.copy.get_or_insert_default();
        if span.start < copy.start || span.end > copy.start + copy.bytes.len() {
            copy.renew(chunk, span.start);
        }
        Raw { range: range.moved_to(span.start.saturating_sub(copy.start)), chunk: &copy.bytes }
    }

    /// Another share follows.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.copy = None;
    }
}

impl Copy {
    #[cold]
    fn renew(&mut self, chunk: &Bytes, start: usize) {
        self.bytes = Bytes::new();
        if !self.memory.try_reclaim(BLOCK) {
            self.memory = BytesMut::with_capacity(BLOCK);
        }
        let end = (start + BLOCK).min(chunk.len());
        self.memory.extend_from_slice(chunk.get(start..end).unwrap_or_default());
        self.bytes = self.memory.split().freeze();
        self.start = start;
    }
}
