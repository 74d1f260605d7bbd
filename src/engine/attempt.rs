//! One attempt to reach one server, from the dial to the end of the handshake.

use std::time::{Duration, Instant};

use super::error::Cause;
use super::happened::Happened;
use super::liveness::{MOMENT, overslept};
use super::pool::{SILENCE, ServerId};
use super::time::{after, is_due, is_overdue};
use crate::protocol::ServerAddr;

/// One attempt to reach one server.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// Identifies this attempt and the connection that it becomes; stimuli with another epoch are stale.
    pub(super) epoch: u64,
    pub(super) server: ServerId,
    /// A copy, because the pool may be replaced in the meantime.
    pub(super) addr: ServerAddr,
    /// `host:port`, for events.
    pub(super) endpoint: String,
    /// Number since the last connection, from 1.
    pub(super) number: u64,
    /// How long it may take, including the PONG.
    pub(super) limit: Duration,
    /// When that time is up; `None`: it has not started, because the dial waits for a permit.
    pub(super) deadline: Option<Instant>,
    /// When it gives way to another server unless something has come back by then.
    pub(super) aside_at: Option<Instant>,
    /// Addresses of the server's name that were not tried yet.
    pub(super) others: usize,
    /// When the address of the server that is being left is dialled again: that server's id. Another server may answer there.
    pub(super) leaves: Option<String>,
    /// Why the handshake failed at the last address that accepted the connection.
    pub(super) failure: Option<Cause>,
}

impl Attempt {
    /// When it began; `None`: not yet.
    pub(super) fn began(&self) -> Option<Instant> {
        self.deadline.and_then(|deadline| deadline.checked_sub(self.limit))
    }

    /// Whether its deadline was slept through. If so, it gets a moment more.
    pub(super) fn has_overslept(&mut self, now: Instant) -> bool {
        let overslept = overslept(self.deadline, now);
        if overslept {
            self.deadline = Some(after(now, self.limit.min(MOMENT)));
        }
        overslept
    }

    /// One address of the name failed, and the next one is tried.
    pub(super) fn note_failure(&mut self, cause: Cause, now: Instant) {
        self.failure = Some(match (self.failure.take(), cause) {
            // Each of them was silent in turn, for a share of this time.
            (Some(Cause::TimedOut { .. }), Cause::TimedOut { stage, .. }) => {
                let limit = self.began().map_or(self.limit, |began| now.saturating_duration_since(began));
                Cause::TimedOut { limit, stage }
            }
            (Some(reported), Cause::TimedOut { .. }) => reported,
            (_, cause) => cause,
        });
    }

    /// Why it failed. What one address said is a better reason than that another one did not answer.
    pub(super) fn reason(&mut self, cause: Cause) -> Cause {
        self.failure.take().unwrap_or(cause)
    }

    /// When something is due during the dial.
    pub(super) fn dial_due(&self) -> Option<Instant> {
        self.deadline.into_iter().chain(self.aside_at).min()
    }

    /// Handles a deadline during the dial, if one has come.
    pub(super) fn handle_dial_timeout(&mut self, now: Instant) -> Happened {
        if self.has_overslept(now) {
            return Happened::Nothing;
        }
        if missed(self.aside_at, now) {
            self.aside_at = Some(after(now, SILENCE));
        }
        if is_due(self.deadline, now) {
            let limit = self.limit;
            Happened::NotDialed(match self.failure.take() {
                None => Cause::TimedOut { limit, stage: "looking up and dialling" },
                // The limit of the whole attempt was reached, not the share of one address.
                Some(Cause::TimedOut { stage, .. }) => Cause::TimedOut { limit, stage },
                Some(reported) => reported,
            })
        } else if is_due(self.aside_at, now) {
            Happened::PutAside("looking up and dialling, and another server is due")
        } else {
            Happened::Nothing
        }
    }
}

/// How late the short waits for an answer may be noticed. If the process noticed later than this, the answer may be there
/// unread, so the wait starts again and no server or address is given up.
const MISSED: Duration = Duration::from_millis(100);

pub(super) fn missed(at: Option<Instant>, now: Instant) -> bool {
    is_overdue(at, MISSED, now)
}
