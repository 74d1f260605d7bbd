//! The state of the connection: three states as async-nats has them, and the engine's six with events and sums.

use std::fmt;

pub use crate::engine::{Cause, ConnectionEvent, EndReason, Ledger, Lost, Status};

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
