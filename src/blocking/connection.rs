//! The connection: flushing, its state, its servers and its end.

use std::sync::Arc;
use std::time::Duration;

use super::client::Client;
use super::events::Events;
use crate::client::{CloseError, DrainError, DrainReport, FlushError, Health, HealthSnapshot, ReconnectError};
use crate::connection::{StateChange, Stats, Status};
use crate::protocol::{Info, ToServerAddrs};
use crate::{Server, ServerPoolError, SetServerPoolError};

impl Client {
    /// Waits until the server has processed everything that this client and its clones have published so far, up to
    /// [`flush_timeout`](crate::ConnectOptions::flush_timeout) (10 s). While disconnected it waits for a connection.
    ///
    /// # Errors
    ///
    /// As [`flush`](crate::Client::flush) of the async client: at the deadline, if a lost connection has left messages
    /// in doubt, and if the client is closed or has given up.
    pub fn flush(&self) -> Result<(), FlushError> {
        self.home.wait(self.client.flush())
    }

    /// [`flush`](Client::flush) with its own deadline.
    ///
    /// # Errors
    ///
    /// As `flush`.
    pub fn flush_timeout(&self, timeout: Duration) -> Result<(), FlushError> {
        self.home.wait(self.client.flush_timeout(timeout))
    }

    /// Measures a round trip to the server.
    ///
    /// # Errors
    ///
    /// As [`flush`](Client::flush).
    pub fn rtt(&self) -> Result<Duration, FlushError> {
        self.home.wait(self.client.rtt())
    }

    /// The current state, one of six.
    pub fn status(&self) -> Status {
        self.client.status()
    }

    /// Waits until the state is `status`, for at most `within`. `false` if it is not by then, or never will be.
    pub fn wait_for_status(&self, status: Status, within: Duration) -> bool {
        let mut watch = self.client.status_watch();
        self.home.wait_for(within, watch.wait_for(status)).unwrap_or(false)
    }

    /// Returns an iterator over everything that happens to the connection from now on, in order. It does not keep the
    /// connection alive.
    ///
    /// ```no_run
    /// # fn example(client: nats_lifeline::blocking::Client) {
    /// use nats_lifeline::connection::ConnectionEvent;
    ///
    /// let events = client.events();
    /// std::thread::spawn(move || {
    ///     for event in events {
    ///         if let ConnectionEvent::Disconnected { server, cause, in_doubt, .. } = event {
    ///             eprintln!("lost {server}: {cause}; {in_doubt} messages in doubt");
    ///         }
    ///     }
    /// });
    /// # }
    /// ```
    pub fn events(&self) -> Events {
        Events::new(self.client.events(), self.home)
    }

    /// Returns a snapshot of the counters: what became of every message that was ever accepted, and what crossed the
    /// socket.
    pub fn stats(&self) -> Stats {
        self.client.stats()
    }

    /// `host:port` of the connected server.
    pub fn connected_server(&self) -> Option<String> {
        self.client.connected_server()
    }

    /// The server's latest INFO. `None` before the first one.
    pub fn info(&self) -> Option<Arc<Info>> {
        self.client.info()
    }

    /// The largest message that the server accepts, headers and payload together, in bytes. 1 MiB before the first
    /// INFO; updated by every INFO.
    pub fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    /// Returns the state of the connection without asking the server. Cheap, and possible in every state.
    pub fn health_snapshot(&self) -> HealthSnapshot {
        self.client.health_snapshot()
    }

    /// Checks the connection with a round trip to the server, of up to five seconds. While no server is connected it
    /// returns immediately.
    pub fn health(&self) -> Health {
        self.home.wait(self.client.health())
    }

    /// [`health`](Client::health) with its own deadline.
    pub fn health_within(&self, timeout: Duration) -> Health {
        self.home.wait(self.client.health_within(timeout))
    }

    /// The last 128 changes of the state, oldest first, with times and reasons: for support tickets.
    pub fn recovery_log(&self) -> Vec<StateChange> {
        self.client.recovery_log()
    }

    /// Leaves the current server and connects again, without waiting for any backoff. Also revives a client that has
    /// given up. Buffered messages and subscriptions are kept.
    ///
    /// # Errors
    ///
    /// If the client is closed.
    pub fn force_reconnect(&self) -> Result<(), ReconnectError> {
        self.home.wait(self.client.force_reconnect())
    }

    /// Replaces the list of servers. The current connection stays; the next attempt uses the new list, during an
    /// outage too.
    ///
    /// # Errors
    ///
    /// As [`set_server_pool`](crate::Client::set_server_pool) of the async client.
    pub fn set_server_pool<A: ToServerAddrs>(&self, addrs: A) -> Result<(), SetServerPoolError> {
        self.home.wait(self.client.set_server_pool(addrs))
    }

    /// The current list of servers, including the ones that the cluster announced.
    ///
    /// # Errors
    ///
    /// If the client is closed.
    pub fn server_pool(&self) -> Result<Vec<Server>, ServerPoolError> {
        self.home.wait(self.client.server_pool())
    }

    /// Begins to shut the client down gracefully, and returns immediately. Received messages are still delivered, and
    /// what was published is sent. After 30 s the client ends in any case; while disconnected, it waits for a connection
    /// until then if messages are buffered.
    ///
    /// # Errors
    ///
    /// If the client is already closed.
    pub fn drain(&self) -> Result<(), DrainError> {
        self.home.wait(self.client.drain())
    }

    /// [`drain`](Client::drain), and waits until it is done, for at most `within`. Subscribers are read on other
    /// threads meanwhile. A subscriber that has taken its last message and may be answering it has five seconds (or a
    /// quarter of `within`, if that is less) to ask for the next, as with the async client; drop it if it has not.
    ///
    /// # Errors
    ///
    /// If the client is already closed. A drain that does not finish in time is not an error; the report says so.
    ///
    /// ```
    /// # use nats_lifeline::testing::Broker;
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    /// # let broker = runtime.block_on(Broker::start())?;
    /// # let client = nats_lifeline::blocking::connect(broker.url())?;
    /// client.publish("orders.new", "four wheels".into())?;
    /// let report = client.drain_and_close(std::time::Duration::from_secs(5))?;
    /// assert!(report.completed && report.confirmed == 1);
    /// # Ok::<(), nats_lifeline::Error>(())
    /// ```
    pub fn drain_and_close(&self, within: Duration) -> Result<DrainReport, DrainError> {
        self.home.wait(self.client.drain_and_close(within))
    }

    /// Closes the client. Nothing more is accepted, and iterators end after the messages that were received. If a
    /// server is connected, accepted messages are sent and confirmed, for at most one second.
    ///
    /// # Errors
    ///
    /// If messages were lost or are in doubt, with their numbers; the client is closed in any case.
    pub fn close(&self) -> Result<(), CloseError> {
        self.home.wait(self.client.close())
    }
}
