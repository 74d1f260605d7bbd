//! The state of the connection: three states as async-nats has them, and the engine's six with events and sums.

use std::fmt;

use portable_atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

use crate::driver::Shared;

pub use crate::driver::{Events, StateChange};
pub use crate::engine::{Cause, ConnectionEvent, EndReason, LossReason, Lost, LostMessage, LostMessages, Status};

/// Whether there is a connection, in three words; [`Status`] has six.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No connection yet: the first one is still being sought.
    Pending,
    /// A live connection, also while it is drained.
    Connected,
    /// No connection: it was lost, given up or closed.
    Disconnected,
}

impl State {
    /// The state of a client in `status`, of which `ever` says whether it was ever connected and `live` whether it
    /// is now. The status alone can't tell: one can drain with and without a connection.
    pub(crate) fn of(status: Status, ever: bool, live: bool) -> State {
        if live {
            State::Connected
        } else if ever || status == Status::Closed {
            State::Disconnected
        } else {
            State::Pending
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Pending => "pending",
            State::Connected => "connected",
            State::Disconnected => "disconnected",
        })
    }
}

/// The state of a client, to be waited for. It does not keep the connection alive.
#[derive(Clone, Debug)]
pub struct StatusWatch {
    receiver: watch::Receiver<Status>,
}

impl StatusWatch {
    pub(crate) fn new(receiver: watch::Receiver<Status>) -> StatusWatch {
        StatusWatch { receiver }
    }

    /// The state now.
    pub fn status(&self) -> Status {
        *self.receiver.borrow()
    }

    /// Waits until the state is another than when this was last asked, and tells it; `None`: it will never change
    /// again. States that pass quickly may be skipped; [`Events`] skips nothing.
    pub async fn changed(&mut self) -> Option<Status> {
        let news = self.receiver.has_changed().unwrap_or(false);
        let over = !news && self.status() == Status::Closed;
        if over || self.receiver.changed().await.is_err() {
            return None;
        }
        Some(*self.receiver.borrow_and_update())
    }

    /// Waits until the state is `status`. `false`: it will never be.
    pub async fn wait_for(&mut self, status: Status) -> bool {
        let reached = self.receiver.wait_for(|now| *now == status || *now == Status::Closed).await;
        reached.is_ok_and(|now| *now == status)
    }
}

/// Where every accepted message is, and what crossed the socket: a snapshot of one moment.
///
/// `accepted = waiting + unconfirmed + confirmed + in_doubt + lost.total()`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages for which `publish` or a request said Ok.
    pub accepted: u64,
    /// Still with us. A message in a chunk of which the transport has taken only a part counts here.
    pub waiting: u64,
    /// Taken by the transport, not yet covered by a PONG.
    pub unconfirmed: u64,
    /// Covered by a PONG, and not refused: the server that took them has processed them.
    pub confirmed: u64,
    /// Taken by a transport that died before a PONG covered them: they may or may not have been processed.
    pub in_doubt: u64,
    /// Lost on our side or refused by the server, by reason.
    pub lost: Lost,
    /// Sent a second time; not part of the sum.
    pub resent: u64,
    /// Calls that were to publish and were refused: their messages were not accepted, and are no part of the sum.
    pub refused: u64,
    /// Bytes that wait for the transport.
    pub pending_bytes: u64,
    /// Messages received.
    pub in_messages: u64,
    /// Messages accepted: the same as `accepted`.
    pub out_messages: u64,
    /// Bytes received.
    pub in_bytes: u64,
    /// Bytes that the transport has taken.
    pub out_bytes: u64,
    /// Connections made.
    pub connects: u64,
    /// Connections made after the first.
    pub reconnects: u64,
    /// Connections that ended, whoever wanted it.
    pub disconnects: u64,
    /// Errors: failed attempts, losses that nobody wanted, errors that servers sent, failed health checks.
    pub errors: u64,
}

impl Stats {
    pub(crate) fn of(shared: &Shared) -> Stats {
        let counters = shared.statistics();
        let counter = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (ledger, pending_bytes) = shared.ledger();
        let known = shared.record.known();
        Stats {
            accepted: ledger.accepted,
            waiting: ledger.waiting,
            unconfirmed: ledger.unconfirmed,
            confirmed: ledger.confirmed,
            in_doubt: ledger.in_doubt,
            lost: ledger.lost,
            resent: ledger.resent,
            refused: shared.refused.load(Ordering::Relaxed),
            pending_bytes: pending_bytes as u64,
            in_messages: counter(&counters.in_messages),
            out_messages: ledger.accepted,
            in_bytes: counter(&counters.in_bytes),
            out_bytes: counter(&counters.out_bytes),
            connects: counter(&counters.connects),
            reconnects: counter(&counters.connects).saturating_sub(1),
            disconnects: known.disconnects,
            errors: known.errors,
        }
    }

    /// Whether the sum holds: it always does.
    pub fn balances(&self) -> bool {
        self.accepted == self.waiting + self.unconfirmed + self.confirmed + self.in_doubt + self.lost.total()
    }
}

/// Nothing in this crate takes or gives one. It exists because async-nats exports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShouldFlush {
    /// Yes.
    Yes,
    /// Perhaps.
    May,
    /// No.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pending_is_only_before_the_first_connection() {
        for status in [Status::Disconnected, Status::Connecting, Status::Reconnecting, Status::Draining] {
            assert_eq!(State::of(status, false, false), State::Pending, "{status}");
            assert_eq!(State::of(status, true, false), State::Disconnected, "{status}");
        }
        assert_eq!(State::of(Status::Closed, false, false), State::Disconnected);
        assert_eq!(State::of(Status::Connected, true, true), State::Connected);
        assert_eq!(State::of(Status::Draining, true, true), State::Connected);
    }

    #[test]
    fn texts() {
        assert_eq!(State::Pending.to_string(), "pending");
        assert_eq!(State::Connected.to_string(), "connected");
        assert_eq!(State::Disconnected.to_string(), "disconnected");
    }
}
