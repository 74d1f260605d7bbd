//! How long the reader of a flowing stream usually waits for a message, and so when it has waited suspiciously long.

use std::time::{Duration, Instant};

/// Nothing shorter is suspicious.
const SHORTEST: Duration = Duration::from_millis(250);

/// A usual wait is known after this many.
const ENOUGH: u32 = 8;

/// A stream whose messages usually take longer is not flowing.
const FLOWING: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct Flow {
    /// The usual wait: a moving average over waits that ended with a message.
    usual: Duration,
    waits: u32,
    /// Since when the reader has been waiting.
    waiting: Option<Instant>,
    /// Messages that the consumer had yet to deliver after the last one.
    pending: u64,
}

impl Flow {
    pub(super) fn waits(&mut self, now: Instant) {
        self.waiting.get_or_insert(now);
    }

    pub(super) fn took(&mut self, now: Instant, pending: u64) {
        self.pending = pending;
        let Some(since) = self.waiting.take() else { return };
        let wait = now.saturating_duration_since(since);
        self.usual = if self.waits == 0 { wait } else { (self.usual.saturating_mul(7) / 8).saturating_add(wait / 8) };
        self.waits = self.waits.saturating_add(1);
    }

    /// The last sign of life was no message: what was usual is so no more.
    pub(super) fn rests(&mut self) {
        *self = Flow::default();
    }

    /// When a wait that has begun is suspicious: there are messages, or they usually come soon.
    pub(super) fn suspicious_at(&self) -> Option<Instant> {
        let flows = self.waits >= ENOUGH && self.usual <= FLOWING;
        if self.pending == 0 && !flows {
            return None;
        }
        let patience = if self.waits == 0 { SHORTEST.saturating_mul(2) } else { self.usual.saturating_mul(8) };
        self.waiting?.checked_add(patience.max(SHORTEST))
    }
}
