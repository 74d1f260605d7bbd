//! Tracked requests: somebody counts those that have no outcome yet, and nobody needs to read their replies.

use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::asked::{Asked, failed, says_no_responders};
use super::client::Client;
use super::error::{RequestError, RequestErrorKind};
use super::message::OutboundMessage;
use super::publish::publish_of;
use super::wait::Deadline;
pub(crate) use crate::driver::Tracker;
use crate::driver::{OnFull, Publish, Share, TICKET_LEN, Ticket, Unread, Waiting};
use crate::protocol::HeaderMap;

/// The reply to a tracked request.
#[derive(Debug)]
pub(crate) struct Answer(Share);

impl Answer {
    pub(crate) fn payload(&self) -> &[u8] {
        self.0.first().payload_bytes()
    }

    /// The reply, unless the server says that nobody listens.
    fn read(share: Share) -> Option<Answer> {
        let raw = share.first();
        let nobody = raw.header_bytes().is_some_and(|block| says_no_responders(block, raw.payload_bytes()));
        (!nobody).then_some(Answer(share))
    }
}

/// A tracked request that was sent. Dropping it gives up the reply, and a request that was not sent yet is withdrawn.
#[derive(Debug)]
pub(crate) struct TrackedRequest {
    waiting: Waiting,
    asked: Asked,
    deadline: Deadline,
}

impl Client {
    /// Sends a request of which nobody needs to read the reply, if nothing is in the way. `None`: nothing was done; call
    /// [`start_tracked`](Client::start_tracked). `tracker` is asked for only if the request is then tracked.
    #[inline]
    pub(crate) fn start_tracked_now<'a>(
        &self,
        message: &OutboundMessage,
        tracker: impl FnOnce() -> Option<&'a Tracker>,
        now: Instant,
    ) -> Option<TrackedRequest> {
        if !self.shared().knows_replies() {
            return None;
        }
        let (request, reply) = self.track(message, tracker()?, now);
        let publish = request_of(message, reply.as_bytes());
        self.check(&publish).ok()?;
        self.admit(&publish, OnFull::Yield, |number| request.waiting.admitted(number)).ok()?;
        Some(request)
    }

    /// The same, and waits for room until `deadline`. The tracker learns once that the request is over: when it has its outcome or
    /// is given up, or by [`expire`](Client::expire).
    pub(crate) async fn start_tracked(
        &self,
        message: &OutboundMessage,
        tracker: &Tracker,
        deadline: Option<Instant>,
    ) -> Result<TrackedRequest, RequestError> {
        // If anything fails from here on, the request is given up.
        let (request, reply) = self.track(message, tracker, Client::clock());
        self.know_replies()?;
        self.send_request_by(deadline, request_of(message, reply.as_bytes()), |number| {
            request.waiting.admitted(number)
        })
        .await?;
        Ok(request)
    }

    /// Registers a request. Returns it with the subject of its reply.
    #[inline]
    fn track(&self, message: &OutboundMessage, tracker: &Tracker, now: Instant) -> (TrackedRequest, ReplyName) {
        let ticket = self.shared().requests.register_tracked(message.subject.as_bytes(), tracker, now);
        let request = TrackedRequest {
            waiting: Waiting::new(self.core.handle.clone(), ticket),
            asked: Asked { size: request_of(message, &[]).size(), began: now, connects: self.connects_if_resent() },
            deadline: Deadline::even_if_closed(None),
        };
        (request, ReplyName::new(&self.core.reply_prefix, ticket))
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
    pub(crate) fn take_unread(&self, tracker: &Tracker) -> Vec<Result<Answer, RequestError>> {
        let outcome = |unread| match unread {
            Unread::Reply(share) => Answer::read(share).ok_or_else(|| RequestErrorKind::NoResponders.into()),
            // Its size matters only if it is over the server's limit, which the error says.
            Unread::Failed(failure) => Err(failed(self.shared(), &failure, 0)),
            Unread::Expired => Err(RequestErrorKind::TimedOut.into()),
        };
        let unread = tracker.take_unread();
        if unread.is_empty() { Vec::new() } else { unread.into_iter().map(outcome).collect() }
    }
}

/// The subject of a reply: usually short, and not worth an allocation.
enum ReplyName {
    Short { bytes: [u8; SHORT_REPLY], len: usize },
    Long(Vec<u8>),
}

/// With the usual inbox prefix a reply subject has up to 46 bytes.
const SHORT_REPLY: usize = 64;

impl ReplyName {
    fn new(prefix: &str, ticket: Ticket) -> ReplyName {
        let mut token = [0; TICKET_LEN];
        let token = ticket.encode(&mut token);
        let (mut bytes, len) = ([0; SHORT_REPLY], prefix.len() + token.len());
        match bytes.get_mut(..len).and_then(|bytes| bytes.split_at_mut_checked(prefix.len())) {
            Some((left, right)) => {
                left.copy_from_slice(prefix.as_bytes());
                right.copy_from_slice(token);
                ReplyName::Short { bytes, len }
            }
            None => ReplyName::Long([prefix.as_bytes(), token].concat()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            ReplyName::Short { bytes, len } => bytes.get(..*len).unwrap_or_default(),
            ReplyName::Long(bytes) => bytes,
        }
    }
}

/// `message` as a request whose reply goes to `reply`.
fn request_of<'a>(message: &'a OutboundMessage, reply: &'a [u8]) -> Publish<'a> {
    let headers = message.headers.as_ref().and_then(HeaderMap::block);
    publish_of(message, headers).with_reply(Some(reply))
}

impl TrackedRequest {
    /// The outcome, until `deadline`, which is asked for when the outcome is not there yet.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        deadline: impl FnOnce() -> Option<Instant>,
    ) -> Poll<Result<Answer, RequestError>> {
        let outcome = match self.poll_answer(cx) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => {
                if !self.deadline.is_set() {
                    self.deadline.reset(deadline());
                }
                std::task::ready!(self.deadline.poll(self.waiting.shared(), cx));
                Err(self.asked.timed_out(&mut self.waiting))
            }
        };
        self.deadline.over(self.waiting.shared());
        Poll::Ready(outcome)
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, RequestError>> {
        self.waiting.poll(cx).map(|outcome| match outcome {
            Ok(share) => Answer::read(share).ok_or_else(|| self.asked.no_responders(self.waiting.shared())),
            Err(failure) => Err(self.asked.failed(self.waiting.shared(), &failure)),
        })
    }

    /// The outcome, until `deadline`.
    pub(crate) async fn outcome(mut self, deadline: Option<Instant>) -> Result<Answer, RequestError> {
        std::future::poll_fn(|cx| self.poll(cx, || deadline)).await
    }

    /// Nobody reads the reply. Unlike one that is dropped, the request is sent all the same. Returns the outcome if it is there, or
    /// that the request has expired; otherwise it comes to [`take_unread`](Client::take_unread).
    pub(crate) fn detach(mut self) -> Option<Result<Answer, RequestError>> {
        loop {
            if let Poll::Ready(outcome) = self.poll_answer(&mut Context::from_waker(Waker::noop())) {
                return Some(outcome);
            }
            match self.waiting.detach() {
                Some(true) => return None,
                Some(false) => return Some(Err(RequestErrorKind::TimedOut.into())),
                None => {}
            }
        }
    }
}
