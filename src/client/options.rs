//! The options of a client: a builder, with the unit, the default and the effect of each option.

mod auth;
mod backoff;
mod buffers;
mod check;
mod choice;
mod delivery;
mod dialling;
mod identity;
mod preferred;
mod profile;
mod recovery;
#[cfg(test)]
mod tests;
mod timing;
mod tls;

use std::time::Duration;

use super::Client;
use super::callback::EventCallback;
use super::error::ConnectError;
use crate::client::LongOutageCallback;
use crate::driver::DriverSettings;
use crate::engine::Config;
use crate::protocol::ToServerAddrs;

use auth::Credentials;
pub use check::InvalidOption;
use choice::Callbacks;
pub use profile::{Profile, ProfileError};

/// Options of a connection, and of the client that uses it.
///
/// Every option has a usable default; [`ConnectOptions::default`] is what [`connect`](crate::connect) uses. Values
/// are checked when connecting: an invalid one gives an error of kind [`Io`](crate::ConnectErrorKind::Io) whose
/// source is an [`InvalidOption`] that names the option, the value and the rule. Durations of more than thirty years
/// count as thirty years.
///
/// A flag is a method without an argument that changes the default, such as `no_echo` or `verbose`; only `require_tls`
/// has an argument, as in async-nats. For limits that can be absent, `None` means no limit.
///
/// # Callbacks
///
/// Each callback runs in its own task, so a callback that awaits for a long time delays nothing else. A callback that
/// blocks its thread (with a lock, a file or a computation) delays everything that runs on that thread: on a
/// current-thread runtime that is the whole connection, PINGs and deadlines included. Use `tokio::task::spawn_blocking`
/// for blocking work.
///
/// ```no_run
/// use nats_lifeline::ConnectOptions;
/// use std::time::Duration;
///
/// # async fn example() -> Result<(), nats_lifeline::ConnectError> {
/// let client = ConnectOptions::new()
///     .name("billing")
///     .user_and_password("billing".to_owned(), "secret".to_owned())
///     .ping_interval(Duration::from_secs(5))
///     .reconnect_buffer_size(64 * 1024 * 1024)
///     .connect(["nats://one.example:4222", "nats://two.example:4222"].as_slice())
///     .await?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until `connect` is called"]
pub struct ConnectOptions {
    /// The settings of the engine and its outbox.
    pub(super) config: Config,
    /// The driver's settings.
    pub(super) driver: DriverSettings,
    /// Sources of credentials; the check moves them into `driver`.
    credentials: Credentials,
    /// Callbacks that choose servers and delays; the check moves them into `driver`.
    callbacks: Callbacks,
    // Settings of the client itself.
    /// The prefix of inboxes, without the dot after it.
    pub(super) inbox_prefix: String,
    /// The deadline of a flush.
    pub(super) flush_timeout: Duration,
    /// How long a publish waits for room.
    pub(super) publish_timeout: Duration,
    /// The timeout of a request without its own; `None`: no limit.
    pub(super) request_timeout: Option<Duration>,
    /// The most unread messages in one subscription.
    pub(super) subscription_messages: usize,
    /// The most bytes of unread messages in one subscription.
    pub(super) subscription_bytes: usize,
    /// Receives async-nats's events.
    pub(super) event_callback: Option<EventCallback>,
    /// Called after long outages.
    pub(super) long_outage_callbacks: Vec<LongOutageCallback>,
    /// The seed of random decisions; `None`: a new one for each client.
    pub(super) random_seed: Option<u64>,
}

impl Default for ConnectOptions {
    /// The defaults, as documented on each method.
    fn default() -> Self {
        ConnectOptions {
            config: Config::default(),
            driver: DriverSettings::default(),
            credentials: Credentials::default(),
            callbacks: Callbacks::default(),
            inbox_prefix: "_INBOX".to_owned(),
            flush_timeout: Duration::from_secs(10),
            publish_timeout: Duration::from_secs(10),
            request_timeout: Some(Duration::from_secs(10)),
            subscription_messages: 65_536,
            subscription_bytes: 64 * 1024 * 1024,
            event_callback: None,
            long_outage_callbacks: Vec::new(),
            random_seed: None,
        }
    }
}

impl ConnectOptions {
    /// The defaults, to be changed by the other methods.
    ///
    /// ```
    /// use nats_lifeline::ConnectOptions;
    ///
    /// let options = ConnectOptions::new().name("billing").no_echo();
    /// assert!(format!("{options:?}").contains("billing"));
    /// ```
    pub fn new() -> ConnectOptions {
        ConnectOptions::default()
    }

    /// Connects to one of `addrs` with these options.
    ///
    /// Each server is tried once, in random order (see
    /// [`retain_servers_order`](ConnectOptions::retain_servers_order)); more often with
    /// [`connect_attempts`](ConnectOptions::connect_attempts). With
    /// [`retry_on_initial_connect`](ConnectOptions::retry_on_initial_connect) the client is returned immediately and
    /// connects in the background.
    ///
    /// # Errors
    ///
    /// The last server's error if none could be reached, with a [`NotConnected`](crate::client::NotConnected) that names
    /// every server; [`MaxReconnects`](crate::ConnectErrorKind::MaxReconnects) after
    /// [`connect_attempts`](ConnectOptions::connect_attempts); [`Io`](crate::ConnectErrorKind::Io) with an
    /// [`InvalidOption`] for an invalid value; [`ServerParse`](crate::ConnectErrorKind::ServerParse) for an address
    /// that cannot be parsed, or is one for WebSocket (`ws`, `wss`), which cannot be dialled. `Io` as well outside of a tokio runtime.
    ///
    /// # Panics
    ///
    /// In a tokio runtime that was built without I/O and timers (`enable_all`).
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), nats_lifeline::ConnectError> {
    /// let client = nats_lifeline::ConnectOptions::new().connect("demo.nats.io").await?;
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect<A: ToServerAddrs>(self, addrs: A) -> Result<Client, ConnectError> {
        super::connect::connect(addrs, self).await
    }
}
