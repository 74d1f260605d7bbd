//! Implements the traits of `traits` for the client; each method calls the inherent one of that name.

use std::time::Duration;

use bytes::Bytes;

use super::Client;
use super::error::{PublishError, RequestError, SubscribeError};
use super::message::{Message, OutboundMessage};
use super::request::Request;
use super::traits::{Publisher, Requester, Subscriber, TimeoutProvider};
use crate::protocol::ToSubject;

impl Publisher for Client {
    async fn publish_with_reply<S, R>(&self, subject: S, reply: R, payload: Bytes) -> Result<(), PublishError>
    where
        S: ToSubject,
        R: ToSubject,
    {
        Client::publish_with_reply(self, subject, reply, payload).await
    }

    async fn publish_message(&self, msg: OutboundMessage) -> Result<(), PublishError> {
        let OutboundMessage { subject, reply, payload, headers } = msg;
        match (reply, headers) {
            (None, None) => self.publish(subject, payload).await,
            (None, Some(headers)) => self.publish_with_headers(subject, headers, payload).await,
            (Some(reply), None) => Client::publish_with_reply(self, subject, reply, payload).await,
            (Some(reply), Some(headers)) => self.publish_with_reply_and_headers(subject, reply, headers, payload).await,
        }
    }
}

impl Subscriber for Client {
    async fn subscribe<S>(&self, subject: S) -> Result<crate::Subscriber, SubscribeError>
    where
        S: ToSubject,
    {
        Client::subscribe(self, subject).await
    }
}

impl Requester for Client {
    async fn send_request<S>(&self, subject: S, request: Request) -> Result<Message, RequestError>
    where
        S: ToSubject,
    {
        Client::send_request(self, subject, request).await
    }
}

impl TimeoutProvider for Client {
    fn timeout(&self) -> Option<Duration> {
        Client::timeout(self)
    }
}
