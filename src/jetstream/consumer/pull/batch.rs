//! Batches, and their options.

use std::pin::Pin;
use std::task::{Context as Cx, Poll};
use std::time::Duration;

use super::options::{Deliverer, Options, PullRefused, setters};
use super::stream::RefusedBy;
use super::{BatchEnd, BatchError, BatchErrorKind, Config, MessagesError, MessagesErrorKind, StreamTrouble};
use crate::error::Error;
use crate::jetstream::consumer::Consumer;
use crate::jetstream::decide::settings::Settings;
use crate::jetstream::message::Message;
use crate::jetstream::run::fetch::Fetching;

/// How long a batch waits at the server if nothing else was said.
const EXPIRES: Duration = Duration::from_secs(5);

/// Some messages of a pull consumer: see [`Consumer::fetch`] and [`Consumer::batch`].
///
/// It always ends: with its last message, when the server says that there are no more or that the time is over, or 5 s after
/// that time if the server says nothing. A pull that is lost, by an outage or an election, is followed by one for the rest within
/// the same time. [`end`](Batch::end) tells how it has ended.
///
/// An `Err` is the last item: the consumer is gone, does not give such batches, or the user may not ask for them. A batch that is empty
/// because of an outage, or because the server says nothing, is no error, as in async-nats; `end` tells it from one that found no messages.
#[derive(Debug)]
#[must_use = "it is read by polling it"]
pub struct Batch {
    fetching: Fetching,
    deliverer: Deliverer,
    reported: bool,
}

impl Batch {
    /// How it has ended, once the stream has given `None` or an error.
    ///
    /// ```no_run
    /// # async fn example(consumer: nats_lifeline::jetstream::consumer::PullConsumer) -> Result<(), nats_lifeline::Error> {
    /// use futures_util::StreamExt;
    /// use nats_lifeline::jetstream::consumer::pull::BatchEnd;
    ///
    /// let mut batch = consumer.fetch().max_messages(10).messages().await?;
    /// while let Some(message) = batch.next().await {
    ///     message?.ack().await?;
    /// }
    /// if batch.end() == Some(&BatchEnd::NoMessages) {
    ///     println!("that was all");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn end(&self) -> Option<&BatchEnd> {
        self.fetching.end()
    }

    pub(super) async fn begin(
        consumer: &Consumer<Config>,
        settings: impl FnOnce(&Config) -> Result<Settings, PullRefused>,
    ) -> Result<Batch, BatchError> {
        if consumer.is_pinned() {
            return Err(BatchErrorKind::PinnedClient.into());
        }
        let refused = |refused| Error::with_source(BatchErrorKind::Pull, refused);
        let settings = settings(&consumer.config).map_err(refused)?;
        let source = consumer.source().map_err(refused)?;
        let fetching = Fetching::begin(source, settings).await?;
        Ok(Batch { fetching, deliverer: consumer.deliverer(), reported: false })
    }
}

impl futures_core::Stream for Batch {
    type Item = Result<Message, crate::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<Option<Self::Item>> {
        if let Some(message) = std::task::ready!(self.fetching.poll_message(cx)) {
            return Poll::Ready(Some(Ok(self.deliverer.deliver(message))));
        }
        let reported = std::mem::replace(&mut self.reported, true);
        let error = self.end().filter(|_| !reported).and_then(error);
        Poll::Ready(error.map(|error| Err(error.into())))
    }
}

/// The error that a batch ends with, if it is one.
fn error(end: &BatchEnd) -> Option<MessagesError> {
    match end {
        BatchEnd::Gone => Some(MessagesErrorKind::ConsumerDeleted.into()),
        BatchEnd::PushBased => Some(MessagesErrorKind::PushBasedConsumer.into()),
        BatchEnd::OverLimit(text) => {
            Some(Error::with_source(MessagesErrorKind::RequestLimitExceeded, RefusedBy(text.clone())))
        }
        BatchEnd::Refused(text) => Some(Error::with_source(MessagesErrorKind::Pull, RefusedBy(text.clone()))),
        BatchEnd::MessageTooLarge => {
            let text = "the first message is larger than the batch may be".to_owned();
            Some(Error::with_source(MessagesErrorKind::Pull, RefusedBy(text)))
        }
        BatchEnd::TimedOut(Some(StreamTrouble::NoResponders)) => Some(MessagesErrorKind::NoResponders.into()),
        _ => None,
    }
}

/// Options of a batch of what is there now. See [`Consumer::fetch`].
///
/// ```no_run
/// # async fn example(consumer: nats_lifeline::jetstream::consumer::PullConsumer) -> Result<(), nats_lifeline::Error> {
/// use futures_util::TryStreamExt;
///
/// let batch = consumer.fetch().max_messages(100).messages().await?;
/// let messages: Vec<_> = batch.try_collect().await?;
/// println!("{} messages were there", messages.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it asks for nothing until its messages are read"]
pub struct FetchBuilder<'a> {
    options: Options,
    consumer: &'a Consumer<Config>,
}

setters!(
    FetchBuilder,
    max_messages,
    max_bytes,
    "Sets after how long without messages the server shows that the pull is alive: at least 100 ms, and at
    most half of [`expires`](FetchBuilder::expires); twice as long without anything, and another pull asks for the rest. Default: 1 s if it
    waits for at least 2 s, else none.",
    "Sets how long it waits for a first message; at most as long as the consumer allows. Default: it does not wait."
);

impl<'a> FetchBuilder<'a> {
    /// The defaults.
    pub fn new(consumer: &'a Consumer<Config>) -> Self {
        FetchBuilder { options: Options::default(), consumer }
    }

    /// Sets the priority of this pull, 0, the most important, to 9, if the consumer's priority policy is
    /// [`Prioritized`](crate::jetstream::consumer::PriorityPolicy::Prioritized) (nats-server 2.12).
    pub fn priority(mut self, priority: usize) -> Self {
        self.options.priority = Some(priority);
        self
    }

    /// Subscribes and sends the pull. While disconnected both are buffered, and the time counts.
    ///
    /// # Errors
    ///
    /// [`Pull`](BatchErrorKind::Pull) with a [`PullRefused`] as its source if the options ask for what no server gives, before
    /// anything is sent; [`PinnedClient`](BatchErrorKind::PinnedClient) if the consumer pins clients;
    /// [`Subscribe`](BatchErrorKind::Subscribe) if the client does not accept the subscription.
    pub async fn messages(self) -> Result<Batch, BatchError> {
        Batch::begin(self.consumer, |config| self.options.fetch(config)).await
    }
}

/// Options of a batch that waits for its messages. See [`Consumer::batch`].
///
/// ```no_run
/// # async fn example(consumer: nats_lifeline::jetstream::consumer::PullConsumer) -> Result<(), nats_lifeline::Error> {
/// use futures_util::StreamExt;
/// use std::time::Duration;
///
/// let mut batch = consumer.batch().max_messages(10).expires(Duration::from_secs(20)).messages().await?;
/// while let Some(message) = batch.next().await {
///     message?.ack().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it asks for nothing until its messages are read"]
pub struct BatchBuilder<'a> {
    options: Options,
    consumer: &'a Consumer<Config>,
}

setters!(
    BatchBuilder,
    max_messages,
    max_bytes,
    "Sets after how long without messages the server shows that the pull is alive: at least 100 ms, and at
    most half of [`expires`](BatchBuilder::expires); twice as long without anything, and another pull asks for the rest. Default: 1 s if it
    waits for at least 2 s, else none.",
    "Sets how long it waits for all of its messages; at least 1 ms, and lowered to what the consumer allows. Default: 5 s, at
    the server too, so that no pull outlives its batch."
);

impl<'a> BatchBuilder<'a> {
    /// The defaults.
    pub fn new(consumer: &'a Consumer<Config>) -> Self {
        BatchBuilder { options: Options::default(), consumer }
    }

    /// Subscribes and sends the pull. While disconnected both are buffered, and the time counts.
    ///
    /// # Errors
    ///
    /// As [`FetchBuilder::messages`].
    pub async fn messages(self) -> Result<Batch, BatchError> {
        Batch::begin(self.consumer, |config| self.options.batch(config, EXPIRES)).await
    }
}

impl Consumer<Config> {
    pub(super) async fn batch_of(self, messages: usize, expires: Duration) -> Result<Batch, BatchError> {
        self.batch().max_messages(messages).expires(expires).messages().await
    }
}
