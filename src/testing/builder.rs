//! What can be set before a broker starts, and starting it.

use super::broker::Broker;
use super::node::{Fabric, Node};
use super::shared::Settings;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Settings for a broker, or for the brokers of a cluster; made by [`Broker::builder`].
///
/// The defaults are those of nats-server 2.15.
///
/// ```
/// use nats_lifeline::testing::Broker;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let broker = Broker::builder()
///     .user("ada", "secret")
///     .max_payload(64 * 1024)
///     .ping_interval(Duration::from_millis(200))
///     .start()
///     .await?;
/// assert_eq!(broker.connections(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it does nothing until `start`"]
pub struct Builder {
    settings: Settings,
    port: u16,
}

impl Builder {
    /// Requires a user name and password. May be called several times; each pair is then accepted,
    /// and so is each [token](Self::token).
    pub fn user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.settings.session.credentials.users.push((user.into(), password.into()));
        self
    }

    /// Requires a token. May be called several times; see [`user`](Self::user).
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.settings.session.credentials.tokens.push(token.into());
        self
    }

    /// Accepts the user with this public NKey, `U…`, who must sign the broker's nonce. May be called several times; see
    /// [`user`](Self::user).
    #[cfg(feature = "nkeys")]
    pub fn nkey(mut self, user: impl Into<String>) -> Self {
        self.settings.session.credentials.nkeys.push(user.into());
        self
    }

    /// Accepts the users of the account with this public NKey, `A…`: those with a JWT that it has signed, who must also
    /// sign the broker's nonce. May be called several times; see [`user`](Self::user).
    ///
    /// Permissions and the time of expiry in a JWT are ignored.
    #[cfg(feature = "nkeys")]
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.settings.session.credentials.accounts.push(account.into());
        self
    }

    /// The largest message that is accepted, headers included, in bytes; INFO announces it. Default
    /// 1 MiB.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.settings.session.max_payload = bytes;
        self
    }

    /// The longest control line that is accepted, in bytes of its arguments, CONNECT included.
    /// Default 4,096.
    pub fn max_control_line(mut self, bytes: usize) -> Self {
        self.settings.session.max_control_line = bytes;
        self
    }

    /// How many subscriptions one client may have; 0 is no limit, and the default. One more is
    /// refused with an error, and the connection stays.
    pub fn max_subscriptions(mut self, subscriptions: usize) -> Self {
        self.settings.session.max_subscriptions = Some(subscriptions).filter(|most| *most > 0);
        self
    }

    /// How many bytes may be pending for one client before it is disconnected as a slow consumer.
    /// Default 64 MiB.
    pub fn max_pending(mut self, bytes: usize) -> Self {
        self.settings.max_pending = bytes;
        self
    }

    /// The largest number of connections. Default 65,536.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections;
        self
    }

    /// Whether the broker supports headers. Default `true`. Without them, INFO says so, and HPUB
    /// closes the connection, as does a CONNECT that asks for `no_responders`.
    pub fn headers(mut self, on: bool) -> Self {
        self.settings.session.headers = on;
        self
    }

    /// Whether requests without responders are answered with status 503, if the client asked for it.
    /// Default `true`.
    pub fn no_responders(mut self, on: bool) -> Self {
        self.settings.session.no_responders = on;
        self
    }

    /// Whether a second INFO follows the first PONG. Default `true`, as in nats-server 2.15; older
    /// servers send none.
    pub fn second_info(mut self, on: bool) -> Self {
        self.settings.second_info = on;
        self
    }

    /// Whether the broker has JetStream, in memory: [`Broker::jetstream`] looks at it and breaks it. Default `false`. INFO
    /// announces it.
    ///
    /// It answers as nats-server 2.15 does: streams with all limits, retention policies, deduplication, expectations and times
    /// to live; single messages, and many at a time; pull and push consumers with all acknowledgements, redeliveries, heartbeats
    /// and flow control. A restart keeps streams, and consumers unless their state is in memory only (`mem_storage`).
    ///
    /// It has no mirrors and sources, subject transforms, republishing, delete markers, counters, batches, schedules or priority
    /// groups, and refuses configurations and messages that ask for them. It also has no domains and no limits of accounts, and
    /// `replay_policy` and `rate_limit_bps` have no effect. In a cluster all brokers have the same streams, and the loss of one
    /// changes nothing: [`Streams::elect`](super::Streams::elect) is what the loss of a leader looks like.
    pub fn jetstream(mut self, on: bool) -> Self {
        self.settings.jetstream = on;
        self
    }

    /// The server name in INFO. Default `broker-` and the port.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.settings.server_name = Some(name.into());
        self
    }

    /// The port on 127.0.0.1. Default 0: any free port. In a cluster this is the port of the first
    /// broker, and unless it is 0 the others take the ports after it.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// How long a client may be silent before it gets a PING. Default 2 minutes. The first PING
    /// comes after 2.4 seconds if that is sooner, even if the client is not silent.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.settings.ping_interval = interval;
        self
    }

    /// How many PINGs may be outstanding before the connection is closed as stale. Default 2.
    pub fn max_pings_out(mut self, pings: u32) -> Self {
        self.settings.max_pings_out = pings;
        self
    }

    /// How long a client may take to send CONNECT, if credentials are required. Default 2 seconds.
    pub fn auth_timeout(mut self, timeout: Duration) -> Self {
        self.settings.auth_timeout = timeout;
        self
    }

    /// How long a client may accept no bytes while some are pending before it is disconnected as a
    /// slow consumer. Default 10 seconds.
    pub fn write_deadline(mut self, deadline: Duration) -> Self {
        self.settings.write_deadline = deadline;
        self
    }

    /// How long [lame duck mode](Broker::lame_duck) lasts before connections are closed. Default 10
    /// seconds.
    pub fn lame_duck_grace(mut self, grace: Duration) -> Self {
        self.settings.lame_duck_grace = grace;
        self
    }

    /// Starts one broker. Its tasks run on the current tokio runtime, which must have I/O and time
    /// enabled.
    ///
    /// # Errors
    ///
    /// When the port can't be opened; a busy port is retried for 10 seconds.
    pub async fn start(self) -> io::Result<Broker> {
        let fabric = Arc::new(Fabric::new(None, self.settings.jetstream));
        self.start_in(fabric, 0).await
    }

    pub(super) fn has_jetstream(&self) -> bool {
        self.settings.jetstream
    }

    /// Starts the broker number `index` of a cluster.
    pub(super) async fn start_in(&self, fabric: Arc<Fabric>, index: usize) -> io::Result<Broker> {
        let mut settings = self.settings.clone();
        if let (Some(name), true) = (&mut settings.server_name, fabric.name.is_some()) {
            name.push_str(&format!("-{index}"));
        }
        let offset = if self.port == 0 { 0 } else { index };
        let port = u16::try_from(usize::from(self.port) + offset)
            .map_err(|_| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
        let node = Node::bind(settings, fabric, port).await?;
        let broker = Broker { node };
        broker.node.start().await?;
        Ok(broker)
    }
}

impl Broker {
    /// Starts a broker on a free port with the default settings of [`Builder`].
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn start() -> io::Result<Self> {
        Builder::default().start().await
    }

    /// Settings for a broker that will be started.
    pub fn builder() -> Builder {
        Builder::default()
    }
}
