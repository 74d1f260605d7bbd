//! Health: a snapshot without waiting, a check that asks the server, and the log of state changes.

mod serial;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::sync::watch;

use super::client::Client;
use super::connection::{Stats, Status};
use super::wait;
use crate::driver::{Shared, StateChange, TopologyChange};
use crate::engine::EndReason;
use crate::protocol::shown;

/// The state of the connection, without asking the server: see [`Client::health_snapshot`].
///
/// Serialised as the part `snapshot` of [`Health`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HealthSnapshot {
    /// Whether a server is connected, also while draining.
    pub connected: bool,
    /// The current state, one of six.
    pub status: Status,
    /// `host:port` of the connected server.
    #[serde(serialize_with = "serial::text")]
    pub server: Option<String>,
    /// The name of the last server's cluster.
    #[serde(serialize_with = "serial::text")]
    pub cluster: Option<String>,
    /// Attempts since the last connection, including the current attempt. Zero while connected.
    pub reconnect_attempts: u64,
    /// When the last connection was made, by the wall clock.
    #[serde(serialize_with = "serial::time")]
    pub last_connected_at: Option<SystemTime>,
    /// When the last connection was lost, by the wall clock.
    #[serde(serialize_with = "serial::time")]
    pub last_disconnected_at: Option<SystemTime>,
    /// The last error: a failed attempt, a lost connection, an error of the server, or a failed check.
    #[serde(serialize_with = "serial::text")]
    pub last_error: Option<String>,
}

/// The result of [`Client::health`].
///
/// It can be serialised, for the answer to a probe. Times are in UTC, as in RFC 3339; the round trip is in seconds. Absent
/// values are `null`. Control characters of a server's text are escaped, and no secret appears. A later version may add
/// fields.
///
/// ```json
/// {
///   "healthy": false,
///   "error": "no PONG within 5s",
///   "round_trip_seconds": null,
///   "snapshot": {
///     "connected": true,
///     "status": "connected",
///     "server": "one.example:4222",
///     "cluster": "west",
///     "reconnect_attempts": 0,
///     "last_connected_at": "2025-02-28T23:59:59.123Z",
///     "last_disconnected_at": "2025-02-28T23:59:57.000Z",
///     "last_error": "no PONG within 5s"
///   },
///   "stats": {
///     "accepted": 21,
///     "waiting": 1,
///     "unconfirmed": 2,
///     "confirmed": 3,
///     "in_doubt": 4,
///     "lost": {
///       "overflow": 5,
///       "expired": 6,
///       "too_large": 0,
///       "no_headers": 0,
///       "poison": 0,
///       "refused": 0,
///       "closed": 0
///     },
///     "resent": 7,
///     "refused": 8,
///     "pending_bytes": 9,
///     "in_messages": 10,
///     "out_messages": 21,
///     "in_bytes": 11,
///     "out_bytes": 12,
///     "connects": 14,
///     "reconnects": 13,
///     "disconnects": 13,
///     "errors": 15
///   }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether the server answered in time.
    pub healthy: bool,
    /// The error, if it did not.
    #[serde(serialize_with = "serial::text")]
    pub error: Option<String>,
    /// How long the round trip took. Serialised as `round_trip_seconds`.
    #[serde(rename = "round_trip_seconds", serialize_with = "serial::seconds")]
    pub round_trip: Option<Duration>,
    /// The state after the check.
    pub snapshot: HealthSnapshot,
    /// The counters: messages and bytes, in and out.
    pub stats: Stats,
}

/// How long [`Client::health`] waits for the server.
const CHECK_WITHIN: Duration = Duration::from_secs(5);

impl Client {
    /// Returns the state of the connection without asking the server. Cheap, and possible in every state, also after
    /// the client has ended.
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

    /// Checks the connection with a round trip to the server, of up to five seconds. While no server is connected, and
    /// when the connection is lost, it returns immediately. Made for probes such as those of Kubernetes: answer 200 if `healthy`, 503 otherwise.
    ///
    /// A failed check is remembered as `last_error`. Messages in doubt do not make a check fail, and are still
    /// reported by the next [`flush`](Client::flush).
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

    /// [`health`](Client::health) with its own deadline.
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
        let status = shared.watch_status();
        if shared.server().is_none() {
            return Err(not_connected(shared.record.known().last_error));
        }
        let began = wait::now();
        let checked = async {
            wait::room_for_call(&self.core.handle, false).await;
            let outcome = shared.ping();
            // Unlike a flush, it does not wait for the next connection.
            tokio::select! {
                biased;
                outcome = outcome => Some(outcome),
                () = lost(shared, status) => None,
            }
        };
        match wait::until(shared, wait::deadline(Some(timeout)), checked).await {
            Ok(Some(Ok(Ok(())))) => Ok(wait::now().saturating_duration_since(began)),
            Ok(Some(Ok(Err(failure)))) => Err(failure.to_string()),
            Ok(Some(Err(_))) => Err(shared.ended().unwrap_or(EndReason::Closed).to_string()),
            Ok(None) => Err(not_connected(shared.last_error().map(|cause| cause.to_string()))),
            Err(wait::Elapsed) => Err(format!("no PONG within {timeout:?}")),
        }
    }

    /// The last 128 changes of the state, oldest first, with times and reasons: for support tickets. Failed attempts
    /// in between are only counted. Can be read in every state, also after the client has ended.
    ///
    /// ```no_run
    /// # fn example(client: nats_lifeline::Client) {
    /// for change in client.recovery_log() {
    ///     // 2025-02-28T23:59:59.123Z reconnecting a:4222: closed by the server; 0 in doubt, 12 buffered
    ///     println!("{change}");
    /// }
    /// # }
    /// ```
    pub fn recovery_log(&self) -> Vec<StateChange> {
        self.shared().record.changes()
    }

    /// The last 128 changes of the server pool, oldest first, with times: servers that the cluster announced or
    /// withdrew, and servers that were removed for repeated failures. Changes by
    /// [`set_server_pool`](crate::Client::set_server_pool) are not included. Can be read in every state, also
    /// after the client has ended.
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

/// The error of a check without a connection. `why`: the last error, perhaps of such a check.
fn not_connected(why: Option<String>) -> String {
    match why {
        Some(why) if why.starts_with(NOT_CONNECTED) => why,
        Some(why) => format!("{NOT_CONNECTED}: {why}"),
        None => NOT_CONNECTED.to_owned(),
    }
}

/// Returns when no server is connected. A loss while draining is not noticed: it changes no state.
async fn lost(shared: &Shared, mut status: watch::Receiver<Status>) {
    // The server is published before the state.
    while shared.server().is_some() && status.changed().await.is_ok() {}
}
