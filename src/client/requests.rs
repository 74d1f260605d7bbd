//! Requests: a message and its reply.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;

use super::client::Client;
use super::error::{
    ConnectionLost, PublishError, PublishErrorKind, RequestError, RequestErrorKind, SendFault, SubscribeError,
    SubscribeErrorKind,
};
use super::lost::{Lost, lost};
use super::message::Message;
use super::publish::{Outgoing, block, publish_error};
use super::request::Request;
use super::request_options::RequestOptions;
use super::wait;
use crate::driver::{OnFull, RequestFailure, Shared, Ticket, Waiting};
use crate::engine::Status;
use crate::protocol::{HeaderMap, StatusCode, Subject, ToSubject};

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
        let subject = subject.to_subject();
        let Request { payload, headers, timeout, inbox } = request;
        let payload = payload.unwrap_or_default();
        let headers = headers.as_ref().and_then(block);
        let deadline = wait::deadline(timeout.unwrap_or(self.core.settings.request_timeout));
        let mut tries = 0;
        loop {
            let until = options.try_deadline(deadline);
            let tried = match &inbox {
                None => self.ask(&subject, headers.as_ref(), &payload, until, options.keeps_waiting()).await,
                Some(inbox) => self.ask_with_inbox(&subject, inbox, headers.as_ref(), &payload, until).await,
            };
            let failed = match tried {
                Ok(reply) if reply.status == Some(StatusCode::NO_RESPONDERS) && reply.payload.is_empty() => {
                    Failed { error: RequestErrorKind::NoResponders.into(), unsent: false }
                }
                Ok(reply) => return Ok(reply),
                Err(failed) => failed,
            };
            let Some(pause) = options.pause(tries, &failed.error, failed.unsent) else {
                return Err(failed.error);
            };
            tries += 1;
            let next = wait::deadline(Some(pause));
            if deadline.is_some_and(|deadline| next.is_none_or(|next| next >= deadline)) {
                return Err(failed.error);
            }
            // The end of the client cuts the pause short.
            let mut status = self.status_watch();
            let _ = wait::until(self.shared(), next, status.wait_for(Status::Closed)).await;
        }
    }

    /// Over the one subscription that all requests share.
    async fn ask(
        &self,
        subject: &Subject,
        headers: Option<&Bytes>,
        payload: &Bytes,
        deadline: Option<Instant>,
        keep: bool,
    ) -> Result<Message, Failed> {
        let shared = self.shared();
        self.know_replies().map_err(Failed::unsent)?;
        let ticket = shared.requests.register(subject.as_bytes(), keep);
        let mut waiting = Waiting::new(self.core.handle.clone(), ticket);
        let reply = self.reply_subject(ticket);
        let reply_to = Some(reply.as_bytes());
        let outgoing = Outgoing { reply: reply_to, headers, ..Outgoing::new(subject.as_bytes(), payload) };
        let requests = Arc::clone(&shared.requests);
        let registered = |number| requests.admitted(ticket, number);
        let asked = async {
            self.send_asking(outgoing, registered).await.map_err(Failed::unsent)?;
            poll_fn(|cx| shared.requests.poll(ticket, cx))
                .await
                .map_err(|failure| self.failed_after(&failure, outgoing.size()))
        };
        match wait::until(shared, deadline, asked).await {
            Ok(share) => Ok(Message::from_raw(&share?.first(), &reply)),
            Err(wait::Elapsed) => Err(Failed { error: RequestErrorKind::TimedOut.into(), unsent: waiting.give_up() }),
        }
    }

    /// Sees to it that there is the subscription for replies.
    pub(super) fn know_replies(&self) -> Result<(), RequestError> {
        let subject = || Subject::from(format!("{}*", self.core.reply_prefix));
        let known = self.shared().subscribe_replies(subject);
        known.map_err(|reason| RequestError::with_source(RequestErrorKind::Other, reason))
    }

    /// Where the replies to this request go.
    pub(super) fn reply_subject(&self, ticket: Ticket) -> Subject {
        let prefix = &self.core.reply_prefix;
        let mut reply = String::with_capacity(prefix.len() + 16);
        reply.push_str(prefix);
        ticket.encode(&mut reply);
        Subject::from(reply)
    }

    fn failed_after(&self, failure: &RequestFailure, size: usize) -> Failed {
        Failed { error: failed(self.shared(), failure, size), unsent: matches!(failure, RequestFailure::Dropped(_)) }
    }

    /// Publishes a request. The deadline of the whole is around this.
    pub(super) async fn send_asking(
        &self,
        outgoing: Outgoing<'_>,
        registered: impl Fn(u64) + Copy,
    ) -> Result<(), RequestError> {
        let sent = match self.check(outgoing) {
            Ok(()) => match self.admit(outgoing, OnFull::Yield, registered) {
                Ok(()) => return Ok(()),
                Err(denied) => {
                    let sent = self.publish_slowly(outgoing, denied, None, registered).await;
                    sent.map_err(publish_error)
                }
            },
            Err(error) => Err(error),
        };
        sent.map_err(|error| {
            self.count_refused();
            refused(error)
        })
    }

    /// Over a subscription of its own.
    async fn ask_with_inbox(
        &self,
        subject: &Subject,
        inbox: &str,
        headers: Option<&Bytes>,
        payload: &Bytes,
        deadline: Option<Instant>,
    ) -> Result<Message, Failed> {
        let inbox = Subject::from(inbox.to_owned());
        let subscribed = async {
            let mut replies = self.subscribe_now(inbox.clone(), None).await?;
            // The connection is open: its end is seen by the stream below.
            let _ = replies.unsubscribe_after(1).await;
            Ok(replies)
        };
        let mut replies = match wait::until(self.shared(), deadline, subscribed).await {
            Ok(subscribed) => subscribed.map_err(|error| Failed::unsent(not_subscribed(&inbox, error)))?,
            Err(wait::Elapsed) => return Err(Failed::unsent(RequestErrorKind::TimedOut.into())),
        };
        let reply_to = Some(inbox.as_bytes());
        let outgoing = Outgoing { reply: reply_to, headers, ..Outgoing::new(subject.as_bytes(), payload) };
        // No reply comes to this place, but the server's refusal does.
        let requests = &self.shared().requests;
        let ticket = requests.register_aside(subject.as_bytes());
        let mut waiting = Waiting::new(self.core.handle.clone(), ticket);
        let asked = async {
            self.send_asking(outgoing, |number| requests.admitted(ticket, number)).await.map_err(Failed::unsent)?;
            let next = poll_fn(|cx| {
                if let Poll::Ready(Err(failure)) = requests.poll(ticket, cx) {
                    return Poll::Ready(Err(self.failed_after(&failure, outgoing.size())));
                }
                futures_core::Stream::poll_next(std::pin::Pin::new(&mut replies), cx).map(Ok)
            });
            next.await?.ok_or_else(|| Failed {
                error: match replies.end_reason() {
                    Some(reason) => RequestError::with_source(RequestErrorKind::Other, reason),
                    None => RequestErrorKind::Other.into(),
                },
                unsent: false,
            })
        };
        match wait::until(self.shared(), deadline, asked).await {
            Ok(outcome) => outcome,
            Err(wait::Elapsed) => Err(Failed { error: RequestErrorKind::TimedOut.into(), unsent: waiting.give_up() }),
        }
    }
}

/// A try without a reply.
struct Failed {
    error: RequestError,
    /// It certainly was not sent, and never will be.
    unsent: bool,
}

impl Failed {
    fn unsent(error: RequestError) -> Failed {
        Failed { error, unsent: true }
    }
}

/// Why there is no reply to a request of `size` bytes, for users.
pub(super) fn failed(shared: &Shared, failure: &RequestFailure, size: usize) -> RequestError {
    let kind = RequestErrorKind::Other;
    match failure {
        RequestFailure::ConnectionLost { in_doubt } => {
            RequestError::with_source(kind, ConnectionLost { in_doubt: *in_doubt })
        }
        RequestFailure::Dropped(reason) => match lost(shared, *reason, size) {
            Lost::TooLarge(error) => RequestError::with_source(RequestErrorKind::MaxPayloadExceeded, error),
            Lost::Fault(fault) => RequestError::with_source(kind, fault),
        },
        RequestFailure::Refused(error) => RequestError::with_source(kind, SendFault::Refused { error: error.clone() }),
        RequestFailure::ReplyTooLarge(error) => RequestError::with_source(kind, *error),
        RequestFailure::Ended(reason) => RequestError::with_source(kind, reason.clone()),
    }
}

/// A request has no subscription for its replies. What is wrong with its inbox is said of the inbox.
fn not_subscribed(inbox: &Subject, error: SubscribeError) -> RequestError {
    if error.kind() != SubscribeErrorKind::InvalidSubject {
        return error.into();
    }
    let source = error.into_source().unwrap_or_else(|| "it is no subject".into());
    RequestError::with_source(RequestErrorKind::InvalidSubject, InvalidInbox { inbox: inbox.to_string(), source })
}

#[derive(Debug, thiserror::Error)]
#[error("the inbox {inbox:?}: {source}")]
struct InvalidInbox {
    inbox: String,
    source: crate::Error,
}

/// A request that could not be sent. What is wrong with the request itself keeps its kind; only that makes this
/// different from the conversion, which async-nats has too.
fn refused(error: PublishError) -> RequestError {
    match error.kind() {
        PublishErrorKind::InvalidSubject => error.of_kind(RequestErrorKind::InvalidSubject),
        PublishErrorKind::MaxPayloadExceeded => error.of_kind(RequestErrorKind::MaxPayloadExceeded),
        PublishErrorKind::Send => RequestError::from(error),
    }
}
