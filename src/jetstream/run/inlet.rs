//! The subscription that a consumer's messages come through.

use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures_core::Stream;

use super::connecting::Connecting;
use crate::client::{Alarm, Delivery, GapStream, SendFault, SubscribeError, TryPublishError, Watch};
use crate::connection::EndReason;
use crate::message::OutboundMessage;
use crate::options::SubscribeOptions;
use crate::{Client, Subject};

/// A subscription with a timer, and a way to publish without waiting: what a machine of `decide` needs of the client. Dropping it
/// unsubscribes.
#[derive(Debug)]
pub(in crate::jetstream) struct Inlet {
    client: Client,
    subject: Subject,
    arrivals: GapStream,
    alarm: Alarm,
    /// When the alarm rings.
    set: Option<Instant>,
    /// Waits for bad news of the last message that was sent.
    watch: Option<Watch>,
    connecting: Connecting,
}

impl Inlet {
    /// Subscribes to `subject`, within the client's limits for calls and the subscription's `options`.
    pub(in crate::jetstream) async fn open(
        client: &Client,
        subject: Subject,
        options: SubscribeOptions,
    ) -> Result<Inlet, SubscribeError> {
        let arrivals = client.subscribe_with(subject.clone(), options).await?.with_gaps();
        let (client, alarm) = (client.clone(), client.alarm());
        Ok(Inlet { client, subject, arrivals, alarm, set: None, watch: None, connecting: Connecting::default() })
    }

    /// Whether nothing has arrived because the task has had its turn, as tokio counts it. It has been woken already: what is due
    /// for want of arrivals has to wait until they have been looked at.
    pub(in crate::jetstream) fn is_turn_over() -> bool {
        !tokio::task::coop::has_budget_remaining()
    }

    /// What it is subscribed to.
    pub(in crate::jetstream) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The next message, or that some are or may be missing before it; `None` at the end, when the client has ended or a server
    /// has refused the subscription.
    pub(in crate::jetstream) fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        std::pin::Pin::new(&mut self.arrivals).poll_next(cx)
    }

    /// Whether something has arrived that was not taken yet.
    pub(in crate::jetstream) fn has_arrivals(&self) -> bool {
        self.arrivals.subscriber().has_unread()
    }

    /// Why nothing more arrives, once that is known.
    pub(in crate::jetstream) fn end_reason(&self) -> Option<EndReason> {
        self.arrivals.subscriber().end_reason()
    }

    /// Publishes without waiting. While disconnected the message is buffered, and goes to the next
    /// connection directly after the subscriptions.
    pub(in crate::jetstream) fn post(
        &mut self,
        subject: Subject,
        reply: Option<Subject>,
        payload: Bytes,
    ) -> Result<(), TryPublishError> {
        let message = OutboundMessage { subject, reply, payload, headers: None };
        self.client.try_publish_watched(message, &mut self.watch)
    }

    /// Ready if the last message that was sent was lost before, or was refused by a server.
    pub(in crate::jetstream) fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<SendFault> {
        let Some(watch) = &mut self.watch else { return Poll::Pending };
        let fault = std::task::ready!(watch.poll_unsent(cx));
        self.watch = None;
        Poll::Ready(fault)
    }

    /// Ready if a server has refused the last message that was sent.
    pub(in crate::jetstream) fn poll_refused(&mut self, cx: &mut Context<'_>) -> Poll<EndReason> {
        match self.poll_unsent(cx) {
            Poll::Ready(SendFault::Refused { error }) => Poll::Ready(EndReason::Refused(error)),
            _ => Poll::Pending,
        }
    }

    /// Since when the client has been connected; `None` while it is not.
    pub(in crate::jetstream) fn connected_since(&self) -> Option<Instant> {
        self.client.connected_since()
    }

    /// Ready when there is a connection, with the time since when.
    pub(in crate::jetstream) fn poll_connected(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        self.connecting.poll(&self.client, cx)
    }

    /// Ready at `at` or after it. To be polled after [`poll_arrival`](Inlet::poll_arrival): what has arrived counts as in time.
    pub(in crate::jetstream) fn poll_until(&mut self, at: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        if self.set != at {
            self.set = at;
            self.alarm.set(at);
        }
        self.alarm.poll(cx)
    }
}
