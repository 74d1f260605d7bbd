//! The callback of `ConnectOptions::event_callback`: called for each event of the stream, one after the other.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::event::{Event, compat_events};
use crate::driver::Events;

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A user's callback for events.
#[derive(Clone)]
pub(crate) struct EventCallback(Arc<dyn Fn(Event) -> Call + Send + Sync>);

impl EventCallback {
    pub(super) fn new<F, Fut>(cb: F) -> EventCallback
    where
        F: Fn(Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        EventCallback(Arc::new(move |event| Box::pin(cb(event))))
    }
}

impl fmt::Debug for EventCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventCallback")
    }
}

/// Calls `callback` for every event until the last. Each call runs in its own task, so that a panic ends only that
/// call, and is awaited before the next.
pub(super) fn run(mut events: Events, callback: EventCallback) {
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            for event in compat_events(&event) {
                let EventCallback(call) = callback.clone();
                // The panic hook has reported a panic; the next event is delivered all the same.
                let _ = tokio::spawn(async move { call(event).await }).await;
            }
        }
    });
}
