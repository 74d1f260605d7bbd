//! Errors and reports of unsubscribing, draining, closing and forced reconnects.

use std::time::Duration;

use crate::engine::{Lost, counted};
use crate::protocol::shown;

/// Unsubscribing or draining a subscription failed, because the client is closed.
///
/// The subscription has ended in any case.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("failed to send unsubscribe")]
pub struct UnsubscribeError(String);

impl UnsubscribeError {
    /// An error with `reason`, which only `Debug` shows.
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        UnsubscribeError(reason.into())
    }
}

/// Draining failed, because the client is closed.
#[derive(Debug, thiserror::Error)]
#[error("failed to send drain: {}", shown(&.0.to_string()))]
pub struct DrainError(#[source] crate::Error);

impl DrainError {
    /// An error with the reason: another error, or text.
    pub(crate) fn new(source: impl Into<crate::Error>) -> Self {
        DrainError(source.into())
    }
}

/// The connection's task did not answer in time, because nothing runs the runtime on which the client connected, or
/// something blocks it. It is the source of errors of calls that wait only for the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the runtime on which the client connected has not run for {:?}", super::refusal::rounded(*waited))]
#[non_exhaustive]
pub struct NotDriven {
    /// For how long the call waited.
    pub waited: Duration,
}

/// A forced reconnect failed, because the client is closed.
#[derive(Debug, thiserror::Error)]
#[error("failed to send reconnect: {}", shown(&.0.to_string()))]
pub struct ReconnectError(#[source] crate::Error);

impl ReconnectError {
    /// An error with the reason: another error, or text.
    pub(crate) fn new(source: impl Into<crate::Error>) -> Self {
        ReconnectError(source.into())
    }
}

/// What happened to all messages when a client was drained or closed.
///
/// Numbers count from the start of the call; earlier losses are in [`Stats`](crate::connection::Stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Whether the client has ended. If not, nothing runs the runtime on which it connected: the client ends when that
    /// runtime runs again, and the other numbers are preliminary.
    pub ended: bool,
    /// Whether everything was finished in time: all subscriptions were read to their end, and every accepted message
    /// was confirmed by a PONG.
    pub completed: bool,
    /// Messages that were received but not read before the end. Their streams still have them, besides up to a batch that a stream had
    /// already taken out to be read.
    pub undelivered: u64,
    /// Published messages that the server has confirmed with a PONG.
    pub confirmed: u64,
    /// Published messages in doubt: they were written and no PONG confirmed them. The server may or may not have
    /// processed them.
    pub in_doubt: u64,
    /// Published messages that were lost, by reason.
    pub lost: Lost,
    /// How long it took.
    pub took: Duration,
}

/// The client is closed, but not every message that it had accepted was confirmed.
///
/// ```
/// use nats_lifeline::client::CloseError;
///
/// fn note(error: &CloseError) {
///     let report = error.report();
///     eprintln!("never sent: {}, in doubt: {}", report.lost.total(), report.in_doubt);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} with {} never sent, {} in doubt and {} unread",
    if .report.ended { "closed" } else { "not closed, since its runtime is not running," },
    counted(.report.lost.total(), "message"), .report.in_doubt, .report.undelivered
)]
pub struct CloseError {
    report: DrainReport,
}

impl CloseError {
    /// An error with the numbers of `report`.
    pub(crate) fn new(report: DrainReport) -> Self {
        CloseError { report }
    }

    /// The numbers.
    pub fn report(&self) -> DrainReport {
        self.report
    }
}
