//! A slow consumer: the client waits for it first; then only this consumer loses messages, and exactly as many as are
//! counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::connection::ConnectionEvent;
use nats_lifeline::options::{SubscribeOptions, WhenFull};
use nats_lifeline::testing::{Broker, Source};
use nats_lifeline::{Client, ConnectOptions, Event, Subscriber};

async fn client(options: ConnectOptions, broker: &Broker) -> Client {
    options.connect(broker.url()).await.unwrap()
}

/// Reads until `last` has been read, or nothing more comes.
async fn read_until_gone(subscriber: &mut Subscriber) -> Vec<u64> {
    let mut got = Vec::new();
    while let Ok(Some(message)) = tokio::time::timeout(Duration::from_millis(300), subscriber.next()).await {
        got.push(std::str::from_utf8(&message.payload).unwrap().parse().unwrap());
    }
    got
}

// Scenario 68, D21, P10
#[tokio::test]
async fn a_consumer_that_does_not_read_loses_the_newest_and_others_lose_nothing() {
    let broker = Broker::start().await.unwrap();
    let repeated = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&repeated);
    let options = ConnectOptions::new()
        .subscription_capacity(10)
        .slow_consumer_grace(Duration::from_millis(50))
        .event_callback(move |event| {
            counter.fetch_add(usize::from(matches!(event, Event::SlowConsumer(_))), Ordering::Relaxed);
            std::future::ready(())
        });
    let receiver = client(options, &broker).await;
    let mut events = receiver.events();
    let mut slow = receiver.subscribe("a").await.unwrap();
    let mut quick = receiver.subscribe("a").await.unwrap();
    receiver.flush().await.unwrap();
    let reading = tokio::spawn(async move {
        let got = read_until_gone(&mut quick).await;
        (got, quick.dropped())
    });
    let publisher = client(ConnectOptions::new(), &broker).await;
    for number in 0..100 {
        publisher.publish("a", number.to_string().into()).await.unwrap();
        // Slowly enough for any reader to keep up.
        publisher.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (got, dropped) = reading.await.unwrap();
    assert_eq!((got, dropped), ((0..100).collect(), 0));

    assert_eq!(slow.pending(), 10);
    assert_eq!(slow.dropped(), 90);
    assert_eq!(read_until_gone(&mut slow).await, (0..10).collect::<Vec<_>>(), "the newest are dropped");
    assert_eq!(slow.delivered(), 10);

    let mut reported = Vec::new();
    while let Some(event) = events.try_recv() {
        if let ConnectionEvent::SlowConsumer { sid, .. } = event {
            reported.push(sid);
        }
    }
    assert_eq!(reported, [slow.sid()], "reported once, when it began");
    // D17: the callback gets an event for each read that lost messages; the number of messages per read depends on the
    // network.
    let times = repeated.load(Ordering::Relaxed);
    assert!((2..=90).contains(&times), "{times} times");

    // It has caught up: it loses nothing more, and a new series would be reported again.
    publisher.publish("a", "100".into()).await.unwrap();
    publisher.flush().await.unwrap();
    assert_eq!(read_until_gone(&mut slow).await, [100]);
}

// P10: limits in bytes
#[tokio::test]
async fn bytes_are_limited_too() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::new().subscription_byte_capacity(3000).slow_consumer_grace(Duration::from_millis(20));
    let receiver = client(options, &broker).await;
    let mut slow = receiver.subscribe("a").await.unwrap();
    receiver.flush().await.unwrap();
    // 1 byte of subject, 999 of payload: exactly three fit.
    for _ in 0..5 {
        receiver.publish("a", vec![b'0'; 999].into()).await.unwrap();
    }
    receiver.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    receiver.flush().await.unwrap();
    assert_eq!((slow.pending(), slow.dropped()), (3, 2));
    assert_eq!(read_until_gone(&mut slow).await.len(), 3);
}

// P10: a limit smaller than a message
#[tokio::test]
async fn one_message_fits_whatever_the_limit() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::new().subscription_byte_capacity(1).slow_consumer_grace(Duration::ZERO);
    let receiver = client(options, &broker).await;
    let oldest = SubscribeOptions::new().when_full(WhenFull::DropOldest);
    let mut newest = receiver.subscribe("a").await.unwrap();
    let mut latest = receiver.subscribe_with("a", oldest).await.unwrap();
    for _ in 0..3 {
        receiver.publish("a", vec![b'0'; 999].into()).await.unwrap();
        for reader in [&mut newest, &mut latest] {
            assert_eq!(reader.next().await.unwrap().payload.len(), 999);
        }
    }
    for number in 0..3 {
        receiver.publish("a", number.to_string().into()).await.unwrap();
    }
    receiver.flush().await.unwrap();
    // The readers get their turn first.
    while newest.dropped() < 2 || latest.dropped() < 2 {
        tokio::task::yield_now().await;
    }
    // If no message is read, one stays: the first or the last.
    assert_eq!((newest.pending(), newest.dropped()), (1, 2));
    assert_eq!(newest.next().await.unwrap().payload, "0");
    assert_eq!((latest.pending(), latest.dropped()), (1, 2));
    assert_eq!(latest.next().await.unwrap().payload, "2");
}

// D21: a consumer that reads as fast as it can is waited for
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_queue_loses_nothing_while_its_consumer_reads() {
    const MESSAGES: u64 = 100_000;
    let broker = Broker::start().await.unwrap();
    // The grace covers the longest time for which a loaded machine may keep the consumer from running.
    let options = ConnectOptions::new().subscription_capacity(16).slow_consumer_grace(Duration::from_secs(8));
    let receiver = client(options.ping_interval(Duration::from_secs(60)), &broker).await;
    let mut subscriber = receiver.subscribe("a").await.unwrap();
    receiver.flush().await.unwrap();
    let publisher = client(ConnectOptions::new(), &broker).await;
    let publishing = tokio::spawn(async move {
        for number in 0..MESSAGES {
            publisher.publish("a", number.to_string().into()).await.unwrap();
        }
        publisher.flush().await.unwrap();
    });
    for number in 0..MESSAGES {
        let message = tokio::time::timeout(Duration::from_secs(30), subscriber.next()).await.unwrap().unwrap();
        assert_eq!(message.payload, number.to_string());
    }
    publishing.await.unwrap();
    assert_eq!(subscriber.dropped(), 0);
}

// Fault J8. One poll of the task reads up to 4 MiB. The reader has the same thread: it can't run meanwhile.
#[test]
fn a_reader_on_the_tasks_own_thread_loses_nothing_while_it_takes_all_in_its_turn() {
    const MESSAGES: u64 = 300_000;
    let small = || ConnectOptions::new().subscription_capacity(100).slow_consumer_grace(Duration::ZERO);
    for (options, busy) in [(small(), 0), (small(), 20), (ConnectOptions::new(), 0), (ConnectOptions::new(), 20)] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let read = async {
            let source = Source::start(MESSAGES, 16).unwrap();
            let client = options.connect(source.url()).await.unwrap();
            let mut subscriber = client.subscribe("a").await.unwrap();
            while subscriber.delivered() + subscriber.dropped() < MESSAGES {
                subscriber.next().await.unwrap();
                if busy > 0 && subscriber.delivered() % 10_000 == 0 {
                    thread::sleep(Duration::from_millis(busy));
                }
            }
            subscriber.counts()
        };
        let counts = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), read).await.unwrap() });
        assert_eq!((counts.delivered, counts.dropped), (MESSAGES, 0), "busy for {busy} ms");
    }
}

// S67: received messages are never lost, whatever the consumer does with its future
#[tokio::test]
async fn a_cancelled_read_loses_no_message() {
    let broker = Broker::start().await.unwrap();
    let client = client(ConnectOptions::new(), &broker).await;
    let mut subscriber = client.subscribe("a").await.unwrap();
    let publisher = client.clone();
    let publishing = tokio::spawn(async move {
        for number in 0..500_u64 {
            publisher.publish("a", number.to_string().into()).await.unwrap();
            publisher.flush().await.unwrap();
        }
    });
    let mut got = Vec::new();
    while got.len() < 500 {
        // Usually cancelled immediately.
        if let Ok(Some(message)) = tokio::time::timeout(Duration::ZERO, subscriber.next()).await {
            got.push(std::str::from_utf8(&message.payload).unwrap().parse::<u64>().unwrap());
        }
        tokio::task::yield_now().await;
    }
    publishing.await.unwrap();
    assert_eq!(got, (0..500).collect::<Vec<_>>());
}

// D21: a reconnect does not wait for a consumer of the connection before
#[tokio::test]
async fn a_new_connection_is_made_while_a_consumer_is_waited_for() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::new()
        .subscription_capacity(4)
        .slow_consumer_grace(Duration::from_secs(600))
        .connection_timeout(Duration::from_secs(20));
    let client = client(options, &broker).await;
    let mut unread = client.subscribe("a").await.unwrap();
    client.flush().await.unwrap();
    let mut events = client.events();
    let publisher = self::client(ConnectOptions::new(), &broker).await;
    for number in 0..10 {
        publisher.publish("a", number.to_string().into()).await.unwrap();
    }
    publisher.flush().await.unwrap();
    while unread.pending() < 4 {
        tokio::task::yield_now().await;
    }
    broker.disconnect_all();
    // Nothing is read, so a write notices the loss. `SlowConsumer` would say that the wait is over.
    loop {
        client.publish("b", "".into()).await.unwrap();
        match tokio::time::timeout(Duration::from_millis(10), events.recv()).await {
            Ok(Some(ConnectionEvent::Reconnected { .. })) => break,
            Ok(Some(ConnectionEvent::SlowConsumer { .. })) => panic!("the new connection waited for the consumer"),
            _ => {}
        }
    }
    // What was still in the socket is gone with its connection.
    for number in 0..4 {
        assert_eq!(unread.next().await.unwrap().payload, number.to_string());
    }
}
