//! Messages are delivered and acknowledged.

use std::time::Duration;

use async_nats::Error;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, PullConsumer, PushConsumer, pull, push};
use async_nats::jetstream::{AckKind, Context, Message};
use futures_util::{StreamExt, TryStreamExt};

use crate::filled;

pub(crate) async fn pull(context: &Context) -> Result<(), Error> {
    println!("# pull");
    let stream = filled(context, "pulled", 100).await?;
    let consumer: PullConsumer = stream.create_consumer(durable("worker")).await?;

    let mut batch = consumer.fetch().max_messages(5).messages().await?;
    while let Some(message) = batch.next().await {
        let message = message?;
        let info = message.info()?;
        println!("{} {} {} {}", info.stream, info.consumer, info.stream_sequence, info.consumer_sequence);
        println!("{} {} {} {}", message.subject, text(&message), info.delivered, info.pending);
        message.ack().await?;
    }
    let waiting = consumer.batch().max_messages(10).expires(Duration::from_secs(5)).messages().await?;
    println!("batch: {:?}", acked(waiting).await?);
    let mut sequence = consumer.sequence(7)?;
    for _ in 0..2 {
        let batch = sequence.next().await.ok_or("sequences are endless")??;
        println!("sequence: {:?}", acked(batch).await?);
    }
    drop(sequence);
    println!("messages: {:?}", acked(consumer.messages().await?.take(71)).await?);
    let other: PullConsumer = stream.create_consumer(durable("other")).await?;
    let small_pulls = other
        .stream()
        .max_messages_per_batch(4)
        .expires(Duration::from_secs(10))
        .heartbeat(Duration::from_secs(2))
        .messages()
        .await?;
    println!("stream: {}", acked(small_pulls.take(100)).await?.len());
    println!("nothing left: {:?}", acked(consumer.fetch().max_messages(3).messages().await?).await?);
    let short = consumer.batch().max_messages(3).expires(Duration::from_millis(300)).messages().await?;
    println!("nothing came: {:?}", acked(short).await?);

    let filters = vec!["pulled.1".to_owned(), "pulled.2".to_owned()];
    let filtered = pull::Config { filter_subjects: filters, ack_policy: AckPolicy::None, ..Default::default() };
    let filtered = stream.create_consumer(filtered).await?;
    let some: Vec<String> =
        filtered.fetch().max_messages(4).messages().await?.map_ok(|m| text(&m)).try_collect().await?;
    println!("filtered: {some:?}");

    // It says so if it is deleted while a pull waits.
    let mut messages = consumer.messages().await?;
    let deletion = async {
        while consumer.get_info().await?.num_waiting == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stream.delete_consumer("worker").await?;
        Ok::<_, Error>(())
    };
    let (deleted, message) = tokio::join!(deletion, messages.try_next());
    deleted?;
    let error = message.map(|message| message.is_some()).unwrap_err();
    println!("deleted: {:?}: {error}", error.kind());
    println!("the end: {}", messages.next().await.is_none());
    Ok(())
}

pub(crate) async fn acknowledge(context: &Context) -> Result<(), Error> {
    println!("# acknowledgements");
    let stream = filled(context, "acked", 8).await?;
    let mut consumer: PullConsumer = stream.create_consumer(durable("worker")).await?;
    let mut messages = consumer.messages().await?;
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(messages.try_next().await?.ok_or("it goes on")?);
    }
    open[0].double_ack().await?;
    open[1].ack_with(AckKind::Term).await?;
    open[2].double_ack_with(AckKind::Term).await?;
    open[3].ack_with(AckKind::Progress).await?;
    open[4].ack_with(AckKind::Nak(None)).await?;
    open[5].ack_with(AckKind::Nak(Some(Duration::from_millis(200)))).await?;
    let (message, acker) = open[6].clone().split();
    println!("split: {} {:?}", String::from_utf8_lossy(&message.payload), message.reply);
    acker.double_ack().await?;
    for _ in 0..2 {
        let again = messages.try_next().await?.ok_or("it goes on")?;
        println!("again: {} {}", text(&again), again.info()?.delivered);
        again.double_ack().await?;
    }
    open[3].double_ack().await?;
    let info = consumer.info().await?;
    println!("open: {}, {} acknowledged", info.num_ack_pending, info.ack_floor.stream_sequence);
    open[7].double_ack().await?;
    println!("all acknowledged: {}", consumer.info().await?.ack_floor.stream_sequence);

    let message: async_nats::Message = open[0].clone().into();
    let foreign = Message { message: async_nats::Message { reply: None, ..message }, context: context.clone() };
    for result in [foreign.ack().await, foreign.double_ack().await] {
        println!("not of a consumer: {}", result.unwrap_err());
    }
    let strange = async_nats::Message { reply: Some("strange".into()), ..open[0].message.clone() };
    let strange = Message { message: strange, context: context.clone() };
    println!("no information: {} {}", foreign.info().is_err(), strange.info().is_err());
    Ok(())
}

pub(crate) async fn push(context: &Context) -> Result<(), Error> {
    println!("# push");
    let stream = filled(context, "pushed", 50).await?;
    let config = push::Config {
        deliver_subject: context.client().new_inbox(),
        durable_name: Some("listener".to_owned()),
        flow_control: true,
        idle_heartbeat: Duration::from_millis(500),
        ..Default::default()
    };
    let consumer: PushConsumer = stream.create_consumer(config).await?;
    println!("messages: {:?}", acked(consumer.messages().await?.take(50)).await?.len());
    println!("pending: {}", consumer.get_info().await?.num_pending);

    let config = push::Config {
        deliver_subject: context.client().new_inbox(),
        deliver_group: Some("workers".to_owned()),
        ..Default::default()
    };
    let consumer = stream.create_consumer(config).await?;
    let (mut one, mut other) = (consumer.messages().await?, consumer.messages().await?);
    let mut seen = Vec::new();
    while seen.len() < 50 {
        let message = tokio::select! {
            message = one.next() => message,
            message = other.next() => message,
        };
        let message = message.ok_or("it goes on")??;
        message.ack().await?;
        seen.push(message.info()?.stream_sequence);
    }
    seen.sort_unstable();
    println!("a group: {}", seen.into_iter().eq(1..=50));
    Ok(())
}

pub(crate) async fn in_order(context: &Context) -> Result<(), Error> {
    println!("# in order");
    let stream = filled(context, "ordered", 200).await?;
    let consumer: Consumer<pull::OrderedConfig> = stream.create_consumer(Default::default()).await?;
    println!("{:?} {}", consumer.cached_info().config.ack_policy, consumer.cached_info().config.memory_storage);
    println!("pulled: {}", sequences(consumer.messages().await?.take(200)).await?.into_iter().eq(1..=200));
    let filter = pull::OrderedConfig { filter_subject: "ordered.2".to_owned(), ..Default::default() };
    let consumer = stream.create_consumer(filter).await?;
    println!("filtered: {:?}", sequences(consumer.messages().await?.take(5)).await?);

    let config = push::OrderedConfig { deliver_subject: context.client().new_inbox(), ..Default::default() };
    let consumer = stream.create_consumer(config).await?;
    println!("{:?} {}", consumer.cached_info().config.ack_policy, consumer.cached_info().config.flow_control);
    println!("pushed: {}", sequences(consumer.messages().await?.take(200)).await?.into_iter().eq(1..=200));
    Ok(())
}

fn durable(name: &str) -> pull::Config {
    pull::Config { durable_name: Some(name.to_owned()), ..Default::default() }
}

fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.payload).into_owned()
}

/// Acknowledges all messages of a stream, and returns their texts.
async fn acked<E>(mut messages: impl StreamExt<Item = Result<Message, E>> + Unpin) -> Result<Vec<String>, Error>
where
    Error: From<E>,
{
    let mut texts = Vec::new();
    while let Some(message) = messages.next().await {
        let message = message?;
        message.double_ack().await?;
        texts.push(text(&message));
    }
    Ok(texts)
}

/// The positions of all messages of a stream.
async fn sequences<E>(mut messages: impl StreamExt<Item = Result<Message, E>> + Unpin) -> Result<Vec<u64>, Error>
where
    Error: From<E>,
{
    let mut all = Vec::new();
    while let Some(message) = messages.next().await {
        all.push(message?.info()?.stream_sequence);
    }
    Ok(all)
}
