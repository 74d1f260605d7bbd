//! The options of a client: a builder, with the unit, the default and the effect of each option.

mod auth;
mod backoff;
mod buffers;
mod choice;
mod delivery;
mod dialling;
mod identity;
mod preferred;
mod recovery;
mod settings;
#[cfg(test)]
mod tests;
mod timing;
mod tls;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Client;
use super::error::ConnectError;
use super::event::Event;
use crate::client::LongOutageCallback;
use crate::driver::{Dialer, Resolver, TlsSettings};
use crate::engine::pool::Policy;
use crate::engine::{Config, DeliveryMode, Handover, OutboxRules, OverflowPolicy, Preferred};
use crate::protocol::{Limits, Secret, ToServerAddrs};

use auth::Credentials;
use choice::Callbacks;
pub use settings::InvalidOption;
#[allow(unused_imports, reason = "for the client's core")]
pub(crate) use settings::Settings;

/// What a user's event callback is kept as.
pub(crate) type EventCallback = Arc<dyn Fn(Event) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Options of a connection, and of the client that uses it.
///
/// Every option has a usable default; [`ConnectOptions::default`] is what [`connect`](crate::connect) uses. Values
/// are checked when connecting: an invalid one gives an error of kind [`Io`](crate::ConnectErrorKind::Io) whose
/// source is an [`InvalidOption`] that names the option, the value and the rule. Durations of more than thirty years
/// count as thirty years.
///
/// # Callbacks
///
/// Each callback runs in its own task, so one that awaits for a long time delays nothing else. A callback that blocks
/// its thread (with a lock, a file or a computation) delays everything that runs on that thread: on a current-thread
/// runtime that is the whole connection, PINGs and deadlines included. Use `tokio::task::spawn_blocking` for blocking
/// work.
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
#[derive(Clone)]
#[must_use = "options do nothing until `connect` is called"]
pub struct ConnectOptions {
    // Who we are.
    name: Option<String>,
    user: Option<String>,
    password: Option<Secret>,
    token: Option<Secret>,
    credentials: Credentials,
    no_echo: bool,
    verbose: bool,
    pedantic: bool,
    inbox_prefix: String,
    // Whom we trust.
    require_tls: bool,
    tls_first: bool,
    tls: TlsSettings,
    // Finding a connection again.
    retry_on_initial_connect: bool,
    reconnect: bool,
    max_reconnects: Option<usize>,
    policy: Policy,
    preferred: Preferred,
    callbacks: Callbacks,
    ignore_discovered_servers: bool,
    prepare_moves: bool,
    handover: Handover,
    retain_servers_order: bool,
    local_address: Option<SocketAddr>,
    resolver: Option<Resolver>,
    dialer: Option<Dialer>,
    event_callback: Option<EventCallback>,
    long_outage_callbacks: Vec<LongOutageCallback>,
    // How long things may take.
    connection_timeout: Duration,
    ping_interval: Duration,
    max_pings_out: usize,
    write_timeout: Duration,
    flush_timeout: Duration,
    publish_timeout: Duration,
    request_timeout: Option<Duration>,
    slow_consumer_grace: Duration,
    // How much is kept and taken.
    client_capacity: usize,
    reconnect_buffer_size: usize,
    reconnect_buffer_messages: Option<u64>,
    overflow_policy: OverflowPolicy,
    max_message_age: Option<Duration>,
    delivery: DeliveryMode,
    poison_after: Option<u32>,
    subscription_capacity: usize,
    subscription_byte_capacity: usize,
    read_buffer_capacity: u16,
    max_control_line: usize,
    limits: Limits,
    // For tests.
    random_seed: Option<u64>,
}

impl Default for ConnectOptions {
    /// The defaults, as documented on each method.
    fn default() -> Self {
        // What the engine also has to know has one home for its default, the engine's configuration.
        let engine = Config::default();
        let outbox = OutboxRules::default();
        ConnectOptions {
            name: None,
            user: None,
            password: None,
            token: None,
            credentials: Credentials::default(),
            no_echo: false,
            verbose: false,
            pedantic: false,
            inbox_prefix: "_INBOX".to_owned(),
            require_tls: engine.require_tls,
            tls_first: engine.tls_first,
            tls: TlsSettings::default(),
            retry_on_initial_connect: engine.retry_on_initial_connect,
            reconnect: engine.reconnect,
            max_reconnects: None,
            policy: engine.policy,
            preferred: engine.preferred,
            callbacks: Callbacks::default(),
            ignore_discovered_servers: engine.ignore_discovered,
            prepare_moves: engine.prepare_moves,
            handover: engine.handover,
            retain_servers_order: engine.retain_order,
            local_address: None,
            resolver: None,
            dialer: None,
            event_callback: None,
            long_outage_callbacks: Vec::new(),
            connection_timeout: engine.connect_timeout,
            ping_interval: engine.ping_interval,
            max_pings_out: engine.max_pings_out as usize,
            write_timeout: engine.write_timeout,
            flush_timeout: Duration::from_secs(10),
            publish_timeout: Duration::from_secs(10),
            request_timeout: Some(Duration::from_secs(10)),
            slow_consumer_grace: Duration::from_millis(10),
            client_capacity: 2048,
            reconnect_buffer_size: outbox.cap,
            reconnect_buffer_messages: outbox.messages,
            overflow_policy: outbox.overflow,
            max_message_age: outbox.max_age,
            delivery: outbox.delivery,
            poison_after: Some(engine.poison_after),
            subscription_capacity: 65_536,
            subscription_byte_capacity: 64 * 1024 * 1024,
            read_buffer_capacity: 4096,
            max_control_line: engine.max_control_line,
            limits: Limits::default(),
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
    /// [`retain_servers_order`](ConnectOptions::retain_servers_order)). With
    /// [`retry_on_initial_connect`](ConnectOptions::retry_on_initial_connect) the client is returned immediately and
    /// connects in the background.
    ///
    /// # Errors
    ///
    /// The last server's error if none could be reached; [`Io`](crate::ConnectErrorKind::Io) with an
    /// [`InvalidOption`] for an invalid value; [`ServerParse`](crate::ConnectErrorKind::ServerParse) for an address
    /// that cannot be parsed. `Io` as well outside of a tokio runtime.
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

impl fmt::Debug for ConnectOptions {
    /// Everything except secrets, which appear as `"***"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConnectOptions {
            name,
            user,
            password,
            token,
            credentials,
            no_echo,
            verbose,
            pedantic,
            inbox_prefix,
            require_tls,
            tls_first,
            tls,
            retry_on_initial_connect,
            reconnect,
            max_reconnects,
            policy,
            preferred,
            callbacks,
            ignore_discovered_servers,
            prepare_moves,
            handover,
            retain_servers_order,
            local_address,
            resolver,
            dialer,
            event_callback,
            long_outage_callbacks,
            connection_timeout,
            ping_interval,
            max_pings_out,
            write_timeout,
            flush_timeout,
            publish_timeout,
            request_timeout,
            slow_consumer_grace,
            client_capacity,
            reconnect_buffer_size,
            reconnect_buffer_messages,
            overflow_policy,
            max_message_age,
            delivery,
            poison_after,
            subscription_capacity,
            subscription_byte_capacity,
            read_buffer_capacity,
            max_control_line,
            limits,
            random_seed,
        } = self;
        f.debug_struct("ConnectOptions")
            .field("name", name)
            .field("user", user)
            .field("password", password)
            .field("token", token)
            .field("credentials", credentials)
            .field("no_echo", no_echo)
            .field("verbose", verbose)
            .field("pedantic", pedantic)
            .field("inbox_prefix", inbox_prefix)
            .field("require_tls", require_tls)
            .field("tls_first", tls_first)
            .field("tls", tls)
            .field("retry_on_initial_connect", retry_on_initial_connect)
            .field("reconnect", reconnect)
            .field("max_reconnects", max_reconnects)
            .field("policy", policy)
            .field("preferred", preferred)
            .field("callbacks", callbacks)
            .field("ignore_discovered_servers", ignore_discovered_servers)
            .field("prepare_moves", prepare_moves)
            .field("handover", handover)
            .field("retain_servers_order", retain_servers_order)
            .field("local_address", local_address)
            .field("resolver", resolver)
            .field("dialer", dialer)
            .field("event_callback", &event_callback.as_ref().map(|_| "Fn"))
            .field("long_outage_callbacks", long_outage_callbacks)
            .field("connection_timeout", connection_timeout)
            .field("ping_interval", ping_interval)
            .field("max_pings_out", max_pings_out)
            .field("write_timeout", write_timeout)
            .field("flush_timeout", flush_timeout)
            .field("publish_timeout", publish_timeout)
            .field("request_timeout", request_timeout)
            .field("slow_consumer_grace", slow_consumer_grace)
            .field("client_capacity", client_capacity)
            .field("reconnect_buffer_size", reconnect_buffer_size)
            .field("reconnect_buffer_messages", reconnect_buffer_messages)
            .field("overflow_policy", overflow_policy)
            .field("max_message_age", max_message_age)
            .field("delivery", delivery)
            .field("poison_after", poison_after)
            .field("subscription_capacity", subscription_capacity)
            .field("subscription_byte_capacity", subscription_byte_capacity)
            .field("read_buffer_capacity", read_buffer_capacity)
            .field("max_control_line", max_control_line)
            .field("limits", limits)
            .field("random_seed", random_seed)
            .finish()
    }
}
