//! Streams that report where messages are missing, and which messages a subscription loses at its limits.

use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::client::{Delivery, GapStream};
use nats_lifeline::connection::{ConnectionEvent, EndReason};
use nats_lifeline::options::{Handover, InvalidOption, SubscribeOptions, WhenFull};
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions, SubscribeErrorKind};

async fn client(broker: &Broker) -> Client {
    ConnectOptions::new().slow_consumer_grace(Duration::ZERO).connect(broker.url()).await.unwrap()
}

/// Reads what the stream yields until nothing more comes, as words.
async fn read(stream: &mut GapStream) -> Vec<String> {
    let mut got = Vec::new();
    while let Ok(Some(delivery)) = tokio::time::timeout(Duration::from_millis(300), stream.next()).await {
        got.push(match delivery {
            Delivery::Message(message) => String::from_utf8(message.payload.to_vec()).unwrap(),
            Delivery::Lagged(count) => format!("lagged {count}"),
            other => format!("{other:?}").to_lowercase(),
        });
    }
    got
}

/// Publishes these numbers, and returns when they have come back.
async fn publish(client: &Client, numbers: std::ops::Range<u64>) {
    for number in numbers {
        client.publish("a", number.to_string().into()).await.unwrap();
    }
    // The PONG comes after the messages.
    client.flush().await.unwrap();
}

// N11
#[tokio::test]
async fn a_lost_connection_is_reported_at_its_place_in_the_stream() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let mut events = client.events();
    let mut stream = client.subscribe("a").await.unwrap().with_gaps();
    let mut plain = client.subscribe("a").await.unwrap();
    publish(&client, 0..2).await;
    for _ in 0..2 {
        broker.disconnect_all();
        while !matches!(events.recv().await.unwrap(), ConnectionEvent::Reconnected { .. }) {}
    }
    publish(&client, 2..4).await;
    assert_eq!(read(&mut stream).await, ["0", "1", "interrupted", "2", "3"], "once, although there were two losses");
    // A waiting consumer is woken for it.
    broker.disconnect_all();
    assert_eq!(read(&mut stream).await, ["interrupted"]);
    for number in 0..4 {
        assert_eq!(plain.next().await.unwrap().payload, number.to_string(), "a plain stream has messages only");
    }
    client.close().await.unwrap();
    assert!(read(&mut stream).await.is_empty(), "the end is not a gap");
    assert_eq!(stream.subscriber().end_reason(), Some(EndReason::Closed));
}

// N11
#[tokio::test]
async fn a_planned_move_is_reported_where_messages_may_be_missing() {
    for overlap in [false, true] {
        let broker = Broker::start().await.unwrap();
        let choice = |overlap| if overlap { Handover::Overlap } else { Handover::Exclusive };
        let handover = choice(overlap);
        let client = ConnectOptions::new().handover(handover).connect(broker.url()).await.unwrap();
        let mut events = client.events();
        let mut group = client.queue_subscribe("a", "q".into()).await.unwrap().with_gaps();
        let mut plain = client.subscribe("a").await.unwrap().with_gaps();
        let opposite = SubscribeOptions::new().handover(choice(!overlap));
        let mut opposite = client.subscribe_with("a", opposite).await.unwrap().with_gaps();
        publish(&client, 0..2).await;
        client.force_reconnect().await.unwrap();
        while !matches!(events.recv().await.unwrap(), ConnectionEvent::Reconnected { .. }) {}
        publish(&client, 2..4).await;
        assert_eq!(read(&mut group).await, ["0", "1", "2", "3"], "at both servers for a moment");
        for (stream, overlaps) in [(&mut plain, overlap), (&mut opposite, !overlap)] {
            let gap = read(stream).await.contains(&"interrupted".to_owned());
            assert_eq!(gap, !overlaps);
        }
    }
}

// D21, P10
#[tokio::test]
async fn dropped_messages_are_reported_at_their_place() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let newest = SubscribeOptions::new().capacity(3);
    let oldest = newest.clone().when_full(WhenFull::DropOldest);
    let mut newest = client.subscribe_with("a", newest).await.unwrap().with_gaps();
    let mut oldest = client.subscribe_with("a", oldest).await.unwrap().with_gaps();
    publish(&client, 0..10).await;
    publish(&client, 10..12).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.flush().await.unwrap();
    assert_eq!(read(&mut newest).await, ["0", "1", "2", "lagged 9"]);
    assert_eq!(read(&mut oldest).await, ["lagged 9", "9", "10", "11"]);
    publish(&client, 12..13).await;
    assert_eq!((read(&mut newest).await, read(&mut oldest).await), (vec!["12".to_owned()], vec!["12".to_owned()]));
    for stream in [&newest, &oldest] {
        let counts = stream.subscriber().counts();
        assert_eq!((counts.delivered, counts.dropped, counts.pending, counts.pending_bytes), (4, 9, 0, 0));
        assert_eq!(counts.most_pending, 3);
    }
}

// D21
#[tokio::test]
async fn a_subscription_that_must_not_lose_messages_ends_instead() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let options = SubscribeOptions::new().capacity(3).when_full(WhenFull::Close);
    let mut stream = client.subscribe_with("a", options).await.unwrap().with_gaps();
    publish(&client, 0..10).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.flush().await.unwrap();
    assert_eq!(stream.subscriber().end_reason(), Some(EndReason::SlowConsumer));
    assert_eq!(read(&mut stream).await, ["0", "1", "2", "lagged 7"]);
    assert!(stream.next().await.is_none());
    broker.wait_until("the subscription is gone", |broker| broker.subscription_count() == 0).await.unwrap();
}

#[tokio::test]
async fn the_byte_limit_drops_the_oldest_too() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    // Subject and payload: five bytes per message.
    let options = SubscribeOptions::new().byte_capacity(12).when_full(WhenFull::DropOldest);
    let mut stream = client.subscribe_with("a", options).await.unwrap().with_gaps();
    publish(&client, 1000..1005).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.flush().await.unwrap();
    assert_eq!(read(&mut stream).await, ["lagged 3", "1003", "1004"]);
}

#[tokio::test]
async fn a_limit_of_zero_is_refused() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let error = client.subscribe_with("a", SubscribeOptions::new().capacity(0)).await.unwrap_err();
    assert_eq!(error.kind(), SubscribeErrorKind::Other);
    assert_eq!(
        error.source_as::<InvalidOption>().unwrap().to_string(),
        "invalid option capacity = 0: must be at least 1"
    );
    let group = SubscribeOptions::new().queue_group("two words");
    assert_eq!(client.subscribe_with("a", group).await.unwrap_err().kind(), SubscribeErrorKind::InvalidQueueName);
}
