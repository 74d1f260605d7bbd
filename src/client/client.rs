//! The client: a thin handle. Cloning it costs a reference count.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use super::connection::{Events, State, Stats, StatusWatch};
use super::error::{
    CloseError, DrainError, DrainReport, FlushError, FlushErrorKind, ReconnectError, ServerPoolError,
    ServerPoolErrorKind, SetServerPoolError, SetServerPoolErrorKind,
};
use super::options::Settings;
use super::server::Server;
use super::wait;
use crate::driver::{Command, Handle, Hears, Room, Shared, Statistics};
use crate::engine::{EndReason, FlushFailure, Status};
use crate::protocol::{Info, ServerAddr, ServerInfo, ToServerAddrs};

/// A connection to NATS that survives its servers.
///
/// Clones share one connection. It ends when the last clone, [`Subscriber`](crate::Subscriber) and request is dropped: what was accepted
/// is then sent, if a server is connected, within a second. Every call answers within a deadline of its
/// own, in every state.
///
/// While no server is connected, messages are held up to
/// [`reconnect_buffer_size`](crate::ConnectOptions::reconnect_buffer_size) and sent, in order, behind the
/// subscriptions, as soon as one is. Nothing that was still ours is lost by a lost connection; what the transport had
/// taken and no PONG had covered is *in doubt*, and counted: see [`stats`](Client::stats).
///
/// ```no_run
/// # async fn example() -> Result<(), nats_lifeline::Error> {
/// let client = nats_lifeline::connect("localhost").await?;
/// client.publish("orders.new", "four wheels".into()).await?;
/// client.flush().await?; // Ok: the server has processed it
/// # Ok(())
/// # }
/// ```
pub struct Client {
    pub(super) core: Arc<Core>,
    /// The in-doubt total that this handle has reported (D12).
    reported: AtomicU64,
    /// Where this handle waits for room as a `Sink`.
    pub(super) room: Option<Room>,
}

/// What clones share.
pub(super) struct Core {
    pub(super) handle: Arc<Handle>,
    pub(super) settings: Settings,
    /// `_INBOX.<id>.`: replies to requests come to this and a token.
    pub(super) reply_prefix: String,
}

/// How long [`Client::drain`] may take in the background.
const DRAIN_WITHIN: Duration = Duration::from_secs(30);

impl Clone for Client {
    /// A clone starts with what its parent has reported as in doubt.
    fn clone(&self) -> Self {
        Client { core: self.core.clone(), reported: AtomicU64::new(self.reported.load(Ordering::Relaxed)), room: None }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("status", &self.status())
            .field("server", &self.shared().server())
            .finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(handle: Arc<Handle>, settings: Settings) -> Client {
        let reply_prefix = format!("{}.{}.", settings.inbox_prefix, super::inbox_id::new());
        Client { core: Arc::new(Core { handle, settings, reply_prefix }), reported: AtomicU64::new(0), room: None }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.core.handle.shared
    }

    // Flush and the end.

    /// Waits until the server has processed everything that this client's clones have published so far.
    ///
    /// It speaks of what was sent: Ok does not say that nothing was lost before that. What the overflow policy dropped, what
    /// became too old, and what the next server could not take never left, and a server may refuse what it gets; it is told by
    /// [`ConnectionEvent::Lost`](crate::connection::ConnectionEvent::Lost), with the messages, and counted by
    /// [`stats`](Client::stats). [`publish_confirmed`](Client::publish_confirmed) says it of a single message.
    ///
    /// It is a round trip: Ok only after a PONG that follows all of it, on the connection that took it. It says
    /// nothing about whether a subscriber has received anything. While disconnected it waits for a connection, up to
    /// [`flush_timeout`](crate::ConnectOptions::flush_timeout) (10 s).
    ///
    /// # Errors
    ///
    /// [`FlushErrorKind::FlushError`] at the deadline, and if messages are in doubt since a connection was lost; the
    /// source, a [`FlushFailure`](crate::client::FlushFailure), then says how many, once for each clone: the next flush can be Ok again.
    /// [`FlushErrorKind::SendError`] when the client is closed or has given up.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// client.publish("orders.new", "four wheels".into()).await?;
    /// client.flush().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn flush(&self) -> Result<(), FlushError> {
        self.flush_timeout(self.core.settings.flush_timeout).await
    }

    /// [`flush`](Client::flush) with a deadline of its own.
    ///
    /// # Errors
    ///
    /// As `flush`.
    pub async fn flush_timeout(&self, timeout: Duration) -> Result<(), FlushError> {
        let (done, outcome) = oneshot::channel();
        let seen = self.reported.load(Ordering::Relaxed);
        let flushed = async {
            wait::turn(&self.core.handle, false).await;
            self.shared().command(Command::Flush { seen, done });
            outcome.await
        };
        match wait::until(self.shared(), wait::deadline(Some(timeout)), flushed).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(FlushFailure::InDoubt(count)))) => {
                self.reported.fetch_max(seen + count, Ordering::Relaxed);
                Err(FlushError::with_source(FlushErrorKind::FlushError, FlushFailure::InDoubt(count)))
            }
            Ok(Ok(Err(ended))) => Err(FlushError::with_source(FlushErrorKind::SendError, ended)),
            Ok(Err(_)) => Err(FlushError::with_source(FlushErrorKind::SendError, "the client is closed")),
            Err(wait::Elapsed) => {
                Err(FlushError::with_source(FlushErrorKind::FlushError, format!("no PONG within {timeout:?}")))
            }
        }
    }

    /// The time of a round trip to the server: that of a fresh [`flush`](Client::flush)'s PING and PONG.
    ///
    /// # Errors
    ///
    /// As `flush`.
    pub async fn rtt(&self) -> Result<Duration, FlushError> {
        self.flush().await?;
        self.shared()
            .round_trip()
            .ok_or_else(|| FlushError::with_source(FlushErrorKind::FlushError, "the connection was lost meanwhile"))
    }

    /// Begins to end the client in order, and returns at once.
    ///
    /// No new subscription is made; subscriptions end at the server; what was received is delivered, and may still be
    /// answered; when every subscriber has read its last message, what was published is sent and confirmed by a
    /// PONG, and the connection is closed. After 30 s it ends anyhow. While disconnected it waits for a connection, if
    /// messages are held. [`drain_and_close`](Client::drain_and_close) waits for the end and reports.
    ///
    /// A stream ends when it has been read, so one task may read several of them one after the other; the last one ends when
    /// nothing more can be published. A subscriber with nothing to read is not waited for. One that has taken its last message
    /// may be answering it, and has five seconds (or a quarter of the drain's time, if that is less) to come back.
    ///
    /// # Errors
    ///
    /// If the client is closed already.
    pub async fn drain(&self) -> Result<(), DrainError> {
        let mut status = self.shared().watch_status();
        self.begin_drain(DRAIN_WITHIN)?;
        // The sender lives as long as this handle. It has begun when it can be seen.
        let _ = status.wait_for(|status| matches!(status, Status::Draining | Status::Closed)).await;
        Ok(())
    }

    fn begin_drain(&self, within: Duration) -> Result<(), DrainError> {
        let shared = self.shared();
        if shared.completed().is_some() {
            return Err(DrainError::new(EndReason::Closed));
        }
        shared.bar(EndReason::Drained);
        shared.command(Command::Drain { within });
        Ok(())
    }

    /// [`drain`](Client::drain), waiting for its end: at the latest after `within`.
    ///
    /// # Errors
    ///
    /// If the client is closed already. That not everything could be done in time is no error but said by the report.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// let report = client.drain_and_close(std::time::Duration::from_secs(5)).await?;
    /// if !report.completed {
    ///     eprintln!("{} messages were never sent", report.lost.total());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn drain_and_close(&self, within: Duration) -> Result<DrainReport, DrainError> {
        let ending = Ending::new(self.shared());
        self.begin_drain(within)?;
        Ok(ending.report(self.shared()).await)
    }

    /// Closes the client: nothing is accepted any more, streams end behind what was received, and what was accepted is
    /// sent and confirmed if that takes no longer than a second and a server is connected. Nobody dials afterwards.
    ///
    /// Closing a closed client is Ok. Dropping the last handle does the same without telling.
    ///
    /// # Errors
    ///
    /// If messages were lost or are in doubt, with the numbers. The client is closed all the same.
    pub async fn close(&self) -> Result<(), CloseError> {
        let shared = self.shared();
        if shared.completed().is_some() {
            return Ok(());
        }
        let ending = Ending::new(shared);
        shared.bar(EndReason::Closed);
        shared.command(Command::Close);
        let report = ending.report(shared).await;
        let complete = report.completed && report.lost.total() == 0;
        if complete { Ok(()) } else { Err(CloseError::new(report)) }
    }

    // The connection.

    /// The state, of six.
    pub fn status(&self) -> Status {
        *self.shared().watch_status().borrow()
    }

    /// A way to wait for a change of the state. It does not keep the connection alive.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) {
    /// use nats_lifeline::connection::Status;
    ///
    /// let mut status = client.status_watch();
    /// status.wait_for(Status::Connected).await;
    /// # }
    /// ```
    pub fn status_watch(&self) -> StatusWatch {
        StatusWatch::new(self.shared().watch_status())
    }

    /// The state in async-nats's three words.
    pub fn connection_state(&self) -> State {
        let shared = self.shared();
        State::of(self.status(), shared.was_connected(), shared.server().is_some())
    }

    /// What happens to the connection from now on, in order. No transition is lost, however slowly it is read. It does not
    /// keep the connection alive.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) {
    /// use nats_lifeline::connection::ConnectionEvent;
    ///
    /// let mut events = client.events();
    /// while let Some(event) = events.recv().await {
    ///     if let ConnectionEvent::Disconnected { server, cause, in_doubt, .. } = event {
    ///         eprintln!("lost {server}: {cause}; {in_doubt} messages in doubt");
    ///     }
    /// }
    /// # }
    /// ```
    pub fn events(&self) -> Events {
        self.shared().events(Hears::Edges)
    }

    /// Where every message is that was ever accepted, and counters of the connection: a snapshot.
    pub fn stats(&self) -> Stats {
        Stats::of(self.shared())
    }

    /// The counters as async-nats has them, kept current.
    pub fn statistics(&self) -> Arc<Statistics> {
        self.shared().statistics()
    }

    /// `host:port` of the server that is connected.
    pub fn connected_server(&self) -> Option<String> {
        self.shared().server()
    }

    /// The server's latest INFO, with every field that servers of version 2.15 send. `None` before the first.
    pub fn info(&self) -> Option<Arc<Info>> {
        self.shared().info()
    }

    /// The server's latest INFO, with async-nats's fields; all empty before the first.
    pub fn server_info(&self) -> ServerInfo {
        self.try_server_info().unwrap_or_default()
    }

    /// The server's latest INFO, with async-nats's fields. `None` before the first.
    pub fn try_server_info(&self) -> Option<ServerInfo> {
        self.shared().info().map(|info| ServerInfo::from(&*info))
    }

    /// The largest message that the server takes, headers and payload together, in bytes. 1 MiB before the first INFO;
    /// it follows every INFO.
    pub fn max_payload(&self) -> usize {
        self.shared().max_payload()
    }

    /// Whether the server's version is at least this. `false` before the first INFO, and for a version that is no
    /// version.
    pub fn is_server_compatible(&self, major: i64, minor: i64, patch: i64) -> bool {
        let Some(info) = self.shared().info() else { return false };
        let mut parts = info.version.split(['.', '-', '+']).map(|part| part.parse::<i64>().ok());
        let mut part = || parts.next().flatten();
        match (part(), part(), part()) {
            (Some(a), Some(b), Some(c)) => (a, b, c) >= (major, minor, patch),
            _ => false,
        }
    }

    /// How long a request waits if it does not say otherwise; `None`: for ever.
    pub fn timeout(&self) -> Option<Duration> {
        self.core.settings.request_timeout
    }

    /// Leaves the present server for another connection, without waiting for any backoff; takes up again what was given
    /// up. Held messages and subscriptions go along.
    ///
    /// # Errors
    ///
    /// If the client is closed.
    pub async fn force_reconnect(&self) -> Result<(), ReconnectError> {
        let shared = self.shared();
        if let Some(reason) = shared.barred() {
            return Err(ReconnectError::new(reason));
        }
        wait::turn(&self.core.handle, false).await;
        shared.command(Command::ForceReconnect);
        Ok(())
    }

    /// Replaces the servers. The present connection stays; the next attempt uses the new list, also in the middle of an
    /// outage. What is remembered of servers that are in both lists is kept.
    ///
    /// # Errors
    ///
    /// [`EmptyPool`](SetServerPoolErrorKind::EmptyPool), [`InvalidAddress`](SetServerPoolErrorKind::InvalidAddress),
    /// [`MixedSchemes`](SetServerPoolErrorKind::MixedSchemes) (WebSocket and other addresses in one list),
    /// [`Send`](SetServerPoolErrorKind::Send) if the client is closed.
    pub async fn set_server_pool<A: ToServerAddrs>(&self, addrs: A) -> Result<(), SetServerPoolError> {
        let addrs: Vec<ServerAddr> = addrs
            .to_server_addrs()
            .map_err(|error| SetServerPoolError::with_source(SetServerPoolErrorKind::InvalidAddress, error))?
            .collect();
        let Some(first) = addrs.first() else { return Err(SetServerPoolErrorKind::EmptyPool.into()) };
        if addrs.iter().any(|addr| addr.is_websocket() != first.is_websocket()) {
            return Err(SetServerPoolErrorKind::MixedSchemes.into());
        }
        if self.shared().completed().is_some() {
            return Err(SetServerPoolError::with_source(SetServerPoolErrorKind::Send, EndReason::Closed));
        }
        wait::turn(&self.core.handle, false).await;
        self.shared().command(Command::SetPool(addrs));
        Ok(())
    }

    /// The servers as they are known now, those told by the cluster included.
    ///
    /// # Errors
    ///
    /// If the client is closed.
    pub async fn server_pool(&self) -> Result<Vec<Server>, ServerPoolError> {
        let (sender, answer) = oneshot::channel();
        wait::turn(&self.core.handle, false).await;
        self.shared().command(Command::Pool(sender));
        let servers =
            answer.await.map_err(|_| ServerPoolError::with_source(ServerPoolErrorKind::Send, EndReason::Closed))?;
        Ok(servers.into_iter().map(Server::from).collect())
    }
}

/// Watches the end of a client, and sums up what it cost.
struct Ending {
    status: StatusWatch,
    before: Stats,
    began: std::time::Instant,
}

impl Ending {
    fn new(shared: &Shared) -> Ending {
        Ending { status: StatusWatch::new(shared.watch_status()), before: Stats::of(shared), began: wait::now() }
    }

    async fn report(mut self, shared: &Shared) -> DrainReport {
        self.status.wait_for(Status::Closed).await;
        let (before, after) = (self.before, Stats::of(shared));
        DrainReport {
            completed: shared.completed().unwrap_or(false),
            undelivered: shared.undelivered(),
            confirmed: after.confirmed - before.confirmed,
            in_doubt: after.in_doubt - before.in_doubt,
            lost: after.lost.since(&before.lost),
            took: wait::now().saturating_duration_since(self.began),
        }
    }
}
