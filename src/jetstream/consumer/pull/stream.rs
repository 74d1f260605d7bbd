//! A stream of messages, and its options.

use std::fmt;
use std::pin::Pin;
use std::task::{Context as Cx, Poll};

use super::events::StreamEvents;
use super::options::{Deliverer, Options, setters};
use super::{Config, MessagesError, MessagesErrorKind, StreamError, StreamTrouble};
use crate::error::Error;
use crate::jetstream::consumer::{Consumer, not_begun};
use crate::jetstream::decide::pull::End;
use crate::jetstream::message::Message;
use crate::jetstream::run::inquiry::Inquirer;
use crate::jetstream::run::pull::{Item, Pulling};

/// The messages of a pull consumer: see [`Consumer::stream`].
///
/// While it is read and connected, there always is a pull outstanding. The next one asks for what is missing when half of a batch
/// has come. After a lost connection it is sent with the subscription, before anything else is asked; when a leader changes,
/// immediately. A server that drops a pull without a word, as happens at elections, is noticed by its missing heartbeats, and a
/// stream that was flowing notices it in a fraction of a second. No more than two batches are ever on the way, and usually one.
///
/// Items are messages. An `Err` does not end the stream, unless the consumer is gone or refuses the pulls, or the user may not
/// publish them; after that comes `None`. Errors that don't end it come only when something has been wrong for long: for twice the
/// [`heartbeat`](StreamBuilder::heartbeat) that was set, or else for 30 s. They come once per trouble.
/// [`events`](Stream::events) tells all of them, from their beginning.
///
/// Each pull of a stream is limited in bytes: by [`max_bytes_per_batch`](StreamBuilder::max_bytes_per_batch) or the consumer's limit, and
/// otherwise by 2 GiB. Servers tell that a pull is complete (409 `Batch Completed`) only if it has such a limit.
///
/// While it is not read, nothing is requested. Dropping it unsubscribes; messages that were delivered to it and not read are
/// delivered again after the consumer's `ack_wait`.
#[must_use = "it asks for nothing until it is polled"]
pub struct Stream {
    pulling: Pulling,
    deliverer: Deliverer,
    consumer: String,
}

impl Stream {
    /// What is wrong, and when it is over: connections lost, leaders changed, heartbeats missing. A listener that does not read
    /// loses the oldest events beyond 64. It ends with the stream.
    ///
    /// ```no_run
    /// # async fn example(consumer: nats_lifeline::jetstream::consumer::PullConsumer) -> Result<(), nats_lifeline::Error> {
    /// use futures_util::StreamExt;
    ///
    /// let mut messages = consumer.messages().await?;
    /// let mut events = messages.events();
    /// tokio::spawn(async move {
    ///     while let Some(event) = events.next().await {
    ///         println!("{event:?}");
    ///     }
    /// });
    /// # drop(messages);
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&mut self) -> StreamEvents {
        StreamEvents::new(self.pulling.listener())
    }

    /// How many messages may still come for what was requested, including those that have arrived and were not read.
    pub fn outstanding(&self) -> u64 {
        self.pulling.outstanding()
    }
}

impl futures_core::Stream for Stream {
    type Item = Result<Message, MessagesError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<Option<Self::Item>> {
        self.pulling.poll_item(cx).map(|item| match item? {
            Item::Message(message) => Some(Ok(self.deliverer.deliver(message))),
            Item::Complaint(trouble) => Some(Err(lasting(trouble))),
            Item::End(end) => Some(Err(ended(end))),
        })
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("consumer", &self.consumer)
            .field("outstanding", &self.outstanding())
            .finish_non_exhaustive()
    }
}

/// Something that has been wrong for long.
#[derive(Debug, thiserror::Error)]
#[error("no messages for long, because of: {0}")]
struct Lasting(StreamTrouble);

fn lasting(trouble: StreamTrouble) -> MessagesError {
    let kind = match trouble {
        StreamTrouble::NoResponders => MessagesErrorKind::NoResponders,
        StreamTrouble::NotSent | StreamTrouble::MessageTooLarge | StreamTrouble::TooManyPulls => {
            MessagesErrorKind::Pull
        }
        _ => MessagesErrorKind::MissingHeartbeat,
    };
    Error::with_source(kind, Lasting(trouble))
}

/// The text of a server that refuses pulls.
#[derive(Debug, thiserror::Error)]
#[error("the server refuses it: {0}")]
pub(super) struct RefusedBy(pub(super) String);

pub(super) fn ended(end: End) -> MessagesError {
    match end {
        End::Gone => MessagesErrorKind::ConsumerDeleted.into(),
        End::PushBased => MessagesErrorKind::PushBasedConsumer.into(),
        End::OverLimit(text) => Error::with_source(MessagesErrorKind::RequestLimitExceeded, RefusedBy(text)),
        End::Refused(text) => Error::with_source(MessagesErrorKind::Pull, RefusedBy(text)),
    }
}

/// Options of a stream of messages. See [`Consumer::stream`].
///
/// ```no_run
/// # async fn example(consumer: nats_lifeline::jetstream::consumer::PullConsumer) -> Result<(), nats_lifeline::Error> {
/// use std::time::Duration;
///
/// let messages = consumer.stream()
///     .max_messages_per_batch(500)
///     .expires(Duration::from_secs(60))
///     .heartbeat(Duration::from_secs(5))
///     .messages()
///     .await?;
/// # drop(messages);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it asks for nothing until its messages are read"]
pub struct StreamBuilder<'a> {
    options: Options,
    consumer: &'a Consumer<Config>,
}

setters!(
    StreamBuilder,
    max_messages_per_batch,
    max_bytes_per_batch,
    "Sets after how long without messages the server shows that a pull is alive. Default: 1 s; async-nats has none here, and 15 s
    for `messages()`. At least 100 ms, and at most half of [`expires`](StreamBuilder::expires). Twice as long without anything, and the pull is taken
    for lost, so this is how long a silent loss can last. Zero is none: then a pull that is lost without a word is noticed when
    it has expired, or when a stream that was flowing stops. After a loss it is at most 250 ms, for as long as a pull waits.",
    "Sets how long a pull waits at the server; at least 100 ms, and lowered to what the consumer allows. Default: 30 s. The next pull
    follows by itself."
);

impl<'a> StreamBuilder<'a> {
    /// The defaults.
    pub fn new(consumer: &'a Consumer<Config>) -> Self {
        StreamBuilder { options: Options::default(), consumer }
    }

    /// Sets the priority of these pulls, 0, the most important, to 9, if the consumer's priority policy is
    /// [`Prioritized`](crate::jetstream::consumer::PriorityPolicy::Prioritized) (nats-server 2.12).
    pub fn priority(mut self, priority: usize) -> Self {
        self.options.priority = Some(priority);
        self
    }

    /// Subscribes. The first pull is sent when the stream is read. While disconnected both are buffered.
    ///
    /// # Errors
    ///
    /// [`Other`](super::StreamErrorKind::Other): with a [`PullRefused`](super::PullRefused) as its source if the options ask for what
    /// no server gives, which is found before anything is sent; or with the client's error, if it does not accept the
    /// subscription.
    pub async fn messages(self) -> Result<Stream, StreamError> {
        let settings = self.options.stream(&self.consumer.config).map_err(not_begun)?;
        let consumer = self.consumer;
        let source = consumer.source().map_err(not_begun)?;
        let access = consumer.context.access().map_err(not_begun)?;
        let inquirer = Inquirer::new(access, &consumer.info);
        let pulling = Pulling::begin(source, settings, inquirer).await.map_err(not_begun)?;
        Ok(Stream { pulling, deliverer: consumer.deliverer(), consumer: consumer.info.name.clone() })
    }
}
