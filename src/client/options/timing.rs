//! Timeouts and intervals.

use std::time::Duration;

use super::ConnectOptions;
use crate::engine::time::within_reach;

impl ConnectOptions {
    /// Limits one attempt to connect, from the look-up of the server's name to the first PONG, credentials
    /// included. Default 5 s; must be longer than zero.
    ///
    /// An attempt that takes longer fails, and the next server is tried. The limit applies to each attempt, not to all
    /// together. A process makes at most 64 dials at a time, over all its clients; waiting for a dial permit, for half
    /// a minute at most, does not count.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let over_a_satellite = nats_lifeline::ConnectOptions::new().connection_timeout(Duration::from_secs(30));
    /// # drop(over_a_satellite);
    /// ```
    pub fn connection_timeout(mut self, timeout: Duration) -> ConnectOptions {
        self.config.connect_timeout = within_reach(timeout);
        self
    }

    /// Sends a PING after this much silence from the server. Default 20 s; must be at least 1 ms. `None`
    /// sends no PING while idle.
    ///
    /// Together with [`max_pings_out`](ConnectOptions::max_pings_out) this decides how soon a silent network is
    /// noticed: after `(max_pings_out + 1) × ping_interval` when idle, 60 s by default. A server that closes or
    /// resets the connection is noticed immediately in any case. Time in which the program could not listen, because
    /// its runtime was busy or the process or the machine was stopped, does not count against the server.
    pub fn ping_interval<T: Into<Option<Duration>>>(mut self, ping_interval: T) -> ConnectOptions {
        self.config.ping_interval = ping_interval.into().map(within_reach);
        self
    }

    /// Gives up a connection when a PING has been unanswered for this many
    /// [`ping_interval`](ConnectOptions::ping_interval)s and nothing else was received. Default 2; must be at least 1.
    ///
    /// After four times as long (160 s by default) the connection is given up even if other bytes are received, since
    /// something between the client and its server may have outlived the server.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// // A dead network is noticed within 4 s.
    /// let hasty = nats_lifeline::ConnectOptions::new().ping_interval(Duration::from_secs(1)).max_pings_out(3);
    /// # drop(hasty);
    /// ```
    pub fn max_pings_out(mut self, max: usize) -> ConnectOptions {
        self.config.max_pings_out = u32::try_from(max).unwrap_or(u32::MAX);
        self
    }

    /// Gives up a connection when it accepts no byte for this long while some are pending. Default 10 s; must be
    /// longer than zero.
    ///
    /// A server that reads slowly is not given up as long as it reads. Unsent messages go to the next connection.
    pub fn write_timeout(mut self, timeout: Duration) -> ConnectOptions {
        self.config.write_timeout = within_reach(timeout);
        self
    }

    /// Limits [`flush`](crate::Client::flush), including an outage in the meantime. Default 10 s; must be longer than
    /// zero.
    ///
    /// After that it fails; messages published before it are still sent.
    pub fn flush_timeout(mut self, timeout: Duration) -> ConnectOptions {
        self.flush_timeout = within_reach(timeout);
        self
    }

    /// Limits how long a publish waits for room while the server accepts bytes more slowly than they are published.
    /// Default 10 s; must be longer than zero.
    ///
    /// After that it fails with [`SendFault::NoRoom`](crate::client::SendFault::NoRoom). It does not apply while
    /// disconnected: then messages are buffered up to
    /// [`reconnect_buffer_size`](ConnectOptions::reconnect_buffer_size), and further ones are refused immediately.
    pub fn publish_timeout(mut self, timeout: Duration) -> ConnectOptions {
        self.publish_timeout = within_reach(timeout);
        self
    }

    /// Limits a request without its own timeout, including an outage in the meantime. Default `Some(10 s)`; must be
    /// longer than zero.
    ///
    /// With `None` the call never returns if the reply is lost.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let options = nats_lifeline::ConnectOptions::new().request_timeout(Some(Duration::from_secs(3)));
    /// # drop(options);
    /// ```
    pub fn request_timeout(mut self, timeout: Option<Duration>) -> ConnectOptions {
        self.request_timeout = timeout.map(within_reach);
        self
    }

    /// Pauses reading from the server for up to this long before a slow subscription loses a message, so that its
    /// reader can catch up. Default 10 ms. With zero the client never waits: its task only yields once, so that a reader on
    /// the same thread gets its turn.
    ///
    /// All subscriptions of this client wait in the meantime; writing goes on. The pause is never longer than half a
    /// [`ping_interval`](ConnectOptions::ping_interval), so that it cannot look like a dead server.
    pub fn slow_consumer_grace(mut self, grace: Duration) -> ConnectOptions {
        self.driver.slow_consumer_grace = within_reach(grace);
        self
    }
}
