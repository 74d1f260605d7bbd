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

/// A connection to NATS that survives the loss of its servers.
///
/// Clones share one connection. It ends when the last clone, [`Subscriber`](crate::Subscriber) and pending request is
/// dropped; if a server is connected, accepted messages are sent first, for up to a second. Every call returns within
/// its own deadline, in every state.
///
/// While no server is connected, messages are buffered up to
/// [`reconnect_buffer_size`](crate::ConnectOptions::reconnect_buffer_size). They are sent, in order and after the
/// subscriptions, when a server is connected again. Losing a connection never loses a message that had not been
/// written completely. A message that was written and that no PONG has confirmed is *in doubt*: the server may or may
/// not have processed it. It is counted in [`stats`](Client::stats).
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

    /// Waits until the server has processed everything that this client and its clones have published so far.
    ///
    /// Ok is about messages that were sent. Messages that were dropped before that (by the overflow policy, by the
    /// age limit, or because the next server could not accept them) or that the server refused are reported by
    /// [`ConnectionEvent::Lost`](crate::connection::ConnectionEvent::Lost) and counted by [`stats`](Client::stats),
    /// and do not make a flush fail. To know about a single message, use
    /// [`publish_confirmed`](Client::publish_confirmed).
    ///
    /// This is a round trip: Ok only after a PONG that follows all of these messages, on the connection that sent
    /// them. It does not mean that a subscriber has received anything. While disconnected it waits for a connection,
    /// up to [`flush_timeout`](crate::ConnectOptions::flush_timeout) (10 s).
    ///
    /// # Errors
    ///
    /// [`FlushErrorKind::FlushError`] at the deadline, and if a lost connection has left messages in doubt. The
    /// source is then a [`FlushFailure`](crate::client::FlushFailure) with their number, which each clone reports
    /// once; the next flush can be Ok again. [`FlushErrorKind::SendError`] if the client is closed or has given up.
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

    /// [`flush`](Client::flush) with its own deadline.
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

    /// Measures a round trip to the server, with the PING and PONG of a new [`flush`](Client::flush).
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

    /// Begins to shut the client down gracefully, and returns immediately.
    ///
    /// Subscribing is refused from now on, and the server is told to end the subscriptions. Received messages are
    /// still delivered, and consumers can still publish their answers. When every subscriber has read its last
    /// message, everything published is sent and confirmed by a PONG, and the connection is closed. After 30 s the
    /// client ends in any case. While disconnected it waits for a connection if messages are buffered.
    /// [`drain_and_close`](Client::drain_and_close) waits for the end and reports.
    ///
    /// Each stream ends when it has been read, so one task can read several of them one after the other; the last one
    /// ends when nothing more can be published. The drain does not wait for a subscriber that has nothing to read. A
    /// subscriber that has taken its last message may be answering it; it has five seconds (or a quarter of the
    /// drain's time, if that is less) to come back.
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

    /// [`drain`](Client::drain), and waits until it is done, for at most `within`.
    ///
    /// # Errors
    ///
    /// If the client is closed already. A drain that could not finish in time is not an error; the report says so.
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

    /// Closes the client. Nothing more is accepted, streams end after the messages that were received, and accepted
    /// messages are sent and confirmed if a server is connected and that takes no longer than a second. No connection
    /// is attempted after that.
    ///
    /// Closing a closed client is Ok. Dropping the last handle does the same in the background.
    ///
    /// # Errors
    ///
    /// If messages were lost or are in doubt, with their numbers. The client is closed in any case.
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

    /// The current state, one of six.
    pub fn status(&self) -> Status {
        *self.shared().watch_status().borrow()
    }

    /// Returns a watch that waits for changes of the state. It does not keep the connection alive.
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

    /// The current state, as one of async-nats's three.
    pub fn connection_state(&self) -> State {
        let shared = self.shared();
        State::of(self.status(), shared.was_connected(), shared.server().is_some())
    }

    /// Returns a stream of everything that happens to the connection from now on, in order. No transition is lost,
    /// however slowly it is read. It does not keep the connection alive.
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

    /// Returns a snapshot of the counters: what became of every message that was ever accepted, and what crossed the
    /// socket.
    pub fn stats(&self) -> Stats {
        Stats::of(self.shared())
    }

    /// The counters of async-nats, kept current.
    pub fn statistics(&self) -> Arc<Statistics> {
        self.shared().statistics()
    }

    /// `host:port` of the connected server.
    pub fn connected_server(&self) -> Option<String> {
        self.shared().server()
    }

    /// The server's latest INFO, with every field that servers of version 2.15 send. `None` before the first one.
    pub fn info(&self) -> Option<Arc<Info>> {
        self.shared().info()
    }

    /// The server's latest INFO, with async-nats's fields; all of them are empty before the first one.
    pub fn server_info(&self) -> ServerInfo {
        self.try_server_info().unwrap_or_default()
    }

    /// The server's latest INFO, with async-nats's fields. `None` before the first one.
    pub fn try_server_info(&self) -> Option<ServerInfo> {
        self.shared().info().map(|info| ServerInfo::from(&*info))
    }

    /// The largest message that the server accepts, headers and payload together, in bytes. 1 MiB before the first
    /// INFO; updated by every INFO.
    pub fn max_payload(&self) -> usize {
        self.shared().max_payload()
    }

    /// Whether the server's version is at least this. `false` before the first INFO, and if the version cannot be
    /// parsed.
    pub fn is_server_compatible(&self, major: i64, minor: i64, patch: i64) -> bool {
        let Some(info) = self.shared().info() else { return false };
        let mut parts = info.version.split(['.', '-', '+']).map(|part| part.parse::<i64>().ok());
        let mut part = || parts.next().flatten();
        match (part(), part(), part()) {
            (Some(a), Some(b), Some(c)) => (a, b, c) >= (major, minor, patch),
            _ => false,
        }
    }

    /// How long a request waits unless it sets its own timeout; `None` means without a limit.
    pub fn timeout(&self) -> Option<Duration> {
        self.core.settings.request_timeout
    }

    /// Leaves the current server and connects again, without waiting for any backoff. Also revives a client that has
    /// given up. Buffered messages and subscriptions are kept.
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

    /// Replaces the list of servers. The current connection stays; the next attempt uses the new list, during an
    /// outage too. Failures and delays of servers that are in both lists are remembered.
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

    /// The current list of servers, including the ones that the cluster announced.
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

/// Watches the end of a client, and sums up what was lost.
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
