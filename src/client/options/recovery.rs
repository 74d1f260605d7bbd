//! Options for connecting and reconnecting.

use std::future::Future;
use std::time::Duration;

use super::ConnectOptions;
use crate::client::callback::EventCallback;
use crate::client::event::Event;
use crate::client::{LongOutage, LongOutageCallback};
use crate::engine::Handover;

impl ConnectOptions {
    /// Makes [`connect`](ConnectOptions::connect) return immediately, and treats the first connection like a lost
    /// one. Default: `connect` fails when every server was tried once, or after
    /// [`connect_attempts`](ConnectOptions::connect_attempts).
    ///
    /// Until the first connection, [`connection_state`](crate::Client::connection_state) is `Pending`, and publishing
    /// and subscribing work as during an outage: messages are buffered, subscriptions are remembered. The server's
    /// `max_payload` is not known before its INFO, so it is checked when the buffered messages are sent; a larger
    /// message is reported by [`ConnectionEvent::Lost`](crate::connection::ConnectionEvent::Lost).
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
        self.config.retry_on_initial_connect = true;
        self
    }

    /// Does not reconnect after a lost connection. Default: it reconnects.
    ///
    /// After the loss the client is [`Disconnected`](crate::connection::Status::Disconnected): streams end, calls
    /// fail, buffered messages are reported as lost. [`force_reconnect`](crate::Client::force_reconnect) revives it.
    pub fn no_reconnect(mut self) -> ConnectOptions {
        self.config.reconnect = false;
        self
    }

    /// Leaves the current server before the next one is dialled, also when the client moves on purpose. Default: such a
    /// move is prepared, that is, the client connects to the next server first.
    ///
    /// When moves are prepared and the current server announces that it will stop (lame duck mode), the client connects
    /// to another server of the pool within a second, and leaves the current one only when the next one is ready. It
    /// does not move to a server that has also announced its end. The address of the current server is dialled again,
    /// after a second and then less often, since behind a load balancer it may lead to another server. If there is no
    /// other server, the client stays until the current one ends the connection.
    /// [`force_reconnect`](crate::Client::force_reconnect) works in the same way, except that the client also leaves if
    /// the single server that it tries fails.
    ///
    /// Everything published is confirmed before the switch, and messages published during it go to the new server,
    /// so nothing is in doubt. Queue groups and replies to requests lose nothing: both servers have them until the
    /// cluster has had 50 ms to learn of the new ones. A plain subscription misses messages published while neither
    /// server has it, for about a round trip. For a moment there are two connections.
    ///
    /// With this option lame duck mode is only reported
    /// ([`ConnectionEvent::LameDuck`](crate::connection::ConnectionEvent::LameDuck)). This is also the case if
    /// callbacks choose the server or the delay.
    ///
    /// ```
    /// // An account that is allowed one connection.
    /// let options = nats_lifeline::ConnectOptions::new().no_prepared_moves();
    /// # drop(options);
    /// ```
    pub fn no_prepared_moves(mut self) -> ConnectOptions {
        self.config.prepare_moves = false;
        self
    }

    /// Decides what a plain subscription gets during a planned move. Default [`Handover::Exclusive`]: no message
    /// twice, and a gap of about a round trip.
    ///
    /// It applies to [prepared](ConnectOptions::no_prepared_moves) moves. In both modes queue groups and replies to
    /// requests lose nothing and get nothing twice; a subscription that ends after a number of messages is never at
    /// both servers; and streams [with gaps](crate::Subscriber::with_gaps) report the move.
    ///
    /// ```
    /// use nats_lifeline::{ConnectOptions, options::Handover};
    ///
    /// // Its consumers tolerate duplicates.
    /// let options = ConnectOptions::new().handover(Handover::Overlap);
    /// # drop(options);
    /// ```
    pub fn handover(mut self, handover: Handover) -> ConnectOptions {
        self.config.handover = handover;
        self
    }

    /// Uses only the servers given to `connect`. Default: servers that the cluster announces are used as well.
    pub fn ignore_discovered_servers(mut self) -> ConnectOptions {
        self.config.ignore_discovered = true;
        self
    }

    /// Tries the servers in the order given to `connect`. Default: they are shuffled once, so that clients with the
    /// same list spread over the cluster.
    pub fn retain_servers_order(mut self) -> ConnectOptions {
        self.config.retain_order = true;
        self
    }

    /// Calls `cb` for each [`Event`]: connected, disconnected, errors and so on. Default: none.
    ///
    /// Calls are made one after the other, each awaited before the next, in their own task: a slow one delays later
    /// events and nothing else. It must not [block](ConnectOptions#callbacks).
    ///
    /// ```no_run
    /// use nats_lifeline::{ConnectOptions, Event};
    ///
    /// # async fn example() -> Result<(), nats_lifeline::ConnectError> {
    /// let client = ConnectOptions::new()
    ///     .event_callback(|event| async move {
    ///         match event {
    ///             Event::Disconnected => eprintln!("disconnected; messages are buffered"),
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
        self.event_callback = Some(EventCallback::new(cb));
        self
    }

    /// Calls `cb` after each outage that was longer than `threshold`. May be set several times, each with its own
    /// threshold. Default: none.
    ///
    /// Use it to react to a longer outage, for example by fetching data that may have been missed. It is called when
    /// the next connection is ready, so it can use the client;
    /// [`Reconnected`](crate::connection::ConnectionEvent::Reconnected) reports lost messages and messages in doubt.
    /// Calls of one callback are made one after the other, in their own tasks: a call that is slow or panics delays
    /// nothing else.
    ///
    /// ```no_run
    /// use nats_lifeline::ConnectOptions;
    /// use std::time::Duration;
    ///
    /// # async fn example() -> Result<(), nats_lifeline::ConnectError> {
    /// let client = ConnectOptions::new()
    ///     .long_outage_callback(Duration::from_secs(30), |outage| async move {
    ///         eprintln!("cut off for {:?}, now at {}: fetching everything again", outage.duration, outage.server);
    ///     })
    ///     .connect("localhost")
    ///     .await?;
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn long_outage_callback<F, Fut>(mut self, threshold: Duration, cb: F) -> ConnectOptions
    where
        F: Fn(LongOutage) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.long_outage_callbacks.push(LongOutageCallback::new(threshold, cb));
        self
    }

    /// Derives the client's random decisions about connections from `seed`: the order of the servers, delays, when to
    /// leave a lame duck. Default: they differ in each run. Needs the feature `testing`.
    ///
    /// For tests on a simulated clock, so that a failure can be repeated. Programs should not set it: clients with
    /// the same seed would all do the same at the same time. Names of inboxes are not affected.
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new().random_seed(7);
    /// # drop(options);
    /// ```
    #[cfg(feature = "testing")]
    pub fn random_seed(mut self, seed: u64) -> ConnectOptions {
        self.random_seed = Some(seed);
        self
    }
}
