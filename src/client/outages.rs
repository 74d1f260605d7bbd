//! Callbacks after long outages.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::driver::Events;
use crate::engine::ConnectionEvent;

/// An outage that has ended and was longer than the threshold of a
/// [`long_outage_callback`](crate::ConnectOptions::long_outage_callback).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LongOutage {
    /// The time from the loss of the connection until the next one was ready.
    pub duration: Duration,
    /// `host:port` of the server that was lost.
    pub previous: Option<String>,
    /// `host:port` of the server that is connected now.
    pub server: String,
    /// The number of outages that `duration` sums up. Usually one; more if the callback is so slow that a thousand
    /// events are waiting for it.
    pub outages: u64,
}

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A callback and its threshold.
#[derive(Clone)]
pub(crate) struct LongOutageCallback {
    threshold: Duration,
    call: Arc<dyn Fn(LongOutage) -> Call + Send + Sync>,
}

impl fmt::Debug for LongOutageCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LongOutageCallback").field("threshold", &self.threshold).finish_non_exhaustive()
    }
}

impl LongOutageCallback {
    pub(crate) fn new<F, Fut>(threshold: Duration, cb: F) -> LongOutageCallback
    where
        F: Fn(LongOutage) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        LongOutageCallback { threshold, call: Arc::new(move |outage| Box::pin(cb(outage))) }
    }
}

/// Calls `callback` for every long outage until the last event. Each call runs in its own task, so that a panic ends
/// only that call.
pub(super) fn run(mut events: Events, callback: LongOutageCallback) {
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            let ConnectionEvent::Reconnected { server, previous, downtime: duration, folded, .. } = event else {
                continue;
            };
            if duration > callback.threshold {
                let call = callback.call.clone();
                let outage = LongOutage { duration, previous, server, outages: folded + 1 };
                // The panic hook has reported a panic; the next outage is delivered all the same.
                let _ = tokio::spawn(async move { call(outage).await }).await;
            }
        }
    });
}
