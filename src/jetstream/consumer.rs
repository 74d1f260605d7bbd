//! Consumers.

pub mod ordered;
pub mod pull;
pub mod push;

use super::context::Context;
use super::error::{ConsumerError, ConsumerErrorKind, ConsumerInfoError, ConsumerResetError, InfoError};
use super::run::call::{CallFailed, Effect, Empty};
use super::stream::{ConsumerResetResponse, DeleteStatus, filters_ignored, not_a_name};
use super::wire::{Call, ConsumerConfig, ConsumerInfo, CreateAction, CreateRequest, Filter, Name};
use crate::client::unique_name;
use crate::error::Error;

pub use super::error::{StreamError, StreamErrorKind};
pub use super::wire::{
    AckPolicy, ConsumerConfig as Config, ConsumerInfo as Info, DeliverPolicy, FromConsumer, IntoConsumerConfig,
    PriorityGroupState, PriorityPolicy, ReplayPolicy, SequenceInfo, WrongKind,
};

/// A pull consumer.
pub type PullConsumer = Consumer<pull::Config>;
/// A push consumer.
pub type PushConsumer = Consumer<push::Config>;
/// An ordered consumer that pulls.
pub type OrderedPullConsumer = Consumer<pull::OrderedConfig>;
/// An ordered consumer that is pushed to.
pub type OrderedPushConsumer = Consumer<push::OrderedConfig>;

/// A consumer: a context, and what is known of the consumer. `T` is its kind: a configuration of pull or push consumers.
///
/// Dropping it does nothing to the consumer.
#[derive(Clone, Debug)]
pub struct Consumer<T: IntoConsumerConfig> {
    context: Context,
    config: T,
    info: Info,
}

impl<T: IntoConsumerConfig> Consumer<T> {
    /// A consumer with this configuration and the server's last info.
    pub fn new(config: T, info: Info, context: Context) -> Self {
        Consumer { context, config, info }
    }

    /// Asks the server for the configuration and state, and keeps the answer.
    ///
    /// # Errors
    ///
    /// As [`get_info`](Consumer::get_info).
    pub async fn info(&mut self) -> Result<&Info, ConsumerInfoError> {
        self.info = self.get_info().await?;
        Ok(&self.info)
    }

    /// Asks the server for the configuration and state.
    ///
    /// # Errors
    ///
    /// [`NotFound`](super::context::ConsumerInfoErrorKind::NotFound) if it is gone.
    pub async fn get_info(&self) -> Result<Info, ConsumerInfoError> {
        self.context.consumer_info(self.stream_name()?, &self.info.name).await
    }

    /// The configuration, as it was when this was made.
    pub fn config(&self) -> &T {
        &self.config
    }

    /// What the server said last.
    pub fn cached_info(&self) -> &Info {
        &self.info
    }

    /// Lets the consumer start again: at this message, or after the last one that was acknowledged (nats-server 2.14, ADR-60).
    ///
    /// # Errors
    ///
    /// As [`Stream::reset_consumer`](super::stream::Stream::reset_consumer).
    pub async fn reset(&mut self, seq: Option<u64>) -> Result<ConsumerResetResponse, ConsumerResetError> {
        let response = self.context.reset_consumer(self.stream_name()?, &self.info.name, seq).await?;
        self.info = response.info.clone();
        Ok(response)
    }

    fn stream_name(&self) -> Result<Name<'_>, InfoError> {
        stream_name(&self.info.stream_name)
    }
}

fn stream_name(name: &str) -> Result<Name<'_>, InfoError> {
    Ok(Name::stream(name)?)
}

impl Context {
    /// The consumer of this name, on the stream of this name.
    ///
    /// # Errors
    ///
    /// [`JetStream`](ConsumerErrorKind::JetStream) if there is none; [`InvalidConsumerType`](ConsumerErrorKind::InvalidConsumerType)
    /// if it is of another kind than `T`.
    pub async fn get_consumer_from_stream<T, C, S>(&self, consumer: C, stream: S) -> Result<Consumer<T>, ConsumerError>
    where
        T: FromConsumer + IntoConsumerConfig,
        S: AsRef<str>,
        C: AsRef<str>,
    {
        let consumer = Name::consumer(consumer.as_ref()).map_err(not_a_name)?;
        let call = Call::ConsumerInfo { stream: Name::stream(stream.as_ref()).map_err(not_a_name)?, consumer };
        let info = self.call(call, &Empty {}, Effect::Reads).await.map_err(CallFailed::into_error::<ConsumerError>)?;
        self.consumer(info)
    }

    /// Deletes a consumer.
    ///
    /// # Errors
    ///
    /// [`JetStream`](ConsumerErrorKind::JetStream) if there is none of this name.
    pub async fn delete_consumer_from_stream<C: AsRef<str>, S: AsRef<str>>(
        &self,
        consumer: C,
        stream: S,
    ) -> Result<DeleteStatus, ConsumerError> {
        let consumer = Name::consumer(consumer.as_ref()).map_err(not_a_name)?;
        let other = |invalid| Error::with_source(ConsumerErrorKind::Other, invalid);
        let call = Call::ConsumerDelete { stream: Name::stream(stream.as_ref()).map_err(other)?, consumer };
        self.call(call, &Empty {}, Effect::Changes).await.map_err(CallFailed::into_error)
    }

    /// [`Stream::create_consumer`](super::stream::Stream::create_consumer) on the stream of this name.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn create_consumer_on_stream<C: IntoConsumerConfig + FromConsumer, S: AsRef<str>>(
        &self,
        config: C,
        stream: S,
    ) -> Result<Consumer<C>, ConsumerError> {
        self.create(stream_name(stream.as_ref())?, config, CreateAction::CreateOrUpdate).await
    }

    /// [`Stream::update_consumer`](super::stream::Stream::update_consumer) on the stream of this name.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn update_consumer_on_stream<C: IntoConsumerConfig + FromConsumer, S: AsRef<str>>(
        &self,
        config: C,
        stream: S,
    ) -> Result<Consumer<C>, super::error::ConsumerUpdateError> {
        Ok(self.create(stream_name(stream.as_ref())?, config, CreateAction::Update).await?)
    }

    /// [`Stream::create_consumer_strict`](super::stream::Stream::create_consumer_strict) on the stream of this name.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn create_consumer_strict_on_stream<C: IntoConsumerConfig + FromConsumer, S: AsRef<str>>(
        &self,
        config: C,
        stream: S,
    ) -> Result<Consumer<C>, super::error::ConsumerCreateStrictError> {
        Ok(self.create(stream_name(stream.as_ref())?, config, CreateAction::Create).await?)
    }

    pub(super) async fn create<C: IntoConsumerConfig + FromConsumer>(
        &self,
        stream: Name<'_>,
        config: C,
        action: CreateAction,
    ) -> Result<Consumer<C>, ConsumerError> {
        self.create_as(stream, config, action, unique_name).await
    }

    /// Creates a consumer, whose name this is if the configuration has none.
    pub(super) async fn create_as<C: IntoConsumerConfig + FromConsumer>(
        &self,
        stream: Name<'_>,
        config: C,
        action: CreateAction,
        name: impl FnOnce() -> String,
    ) -> Result<Consumer<C>, ConsumerError> {
        let mut config = config.into_consumer_config();
        if config.deliver_subject.as_deref() == Some("") {
            // A server would create a pull consumer.
            return Err(Error::with_source(ConsumerErrorKind::InvalidConsumerType, WrongKind::Pull));
        }
        // With a name of ours, a request that is repeated makes no second consumer.
        let name = match (&config.name, &config.durable_name) {
            (Some(name), _) | (None, Some(name)) => name.clone(),
            (None, None) => config.name.insert(name()).clone(),
        };
        let consumer = Name::consumer(&name).map_err(not_a_name)?;
        let filters = config.filter_subjects.iter().chain(Some(&config.filter_subject).filter(|one| !one.is_empty()));
        for filter in filters {
            Filter::new(filter).map_err(|invalid| Error::with_source(ConsumerErrorKind::Other, invalid))?;
        }
        let filter = match &config.filter_subject {
            // The server compares it with the configuration (ADR-34).
            one if !one.is_empty() && config.filter_subjects.is_empty() => Filter::new(one).ok(),
            _ => None,
        };
        let call = Call::ConsumerCreate { stream, consumer, filter };
        let request = CreateRequest { stream_name: stream.as_str(), config: &config, action };
        let info: ConsumerInfo =
            self.call(call, &request, Effect::Changes).await.map_err(CallFailed::into_error::<ConsumerError>)?;
        self.checked(&config, info)
    }

    fn checked<C: IntoConsumerConfig + FromConsumer>(
        &self,
        asked: &ConsumerConfig,
        info: ConsumerInfo,
    ) -> Result<Consumer<C>, ConsumerError> {
        if filters_ignored(asked, &info.config) {
            return Err(Error::with_source(ConsumerErrorKind::Other, FiltersIgnored(asked.filter_subjects.len())));
        }
        self.consumer(info)
    }
}

/// The server is older than filters.
#[derive(Debug, thiserror::Error)]
#[error("the server ignored the {0} filter subjects and has created a consumer of all messages: it is older than 2.10")]
struct FiltersIgnored(usize);

/// Why there is no stream of messages.
fn not_begun(error: impl Into<crate::Error>) -> StreamError {
    Error::with_source(StreamErrorKind::Other, error)
}
