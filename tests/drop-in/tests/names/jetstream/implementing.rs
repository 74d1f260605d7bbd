//! Traits of JetStream: what implements them, and programs that implement them or are generic over them.

use std::fmt::Debug;
use std::time::Duration;

use async_nats::jetstream::consumer::{self, Consumer, FromConsumer, IntoConsumerConfig, pull, push};
use async_nats::jetstream::context::traits::{ClientProvider, Publisher, RequestSender, Requester, TimeoutProvider};
use async_nats::jetstream::{Context, context, message, stream};
use async_nats::{Client, Request, Subject, ToSubject};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::has;

has!(Context: ClientProvider + Requester + TimeoutProvider + RequestSender + Publisher + Sync + 'static);
has!(Context: async_nats::client::traits::Requester + async_nats::client::traits::Publisher);
has!(context::Yes: context::ToAssign + Debug);
has!(context::No: context::ToAssign);
has!(stream::Yes: stream::ToAssign + Debug);
has!(stream::No: stream::ToAssign);
has!(consumer::Config: IntoConsumerConfig + FromConsumer);
has!(&'static consumer::Config: IntoConsumerConfig);
has!(pull::Config: IntoConsumerConfig + FromConsumer);
has!(&'static pull::Config: IntoConsumerConfig);
has!(pull::OrderedConfig: IntoConsumerConfig + FromConsumer);
has!(push::Config: IntoConsumerConfig + FromConsumer);
has!(&'static push::Config: IntoConsumerConfig);
has!(push::OrderedConfig: IntoConsumerConfig + FromConsumer);

async fn of_the_traits<T: ClientProvider + Requester + TimeoutProvider + RequestSender + Publisher>(context: &T) {
    let _: Client = context.client();
    let _: Duration = context.timeout();
    let _: Result<u8, context::RequestError> = context.request("INFO", &()).await;
    let _: Result<(), async_nats::PublishError> = context.send_request("INFO", Request::new()).await;
    let outbound = message::OutboundMessage::new("a".into(), Bytes::new(), None);
    let _: Result<context::PublishAckFuture, context::PublishError> = context.publish_message(outbound).await;
    let _: Result<context::PublishAckFuture, context::PublishError> = context.publish("a", Bytes::new()).await;
}

/// Other crates build on these traits, with their own contexts.
struct Wrapped(Context);

impl ClientProvider for Wrapped {
    fn client(&self) -> Client {
        self.0.client()
    }
}

impl TimeoutProvider for Wrapped {
    fn timeout(&self) -> Duration {
        TimeoutProvider::timeout(&self.0)
    }
}

impl Requester for Wrapped {
    async fn request<S, T, V>(&self, subject: S, payload: &T) -> Result<V, context::RequestError>
    where
        S: ToSubject,
        T: ?Sized + Serialize,
        V: DeserializeOwned,
    {
        self.0.request(subject, payload).await
    }
}

impl RequestSender for Wrapped {
    async fn send_request<S: ToSubject>(&self, subject: S, request: Request) -> Result<(), async_nats::PublishError> {
        self.0.send_request(subject, request).await
    }
}

impl Publisher for Wrapped {
    async fn publish<S: ToSubject>(
        &self,
        subject: S,
        payload: Bytes,
    ) -> Result<context::PublishAckFuture, context::PublishError> {
        self.0.publish(subject, payload).await
    }

    async fn publish_message(
        &self,
        message: message::OutboundMessage,
    ) -> Result<context::PublishAckFuture, context::PublishError> {
        Publisher::publish_message(&self.0, message).await
    }
}

/// A program's own kind of consumer.
struct Own(pull::Config);

impl IntoConsumerConfig for Own {
    fn into_consumer_config(self) -> consumer::Config {
        self.0.into_consumer_config()
    }
}

impl FromConsumer for Own {
    fn try_from_consumer_config(config: consumer::Config) -> Result<Own, async_nats::Error> {
        pull::Config::try_from_consumer_config(config).map(Own)
    }
}

async fn of_an_own_kind(stream: &stream::Stream) -> Result<consumer::Info, async_nats::Error> {
    let consumer: Consumer<Own> = stream.get_consumer("a").await?;
    Ok(consumer.get_info().await?)
}

/// A state of the builder as a type parameter.
fn with_a_timeout<T: context::ToAssign>(builder: context::ContextBuilder<T>) -> context::ContextBuilder<context::Yes> {
    builder.timeout(Duration::from_secs(1))
}

fn purging<S: stream::ToAssign, K: stream::ToAssign>(purge: stream::Purge<S, K>, filter: &str) -> stream::Purge<S, K> {
    purge.filter(filter)
}

/// Arguments that are converted: programs use each of these.
async fn with_other_arguments(context: &Context, config: stream::Config) -> Result<(), async_nats::Error> {
    context.create_stream(&config).await?;
    context.create_stream(config.clone()).await?;
    context.get_or_create_stream("a").await?;
    context.get_or_create_stream(&config).await?;
    context.update_stream(&config).await?;
    context.update_stream(config).await?;
    let stream = context.get_stream(String::from("a")).await?;
    context.delete_stream(&String::from("a")).await?;
    context.stream_by_subject(String::from("a")).await?;
    context.publish(String::from("a"), "b".into()).await?.await?;
    context.publish(Subject::from_static("a"), "b".into()).await?;
    stream.create_consumer(consumer::Config::from("durable")).await?;
    let pull: Consumer<pull::Config> = context.get_consumer_from_stream("a", String::from("b")).await?;
    let _: pull::Batch = pull.fetch().group(String::from("c")).messages().await?;
    stream.purge().filter("a").sequence(3).await?;
    stream.purge().keep(3).filter(String::from("a")).await?;
    Ok(())
}

#[test]
fn numbers_of_variants_are_the_same() {
    assert_eq!([stream::DiscardPolicy::Old as u8, stream::DiscardPolicy::New as u8], [0, 1]);
    assert_eq!([stream::StorageType::File as u8, stream::StorageType::Memory as u8], [0, 1]);
    assert_eq!([stream::PersistenceMode::Default as u8, stream::PersistenceMode::Async as u8], [0, 1]);
    let retention = stream::RetentionPolicy::WorkQueue;
    assert_eq!([retention as u8, stream::RetentionPolicy::Interest as u8, Default::default()], [2, 1, 0]);
    let acks = [consumer::AckPolicy::None, consumer::AckPolicy::All, Default::default()];
    assert_eq!(acks.map(|policy| policy as u8), [0, 1, 2]);
    assert_eq!([consumer::ReplayPolicy::Instant as u8, consumer::ReplayPolicy::Original as u8], [0, 1]);
}
