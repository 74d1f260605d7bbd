//! A stream's calls about its consumers.

use crate::datetime::DateTime;
use crate::error::Error;
use crate::jetstream::consumer::Consumer;
use crate::jetstream::context::Context;
use crate::jetstream::error::{
    ConsumerCreateStrictError, ConsumerError, ConsumerErrorKind, ConsumerInfoError, ConsumerInfoErrorKind,
    ConsumerResetError, ConsumerResetErrorKind, ConsumerUpdateError, ConsumersError,
};
use crate::jetstream::run::call::{CallFailed, Effect, Empty};
use crate::jetstream::run::pages::{Fetched, Pages, list};
use crate::jetstream::stream::{ConsumerResetResponse, DeleteStatus, PauseResponse, Stream};
use crate::jetstream::wire::{
    Call, ConsumerConfig, ConsumerInfo, CreateAction, FromConsumer, IntoConsumerConfig, InvalidName, Name, NameKind,
    Page, PageRequest, PauseRequest, ResetRequest, UnpinRequest,
};

list! {
    /// The names of a stream's consumers, from [`Stream::consumer_names`].
    ConsumerNames of String, ConsumersError
}

list! {
    /// The infos of a stream's consumers, from [`Stream::consumers`].
    Consumers of ConsumerInfo, ConsumersError
}

impl<I> Stream<I> {
    /// Creates a consumer, or changes one that has the same name.
    ///
    /// Without a name the consumer is ephemeral: it gets a random one, and the server removes it after it was not used for its
    /// [`inactive_threshold`](crate::jetstream::consumer::Config::inactive_threshold) (5 s by default).
    ///
    /// If the call is given up, the consumer may have been created. The server removes an ordered one after 30 s, and an ephemeral one
    /// after its threshold; a durable one stays.
    ///
    /// # Errors
    ///
    /// [`JetStream`](ConsumerErrorKind::JetStream) if the server refuses.
    ///
    /// ```no_run
    /// # async fn example(orders: nats_lifeline::jetstream::stream::Stream) -> Result<(), nats_lifeline::Error> {
    /// use nats_lifeline::jetstream::consumer::pull::Config;
    ///
    /// let workers = orders.create_consumer(Config {
    ///     durable_name: Some("workers".to_owned()),
    ///     filter_subject: "orders.new".to_owned(),
    ///     ..Default::default()
    /// }).await?;
    /// println!("{} messages to do", workers.cached_info().num_pending);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_consumer<C: IntoConsumerConfig + FromConsumer>(
        &self,
        config: C,
    ) -> Result<Consumer<C>, ConsumerError> {
        self.context().create(self.named()?, config, CreateAction::CreateOrUpdate).await
    }

    /// Changes a consumer.
    ///
    /// # Errors
    ///
    /// [`DoesNotExist`](crate::jetstream::stream::ConsumerUpdateErrorKind::DoesNotExist) if there is none of this name. Servers before
    /// 2.10 create it then.
    pub async fn update_consumer<C: IntoConsumerConfig + FromConsumer>(
        &self,
        config: C,
    ) -> Result<Consumer<C>, ConsumerUpdateError> {
        self.context().create(self.named()?, config, CreateAction::Update).await.map_err(ConsumerUpdateError::from)
    }

    /// Creates a consumer that must not exist yet with another configuration.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](crate::jetstream::stream::ConsumerCreateStrictErrorKind::AlreadyExists) if it does. Servers before 2.10 change
    /// it then.
    pub async fn create_consumer_strict<C: IntoConsumerConfig + FromConsumer>(
        &self,
        config: C,
    ) -> Result<Consumer<C>, ConsumerCreateStrictError> {
        self.context()
            .create(self.named()?, config, CreateAction::Create)
            .await
            .map_err(ConsumerCreateStrictError::from)
    }

    /// The configuration and state of a consumer.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ConsumerInfoErrorKind::NotFound) if there is none of this name.
    pub async fn consumer_info<T: AsRef<str>>(&self, name: T) -> Result<ConsumerInfo, ConsumerInfoError> {
        self.context().consumer_info(self.named()?, name.as_ref()).await
    }

    /// The consumer of this name.
    ///
    /// # Errors
    ///
    /// A [`ConsumerInfoError`] if there is none; another error if it is of another kind than `T`.
    pub async fn get_consumer<T: FromConsumer + IntoConsumerConfig>(
        &self,
        name: &str,
    ) -> Result<Consumer<T>, crate::Error> {
        let info = self.consumer_info(name).await?;
        let config = T::try_from_consumer_config(info.config.clone())?;
        Ok(Consumer::new(config, info, self.context().clone()))
    }

    /// The consumer of this name; it is created if there is none, under this name unless the configuration has its own. One that exists is
    /// not compared with the configuration, and not changed.
    ///
    /// # Errors
    ///
    /// As [`create_consumer`](Stream::create_consumer).
    pub async fn get_or_create_consumer<T: FromConsumer + IntoConsumerConfig>(
        &self,
        name: &str,
        config: T,
    ) -> Result<Consumer<T>, ConsumerError> {
        let (stream, consumer) = (self.named()?, consumer_name(name)?);
        match self.context().call(Call::ConsumerInfo { stream, consumer }, &Empty {}, Effect::Reads).await {
            Ok(info) => self.context().consumer(info),
            Err(CallFailed::Refused(error)) if error.code() == 404 => {
                let (stream, action) = (self.named()?, CreateAction::CreateOrUpdate);
                self.context().create_as(stream, config, action, || name.to_owned()).await
            }
            Err(failed) => Err(failed.into_error()),
        }
    }

    /// Deletes a consumer.
    ///
    /// # Errors
    ///
    /// [`JetStream`](ConsumerErrorKind::JetStream) if there is none of this name.
    pub async fn delete_consumer(&self, name: &str) -> Result<DeleteStatus, ConsumerError> {
        self.change_consumer(name, |stream, consumer| Call::ConsumerDelete { stream, consumer }, &Empty {}).await
    }

    /// Stops deliveries of a consumer until then (nats-server 2.11).
    ///
    /// # Errors
    ///
    /// As [`delete_consumer`](Stream::delete_consumer).
    pub async fn pause_consumer(&self, name: &str, pause_until: DateTime) -> Result<PauseResponse, ConsumerError> {
        self.pause(name, PauseRequest { pause_until: Some(pause_until) }).await
    }

    /// Lets a paused consumer deliver again (nats-server 2.11).
    ///
    /// # Errors
    ///
    /// As [`delete_consumer`](Stream::delete_consumer).
    pub async fn resume_consumer(&self, name: &str) -> Result<PauseResponse, ConsumerError> {
        self.pause(name, PauseRequest { pause_until: None }).await
    }

    async fn pause(&self, name: &str, request: PauseRequest) -> Result<PauseResponse, ConsumerError> {
        self.change_consumer(name, |stream, consumer| Call::ConsumerPause { stream, consumer }, &request).await
    }

    /// Takes the pin of a priority group from the client that has it (nats-server 2.11, ADR-42).
    ///
    /// # Errors
    ///
    /// As [`delete_consumer`](Stream::delete_consumer).
    pub async fn unpin_consumer(&self, name: &str, group: &str) -> Result<(), ConsumerError> {
        if let Err(invalid) = Name::new(NameKind::PriorityGroup, group) {
            return Err(Error::with_source(ConsumerErrorKind::Other, invalid));
        }
        let request = UnpinRequest { group };
        let unpinned: Result<serde::de::IgnoredAny, _> =
            self.change_consumer(name, |stream, consumer| Call::ConsumerUnpin { stream, consumer }, &request).await;
        unpinned.map(drop)
    }

    /// Lets a consumer start again: at this message, or after the last one that was acknowledged (nats-server 2.14, ADR-60).
    ///
    /// # Errors
    ///
    /// [`InvalidReset`](ConsumerResetErrorKind::InvalidReset) if the consumer can't start there.
    pub async fn reset_consumer(
        &self,
        name: &str,
        seq: Option<u64>,
    ) -> Result<ConsumerResetResponse, ConsumerResetError> {
        self.context().reset_consumer(self.named()?, name, seq).await
    }

    /// The names of the stream's consumers.
    pub fn consumer_names(&self) -> ConsumerNames {
        ConsumerNames(self.list(|stream| Call::ConsumerNames { stream }))
    }

    /// The infos of the stream's consumers.
    pub fn consumers(&self) -> Consumers {
        Consumers(self.list(|stream| Call::ConsumerList { stream }))
    }

    fn list<T: serde::de::DeserializeOwned + Send + 'static>(&self, call: fn(Name<'_>) -> Call<'_>) -> Pages<T> {
        let context = self.context().clone();
        let stream = self.name().to_owned();
        Pages::new(move |offset| {
            let (context, stream) = (context.clone(), stream.clone());
            async move {
                let stream = Name::stream(&stream)?;
                let request = PageRequest { offset, subject: None };
                let page: Page<T> = context.call(call(stream), &request, Effect::Reads).await?;
                Ok(Fetched { next: page.next(), items: page.items })
            }
        })
    }

    async fn change_consumer<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
        call: for<'a> fn(Name<'a>, Name<'a>) -> Call<'a>,
        body: &impl serde::Serialize,
    ) -> Result<T, ConsumerError> {
        let call = call(self.named()?, consumer_name(name)?);
        self.context().call(call, body, Effect::Changes).await.map_err(CallFailed::into_error)
    }
}

fn consumer_name(name: &str) -> Result<Name<'_>, ConsumerError> {
    Name::consumer(name).map_err(not_a_name)
}

pub(in crate::jetstream) fn not_a_name(invalid: InvalidName) -> ConsumerError {
    Error::with_source(ConsumerErrorKind::InvalidName, invalid)
}

impl Context {
    pub(in crate::jetstream) async fn consumer_info(
        &self,
        stream: Name<'_>,
        name: &str,
    ) -> Result<ConsumerInfo, ConsumerInfoError> {
        let consumer =
            Name::consumer(name).map_err(|invalid| Error::with_source(ConsumerInfoErrorKind::InvalidName, invalid))?;
        let call = Call::ConsumerInfo { stream, consumer };
        self.call(call, &Empty {}, Effect::Reads).await.map_err(CallFailed::into_error)
    }

    pub(in crate::jetstream) async fn reset_consumer(
        &self,
        stream: Name<'_>,
        name: &str,
        seq: Option<u64>,
    ) -> Result<ConsumerResetResponse, ConsumerResetError> {
        let consumer =
            Name::consumer(name).map_err(|invalid| Error::with_source(ConsumerResetErrorKind::Request, invalid))?;
        let (call, request) = (Call::ConsumerReset { stream, consumer }, ResetRequest { sequence: seq.unwrap_or(0) });
        self.call(call, &request, Effect::Changes).await.map_err(CallFailed::into_error)
    }

    /// The consumer of an info.
    pub(in crate::jetstream) fn consumer<C: IntoConsumerConfig + FromConsumer>(
        &self,
        info: ConsumerInfo,
    ) -> Result<Consumer<C>, ConsumerError> {
        let config = C::try_from_consumer_config(info.config.clone())
            .map_err(|wrong| Error::with_source(ConsumerErrorKind::InvalidConsumerType, wrong))?;
        Ok(Consumer::new(config, info, self.clone()))
    }
}

/// Whether the server ignored some of the filters, as servers before 2.10 do (ADR-34).
pub(in crate::jetstream) fn filters_ignored(asked: &ConsumerConfig, got: &ConsumerConfig) -> bool {
    !asked.filter_subjects.is_empty() && got.filter_subjects.is_empty() && got.filter_subject.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_knows_no_list_of_filters_is_noticed_by_one_filter_too() {
        let listed = |filters: &[&str]| ConsumerConfig {
            filter_subjects: filters.iter().map(ToString::to_string).collect(),
            ..ConsumerConfig::default()
        };
        let none = ConsumerConfig::default();
        for asked in [listed(&["a"]), listed(&["a", "b"])] {
            assert!(filters_ignored(&asked, &none) && !filters_ignored(&asked, &asked));
        }
        let one = ConsumerConfig { filter_subject: "a".to_owned(), ..ConsumerConfig::default() };
        assert!(!filters_ignored(&listed(&["a"]), &one) && !filters_ignored(&none, &none));
    }
}
