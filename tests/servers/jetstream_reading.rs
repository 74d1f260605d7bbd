//! What the tests of ordered and push consumers share: a server, a stream, a publisher, and readers through trouble.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use nats_lifeline::jetstream::consumer::DeliverPolicy;
use nats_lifeline::jetstream::consumer::OrderedPushConsumer;
use nats_lifeline::jetstream::consumer::ordered::Delivery;
use nats_lifeline::jetstream::consumer::push::{Ordered, OrderedConfig};
use nats_lifeline::jetstream::stream::{Config, StorageType, Stream};
use nats_lifeline::jetstream::{self, Context, Message};
use nats_lifeline::options::Backoff;
use nats_lifeline::{Client, ConnectOptions};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::support::{Cut, Direction, Proxy, SOON, Server, eventually, soon, within};

/// A server with a stream, a publisher on a calm connection, and a reader behind a proxy.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) calm: Client,
    pub(super) stream: Stream,
    pub(super) proxy: Proxy,
    pub(super) reader: Context,
}

impl World {
    pub(super) async fn start(config: Config) -> World {
        let server = Server::builder().jetstream().start().await;
        let calm = options().connect(server.url()).await.unwrap();
        let subjects = vec!["readings.*".to_owned()];
        let config = Config { name: "READINGS".to_owned(), subjects, ..config };
        let stream = soon("a stream", jetstream::new(calm.clone()).create_stream(config)).await.unwrap();
        let proxy = Proxy::start(server.port()).await;
        let reader = jetstream::new(options().connect(proxy.url()).await.unwrap());
        World { server, calm, stream, proxy, reader }
    }

    pub(super) async fn in_memory() -> World {
        World::start(Config { storage: StorageType::Memory, ..Config::default() }).await
    }

    /// Stores messages; their payloads are counted from 1, as their numbers in the stream are.
    pub(super) async fn store(&self, numbers: std::ops::RangeInclusive<u64>) {
        store(&self.calm, numbers).await;
    }

    pub(super) async fn consumer(&self, config: OrderedConfig) -> OrderedPushConsumer {
        let config = OrderedConfig { deliver_subject: self.reader.client().new_inbox(), ..config };
        soon("a consumer", self.reader.create_consumer_on_stream(config, "READINGS")).await.unwrap()
    }

    pub(super) async fn read(&self, deliver_policy: DeliverPolicy) -> Ordered {
        let consumer = self.consumer(OrderedConfig { deliver_policy, ..OrderedConfig::default() }).await;
        soon("a subscription", consumer.messages()).await.unwrap()
    }

    pub(super) async fn consumers(&self) -> usize {
        soon("names", self.stream.consumer_names().try_collect::<Vec<_>>()).await.unwrap().len()
    }

    /// Waits until the stream has this many consumers. One whose deletion was lost with a connection is deleted by the server, 30 s
    /// after it was used last.
    pub(super) async fn has_consumers(&self, count: usize) {
        within("the consumers", 3 * SOON, async {
            while self.consumers().await != count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

pub(super) fn options() -> ConnectOptions {
    ConnectOptions::new().backoff(Backoff::fixed(Duration::from_millis(2))).retry_on_initial_connect()
}

pub(super) async fn store(client: &Client, numbers: std::ops::RangeInclusive<u64>) {
    let last = *numbers.end();
    for number in numbers {
        let subject = format!("readings.{}", number % 3);
        // A server drops what it can't store in time. Once a message is acknowledged, those before it are stored.
        if number < last && number % 1000 > 0 {
            client.publish(subject, number.to_string().into()).await.unwrap();
        } else {
            soon("an acknowledgement", client.request(subject, number.to_string().into())).await.unwrap();
        }
    }
}

pub(super) async fn next<E: Debug>(
    messages: &mut (impl futures_util::Stream<Item = Result<Message, E>> + Unpin),
) -> u64 {
    let message = soon("a message", messages.next()).await.unwrap().unwrap();
    let number = message.info().unwrap().stream_sequence;
    assert_eq!(message.payload, number.to_string());
    number
}

/// Reads as many messages as the environment says, over a connection that is cut at random bytes.
pub(super) async fn read_through_cuts<E: Debug>(
    world: World,
    mut messages: impl futures_util::Stream<Item = Result<Message, E>> + Unpin,
) {
    let count: u64 = std::env::var("MESSAGES").map_or(20_000, |count| count.parse().expect("MESSAGES is a number"));
    let storing = tokio::spawn({
        let calm = world.calm.clone();
        async move { store(&calm, 1..=count).await }
    });
    let seed = rand::random();
    println!("SEED={seed}");
    let proxy = Arc::new(world.proxy);
    proxy.forget();
    let furthest = (count / 2).max(100_000);
    let cutting = tokio::spawn({
        let (proxy, mut rng) = (Arc::clone(&proxy), SmallRng::seed_from_u64(seed));
        async move {
            loop {
                let (connection, how) = (proxy.accepted(), if rng.random() { Cut::Rst } else { Cut::Fin });
                proxy.cut_at(Direction::ToClient, rng.random_range(1..furthest), how);
                while proxy.accepted() == connection {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
    });
    for expected in 1..=count {
        assert_eq!(next(&mut messages).await, expected);
    }
    cutting.abort();
    proxy.never_cut(Direction::ToClient);
    soon("the publisher", storing).await.unwrap();
    println!("{} connections", proxy.accepted());
    assert!(proxy.accepted() > 10);
}

/// Reads while the client moves from one connection to the next.
pub(super) async fn read_through_moves<E: Debug>(
    world: &World,
    mut messages: impl futures_util::Stream<Item = Result<Message, E>> + Unpin,
    name: &str,
) {
    let client = world.reader.client();
    let storing = tokio::spawn({
        let calm = world.calm.clone();
        async move { store(&calm, 1..=5000).await }
    });
    for expected in 1..=5000 {
        if expected % 1000 == 500 {
            let before = world.proxy.accepted();
            soon("a move", client.force_reconnect()).await.unwrap();
            let moved = || std::future::ready((world.proxy.accepted(), world.proxy.open()) == (before + 1, 1));
            eventually("the move", SOON, moved).await;
        }
        assert_eq!(next(&mut messages).await, expected);
    }
    soon("the publisher", storing).await.unwrap();
    let names: Vec<_> = soon("names", world.stream.consumer_names().try_collect()).await.unwrap();
    assert_eq!((names, world.proxy.accepted()), (vec![name.to_owned()], 6));
}

/// Kills the server in between.
pub(super) async fn read_through_kills<E: Debug>(
    mut world: World,
    mut messages: impl futures_util::Stream<Item = Result<Message, E>> + Unpin,
) {
    for round in 0..3 {
        let begin = round * 1000;
        for expected in begin + 1..=begin + 500 {
            assert_eq!(next(&mut messages).await, expected);
        }
        world.server.kill();
        world.server.restart().await;
        for expected in begin + 501..=begin + 1000 {
            assert_eq!(next(&mut messages).await, expected);
        }
        store_after_restart(&world, begin + 1001..=begin + 2000).await;
    }
    assert_eq!(next(&mut messages).await, 3001);
    world.has_consumers(1).await;
}

/// A server that has just started may not have its streams yet.
pub(super) async fn store_after_restart(world: &World, numbers: std::ops::RangeInclusive<u64>) {
    within("the stream", SOON, async {
        while world.stream.get_info().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    world.store(numbers).await;
}

/// A stream of 50 messages, with 20 so far.
pub(super) async fn small_stream() -> World {
    let limited = Config { storage: StorageType::Memory, max_messages: 50, ..Config::default() };
    let world = World::start(limited).await;
    world.store(1..=20).await;
    world
}

/// Reads a stream of 50 messages that gets 100 at a time. Returns how many were reported as lost.
pub(super) async fn read_with_gaps<E: Debug>(
    world: World,
    deliveries: &mut (impl futures_util::Stream<Item = Result<Delivery, E>> + Unpin),
) -> u64 {
    let done = Arc::new(AtomicBool::new(false));
    let storing = tokio::spawn({
        let (calm, done) = (world.calm.clone(), Arc::clone(&done));
        async move {
            let mut last = 20;
            while !done.load(Ordering::Relaxed) {
                store(&calm, last + 1..=last + 100).await;
                last += 100;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            last
        }
    });
    let (mut expected, mut gaps, mut lost, mut outages, mut read) = (1, 0, 0, 0, 0);
    while gaps < 20 {
        match soon("a delivery", deliveries.next()).await.unwrap().unwrap() {
            Delivery::Message(message) => {
                let number = message.info().unwrap().stream_sequence;
                assert_eq!(number, expected, "after {gaps} gaps");
                (expected, read) = (expected + 1, read + 1);
                if read % 150 == 0 {
                    world.proxy.refuse().await;
                    world.proxy.cut(Cut::Rst);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    world.proxy.admit().await;
                }
            }
            Delivery::Gap(gap) => {
                assert_eq!(gap.first, expected);
                assert!(gap.last >= gap.first);
                (expected, gaps, lost) = (gap.last + 1, gaps + 1, lost + gap.messages());
            }
            Delivery::Interrupted(_) => outages += 1,
            Delivery::Resumed => {}
            other => panic!("{other:?}"),
        }
    }
    done.store(true, Ordering::Relaxed);
    let last = soon("the publisher", storing).await.unwrap();
    // Each number is a message or in a gap, and the messages that the stream has were not skipped.
    assert_eq!(lost + read, expected - 1);
    assert!(outages > 0 && expected <= last + 1);
    within("the rest", SOON, async {
        while expected <= last {
            match deliveries.next().await.unwrap().unwrap() {
                Delivery::Message(message) => {
                    assert_eq!(message.info().unwrap().stream_sequence, expected);
                    expected += 1;
                }
                Delivery::Gap(gap) => {
                    assert!(gap.first == expected && gap.last <= last - 50, "{gap:?} of {last}");
                    (expected, lost) = (gap.last + 1, lost + gap.messages());
                }
                _ => {}
            }
        }
    })
    .await;
    lost
}
