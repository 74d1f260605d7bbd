//! Where every accepted message is: the sum of promise 3.

use std::fmt;

use serde::Serialize;

/// Why an accepted message was lost on our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// The overflow policy dropped it while no server was connected.
    Overflow,
    /// It was older than the age limit.
    Expired,
    /// It is larger than the new server's `max_payload`.
    TooLarge,
    /// It has headers, and the new server can't take headers.
    NoHeaders,
    /// It ended several connections in a row.
    Poison,
    /// The server refused it: it is not allowed to publish to that subject.
    Refused,
    /// It was still buffered when the client was closed or gave up.
    Closed,
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LossReason::Overflow => "dropped by the overflow policy",
            LossReason::Expired => "older than the age limit",
            LossReason::TooLarge => "larger than the server's max_payload",
            LossReason::NoHeaders => "with headers, which the server can't take",
            LossReason::Refused => "refused by the server",
            LossReason::Poison => "ended several connections in a row",
            LossReason::Closed => "still buffered at the end",
        })
    }
}

/// Accepted messages that were lost on our side or refused by the server, by reason.
///
/// Serialised with these fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Lost {
    /// Dropped by the overflow policy while no server was connected.
    pub overflow: u64,
    /// Older than the age limit when a server was connected again.
    pub expired: u64,
    /// Larger than the new server's `max_payload`.
    pub too_large: u64,
    /// With headers, which the new server can't take.
    pub no_headers: u64,
    /// Ended several connections in a row.
    pub poison: u64,
    /// Refused by the server: the user's permissions don't allow their subject.
    pub refused: u64,
    /// Still buffered when the client was closed or gave up.
    pub closed: u64,
}

impl Lost {
    pub(super) fn add(&mut self, reason: LossReason, messages: u64) {
        *match reason {
            LossReason::Overflow => &mut self.overflow,
            LossReason::Expired => &mut self.expired,
            LossReason::TooLarge => &mut self.too_large,
            LossReason::NoHeaders => &mut self.no_headers,
            LossReason::Poison => &mut self.poison,
            LossReason::Refused => &mut self.refused,
            LossReason::Closed => &mut self.closed,
        } += messages;
    }

    pub(super) fn merge(&mut self, other: &Lost) {
        *self = self.plus(other);
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        let Lost { overflow, expired, too_large, no_headers, poison, refused, closed } = self;
        overflow + expired + too_large + no_headers + poison + refused + closed
    }

    /// The sum of both.
    pub fn plus(&self, other: &Lost) -> Lost {
        self.with(other, |one, other| one + other)
    }

    /// What was lost since `before`.
    pub fn since(&self, before: &Lost) -> Lost {
        self.with(before, |now, before| now - before)
    }

    fn with(&self, other: &Lost, result: impl Fn(u64, u64) -> u64) -> Lost {
        Lost {
            overflow: result(self.overflow, other.overflow),
            expired: result(self.expired, other.expired),
            too_large: result(self.too_large, other.too_large),
            no_headers: result(self.no_headers, other.no_headers),
            poison: result(self.poison, other.poison),
            refused: result(self.refused, other.refused),
            closed: result(self.closed, other.closed),
        }
    }
}

/// The account of all messages that were ever accepted, at one moment.
///
/// `accepted = waiting + unconfirmed + confirmed + in_doubt + lost`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ledger {
    /// Messages for which `publish` or a request returned Ok.
    pub accepted: u64,
    /// Still in the outbox, or in a chunk that the transport has not taken completely.
    pub waiting: u64,
    /// Taken by the transport, not yet covered by a PONG.
    pub unconfirmed: u64,
    /// Covered by a PONG, and not refused: the server has processed them.
    pub confirmed: u64,
    /// Taken by a transport that died before a PONG covered them.
    pub in_doubt: u64,
    /// Lost on our side, or refused by the server. They are not sent again, and are returned if they are still there. At least
    /// once, a lost connection may have taken some of them before they became too old, too large or too many to be sent again.
    /// These count here and not as in doubt, because it is the client that dropped them. A server may have processed them all
    /// the same, which anyone waiting for a reply or a confirmation is told.
    pub lost: Lost,
    /// Sent a second time (at least once only); not part of the sum.
    pub resent: u64,
}

impl Ledger {
    /// The ledger after `accepted` messages in all and `lost` more losses: all others are waiting.
    pub fn since(&self, accepted: u64, lost: &Lost) -> Ledger {
        let mut now = Ledger { accepted, waiting: (self.waiting + accepted) - self.accepted - lost.total(), ..*self };
        now.lost.merge(lost);
        now
    }

    /// Whether the sum holds.
    #[cfg(any(test, feature = "internals"))]
    pub fn balances(&self) -> bool {
        self.accepted == self.waiting + self.unconfirmed + self.confirmed + self.in_doubt + self.lost.total()
    }
}
