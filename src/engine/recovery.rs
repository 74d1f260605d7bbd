//! The recovery of a connection: when it counts as ready, and when the last message that was buffered for it has been sent.

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
    /// When the connection is announced, once the replay was taken.
    pub(super) until: Instant,
}

/// What remains of a recovery after the announcement. `flushed < buffered`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recovery {
    /// Messages that were buffered when the gate opened.
    pub(super) buffered: u64,
    /// Messages that were taken before the announcement.
    pub(super) flushed: u64,
    /// When the previous connection was lost.
    pub(super) since: Instant,
}

impl Recovering {
    /// The transport took `n` more bytes. The wait for buffered messages, at most `wait`, begins when the replay was taken.
    pub(super) fn taken(&mut self, n: usize, wait: Duration, now: Instant) {
        if (1..=n).contains(&self.replay_left) {
            self.until = after(now, wait);
        }
        self.replay_left = self.replay_left.saturating_sub(n);
    }

    /// A PONG of `n` bytes is sent ahead of the rest of the replay.
    pub(super) fn put_ahead(&mut self, n: usize) {
        if self.replay_left > 0 {
            self.replay_left += n;
        }
    }

    /// When the connection is announced even if messages are still buffered; `None`: the replay was not taken yet.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.replay_left == 0).then_some(self.until)
    }

    /// Whether everything was taken, given the number of messages taken on this connection.
    pub(super) fn is_done(&self, taken: u64) -> bool {
        self.replay_left == 0 && taken >= self.buffered
    }
}
