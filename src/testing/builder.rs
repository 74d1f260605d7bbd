//! What can be set before a broker starts.

use super::broker::Broker;
use super::cluster::{Cluster, Fabric};
use super::node::Node;
use super::session;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What a broker or the brokers of a cluster start with; [`Broker::builder`] makes one.
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
#[derive(Debug, Clone)]
#[must_use = "it does nothing until `start`"]
pub struct Builder {
    settings: Settings,
    port: u16,
}

/// What a broker keeps of its builder.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// What each session is judged by.
    pub(super) session: session::Settings,
    server_name: Option<String>,
    pub(super) max_pending: usize,
    pub(super) max_connections: usize,
    pub(super) second_info: bool,
    pub(super) ping_interval: Duration,
    pub(super) max_pings_out: u32,
    pub(super) auth_timeout: Duration,
    pub(super) write_deadline: Duration,
    pub(super) lame_duck_grace: Duration,
}

impl Settings {
    pub(super) fn server_name(&self, port: u16) -> String {
        let unnamed = || format!("broker-{port}");
        self.server_name.clone().unwrap_or_else(unnamed)
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            settings: Settings {
                session: session::Settings::default(),
                server_name: None,
                max_pending: 64 << 20,
                max_connections: 65_536,
                second_info: true,
                ping_interval: Duration::from_secs(120),
                max_pings_out: 2,
                auth_timeout: Duration::from_secs(2),
                write_deadline: Duration::from_secs(10),
                lame_duck_grace: Duration::from_secs(10),
            },
            port: 0,
        }
    }
}

impl Builder {
    /// Asks clients for a user name and password. May be called several times; then each pair is
    /// accepted, and so is each [token](Self::token).
    pub fn user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.settings.session.credentials.users.push((user.into(), password.into()));
        self
    }

    /// Asks clients for a token. May be called several times; see [`user`](Self::user).
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.settings.session.credentials.tokens.push(token.into());
        self
    }

    /// The largest body that is accepted, headers included, in bytes; INFO says it. Default 1 MiB.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.settings.session.max_payload = bytes;
        self
    }

    /// The longest control line that is accepted, in bytes of its arguments; CONNECT counts, too.
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

    /// How much may wait to be written to one client, in bytes, before the client is cut as a slow
    /// consumer. Default 64 MiB.
    pub fn max_pending(mut self, bytes: usize) -> Self {
        self.settings.max_pending = bytes;
        self
    }

    /// How many connections are accepted at most. Default 65,536.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections;
        self
    }

    /// Does the broker know headers? Default `true`. Without, INFO says so, HPUB closes the
    /// connection, and so does a CONNECT that asks for `no_responders`.
    pub fn headers(mut self, on: bool) -> Self {
        self.settings.session.headers = on;
        self
    }

    /// Are requests that nobody listens to answered with status 503, if the client asked for it?
    /// Default `true`.
    pub fn no_responders(mut self, on: bool) -> Self {
        self.settings.session.no_responders = on;
        self
    }

    /// Is there a second INFO behind the first PONG? Default `true`, as of nats-server 2.15; older
    /// ones have none.
    pub fn second_info(mut self, on: bool) -> Self {
        self.settings.second_info = on;
        self
    }

    /// The name in INFO. Default `broker-` and the port.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.settings.server_name = Some(name.into());
        self
    }

    /// The port on 127.0.0.1. Default 0: one that is free. In a cluster it is that of the first
    /// broker, and the others take the ports that follow, unless it is 0.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// How long a client may be silent before it gets a PING. Default 2 minutes. The first PING
    /// comes after 2.4 seconds, if that is sooner, and whatever the client says.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.settings.ping_interval = interval;
        self
    }

    /// How many PINGs may be unanswered before the connection is closed as stale. Default 2.
    pub fn max_pings_out(mut self, pings: u32) -> Self {
        self.settings.max_pings_out = pings;
        self
    }

    /// How long a client may take for its CONNECT, if credentials are asked for. Default 2 seconds.
    pub fn auth_timeout(mut self, timeout: Duration) -> Self {
        self.settings.auth_timeout = timeout;
        self
    }

    /// How long a client may take nothing of what is written to it before it is cut as a slow
    /// consumer. Default 10 seconds.
    pub fn write_deadline(mut self, deadline: Duration) -> Self {
        self.settings.write_deadline = deadline;
        self
    }

    /// How long connections are left alone in [lame duck mode](Broker::lame_duck). Default 10
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
    /// When the port can't be had; one that is busy is tried for 10 seconds.
    pub async fn start(self) -> io::Result<Broker> {
        let fabric = Arc::new(Fabric::new(None));
        self.start_in(fabric, 0).await
    }

    /// Starts so many brokers that pass messages on to each other and know of each other.
    ///
    /// # Errors
    ///
    /// When a port can't be had.
    pub async fn cluster(self, brokers: usize) -> io::Result<Cluster> {
        Cluster::start(self, brokers).await
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
