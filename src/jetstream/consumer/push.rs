//! Push consumers, which deliver messages to a subject.

use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};

use futures_core::Stream;

use super::ordered::{Errors, Reading, WithGaps, ordered};
use super::{Consumer, not_begun};
use crate::connection::EndReason;
use crate::error::Error;
use crate::jetstream::Context;
use crate::jetstream::error::StreamError;
use crate::jetstream::message::Message;
use crate::jetstream::run::inlet::Inlet;
use crate::jetstream::run::inquiry::Inquirer;
use crate::jetstream::run::ordered::push_source::PushSource;
use crate::jetstream::run::push::options;
use crate::jetstream::run::push_messages::{Item, PushMessages};
use crate::jetstream::wire::{AckPolicy, IntoConsumerConfig};

pub use crate::jetstream::error::{
    PushMessagesError as MessagesError, PushMessagesErrorKind as MessagesErrorKind, PushOrderedError as OrderedError,
    PushOrderedErrorKind as OrderedErrorKind, PushRecreateError as ConsumerRecreateError,
    PushRecreateErrorKind as ConsumerRecreateErrorKind,
};
pub use crate::jetstream::wire::{OrderedPushConfig as OrderedConfig, PushConfig as Config};

impl Consumer<Config> {
    /// Subscribes to the deliver subject, in the deliver group if there is one, and returns the stream of messages.
    ///
    /// Dropping the stream unsubscribes; the consumer stays.
    ///
    /// # Errors
    ///
    /// If the subscription fails.
    ///
    /// ```no_run
    /// # async fn example(orders: nats_lifeline::jetstream::stream::Stream, client: nats_lifeline::Client)
    /// # -> Result<(), nats_lifeline::Error> {
    /// use futures_util::TryStreamExt;
    /// use nats_lifeline::jetstream::consumer::push::Config;
    /// use std::time::Duration;
    ///
    /// let consumer = orders.create_consumer(Config {
    ///     durable_name: Some("printer".to_owned()),
    ///     deliver_subject: client.new_inbox(),
    ///     flow_control: true,
    ///     idle_heartbeat: Duration::from_secs(5),
    ///     ..Default::default()
    /// }).await?;
    /// let mut messages = consumer.messages().await?;
    /// while let Some(message) = messages.try_next().await? {
    ///     println!("{}", message.subject);
    ///     message.ack().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn messages(&self) -> Result<Messages, StreamError> {
        let config = &self.info.config;
        let access = self.context.access().map_err(not_begun)?;
        let mut options = options(config.flow_control);
        if let Some(group) = &self.config.deliver_group {
            options = options.queue_group(group.clone());
        }
        let subject = self.config.deliver_subject.clone().into();
        let inlet = Inlet::open(&access.client, subject, options).await.map_err(not_begun)?;
        let pushed = PushMessages::new(Inquirer::new(access, &self.info), &self.info, inlet);
        Ok(Messages { context: self.context.clone(), answered: config.ack_policy != AckPolicy::None, pushed })
    }
}

/// The messages of a push consumer.
///
/// It survives outages: the subscription goes on with the next connection, and what was not acknowledged is delivered again.
/// A request of the flow control is answered after the messages before it have been read from this stream, so a reader that is
/// slow slows down the server, and no message is lost.
///
/// If two heartbeats are missing, [`MissingHeartbeat`](MessagesErrorKind::MissingHeartbeat) is reported, once until something
/// arrives again, and the server is asked, every 5 s, whether the consumer still exists. If it does not, the stream ends with
/// [`ConsumerDeleted`](MessagesErrorKind::ConsumerDeleted). Silence counts only while connected. Without
/// [`idle_heartbeat`](Config::idle_heartbeat), which is the default, a consumer that was deleted is like one that has no messages: the
/// stream waits for ever. The stream also ends, with [`Other`](MessagesErrorKind::Other) and the server's text, if the user may not
/// subscribe to the deliver subject or publish the answers of the flow control, without which the consumer would stall.
#[derive(Debug)]
#[must_use = "dropping it ends the subscription"]
pub struct Messages {
    context: Context,
    /// Whether the consumer wants acknowledgements.
    answered: bool,
    pushed: PushMessages,
}

impl Stream for Messages {
    type Item = Result<Message, MessagesError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        Poll::Ready(ready!(this.pushed.poll(cx)).map(|item| match item {
            Item::Message(message) => Ok(Message::new(message, &this.context, this.answered)),
            Item::Silent => Err(MessagesErrorKind::MissingHeartbeat.into()),
            Item::Deleted => Err(MessagesErrorKind::ConsumerDeleted.into()),
            Item::Refused(reason) => Err(Error::with_source(MessagesErrorKind::Other, reason)),
        }))
    }
}

impl Consumer<OrderedConfig> {
    /// Subscribes to the deliver subject and returns the stream of messages, in order.
    ///
    /// # Errors
    ///
    /// If the subscription fails.
    ///
    /// ```no_run
    /// # async fn example(readings: nats_lifeline::jetstream::stream::Stream, client: nats_lifeline::Client)
    /// # -> Result<(), nats_lifeline::Error> {
    /// use futures_util::TryStreamExt;
    /// use nats_lifeline::jetstream::consumer::push::OrderedConfig;
    ///
    /// let config = OrderedConfig { deliver_subject: client.new_inbox(), ..Default::default() };
    /// let mut messages = readings.create_consumer(config).await?.messages().await?;
    /// while let Some(message) = messages.try_next().await? {
    ///     println!("{}: {}", message.info()?.stream_sequence, message.subject);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn messages(self) -> Result<Ordered, StreamError> {
        let Consumer { context, config, info } = self;
        let access = context.access().map_err(not_begun)?;
        let config = config.into_consumer_config();
        let subject = config.deliver_subject.clone().unwrap_or_default().into();
        let source = PushSource::subscribe(&access.client, subject).await.map_err(not_begun)?;
        let heartbeat = info.config.idle_heartbeat;
        Ok(Ordered { reading: Reading::new(context, access, config, &info, heartbeat, source) })
    }
}

/// The messages of an ordered push consumer: each once, in the order of the stream.
///
/// It survives outages of any length, restarts of the server, and the loss of the consumer, which lives in the memory of one
/// server: the consumer is created again where the last message was, under another name, and the old one is deleted. If this
/// fails, [`Recreate`](OrderedErrorKind::Recreate) is reported, and attempts go on, with growing delays up to 2 s. At most 64
/// ordered consumers of a [`Context`] and its clones are created again at the same time.
///
/// A start by [`New`](super::DeliverPolicy::New), [`Last`](super::DeliverPolicy::Last) or a time is the one that the server found
/// first, whatever happens later. After an outage, a consumer that began with
/// [`LastPerSubject`](super::DeliverPolicy::LastPerSubject) delivers every message after the last one that it delivered, also those
/// that have been replaced by newer ones of their subjects.
///
/// The stream may have lost messages before they were delivered, because of its limits for instance.
/// [`missing`](Ordered::missing) counts them, and [`with_gaps`](Ordered::with_gaps) reports them. If the stream itself was replaced
/// by another one of the same name, that one is read from its beginning; if it was restored from a backup, reading goes on after its
/// last message.
///
/// Dropping it deletes the consumer, in the background.
#[derive(Debug)]
#[must_use = "dropping it deletes the consumer"]
pub struct Ordered {
    reading: Reading<PushSource>,
}

ordered!(ERRORS);

const ERRORS: Errors<EndReason, OrderedError> = Errors {
    troubled: |error| Error::with_source(OrderedErrorKind::Recreate, error),
    failed: |reason| Error::with_source(OrderedErrorKind::Other, reason),
};
