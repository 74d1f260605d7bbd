//! Ordered pull consumers over broken connections, restarts, and streams that lose messages.
//!
//! `MESSAGES=1000000 cargo test --release --test servers jetstream_ordered_pull::every` reads a million.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use nats_lifeline::jetstream::consumer::OrderedPullConsumer;
use nats_lifeline::jetstream::consumer::pull::{Ordered, OrderedConfig, OrderedErrorKind};
use nats_lifeline::jetstream::stream::Config;

use super::jetstream_reading::{
    World, next, read_through_cuts, read_through_kills, read_through_moves, read_with_gaps, small_stream,
};
use crate::support::{Cut, Direction, SOON, eventually, soon, within};

async fn consumer(world: &World, config: OrderedConfig) -> OrderedPullConsumer {
    soon("a consumer", world.reader.create_consumer_on_stream(config, "READINGS")).await.unwrap()
}

async fn read(world: &World) -> Ordered {
    let consumer = consumer(world, OrderedConfig::default()).await;
    soon("a subscription", consumer.messages()).await.unwrap()
}

// J3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_comes_once_in_order_through_cuts_at_random_bytes() {
    let world = World::in_memory().await;
    let messages = read(&world).await;
    read_through_cuts(world, messages).await;
}

// J3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_starts_again_has_lost_the_consumer_and_no_message() {
    let world = World::start(Config::default()).await;
    world.store(1..=1000).await;
    let messages = read(&world).await;
    read_through_kills(world, messages).await;
}

// J3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_stream_has_dropped_is_reported_exactly_before_the_next_message() {
    let world = small_stream().await;
    let mut deliveries = read(&world).await.with_gaps();
    let lost = read_with_gaps(world, &mut deliveries).await;
    assert_eq!(deliveries.get_ref().missing(), lost);
}

// J3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_deleted_is_created_again_immediately() {
    let world = World::in_memory().await;
    world.store(1..=3).await;
    let consumer = consumer(&world, OrderedConfig::default()).await;
    let name = consumer.cached_info().name.clone();
    let mut messages = soon("a subscription", consumer.messages()).await.unwrap();
    for expected in 1..=3 {
        assert_eq!(next(&mut messages).await, expected);
    }
    soon("the end of the consumer", world.stream.delete_consumer(&name)).await.unwrap();
    world.store(4..=4).await;
    assert_eq!(next(&mut messages).await, 4);
    assert_eq!((messages.missing(), messages.last_sequence()), (0, Some(4)));
    world.has_consumers(1).await;
}

// J11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_consumers_are_left_as_streams_are_read() {
    let world = World::in_memory().await;
    world.store(1..=3).await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(read(&world).await);
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
    world.has_consumers(50).await;
    streams.clear();
    world.has_consumers(0).await;
}

// J11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_sixty_four_consumers_are_created_again_at_the_same_time() {
    let world = World::in_memory().await;
    let mut names = Vec::new();
    let mut tasks = Vec::new();
    for _ in 0..100 {
        let consumer = consumer(&world, OrderedConfig::default()).await;
        names.push(consumer.cached_info().name.clone());
        let mut messages = soon("a subscription", consumer.messages()).await.unwrap();
        tasks.push(tokio::spawn(async move { next(&mut messages).await }));
    }
    let infos = || soon("infos", world.stream.consumers().try_collect::<Vec<_>>());
    within("a pull of each", SOON, async {
        while infos().await.unwrap().iter().any(|info| info.num_waiting == 0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    // Requests of the client don't reach the server, which says that the consumers are gone.
    world.proxy.freeze(Direction::ToServer);
    for name in &names {
        soon("the end of a consumer", world.stream.delete_consumer(name)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Now they reach it, and its answers don't reach the client.
    world.proxy.freeze(Direction::ToClient);
    world.proxy.unfreeze(Direction::ToServer);
    let creations = || {
        let lines: Vec<_> = world.proxy.passages().iter().flat_map(|passage| passage.lines()).collect();
        let subjects = lines.iter().filter_map(|line| line.split(' ').nth(1));
        let again = subjects.filter(|subject| subject.contains(".CONSUMER.CREATE.") && subject.ends_with("_1"));
        again.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    eventually("creations", SOON, || std::future::ready(creations().len() >= 64)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(creations().len(), 64);
    world.proxy.unfreeze(Direction::ToClient);
    world.store(1..=1).await;
    for task in tasks {
        assert_eq!(soon("a message", task).await.unwrap(), 1);
    }
    assert_eq!(creations().len(), 100);
    world.has_consumers(0).await;
}

// J10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_move_keeps_the_consumer() {
    let world = World::in_memory().await;
    let consumer = consumer(&world, OrderedConfig::default()).await;
    let name = consumer.cached_info().name.clone();
    let messages = soon("a subscription", consumer.messages()).await.unwrap();
    read_through_moves(&world, messages, &name).await;
}

#[tokio::test]
async fn limits_of_the_consumer_are_kept_and_a_push_consumer_is_refused() {
    let world = World::in_memory().await;
    world.store(1..=30).await;
    let limits = OrderedConfig { max_batch: 3, max_bytes: 1000, ..OrderedConfig::default() };
    let mut messages = consumer(&world, limits).await.messages().await.unwrap();
    for expected in 1..=30 {
        assert_eq!(next(&mut messages).await, expected);
    }
    let push = nats_lifeline::jetstream::consumer::push::Config {
        name: Some("pushes".to_owned()),
        deliver_subject: "somewhere".to_owned(),
        ..Default::default()
    };
    soon("a consumer", world.stream.create_consumer(push)).await.unwrap();
    let wrong: OrderedPullConsumer =
        soon("a consumer", world.reader.get_consumer_from_stream("pushes", "READINGS")).await.unwrap();
    let mut messages = wrong.messages().await.unwrap();
    let error = soon("an error", messages.next()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), OrderedErrorKind::PushBasedConsumer);
    assert!(soon("the end", messages.next()).await.is_none());
}
