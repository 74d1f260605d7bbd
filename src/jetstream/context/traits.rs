//! Traits for libraries that need parts of a context.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::Request;
use crate::jetstream::context::{self, Context, PublishAckFuture};
use crate::jetstream::error::RequestError;
use crate::jetstream::message::OutboundMessage;
use crate::{Client, PublishError, ToSubject};

/// Sends requests to the API and reads the answers.
pub trait Requester {
    /// As [`Context::request`].
    ///
    /// # Errors
    ///
    /// As [`Context::request`].
    fn request<S, T, V>(&self, subject: S, payload: &T) -> impl Future<Output = Result<V, RequestError>>
    where
        S: ToSubject,
        T: ?Sized + Serialize,
        V: DeserializeOwned;
}

/// Sends requests to the API.
pub trait RequestSender {
    /// As [`Context::send_request`].
    ///
    /// # Errors
    ///
    /// As [`Context::send_request`].
    fn send_request<S: ToSubject>(
        &self,
        subject: S,
        request: Request,
    ) -> impl Future<Output = Result<(), PublishError>>;
}

/// Publishes messages that streams store.
pub trait Publisher {
    /// As [`Context::publish`].
    ///
    /// # Errors
    ///
    /// As [`Context::publish`].
    fn publish<S>(
        &self,
        subject: S,
        payload: Bytes,
    ) -> impl Future<Output = Result<PublishAckFuture, context::PublishError>>
    where
        S: ToSubject;

    /// As [`Context::send_publish`], for a whole message.
    ///
    /// # Errors
    ///
    /// As [`Context::publish`].
    fn publish_message(
        &self,
        message: OutboundMessage,
    ) -> impl Future<Output = Result<PublishAckFuture, context::PublishError>>;
}

impl Publisher for Context {
    fn publish<S>(
        &self,
        subject: S,
        payload: Bytes,
    ) -> impl Future<Output = Result<PublishAckFuture, context::PublishError>>
    where
        S: ToSubject,
    {
        Context::publish(self, subject, payload)
    }

    fn publish_message(
        &self,
        message: OutboundMessage,
    ) -> impl Future<Output = Result<PublishAckFuture, context::PublishError>> {
        self.send(message)
    }
}

/// Has a client.
pub trait ClientProvider {
    /// The client.
    fn client(&self) -> Client;
}

/// Has a timeout.
pub trait TimeoutProvider {
    /// How long a call may take: the context's own timeout, or 5 s.
    fn timeout(&self) -> Duration;
}

impl Requester for Context {
    fn request<S, T, V>(&self, subject: S, payload: &T) -> impl Future<Output = Result<V, RequestError>>
    where
        S: ToSubject,
        T: ?Sized + Serialize,
        V: DeserializeOwned,
    {
        Context::request(self, subject, payload)
    }
}

impl RequestSender for Context {
    fn send_request<S: ToSubject>(
        &self,
        subject: S,
        request: Request,
    ) -> impl Future<Output = Result<(), PublishError>> {
        Context::send_request(self, subject, request)
    }
}

impl ClientProvider for Context {
    fn client(&self) -> Client {
        Context::client(self)
    }
}

impl TimeoutProvider for Context {
    fn timeout(&self) -> Duration {
        self.inner().timeout.unwrap_or(Duration::from_secs(5))
    }
}

impl crate::client::traits::Requester for Context {
    async fn send_request<S: ToSubject>(
        &self,
        subject: S,
        request: Request,
    ) -> Result<crate::Message, crate::RequestError> {
        self.inner().client.send_request(subject, request).await
    }
}

impl crate::client::traits::Publisher for Context {
    async fn publish_with_reply<S, R>(&self, subject: S, reply: R, payload: Bytes) -> Result<(), PublishError>
    where
        S: ToSubject,
        R: ToSubject,
    {
        self.inner().client.publish_with_reply(subject, reply, payload).await
    }

    async fn publish_message(&self, message: crate::message::OutboundMessage) -> Result<(), PublishError> {
        crate::client::traits::Publisher::publish_message(&self.inner().client, message).await
    }
}
