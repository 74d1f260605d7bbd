//! Waits for a connection.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use crate::Client;
use crate::connection::Status;

/// Wakes what depends on a connection while there is none: nothing else does when there is one again.
#[derive(Default)]
pub(in crate::jetstream) struct Connecting {
    /// Only while there is no connection.
    waiting: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
}

impl Connecting {
    /// Ready when there is a connection, with the time since when.
    pub(in crate::jetstream) fn poll(&mut self, client: &Client, cx: &mut Context<'_>) -> Poll<Instant> {
        if let Some(since) = client.connected_since() {
            self.waiting = None;
            return Poll::Ready(since);
        }
        let waiting = self.waiting.get_or_insert_with(|| {
            let mut status = client.status_watch();
            Box::pin(async move { status.wait_for(Status::Connected).await })
        });
        let connected = ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        // If that is over already, the next poll waits for the next connection. If the client has ended, subscriptions have, too.
        match client.connected_since() {
            Some(since) => Poll::Ready(since),
            None => {
                if connected {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    }
}

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").field("waits", &self.waiting.is_some()).finish()
    }
}
