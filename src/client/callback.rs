//! The callback of `ConnectOptions::event_callback`: fed from the event stream, one call after the other.

use super::event::compat_events;
use super::options::EventCallback;
use crate::driver::Events;

/// Calls `callback` for every event until the last. Each call is a task of its own, so that one that panics takes
/// nothing with it, and is awaited before the next.
pub(super) fn run(mut events: Events, callback: EventCallback) {
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            for event in compat_events(&event) {
                let callback = callback.clone();
                // A panic was reported by the panic hook; the next event is not its business.
                let _ = tokio::spawn(async move { callback(event).await }).await;
            }
        }
    });
}
