//! The state of the connection: the three states of async-nats, and the six of this crate, with events and counters.

use std::fmt;

use portable_atomic::{AtomicU64, Ordering};
use serde::Serialize;
use tokio::sync::watch;

use crate::driver::Shared;

pub use crate::driver::{Events, StateChange};
pub use crate::engine::{Cause, ConnectionEvent, EndReason, LossReason, Lost, LostMessage, LostMessages, Status};

/// Whether there is a connection, as one of async-nats's three states. For compatibility; [`Status`] has six.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No connection yet: the client is still connecting for the first time.
    Pending,
    /// A live connection, also while draining.
    Connected,
    /// No connection: it was lost, given up or closed.
    Disconnected,
}

impl State {
    /// The state for `status`. `ever`: whether the client was ever connected; `live`: whether it is connected now. The
    /// status alone is not enough, since a client can drain with or without a connection.
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

/// Waits for changes of the state. It does not keep the connection alive.
#[derive(Clone, Debug)]
#[must_use = "a watch does nothing unless it is read"]
pub struct StatusWatch {
    receiver: watch::Receiver<Status>,
}

impl StatusWatch {
    pub(crate) fn new(receiver: watch::Receiver<Status>) -> StatusWatch {
        StatusWatch { receiver }
    }

    /// The current state.
    pub fn status(&self) -> Status {
        *self.receiver.borrow()
    }

    /// Waits until the state differs from the last one seen, and returns it; `None` if it will never change
    /// again. Short-lived states may be skipped; [`Events`] skips nothing.
    pub async fn changed(&mut self) -> Option<Status> {
        let news = self.receiver.has_changed().unwrap_or(false);
        let over = !news && self.status() == Status::Closed;
        if over || self.receiver.changed().await.is_err() {
            return None;
        }
        Some(*self.receiver.borrow_and_update())
    }

    /// Waits until the state is `status`. `false` if it will never be.
    pub async fn wait_for(&mut self, status: Status) -> bool {
        let reached = self.receiver.wait_for(|now| *now == status || *now == Status::Closed).await;
        reached.is_ok_and(|now| *now == status)
    }

    /// Waits until the last handle of the connection and its task are gone.
    #[cfg(feature = "blocking")]
    pub(crate) async fn gone(mut self) {
        while self.receiver.changed().await.is_ok() {}
    }
}

/// A snapshot of the counters: what became of every accepted message, and what crossed the socket.
///
/// `accepted = waiting + unconfirmed + confirmed + in_doubt + lost.total()`, always.
///
/// Serialised with these fields; [`Health`](crate::client::Health) shows the JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Messages for which `publish` or a request returned Ok.
    pub accepted: u64,
    /// Not written completely yet.
    pub waiting: u64,
    /// Written, and not yet confirmed by a PONG.
    pub unconfirmed: u64,
    /// Confirmed by a PONG and not refused: the server has processed them.
    pub confirmed: u64,
    /// In doubt: written to a connection that was lost before a PONG confirmed them. The server may or may not have
    /// processed them.
    pub in_doubt: u64,
    /// Lost on this side or refused by the server, by reason.
    pub lost: Lost,
    /// Sent a second time; not part of the sum.
    pub resent: u64,
    /// Publish calls that were refused. Their messages were not accepted, and are not part of the sum.
    pub refused: u64,
    /// Bytes waiting to be written.
    pub pending_bytes: u64,
    /// Messages received.
    pub in_messages: u64,
    /// Messages accepted; the same as `accepted`.
    pub out_messages: u64,
    /// Bytes received.
    pub in_bytes: u64,
    /// Bytes written.
    pub out_bytes: u64,
    /// Connections made.
    pub connects: u64,
    /// Connections made after the first.
    pub reconnects: u64,
    /// Connections that ended, for whatever reason.
    pub disconnects: u64,
    /// Errors: failed attempts, unplanned losses, errors sent by servers, failed health checks.
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

    /// Whether the sum holds. It always does.
    pub fn balances(&self) -> bool {
        self.accepted == self.waiting + self.unconfirmed + self.confirmed + self.in_doubt + self.lost.total()
    }
}

/// Not used by this crate. For compatibility: async-nats has it.
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
