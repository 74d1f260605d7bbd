//! Counts what became of delivered messages.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::jetstream::wire::AckKind;

/// What became of the messages that a context's consumers delivered: see
/// [`Context::delivery_counts`](crate::jetstream::Context::delivery_counts).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryCounts {
    /// Messages that were handed to the program by consumers that want acknowledgements. A redelivery counts again; a clone of a
    /// message does not, and its answers are counted, so answer one of them only.
    pub delivered: u64,
    /// Those that the program acknowledged.
    pub acked: u64,
    /// Those that it wants to be delivered again.
    pub nacked: u64,
    /// Those that it never wants again, although they were not processed.
    pub terminated: u64,
}

impl DeliveryCounts {
    /// Those that have not been answered: `delivered = acked + nacked + terminated + open`.
    pub fn open(&self) -> u64 {
        self.delivered.saturating_sub(self.acked + self.nacked + self.terminated)
    }
}

#[derive(Debug, Default)]
pub(in crate::jetstream) struct Deliveries {
    delivered: AtomicU64,
    acked: AtomicU64,
    nacked: AtomicU64,
    terminated: AtomicU64,
}

impl Deliveries {
    pub(in crate::jetstream) fn delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::jetstream) fn answered(&self, kind: AckKind) {
        let count = match kind {
            AckKind::Ack | AckKind::Next => &self.acked,
            AckKind::Nak(_) => &self.nacked,
            AckKind::Term => &self.terminated,
            AckKind::Progress => return,
        };
        count.fetch_add(1, Ordering::Release);
    }

    /// Answers are read first: a message is delivered before it is answered, so that there are never more answers.
    pub(in crate::jetstream) fn counts(&self) -> DeliveryCounts {
        let [acked, nacked, terminated] =
            [&self.acked, &self.nacked, &self.terminated].map(|count| count.load(Ordering::Acquire));
        DeliveryCounts { delivered: self.delivered.load(Ordering::Relaxed), acked, nacked, terminated }
    }
}

/// Whether a delivered message has been answered for good. It is counted when that is queued, and once: further answers are sent,
/// and servers ignore them.
#[derive(Debug)]
pub(in crate::jetstream) struct Answer {
    is_final: AtomicBool,
}

impl Answer {
    /// Of a message that is not counted.
    pub(in crate::jetstream) fn none() -> Answer {
        Answer { is_final: AtomicBool::new(true) }
    }

    /// Of a message that was just delivered.
    pub(in crate::jetstream) fn open() -> Answer {
        Answer { is_final: AtomicBool::new(false) }
    }

    /// `true` the first time.
    pub(in crate::jetstream) fn close(&self) -> bool {
        !self.is_final.swap(true, Ordering::Relaxed)
    }
}

impl Clone for Answer {
    fn clone(&self) -> Answer {
        Answer { is_final: AtomicBool::new(self.is_final.load(Ordering::Relaxed)) }
    }
}
