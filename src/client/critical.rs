//! Critical messages: sent now or refused now. They are never buffered while no server is connected.

use bytes::Bytes;

use super::client::Client;
use super::error::{PublishError, TryPublishError};
use super::message::OutboundMessage;
use super::publish::wire_bytes;
use crate::driver::{Priority, Publish};
use crate::protocol::ToSubject;

impl Client {
    /// [`publish`](Client::publish) for a message that must not wait for a connection: while no server is connected
    /// it is refused immediately, so that the program can react. During a planned move, the current server counts as
    /// connected until the client leaves it; then none does until the next server has the subscriptions.
    ///
    /// If a server is connected and accepts bytes too slowly, this waits for room as `publish` does, but only until
    /// that connection is lost. An accepted message is like any other: if its connection is lost before the message was
    /// sent completely, it goes to the next one. Use [`publish_confirmed`](Client::publish_confirmed) to learn the
    /// outcome.
    ///
    /// # Errors
    ///
    /// As `publish`; [`Send`](crate::PublishErrorKind::Send) with
    /// [`SendFault::Disconnected`](crate::client::SendFault::Disconnected) if no server is connected.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) {
    /// use nats_lifeline::client::SendFault;
    ///
    /// if let Err(error) = client.publish_critical("valve.close", "now".into()).await {
    ///     if error.source_as() == Some(&SendFault::Disconnected) {
    ///         eprintln!("pull the plug");
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn publish_critical<S: ToSubject>(&self, subject: S, payload: Bytes) -> Result<(), PublishError> {
        let mut made = None;
        let publish = Publish::new(wire_bytes(&subject, &mut made), &payload).with_priority(Priority::Critical);
        self.publish_accepted(publish).await
    }

    /// [`publish_critical`](Client::publish_critical) for a whole message, without waiting. A refused message is
    /// returned in the error.
    ///
    /// # Errors
    ///
    /// As [`try_publish`](Client::try_publish);
    /// [`Disconnected`](crate::client::TryPublishErrorKind::Disconnected) if no server is connected.
    ///
    /// ```no_run
    /// # fn example(client: nats_lifeline::Client, message: nats_lifeline::message::OutboundMessage) {
    /// use nats_lifeline::client::TryPublishErrorKind;
    ///
    /// let mut later = Vec::new();
    /// if let Err(error) = client.try_publish_critical(message) {
    ///     if error.kind() == TryPublishErrorKind::Disconnected {
    ///         later.push(error.into_message());
    ///     }
    /// }
    /// # }
    /// ```
    pub fn try_publish_critical(&self, message: OutboundMessage) -> Result<(), TryPublishError> {
        self.try_publish_with(Priority::Critical, message, |_| {})
    }
}
