//! Push consumers: flow control, heartbeats, deliver groups, acknowledgements, and consumers that disappear.

use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::connection::Status;
use nats_lifeline::jetstream::consumer::push::{Config, Messages, MessagesErrorKind, OrderedConfig};
use nats_lifeline::jetstream::consumer::{AckPolicy, PushConsumer};
use nats_lifeline::jetstream::stream;

use super::jetstream_reading::{World, next};
use crate::support::{Cut, SOON, soon, within};

const HEARTBEAT: Duration = Duration::from_millis(500);

async fn consumer(world: &World, config: Config) -> PushConsumer {
    let deliver_subject = world.reader.client().new_inbox();
    let config = Config { deliver_subject, name: Some("pushed".to_owned()), ..config };
    soon("a consumer", world.reader.create_consumer_on_stream(config, "READINGS")).await.unwrap()
}

fn controlled() -> Config {
    Config { flow_control: true, idle_heartbeat: HEARTBEAT, ack_policy: AckPolicy::None, ..Config::default() }
}

async fn read(world: &World, config: Config) -> Messages {
    soon("a subscription", consumer(world, config).await.messages()).await.unwrap()
}

// J6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flow_control_slows_the_server_down_to_the_reader_and_no_message_is_lost() {
    let world = World::in_memory().await;
    // 60 MB, of which a server sends 2 MB and then waits.
    let (count, payload) = (6_000, bytes::Bytes::from(vec![b'x'; 10_000]));
    for number in 0..count {
        let subject = format!("readings.{}", number % 3);
        if number % 500 == 499 {
            soon("an acknowledgement", world.calm.request(subject, payload.clone())).await.unwrap();
        } else {
            world.calm.publish(subject, payload.clone()).await.unwrap();
        }
    }
    let mut messages = read(&world, controlled()).await;
    let first = soon("a message", messages.next()).await.unwrap().unwrap();
    assert_eq!(first.info().unwrap().stream_sequence, 1);
    // A reader that does not read has a window of messages, and the server waits although there are more.
    let sent =
        || async { soon("info", world.stream.consumer_info("pushed")).await.unwrap().delivered.consumer_sequence };
    let mut before = 0;
    within("the server to wait", Duration::from_secs(60), async {
        loop {
            tokio::time::sleep(2 * HEARTBEAT).await;
            let now = sent().await;
            if now == before {
                break;
            }
            before = now;
        }
    })
    .await;
    assert!((2..count / 3).contains(&before), "{before} messages were sent before one was read");
    for expected in 2..=count {
        let message = soon("a message", messages.next()).await.unwrap().unwrap();
        assert_eq!(message.info().unwrap().stream_sequence, expected);
    }
}

// J6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_acknowledged_before_an_outage_comes_again() {
    let world = World::in_memory().await;
    world.store(1..=5).await;
    let config = Config { ack_policy: AckPolicy::Explicit, ack_wait: Duration::from_secs(1), ..controlled() };
    let mut messages = read(&world, config).await;
    for _ in 1..=3 {
        let message = soon("a message", messages.next()).await.unwrap().unwrap();
        soon("an acknowledgement", message.double_ack()).await.unwrap();
    }
    assert_eq!(next(&mut messages).await, 4);
    world.proxy.cut(Cut::Rst);
    let mut again = Vec::new();
    while again.len() < 2 {
        let message = soon("a message", messages.next()).await.unwrap().unwrap();
        let (number, delivered) = (message.info().unwrap().stream_sequence, message.info().unwrap().delivered);
        if !again.contains(&number) && (delivered > 1 || number == 5) {
            soon("an acknowledgement", message.double_ack()).await.unwrap();
            again.push(number);
        }
    }
    again.sort_unstable();
    assert_eq!(again, [4, 5]);
    let counts = world.reader.delivery_counts();
    assert_eq!((counts.acked, counts.delivered - counts.open()), (5, 5));
}

// J2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_consumer_is_reported_after_two_missing_heartbeats() {
    let world = World::in_memory().await;
    world.store(1..=1).await;
    let mut messages = read(&world, controlled()).await;
    assert_eq!(next(&mut messages).await, 1);
    soon("the end of the consumer", world.stream.delete_consumer("pushed")).await.unwrap();
    let silent = soon("silence", messages.next()).await.unwrap().unwrap_err();
    assert_eq!(silent.kind(), MessagesErrorKind::MissingHeartbeat);
    let gone = soon("the answer", messages.next()).await.unwrap().unwrap_err();
    assert_eq!(gone.kind(), MessagesErrorKind::ConsumerDeleted);
    assert!(soon("the end", messages.next()).await.is_none());
}

// J2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_keep_a_quiet_consumer_alive_and_silence_is_reported_once() {
    let world = World::in_memory().await;
    world.store(1..=1).await;
    let mut messages = read(&world, controlled()).await;
    assert_eq!(next(&mut messages).await, 1);
    // Longer than two heartbeats, without a message.
    let quiet = tokio::time::timeout(5 * HEARTBEAT, messages.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    world.proxy.freeze(crate::support::Direction::ToClient);
    let silent = soon("silence", messages.next()).await.unwrap().unwrap_err();
    assert_eq!(silent.kind(), MessagesErrorKind::MissingHeartbeat);
    let quiet = tokio::time::timeout(5 * HEARTBEAT, messages.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    world.proxy.unfreeze(crate::support::Direction::ToClient);
    world.store(2..=2).await;
    assert_eq!(next(&mut messages).await, 2);
}

/// The reader's connection is lost, and there is none until the proxy admits it.
async fn disconnect(world: &World) {
    world.proxy.refuse().await;
    world.proxy.cut(Cut::Rst);
    let mut status = world.reader.client().status_watch();
    assert!(soon("the outage", status.wait_for(Status::Reconnecting)).await);
}

// J2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_ends_during_an_outage_is_missed_although_nothing_arrives_after_it() {
    let world = World::in_memory().await;
    world.store(1..=1).await;
    let mut messages = read(&world, controlled()).await;
    assert_eq!(next(&mut messages).await, 1);
    disconnect(&world).await;
    // The reader waits when the connection comes.
    let quiet = tokio::time::timeout(HEARTBEAT, messages.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    soon("the end of the consumer", world.stream.delete_consumer("pushed")).await.unwrap();
    let reading = tokio::spawn(async move {
        let silent = messages.next().await.unwrap().unwrap_err();
        (silent.kind(), messages.next().await.unwrap().unwrap_err().kind())
    });
    tokio::time::sleep(HEARTBEAT).await;
    world.proxy.admit().await;
    let kinds = soon("the end of the consumer", reading).await.unwrap();
    assert_eq!(kinds, (MessagesErrorKind::MissingHeartbeat, MessagesErrorKind::ConsumerDeleted));
}

// J2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordered_reader_that_begins_during_an_outage_finds_that_its_consumer_is_gone() {
    let world = World::in_memory().await;
    let consumer = world.consumer(OrderedConfig::default()).await;
    let name = consumer.cached_info().name.clone();
    disconnect(&world).await;
    soon("the end of the consumer", world.stream.delete_consumer(&name)).await.unwrap();
    let mut messages = soon("a subscription", consumer.messages()).await.unwrap();
    let reading = tokio::spawn(async move { next(&mut messages).await });
    tokio::time::sleep(HEARTBEAT).await;
    world.proxy.admit().await;
    world.store(1..=1).await;
    // Two of its heartbeats are 10 s.
    assert_eq!(within("a message", 3 * SOON, reading).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_members_of_a_deliver_group_share_the_messages() {
    let world = World::start(stream::Config { storage: stream::StorageType::Memory, ..Default::default() }).await;
    let config = Config { deliver_group: Some("workers".to_owned()), ack_policy: AckPolicy::None, ..Config::default() };
    let consumer = consumer(&world, config).await;
    let mut one = soon("a subscription", consumer.messages()).await.unwrap();
    let mut two = soon("a subscription", consumer.messages()).await.unwrap();
    // The server has both subscriptions.
    soon("a flush", world.reader.client().flush()).await.unwrap();
    world.store(1..=200).await;
    let (mut ones, mut twos) = (0, 0);
    within("all messages", Duration::from_secs(60), async {
        while ones + twos < 200 {
            tokio::select! {
                message = one.next() => ones += i32::from(message.unwrap().is_ok()),
                message = two.next() => twos += i32::from(message.unwrap().is_ok()),
            }
        }
    })
    .await;
    assert!(ones > 0 && twos > 0, "{ones} and {twos}");
}
