//! Critical messages: sent now, or refused now. They are never held for a connection that is not there.

use bytes::Bytes;

use super::client::Client;
use super::error::{PublishError, TryPublishError};
use super::message::OutboundMessage;
use super::publish::{Outgoing, wire_bytes};
use crate::driver::Care;
use crate::protocol::ToSubject;

impl Client {
    /// [`publish`](Client::publish), for a message that must not wait for a connection: while no server is connected it is
    /// refused at once, so that the program can do something else with it. While a planned move is prepared there is a
    /// connection; from leaving the one server until the next knows the subscriptions there is none.
    ///
    /// Where a server is connected and takes bytes too slowly, this waits for room as `publish` does, but not beyond the loss
    /// of that connection. A message that was accepted is like any other: if its connection is lost before it has taken all
    /// of it, it goes to the next. [`publish_confirmed`](Client::publish_confirmed) waits to hear what becomes of one.
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
        let outgoing = Outgoing { care: Care::Critical, ..Outgoing::new(wire_bytes(&subject, &mut made), &payload) };
        self.publish_outgoing(outgoing).await
    }

    /// The same for a whole message, without ever waiting; one that is refused comes back in the error.
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
        self.try_publish_with(Care::Critical, message)
    }
}
