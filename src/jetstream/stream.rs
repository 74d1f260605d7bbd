//! Streams.

mod consumers;
mod get;
mod get_many;
mod purge;
mod subjects;

use super::context::Context;
use super::run::call::{CallFailed, Effect, Empty};
use super::wire::{Call, DeleteMessageRequest, Name};

pub use super::error::{
    ConsumerCreateStrictError, ConsumerCreateStrictErrorKind, ConsumerError, ConsumerErrorKind, ConsumerResetError,
    ConsumerResetErrorKind, ConsumerUpdateError, ConsumerUpdateErrorKind, ConsumersError, ConsumersErrorKind,
    DeleteMessageError, DeleteMessageErrorKind, DirectGetError, DirectGetErrorKind, InfoError, LastRawMessageError,
    LastRawMessageErrorKind, PurgeError, PurgeErrorKind, RawMessageError, RawMessageErrorKind,
};
pub use super::wire::{
    ClusterInfo, Compression, ConsumerLimits, ConsumerResetResponse, DeleteStatus, DirectGetRequest, DiscardPolicy,
    External, PagedInfo, PauseResponse, PeerInfo, PersistenceMode, Placement, PurgeRequest, PurgeResponse, RawMessage,
    RawMessageRequest, Republish, RetentionPolicy, Source, SourceInfo, State, StorageType, StreamConfig as Config,
    StreamConsumerSource, StreamInfo as Info, StreamInfoRequest, SubjectTransform,
};
pub use consumers::{ConsumerNames, Consumers};
pub(super) use consumers::{filters_ignored, not_a_name};
pub use get::{DirectGetBuilder, RawMessageBuilder, StreamValue, WithHeaders, WithoutHeaders};
pub use get_many::{GetMany, StoredMessages};
pub use purge::{No, Purge, ToAssign, Yes};
pub use subjects::{InfoWithSubjects, StreamInfoBuilder};

/// A stream: a name and a context. `T` is what is known of it: an [`Info`], or nothing.
///
/// Dropping it does nothing to the stream.
#[derive(Clone, Debug)]
pub struct Stream<T = Info> {
    context: Context,
    name: String,
    info: T,
}

impl Stream<Info> {
    /// Asks the server for the configuration and state, and keeps the answer.
    ///
    /// # Errors
    ///
    /// As [`get_info`](Stream::get_info).
    pub async fn info(&mut self) -> Result<&Info, InfoError> {
        self.info = self.get_info().await?;
        Ok(&self.info)
    }

    /// What the server said last.
    pub fn cached_info(&self) -> &Info {
        &self.info
    }

    pub(super) fn into_info(self) -> Info {
        self.info
    }
}

impl<I> Stream<I> {
    pub(super) fn new(context: Context, name: String, info: I) -> Stream<I> {
        Stream { context, name, info }
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its name, which was checked when this was made.
    pub(super) fn named(&self) -> Result<Name<'_>, InfoError> {
        Ok(Name::stream(&self.name)?)
    }

    /// Asks the server for the configuration and state.
    ///
    /// # Errors
    ///
    /// Kind [`Other`](super::context::RequestErrorKind::Other) with the server's [`Error`](super::Error) as its source if the
    /// server refuses, for instance because there is no such stream any more.
    ///
    /// ```no_run
    /// # async fn example(context: nats_lifeline::jetstream::Context) -> Result<(), nats_lifeline::Error> {
    /// let orders = context.get_stream_no_info("ORDERS").await?;
    /// println!("{} messages", orders.get_info().await?.state.messages);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get_info(&self) -> Result<Info, InfoError> {
        let call = Call::StreamInfo { stream: self.named()? };
        self.context.call(call, &Empty {}, Effect::Reads).await.map_err(CallFailed::into_error)
    }

    /// Deletes one message. Its bytes are overwritten on the disk.
    ///
    /// # Errors
    ///
    /// [`JetStream`](DeleteMessageErrorKind::JetStream) if there is no such message, or if the stream does not allow it.
    pub async fn delete_message(&self, sequence: u64) -> Result<bool, DeleteMessageError> {
        let call = Call::StreamMessageDelete { stream: self.named()? };
        let request = DeleteMessageRequest { sequence, no_erase: false };
        let answer: DeleteStatus = self
            .context
            .call(call, &request, Effect::Changes)
            .await
            .map_err(CallFailed::into_error::<DeleteMessageError>)?;
        Ok(answer.success)
    }

    /// Removes messages: all of them, unless the builder says which. Await it.
    ///
    /// ```no_run
    /// # async fn example(orders: nats_lifeline::jetstream::stream::Stream) -> Result<(), nats_lifeline::Error> {
    /// let purged = orders.purge().filter("orders.cancelled").keep(10).await?;
    /// println!("{} messages removed", purged.purged);
    /// # Ok(())
    /// # }
    /// ```
    pub fn purge(&self) -> Purge<No, No> {
        Purge::of(self.context.clone(), self.name.clone())
    }

    /// Removes all messages with this subject.
    ///
    /// # Errors
    ///
    /// As [`purge`](Stream::purge).
    #[deprecated(note = "use purge().filter(subject)")]
    pub async fn purge_subject<T>(&self, subject: T) -> Result<PurgeResponse, PurgeError>
    where
        T: Into<String>,
    {
        self.purge().filter(subject).await
    }
}
