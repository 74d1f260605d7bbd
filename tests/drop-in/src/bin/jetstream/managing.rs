//! Streams and consumers are created, changed, listed and deleted.

use std::time::Duration;

use async_nats::Error;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull, push};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, Source, StorageType};
use futures_util::TryStreamExt;

use crate::{impatient, outcome};

pub(crate) async fn streams(context: &Context) -> Result<(), Error> {
    println!("# streams");
    let account = context.query_account().await?;
    println!("account: {} streams, {} consumers", account.streams, account.consumers);

    let config = Config {
        name: "ORDERS".to_owned(),
        subjects: vec!["orders.>".to_owned()],
        storage: StorageType::Memory,
        duplicate_window: Duration::from_secs(60),
        max_age: Duration::from_secs(3600),
        description: Some("what is to be shipped".to_owned()),
        allow_direct: true,
        metadata: [("team".to_owned(), "shipping".to_owned())].into(),
        ..Default::default()
    };
    println!("as JSON: {}", serde_json::to_string(&config)?);
    println!("smallest: {}", serde_json::to_string(&Config::default())?);
    let mut stream = context.create_stream(&config).await?;
    let info = stream.cached_info();
    println!("created: {} {:?} {:?}", info.config.name, info.config.subjects, info.config.storage);
    println!("limits: {} {} {}", info.config.max_messages, info.config.max_bytes, info.config.num_replicas);
    println!("times: {:?} {:?}", info.config.max_age, info.config.duplicate_window);
    println!("state: {} messages, {} to {}", info.state.messages, info.state.first_sequence, info.state.last_sequence);
    println!("created again: {}", context.create_stream(&config).await?.cached_info().config.name);

    let other = Config { storage: StorageType::File, ..config.clone() };
    outcome("another one with its name", context.create_stream(other.clone()).await.map(drop));
    println!("got: {}", context.get_or_create_stream(other).await?.cached_info().config.name);
    let changed = Config { discard: DiscardPolicy::New, max_messages: 1000, ..config.clone() };
    let info = context.update_stream(&changed).await?;
    println!("updated: {:?} {}", info.config.discard, info.config.max_messages);
    let refused = Config { retention: RetentionPolicy::WorkQueue, max_consumers: 7, ..config.clone() };
    outcome("a change that is refused", context.update_stream(refused).await.map(drop));
    println!("seen: {}", stream.info().await?.config.max_messages);

    let archive = Config { name: "ARCHIVE".to_owned(), ..Default::default() };
    let both = Source {
        name: "ORDERS".to_owned(),
        domain: Some("a".to_owned()),
        external: Some(Default::default()),
        ..Default::default()
    };
    outcome("two places", context.create_stream(Config { mirror: Some(both), ..archive.clone() }).await.map(drop));
    let mirror = Some(Source { name: "ORDERS".to_owned(), ..Default::default() });
    let info = context.create_or_update_stream(Config { mirror, ..archive }).await?;
    println!("mirror: {:?}", info.config.mirror.map(|mirror| mirror.name));

    println!("by subject: {}", context.stream_by_subject("orders.new").await?);
    outcome("by an unknown subject", context.stream_by_subject("unknown").await);
    let mut names: Vec<String> = context.stream_names().try_collect().await?;
    names.sort();
    println!("names: {names:?}");
    let mut all: Vec<_> = context.streams().map_ok(|info| info.config.name).try_collect().await?;
    all.sort();
    println!("all: {all:?}");

    outcome("no name", context.get_stream("").await.map(drop));
    outcome("an invalid name", context.get_stream("a.b").await.map(drop));
    outcome("an unknown one", context.get_stream("NONE").await.map(drop));
    outcome("an update of it", context.update_stream(Config::from("NONE")).await.map(drop));
    outcome("creation without a name", context.create_stream(Config::default()).await.map(drop));
    outcome("creation with an invalid name", context.create_stream("a b").await.map(drop));
    outcome("deletion of an unknown one", context.delete_stream("NONE").await.map(drop));
    let without = context.get_stream_no_info("NONE").await?;
    outcome("its information", without.get_info().await.map(drop));
    Ok(())
}

pub(crate) async fn consumers(context: &Context) -> Result<(), Error> {
    println!("# consumers");
    let stream = context.get_stream("ORDERS").await?;
    let config = pull::Config {
        durable_name: Some("shipping".to_owned()),
        ack_wait: Duration::from_secs(20),
        filter_subject: "orders.new".to_owned(),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: 2 },
        max_deliver: 5,
        ..Default::default()
    };
    println!("as JSON: {}", serde_json::to_string(&config)?);
    let mut consumer = stream.create_consumer(config.clone()).await?;
    let info = consumer.cached_info();
    println!("created: {} of {}, {} pending", info.name, info.stream_name, info.num_pending);
    println!("{:?} {:?} {}", info.config.ack_policy, info.config.ack_wait, info.config.max_ack_pending);
    println!("{:?} {:?} {}", info.config.deliver_policy, info.config.durable_name, info.config.filter_subject);
    println!("delivered: {}", consumer.info().await?.delivered.stream_sequence);

    println!("got: {}", stream.get_consumer::<pull::Config>("shipping").await?.cached_info().name);
    let error = stream.get_consumer::<push::Config>("shipping").await.map(drop).unwrap_err();
    println!("got as a push consumer: {error}");
    outcome(
        "another kind",
        context.get_consumer_from_stream::<push::Config, _, _>("shipping", "ORDERS").await.map(drop),
    );
    println!(
        "got or created: {}",
        stream.get_or_create_consumer("billing", durable("billing")).await?.cached_info().name
    );
    println!("got: {}", stream.get_or_create_consumer("billing", durable("billing")).await?.cached_info().name);
    let changed = pull::Config { max_deliver: 7, ..config.clone() };
    outcome("created, but it exists", stream.create_consumer_strict(changed.clone()).await.map(drop));
    println!("updated: {}", stream.update_consumer(changed).await?.cached_info().config.max_deliver);
    outcome("an update of an unknown one", stream.update_consumer(durable("unknown")).await.map(drop));
    let policy = pull::Config { ack_policy: AckPolicy::None, ..config };
    outcome("a change that is refused", stream.create_consumer(policy).await.map(drop));
    outcome("an unknown one", stream.consumer_info("unknown").await.map(drop));
    println!("an unknown one: {}", stream.get_consumer::<pull::Config>("unknown").await.is_err());
    outcome("a stream that is unknown", context.create_consumer_on_stream(durable("a"), "NONE").await.map(drop));

    let until = chrono::DateTime::from_timestamp(4_102_444_800, 0).ok_or("a time")?;
    let paused = stream.pause_consumer("billing", until).await?;
    println!("paused: {} {}", paused.paused, paused.pause_until == until);
    println!("paused: {}", stream.consumer_info("billing").await?.paused);
    println!("resumed: {}", !stream.resume_consumer("billing").await?.paused);
    outcome("unpinned without a group", stream.unpin_consumer("billing", "jobs").await);
    outcome("reset", stream.reset_consumer("shipping", Some(1)).await.map(|reset| reset.reset_seq));

    let mut names: Vec<String> = stream.consumer_names().try_collect().await?;
    names.sort();
    println!("names: {names:?}");
    let mut all: Vec<_> = stream.consumers().map_ok(|info| (info.name, info.config.max_deliver)).try_collect().await?;
    all.sort();
    println!("all: {all:?}");
    println!("deleted: {}", stream.delete_consumer("billing").await?.success);
    outcome("deleted again", stream.delete_consumer("billing").await.map(drop));
    println!("deleted: {}", context.delete_consumer_from_stream("shipping", "ORDERS").await?.success);
    Ok(())
}

fn durable(name: &str) -> pull::Config {
    pull::Config { durable_name: Some(name.to_owned()), ..Default::default() }
}

pub(crate) async fn delete(context: &Context) -> Result<(), Error> {
    println!("# end");
    let stream = context.get_stream("ORDERS").await?;
    println!("purged: {}", stream.purge().filter("orders.paid").await?.purged);
    println!("all but one: {}", stream.purge().keep(1).await?.purged);
    let end = stream.get_info().await?.state.last_sequence;
    println!("before the end: {}", stream.purge().sequence(end).await?.purged);
    println!("deleted: {}", stream.delete_message(end).await?);
    outcome("deleted again", stream.delete_message(end).await);
    println!("left: {}", stream.get_info().await?.state.messages);
    let consumer: Consumer<pull::Config> = stream.create_consumer(durable("last")).await?;
    println!("deleted: {}", context.delete_stream("ORDERS").await?.success);
    outcome("purged", stream.purge().await.map(|purged| purged.purged));
    outcome("its information", stream.get_info().await.map(drop));
    outcome("its consumer", consumer.get_info().await.map(drop));
    outcome("publishing", impatient(context).publish("orders.new", "".into()).await?.await.map(drop));
    Ok(())
}
