//! This crate's events, in order.

use std::sync::{Arc, Mutex};

use nats_lifeline::{Client, connection::ConnectionEvent};
use tokio::task::JoinHandle;

use super::{SOON, within};

/// Every event of a client since the timeline was made.
pub(crate) struct Timeline {
    events: Arc<Mutex<Vec<ConnectionEvent>>>,
    news: Arc<tokio::sync::Notify>,
    listening: JoinHandle<()>,
}

impl Timeline {
    pub(crate) fn of(client: &Client) -> Timeline {
        let events = Arc::new(Mutex::new(Vec::new()));
        let news = Arc::new(tokio::sync::Notify::new());
        let mut stream = client.events();
        let (log, bell) = (Arc::clone(&events), Arc::clone(&news));
        let listening = tokio::spawn(async move {
            while let Some(event) = stream.recv().await {
                log.lock().unwrap().push(event);
                bell.notify_waiters();
            }
        });
        Timeline { events, news, listening }
    }

    pub(crate) fn all(&self) -> Vec<ConnectionEvent> {
        self.events.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, wanted: impl Fn(&ConnectionEvent) -> bool) -> usize {
        self.events.lock().unwrap().iter().filter(|event| wanted(event)).count()
    }

    /// Waits for the event number `number` (from 0) that matches.
    #[track_caller]
    pub(crate) fn nth(
        &self,
        what: &str,
        number: usize,
        wanted: impl Fn(&ConnectionEvent) -> bool,
    ) -> impl Future<Output = ConnectionEvent> {
        within(what, SOON * 2, async move {
            loop {
                let notified = self.news.notified();
                let found = self.events.lock().unwrap().iter().filter(|event| wanted(event)).nth(number).cloned();
                match found {
                    Some(event) => return event,
                    None => notified.await,
                }
            }
        })
    }

    /// Waits for the loss number `number`.
    #[track_caller]
    pub(crate) fn disconnected(&self, number: usize) -> impl Future<Output = ConnectionEvent> {
        self.nth("Disconnected", number, |event| matches!(event, ConnectionEvent::Disconnected { .. }))
    }

    /// Waits for the reconnect number `number`.
    #[track_caller]
    pub(crate) fn reconnected(&self, number: usize) -> impl Future<Output = ConnectionEvent> {
        self.nth("Reconnected", number, |event| matches!(event, ConnectionEvent::Reconnected { .. }))
    }

    /// Waits for the end of the events, which is the end of the client.
    pub(crate) async fn ended(self) -> Vec<ConnectionEvent> {
        let Timeline { events, listening, .. } = self;
        within("the events end", SOON, listening).await.expect("listening does not panic");
        let mut events = events.lock().unwrap();
        std::mem::take(&mut *events)
    }
}
