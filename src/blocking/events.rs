//! The iterator over a connection's events.

use std::time::Duration;

use super::wait::{Home, TimedOut};
use crate::connection::{self, ConnectionEvent};

/// An iterator over everything that happens to the connection, in order, which waits for the next event. It ends
/// when the client has ended, and does not keep the connection alive.
///
/// No change of state is lost, however slowly it is read: see [`Events`](connection::Events) of the async client.
#[derive(Debug)]
#[must_use = "events are collected only while this is kept"]
pub struct Events {
    events: connection::Events,
    home: Home,
}

impl Events {
    pub(super) fn new(events: connection::Events, home: Home) -> Events {
        Events { events, home }
    }

    /// The next event, waiting for at most `timeout`; `None` after the last one.
    ///
    /// # Errors
    ///
    /// [`TimedOut`]. Nothing is lost by that.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<ConnectionEvent>, TimedOut> {
        self.home.wait_for(timeout, self.events.recv())
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<ConnectionEvent> {
        self.events.try_recv()
    }
}

impl Iterator for Events {
    type Item = ConnectionEvent;

    /// The next event, however long it takes; `None` after the last one.
    fn next(&mut self) -> Option<ConnectionEvent> {
        self.home.wait(self.events.recv())
    }
}
