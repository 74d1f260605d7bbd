//! Requests: a message and its reply.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::asked::Asked;
use super::client::Client;
use super::error::{
    PossiblyServed, PublishError, PublishErrorKind, RequestError, RequestErrorKind, SendFault, SubscribeError,
    SubscribeErrorKind, Unsent,
};
use super::message::Message;
use super::pending_reply::PendingReply;
use super::request::Request;
use super::request_options::RequestOptions;
use super::request_span::RequestSpan;
use super::subscriber::Subscriber;
use super::wait::{self, Deadline};
use crate::driver::{Publish, TICKET_LEN, Ticket, Waiting};
use crate::engine::{DeliveryMode, Status};
use crate::protocol::{HeaderMap, Subject, ToSubject, shown};

impl Client {
    /// Sends a request and waits for the reply, up to [`request_timeout`](crate::ConnectOptions::request_timeout) (10
    /// s), which covers everything: waiting for room, an outage, the request and its reply.
    ///
    /// If a connection is lost before the request was sent, the request goes to the next one. If it was sent, it
    /// fails immediately, since nobody can tell whether it was served; [`request_with`](Client::request_with) can
    /// keep waiting, or repeat it.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](RequestErrorKind::TimedOut); [`NoResponders`](RequestErrorKind::NoResponders) if nobody listens
    /// on the subject; [`Other`](RequestErrorKind::Other) with the reason as its source: a
    /// [`ConnectionLost`](crate::client::ConnectionLost), an [`EndReason`](crate::connection::EndReason), or a
    /// [`SendFault::Refused`](crate::client::SendFault::Refused) that names the subject, as soon as the server
    /// refuses it; and the errors of a refused [`publish`](Client::publish).
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// let reply = client.request("time.now", "".into()).await?;
    /// println!("{}", String::from_utf8_lossy(&reply.payload));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn request<S: ToSubject>(&self, subject: S, payload: Bytes) -> Result<Message, RequestError> {
        self.send_request(subject, Request::new().payload(payload)).await
    }

    /// [`request`](Client::request) with headers.
    ///
    /// # Errors
    ///
    /// As `request`.
    pub async fn request_with_headers<S: ToSubject>(
        &self,
        subject: S,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<Message, RequestError> {
        self.send_request(subject, Request::new().headers(headers).payload(payload)).await
    }

    /// Sends `request`, with its headers, timeout and inbox.
    ///
    /// # Errors
    ///
    /// As [`request`](Client::request).
    pub async fn send_request<S: ToSubject>(&self, subject: S, request: Request) -> Result<Message, RequestError> {
        self.request_with(subject, request, RequestOptions::default()).await
    }

    /// [`send_request`](Client::send_request) with retries, or waiting over a lost connection. The timeout of the
    /// request covers all of it: every try and the pauses between them.
    ///
    /// # Errors
    ///
    /// The error of the last try, as [`request`](Client::request).
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// use nats_lifeline::Request;
    /// use nats_lifeline::options::RequestOptions;
    /// use std::time::Duration;
    ///
    /// // Three tries of five seconds, and asking twice does no harm.
    /// let request = Request::new().timeout(Some(Duration::from_secs(16)));
    /// let options = RequestOptions::new().retries(2).try_timeout(Duration::from_secs(5)).idempotent();
    /// let reply = client.request_with("time.now", request, options).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn request_with<S: ToSubject>(
        &self,
        subject: S,
        request: Request,
        options: RequestOptions,
    ) -> Result<Message, RequestError> {
        let question = Question::new(subject.to_subject(), request);
        let span = RequestSpan::begin(self.shared(), &question.subject, question.payload.len());
        let mut retries = 0;
        let outcome = self.ask_repeatedly(&question, options, &mut retries).await;
        span.end(retries + 1, &outcome);
        outcome
    }

    /// Asks until there is a reply, or an error after which there is no other try.
    async fn ask_repeatedly(
        &self,
        question: &Question,
        options: RequestOptions,
        retries: &mut u32,
    ) -> Result<Message, RequestError> {
        let deadline = wait::deadline(question.timeout.unwrap_or(self.core.settings.request_timeout));
        let mut maybe_served = false;
        loop {
            let tried = self.ask(question, options.try_deadline(deadline), options.keeps_waiting()).await;
            let error = match tried {
                Ok(reply) => match reply.await {
                    Ok(reply) => return Ok(reply),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let next = options.pause(*retries, &error).map(|pause| wait::deadline(Some(pause)));
            let Some(next) = next.filter(|next| deadline.is_none_or(|end| next.is_some_and(|next| next < end))) else {
                return Err(if maybe_served { PossiblyServed::mark(error) } else { error });
            };
            maybe_served |= !error.is_safe_to_repeat();
            *retries += 1;
            // The end of the client cuts the pause short.
            let mut status = self.status_watch();
            let _ = wait::until(self.shared(), next, status.wait_for(Status::Closed)).await;
        }
    }

    /// The first half of [`send_request`](Client::send_request): returns as soon as the request is accepted, with the
    /// reply to come. Use it to send several requests in order without waiting for each reply.
    ///
    /// The timeout of the request covers both halves. While disconnected the request is buffered, in order with what
    /// this client publishes.
    ///
    /// # Errors
    ///
    /// The errors of a refused [`publish`](Client::publish), and [`TimedOut`](RequestErrorKind::TimedOut) if there was
    /// no room in time. In these cases the request was not sent and never will be. All other errors of
    /// [`request`](Client::request) come from the [`PendingReply`].
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// use nats_lifeline::Request;
    ///
    /// let mut pending = Vec::new();
    /// for name in ["london", "lima", "lagos"] {
    ///     pending.push(client.start_request(format!("weather.{name}"), Request::new()).await?);
    /// }
    /// for reply in pending {
    ///     println!("{}", String::from_utf8_lossy(&reply.await?.payload));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn start_request<S: ToSubject>(
        &self,
        subject: S,
        request: Request,
    ) -> Result<PendingReply, RequestError> {
        let question = Question::new(subject.to_subject(), request);
        let deadline = wait::deadline(question.timeout.unwrap_or(self.core.settings.request_timeout));
        let span = RequestSpan::begin(self.shared(), &question.subject, question.payload.len());
        match self.ask(&question, deadline, false).await {
            Ok(mut reply) => {
                reply.span = span.kept();
                Ok(reply)
            }
            Err(error) => {
                span.failed(&error);
                Err(error)
            }
        }
    }

    /// Sends `question` and returns the reply to come. `keep`: it is still awaited after the connection that sent the
    /// request is lost.
    async fn ask(
        &self,
        question: &Question,
        deadline: Option<Instant>,
        keep: bool,
    ) -> Result<PendingReply, RequestError> {
        let began = wait::now();
        let connects = self.connects_if_resent();
        let requests = &self.shared().requests;
        let subject = question.subject.as_bytes();
        let (ticket, reply, own) = match &question.inbox {
            None => {
                self.know_replies()?;
                let ticket = requests.register(subject, keep);
                (ticket, self.reply_subject(ticket), None)
            }
            Some(inbox) => {
                let replies = self.subscribe_for_one(inbox, deadline).await?;
                // No reply comes to this place, but the server's refusal does.
                (requests.register_aside(subject), inbox.clone(), Some(replies))
            }
        };
        let waiting = Waiting::new(self.core.handle.clone(), ticket);
        let publish = Publish::new(subject, &question.payload)
            .with_reply(Some(reply.as_bytes()))
            .with_headers(question.headers.as_deref());
        let size = publish.size();
        self.send_request_by(deadline, publish, |number| requests.admitted(ticket, number)).await?;
        let own = own.map(Box::new);
        Ok(PendingReply {
            waiting,
            reply,
            own,
            asked: Asked { size, began, connects },
            deadline: Deadline::even_if_closed(deadline),
            span: None,
        })
    }

    /// With at-least-once delivery, the number of connections so far: a new one may send a request again.
    pub(super) fn connects_if_resent(&self) -> Option<u64> {
        let resent = self.core.settings.config.outbox.delivery == DeliveryMode::AtLeastOnce;
        resent.then(|| self.shared().connects())
    }

    /// Sees to it that there is the subscription for replies.
    pub(super) fn know_replies(&self) -> Result<(), RequestError> {
        let subject = || Subject::from(format!("{}*", self.core.reply_prefix));
        let known = self.shared().subscribe_replies(subject);
        known.map_err(|reason| RequestError::with_source(RequestErrorKind::Other, Unsent(reason)))
    }

    /// Where the replies to this request go.
    pub(super) fn reply_subject(&self, ticket: Ticket) -> Subject {
        let mut token = [0; TICKET_LEN];
        Subject::from_wire([self.core.reply_prefix.as_bytes(), ticket.encode(&mut token)].concat().into())
    }

    /// A subscription to the request's own inbox, for one reply.
    async fn subscribe_for_one(&self, inbox: &Subject, deadline: Option<Instant>) -> Result<Subscriber, RequestError> {
        let began = wait::now();
        let subscribed = async {
            let mut replies = self.subscribe_now(inbox.clone(), None).await?;
            // The connection is open: its end is seen by the stream.
            let _ = replies.unsubscribe_after(1).await;
            Ok(replies)
        };
        match wait::until(self.shared(), deadline, subscribed).await {
            Ok(subscribed) => subscribed.map_err(|error| not_subscribed(inbox, error)),
            Err(wait::Elapsed) => Err(no_room_since(began)),
        }
    }

    /// Publishes a request, and waits for room until `deadline`.
    pub(super) async fn send_request_by(
        &self,
        deadline: Option<Instant>,
        publish: Publish<'_>,
        registered: impl Fn(u64) + Copy,
    ) -> Result<(), RequestError> {
        let began = wait::now();
        match wait::until(self.shared(), deadline, self.publish_registered(publish, registered)).await {
            Ok(sent) => sent.map_err(refused),
            Err(wait::Elapsed) => Err(no_room_since(began)),
        }
    }
}

/// A request in the form in which it is sent, as often as it is tried.
struct Question {
    subject: Subject,
    payload: Bytes,
    /// The encoded block.
    headers: Option<Bytes>,
    timeout: Option<Option<Duration>>,
    inbox: Option<Subject>,
}

impl Question {
    fn new(subject: Subject, request: Request) -> Question {
        let Request { payload, headers, timeout, inbox } = request;
        Question {
            subject,
            payload: payload.unwrap_or_default(),
            headers: headers.as_ref().map(HeaderMap::wire).filter(|block| !block.is_empty()),
            timeout,
            inbox: inbox.map(Subject::from),
        }
    }
}

fn no_room_since(began: Instant) -> RequestError {
    let waited = wait::now().saturating_duration_since(began);
    RequestError::with_source(RequestErrorKind::TimedOut, SendFault::NoRoom { waited })
}

/// A request has no subscription for its replies. What is wrong with its inbox is said of the inbox.
fn not_subscribed(inbox: &Subject, error: SubscribeError) -> RequestError {
    if error.kind() != SubscribeErrorKind::InvalidSubject {
        return error.into();
    }
    let source = error.into_source().unwrap_or_else(|| format!("{:?}: it is no subject", inbox.as_str()).into());
    RequestError::with_source(RequestErrorKind::InvalidSubject, InvalidInbox(source))
}

#[derive(Debug, thiserror::Error)]
#[error("the inbox {}", shown(&.0.to_string()))]
struct InvalidInbox(#[source] crate::Error);

/// A request that could not be sent. What is wrong with the request itself keeps its kind; only that makes this
/// different from the conversion, which async-nats has too.
fn refused(error: PublishError) -> RequestError {
    match error.kind() {
        PublishErrorKind::InvalidSubject => error.of_kind(RequestErrorKind::InvalidSubject),
        PublishErrorKind::MaxPayloadExceeded => error.of_kind(RequestErrorKind::MaxPayloadExceeded),
        PublishErrorKind::Send => RequestError::from(error),
    }
}
