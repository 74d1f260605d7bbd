//! The latency of publishing, measured from time to time by a round trip after everything that was published.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::client::wait;
use crate::driver::Shared;
use crate::engine::FlushFailure;

/// Measures when asked to. One round trip at a time, so that a slow server gets no more of them.
#[derive(Debug)]
pub(super) struct Latency {
    interval: Duration,
    /// When the last round trip began.
    began: Option<Instant>,
    pending: Option<RoundTrip>,
}

#[derive(Debug)]
struct RoundTrip {
    began: Instant,
    /// The number of connections when it began.
    connects: u64,
    done: oneshot::Receiver<Result<(), FlushFailure>>,
}

impl Latency {
    pub(super) fn every(interval: Duration) -> Latency {
        Latency { interval, began: None, pending: None }
    }

    /// Begins a round trip, if one is due and a server is connected.
    pub(super) fn begin(&mut self, shared: &Arc<Shared>) {
        let now = wait::now();
        let due = self.began.is_none_or(|began| now.saturating_duration_since(began) >= self.interval);
        if !due || self.pending.is_some() || shared.server().is_none() {
            return;
        }
        self.began = Some(now);
        self.pending = Some(RoundTrip { began: now, connects: shared.connects(), done: shared.ping() });
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// The duration of a finished round trip. One whose connection was lost has none: that time is an outage, which
    /// has a metric of its own.
    pub(super) fn poll(&mut self, shared: &Arc<Shared>, cx: &mut Context<'_>) -> Poll<Duration> {
        let Some(RoundTrip { began, connects, done }) = &mut self.pending else { return Poll::Pending };
        let Poll::Ready(outcome) = Pin::new(done).poll(cx) else { return Poll::Pending };
        let answered = matches!(outcome, Ok(Ok(()))) && shared.connects() == *connects;
        let took = wait::now().saturating_duration_since(*began);
        self.pending = None;
        if answered { Poll::Ready(took) } else { Poll::Pending }
    }
}
