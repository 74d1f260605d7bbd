//! Counts what became of published messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What became of the messages that were published through a context: see
/// [`Context::publish_counts`](crate::jetstream::Context::publish_counts).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishCounts {
    /// Messages that were accepted for publishing. One that was sent several times counts once.
    pub published: u64,
    /// Those that a stream has stored, duplicates included.
    pub stored: u64,
    /// Those of the stored ones that the stream had stored before, under the same id.
    pub duplicates: u64,
    /// Those that a stream has refused.
    pub refused: u64,
    /// Those that nobody has received, and nobody will.
    pub not_sent: u64,
    /// Those that may be stored: the acknowledgement did not come, or was given up.
    pub in_doubt: u64,
}

impl PublishCounts {
    /// Those whose acknowledgement may still come, or was not awaited yet:
    /// `published = stored + refused + not_sent + in_doubt + pending`.
    pub fn pending(&self) -> u64 {
        self.published.saturating_sub(self.stored + self.refused + self.not_sent + self.in_doubt)
    }
}

/// The counters of a context.
#[derive(Debug, Default)]
pub(in crate::jetstream) struct Publications {
    published: AtomicU64,
    stored: AtomicU64,
    duplicates: AtomicU64,
    refused: AtomicU64,
    not_sent: AtomicU64,
    in_doubt: AtomicU64,
}

/// What is known of one message at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jetstream) enum Known {
    Stored { duplicate: bool },
    Refused,
    NotSent,
    InDoubt,
}

impl Publications {
    /// A message is published. It is in doubt if the value is dropped without an outcome.
    pub(in crate::jetstream) fn begin(self: &Arc<Self>) -> Publication {
        self.published.fetch_add(1, Ordering::Relaxed);
        Publication { counts: Some(Arc::clone(self)) }
    }

    /// A message that was left to itself is over.
    pub(in crate::jetstream) fn settle(&self, known: Known) {
        let count = match known {
            Known::Stored { duplicate } => {
                if duplicate {
                    self.duplicates.fetch_add(1, Ordering::Relaxed);
                }
                &self.stored
            }
            Known::Refused => &self.refused,
            Known::NotSent => &self.not_sent,
            Known::InDoubt => &self.in_doubt,
        };
        count.fetch_add(1, Ordering::Release);
    }

    /// Outcomes are read first: each message is counted before its outcome, so that there are never more outcomes.
    pub(in crate::jetstream) fn counts(&self) -> PublishCounts {
        let [stored, refused, not_sent, in_doubt] =
            [&self.stored, &self.refused, &self.not_sent, &self.in_doubt].map(|count| count.load(Ordering::Acquire));
        let duplicates = self.duplicates.load(Ordering::Relaxed).min(stored);
        PublishCounts {
            published: self.published.load(Ordering::Relaxed),
            stored,
            duplicates,
            refused,
            not_sent,
            in_doubt,
        }
    }
}

/// A published message, until its outcome is known.
#[derive(Debug)]
pub(in crate::jetstream) struct Publication {
    /// `None`: it is counted already, or will be by somebody else.
    counts: Option<Arc<Publications>>,
}

impl Publication {
    /// The outcome is known.
    pub(in crate::jetstream) fn settle(mut self, known: Known) {
        if let Some(counts) = self.counts.take() {
            counts.settle(known);
        }
    }

    /// Its outcome comes to [`Publications::settle`].
    pub(in crate::jetstream) fn leave(mut self) {
        self.counts = None;
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        if let Some(counts) = self.counts.take() {
            counts.settle(Known::InDoubt);
        }
    }
}
