//! The client: a thin handle. Cloning it costs a reference count.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::connection::{Events, State, Stats, StatusWatch};
use super::error::{
    FlushError, FlushErrorKind, NotDriven, ReconnectError, ServerPoolError, ServerPoolErrorKind, SetServerPoolError,
    SetServerPoolErrorKind,
};
use super::options::ConnectOptions;
use super::server::Server;
use super::servers::dialable;
use super::wait;
use crate::driver::{Command, EventFilter, Handle, Room, Shared, Statistics};
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
    /// The total of messages in doubt that this handle has reported (D12).
    reported: AtomicU64,
    /// This handle's wait for room as a `Sink`.
    pub(super) room: Option<Room>,
}

/// What clones share.
pub(super) struct Core {
    pub(super) handle: Arc<Handle>,
    pub(super) settings: ConnectOptions,
    /// `_INBOX.<id>.`: the subject of a reply is this and a token.
    pub(super) reply_prefix: String,
}

impl Clone for Client {
    /// A clone starts with the in-doubt total that its parent has reported.
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
    pub(super) fn new(handle: Arc<Handle>, settings: ConnectOptions) -> Client {
        let reply_prefix = format!("{}.{}.", settings.inbox_prefix, super::inbox_id::new());
        Client { core: Arc::new(Core { handle, settings, reply_prefix }), reported: AtomicU64::new(0), room: None }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.core.handle.shared
    }

    // Flush.

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
            wait::room_for_call(&self.core.handle, false).await;
            self.shared().command(Command::Flush { seen, done });
            outcome.await
        };
        let outcome = wait::until(self.shared(), wait::deadline(Some(timeout)), flushed).await;
        let over = |reason| Err(FlushError::with_source(FlushErrorKind::SendError, FlushFailure::Ended(reason)));
        match (outcome, self.shared().ended()) {
            (Ok(Ok(Ok(()))), _) => Ok(()),
            (Ok(Ok(Err(FlushFailure::InDoubt(count)))), _) => {
                self.reported.fetch_max(seen + count, Ordering::Relaxed);
                Err(FlushError::with_source(FlushErrorKind::FlushError, FlushFailure::InDoubt(count)))
            }
            (Ok(Ok(Err(FlushFailure::Ended(reason)))), _) | (Ok(Err(_)) | Err(wait::Elapsed), Some(reason)) => {
                over(reason)
            }
            (Ok(Err(_)), None) => over(EndReason::Closed),
            (Err(wait::Elapsed), None) => {
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

    /// The current state, as one of async-nats's three. For compatibility; [`status`](Client::status) says more.
    pub fn connection_state(&self) -> State {
        let shared = self.shared();
        State::of(self.status(), shared.was_connected(), shared.server().is_some())
    }

    /// Since when the client has been connected to its present server; `None` while it is not connected. It is a time of
    /// tokio's clock, which tests can pause.
    pub fn connected_since(&self) -> Option<Instant> {
        self.shared().connected_since()
    }

    /// Returns a stream of everything that happens to the connection from now on, in order. No change of state is lost,
    /// however slowly the stream is read. It does not keep the connection alive.
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
        self.shared().events(EventFilter::Edges)
    }

    /// Returns a snapshot of the counters: what became of every message that was ever accepted, and what crossed the
    /// socket.
    pub fn stats(&self) -> Stats {
        Stats::of(self.shared())
    }

    /// The counters of async-nats, kept current. For compatibility; [`stats`](Client::stats) accounts for every
    /// message.
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

    /// The server's latest INFO, with async-nats's fields; all of them are empty before the first one. For
    /// compatibility; [`info`](Client::info) has every field and copies nothing.
    pub fn server_info(&self) -> ServerInfo {
        self.try_server_info().unwrap_or_default()
    }

    /// The server's latest INFO, with async-nats's fields. `None` before the first one. For compatibility, as
    /// [`server_info`](Client::server_info).
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

    /// The timeout of requests that do not set their own; `None` means no limit.
    pub fn timeout(&self) -> Option<Duration> {
        self.core.settings.request_timeout
    }

    /// Leaves the current server and connects again, without waiting for any backoff. Also revives a client that has
    /// given up. Buffered messages and subscriptions are kept.
    ///
    /// # Errors
    ///
    /// If the client is closed, or with [`NotDriven`] as its source.
    pub async fn force_reconnect(&self) -> Result<(), ReconnectError> {
        let shared = self.shared();
        if let Some(reason) = shared.closed_reason() {
            return Err(ReconnectError::new(reason));
        }
        let room = wait::room_for_command(&self.core.handle, self.core.settings.flush_timeout);
        room.await.map_err(ReconnectError::new)?;
        shared.command(Command::ForceReconnect);
        Ok(())
    }

    /// Replaces the list of servers. The current connection stays; the next attempt uses the new list, during an
    /// outage too. Failures and delays of servers that are in both lists are remembered.
    ///
    /// # Errors
    ///
    /// [`EmptyPool`](SetServerPoolErrorKind::EmptyPool);
    /// [`MixedSchemes`](SetServerPoolErrorKind::MixedSchemes) (WebSocket and other addresses in one list);
    /// [`InvalidAddress`](SetServerPoolErrorKind::InvalidAddress), also if all are WebSocket addresses, which cannot be dialled;
    /// [`Send`](SetServerPoolErrorKind::Send) if the client is closed, or with [`NotDriven`] as its source.
    pub async fn set_server_pool<A: ToServerAddrs>(&self, addrs: A) -> Result<(), SetServerPoolError> {
        let invalid = |error| SetServerPoolError::with_source(SetServerPoolErrorKind::InvalidAddress, error);
        let addrs: Vec<ServerAddr> = addrs.to_server_addrs().map_err(invalid)?.collect();
        let Some(first) = addrs.first() else { return Err(SetServerPoolErrorKind::EmptyPool.into()) };
        if addrs.iter().any(|addr| addr.is_websocket() != first.is_websocket()) {
            return Err(SetServerPoolErrorKind::MixedSchemes.into());
        }
        dialable(&addrs).map_err(invalid)?;
        let failed = |source: crate::Error| SetServerPoolError::with_source(SetServerPoolErrorKind::Send, source);
        if let Some(reason) = self.shared().ended() {
            return Err(failed(reason.into()));
        }
        let room = wait::room_for_command(&self.core.handle, self.core.settings.flush_timeout);
        room.await.map_err(|fault| failed(fault.into()))?;
        self.shared().command(Command::SetPool(addrs));
        Ok(())
    }

    /// The current list of servers, including the ones that the cluster announced.
    ///
    /// # Errors
    ///
    /// If the client is closed, or with [`NotDriven`] as its source if there was no answer within
    /// [`flush_timeout`](crate::ConnectOptions::flush_timeout).
    pub async fn server_pool(&self) -> Result<Vec<Server>, ServerPoolError> {
        let (sender, answer) = oneshot::channel();
        let asked = async {
            wait::room_for_call(&self.core.handle, false).await;
            self.shared().command(Command::Pool(sender));
            answer.await
        };
        let within = self.core.settings.flush_timeout;
        let failed = |source: crate::Error| ServerPoolError::with_source(ServerPoolErrorKind::Send, source);
        match wait::until(self.shared(), wait::deadline(Some(within)), asked).await {
            Ok(Ok(servers)) => Ok(servers.into_iter().map(Server::of).collect()),
            outcome => Err(match (self.shared().ended(), outcome) {
                (Some(reason), _) => failed(reason.into()),
                (None, Ok(_)) => failed(EndReason::Closed.into()),
                (None, Err(wait::Elapsed)) => failed(NotDriven { waited: within }.into()),
            }),
        }
    }
}
