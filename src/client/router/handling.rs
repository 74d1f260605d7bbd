//! One route of a router: it reads messages, runs their handlers, and publishes dead letters.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use futures_core::Stream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{DEAD_LETTER_REASON, DEAD_LETTER_SUBJECT, Handler, Route};
use crate::client::client::Client;
use crate::client::message::Message;
use crate::client::subscriber::Subscriber;
use crate::driver::Inbox;
use crate::protocol::{HeaderMap, Subject, kept, shown};

/// Whether the routes still read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Handling,
    Draining,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) started: AtomicU64,
    pub(super) handled: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) undelivered: AtomicU64,
    /// Of the routes that have ended.
    pub(super) unread: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) dead_letters: Option<Subject>,
    pub(super) counts: Counts,
    /// Of all routes, ended or not: they count what was dropped.
    pub(super) inboxes: Vec<Arc<Inbox>>,
}

/// The messages of a route. It counts what is unread when the route ends, even if its task is aborted.
struct Messages {
    subscriber: Subscriber,
    shared: Arc<Shared>,
}

impl Messages {
    async fn next(&mut self) -> Option<Message> {
        poll_fn(|cx| Pin::new(&mut self.subscriber).poll_next(cx)).await
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.shared.counts.unread.fetch_add(self.subscriber.end_unread(), Ordering::AcqRel);
    }
}

/// Handles the messages of one route.
pub(super) async fn run(route: Route, subscriber: Subscriber, shared: Arc<Shared>, mut phase: watch::Receiver<Phase>) {
    let mut messages = Messages { subscriber, shared: Arc::clone(&shared) };
    let mut handlers = JoinSet::new();
    let mut draining = false;
    loop {
        let message = tokio::select! {
            message = messages.next(), if handlers.len() < route.concurrency => message,
            // Even if all handlers are busy: the server must not send more to this member of the queue group.
            () = drain_begins(&mut phase), if !draining => {
                draining = true;
                // A client that has ended has ended the subscription as well.
                let _ = messages.subscriber.drain().await;
                continue;
            }
            Some(_) = handlers.join_next() => continue,
        };
        let Some(message) = message else { break };
        shared.counts.started.fetch_add(1, Ordering::AcqRel);
        handlers.spawn(handle(Arc::clone(&route.handler), message, Arc::clone(&shared)));
    }
    while handlers.join_next().await.is_some() {}
}

/// Returns when the routes are to be drained.
async fn drain_begins(phase: &mut watch::Receiver<Phase>) {
    // The sender lives as long as the tasks.
    let _ = phase.wait_for(|phase| *phase == Phase::Draining).await;
}

/// Handles one message, and publishes it as a dead letter if that fails.
async fn handle(handler: Handler, message: Message, shared: Arc<Shared>) {
    let outcome = caught(handler, message.clone()).await;
    let counts = &shared.counts;
    let Err(reason) = outcome else {
        counts.handled.fetch_add(1, Ordering::AcqRel);
        return;
    };
    let reason = kept(reason);
    tracing::warn!(subject = %shown(&message.subject), reason = %shown(&reason), "a handler failed");
    let buried = match shared.dead_letters.clone() {
        Some(subject) => bury(&shared.client, subject, message, &reason).await,
        None => Ok(()),
    };
    counts.failed.fetch_add(1, Ordering::AcqRel);
    if let Err(error) = buried {
        tracing::warn!(%error, "a failed message has no dead letter");
        counts.undelivered.fetch_add(1, Ordering::AcqRel);
    }
}

/// Publishes a dead letter.
async fn bury(client: &Client, to: Subject, message: Message, reason: &str) -> Result<(), crate::Error> {
    let mut headers = message.headers.unwrap_or_default();
    if headers.get(DEAD_LETTER_SUBJECT).is_some() {
        return Err("it is a dead letter itself".into());
    }
    describe(&mut headers, &message.subject, reason);
    Ok(client.publish_with_headers(to, headers, message.payload).await?)
}

fn describe(headers: &mut HeaderMap, subject: &Subject, reason: &str) {
    // A header is one line.
    let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    headers.insert(DEAD_LETTER_REASON, reason.trim());
    headers.insert(DEAD_LETTER_SUBJECT, subject.as_str());
}

/// The handler's result, in which a panic is an error.
async fn caught(handler: Handler, message: Message) -> Result<(), String> {
    let mut handling = catch_unwind(AssertUnwindSafe(|| handler(message))).map_err(panicked)?;
    poll_fn(move |cx| {
        // After a panic it is not polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx)));
        polled.unwrap_or_else(|payload| Poll::Ready(Err(panicked(payload))))
    })
    .await
}

fn panicked(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let reason = match text {
        Some(text) => format!("the handler panicked: {text}"),
        None => "the handler panicked".to_owned(),
    };
    // Its destructor is the user's code, and may panic as well; so may that of the second payload.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    reason
}
