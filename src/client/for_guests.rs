//! What the modules above the client, such as `jetstream`, need besides its public methods. It is their only way in.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::client::Client;
use super::error::{PublishError, SendFault, TryPublishError};
use super::inbox_id;
use super::message::OutboundMessage;
pub(crate) use super::tracked::{Answer, TrackedRequest, Tracker};
use super::wait::{self, Deadline};
use crate::driver::{Handle, Priority, Publish, RequestFailure, Ticket, Waiting};
use crate::engine::{FlushFailure, Status};
use crate::protocol::{Subject, check_publish_subject};

impl Client {
    /// Waits until `at`, or until the client has ended.
    pub(crate) async fn pause_until(&self, at: Instant) {
        let mut status = self.status_watch();
        let _ = wait::until(self.shared(), Some(at), status.wait_for(Status::Closed)).await;
    }

    /// Waits for `future` until `deadline`; `None` if that came first.
    pub(crate) async fn until<F: Future>(&self, deadline: Option<Instant>, future: F) -> Option<F::Output> {
        wait::until(self.shared(), deadline, future).await.ok()
    }

    /// Publishes a message without a payload of which a second copy has no effect: if a lost connection leaves it in doubt, it is
    /// sent again.
    pub(crate) async fn publish_repeatable(&self, subject: &Subject) -> Result<(), PublishError> {
        let (subject, payload) = (subject.as_bytes(), Bytes::new());
        if check_publish_subject(subject).is_ok() && self.shared().publish_repeatable(subject) {
            return Ok(());
        }
        let shared = self.shared();
        self.publish_numbered(Publish::new(subject, &payload), |number| shared.admitted_repeatable(number, subject))
            .await
    }

    /// Whether the client has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.shared().completed().is_some()
    }

    /// The present time of the clock that deadlines use, which tests can pause.
    pub(crate) fn clock() -> Instant {
        wait::now()
    }

    /// Publishes without waiting. If it is accepted, `watch` waits for bad news of this message, and no longer of an earlier one.
    pub(crate) fn try_publish_watched(
        &self,
        message: OutboundMessage,
        watch: &mut Option<Watch>,
    ) -> Result<(), TryPublishError> {
        let requests = &self.shared().requests;
        // It can be refused as soon as it is admitted.
        let ticket = match watch.as_ref().filter(|watch| watch.subject == message.subject) {
            Some(watch) => watch.ticket,
            None => {
                let subject = message.subject.clone();
                let ticket = requests.register_aside(subject.as_bytes());
                *watch = Some(Watch { subject, waiting: Waiting::new(self.core.handle.clone(), ticket), ticket });
                ticket
            }
        };
        self.try_publish_with(Priority::Usual, message, |number| requests.admitted(ticket, number))
    }

    /// Sends a PING after everything that was accepted so far. If the connection is lost, the next one gets it.
    pub(crate) fn ping(&self) -> Pong {
        Pong(self.shared().ping())
    }

    /// An alarm that is not set.
    pub(crate) fn alarm(&self) -> Alarm {
        Alarm { handle: Arc::clone(&self.core.handle), deadline: Deadline::even_if_closed(None) }
    }
}

/// Waits for the answer to a PING.
#[derive(Debug)]
pub(crate) struct Pong(oneshot::Receiver<Result<(), FlushFailure>>);

impl Pong {
    /// Ready when it is there, or when there will be none: whether it is there.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        Pin::new(&mut self.0).poll(cx).map(|outcome| matches!(outcome, Ok(Ok(()))))
    }
}

/// Waits for bad news of the last message that was published with it. If that was not sent yet, dropping this withdraws it.
#[derive(Debug)]
pub(crate) struct Watch {
    subject: Subject,
    waiting: Waiting,
    ticket: Ticket,
}

impl Watch {
    /// Ready when the message was lost before it was sent, or was refused by the server. There is no more news after that.
    pub(crate) fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<SendFault> {
        match self.waiting.poll(cx) {
            Poll::Ready(Err(RequestFailure::Refused(error))) => Poll::Ready(SendFault::Refused { error }),
            Poll::Ready(_) => Poll::Ready(SendFault::Dropped),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Wakes whoever polls it at a time that can be changed.
#[derive(Debug)]
pub(crate) struct Alarm {
    handle: Arc<Handle>,
    deadline: Deadline,
}

impl Alarm {
    /// Sets the time; `None`: never.
    pub(crate) fn set(&mut self, at: Option<Instant>) {
        self.deadline.reset(at);
    }

    /// Ready once the time has come, until another one is set.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.deadline.poll(&self.handle.shared, cx)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.deadline.over(&self.handle.shared);
    }
}

/// A name that nobody else has: letters and digits.
pub(crate) fn unique_name() -> String {
    inbox_id::new()
}
