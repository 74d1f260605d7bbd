//! Subscribing: checks and limits.

use std::sync::Arc;

use super::client::Client;
use super::error::{InvalidName, SubscribeError, SubscribeErrorKind};
use super::subscribe_options::SubscribeOptions;
use super::subscriber::Subscriber;
use super::wait;
use crate::driver::{Inbox, InboxLimits, Reading};
use crate::engine::Handover;
use crate::protocol::{Subject, ToSubject, check_queue_name, check_subscribe_subject};

/// Room for the longest sid in SUB's arguments, with its blank.
const SID_ARG: usize = 21;

impl Client {
    /// Subscribes to a subject, wildcards included.
    ///
    /// While connected, the SUB is sent in order with the messages that this client publishes, so a message published
    /// after it is received. While disconnected, the next connection subscribes before any buffered message is sent.
    /// The call waits only for room: if the server accepts bytes too slowly, up to
    /// [`publish_timeout`](crate::ConnectOptions::publish_timeout) (10 s). Subscriptions survive reconnects.
    ///
    /// A subscription that a server refuses ends, with [`EndReason::Refused`](crate::connection::EndReason::Refused)
    /// and the server's text, and is not requested again on the next connection: subscribe again when it may work. A
    /// server refuses subjects that the user's permissions do not allow, and every subscription above its limit
    /// (`max_subscriptions`, which also applies when a reconnect leads to a server with a lower limit). The refusal
    /// arrives after this call has returned; [`subscribe_confirmed`](Client::subscribe_confirmed) waits for it.
    ///
    /// # Errors
    ///
    /// [`InvalidSubject`](SubscribeErrorKind::InvalidSubject), with the violated rule as its source;
    /// [`Other`](SubscribeErrorKind::Other) if the client is draining or closed, or, with
    /// [`SendFault::NoRoom`](crate::client::SendFault::NoRoom), if there was no room in time.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// use futures_util::StreamExt;
    ///
    /// let mut orders = client.subscribe("orders.>").await?;
    /// while let Some(message) = orders.next().await {
    ///     println!("{}: {} bytes", message.subject, message.payload.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn subscribe<S: ToSubject>(&self, subject: S) -> Result<Subscriber, SubscribeError> {
        self.subscribe_now(own(subject), None).await
    }

    /// Subscribes as a member of a queue group: each message goes to one member.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Client::subscribe), and [`InvalidQueueName`](SubscribeErrorKind::InvalidQueueName).
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// let jobs = client.queue_subscribe("jobs", "workers".to_owned()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn queue_subscribe<S: ToSubject>(
        &self,
        subject: S,
        queue_group: String,
    ) -> Result<Subscriber, SubscribeError> {
        self.subscribe_now(own(subject), Some(queue_group)).await
    }

    /// Subscribes with limits and a policy for this subscription, instead of the client's.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Client::subscribe) and [`queue_subscribe`](Client::queue_subscribe);
    /// [`Other`](SubscribeErrorKind::Other) with an [`InvalidOption`](crate::options::InvalidOption) for a limit of
    /// zero.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// use nats_lifeline::options::{SubscribeOptions, WhenFull};
    ///
    /// // A gauge: only the latest values matter.
    /// let options = SubscribeOptions::new().capacity(16).when_full(WhenFull::DropOldest);
    /// let temperatures = client.subscribe_with("temperature.*", options).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn subscribe_with<S: ToSubject>(
        &self,
        subject: S,
        options: SubscribeOptions,
    ) -> Result<Subscriber, SubscribeError> {
        let limits = options.limits(&self.core.settings)?;
        self.subscribe_within(own(subject), (options.queue_group, options.handover), limits).await
    }

    pub(super) async fn subscribe_now(
        &self,
        subject: Subject,
        queue: Option<String>,
    ) -> Result<Subscriber, SubscribeError> {
        self.subscribe_within(subject, (queue, None), None).await
    }

    async fn subscribe_within(
        &self,
        subject: Subject,
        (queue, handover): (Option<String>, Option<Handover>),
        limits: Option<InboxLimits>,
    ) -> Result<Subscriber, SubscribeError> {
        self.check_subscription(&subject, queue.as_deref())?;
        let settings = &self.core.settings;
        wait::room_for_call_within(&self.core.handle, true, settings.publish_timeout)
            .await
            .map_err(|fault| SubscribeError::with_source(SubscribeErrorKind::Other, fault))?;
        let inbox = Arc::new(Inbox::new(limits));
        let reading = Reading::of(&subject);
        let sid = self
            .shared()
            .subscribe(subject, (queue, handover), inbox.clone())
            .map_err(|reason| SubscribeError::with_source(SubscribeErrorKind::Other, reason))?;
        Ok(Subscriber::new(self.core.handle.clone(), inbox, sid, reading))
    }

    /// Refuses a subject and a queue group that no server would accept.
    pub(super) fn check_subscription(&self, subject: &Subject, queue: Option<&str>) -> Result<(), SubscribeError> {
        if let Some(queue) = queue {
            check_queue(queue)?;
        }
        let name = subject.as_bytes();
        check_subscribe_subject(name).map_err(|rule| {
            SubscribeError::with_source(SubscribeErrorKind::InvalidSubject, InvalidName::new(name, rule))
        })?;
        let args = name.len() + queue.map_or(0, |queue| queue.len() + 1) + SID_ARG;
        let longest = self.core.settings.config.max_control_line;
        if args > longest {
            let fault = format!(
                "the control line of this subject and queue group has up to {args} bytes; max_control_line is {longest}"
            );
            return Err(SubscribeError::with_source(SubscribeErrorKind::InvalidSubject, fault));
        }
        Ok(())
    }

    /// Returns a new, unique subject for replies: the inbox prefix and a random id.
    pub fn new_inbox(&self) -> String {
        format!("{}.{}", self.core.settings.inbox_prefix, super::inbox_id::new())
    }
}

/// The subject. It is taken and dropped here: if the caller keeps no other handle, this is the only one of its text.
fn own<S: ToSubject>(subject: S) -> Subject {
    subject.to_subject()
}

fn check_queue(name: &str) -> Result<(), SubscribeError> {
    check_queue_name(name.as_bytes()).map_err(|rule| {
        let source = InvalidName::new(name.as_bytes(), rule);
        SubscribeError::with_source(SubscribeErrorKind::InvalidQueueName, source)
    })
}
