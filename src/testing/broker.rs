//! The handle of a test: looking and waiting.

use super::connection::{Close, Connection};
use super::lock;
use super::node::Node;
use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The time limit of the `wait_for_…` methods.
const PATIENCE: Duration = Duration::from_secs(10);

/// A NATS broker inside the process, on a port of 127.0.0.1.
///
/// It speaks to clients as nats-server 2.15 does: wildcards, queue groups, headers, no responders,
/// `max_payload` and the other limits, with the same errors; users, tokens, NKeys and JWTs. It has
/// JetStream if [asked](super::Builder::jetstream), and no TLS, permissions or websockets.
///
/// It can be broken in many ways while it runs, from [`kill`](Self::kill) to
/// [`cut_after_sent`](Self::cut_after_sent). Its tasks run on the tokio runtime that started it.
/// Dropping it stops them and closes its sockets.
///
/// ```
/// use nats_lifeline::testing::Broker;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::TcpStream;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = Broker::start().await?;
/// let mut client = TcpStream::connect(broker.addr()).await?;
/// client
///     .write_all(b"CONNECT {\"verbose\":false}\r\nSUB a.* 1\r\nPUB a.b 2\r\nhi\r\n")
///     .await?;
/// broker.wait_for_subscriptions(1).await?;
///
/// let mut received = String::new();
/// while !received.ends_with("MSG a.b 1 2\r\nhi\r\n") {
///     received.push(client.read_u8().await?.into());
/// }
/// assert!(received.starts_with("INFO {"));
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a broker stops it"]
pub struct Broker {
    pub(super) node: Arc<Node>,
}

impl Broker {
    /// `nats://127.0.0.1:port`, without credentials. A [`restart`](Self::restart) does not change it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.node.addr)
    }

    /// The address that it listens on while it is up.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.node.addr
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.node.addr.port()
    }

    /// Whether it is up. It is down after [`kill`](Self::kill), [`shutdown`](Self::shutdown) and the
    /// end of [`lame_duck`](Self::lame_duck).
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.node.is_up()
    }

    /// The number of clients: open connections whose CONNECT was accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        let connected = |all: &Arc<Connection>| all.connected.load(Ordering::Acquire);
        self.node.connections.list().iter().filter(|all| connected(all)).count()
    }

    /// The number of open connections, including those that have not sent CONNECT yet.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.node.connections.list().len()
    }

    /// The number of connections accepted since the first start, restarts and those closed by
    /// [`close_on_accept`](Self::close_on_accept) included. While it [stalls](Self::stall) it accepts
    /// nothing, although clients can still connect to the port.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.node.shared.counters.accepted.load(Ordering::Relaxed)
    }

    /// The times at which the last 65,536 connections were accepted, oldest first, on tokio's clock.
    #[must_use]
    pub fn accept_times(&self) -> Vec<Instant> {
        let times = lock(&self.node.shared.counters.accept_times);
        times.iter().map(|time| time.into_std()).collect()
    }

    /// Subject and queue group of every subscription of the clients of this broker. Ordered by
    /// client, and by sid within one.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<(String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut found = Vec::new();
        for connection in self.node.connections.list() {
            for subscription in lock(&connection.out).output.subscriptions.iter() {
                let queue = subscription.queue.as_deref().map(text);
                found.push((text(&subscription.subject), queue));
            }
        }
        found
    }

    /// The number of subscriptions of the clients of this broker.
    #[must_use]
    pub fn subscription_count(&self) -> usize {
        let of = |connection: &Arc<Connection>| lock(&connection.out).output.subscriptions.len();
        self.node.connections.list().iter().map(of).sum()
    }

    /// How many messages the clients of this broker have published, over all restarts.
    #[must_use]
    pub fn messages_in(&self) -> u64 {
        self.node.shared.counters.messages_in.load(Ordering::Relaxed)
    }

    /// The number of messages that were written, or are being written, to clients of this broker,
    /// over all restarts.
    #[must_use]
    pub fn messages_out(&self) -> u64 {
        self.node.shared.counters.messages_out.load(Ordering::Relaxed)
    }

    /// Waits until there are at least this many [clients](Self::connections); for 0, until there are none.
    ///
    /// # Errors
    ///
    /// When that has not happened after 10 seconds.
    pub async fn wait_for_connections(&self, clients: usize) -> Result<(), WaitError> {
        let enough = |broker: &Self| enough(broker.connections(), clients);
        self.wait_until(&format!("{clients} connections"), enough).await
    }

    /// Waits until there are at least this many [subscriptions](Self::subscriptions); for 0, until
    /// there are none. Those that a client makes for itself count, such as the one for replies.
    ///
    /// # Errors
    ///
    /// When that has not happened after 10 seconds.
    pub async fn wait_for_subscriptions(&self, subscriptions: usize) -> Result<(), WaitError> {
        let enough = |broker: &Self| enough(broker.subscription_count(), subscriptions);
        self.wait_until(&format!("{subscriptions} subscriptions"), enough).await
    }

    /// Waits until the condition is true. It is checked when a connection or subscription comes or
    /// goes, and every few milliseconds.
    ///
    /// # Errors
    ///
    /// When it is not true after 10 seconds. The error shows `what` was waited for.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = nats_lifeline::testing::Broker::start().await?;
    /// broker.wait_until("no message yet", |broker| broker.messages_in() == 0).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait_until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) -> Result<(), WaitError> {
        // The system's clock, because the condition depends on sockets: a paused tokio clock would
        // jump to the end before the bytes arrive.
        let started = Instant::now();
        loop {
            let mut changed = pin!(self.node.shared.changed.notified());
            changed.as_mut().enable();
            if is_so(self) {
                return Ok(());
            }
            if started.elapsed() >= PATIENCE {
                return Err(WaitError { wanted: what.to_owned(), found: format!("{self:?}") });
            }
            let look_again = Duration::from_millis(5);
            // Woken or not, it is checked again.
            let _ = tokio::time::timeout(look_again, changed).await;
        }
    }
}

fn enough(found: usize, wanted: usize) -> bool {
    if wanted == 0 { found == 0 } else { found >= wanted }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.node.stop(Close::Plain);
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("addr", &self.addr())
            .field("up", &self.is_up())
            .field("connections", &self.connections())
            .field("sockets", &self.sockets())
            .field("accepted", &self.accepted())
            .field("subscriptions", &self.subscription_count())
            .field("messages_in", &self.messages_in())
            .field("messages_out", &self.messages_out())
            .finish()
    }
}

/// The condition of a `wait_for_…` method did not become true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitError {
    wanted: String,
    found: String,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, found } = self;
        write!(f, "no {wanted} after {PATIENCE:?}, but {found}")
    }
}

impl std::error::Error for WaitError {}
