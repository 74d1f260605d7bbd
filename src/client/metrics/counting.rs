//! A client that counts what it publishes by subject. The plain client does not know of it, and pays nothing for it.

use std::sync::Arc;

use bytes::Bytes;

use super::MetricsReporter;
use super::counts::{Claim, CountSubjectsError, Counts};
use crate::client::client::Client;
use crate::client::error::{PublishError, RequestError, SubscribeError, TryPublishError};
use crate::client::message::{Message, OutboundMessage};
use crate::client::pending_reply::PendingReply;
use crate::client::publish::wire_bytes;
use crate::client::request::Request;
use crate::client::traits;
use crate::protocol::{HeaderMap, ToSubject};

impl Client {
    /// Returns a handle that publishes like this client and counts the accepted messages by subject, for
    /// `nats_messages_published_total`.
    ///
    /// You choose the subjects, so the number of series is bounded: subjects, or patterns with `*` and `>`, at most
    /// [`MOST_SUBJECTS`](super::MOST_SUBJECTS). Each is a value of the label, shortened by
    /// [`subject_label`](super::subject_label): `orders.17.new` counts all of `orders.{id}.new`. If several fit, a
    /// subject comes before patterns, and an earlier pattern before a later one. Everything else that the connection
    /// publishes is counted as `{other}`, so the sum over the subjects is the number of accepted messages. A
    /// request that was accepted and then withdrawn, because it timed out before a server got it, stays counted under its
    /// subject.
    ///
    /// Counting costs a look-up of the subject per message, a comparison with each pattern if it is not found, and two
    /// additions; no lock and no allocation. Clients that do not count pay nothing. The handle and its clones keep the
    /// connection alive, as every client does.
    ///
    /// # Errors
    ///
    /// If one of the subjects could not be subscribed to, or there are too many.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), nats_lifeline::Error> {
    /// let client = nats_lifeline::connect("localhost").await?;
    /// let orders = client.count_subjects(["orders.new", "orders.*.cancelled"])?;
    /// tokio::spawn(orders.report_metrics("shop").run());
    ///
    /// orders.publish("orders.new", "four wheels".into()).await?; // orders.new
    /// orders.publish("orders.eu.cancelled", "17".into()).await?; // orders.*.cancelled
    /// orders.publish("audit", "ordered".into()).await?; // {other}
    /// orders.client().flush().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn count_subjects<S: AsRef<str>>(
        &self,
        subjects: impl IntoIterator<Item = S>,
    ) -> Result<CountingClient, CountSubjectsError> {
        Ok(CountingClient { client: self.clone(), counts: Arc::new(Counts::new(subjects)?) })
    }
}

/// Publishes like a [`Client`], and counts by subject: see [`Client::count_subjects`].
///
/// Its calls are those of the client with the same names: same deadlines, same errors, same behaviour while
/// disconnected. A message is counted when it is accepted; a refused one is not. For all other calls use
/// [`client`](CountingClient::client); messages that they publish count as `{other}`.
#[derive(Clone, Debug)]
pub struct CountingClient {
    client: Client,
    counts: Arc<Counts>,
}

impl CountingClient {
    /// The client below, for everything that is not counted by subject.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// [`Client::report_metrics`], with the counters by subject. Without a reporter nothing is reported.
    pub fn report_metrics(&self, service: impl Into<String>) -> MetricsReporter {
        MetricsReporter::new(&self.client, service.into(), Some(self.counts.clone()))
    }

    fn claim<S: ToSubject>(&self, subject: &S) -> Claim<'_> {
        self.counts.claim(wire_bytes(subject, &mut None))
    }

    /// [`Client::publish`], counted.
    ///
    /// # Errors
    ///
    /// As `Client::publish`.
    pub async fn publish<S: ToSubject>(&self, subject: S, payload: Bytes) -> Result<(), PublishError> {
        let claim = self.claim(&subject);
        self.client.publish(subject, payload).await?;
        claim.accepted();
        Ok(())
    }

    /// [`Client::publish_with_headers`], counted.
    ///
    /// # Errors
    ///
    /// As `Client::publish_with_headers`.
    pub async fn publish_with_headers<S: ToSubject>(
        &self,
        subject: S,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), PublishError> {
        let claim = self.claim(&subject);
        self.client.publish_with_headers(subject, headers, payload).await?;
        claim.accepted();
        Ok(())
    }

    /// [`Client::publish_with_reply`], counted.
    ///
    /// # Errors
    ///
    /// As `Client::publish_with_reply`.
    pub async fn publish_with_reply<S: ToSubject, R: ToSubject>(
        &self,
        subject: S,
        reply: R,
        payload: Bytes,
    ) -> Result<(), PublishError> {
        let claim = self.claim(&subject);
        self.client.publish_with_reply(subject, reply, payload).await?;
        claim.accepted();
        Ok(())
    }

    /// [`Client::publish_with_reply_and_headers`], counted.
    ///
    /// # Errors
    ///
    /// As `Client::publish_with_reply_and_headers`.
    pub async fn publish_with_reply_and_headers<S: ToSubject, R: ToSubject>(
        &self,
        subject: S,
        reply: R,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), PublishError> {
        let claim = self.claim(&subject);
        self.client.publish_with_reply_and_headers(subject, reply, headers, payload).await?;
        claim.accepted();
        Ok(())
    }

    /// [`Client::publish_critical`], counted.
    ///
    /// # Errors
    ///
    /// As `Client::publish_critical`.
    pub async fn publish_critical<S: ToSubject>(&self, subject: S, payload: Bytes) -> Result<(), PublishError> {
        let claim = self.claim(&subject);
        self.client.publish_critical(subject, payload).await?;
        claim.accepted();
        Ok(())
    }

    /// [`Client::try_publish`], counted.
    ///
    /// # Errors
    ///
    /// As `Client::try_publish`.
    pub fn try_publish<S: ToSubject>(&self, subject: S, payload: Bytes) -> Result<(), TryPublishError> {
        let claim = self.claim(&subject);
        self.client.try_publish(subject, payload)?;
        claim.accepted();
        Ok(())
    }

    /// [`Client::try_publish_message`], counted.
    ///
    /// # Errors
    ///
    /// As `Client::try_publish_message`.
    pub fn try_publish_message(&self, message: OutboundMessage) -> Result<(), TryPublishError> {
        let claim = self.claim(&message.subject);
        self.client.try_publish_message(message)?;
        claim.accepted();
        Ok(())
    }

    /// [`Client::start_request`], counted when the request is accepted.
    ///
    /// # Errors
    ///
    /// As `Client::start_request`.
    pub async fn start_request<S: ToSubject>(
        &self,
        subject: S,
        request: Request,
    ) -> Result<PendingReply, RequestError> {
        let claim = self.claim(&subject);
        let reply = self.client.start_request(subject, request).await?;
        claim.accepted();
        Ok(reply)
    }

    /// [`Client::send_request`], counted when the request is accepted.
    ///
    /// # Errors
    ///
    /// As `Client::send_request`.
    pub async fn send_request<S: ToSubject>(&self, subject: S, request: Request) -> Result<Message, RequestError> {
        self.start_request(subject, request).await?.await
    }

    /// [`Client::request`], counted when the request is accepted.
    ///
    /// # Errors
    ///
    /// As `Client::request`.
    pub async fn request<S: ToSubject>(&self, subject: S, payload: Bytes) -> Result<Message, RequestError> {
        self.send_request(subject, Request::new().payload(payload)).await
    }
}

impl traits::Publisher for CountingClient {
    async fn publish_with_reply<S, R>(&self, subject: S, reply: R, payload: Bytes) -> Result<(), PublishError>
    where
        S: ToSubject,
        R: ToSubject,
    {
        CountingClient::publish_with_reply(self, subject, reply, payload).await
    }

    async fn publish_message(&self, message: OutboundMessage) -> Result<(), PublishError> {
        let claim = self.claim(&message.subject);
        traits::Publisher::publish_message(&self.client, message).await?;
        claim.accepted();
        Ok(())
    }
}

impl traits::Requester for CountingClient {
    async fn send_request<S>(&self, subject: S, request: Request) -> Result<Message, RequestError>
    where
        S: ToSubject,
    {
        CountingClient::send_request(self, subject, request).await
    }
}

impl traits::Subscriber for CountingClient {
    async fn subscribe<S>(&self, subject: S) -> Result<crate::Subscriber, SubscribeError>
    where
        S: ToSubject,
    {
        self.client.subscribe(subject).await
    }
}
