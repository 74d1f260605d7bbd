//! Traits for libraries that need parts of a client: publish, subscribe, request, timeout.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;

use super::error::{PublishError, RequestError, SubscribeError};
use super::message::{Message, OutboundMessage};
use super::request::Request;
use crate::protocol::ToSubject;

/// Publishes messages.
///
/// ```
/// use bytes::Bytes;
/// use nats_lifeline::PublishError;
/// use nats_lifeline::client::traits::Publisher;
///
/// async fn report<P: Publisher>(to: &P, degrees: i32) -> Result<(), PublishError> {
///     to.publish_with_reply("oven.temperature", "oven.ack", Bytes::from(degrees.to_string())).await
/// }
/// ```
pub trait Publisher {
    /// Publishes `payload` to `subject`, with a reply subject.
    ///
    /// # Errors
    ///
    /// As [`Client::publish_with_reply`](crate::Client::publish_with_reply).
    fn publish_with_reply<S, R>(
        &self,
        subject: S,
        reply: R,
        payload: Bytes,
    ) -> impl Future<Output = Result<(), PublishError>>
    where
        S: ToSubject,
        R: ToSubject;

    /// Publishes a message.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`](crate::Client::publish).
    fn publish_message(&self, msg: OutboundMessage) -> impl Future<Output = Result<(), PublishError>>;
}

/// Subscribes to subjects.
pub trait Subscriber {
    /// Subscribes to `subject`.
    ///
    /// # Errors
    ///
    /// As [`Client::subscribe`](crate::Client::subscribe).
    fn subscribe<S>(&self, subject: S) -> impl Future<Output = Result<crate::Subscriber, SubscribeError>>
    where
        S: ToSubject;
}

/// Sends a request and waits for the reply.
///
/// ```
/// use nats_lifeline::client::traits::Requester;
/// use nats_lifeline::{Message, Request, RequestError};
///
/// async fn ping<R: Requester>(through: &R) -> Result<Message, RequestError> {
///     through.send_request("service.ping", Request::new().payload("".into())).await
/// }
/// ```
pub trait Requester {
    /// Sends `request` to `subject` and waits for one reply.
    ///
    /// # Errors
    ///
    /// As [`Client::send_request`](crate::Client::send_request).
    fn send_request<S>(&self, subject: S, request: Request) -> impl Future<Output = Result<Message, RequestError>>
    where
        S: ToSubject;
}

/// Has a timeout for requests.
pub trait TimeoutProvider {
    /// The timeout of requests without their own; `None` means no limit.
    fn timeout(&self) -> Option<Duration>;
}
