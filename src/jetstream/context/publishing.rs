//! Publishing to streams: a message, and the acknowledgement that says where it was stored.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context as Cx, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::judging::{Judged, NotSentAgain, judged, never_stored, unstored};
use crate::client::{Answer, TrackedRequest, Tracker};
use crate::jetstream::context::{Context, PublishCounts};
use crate::jetstream::error::{PublishError, PublishErrorKind};
use crate::jetstream::message::{OutboundMessage, PublishMessage};
use crate::jetstream::run::pauses::Pauses;
use crate::jetstream::run::publications::{Known, Publication};
use crate::jetstream::wire::PublishAck;
use crate::{Client, HeaderMap, ToSubject, message};

/// How long a message waits for its acknowledgement, unless the context says otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

impl Context {
    /// Publishes a message that a stream stores. Ok means that it was sent, or is buffered until there is a connection; await the
    /// future that it returns for the acknowledgement, which says where the message was stored.
    ///
    /// At most [`max_ack_inflight`](super::ContextBuilder::max_ack_inflight) acknowledgements may be pending: then this waits,
    /// unless [`backpressure_on_inflight`](super::ContextBuilder::backpressure_on_inflight) is off.
    ///
    /// # Errors
    ///
    /// As [`PublishErrorKind`] says. An error from here, whatever its kind, means that the message was not sent.
    ///
    /// ```no_run
    /// # async fn example(context: nats_lifeline::jetstream::Context) -> Result<(), nats_lifeline::Error> {
    /// let ack = context.publish("orders.new", "four wheels".into()).await?.await?;
    /// println!("message {} of the stream {}", ack.sequence, ack.stream);
    ///
    /// // Many at a time: all are sent before the first acknowledgement is awaited.
    /// let mut sent = Vec::new();
    /// for order in ["a bell", "a lamp"] {
    ///     sent.push(context.publish("orders.new", order.into()).await?);
    /// }
    /// for ack in sent {
    ///     ack.await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn publish<S: ToSubject>(&self, subject: S, payload: Bytes) -> Result<PublishAckFuture, PublishError> {
        self.send(OutboundMessage { subject: subject.to_subject(), payload, headers: None }).await
    }

    /// [`publish`](Context::publish) with headers.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn publish_with_headers<S: ToSubject>(
        &self,
        subject: S,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<PublishAckFuture, PublishError> {
        self.send(OutboundMessage { subject: subject.to_subject(), payload, headers: Some(headers) }).await
    }

    /// [`publish`](Context::publish) with an id or with expectations.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```no_run
    /// # async fn example(context: nats_lifeline::jetstream::Context) -> Result<(), nats_lifeline::Error> {
    /// use nats_lifeline::jetstream::message::PublishMessage;
    ///
    /// let order = PublishMessage::build().payload("four wheels".into()).message_id("order-17");
    /// let ack = context.send_publish("orders.new", order).await?.await?;
    /// assert!(!ack.duplicate, "it was stored before");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_publish<S: ToSubject>(
        &self,
        subject: S,
        publish: PublishMessage,
    ) -> Result<PublishAckFuture, PublishError> {
        self.send(publish.outbound_message(subject)).await
    }

    /// Waits until no acknowledgement is pending, not even of messages whose future was dropped: each has come, or
    /// [`ack_timeout`](super::ContextBuilder::ack_timeout) has passed. It does not say what they were; for that, await the
    /// futures.
    pub async fn wait_for_acks(&self) {
        let inner = self.inner();
        inner.acks.all_back(&inner.client).await;
    }

    /// [`wait_for_acks`](Context::wait_for_acks), and then what became of all messages that this context and its clones have
    /// published so far.
    ///
    /// ```no_run
    /// # async fn example(context: nats_lifeline::jetstream::Context) -> Result<(), nats_lifeline::Error> {
    /// for number in 0..1_000 {
    ///     // Nobody awaits the acknowledgement.
    ///     context.publish("readings", format!("{number}").into()).await?;
    /// }
    /// let counts = context.acks_outcome().await;
    /// assert_eq!(counts.stored, counts.published, "{counts:?}");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn acks_outcome(&self) -> PublishCounts {
        self.wait_for_acks().await;
        self.publish_counts()
    }

    /// What became of the messages that this context and its clones have published. `published` is always the sum of the others
    /// and [`pending`](PublishCounts::pending).
    pub fn publish_counts(&self) -> PublishCounts {
        let inner = self.inner();
        inner.acks.expire(&inner.client);
        self.settle_unread();
        self.inner().publications.counts()
    }

    /// Counts the outcomes of messages whose future was dropped.
    fn settle_unread(&self) {
        let inner = self.inner();
        for outcome in inner.acks.take_unread(&inner.client) {
            inner.publications.settle(judged(outcome).known());
        }
    }

    /// Publishing when nothing is in the way is a call, and not a state machine.
    pub(super) async fn send(&self, message: OutboundMessage) -> Result<PublishAckFuture, PublishError> {
        let message = message::OutboundMessage::from(message);
        let since = Client::clock();
        let request = match self.start_now(&message, since) {
            Some(request) => request,
            None => Box::pin(self.start(&message, since.checked_add(self.ack_wait()))).await?,
        };
        self.settle_unread();
        let publication = self.inner().publications.begin();
        let sent = Sent { context: self.clone(), message, request, since, publication };
        Ok(PublishAckFuture { sent: Some(Box::new(sent)) })
    }

    /// How long an acknowledgement that is awaited may take.
    pub(in crate::jetstream) fn ack_wait(&self) -> Duration {
        self.inner().timeout.unwrap_or(TIMEOUT)
    }

    /// Sends a message if there is a permit, and nothing else is in the way.
    fn start_now(&self, message: &message::OutboundMessage, now: Instant) -> Option<TrackedRequest> {
        let inner = self.inner();
        inner.client.start_tracked_now(message, || inner.acks.try_take(), now)
    }

    /// Sends a message, and waits for its permit and for room until `deadline`.
    pub(super) async fn start(
        &self,
        message: &message::OutboundMessage,
        deadline: Option<Instant>,
    ) -> Result<TrackedRequest, PublishError> {
        let inner = self.inner();
        let permit: Option<&Tracker> = match inner.waits_for_acks {
            true => inner.acks.take(&inner.client, deadline).await,
            false => inner.acks.take_now(&inner.client),
        };
        let Some(permit) = permit else {
            let ended = inner.client.has_ended();
            return Err(if ended { PublishErrorKind::BrokenPipe } else { PublishErrorKind::MaxAckPending }.into());
        };
        Ok(inner.client.start_tracked(message, permit, deadline).await?)
    }
}

/// A message that was sent.
struct Sent {
    context: Context,
    /// It is sent again if nobody had it.
    message: message::OutboundMessage,
    request: TrackedRequest,
    /// When it was first sent.
    since: Instant,
    publication: Publication,
}

/// The acknowledgement of a published message: await it. The time that it may take begins then: the context's timeout, or 5 s.
///
/// If no stream has taken the message, or if the stream's servers have no leader or too much to do, it is sent again until that
/// much time has passed since it was published: nobody had it. It is then stored after messages that were published later. After
/// a lost connection it is not sent again, since it may have been stored. Until it is awaited or dropped, the future keeps the
/// message.
///
/// Dropping it without awaiting it is fine: the message is sent all the same, and counts as pending until its acknowledgement
/// has come or [`ack_timeout`](super::ContextBuilder::ack_timeout) has passed.
///
/// # Errors
///
/// As [`PublishErrorKind`] says.
pub struct PublishAckFuture {
    /// `None` once it is awaited. Boxed, since programs move it about.
    sent: Option<Box<Sent>>,
}

impl Drop for PublishAckFuture {
    fn drop(&mut self) {
        let Some(sent) = self.sent.take() else { return };
        let Sent { context: _, message: _, request, since: _, publication } = *sent;
        match request.detach() {
            Some(outcome) => publication.settle(judged(outcome).known()),
            None => publication.leave(),
        }
    }
}

impl fmt::Debug for PublishAckFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.sent.as_ref().map(|sent| sent.message.subject.as_str());
        f.debug_struct("PublishAckFuture").field("subject", &subject).finish_non_exhaustive()
    }
}

impl IntoFuture for PublishAckFuture {
    type Output = Result<PublishAck, PublishError>;
    type IntoFuture = PublishAckReply;

    fn into_future(mut self) -> PublishAckReply {
        PublishAckReply { waits: self.sent.take().map_or(Waits::Over, Waits::Ack) }
    }
}

/// A [`PublishAckFuture`] that is awaited. Dropping it gives up the acknowledgement, and a message that was not sent yet is
/// withdrawn.
#[must_use = "it does nothing until it is awaited"]
pub struct PublishAckReply {
    waits: Waits,
}

enum Waits {
    Ack(Box<Sent>),
    /// The message is sent again.
    Again(Pin<Box<dyn Future<Output = Result<PublishAck, PublishError>> + Send>>),
    Over,
}

impl Future for PublishAckReply {
    type Output = Result<PublishAck, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<Self::Output> {
        loop {
            let outcome = match &mut self.waits {
                Waits::Ack(sent) => ready!(sent.poll(cx)),
                Waits::Again(again) => return again.as_mut().poll(cx),
                Waits::Over => return Poll::Ready(Err(PublishErrorKind::BrokenPipe.into())),
            };
            let Waits::Ack(sent) = std::mem::replace(&mut self.waits, Waits::Over) else { continue };
            match judged(outcome) {
                Judged::NotStoredYet(error) => self.waits = Waits::Again(Box::pin(sent.again(error))),
                Judged::Final(known, outcome) => {
                    sent.publication.settle(known);
                    return Poll::Ready(outcome);
                }
            }
        }
    }
}

impl fmt::Debug for PublishAckReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = matches!(self.waits, Waits::Again(_));
        f.debug_struct("PublishAckReply").field("sent_again", &again).finish_non_exhaustive()
    }
}

impl Sent {
    /// The outcome. The time for it begins with the first poll.
    fn poll(&mut self, cx: &mut Cx<'_>) -> Poll<Result<Answer, crate::RequestError>> {
        let wait = self.context.ack_wait();
        self.request.poll(cx, || Client::clock().checked_add(wait))
    }

    /// Sends the message again, which nobody had, until somebody has it or the time is over. Of many such messages, the first one
    /// that is awaited uses up the time of all.
    async fn again(self: Box<Self>, mut error: PublishError) -> Result<PublishAck, PublishError> {
        let Sent { context, message, request: _, since, publication } = *self;
        let deadline = since.checked_add(context.ack_wait());
        if let Some(error) = never_stored(&message) {
            publication.settle(Known::NotSent);
            return Err(error);
        }
        let mut pauses = Pauses::default();
        while pauses.pause(&context.inner().client, deadline).await {
            let request = match context.start(&message, deadline).await {
                Ok(request) => request,
                // What the server said is of more use than that there is no permit.
                Err(full) if full.kind() == PublishErrorKind::MaxAckPending => break,
                Err(other) => {
                    error = NotSentAgain::after(error, other);
                    break;
                }
            };
            match judged(request.outcome(deadline).await) {
                Judged::Final(Known::NotSent, Err(later)) => {
                    error = NotSentAgain::after(error, later);
                    break;
                }
                Judged::Final(known, outcome) => {
                    publication.settle(known);
                    return outcome;
                }
                Judged::NotStoredYet(later) => error = later,
            }
        }
        publication.settle(unstored(&error));
        Err(error)
    }
}
