//! Requests with many replies, as ADR-47 of NATS describes them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;

use super::client::Client;
use super::error::{RequestError, RequestErrorKind};
use super::message::Message;
use super::pending_reply::is_no_responders;
use super::request_span::RequestSpan;
use super::wait::{self, Deadline};
use crate::driver::{ManyLimits, Publish, Waiting};
use crate::protocol::{HeaderMap, Subject, ToSubject};

/// When a request with many replies ends: at the first of these limits.
///
/// ```
/// use nats_lifeline::options::RepliesOptions;
/// use std::time::Duration;
///
/// // At most ten, and no longer than 200 ms after the last one.
/// let options = RepliesOptions::new().max_replies(10).stall(Duration::from_millis(200));
/// # drop(options);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until a request is made with them"]
pub struct RepliesOptions {
    timeout: Option<Duration>,
    stall: Option<Duration>,
    max_replies: Option<u64>,
    sentinel: bool,
    keep_waiting: bool,
    headers: Option<HeaderMap>,
}

impl RepliesOptions {
    /// All replies that come within the client's [`request_timeout`](crate::ConnectOptions::request_timeout).
    pub fn new() -> RepliesOptions {
        RepliesOptions::default()
    }

    /// Limits the whole request: waiting for room, an outage, and all replies. Default: the client's
    /// [`request_timeout`](crate::ConnectOptions::request_timeout) (10 s).
    pub fn timeout(mut self, timeout: Duration) -> RepliesOptions {
        self.timeout = Some(timeout);
        self
    }

    /// Ends it when this much time has passed since the last reply was read; the first reply may take the whole
    /// timeout. Default: no such limit.
    pub fn stall(mut self, gap: Duration) -> RepliesOptions {
        self.stall = Some(gap);
        self
    }

    /// Ends it after this many replies; 0 is none at all. Default: no such limit.
    pub fn max_replies(mut self, count: u64) -> RepliesOptions {
        self.max_replies = Some(count);
        self
    }

    /// Ends it at a reply with an empty payload, which is not returned. Default: empty replies are replies like
    /// others.
    pub fn sentinel(mut self) -> RepliesOptions {
        self.sentinel = true;
        self
    }

    /// Keeps waiting when the connection that sent the request is lost. Default: the stream ends with
    /// [`ConnectionLost`](crate::client::ConnectionLost), since replies may be missing.
    pub fn keep_waiting(mut self) -> RepliesOptions {
        self.keep_waiting = true;
        self
    }

    /// Adds headers to the request. Default: none.
    pub fn headers(mut self, headers: HeaderMap) -> RepliesOptions {
        self.headers = Some(headers);
        self
    }
}

/// Why no more replies come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RepliesEnd {
    /// The requested number of replies came.
    MaxReplies,
    /// No reply came for the time of [`RepliesOptions::stall`].
    Stall,
    /// The timeout of the whole request has passed.
    Timeout,
    /// An empty reply ended it.
    Sentinel,
    /// It failed; the stream's last item was the error.
    Failed,
}

/// The replies to one request. Its resources are freed when it ends, or when this is dropped.
#[derive(Debug)]
#[must_use = "dropping the stream gives up the replies"]
pub struct Replies {
    waiting: Waiting,
    reply: Subject,
    /// Of the request, in bytes.
    size: usize,
    options: RepliesOptions,
    received: u64,
    timeout: Deadline,
    /// Set by each reply.
    stall: Deadline,
    end: Option<RepliesEnd>,
    /// The span of the request, if somebody listens.
    span: Option<Box<RequestSpan>>,
}

impl Client {
    /// Sends one request and returns a stream of its replies, from whoever answers, until one of the limits in
    /// `options` is reached. This call returns when the request is accepted, in order with what this client
    /// publishes.
    ///
    /// Replies come over the subscription that all requests share. While disconnected the request is buffered. If its
    /// connection is lost after it was sent, the stream ends with an error, unless it [keeps
    /// waiting](RepliesOptions::keep_waiting). Unread replies are limited by the client's
    /// [`subscription_capacity`](crate::ConnectOptions::subscription_capacity) and
    /// [`subscription_byte_capacity`](crate::ConnectOptions::subscription_byte_capacity); beyond that the stream ends
    /// with [`EndReason::SlowConsumer`](crate::connection::EndReason::SlowConsumer), so no reply is left out
    /// silently.
    ///
    /// # Errors
    ///
    /// The errors of a refused [`request`](Client::request), and [`TimedOut`](RequestErrorKind::TimedOut) if the
    /// request was not accepted in time. In the stream, as its last item:
    /// [`NoResponders`](RequestErrorKind::NoResponders), and [`Other`](RequestErrorKind::Other) as for `request`.
    /// Reaching the timeout is not an error in the stream, not even without any reply: see [`Replies::end`].
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// use futures_util::StreamExt;
    /// use nats_lifeline::options::RepliesOptions;
    /// use std::time::Duration;
    ///
    /// let options = RepliesOptions::new().stall(Duration::from_millis(100));
    /// let mut replies = client.request_stream("who.is.there", "".into(), options).await?;
    /// while let Some(reply) = replies.next().await {
    ///     println!("{}", String::from_utf8_lossy(&reply?.payload));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn request_stream<S: ToSubject>(
        &self,
        subject: S,
        payload: Bytes,
        options: RepliesOptions,
    ) -> Result<Replies, RequestError> {
        let settings = &self.core.settings;
        let deadline = wait::deadline(options.timeout.or(settings.request_timeout));
        let subject = subject.to_subject();
        let headers = options.headers.as_ref().and_then(HeaderMap::block);
        self.know_replies()?;
        let span = RequestSpan::begin(self.shared(), &subject, payload.len());
        let requests = &self.shared().requests;
        let limits = ManyLimits { replies: settings.subscription_messages, bytes: settings.subscription_bytes };
        let ticket = requests.register_many(subject.as_bytes(), limits, options.keep_waiting);
        let waiting = Waiting::new(self.core.handle.clone(), ticket);
        let reply = self.reply_subject(ticket);
        let publish =
            Publish::new(subject.as_bytes(), &payload).with_reply(Some(reply.as_bytes())).with_headers(headers);
        let size = publish.size();
        if let Err(error) = self.send_request_by(deadline, publish, |number| requests.admitted(ticket, number)).await {
            span.failed(&error);
            return Err(error);
        }
        let (timeout, stall) = (Deadline::new(deadline), Deadline::new(None));
        let span = span.kept();
        let mut replies = Replies { waiting, reply, size, options, received: 0, timeout, stall, end: None, span };
        if replies.options.max_replies == Some(0) {
            replies.finish(RepliesEnd::MaxReplies);
        }
        Ok(replies)
    }
}

impl Replies {
    /// Why the stream has ended; `None` while more replies may come.
    pub fn end(&self) -> Option<RepliesEnd> {
        self.end
    }

    /// Nobody waits any more: the request's place is given back.
    fn finish(&mut self, end: RepliesEnd) {
        self.end = Some(end);
        self.waiting.give_up();
        self.timeout.reset(None);
        self.stall.reset(None);
    }

    /// `message` is a reply, or the end of them.
    fn take(&mut self, message: Message) -> Option<Result<Message, RequestError>> {
        if is_no_responders(&message) {
            self.finish(RepliesEnd::Failed);
            return Some(Err(RequestErrorKind::NoResponders.into()));
        }
        if self.options.sentinel && message.payload.is_empty() {
            self.finish(RepliesEnd::Sentinel);
            return None;
        }
        self.received += 1;
        if self.options.max_replies == Some(self.received) {
            self.finish(RepliesEnd::MaxReplies);
        } else {
            self.stall.reset(wait::deadline(self.options.stall));
        }
        Some(Ok(message))
    }

    /// The next reply, or the end.
    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, RequestError>>> {
        match self.waiting.poll_many(cx) {
            Poll::Ready(Ok(share)) => {
                let message = Message::from_raw(&share.first(), &self.reply);
                Poll::Ready(self.take(message))
            }
            Poll::Ready(Err(failure)) => {
                self.finish(RepliesEnd::Failed);
                let error = super::asked::failed(self.waiting.shared(), &failure, self.size);
                Poll::Ready(Some(Err(error)))
            }
            Poll::Pending => {
                let end = ready!(self.poll_times(cx));
                self.finish(end);
                Poll::Ready(None)
            }
        }
    }

    /// Whether a time is over. What came before it was handed out first.
    fn poll_times(&mut self, cx: &mut Context<'_>) -> Poll<RepliesEnd> {
        let shared = self.waiting.shared();
        if self.timeout.poll(shared, cx).is_ready() {
            return Poll::Ready(RepliesEnd::Timeout);
        }
        self.stall.poll(shared, cx).map(|()| RepliesEnd::Stall)
    }
}

impl Stream for Replies {
    type Item = Result<Message, RequestError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.end.is_some() {
            return Poll::Ready(None);
        }
        let next = ready!(this.poll_reply(cx));
        if this.end.is_some() {
            if let Some(span) = this.span.take() {
                span.end_stream(this.received, next.as_ref());
            }
        }
        Poll::Ready(next)
    }
}
