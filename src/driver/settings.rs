//! The driver's settings.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::authenticator::Authenticator;
use super::chooser::Chooser;
use super::dialer::{Dialer, Resolver};
use super::inbox::{InboxLimits, WhenFull};
use super::secure::TlsSettings;
use crate::engine::Config;
use crate::protocol::Limits;

/// Settings of one driver, fixed for its lifetime.
#[derive(Clone, Debug)]
pub(crate) struct DriverSettings {
    /// How long reading stops for a slow consumer. Default 10 ms.
    pub(crate) slow_consumer_grace: Duration,
    /// Limits of subscriptions that have none of their own.
    pub(crate) inbox: InboxLimits,
    /// How long a subscription's calls wait for room.
    pub(crate) publish_timeout: Duration,
    /// Smallest size of the read buffer, within the driver's own bounds. Default 4096 bytes.
    pub(crate) read_buffer: usize,
    /// Local address to dial from.
    pub(crate) local_address: Option<SocketAddr>,
    /// The same as in the engine's configuration; for TCP_USER_TIMEOUT, where it exists.
    pub(crate) write_timeout: Duration,
    /// Resolves names instead of the system's resolver.
    pub(crate) resolver: Option<Resolver>,
    /// Opens byte streams instead of look-up and TCP.
    pub(crate) dialer: Option<Dialer>,
    /// Chooses the next server and the delay, if the engine asks.
    pub(crate) chooser: Option<Chooser>,
    /// TLS settings.
    pub(crate) tls: Arc<TlsSettings>,
    /// Provides the user's credentials, if the engine asks.
    pub(crate) authenticator: Option<Authenticator>,
    /// The decoder's limits.
    pub(crate) limits: Limits,
}

impl Default for DriverSettings {
    fn default() -> Self {
        DriverSettings {
            slow_consumer_grace: Duration::from_millis(10),
            inbox: InboxLimits { messages: usize::MAX, bytes: usize::MAX, when_full: WhenFull::DropNewest },
            publish_timeout: Duration::MAX,
            read_buffer: 4096,
            local_address: None,
            write_timeout: Config::default().write_timeout,
            resolver: None,
            dialer: None,
            chooser: None,
            tls: Arc::default(),
            authenticator: None,
            limits: Limits::default(),
        }
    }
}
