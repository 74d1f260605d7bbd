//! One try to reach one server, while it is dialled and greeted.

use std::time::{Duration, Instant};

use super::error::Cause;
use super::happened::Happened;
use super::liveness::{MOMENT, overslept};
use super::pool::{SILENCE, ServerId};
use super::time::{after, is_due, is_overdue};
use crate::protocol::ServerAddr;

/// One try to reach one server.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// Names this attempt, and the connection that it becomes; stimuli of others are stale.
    pub(super) epoch: u64,
    pub(super) server: ServerId,
    /// Kept here too: the pool may be replaced meanwhile.
    pub(super) addr: ServerAddr,
    /// `host:port`, for events.
    pub(super) endpoint: String,
    /// Number since the last connection, from 1.
    pub(super) number: u64,
    /// How long it may take, PONG included.
    pub(super) limit: Duration,
    /// When that time is over; `None`: it has not begun, since its dial waits for its turn.
    pub(super) deadline: Option<Instant>,
    /// When it gives way to another server, if nothing has come back by then.
    pub(super) aside_at: Option<Instant>,
    /// Addresses of the server's name that were not tried yet.
    pub(super) others: usize,
    /// The server that is to be left and has this id, if its own address is dialled again: there may be another behind it.
    pub(super) leaves: Option<String>,
    /// Why the handshake failed at the last address that had accepted.
    pub(super) failure: Option<Cause>,
}

impl Attempt {
    /// When it began; `None`: not yet.
    pub(super) fn began(&self) -> Option<Instant> {
        self.deadline.and_then(|deadline| deadline.checked_sub(self.limit))
    }

    /// Whether its deadline was slept through. Then it gets a moment more.
    pub(super) fn has_overslept(&mut self, now: Instant) -> bool {
        let overslept = overslept(self.deadline, now);
        if overslept {
            self.deadline = Some(after(now, self.limit.min(MOMENT)));
        }
        overslept
    }

    /// An address of the name came to nothing, and the next one is tried.
    pub(super) fn note_failure(&mut self, cause: Cause, now: Instant) {
        self.failure = Some(match (self.failure.take(), cause) {
            // All of them were silent in turn: each had a share of this time.
            (Some(Cause::TimedOut { .. }), Cause::TimedOut { stage, .. }) => {
                let limit = self.began().map_or(self.limit, |began| now.saturating_duration_since(began));
                Cause::TimedOut { limit, stage }
            }
            (Some(said), Cause::TimedOut { .. }) => said,
            (_, cause) => cause,
        });
    }

    /// Why it has come to nothing: what an address of the name has said is a better reason than that another one does not
    /// answer.
    pub(super) fn reason(&mut self, cause: Cause) -> Cause {
        self.failure.take().unwrap_or(cause)
    }

    /// When something is due while the server is dialled.
    pub(super) fn dial_due(&self) -> Option<Instant> {
        self.deadline.into_iter().chain(self.aside_at).min()
    }

    /// A deadline may have come while the server is dialled.
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
                // Not the share of one address, but the limit of all was reached.
                Some(Cause::TimedOut { stage, .. }) => Cause::TimedOut { limit, stage },
                Some(said) => said,
            })
        } else if is_due(self.aside_at, now) {
            Happened::PutAside("looking up and dialling, and another server is due")
        } else {
            Happened::Nothing
        }
    }
}

/// The short waits for an answer, after which the next address or server is tried: noticed this late, the answer may be there and
/// unread. Nobody is put aside for it; the wait begins again.
const MISSED: Duration = Duration::from_millis(100);

pub(super) fn missed(at: Option<Instant>, now: Instant) -> bool {
    is_overdue(at, MISSED, now)
}
