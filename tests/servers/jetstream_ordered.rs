//! Ordered push consumers over broken connections, restarts, and streams that lose messages.
//!
//! `MESSAGES=1000000 cargo test --release --test servers jetstream_ordered::every` reads a million.

use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::jetstream;
use nats_lifeline::jetstream::consumer::DeliverPolicy;
use nats_lifeline::jetstream::consumer::ordered::{Cause, Delivery};
use nats_lifeline::jetstream::consumer::push::{OrderedConfig, OrderedErrorKind};
use nats_lifeline::jetstream::stream::{Config, StorageType};

use super::jetstream_reading::{
    World, next, read_through_cuts, read_through_kills, read_through_moves, read_with_gaps, small_stream,
};
use crate::support::{Cut, soon};

// J3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_comes_once_in_order_through_cuts_at_random_bytes() {
    let world = World::in_memory().await;
    let messages = world.read(DeliverPolicy::All).await;
    read_through_cuts(world, messages).await;
}

// J10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_move_keeps_the_consumer() {
    let world = World::in_memory().await;
    let consumer = world.consumer(OrderedConfig::default()).await;
    let name = consumer.cached_info().name.clone();
    let messages = soon("a subscription", consumer.messages()).await.unwrap();
    read_through_moves(&world, messages, &name).await;
}

// J3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_starts_again_has_lost_the_consumer_and_no_message() {
    let world = World::start(Config::default()).await;
    world.store(1..=1000).await;
    let messages = world.read(DeliverPolicy::All).await;
    read_through_kills(world, messages).await;
}

// J3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_stream_has_dropped_is_reported_exactly_before_the_next_message() {
    let world = small_stream().await;
    let mut deliveries = world.read(DeliverPolicy::All).await.with_gaps();
    let lost = read_with_gaps(world, &mut deliveries).await;
    assert_eq!(deliveries.get_ref().missing(), lost);
}

// J3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_stays_where_the_server_found_it_over_an_outage() {
    let world = World::in_memory().await;
    world.store(1..=9).await;
    let time = world.stream.get_raw_message(5).await.unwrap().time;
    let mut readers = Vec::new();
    for (policy, first) in [
        (DeliverPolicy::All, 1),
        (DeliverPolicy::New, 10),
        (DeliverPolicy::Last, 9),
        (DeliverPolicy::ByStartSequence { start_sequence: 4 }, 4),
        (DeliverPolicy::ByStartTime { start_time: time }, 5),
    ] {
        let consumer = world.consumer(OrderedConfig { deliver_policy: policy, ..OrderedConfig::default() }).await;
        readers.push((policy, first, consumer));
    }
    // Nothing was delivered when the connection breaks, and messages are stored before there is another one.
    world.proxy.refuse().await;
    let mut streams = Vec::new();
    for (policy, first, consumer) in readers {
        streams.push((policy, first, soon("a subscription", consumer.messages()).await.unwrap()));
    }
    world.proxy.cut(Cut::Rst);
    world.store(10..=12).await;
    world.proxy.admit().await;
    for (policy, first, messages) in &mut streams {
        for expected in *first..=12 {
            assert_eq!(next(messages).await, expected, "{policy:?}");
        }
    }
}

// J3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_message_of_each_subject_comes_first() {
    let world = World::in_memory().await;
    world.store(1..=9).await;
    let config = OrderedConfig {
        deliver_policy: DeliverPolicy::LastPerSubject,
        filter_subject: "readings.*".to_owned(),
        ..OrderedConfig::default()
    };
    let mut messages = world.consumer(config).await.messages().await.unwrap();
    assert_eq!(next(&mut messages).await, 7);
    world.proxy.refuse().await;
    world.proxy.cut(Cut::Rst);
    world.store(10..=11).await;
    world.proxy.admit().await;
    for expected in 8..=11 {
        assert_eq!(next(&mut messages).await, expected);
    }
    assert_eq!(messages.missing(), 0);
}

// J3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_filter_what_was_dropped_during_an_outage_is_reported() {
    let limited = Config { storage: StorageType::Memory, max_messages: 30, ..Config::default() };
    let world = World::start(limited).await;
    world.store(1..=10).await;
    let config = OrderedConfig { filter_subject: "readings.1".to_owned(), ..OrderedConfig::default() };
    let mut deliveries = world.consumer(config).await.messages().await.unwrap().with_gaps();
    for expected in [1, 4, 7, 10] {
        let Delivery::Message(message) = soon("a message", deliveries.next()).await.unwrap().unwrap() else { panic!() };
        assert_eq!(message.info().unwrap().stream_sequence, expected);
    }
    world.proxy.refuse().await;
    world.proxy.cut(Cut::Rst);
    world.store(11..=100).await;
    world.proxy.admit().await;
    let mut got = Vec::new();
    for _ in 0..4 {
        got.push(match soon("a delivery", deliveries.next()).await.unwrap().unwrap() {
            Delivery::Message(message) => format!("{}", message.info().unwrap().stream_sequence),
            Delivery::Gap(gap) => format!("{}..={}", gap.first, gap.last),
            Delivery::Interrupted(cause) => format!("{cause:?}"),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(got, ["Interrupted", "Resumed", "11..=70", "73"]);
}

// J3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_stream_the_trouble_is_reported_once_and_a_new_stream_is_read_from_its_beginning() {
    let world = World::in_memory().await;
    world.store(1..=5).await;
    let mut deliveries = world.read(DeliverPolicy::New).await.with_gaps();
    world.store(6..=7).await;
    for _ in 6..=7 {
        assert!(matches!(soon("a message", deliveries.next()).await, Some(Ok(Delivery::Message(_)))));
    }
    let context = jetstream::new(world.calm.clone());
    soon("the end of the stream", context.delete_stream("READINGS")).await.unwrap();
    // Nobody says that a push consumer is gone; a new connection shows it early.
    world.proxy.cut(Cut::Rst);
    let outage = soon("an outage", deliveries.next()).await.unwrap().unwrap();
    assert!(matches!(outage, Delivery::Interrupted(Cause::Interrupted)), "{outage:?}");
    let error = soon("the trouble", deliveries.next()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), OrderedErrorKind::Recreate);
    assert!(error.to_string().contains("stream not found"), "{error}");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let config = Config { storage: StorageType::Memory, ..world.stream.cached_info().config.clone() };
    soon("a stream", context.create_stream(config)).await.unwrap();
    world.store(1..=9).await;
    let mut numbers = Vec::new();
    while numbers.len() < 9 {
        match soon("a delivery", deliveries.next()).await.unwrap().unwrap() {
            Delivery::Message(message) => numbers.push(message.info().unwrap().stream_sequence),
            Delivery::Interrupted(cause) => assert_eq!(cause, Cause::StreamReset),
            Delivery::Resumed => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(numbers, (1..=9).collect::<Vec<_>>());
    assert_eq!(deliveries.get_ref().missing(), 0);
}

// J11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_consumers_are_left_as_streams_are_read() {
    let world = World::in_memory().await;
    world.store(1..=3).await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(world.read(DeliverPolicy::All).await);
    }
    for round in 1..=3 {
        for messages in &mut streams {
            assert_eq!(next(messages).await, round);
        }
        world.proxy.cut(Cut::Rst);
    }
    world.store(4..=4).await;
    for messages in &mut streams {
        assert_eq!(next(messages).await, 4);
    }
    world.has_consumers(100).await;
    streams.truncate(40);
    world.has_consumers(40).await;
    streams.clear();
    world.has_consumers(0).await;
}
