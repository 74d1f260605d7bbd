//! Publishing, subscribing and requests.

use std::time::Duration;

use bytes::Bytes;

use super::client::Client;
use super::subscriber::Subscriber;
use crate::client::{PublishOutcome, TryPublishError};
use crate::message::OutboundMessage;
use crate::options::{RequestOptions, SubscribeOptions};
use crate::protocol::{HeaderMap, ToSubject};
use crate::{Message, PublishError, Request, RequestError, SubscribeError};

impl Client {
    /// Publishes a message.
    ///
    /// Ok means that the message was accepted: it is in the outbox, in order after everything that this client and its
    /// clones published before. Use [`flush`](Client::flush) to know when the server has processed it. If the server
    /// accepts bytes more slowly than they are published, this blocks until there is room, up to
    /// [`publish_timeout`](crate::ConnectOptions::publish_timeout) (10 s). While disconnected the message is
    /// buffered, up to [`reconnect_buffer_size`](crate::ConnectOptions::reconnect_buffer_size) in total; beyond that it
    /// is refused immediately.
    ///
    /// # Errors
    ///
    /// As [`publish`](crate::Client::publish) of the async client. The message will not be sent.
    pub fn publish<S: ToSubject>(&self, subject: S, payload: Bytes) -> Result<(), PublishError> {
        self.home.wait(self.client.publish(subject, payload))
    }

    /// [`publish`](Client::publish) with headers. An empty map is sent as a message without headers.
    ///
    /// # Errors
    ///
    /// As `publish`; the headers count towards the size.
    pub fn publish_with_headers<S: ToSubject>(
        &self,
        subject: S,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), PublishError> {
        self.home.wait(self.client.publish_with_headers(subject, headers, payload))
    }

    /// [`publish`](Client::publish) with a reply subject.
    ///
    /// # Errors
    ///
    /// As `publish`; the reply subject is checked by the same rules.
    pub fn publish_with_reply<S: ToSubject, R: ToSubject>(
        &self,
        subject: S,
        reply: R,
        payload: Bytes,
    ) -> Result<(), PublishError> {
        self.home.wait(self.client.publish_with_reply(subject, reply, payload))
    }

    /// [`publish`](Client::publish) with headers and a reply subject.
    ///
    /// # Errors
    ///
    /// As `publish`.
    pub fn publish_with_reply_and_headers<S: ToSubject, R: ToSubject>(
        &self,
        subject: S,
        reply: R,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), PublishError> {
        self.home.wait(self.client.publish_with_reply_and_headers(subject, reply, headers, payload))
    }

    /// [`publish`](Client::publish) for a message that must not wait for a connection: while no server is connected it
    /// is refused immediately.
    ///
    /// # Errors
    ///
    /// As `publish`; [`Send`](crate::PublishErrorKind::Send) with
    /// [`SendFault::Disconnected`](crate::client::SendFault::Disconnected) if no server is connected.
    pub fn publish_critical<S: ToSubject>(&self, subject: S, payload: Bytes) -> Result<(), PublishError> {
        self.home.wait(self.client.publish_critical(subject, payload))
    }

    /// Publishes a message and waits until the server has processed it, or until that can no longer be known, for at
    /// most [`flush_timeout`](crate::ConnectOptions::flush_timeout) (10 s); an outage counts. The outcome says whether
    /// it was confirmed, is in doubt, or was not sent; in the last case it has the message.
    pub fn publish_confirmed<S: ToSubject>(&self, subject: S, payload: Bytes) -> PublishOutcome {
        self.home.wait(self.client.publish_confirmed(subject, payload))
    }

    /// [`publish_confirmed`](Client::publish_confirmed) for a whole message, with its own deadline.
    pub fn publish_message_confirmed(&self, message: OutboundMessage, within: Duration) -> PublishOutcome {
        self.home.wait(self.client.publish_message_confirmed(message, within))
    }

    /// Publishes without blocking, on any thread. A refused message is returned in the error.
    ///
    /// # Errors
    ///
    /// [`NoRoom`](crate::client::TryPublishErrorKind::NoRoom) where [`publish`](Client::publish) would wait; otherwise
    /// the errors of `publish`.
    pub fn try_publish<S: ToSubject>(&self, subject: S, payload: Bytes) -> Result<(), TryPublishError> {
        self.client.try_publish(subject, payload)
    }

    /// [`try_publish`](Client::try_publish) of a whole message.
    ///
    /// # Errors
    ///
    /// As `try_publish`.
    pub fn try_publish_message(&self, message: OutboundMessage) -> Result<(), TryPublishError> {
        self.client.try_publish_message(message)
    }

    /// Subscribes to a subject, wildcards included.
    ///
    /// A message that this client publishes after it is received. While disconnected, the next connection subscribes
    /// before any buffered message is sent. This blocks only if the server accepts bytes too slowly, up to
    /// [`publish_timeout`](crate::ConnectOptions::publish_timeout) (10 s). A subscription that the server refuses ends;
    /// [`subscribe_confirmed`](Client::subscribe_confirmed) waits for the answer.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](crate::Client::subscribe) of the async client.
    pub fn subscribe<S: ToSubject>(&self, subject: S) -> Result<Subscriber, SubscribeError> {
        let subscriber = self.home.wait(self.client.subscribe(subject))?;
        Ok(Subscriber::new(subscriber, self.home))
    }

    /// Subscribes as a member of a queue group: each message goes to one member.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Client::subscribe), and [`InvalidQueueName`](crate::SubscribeErrorKind::InvalidQueueName).
    pub fn queue_subscribe<S: ToSubject>(&self, subject: S, queue_group: String) -> Result<Subscriber, SubscribeError> {
        let subscriber = self.home.wait(self.client.queue_subscribe(subject, queue_group))?;
        Ok(Subscriber::new(subscriber, self.home))
    }

    /// Subscribes with limits, a queue group and a policy for this subscription, instead of the client's.
    ///
    /// # Errors
    ///
    /// As [`subscribe_with`](crate::Client::subscribe_with) of the async client.
    pub fn subscribe_with<S: ToSubject>(
        &self,
        subject: S,
        options: SubscribeOptions,
    ) -> Result<Subscriber, SubscribeError> {
        let subscriber = self.home.wait(self.client.subscribe_with(subject, options))?;
        Ok(Subscriber::new(subscriber, self.home))
    }

    /// [`subscribe`](Client::subscribe), and waits until the server has the subscription, up to
    /// [`flush_timeout`](crate::ConnectOptions::flush_timeout) (10 s). While disconnected, it waits for the next
    /// connection.
    ///
    /// # Errors
    ///
    /// As [`subscribe_confirmed`](crate::Client::subscribe_confirmed) of the async client; the subscription is removed.
    pub fn subscribe_confirmed<S: ToSubject>(&self, subject: S) -> Result<Subscriber, SubscribeError> {
        let subscriber = self.home.wait(self.client.subscribe_confirmed(subject))?;
        Ok(Subscriber::new(subscriber, self.home))
    }

    /// [`subscribe_confirmed`](Client::subscribe_confirmed) with limits, a queue group and a policy for this
    /// subscription, and its own deadline.
    ///
    /// # Errors
    ///
    /// As `subscribe_confirmed` and [`subscribe_with`](Client::subscribe_with).
    pub fn subscribe_confirmed_with<S: ToSubject>(
        &self,
        subject: S,
        options: SubscribeOptions,
        within: Duration,
    ) -> Result<Subscriber, SubscribeError> {
        let subscriber = self.home.wait(self.client.subscribe_confirmed_with(subject, options, within))?;
        Ok(Subscriber::new(subscriber, self.home))
    }

    /// Returns a new, unique subject for replies: the inbox prefix and a random id.
    pub fn new_inbox(&self) -> String {
        self.client.new_inbox()
    }

    /// Sends a request and waits for the reply, up to [`request_timeout`](crate::ConnectOptions::request_timeout) (10
    /// s), which covers everything: waiting for room, an outage, the request and its reply.
    ///
    /// If a connection is lost before the request was sent, the request goes to the next one. If it was sent, it fails
    /// immediately, since nobody can tell whether it was served; [`request_with`](Client::request_with) can keep
    /// waiting, or repeat it.
    ///
    /// # Errors
    ///
    /// As [`request`](crate::Client::request) of the async client.
    pub fn request<S: ToSubject>(&self, subject: S, payload: Bytes) -> Result<Message, RequestError> {
        self.home.wait(self.client.request(subject, payload))
    }

    /// [`request`](Client::request) with headers.
    ///
    /// # Errors
    ///
    /// As `request`.
    pub fn request_with_headers<S: ToSubject>(
        &self,
        subject: S,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<Message, RequestError> {
        self.home.wait(self.client.request_with_headers(subject, headers, payload))
    }

    /// Sends `request`, with its headers, timeout and inbox.
    ///
    /// # Errors
    ///
    /// As [`request`](Client::request).
    pub fn send_request<S: ToSubject>(&self, subject: S, request: Request) -> Result<Message, RequestError> {
        self.home.wait(self.client.send_request(subject, request))
    }

    /// [`send_request`](Client::send_request) with retries, or waiting over a lost connection. The timeout of the
    /// request covers all of it.
    ///
    /// # Errors
    ///
    /// The error of the last try, as [`request`](Client::request).
    pub fn request_with<S: ToSubject>(
        &self,
        subject: S,
        request: Request,
        options: RequestOptions,
    ) -> Result<Message, RequestError> {
        self.home.wait(self.client.request_with(subject, request, options))
    }

    /// [`publish`](Client::publish) of a value as JSON.
    ///
    /// # Errors
    ///
    /// As [`publish_json`](crate::Client::publish_json) of the async client.
    #[cfg(feature = "json")]
    pub fn publish_json<S, T>(&self, subject: S, value: &T) -> Result<(), PublishError>
    where
        S: ToSubject,
        T: serde::Serialize + ?Sized,
    {
        self.home.wait(self.client.publish_json(subject, value))
    }

    /// [`request`](Client::request) with a value as JSON, whose reply is read as JSON.
    ///
    /// # Errors
    ///
    /// As [`request_json`](crate::Client::request_json) of the async client.
    #[cfg(feature = "json")]
    pub fn request_json<S, T, R>(&self, subject: S, value: &T) -> Result<R, RequestError>
    where
        S: ToSubject,
        T: serde::Serialize + ?Sized,
        R: serde::de::DeserializeOwned,
    {
        self.home.wait(self.client.request_json(subject, value))
    }
}
