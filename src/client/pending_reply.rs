//! The second half of a request: the reply to come.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::asked::Asked;
use super::error::{RequestError, RequestErrorKind};
use super::message::Message;
use super::request_span::RequestSpan;
use super::subscriber::Subscriber;
use super::wait::Deadline;
use crate::driver::Waiting;
use crate::protocol::{StatusCode, Subject};

/// The reply to a request that [`start_request`](crate::Client::start_request) has sent: await it.
///
/// If the connection is lost before the request was sent, the request goes to the next one. If it was sent, this fails
/// immediately, since nobody can tell whether it was served; a request with its own inbox still waits for its reply. Dropping it gives up the reply, and a request that was not
/// sent yet is withdrawn.
///
/// # Errors
///
/// As [`request`](crate::Client::request). [`RequestError::is_safe_to_repeat`] tells whether the request certainly was
/// not served.
///
/// ```no_run
/// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
/// use nats_lifeline::Request;
///
/// let reply = client.start_request("orders.new", Request::new().payload("four wheels".into())).await?;
/// client.publish("log", "ordered".into()).await?;
/// match reply.await {
///     Ok(reply) => println!("{}", String::from_utf8_lossy(&reply.payload)),
///     Err(error) if error.is_safe_to_repeat() => println!("not ordered: {error}"),
///     Err(error) => println!("perhaps ordered: {error}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it gives up the reply"]
pub struct PendingReply {
    pub(super) waiting: Waiting,
    pub(super) reply: Subject,
    /// The subscription to the request's own inbox, where it has one.
    pub(super) own: Option<Box<Subscriber>>,
    pub(super) asked: Asked,
    pub(super) deadline: Deadline,
    /// The span of the request, if somebody listens and it ends with this reply.
    pub(super) span: Option<Box<RequestSpan>>,
}

impl PendingReply {
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, RequestError>> {
        match self.poll_reply(cx) {
            Poll::Ready(Ok(reply)) if is_no_responders(&reply) => {
                Poll::Ready(Err(self.asked.no_responders(self.waiting.shared())))
            }
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => {
                self.deadline.poll(self.waiting.shared(), cx).map(|()| Err(self.asked.timed_out(&mut self.waiting)))
            }
        }
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, RequestError>> {
        match (self.waiting.poll(cx), &mut self.own) {
            (Poll::Ready(Err(failure)), _) => Poll::Ready(Err(self.asked.failed(self.waiting.shared(), &failure))),
            (Poll::Ready(Ok(share)), _) => Poll::Ready(Ok(Message::from_raw(&share.first(), &self.reply))),
            (Poll::Pending, None) => Poll::Pending,
            (Poll::Pending, Some(own)) => Pin::new(&mut **own).poll_next(cx).map(|next| {
                next.ok_or_else(|| match own.end_reason() {
                    Some(reason) => RequestError::with_source(RequestErrorKind::Other, reason),
                    None => RequestErrorKind::Other.into(),
                })
            }),
        }
    }
}

impl Future for PendingReply {
    type Output = Result<Message, RequestError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let outcome = ready!(this.poll_outcome(cx));
        this.deadline.over(this.waiting.shared());
        if let Some(span) = this.span.take() {
            span.end(1, &outcome);
        }
        Poll::Ready(outcome)
    }
}

/// The server's answer to a request that nobody listens to.
pub(super) fn is_no_responders(reply: &Message) -> bool {
    reply.status == Some(StatusCode::NO_RESPONDERS) && reply.payload.is_empty()
}
