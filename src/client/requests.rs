//! Requests: a message, and the one that answers it.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;

use super::client::Client;
use super::error::{PublishError, PublishErrorKind, RequestError, RequestErrorKind};
use super::message::Message;
use super::publish::{Outgoing, block, publish_error};
use super::request::Request;
use super::subscriber::message;
use super::wait;
use crate::driver::{Patience, Waiting};
use crate::protocol::{HeaderMap, StatusCode, Subject, ToSubject};

impl Client {
    /// Sends a request and waits for the reply, up to
    /// [`request_timeout`](crate::ConnectOptions::request_timeout) (10 s), which covers everything: room in the outbox,
    /// an outage, the way there and back.
    ///
    /// A request that was still with us when a connection was lost goes to the next. One that had been handed over
    /// fails at once, since nobody can tell whether it was served.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](RequestErrorKind::TimedOut); [`NoResponders`](RequestErrorKind::NoResponders) if the server
    /// knows nobody who listens; [`Other`](RequestErrorKind::Other) with the reason as its source; and what
    /// [`publish`](Client::publish) refuses.
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

    /// Sends a request as `request` describes it: with headers, a timeout or an inbox of its own.
    ///
    /// # Errors
    ///
    /// As [`request`](Client::request).
    pub async fn send_request<S: ToSubject>(&self, subject: S, request: Request) -> Result<Message, RequestError> {
        let subject = subject.to_subject();
        let Request { payload, headers, timeout, inbox } = request;
        let payload = payload.unwrap_or_default();
        let headers = headers.as_ref().and_then(block);
        let limit = timeout.unwrap_or(self.core.settings.request_timeout);
        let deadline = wait::deadline(limit);
        let asked = async {
            match inbox {
                None => self.ask(&subject, headers.as_ref(), &payload).await,
                Some(inbox) => self.ask_with_inbox(&subject, Subject::from(inbox), headers.as_ref(), &payload).await,
            }
        };
        let reply = match wait::until(self.shared(), deadline, asked).await {
            Ok(outcome) => outcome?,
            Err(wait::Elapsed) => return Err(RequestErrorKind::TimedOut.into()),
        };
        if reply.status == Some(StatusCode::NO_RESPONDERS) && reply.payload.is_empty() {
            return Err(RequestErrorKind::NoResponders.into());
        }
        Ok(reply)
    }

    /// Over the one subscription that all requests share.
    async fn ask(&self, subject: &Subject, headers: Option<&Bytes>, payload: &Bytes) -> Result<Message, RequestError> {
        let core = &self.core;
        let shared = self.shared();
        shared
            .subscribe_replies(|| Subject::from(format!("{}*", core.reply_prefix)))
            .map_err(|reason| RequestError::with_source(RequestErrorKind::Other, reason))?;
        let ticket = shared.requests.register();
        let waiting = Waiting { handle: core.handle.clone(), ticket };
        let mut reply = String::with_capacity(core.reply_prefix.len() + 16);
        reply.push_str(&core.reply_prefix);
        ticket.encode(&mut reply);
        let reply = Subject::from(reply);
        let outgoing = Outgoing { subject, reply: Some(&reply), headers, payload };
        let requests = Arc::clone(&shared.requests);
        let registered = |number| requests.admitted(ticket, number);
        self.check(outgoing).map_err(refused)?;
        if let Err(denied) = self.admit(outgoing, Patience::Yield, registered) {
            // The deadline of the whole request is around this.
            self.publish_slowly(outgoing, denied, None, registered).await.map_err(publish_error).map_err(refused)?;
        }
        let share = poll_fn(|cx| shared.requests.poll(ticket, cx))
            .await
            .map_err(|failure| RequestError::with_source(RequestErrorKind::Other, failure))?;
        drop(waiting);
        Ok(message(&share.first()))
    }

    /// Over a subscription of its own.
    async fn ask_with_inbox(
        &self,
        subject: &Subject,
        inbox: Subject,
        headers: Option<&Bytes>,
        payload: &Bytes,
    ) -> Result<Message, RequestError> {
        let mut replies = self.subscribe_now(inbox.clone(), None)?;
        // The connection is open: its end is seen by the stream below.
        let _ = replies.unsubscribe_after(1).await;
        let outgoing = Outgoing { subject, reply: Some(&inbox), headers, payload };
        self.check(outgoing).map_err(refused)?;
        if let Err(denied) = self.admit(outgoing, Patience::Yield, |_| {}) {
            self.publish_slowly(outgoing, denied, None, |_| {}).await.map_err(publish_error).map_err(refused)?;
        }
        let next = poll_fn(|cx| futures_core::Stream::poll_next(std::pin::Pin::new(&mut replies), cx)).await;
        next.ok_or_else(|| match replies.end_reason() {
            Some(reason) => RequestError::with_source(RequestErrorKind::Other, reason),
            None => RequestErrorKind::Other.into(),
        })
    }
}

/// A request that could not be sent. What is wrong with the request itself keeps its kind; only that makes this
/// different from the conversion, which async-nats has too.
fn refused(error: PublishError) -> RequestError {
    match error.kind() {
        PublishErrorKind::InvalidSubject => RequestError::with_source(RequestErrorKind::InvalidSubject, error),
        PublishErrorKind::MaxPayloadExceeded => RequestError::with_source(RequestErrorKind::MaxPayloadExceeded, error),
        PublishErrorKind::Send => RequestError::from(error),
    }
}
