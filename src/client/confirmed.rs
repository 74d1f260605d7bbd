//! Publishing with an outcome: confirmed by a PONG, in doubt, or not sent and returned.

use std::time::Duration;

use bytes::Bytes;

use super::client::Client;
use super::error::{PublishError, PublishErrorKind, SendFault};
use super::lost::{Lost, lost};
use super::message::OutboundMessage;
use super::publish::publish_of;
use super::wait;
use crate::driver::{Confirming, Priority, Settled};
use crate::engine::LossReason;
use crate::protocol::{HeaderMap, Subject, ToSubject};

/// The outcome of [`Client::publish_confirmed`].
///
/// ```no_run
/// use nats_lifeline::Client;
/// use nats_lifeline::client::PublishOutcome;
///
/// async fn pay(client: &Client) {
///     match client.publish_confirmed("payments", "17.50".into()).await {
///         PublishOutcome::Confirmed => {}
// The program decides whether to send it again: it may then arrive twice.
///         PublishOutcome::InDoubt => eprintln!("the payment may or may not have arrived"),
///         PublishOutcome::NotSent { message, error, .. } => eprintln!("{error}: {} bytes kept", message.payload.len()),
///         _ => {}
///     }
/// }
/// ```
#[derive(Debug)]
#[must_use = "the message may not have been sent"]
#[non_exhaustive]
pub enum PublishOutcome {
    /// The server has processed it: a PONG followed it, on the connection that sent it. That does not mean that
    /// anybody has received it.
    Confirmed,
    /// It may or may not have been processed: its connection was lost before the PONG, the PONG did not arrive in
    /// time, or the client ended first. This call does not send it again. If it had not been handed to a connection
    /// at the deadline, or with at-least-once delivery, it may still be sent.
    InDoubt,
    /// No server has processed it, and none will: it was never sent completely, or the server has refused it.
    #[non_exhaustive]
    NotSent {
        /// The message.
        message: OutboundMessage,
        /// Why. The errors of [`publish`](Client::publish); [`SendFault::NotInTime`] if no server was connected
        /// before the deadline, [`SendFault::Dropped`] if the overflow policy dropped it, [`SendFault::Expired`] if
        /// it became too old, and [`SendFault::Refused`], which names the subject, if the server does not allow it.
        error: PublishError,
    },
}

impl PublishOutcome {
    /// Whether the server has processed it.
    pub fn is_confirmed(&self) -> bool {
        matches!(self, PublishOutcome::Confirmed)
    }

    /// The message, if it was certainly not sent or the server refused it.
    pub fn into_unsent(self) -> Option<OutboundMessage> {
        match self {
            PublishOutcome::NotSent { message, .. } => Some(message),
            _ => None,
        }
    }
}

impl Client {
    /// Publishes a message and waits until the server has processed it, or until that can no longer be known. The
    /// deadline is [`flush_timeout`](crate::ConnectOptions::flush_timeout) (10 s), and covers waiting for room and an
    /// outage too. [`publish_message_confirmed`](Client::publish_message_confirmed) takes its own deadline.
    ///
    /// Concurrent calls share one PING per batch, so they cost little; sequential calls cost a round trip each. While
    /// disconnected, the message is buffered in order with all others; at the deadline it is removed from the buffer,
    /// unless a connection already has it. With [`AtLeastOnce`](crate::options::DeliveryMode::AtLeastOnce), a message
    /// that was sent on a lost connection is sent again, and the call waits for the PONG that follows it on the new
    /// connection.
    ///
    /// If a message is dropped, expires, or is not accepted by the server that is finally connected, it is returned
    /// here, and in [`ConnectionEvent::Lost`](crate::connection::ConnectionEvent::Lost) as well. Dropping the future
    /// does not withdraw the message: once the future has been polled and there was room, the message is published.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) {
    /// let outcome = client.publish_confirmed("orders.new", "four wheels".into()).await;
    /// if let Some(message) = outcome.into_unsent() {
    ///     eprintln!("kept for later: {} bytes for {}", message.payload.len(), message.subject);
    /// }
    /// # }
    /// ```
    pub async fn publish_confirmed<S: ToSubject>(&self, subject: S, payload: Bytes) -> PublishOutcome {
        let message = OutboundMessage { subject: subject.to_subject(), reply: None, payload, headers: None };
        self.publish_message_confirmed(message, self.core.settings.flush_timeout).await
    }

    /// [`publish_confirmed`](Client::publish_confirmed) for a whole message, with its own deadline.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) {
    /// use nats_lifeline::message::OutboundMessage;
    /// use std::time::Duration;
    ///
    /// let message = OutboundMessage {
    ///     subject: "orders.new".into(),
    ///     reply: Some("orders.done".into()),
    ///     payload: "four wheels".into(),
    ///     headers: None,
    /// };
    /// let outcome = client.publish_message_confirmed(message, Duration::from_secs(2)).await;
    /// assert!(outcome.is_confirmed(), "{outcome:?}");
    /// # }
    /// ```
    pub async fn publish_message_confirmed(&self, message: OutboundMessage, within: Duration) -> PublishOutcome {
        let began = wait::now();
        let deadline = wait::deadline(Some(within));
        let reply = message.reply.as_ref().map(Subject::as_bytes);
        let confirming = Confirming::new(self.core.handle.clone(), message.subject.as_bytes(), reply);
        let outcome = {
            let headers = message.headers.as_ref().and_then(HeaderMap::block);
            let publish = publish_of(&message, headers).with_priority(Priority::Confirmed);
            let confirmed = async {
                self.publish_registered(publish, |number| confirming.admitted(number)).await?;
                Ok(confirming.settled().await)
            };
            wait::until(self.shared(), deadline, confirmed).await
        };
        let settled = match outcome {
            Ok(Ok(settled)) => Some(settled),
            Ok(Err(error)) => return PublishOutcome::NotSent { message, error },
            Err(wait::Elapsed) => confirming.give_up(),
        };
        match settled {
            Some(Settled::Confirmed) => PublishOutcome::Confirmed,
            Some(Settled::InDoubt) => PublishOutcome::InDoubt,
            Some(Settled::Lost(reason)) => {
                let error = self.lost(reason, &message);
                PublishOutcome::NotSent { message, error }
            }
            Some(Settled::Refused(error)) => {
                let error = PublishError::with_source(PublishErrorKind::Send, SendFault::Refused { error });
                PublishOutcome::NotSent { message, error }
            }
            None => {
                let waited = wait::now().saturating_duration_since(began);
                let error = PublishError::with_source(PublishErrorKind::Send, SendFault::NotInTime { waited });
                PublishOutcome::NotSent { message, error }
            }
        }
    }

    /// The error for a message that was lost after it was accepted.
    fn lost(&self, reason: LossReason, message: &OutboundMessage) -> PublishError {
        let headers = message.headers.as_ref().map_or(0, HeaderMap::wire_len);
        match lost(self.shared(), reason, headers + message.payload.len()) {
            Lost::TooLarge(error) => PublishError::with_source(PublishErrorKind::MaxPayloadExceeded, error),
            Lost::Fault(fault) => PublishError::with_source(PublishErrorKind::Send, fault),
        }
    }
}
