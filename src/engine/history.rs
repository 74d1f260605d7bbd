//! What the engine remembers from one connection to the next, and what it has counted.

use std::sync::Arc;
use std::time::Instant;

use super::error::Cause;
use super::ledger::Lost;
use crate::protocol::Info;

/// The part of the ledger that the engine keeps; the rest follows from what the outbox admitted.
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
    /// Whether something has failed or was lost since `connect`.
    pub(super) retrying: bool,
    /// The server of the last connection; `None`: never connected.
    pub(super) previous: Option<String>,
    /// The outage that goes on.
    pub(super) outage: Option<Outage>,
    /// Since when no attempt is being made.
    pub(super) waiting: Option<Instant>,
    /// Probes of preferred servers that failed, and short stays there, since the last long one.
    pub(super) probes: u64,
    pub(super) last_error: Option<Cause>,
    /// The last question to the user's callbacks.
    pub(super) last_ask: u64,
    /// The latest INFO of the present server, or of the last one.
    pub(super) info: Option<Arc<Info>>,
    /// When the last credentials that expire do so.
    pub(super) credentials_until: Option<Instant>,
    /// Whether a link was ever secured.
    pub(super) secured: bool,
    /// Which of the two watermarks was reported last.
    pub(super) buffer_high: bool,
}

/// The outage that goes on: from a loss to the next announcement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) since: Instant,
    /// Messages that the loss left in doubt.
    pub(super) in_doubt: u64,
    /// What had been lost on our side before.
    pub(super) lost: Lost,
}
