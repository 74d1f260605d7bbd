//! JetStream in the broker, as a user's tests have it: publishing, deduplication, acknowledgements, redeliveries, and faults. What
//! the client survives is shown elsewhere; here the broker must show what it was asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use nats_lifeline::jetstream::consumer::push;
use nats_lifeline::jetstream::context::{ContextBuilder, PublishErrorKind};
use nats_lifeline::jetstream::message::{AckKind, PublishMessage};
use nats_lifeline::jetstream::publish::{PublishOutcome, RetryOptions};
use nats_lifeline::jetstream::stream::{Config, Stream};
use nats_lifeline::jetstream::{self, Context};
use nats_lifeline::testing::{Broker, NewPulls, WaitingPulls};
use nats_lifeline::{Client, StatusCode, Subscriber};

use crate::support::soon;

async fn broker() -> Broker {
    Broker::builder().jetstream(true).start().await.unwrap()
}

async fn context(broker: &Broker) -> Context {
    jetstream::new(nats_lifeline::connect(broker.url()).await.unwrap())
}

async fn orders(context: &Context) -> Stream {
    let config = Config { name: "ORDERS".to_owned(), subjects: vec!["orders.>".to_owned()], ..Config::default() };
    soon("a stream", context.get_or_create_stream(config)).await.unwrap()
}

async fn publish(context: &Context, numbers: std::ops::RangeInclusive<u32>) {
    for n in numbers {
        let ack = context.publish(format!("orders.{n}"), n.to_string().into()).await.unwrap();
        soon("an acknowledgement", ack.into_future()).await.unwrap();
    }
}

/// A durable push consumer for explicit acknowledgements, which are waited for two seconds.
async fn worker(stream: &Stream, client: &Client) -> push::Messages {
    let config = push::Config {
        durable_name: Some("worker".to_owned()),
        deliver_subject: client.new_inbox(),
        ack_wait: Duration::from_secs(2),
        ..push::Config::default()
    };
    let consumer = soon("a consumer", stream.create_consumer(config)).await.unwrap();
    soon("its messages", consumer.messages()).await.unwrap()
}

async fn next(messages: &mut push::Messages) -> jetstream::Message {
    soon("a message", messages.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_message_is_stored_once_for_each_id() {
    let broker = broker().await;
    let context = context(&broker).await;
    let stream = orders(&context).await;
    for expected in [false, true] {
        let message = PublishMessage::build().payload("four wheels".into()).message_id("a");
        let ack = soon("an acknowledgement", context.send_publish("orders.eu", message).await.unwrap().into_future())
            .await
            .unwrap();
        assert_eq!((ack.sequence, ack.duplicate), (1, expected));
    }
    let stored = broker.jetstream().messages("ORDERS");
    assert_eq!(
        (stored.len(), stored[0].subject.as_str(), &stored[0].payload[..]),
        (1, "orders.eu", &b"four wheels"[..])
    );
    assert_eq!(stream.get_raw_message(1).await.unwrap().payload, "four wheels");
    assert_eq!(broker.jetstream().names(), ["ORDERS"]);
}

#[tokio::test]
async fn a_lost_acknowledgement_is_what_a_retrying_publisher_survives() {
    let broker = broker().await;
    let client = nats_lifeline::connect(broker.url()).await.unwrap();
    let context = ContextBuilder::new().timeout(Duration::from_millis(300)).build(client);
    orders(&context).await;
    broker.jetstream().lose_publish_acks(1);
    let ack = context.publish("orders.eu", "one".into()).await.unwrap();
    let error = soon("a timeout", ack.into_future()).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::TimedOut);

    broker.jetstream().lose_publish_acks(1);
    let message = PublishMessage::build().payload("two".into());
    let outcome = soon("an outcome", context.publish_retry("orders.eu", message, RetryOptions::new())).await;
    assert!(matches!(outcome, PublishOutcome::Stored { .. }), "{outcome:?}");
    assert_eq!(broker.jetstream().messages("ORDERS").len(), 2);
}

#[tokio::test]
async fn what_is_not_acknowledged_is_delivered_again() {
    let broker = broker().await;
    let context = context(&broker).await;
    let stream = orders(&context).await;
    let mut messages = worker(&stream, &context.client()).await;
    publish(&context, 1..=3).await;
    let (first, second, third) = (next(&mut messages).await, next(&mut messages).await, next(&mut messages).await);
    soon("a confirmation", first.double_ack()).await.unwrap();
    second.ack_with(AckKind::Nak(None)).await.unwrap();
    let again = next(&mut messages).await;
    assert_eq!((again.info().unwrap().stream_sequence, again.info().unwrap().delivered), (2, 2));
    soon("a confirmation", again.double_ack()).await.unwrap();
    // Nothing was said of the third: its time runs out.
    let again = next(&mut messages).await;
    assert_eq!((again.info().unwrap().stream_sequence, again.info().unwrap().delivered), (3, 2));

    broker.jetstream().lose_acks(1);
    again.ack().await.unwrap();
    let again = next(&mut messages).await;
    assert_eq!((again.info().unwrap().stream_sequence, again.info().unwrap().delivered), (3, 3), "the ack was lost");
    soon("a confirmation", again.double_ack()).await.unwrap();
    let state = broker.jetstream().consumer("ORDERS", "worker").unwrap();
    assert_eq!((state.ack_pending, state.ack_floor_stream), (0, 3));
    drop(third);
}

#[tokio::test]
async fn an_ordered_consumer_reads_everything_once_whatever_is_lost_doubled_or_late() {
    let broker = broker().await;
    let context = context(&broker).await;
    let stream = orders(&context).await;
    let config =
        push::OrderedConfig { deliver_subject: context.client().new_inbox(), ..push::OrderedConfig::default() };
    let consumer = soon("a consumer", stream.create_consumer(config)).await.unwrap();
    let messages = soon("its messages", consumer.messages()).await.unwrap();
    let faults = broker.jetstream();
    publish(&context, 1..=2).await;
    faults.lose_deliveries(1);
    publish(&context, 3..=4).await;
    faults.double_deliveries(2);
    publish(&context, 5..=6).await;
    faults.delay_deliveries(1, Duration::from_millis(20));
    publish(&context, 7..=9).await;
    let sequences = messages.map_ok(|message| message.info().unwrap().stream_sequence).take(9);
    let sequences: Vec<u64> = soon("nine messages", sequences.try_collect()).await.unwrap();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[tokio::test]
async fn a_restart_keeps_streams_and_durable_consumers() {
    let broker = broker().await;
    let context = context(&broker).await;
    let stream = orders(&context).await;
    let mut messages = worker(&stream, &context.client()).await;
    publish(&context, 1..=2).await;
    soon("a confirmation", next(&mut messages).await.double_ack()).await.unwrap();
    broker.restart().await.unwrap();
    let second = next(&mut messages).await;
    assert_eq!(second.info().unwrap().stream_sequence, 2);
    assert_eq!(broker.jetstream().messages("ORDERS").len(), 2);
}

#[tokio::test]
async fn the_brokers_of_a_cluster_have_the_same_streams() {
    let cluster = Broker::builder().jetstream(true).cluster(2).await.unwrap();
    let first = context(&cluster[0]).await;
    orders(&first).await;
    publish(&first, 1..=2).await;
    cluster[0].kill();
    let second = context(&cluster[1]).await;
    publish(&second, 3..=3).await;
    assert_eq!(cluster[1].jetstream().messages("ORDERS").len(), 3);
}

#[tokio::test]
async fn a_pull_consumer_goes_on_after_each_fault() {
    let broker = broker().await;
    let context = context(&broker).await;
    let stream = orders(&context).await;
    let config = jetstream::consumer::pull::Config {
        durable_name: Some("puller".to_owned()),
        ack_wait: Duration::from_millis(500),
        ..Default::default()
    };
    let consumer = soon("a consumer", stream.create_consumer(config)).await.unwrap();
    let short = consumer.stream().max_messages_per_batch(10).heartbeat(Duration::from_millis(200));
    let messages = soon("its messages", short.expires(Duration::from_secs(2)).messages()).await.unwrap();
    // Reports of trouble are items too.
    let mut messages = messages.filter_map(|item| async move { item.ok() }).boxed();
    let faults = broker.jetstream();
    let lasts = Duration::from_millis(100);
    for fault in 0..7 {
        match fault {
            0 => {}
            1 => faults.swallow_pulls(1),
            2 => assert!(faults.elect("ORDERS", "puller", lasts, NewPulls::NoResponders, WaitingPulls::Told)),
            3 => assert!(faults.elect("ORDERS", "puller", lasts, NewPulls::Swallowed, WaitingPulls::Vanish)),
            4 => faults.lose_deliveries(2),
            5 => faults.lose_acks(2),
            _ => broker.restart().await.unwrap(),
        }
        let numbers = 1 + 20 * fault..=20 * (fault + 1);
        publish(&context, numbers.clone()).await;
        let mut missing: BTreeSet<u64> = numbers.map(u64::from).collect();
        while !missing.is_empty() {
            let message = soon("a message", messages.next()).await.unwrap();
            missing.remove(&message.info().unwrap().stream_sequence);
            message.ack().await.unwrap();
        }
    }
    let all_acknowledged = |broker: &Broker| {
        let state = broker.jetstream().consumer("ORDERS", "puller");
        state.is_some_and(|state| (state.pending, state.ack_pending) == (0, 0))
    };
    // What was lost with an acknowledgement comes again, and is acknowledged by the reader.
    let reading = tokio::spawn(async move {
        while let Some(message) = messages.next().await {
            message.ack().await.unwrap();
        }
    });
    broker.wait_until("acknowledgement of everything", all_acknowledged).await.unwrap();
    reading.abort();
}

/// A pull by hand, with a reply subject of its own.
async fn pull(client: &Client, body: &'static str) -> Subscriber {
    let inbox = client.new_inbox();
    let replies = client.subscribe(inbox.clone()).await.unwrap();
    let verb = "$JS.API.CONSUMER.MSG.NEXT.ORDERS.puller";
    client.publish_with_reply(verb, inbox, body.into()).await.unwrap();
    client.flush().await.unwrap();
    replies
}

async fn silence(replies: &mut Subscriber) {
    assert!(tokio::time::timeout(Duration::from_millis(100), replies.next()).await.is_err());
}

#[tokio::test]
async fn an_election_swallows_pulls_or_refuses_them_and_ends() {
    let broker = broker().await;
    let context = context(&broker).await;
    let (stream, client) = (orders(&context).await, context.client());
    let config = jetstream::consumer::pull::Config { durable_name: Some("puller".to_owned()), ..Default::default() };
    soon("a consumer", stream.create_consumer(config)).await.unwrap();
    let faults = broker.jetstream();

    let mut waiting = pull(&client, r#"{"batch":5}"#).await;
    let lasts = Duration::from_secs(1);
    assert!(faults.elect("ORDERS", "puller", lasts, NewPulls::NoResponders, WaitingPulls::Told));
    let status = soon("a status", waiting.next()).await.unwrap().status;
    assert_eq!(status, Some(StatusCode::REQUEST_TERMINATED));
    let refused = soon("a status", pull(&client, "").await.next()).await.unwrap().status;
    assert_eq!(refused, Some(StatusCode::NO_RESPONDERS));
    publish(&context, 1..=1).await;
    tokio::time::sleep(lasts).await;
    let message = soon("a message", pull(&client, "").await.next()).await.unwrap();
    assert_eq!(message.payload, "1");

    let mut waiting = pull(&client, r#"{"batch":5}"#).await;
    assert!(faults.elect("ORDERS", "puller", lasts, NewPulls::Swallowed, WaitingPulls::Vanish));
    let mut swallowed = pull(&client, "").await;
    publish(&context, 2..=2).await;
    tokio::time::sleep(lasts).await;
    silence(&mut waiting).await;
    silence(&mut swallowed).await;

    faults.swallow_pulls(1);
    let mut swallowed = pull(&client, "").await;
    silence(&mut swallowed).await;
    let message = soon("a message", pull(&client, "").await.next()).await.unwrap();
    assert_eq!(message.payload, "2");
}

#[tokio::test]
async fn a_stream_goes_offline_and_a_consumer_vanishes() {
    let broker = broker().await;
    let context = context(&broker).await;
    let (stream, client) = (orders(&context).await, context.client());
    let _messages = worker(&stream, &client).await;
    assert!(broker.jetstream().take_offline("ORDERS", Duration::from_secs(1)));
    let refused = soon("a status", client.request("orders.eu", "".into())).await.unwrap_err();
    assert_eq!(refused.kind(), nats_lifeline::RequestErrorKind::NoResponders);
    tokio::time::sleep(Duration::from_secs(1)).await;
    publish(&context, 1..=1).await;
    assert_eq!(broker.jetstream().consumers("ORDERS"), ["worker"]);
    assert!(broker.jetstream().lose_consumer("ORDERS", "worker"));
    assert!(!broker.jetstream().lose_consumer("ORDERS", "worker"));
    assert!(soon("an answer", stream.consumer_info("worker")).await.is_err());
}

#[tokio::test]
async fn a_broker_has_no_jetstream_unless_asked() {
    let broker = Broker::start().await.unwrap();
    let context = context(&broker).await;
    assert!(context.query_account().await.is_err());
    assert!(broker.jetstream().names().is_empty());
    assert!(!broker.jetstream().take_offline("ORDERS", Duration::from_secs(1)));
}
