//! Subscriptions that the server has confirmed or refused.

use std::time::{Duration, Instant};

use super::client::Client;
use super::error::{NotConfirmed, SubscribeError, SubscribeErrorKind};
use super::subscribe_options::SubscribeOptions;
use super::subscriber::Subscriber;
use super::wait;
use crate::driver::EventFilter;
use crate::engine::{ConnectionEvent, EndReason, FlushFailure};
use crate::protocol::{ErrKind, ToSubject};

impl Client {
    /// [`subscribe`](Client::subscribe), and waits until the server has the subscription, that is, until a PONG
    /// follows its SUB; up to [`flush_timeout`](crate::ConnectOptions::flush_timeout) (10 s). Messages that reach
    /// this server from then on are received. While disconnected, it waits for the next connection. If it fails, or
    /// its future is dropped, the subscription is removed.
    ///
    /// # Errors
    ///
    /// As `subscribe`; [`Other`](SubscribeErrorKind::Other) with an [`EndReason`](crate::connection::EndReason) as
    /// its source if the server refuses it ([`Refused`](crate::connection::EndReason::Refused), with the server's
    /// text) or the client ends, and with a [`NotConfirmed`](crate::client::NotConfirmed) if there was no PONG in
    /// time.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// use nats_lifeline::connection::EndReason;
    ///
    /// match client.subscribe_confirmed("payroll.>").await {
    ///     Ok(payroll) => drop(payroll),
    ///     Err(error) => match error.source_as() {
    ///         Some(EndReason::Refused(text)) => eprintln!("not allowed: {text}"),
    ///         _ => return Err(error.into()),
    ///     },
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn subscribe_confirmed<S: ToSubject>(&self, subject: S) -> Result<Subscriber, SubscribeError> {
        let within = self.core.settings.flush_timeout;
        self.subscribe_confirmed_with(subject, SubscribeOptions::default(), within).await
    }

    /// [`subscribe_confirmed`](Client::subscribe_confirmed) as a member of a queue group.
    ///
    /// # Errors
    ///
    /// As [`subscribe_confirmed`](Client::subscribe_confirmed), and
    /// [`InvalidQueueName`](SubscribeErrorKind::InvalidQueueName).
    pub async fn queue_subscribe_confirmed<S: ToSubject>(
        &self,
        subject: S,
        queue_group: String,
    ) -> Result<Subscriber, SubscribeError> {
        let options = SubscribeOptions::new().queue_group(queue_group);
        self.subscribe_confirmed_with(subject, options, self.core.settings.flush_timeout).await
    }

    /// [`subscribe_confirmed`](Client::subscribe_confirmed) with limits and a policy for this subscription, and its own
    /// deadline.
    ///
    /// # Errors
    ///
    /// As [`subscribe_confirmed`](Client::subscribe_confirmed) and [`subscribe_with`](Client::subscribe_with).
    pub async fn subscribe_confirmed_with<S: ToSubject>(
        &self,
        subject: S,
        options: SubscribeOptions,
        within: Duration,
    ) -> Result<Subscriber, SubscribeError> {
        let mut events = self.shared().events(EventFilter::Edges);
        let subscriber = self.subscribe_with(subject, options).await?;
        let deadline = wait::deadline(Some(within));
        self.server_answers(deadline, within).await?;
        // A server at its subscription limit does not say which subscription it refuses. If the first PONG did not
        // settle that, the engine has asked again, and the next PONG settles it.
        let full = |event: ConnectionEvent| {
            matches!(event, ConnectionEvent::ServerError { error: ErrKind::MaxSubscriptionsExceeded, .. })
        };
        if subscriber.end_reason().is_none() && std::iter::from_fn(|| events.try_recv()).any(full) {
            self.server_answers(deadline, within).await?;
        }
        match subscriber.end_reason() {
            Some(reason) => Err(other(reason)),
            None => Ok(subscriber),
        }
    }

    /// Waits for a PONG after everything sent so far. Messages in doubt do not matter here.
    async fn server_answers(&self, deadline: Option<Instant>, within: Duration) -> Result<(), SubscribeError> {
        let outcome = wait::until(self.shared(), deadline, self.shared().ping()).await;
        let ended = |reason| Err(other(reason));
        match (outcome, self.shared().ended()) {
            (Ok(Ok(Ok(()))), _) => Ok(()),
            (Ok(Ok(Err(FlushFailure::Ended(reason)))), _) | (Ok(Err(_)) | Err(wait::Elapsed), Some(reason)) => {
                ended(reason)
            }
            (Ok(Err(_)), None) => ended(EndReason::Closed),
            (Ok(Ok(Err(FlushFailure::InDoubt(_)))) | Err(wait::Elapsed), None) | (Ok(Ok(Err(_))), Some(_)) => {
                Err(SubscribeError::with_source(SubscribeErrorKind::Other, NotConfirmed { waited: within }))
            }
        }
    }
}

fn other(reason: EndReason) -> SubscribeError {
    SubscribeError::with_source(SubscribeErrorKind::Other, reason)
}
