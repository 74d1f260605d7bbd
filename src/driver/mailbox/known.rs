//! The state of a client that handles can read without asking the task.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Inner, Shared};
use crate::driver::listeners::{EventFilter, Events};
use crate::driver::statistics::Statistics;
use crate::driver::timer::Timer;
use crate::engine::{Cause, EndReason, Ledger, Status};
use crate::protocol::Info;

/// Shown until a server announces another value (the server's `MAX_PAYLOAD_SIZE`).
const DEFAULT_MAX_PAYLOAD: usize = 1024 * 1024;

impl Shared {
    /// The state of every accepted message, and the pending bytes.
    pub(crate) fn ledger(&self) -> (Ledger, usize) {
        let inner = self.inner();
        (inner.ledger_now(), inner.outbox.pending())
    }

    /// Bytes that may be buffered while no server is connected.
    #[cfg(feature = "metrics")]
    pub(crate) fn buffer_limit(&self) -> usize {
        self.inner().outbox.cap()
    }

    /// Messages that were received but not read when the client ended.
    pub(crate) fn undelivered(&self) -> u64 {
        self.inner().undelivered
    }

    /// Whether there ever was a connection.
    pub(crate) fn was_connected(&self) -> bool {
        self.connects() > 0
    }

    /// The number of connections so far.
    pub(crate) fn connects(&self) -> u64 {
        self.statistics.connects.load(portable_atomic::Ordering::Relaxed)
    }

    /// The runtime that drives the connection.
    pub(crate) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.runtime
    }

    /// A timer, to be polled with [`poll_timer`](Shared::poll_timer).
    pub(crate) fn timer(&self, at: Instant) -> Timer {
        self.timers.timer(at, &self.runtime)
    }

    /// Takes a timer back that is not needed any more.
    pub(crate) fn keep_timer(&self, timer: Timer) {
        self.timers.keep(timer, &self.runtime);
    }

    pub(crate) fn poll_timer(&self, timer: &mut Timer, cx: &mut Context<'_>) -> Poll<()> {
        timer.poll(&self.runtime, cx)
    }

    pub(crate) fn info(&self) -> Option<Arc<Info>> {
        self.inner().info.clone()
    }

    pub(crate) fn max_payload(&self) -> usize {
        self.inner().info.as_ref().map_or(DEFAULT_MAX_PAYLOAD, |info| info.max_payload())
    }

    pub(crate) fn server(&self) -> Option<String> {
        self.inner().server.clone()
    }

    /// Since when the client has been connected to its present server; `None` while it is not connected.
    pub(crate) fn connected_since(&self) -> Option<Instant> {
        self.inner().connected_since
    }

    pub(crate) fn last_error(&self) -> Option<Cause> {
        self.inner().last_error.clone()
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.inner().round_trip
    }

    /// After the end: whether everything was completed.
    pub(crate) fn completed(&self) -> Option<bool> {
        self.inner().completed
    }

    /// The ledger before the runtime ended, if it ended first.
    pub(crate) fn before_the_end(&self) -> Option<Ledger> {
        self.inner().before_the_end
    }

    /// Why the client has ended, if it has.
    pub(crate) fn ended(&self) -> Option<EndReason> {
        let inner = self.inner();
        inner.completed.map(|_| inner.closed_reason.clone().unwrap_or(EndReason::Closed))
    }

    pub(crate) fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(crate) fn events(&self, filter: EventFilter) -> Events {
        self.listeners.listen(filter, self.completed().is_some())
    }

    /// Begins the span of the first connection.
    pub(crate) fn begin_connect_span(&self) {
        self.listeners.spans.connect();
    }

    /// The counters, with the number of accepted messages brought up to date.
    pub(crate) fn statistics(&self) -> Arc<Statistics> {
        self.count_accepted(&self.inner());
        self.statistics.clone()
    }

    /// Messages ever accepted, even if they were withdrawn: it never falls.
    #[cfg(feature = "metrics")]
    pub(crate) fn ever_accepted(&self) -> u64 {
        self.inner().outbox.ever_accepted()
    }

    /// Updates the number of accepted messages in the counters. The task does this at each exchange, so that counters
    /// that were obtained once stay current without any cost per message. Under the lock, so that an older number does
    /// not replace a newer one.
    pub(super) fn count_accepted(&self, inner: &Inner) {
        self.statistics.out_messages.store(inner.outbox.accepted(), portable_atomic::Ordering::Relaxed);
    }
}
