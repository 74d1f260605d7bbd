//! The recovery of a connection: when it counts as ready, and when the last message that was buffered for it is gone.

use std::time::{Duration, Instant};

use super::time::after;

/// What must be taken before a new connection is announced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recovering {
    /// Bytes of the replay that the transport has not taken.
    pub(super) replay_left: usize,
    /// Messages that were buffered when the gate opened.
    pub(super) buffered: u64,
    /// Subscriptions that were replayed.
    pub(super) replayed: usize,
    /// It counts when the replay was taken.
    pub(super) until: Instant,
}

/// What remains of a recovery after the announcement. `flushed < buffered`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recovery {
    /// Messages that were buffered when the gate opened.
    pub(super) buffered: u64,
    /// Those that were taken when it was announced.
    pub(super) flushed: u64,
    /// When the connection before was lost.
    pub(super) since: Instant,
}

impl Recovering {
    /// The transport took `n` more bytes. The wait for buffered messages, at most `wait`, begins when the replay is taken.
    pub(super) fn taken(&mut self, n: usize, wait: Duration, now: Instant) {
        if (1..=n).contains(&self.replay_left) {
            self.until = after(now, wait);
        }
        self.replay_left = self.replay_left.saturating_sub(n);
    }

    /// A PONG of `n` bytes goes ahead of what is left of the replay.
    pub(super) fn put_ahead(&mut self, n: usize) {
        if self.replay_left > 0 {
            self.replay_left += n;
        }
    }

    /// When it is announced whatever is still buffered; `None`: not before the replay is taken.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.replay_left == 0).then_some(self.until)
    }

    /// Whether everything was taken, with `taken` messages of this connection.
    pub(super) fn is_done(&self, taken: u64) -> bool {
        self.replay_left == 0 && taken >= self.buffered
    }
}
