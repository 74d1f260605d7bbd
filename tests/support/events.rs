//! The events that async-nats's callback received, in order.

use std::{
    future::{Ready, ready},
    sync::{Arc, Mutex},
};

use nats_lifeline::Event;

use super::{SOON, within};

/// Pass `log.callback()` to `ConnectOptions::event_callback`, and query the log afterwards.
#[derive(Clone, Default)]
pub(crate) struct CallbackLog {
    events: Arc<Mutex<Vec<Event>>>,
    news: Arc<tokio::sync::Notify>,
}

impl CallbackLog {
    pub(crate) fn new() -> CallbackLog {
        CallbackLog::default()
    }

    pub(crate) fn callback(&self) -> impl Fn(Event) -> Ready<()> + Send + Sync + 'static {
        let log = self.clone();
        move |event| {
            log.events.lock().unwrap().push(event);
            log.news.notify_waiters();
            ready(())
        }
    }

    pub(crate) fn all(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.lock().unwrap().iter().filter(|event| wanted(event)).count()
    }

    /// Returns when the events so far satisfy the condition.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&[Event]) -> bool) -> impl Future<Output = ()> {
        within(what, SOON * 2, async move {
            loop {
                let notified = self.news.notified();
                if holds(&self.events.lock().unwrap()) {
                    return;
                }
                notified.await;
            }
        })
    }

    /// Returns when that event has occurred `times` times in all.
    #[track_caller]
    pub(crate) fn times(&self, wanted: Event, times: usize) -> impl Future<Output = ()> {
        self.until("the event", move |events| events.iter().filter(|event| **event == wanted).count() >= times)
    }
}
