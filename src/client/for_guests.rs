//! What the modules above the client, such as `jetstream`, need besides its public methods. It is their only way in.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::client::Client;
use super::error::{RequestError, RequestErrorKind};
use super::inbox_id;
use super::message::{Message, OutboundMessage};
use super::pending_reply::{PendingReply, failed, is_no_responders};
use super::publish::publish_of;
use super::wait::{self, Deadline};
pub(crate) use crate::driver::Tracker;
use crate::driver::{Handle, Unread, Waiting};
use crate::engine::Status;
use crate::protocol::{HeaderMap, Subject};

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

    /// Sends a request of which nobody needs to read the reply, and waits for room until `deadline`. The tracker's waker is
    /// woken once: when the request has its outcome or is given up, or by [`expire`](Client::expire).
    pub(crate) async fn start_tracked(
        &self,
        message: &OutboundMessage,
        tracker: &Tracker,
        deadline: Option<Instant>,
    ) -> Result<PendingReply, RequestError> {
        let began = wait::now();
        let connects = self.connects_if_resent();
        let requests = &self.shared().requests;
        let ticket = requests.register_tracked(message.subject.as_bytes(), tracker, began);
        // If anything fails from here on, the request is given up.
        let waiting = Waiting::new(self.core.handle.clone(), ticket);
        self.know_replies()?;
        let reply = self.reply_subject(ticket);
        let headers = message.headers.as_ref().and_then(HeaderMap::block);
        let publish = publish_of(message, headers).with_reply(Some(reply.as_bytes()));
        let size = publish.size();
        self.send_request_by(deadline, publish, |number| requests.admitted(ticket, number)).await?;
        let deadline = Deadline::even_if_closed(None);
        Ok(PendingReply { waiting, reply, own: None, size, began, connects, deadline, span: None })
    }

    /// Requests that were tracked since `before` or longer are not tracked any more. Returns since when the oldest of
    /// the others is tracked.
    pub(crate) fn expire(&self, tracker: &Tracker, before: Instant) -> Option<Instant> {
        let mut wakers = Vec::new();
        let oldest = self.shared().requests.expire(tracker, before, &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        oldest
    }

    /// The outcomes of tracked requests that nobody read, since the last call.
    pub(crate) fn take_unread(&self, tracker: &Tracker) -> Vec<Result<Message, RequestError>> {
        let outcome = |unread| match unread {
            Unread::Reply(share) => {
                let reply = Message::from_raw(&share.first(), &Subject::from_static(""));
                if is_no_responders(&reply) { Err(RequestErrorKind::NoResponders.into()) } else { Ok(reply) }
            }
            // Its size matters only if it is over the server's limit, which the error says.
            Unread::Failed(failure) => Err(failed(self.shared(), &failure, 0)),
            Unread::Expired => Err(RequestErrorKind::TimedOut.into()),
        };
        tracker.take_unread().into_iter().map(outcome).collect()
    }

    /// Whether the client has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.shared().completed().is_some()
    }

    /// The present time of the clock that deadlines use, which tests can pause.
    pub(crate) fn clock() -> Instant {
        wait::now()
    }

    /// An alarm that is not set.
    pub(crate) fn alarm(&self) -> Alarm {
        Alarm { handle: Arc::clone(&self.core.handle), deadline: Deadline::even_if_closed(None) }
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

impl PendingReply {
    /// Waits for the reply until `at`; `None` waits for ever.
    pub(crate) fn wait_until(&mut self, at: Option<Instant>) {
        self.deadline.reset(at);
    }

    /// Nobody reads the reply. Unlike one that is dropped, the request is sent all the same. Returns the outcome if it is there;
    /// otherwise it comes to [`take_unread`](Client::take_unread).
    pub(crate) fn detach(mut self) -> Option<Result<Message, RequestError>> {
        match self.poll_outcome(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => {
                self.waiting.detach();
                None
            }
        }
    }
}
