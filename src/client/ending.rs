//! Draining and closing a client, with an account of its messages.

use std::time::{Duration, Instant};

use super::client::Client;
use super::connection::{Stats, StatusWatch};
use super::error::{CloseError, DrainError, DrainReport, NotDriven};
use super::wait;
use crate::driver::{Command, Shared};
use crate::engine::{EndReason, Status};

/// How long [`Client::drain`] may take in the background.
const DRAIN_WITHIN: Duration = Duration::from_secs(30);

/// Extra wait after the deadline of an end: the connection's task keeps that deadline itself, unless its runtime does
/// not run.
const LAST_TURN: Duration = Duration::from_secs(1);

impl Client {
    /// Begins to shut the client down gracefully, and returns immediately.
    ///
    /// New subscriptions are refused from now on, and the server is asked to end the existing ones. Received messages
    /// are still delivered, and consumers can still publish their answers. When every subscriber has read its last
    /// message, everything published is sent and confirmed by a PONG, and the connection is closed. After 30 s the
    /// client ends in any case. While disconnected, it waits for a connection until then if messages are buffered;
    /// [`close`](Client::close) does not wait. [`drain_and_close`](Client::drain_and_close) waits for the end and reports.
    ///
    /// Each stream ends when it has been read, so one task can read several streams one after the other; the last one
    /// ends when nothing more can be published. The drain does not wait for a subscriber that has nothing to read. A
    /// subscriber that has taken its last message may be answering it; it has five seconds (or a quarter of the
    /// drain's time, if that is less) to ask for the next.
    ///
    /// # Errors
    ///
    /// If the client is already closed. Also, with a [`NotDriven`] as its source, if the drain has not begun within
    /// [`flush_timeout`](crate::ConnectOptions::flush_timeout), because the runtime on which the client connected is
    /// not running; the drain begins when that runtime runs again.
    pub async fn drain(&self) -> Result<(), DrainError> {
        let mut status = self.shared().watch_status();
        self.begin_drain(DRAIN_WITHIN)?;
        // The sender lives as long as this handle. The drain has begun when the status shows it.
        let begun = status.wait_for(|status| matches!(status, Status::Draining | Status::Closed));
        let within = self.core.settings.flush_timeout;
        match wait::until(self.shared(), wait::deadline(Some(within)), begun).await {
            Err(wait::Elapsed) if self.shared().ended().is_none() => Err(DrainError::new(NotDriven { waited: within })),
            _ => Ok(()),
        }
    }

    fn begin_drain(&self, within: Duration) -> Result<(), DrainError> {
        let shared = self.shared();
        if let Some(reason) = shared.ended() {
            return Err(DrainError::new(reason));
        }
        shared.refuse_subscriptions(EndReason::Drained);
        shared.command(Command::Drain { within });
        Ok(())
    }

    /// [`drain`](Client::drain), and waits until it is done, for at most `within`; one second longer if the runtime on
    /// which the client connected is not running.
    ///
    /// # Errors
    ///
    /// If the client is already closed. A drain that does not finish in time is not an error; the report says so.
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
        Ok(ending.report(self.shared(), within).await)
    }

    /// Closes the client. Nothing more is accepted, and streams end after the messages that were received. If a server
    /// is connected, accepted messages are sent and confirmed, for at most one second. No connection is attempted after
    /// that.
    ///
    /// Closing a closed client is Ok, unless it ended because its runtime did, and messages were lost by that. Dropping
    /// the last handle does the same in the background.
    ///
    /// # Errors
    ///
    /// If messages were lost or are in doubt, with their numbers; the client is closed in any case. Also if it has not
    /// [ended](DrainReport::ended) after two seconds, because the runtime on which it connected is not running.
    pub async fn close(&self) -> Result<(), CloseError> {
        let shared = self.shared();
        if shared.ended().is_some() {
            return lost_with_runtime(shared).map_or(Ok(()), |report| Err(CloseError::new(report)));
        }
        let ending = Ending::new(shared);
        shared.refuse_subscriptions(EndReason::Closed);
        shared.command(Command::Close);
        let report = ending.report(shared, self.core.settings.config.close_grace).await;
        let complete = report.completed && report.lost.total() == 0;
        if complete { Ok(()) } else { Err(CloseError::new(report)) }
    }
}

/// The messages lost because the runtime ended before the client was closed. Messages that were not settled then are in
/// doubt.
fn lost_with_runtime(shared: &Shared) -> Option<DrainReport> {
    let before = shared.before_the_end()?;
    let after = Stats::of(shared);
    let report = DrainReport {
        ended: true,
        undelivered: shared.undelivered(),
        in_doubt: after.in_doubt + after.unconfirmed + after.waiting - before.in_doubt,
        lost: after.lost.since(&before.lost),
        ..DrainReport::default()
    };
    (report.in_doubt + report.lost.total() > 0).then_some(report)
}

/// Watches a client end, and counts its lost messages.
struct Ending {
    status: StatusWatch,
    before: Stats,
    began: Instant,
}

impl Ending {
    fn new(shared: &Shared) -> Ending {
        Ending { status: StatusWatch::new(shared.watch_status()), before: Stats::of(shared), began: wait::now() }
    }

    /// The report of an end that the task completes within this time.
    async fn report(mut self, shared: &Shared, within: Duration) -> DrainReport {
        let deadline = wait::deadline(Some(within.saturating_add(LAST_TURN)));
        let closed = wait::until(shared, deadline, self.status.wait_for(Status::Closed)).await;
        let ended = shared.ended().is_some();
        if ended && closed.is_err() {
            // The task is about to publish the state.
            self.status.wait_for(Status::Closed).await;
        }
        let (before, after) = (self.before, Stats::of(shared));
        DrainReport {
            ended,
            completed: shared.completed().unwrap_or(false),
            undelivered: shared.undelivered(),
            confirmed: after.confirmed - before.confirmed,
            in_doubt: after.in_doubt - before.in_doubt,
            lost: after.lost.since(&before.lost),
            took: wait::now().saturating_duration_since(self.began),
        }
    }
}
