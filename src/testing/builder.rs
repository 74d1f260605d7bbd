//! What can be set before a broker starts.

use super::broker::Broker;
use super::cluster::{Cluster, Fabric};
use super::node::Node;
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
#[derive(Clone)]
pub(super) struct Settings {
    users: Vec<(String, String)>,
    tokens: Vec<String>,
    server_name: Option<String>,
    pub(super) max_payload: usize,
    pub(super) max_control_line: usize,
    pub(super) max_pending: usize,
    pub(super) max_connections: usize,
    pub(super) headers: bool,
    pub(super) no_responders: bool,
    pub(super) second_info: bool,
    pub(super) ping_interval: Duration,
    pub(super) max_pings_out: u32,
    pub(super) auth_timeout: Duration,
    pub(super) write_deadline: Duration,
    pub(super) lame_duck_grace: Duration,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Taken apart, so that a new field can't be forgotten.
        let Self {
            users,
            tokens,
            server_name,
            max_payload,
            max_control_line,
            max_pending,
            max_connections,
            headers,
            no_responders,
            second_info,
            ping_interval,
            max_pings_out,
            auth_timeout,
            write_deadline,
            lame_duck_grace,
        } = self;
        f.debug_struct("Settings")
            .field("users", &users.len())
            .field("tokens", &tokens.len())
            .field("server_name", server_name)
            .field("max_payload", max_payload)
            .field("max_control_line", max_control_line)
            .field("max_pending", max_pending)
            .field("max_connections", max_connections)
            .field("headers", headers)
            .field("no_responders", no_responders)
            .field("second_info", second_info)
            .field("ping_interval", ping_interval)
            .field("max_pings_out", max_pings_out)
            .field("auth_timeout", auth_timeout)
            .field("write_deadline", write_deadline)
            .field("lame_duck_grace", lame_duck_grace)
            .finish()
    }
}

impl Settings {
    pub(super) fn auth_required(&self) -> bool {
        !self.users.is_empty() || !self.tokens.is_empty()
    }

    pub(super) fn accepts(&self, login: &super::greeting::Login) -> bool {
        if !self.auth_required() {
            return true;
        }
        let user = self
            .users
            .iter()
            .any(|(user, pass)| login.user.as_ref() == Some(user) && login.pass.as_ref() == Some(pass));
        user || self.tokens.iter().any(|token| login.auth_token.as_ref() == Some(token))
    }

    pub(super) fn server_name(&self, port: u16) -> String {
        let unnamed = || format!("broker-{port}");
        self.server_name.clone().unwrap_or_else(unnamed)
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            settings: Settings {
                users: Vec::new(),
                tokens: Vec::new(),
                server_name: None,
                max_payload: 1 << 20,
                max_control_line: 4096,
                max_pending: 64 << 20,
                max_connections: 65_536,
                headers: true,
                no_responders: true,
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
        self.settings.users.push((user.into(), password.into()));
        self
    }

    /// Asks clients for a token. May be called several times; see [`user`](Self::user).
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.settings.tokens.push(token.into());
        self
    }

    /// The largest body that is accepted, headers included, in bytes; INFO says it. Default 1 MiB.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.settings.max_payload = bytes;
        self
    }

    /// The longest control line that is accepted, in bytes of its arguments; CONNECT counts, too.
    /// Default 4,096.
    pub fn max_control_line(mut self, bytes: usize) -> Self {
        self.settings.max_control_line = bytes;
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
        self.settings.headers = on;
        self
    }

    /// Are requests that nobody listens to answered with status 503, if the client asked for it?
    /// Default `true`.
    pub fn no_responders(mut self, on: bool) -> Self {
        self.settings.no_responders = on;
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
