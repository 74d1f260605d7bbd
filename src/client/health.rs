//! Health: a snapshot without waiting, a check that asks the server, and the log of state changes.

use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

use super::client::Client;
use super::connection::{Stats, Status};
use super::wait;
use crate::driver::{Command, StateChange, TopologyChange};
use crate::protocol::shown;

/// How the connection is and was, without asking anybody: see [`Client::health_snapshot`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HealthSnapshot {
    /// Whether a server is connected, while draining too.
    pub connected: bool,
    /// The state, of six.
    pub status: Status,
    /// `host:port` of the server that is connected.
    pub server: Option<String>,
    /// The name of the cluster that the last server belonged to.
    pub cluster: Option<String>,
    /// Attempts since the last connection, the running one included. Zero while connected.
    pub reconnect_attempts: u64,
    /// When a connection was made last, by the wall clock.
    pub last_connected_at: Option<SystemTime>,
    /// When a connection was lost last, by the wall clock.
    pub last_disconnected_at: Option<SystemTime>,
    /// What went wrong last: a failed attempt, a loss, an error of the server, or a failed check.
    pub last_error: Option<String>,
}

/// What a check found: see [`Client::health`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// Whether the server has answered in time.
    pub healthy: bool,
    /// Why not.
    pub error: Option<String>,
    /// How long the answer took.
    pub round_trip: Option<Duration>,
    /// The state behind the check.
    pub snapshot: HealthSnapshot,
    /// Messages and bytes, in and out, and where they are.
    pub stats: Stats,
}

/// How long [`Client::health`] waits for the server.
const CHECK_WITHIN: Duration = Duration::from_secs(5);

impl Client {
    /// How the connection is and was. It asks nobody and costs little; it can be called in every state, also behind
    /// the end.
    ///
    /// ```no_run
    /// # fn example(client: nats_lifeline::Client) {
    /// let health = client.health_snapshot();
    /// if !health.connected {
    ///     eprintln!("{} after {} attempts: {:?}", health.status, health.reconnect_attempts, health.last_error);
    /// }
    /// # }
    /// ```
    pub fn health_snapshot(&self) -> HealthSnapshot {
        let shared = self.shared();
        let known = shared.record.known();
        let server = shared.server();
        HealthSnapshot {
            connected: server.is_some(),
            status: self.status(),
            server,
            cluster: shared.info().and_then(|info| info.cluster.as_deref().map(|name| shown(name).to_string())),
            reconnect_attempts: known.attempts,
            last_connected_at: known.last_connected_at,
            last_disconnected_at: known.last_disconnected_at,
            last_error: known.last_error,
        }
    }

    /// Asks the server whether it is there: a round trip, of up to five seconds. While no server is connected it answers
    /// at once. For a probe of Kubernetes and the like: `healthy` is 200, anything else 503.
    ///
    /// A failed check is remembered as `last_error`. Messages in doubt make no check fail, and stay to be told by
    /// [`flush`](Client::flush).
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) {
    /// let health = client.health().await;
    /// let code = if health.healthy { 200 } else { 503 };
    /// # }
    /// ```
    pub async fn health(&self) -> Health {
        self.health_within(CHECK_WITHIN).await
    }

    /// [`health`](Client::health) with a deadline of its own.
    pub async fn health_within(&self, timeout: Duration) -> Health {
        let checked = self.check_health(timeout).await;
        if let Err(error) = &checked {
            self.shared().record.note_error(error);
        }
        Health {
            healthy: checked.is_ok(),
            round_trip: checked.as_ref().ok().copied(),
            snapshot: self.health_snapshot(),
            stats: self.stats(),
            error: checked.err(),
        }
    }

    async fn check_health(&self, timeout: Duration) -> Result<Duration, String> {
        let shared = self.shared();
        if shared.server().is_none() {
            let why = shared.record.known().last_error.filter(|error| !error.starts_with(NOT_CONNECTED));
            return Err(why.map_or_else(|| NOT_CONNECTED.to_owned(), |why| format!("{NOT_CONNECTED}: {why}")));
        }
        let (done, outcome) = oneshot::channel();
        let began = wait::now();
        // What is in doubt was seen already, whatever it is: the check must not take it from a flush.
        let checked = async {
            wait::turn(&self.core.handle, false).await;
            shared.command(Command::Flush { seen: u64::MAX, done });
            outcome.await
        };
        match wait::until(shared, wait::deadline(Some(timeout)), checked).await {
            Ok(Ok(Ok(()))) => Ok(wait::now().saturating_duration_since(began)),
            Ok(Ok(Err(failure))) => Err(failure.to_string()),
            Ok(Err(_)) => Err("the client is closed".to_owned()),
            Err(wait::Elapsed) => Err(format!("no PONG within {timeout:?}")),
        }
    }

    /// The last 128 changes of the state, oldest first, with times and reasons: for a support ticket. Attempts that fail
    /// in between only count. It can be read in every state, also behind the end.
    ///
    /// ```no_run
    /// # fn example(client: nats_lifeline::Client) {
    /// for change in client.recovery_log() {
    ///     // 2025-02-28T23:59:59.123Z reconnecting a:4222: closed by the server; 0 in doubt, 12 held
    ///     println!("{change}");
    /// }
    /// # }
    /// ```
    pub fn recovery_log(&self) -> Vec<StateChange> {
        self.shared().record.changes()
    }

    /// The last 128 changes of the server pool, oldest first, with times: what the cluster has told of servers that came and
    /// went, and which were taken out for what they did. What [`set_server_pool`](crate::Client::set_server_pool) changes is not
    /// among them. It can be read in every state, also behind the end.
    ///
    /// ```no_run
    /// # fn example(client: nats_lifeline::Client) {
    /// for change in client.topology_log() {
    ///     // 2025-02-28T23:59:59.123Z +c:4222 -a:4222
    ///     println!("{change}");
    /// }
    /// # }
    /// ```
    pub fn topology_log(&self) -> Vec<TopologyChange> {
        self.shared().record.topology()
    }
}

const NOT_CONNECTED: &str = "not connected to NATS";
