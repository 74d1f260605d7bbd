//! What the clones of a map share.

use super::written::Written;
use super::{ByName, Entry};
use crate::protocol::header_block::{self, Block};
use bytes::Bytes;
use std::sync::OnceLock;

#[derive(Clone, Default)]
pub(super) struct Inner {
    pub(super) source: Source,
    /// The block for sending, made on first use.
    pub(super) wire: OnceLock<Bytes>,
    /// For [`HeaderMap::iter`] only, made on first use.
    pub(super) by_name: OnceLock<Box<ByName>>,
}

/// Where the entries come from.
#[derive(Clone)]
pub(super) enum Source {
    /// A block as received, and its entries, parsed on first use.
    Received { raw: Bytes, read: OnceLock<Block> },
    /// Made or changed here.
    Made(Vec<Entry>),
    /// Made here, so far only by adding entries.
    Written(Written),
}

impl Default for Source {
    fn default() -> Self {
        Self::Made(Vec::new())
    }
}

impl Inner {
    #[inline]
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.source {
            Source::Made(entries) => entries,
            Source::Written(written) => written.entries(),
            Source::Received { raw, read } => &Self::read(raw, read).entries,
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        match &self.source {
            Source::Written(_) => false,
            _ => self.entries().is_empty(),
        }
    }

    pub(super) fn read<'a>(raw: &Bytes, read: &'a OnceLock<Block>) -> &'a Block {
        read.get_or_init(|| header_block::read(raw))
    }

    /// The received block, if it may be sent unchanged: well-formed, and without a status, which only servers set.
    pub(super) fn sendable_raw(&self) -> Option<&Bytes> {
        match &self.source {
            Source::Made(_) | Source::Written(_) => None,
            Source::Received { raw, read } => {
                let block = Self::read(raw, read);
                (block.fault.is_none() && !block.status).then_some(raw)
            }
        }
    }

    /// The block for sending, if it need not be made.
    #[inline]
    pub(super) fn block(&self) -> Option<&[u8]> {
        match &self.source {
            Source::Written(written) => Some(written.block()),
            _ => self.sendable_raw().or_else(|| self.wire.get()).map(Bytes::as_ref),
        }
    }

    /// The block for sending, as a handle; only for a map that was not received, or can't be sent as it was received.
    pub(super) fn made_wire(&self) -> &Bytes {
        self.wire.get_or_init(|| match &self.source {
            Source::Written(written) => Bytes::copy_from_slice(written.block()),
            _ => written_block(self.entries()),
        })
    }
}

fn written_block(entries: &[Entry]) -> Bytes {
    let mut wire = Vec::with_capacity(header_block::written_len(entries));
    header_block::write(&mut wire, entries);
    wire.into()
}
