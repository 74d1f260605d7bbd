//! Options that steer how a connection is found and found again.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::ConnectOptions;
use crate::client::event::Event;
use crate::client::{LongOutage, LongOutageCallback};
use crate::engine::Handover;

impl ConnectOptions {
    /// Makes [`connect`](ConnectOptions::connect) return at once and the first connection be sought like a lost
    /// one. Default: `connect` fails when every server was tried once.
    ///
    /// Until then [`connection_state`](crate::Client::connection_state) is `Pending`, and publishing and subscribing
    /// work as during an outage: messages are buffered, subscriptions are remembered. How large a message may be is not
    /// known before the first INFO, so it is checked when the buffered messages are sent: one that is larger than the server's
    /// `max_payload` is reported by [`ConnectionEvent::Lost`](crate::connection::ConnectionEvent::Lost).
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

    /// Says whether a move to another server is prepared. Default `true`.
    ///
    /// When the present server says that it will stop (lame duck mode), another one of the pool is connected within a second, and
    /// only when it is ready the present one is left. A server that has said the same is no place to go, and the address of the
    /// present one is dialled again, after a second and then more rarely, since another server may be there by now (behind a load
    /// balancer). Where there is no other, the present one is kept to its end.
    /// [`force_reconnect`](crate::Client::force_reconnect) goes the same way, and if the one server that it tries fails, leaves
    /// all the same. What was published is confirmed before the change and what is published meanwhile goes to the
    /// new server, so nothing is in doubt; queue groups and replies to requests lose nothing, for they are at both servers until
    /// the others of a cluster have had 50 ms to hear of it; a plain subscription misses what is published while it is at
    /// neither server, which is about a round trip. For a moment there are two connections.
    ///
    /// With `false` the present server is left before the next is dialled, and lame ducks are only told
    /// ([`ConnectionEvent::LameDuck`](crate::connection::ConnectionEvent::LameDuck)). So it is where callbacks choose the server
    /// or the delay.
    ///
    /// ```
    /// // An account that is allowed one connection.
    /// let options = nats_lifeline::ConnectOptions::new().prepare_moves(false);
    /// # drop(options);
    /// ```
    pub fn prepare_moves(mut self, prepare: bool) -> ConnectOptions {
        self.prepare_moves = prepare;
        self
    }

    /// Says what a plain subscription gets while the client moves from one server to another as planned. Default
    /// [`Handover::Exclusive`]: no message twice, and a gap of about a round trip.
    ///
    /// It applies to moves that are [prepared](ConnectOptions::prepare_moves). Queue groups and replies to requests lose
    /// nothing and get nothing twice in either way; a subscription that ends after a number of messages is never at both
    /// servers. Streams [with gaps](crate::Subscriber::with_gaps) tell the move in either way.
    ///
    /// ```
    /// use nats_lifeline::{ConnectOptions, client::Handover};
    ///
    /// // Its consumers know what they have seen.
    /// let options = ConnectOptions::new().handover(Handover::Overlap);
    /// # drop(options);
    /// ```
    pub fn handover(mut self, handover: Handover) -> ConnectOptions {
        self.handover = handover;
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
    /// It must not [block](ConnectOptions#callbacks).
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

    /// Calls `cb` after each outage that was longer than `threshold`. May be set several times, each with a threshold of
    /// its own. Default: nobody is called.
    ///
    /// For what a program should do when it has been cut off for a while, such as fetching anew what it may have missed. It
    /// is called when the next connection is ready, so it may use the client; what was lost or is in doubt,
    /// [`Reconnected`](crate::connection::ConnectionEvent::Reconnected) says. Calls of one callback are made one after the
    /// other, in tasks of their own: one that takes long or panics holds up nothing else.
    ///
    /// ```no_run
    /// use nats_lifeline::ConnectOptions;
    /// use std::time::Duration;
    ///
    /// # async fn example() -> Result<(), nats_lifeline::ConnectError> {
    /// let client = ConnectOptions::new()
    ///     .long_outage_callback(Duration::from_secs(30), |outage| async move {
    ///         eprintln!("cut off for {:?}, now at {}: fetching everything anew", outage.duration, outage.server);
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

    /// Makes the client's random decisions about connections follow from `seed`: the order of the servers, delays, when a lame
    /// duck is left. Default: they are different in each run. Needs the feature `testing`.
    ///
    /// For tests on a clock of their own, so that what failed once can be seen again. Programs should not set it: clients with
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
