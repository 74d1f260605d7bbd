//! Options that steer how a connection is found and found again.

use std::future::Future;
use std::sync::Arc;

use super::ConnectOptions;
use crate::client::event::Event;
use crate::engine::backoff::Backoff;

impl ConnectOptions {
    /// Makes [`connect`](ConnectOptions::connect) return at once and the first connection be sought like a lost
    /// one. Default: `connect` fails when every server was tried once.
    ///
    /// Until then [`connection_state`](crate::Client::connection_state) is `Pending`, and publishing and subscribing
    /// work as during an outage: messages are held, subscriptions are remembered.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), nats_lifeline::ConnectError> {
    /// // The server may come up after this program.
    /// let client = nats_lifeline::ConnectOptions::new().retry_on_initial_connect().connect("localhost").await?;
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry_on_initial_connect(mut self) -> ConnectOptions {
        self.retry_on_initial_connect = true;
        self
    }

    /// Gives a lost connection up instead of seeking another. Default: another is sought.
    ///
    /// After the loss the client is [`Disconnected`](crate::connection::Status::Disconnected): streams end, calls
    /// fail, held messages are reported lost. [`force_reconnect`](crate::Client::force_reconnect) revives it.
    pub fn no_reconnect(mut self) -> ConnectOptions {
        self.reconnect = false;
        self
    }

    /// Gives up after this many failed attempts, counted over all servers since the last connection that lived for
    /// a second. Default: never; `None` and `0` mean never too.
    ///
    /// After giving up the client is [`Disconnected`](crate::connection::Status::Disconnected): streams end, calls
    /// fail, held messages are reported lost. [`force_reconnect`](crate::Client::force_reconnect) revives it.
    ///
    /// ```
    /// use nats_lifeline::ConnectOptions;
    ///
    /// let twenty = ConnectOptions::new().max_reconnects(20);
    /// let for_ever = ConnectOptions::new().max_reconnects(None);
    /// # drop((twenty, for_ever));
    /// ```
    pub fn max_reconnects<T: Into<Option<usize>>>(mut self, max_reconnects: T) -> ConnectOptions {
        // 0 has meant "no limit" for as long as there are NATS clients; `no_reconnect` is the other thing.
        self.max_reconnects = max_reconnects.into().filter(|&max| max != 0);
        self
    }

    /// Sets the delays between failed attempts on one server. Default: 100 ms after the first failure, doubled by
    /// each further one up to 4 s, and half of each delay is random.
    ///
    /// Each server waits by itself: with three of them the next one is dialled at once. Shorter delays find a
    /// server sooner; longer ones, and more randomness, spare a server that many clients come back to.
    ///
    /// ```
    /// use nats_lifeline::ConnectOptions;
    /// use nats_lifeline::engine::backoff::{Backoff, Jitter};
    /// use std::time::Duration;
    ///
    /// let patient = Backoff {
    ///     initial: Duration::from_secs(1),
    ///     factor: 2.0,
    ///     max: Duration::from_secs(30),
    ///     jitter: Jitter::Symmetric(0.3),
    /// };
    /// let options = ConnectOptions::new().backoff(patient);
    /// # drop(options);
    /// ```
    pub fn backoff(mut self, backoff: Backoff) -> ConnectOptions {
        self.backoff = backoff;
        self
    }

    /// Keeps to the servers given to `connect`. Default: servers that the cluster tells about are tried as well.
    pub fn ignore_discovered_servers(mut self) -> ConnectOptions {
        self.ignore_discovered_servers = true;
        self
    }

    /// Tries the servers in the order given to `connect`. Default: they are shuffled once, so that clients with the
    /// same list spread over the cluster.
    pub fn retain_servers_order(mut self) -> ConnectOptions {
        self.retain_servers_order = true;
        self
    }

    /// Calls `cb` for each [`Event`]: connected, disconnected, errors and so on. Default: nobody is called.
    ///
    /// Calls are made one after the other, each awaited before the next, in a task of their own: one that takes
    /// long delays later events and nothing else.
    ///
    /// ```no_run
    /// use nats_lifeline::{ConnectOptions, Event};
    ///
    /// # async fn example() -> Result<(), nats_lifeline::ConnectError> {
    /// let client = ConnectOptions::new()
    ///     .event_callback(|event| async move {
    ///         match event {
    ///             Event::Disconnected => eprintln!("the connection is gone, messages are held"),
    ///             other => eprintln!("{other}"),
    ///         }
    ///     })
    ///     .connect("localhost")
    ///     .await?;
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn event_callback<F, Fut>(mut self, cb: F) -> ConnectOptions
    where
        F: Fn(Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.event_callback = Some(Arc::new(move |event| Box::pin(cb(event))));
        self
    }
}
