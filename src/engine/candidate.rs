//! A planned move, and the connection that is prepared for it.

use std::time::Instant;

use super::connection::{Connection, Readiness, Stage};
use super::error::Cause;
use super::line::Line;

/// Why the present connection is to be left, and when the next step may be taken.
#[derive(Clone, Debug)]
pub(super) struct PlannedMove {
    pub(super) cause: Cause,
    pub(super) at: Instant,
    /// Nothing is prepared: the present connection is left as soon as it is ready.
    pub(super) alone: bool,
    /// How many times a server that is stopping was dialled again, and when the next such dial is allowed.
    pub(super) again: (u32, Instant),
}

impl PlannedMove {
    pub(super) fn is_failback(&self) -> bool {
        matches!(self.cause, Cause::Failback)
    }
}

/// The line that is to replace the present one.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) line: Line,
    /// Subscriptions for which its server has had SUB, in order.
    pub(super) joined: Vec<u64>,
}

impl Candidate {
    /// Whether its server has had SUB for `sid`.
    pub(super) fn has_joined(&self, sid: u64) -> bool {
        self.joined.binary_search(&sid).is_ok()
    }

    pub(super) fn is_lame_duck(&self) -> bool {
        self.line.connection().is_some_and(Connection::is_lame_duck)
    }

    pub(super) fn readiness(&self) -> Option<Readiness> {
        match self.line.connection()?.stage {
            Stage::Standby(readiness) => Some(readiness),
            _ => None,
        }
    }
}
