//! Pull consumers, which clients ask for messages.
//!
//! A [`Stream`] gives messages as long as it is read, over every outage: it always has a pull outstanding. A [`Batch`] gives some
//! messages and ends.

mod batch;
mod events;
mod options;
mod ordered;
mod sequence;
mod stream;

use crate::Subject;
use crate::error::Error;
use crate::jetstream::consumer::Consumer;
use crate::jetstream::wire::PullRequest;

pub use super::super::decide::fetch::End as BatchEnd;
pub use super::super::decide::pull::{Cause as StreamTrouble, Report as StreamEvent};
pub use super::super::decide::settings::SettingsFault;
pub use super::super::error::{
    BatchError, BatchErrorKind, BatchRequestError, BatchRequestErrorKind, MessagesError, MessagesErrorKind,
    PullOrderedError as OrderedError, PullOrderedErrorKind as OrderedErrorKind,
    PullRecreateError as ConsumerRecreateError, PullRecreateErrorKind as ConsumerRecreateErrorKind, StreamError,
    StreamErrorKind,
};
pub use super::super::wire::{BatchConfig, OrderedPullConfig as OrderedConfig, PullConfig as Config, PullFault};
pub use batch::{Batch, BatchBuilder, FetchBuilder};
pub use events::StreamEvents;
pub use options::{GroupFault, PullRefused};
pub use ordered::Ordered;
pub use sequence::Sequence;
pub use stream::{Stream, StreamBuilder};

impl Consumer<Config> {
    /// The messages, with the defaults of [`stream`](Consumer::stream).
    ///
    /// # Errors
    ///
    /// As [`StreamBuilder::messages`].
    ///
    /// ```no_run
    /// # async fn example(consumer: nats_lifeline::jetstream::consumer::PullConsumer) -> Result<(), nats_lifeline::Error> {
    /// use futures_util::StreamExt;
    ///
    /// let mut messages = consumer.messages().await?;
    /// while let Some(message) = messages.next().await {
    ///     let message = message?;
    ///     println!("{}: {} bytes", message.subject, message.payload.len());
    ///     message.ack().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn messages(&self) -> Result<Stream, StreamError> {
        self.stream().messages().await
    }

    /// A stream of messages, with options.
    pub fn stream(&self) -> StreamBuilder<'_> {
        StreamBuilder::new(self)
    }

    /// A batch of what is there now: it does not wait for messages, unless it is given a time.
    pub fn fetch(&self) -> FetchBuilder<'_> {
        FetchBuilder::new(self)
    }

    /// A batch that waits for its messages.
    pub fn batch(&self) -> BatchBuilder<'_> {
        BatchBuilder::new(self)
    }

    /// Batches of this many messages, one after the other. Each waits for up to 60 s.
    ///
    /// # Errors
    ///
    /// [`Pull`](BatchErrorKind::Pull) if `batch` is 0; [`PinnedClient`](BatchErrorKind::PinnedClient) as
    /// [`BatchBuilder::messages`].
    ///
    /// ```no_run
    /// # async fn example(consumer: nats_lifeline::jetstream::consumer::PullConsumer) -> Result<(), nats_lifeline::Error> {
    /// use futures_util::{StreamExt, TryStreamExt};
    ///
    /// let mut batches = consumer.sequence(50)?;
    /// while let Some(batch) = batches.next().await {
    ///     let messages: Vec<_> = batch?.try_collect().await?;
    ///     println!("{} messages", messages.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn sequence(&self, batch: usize) -> Result<Sequence, BatchError> {
        Sequence::new(self, batch)
    }

    /// Sends a single pull, whose messages and statuses go to `inbox`. Subscribe to that before.
    ///
    /// # Errors
    ///
    /// [`Publish`](BatchRequestErrorKind::Publish) if it asks for what no server gives, with a
    /// [`PullRefused`] as its source, or if the client does not accept it;
    /// [`Flush`](BatchRequestErrorKind::Flush) if it was not written within the client's deadline.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     client: nats_lifeline::Client, consumer: nats_lifeline::jetstream::consumer::PullConsumer,
    /// # ) -> Result<(), nats_lifeline::Error> {
    /// use nats_lifeline::jetstream::consumer::pull::BatchConfig;
    ///
    /// let inbox = client.new_inbox();
    /// let messages = client.subscribe(inbox.clone()).await?;
    /// consumer.request_batch(BatchConfig { batch: 10, no_wait: true, ..Default::default() }, inbox.into()).await?;
    /// # drop(messages);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn request_batch<I: Into<BatchConfig>>(&self, batch: I, inbox: Subject) -> Result<(), BatchRequestError> {
        let config = batch.into();
        let request = PullRequest::from(&config);
        let refused = |refused: PullRefused| Error::with_source(BatchRequestErrorKind::Publish, refused);
        request.check().map_err(|fault| refused(fault.into()))?;
        let source = self.source().map_err(refused)?;
        let mut body = Vec::new();
        request.write(&mut body);
        let client = &self.context.inner().client;
        let sent = client.publish_with_reply(source.next, inbox, body.into()).await;
        sent.map_err(|error| Error::with_source(BatchRequestErrorKind::Publish, error))?;
        client.flush().await.map_err(|error| Error::with_source(BatchRequestErrorKind::Flush, error))
    }
}
