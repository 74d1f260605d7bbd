//! What the engine remembers from one connection to the next, and what it has counted.

use std::sync::Arc;
use std::time::Instant;

use super::error::Cause;
use super::ledger::Lost;
use crate::protocol::Info;

/// The engine's part of the ledger; the rest follows from what the outbox admitted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) confirmed: u64,
    pub(super) in_doubt: u64,
    pub(super) lost: Lost,
    pub(super) resent: u64,
}

/// What is remembered from one connection to the next.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Attempts since the last connection.
    pub(super) attempts: u64,
    /// Failed attempts since the last stable connection.
    pub(super) failures: u64,
    /// Whether anything failed or was lost since `connect`.
    pub(super) retrying: bool,
    /// The server of the last connection; `None`: never connected.
    pub(super) previous: Option<String>,
    /// The present outage.
    pub(super) outage: Option<Outage>,
    /// Since when no attempt is in progress.
    pub(super) waiting: Option<Instant>,
    /// Failed probes of preferred servers, and short stays there, since the last long one.
    pub(super) probes: u64,
    pub(super) last_error: Option<Cause>,
    /// The number of the last question to the user's callbacks.
    pub(super) last_ask: u64,
    /// The latest INFO of the present server, or of the last one.
    pub(super) info: Option<Arc<Info>>,
    /// When the last credentials expire, if they do.
    pub(super) credentials_until: Option<Instant>,
    /// Whether a connection was ever secured.
    pub(super) secured: bool,
    /// Whether the upper watermark was the last to be reported.
    pub(super) buffer_high: bool,
}

impl History {
    /// An attempt failed or a connection was lost, and no attempt is in progress.
    pub(super) fn note_failure(&mut self, cause: &Cause, now: Instant) {
        self.retrying = true;
        self.waiting = Some(now);
        self.last_error = Some(cause.clone());
    }
}

/// The present outage: from a loss to the next announcement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) since: Instant,
    /// Messages that the loss left in doubt.
    pub(super) in_doubt: u64,
    /// What had been lost on our side before.
    pub(super) lost: Lost,
}
