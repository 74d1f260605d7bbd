//! The client for programs without async code. Every call blocks its thread until it is done.
//!
//! It is the async [`Client`](crate::Client) on a thread of its own: the same options, the same recovery, the same
//! deadlines and the same errors. The thread, `nats-lifeline`, drives the connection whatever the program does, and
//! ends when the last [`Client`], [`Subscriber`] and async handle of the connection is dropped.
//!
//! ```
//! use nats_lifeline::blocking;
//! # use nats_lifeline::testing::Broker;
//! # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
//! # let broker = runtime.block_on(Broker::start())?;
//! # let server = broker.url();
//!
//! let client = blocking::connect(server)?;
//! let mut orders = client.subscribe("orders.*")?;
//! client.publish("orders.new", "four wheels".into())?;
//! client.flush()?; // Ok: the server has processed it
//! if let Some(order) = orders.next() {
//!     println!("{}: {} bytes", order.subject, order.payload.len());
//! }
//! client.close()?;
//! # Ok::<(), nats_lifeline::Error>(())
//! ```
//!
//! # Where calls may be made
//!
//! On any thread, and on many at a time: clones of a client share its connection. In async code too, inside of
//! `spawn_blocking` or directly; a direct call blocks the thread of that runtime, and with it the other tasks there,
//! until its deadline at the latest.
//!
//! The exception is code that runs on the client's own thread: the callbacks of
//! [`ConnectOptions`], and tasks that they spawn. A call there would wait for itself, so it
//! panics. Callbacks are async: they can use [`async_client`](Client::async_client), or `spawn_blocking`.
//! [`events`](Client::events) need no callback.
//!
//! # While disconnected
//!
//! As with the async client: messages are buffered up to a limit and sent after the reconnect, subscriptions are
//! made again, and a request or a flush waits for the next connection, until its own deadline.
//!
//! # At the end of the program
//!
//! Dropping the last handle never blocks; accepted messages are sent in the background, for up to a second. The end of
//! `main` does not wait for that. [`close`](Client::close) and [`drain_and_close`](Client::drain_and_close) do, and
//! report what was lost.

mod client;
mod connection;
mod events;
mod messages;
mod subscriber;
mod thread;
mod wait;

use crate::protocol::{ServerAddr, ToServerAddrs};
use crate::{ConnectError, ConnectErrorKind, ConnectOptions};

pub use client::Client;
pub use events::Events;
pub use subscriber::Subscriber;
pub use wait::TimedOut;

/// Connects to one of `addrs` with the default options: [`connect_with_options`] with [`ConnectOptions::default`].
///
/// # Errors
///
/// As [`ConnectOptions::connect`].
pub fn connect<A: ToServerAddrs>(addrs: A) -> Result<Client, ConnectError> {
    connect_with_options(addrs, ConnectOptions::default())
}

/// Connects to one of `addrs`; the same as [`ConnectOptions::connect_blocking`].
///
/// # Errors
///
/// As [`ConnectOptions::connect_blocking`].
pub fn connect_with_options<A: ToServerAddrs>(addrs: A, options: ConnectOptions) -> Result<Client, ConnectError> {
    // On this thread: `addrs` need not be `Send`.
    let addrs: Vec<ServerAddr> = addrs
        .to_server_addrs()
        .map_err(|error| ConnectError::with_source(ConnectErrorKind::ServerParse, error))?
        .collect();
    let (client, home) = thread::start(move || options.connect(addrs))?;
    Ok(Client::new(client, home))
}

impl ConnectOptions {
    /// Connects to one of `addrs` with these options, for programs without async code: see [`blocking`](crate::blocking).
    /// No runtime is needed. Callbacks and credentials are called on the thread of the new client.
    ///
    /// Blocks until a server is connected or each has failed, as [`connect`](ConnectOptions::connect) does.
    ///
    /// # Errors
    ///
    /// As `connect`; [`Io`](ConnectErrorKind::Io) also if no thread can be started.
    ///
    /// ```no_run
    /// # fn example() -> Result<(), nats_lifeline::ConnectError> {
    /// let client = nats_lifeline::ConnectOptions::new().name("billing").connect_blocking("demo.nats.io")?;
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_blocking<A: ToServerAddrs>(self, addrs: A) -> Result<Client, ConnectError> {
        connect_with_options(addrs, self)
    }
}
