//! Priority groups of pull consumers: overflow, one pinned client, and priorities.

use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::jetstream;
use nats_lifeline::jetstream::consumer::pull::{self, BatchEnd, BatchErrorKind, StreamEvent, StreamTrouble};
use nats_lifeline::jetstream::consumer::{PriorityPolicy, PullConsumer};
use nats_lifeline::options::Backoff;
use nats_lifeline::{Client, ConnectOptions};

use super::jetstream_pull::{World, number, read, waits};
use crate::support::{Cut, Proxy, SOON, Timeline, eventually, soon};

/// How long a pinned client may be silent before another one is pinned.
const PINNED: Duration = Duration::from_secs(2);

fn config(priority_policy: PriorityPolicy) -> pull::Config {
    let priority_timeout = if priority_policy == PriorityPolicy::PinnedClient { PINNED } else { Duration::ZERO };
    pull::Config {
        priority_policy,
        priority_groups: vec!["jobs".to_owned()],
        priority_timeout,
        ..pull::Config::default()
    }
}

/// Another client with its own view of the consumer.
async fn reader(url: String) -> (Client, PullConsumer) {
    let backoff = Backoff::fixed(Duration::from_millis(5));
    let client = ConnectOptions::new().backoff(backoff).connect(url).await.unwrap();
    let consumer = soon("it", jetstream::new(client.clone()).get_consumer_from_stream("c", "M")).await.unwrap();
    (client, consumer)
}

fn stream(consumer: &PullConsumer) -> pull::StreamBuilder<'_> {
    consumer.stream().group("jobs").max_messages_per_batch(2)
}

/// What the pulls said that went over the proxy's last connection.
fn pulls(proxy: &Proxy) -> Vec<String> {
    let lines = proxy.passages().last().unwrap().lines();
    lines.into_iter().filter(|line| line.starts_with('{') && line.contains("\"batch\":")).collect()
}

#[tokio::test]
async fn a_group_of_a_consumer_that_has_none_is_an_error() {
    let world = World::start().await;
    let consumer = world.consumer(pull::Config::default()).await;
    let error = consumer.fetch().group("jobs").messages().await.unwrap_err().to_string();
    assert_eq!(error, r#"pull request failed: the priority group "jobs": the consumer has no priority groups"#);
}

#[tokio::test]
async fn only_the_pinned_client_gets_messages_and_another_one_takes_over() {
    let world = World::start().await;
    let consumer = world.consumer(config(PriorityPolicy::PinnedClient)).await;
    assert_eq!(consumer.fetch().group("jobs").messages().await.unwrap_err().kind(), BatchErrorKind::PinnedClient);
    let mut first = stream(&consumer).messages().await.unwrap();
    world.publish(0..10).await;
    assert!(read(&mut first, 5).await.into_iter().eq(0..5));
    let mut second = stream(&consumer).messages().await.unwrap();
    assert!(waits(&mut second).await);
    assert!(read(&mut first, 5).await.into_iter().eq(5..10), "the first one stays pinned");
    soon("an unpinning", world.stream.unpin_consumer("c", "jobs")).await.unwrap();
    drop(first);
    world.publish(10..12).await;
    assert!(read(&mut second, 2).await.into_iter().eq(10..12));
}

// J2
#[tokio::test]
async fn an_overflow_reader_gets_messages_only_while_enough_are_pending() {
    let world = World::start().await;
    let consumer = world.consumer(config(PriorityPolicy::Overflow)).await;
    let mut overflow = stream(&consumer).min_pending(10).messages().await.unwrap();
    assert!(waits(&mut overflow).await);
    world.publish(0..9).await;
    let batch = || consumer.batch().group("jobs").expires(Duration::from_millis(300));
    let mut few = batch().min_pending(10).messages().await.unwrap();
    assert!(soon("the end", few.next()).await.is_none());
    assert_eq!(few.end(), Some(&BatchEnd::Expired));
    assert!(waits(&mut overflow).await, "nine are pending");
    world.publish(9..10).await;
    assert_eq!(read(&mut overflow, 1).await, [0], "ten are pending");
    assert!(waits(&mut overflow).await);
    // Someone without a condition gets what is left.
    let mut rest = batch().max_messages(9).messages().await.unwrap();
    for expected in 1..10 {
        let message = soon("a message", rest.next()).await.unwrap().unwrap();
        assert_eq!(number(&message), expected);
    }
    drop(overflow);
    // Nine acknowledgements are pending now.
    let mut backlog = batch().min_ack_pending(10).messages().await.unwrap();
    world.publish(10..11).await;
    assert!(soon("the end", backlog.next()).await.is_none());
    let mut backlog = batch().min_ack_pending(9).messages().await.unwrap();
    assert_eq!(number(&soon("a message", backlog.next()).await.unwrap().unwrap()), 10);
}

// J2
#[tokio::test]
async fn a_pinned_client_stays_pinned_over_a_lost_connection() {
    let world = World::start().await;
    world.consumer(config(PriorityPolicy::PinnedClient)).await;
    let proxy = Proxy::start(world.server.port()).await;
    let (client, consumer) = reader(proxy.url()).await;
    let mut first = stream(&consumer).messages().await.unwrap();
    world.publish(0..3).await;
    assert_eq!(read(&mut first, 3).await, [0, 1, 2]);
    let (_other, consumer) = reader(world.server.url()).await;
    let mut second = stream(&consumer).messages().await.unwrap();
    assert!(waits(&mut second).await);
    let timeline = Timeline::of(&client);
    for cut in 0..3 {
        proxy.cut(Cut::Rst);
        let from = 3 * (cut + 1);
        // It reads on over the loss.
        assert!(waits(&mut first).await);
        timeline.reconnected(usize::try_from(cut).unwrap()).await;
        world.publish(from..from + 3).await;
        assert!(read(&mut first, 3).await.into_iter().eq(from..from + 3));
        eventually("a pull", SOON, async || !pulls(&proxy).is_empty()).await;
        let pulls = pulls(&proxy);
        assert!(pulls[0].contains("\"id\":\""), "the first pull has the pin: {pulls:?}");
        assert!(waits(&mut second).await, "the other one gets nothing");
    }
}

// J2
#[tokio::test]
async fn a_client_that_is_away_for_long_loses_its_pin_and_gets_it_again_later() {
    let world = World::start().await;
    world.consumer(config(PriorityPolicy::PinnedClient)).await;
    let proxy = Proxy::start(world.server.port()).await;
    let (client, consumer) = reader(proxy.url()).await;
    let mut first = stream(&consumer).messages().await.unwrap();
    let mut events = first.events();
    world.publish(0..1).await;
    assert_eq!(read(&mut first, 1).await, [0]);
    let (other, consumer) = reader(world.server.url()).await;
    let mut second = stream(&consumer).messages().await.unwrap();
    assert!(waits(&mut second).await);
    let timeline = Timeline::of(&client);
    let connections = world.server.connections().len();
    proxy.refuse().await;
    proxy.cut(Cut::Fin);
    // Until the server knows, it sends messages to it.
    eventually("the loss", SOON, async || world.server.connections().len() < connections).await;
    world.publish(1..4).await;
    assert_eq!(read(&mut second, 3).await, [1, 2, 3], "it is pinned after {PINNED:?}");
    let first = tokio::spawn(async move { read(&mut first, 2).await });
    proxy.admit().await;
    timeline.reconnected(0).await;
    let mut reports = Vec::new();
    while !reports.contains(&StreamEvent::Began(StreamTrouble::Unpinned)) {
        reports.push(soon("a report", events.next()).await.unwrap());
    }
    world.publish(4..6).await;
    assert_eq!(read(&mut second, 2).await, [4, 5]);
    drop(second);
    // Until the server knows, it sends messages to it.
    other.flush().await.unwrap();
    world.publish(6..8).await;
    assert_eq!(soon("the first one's messages", first).await.unwrap(), [6, 7]);
}

// J2
#[tokio::test]
async fn an_unpinned_client_hears_of_it_and_goes_on_without_its_pin() {
    let world = World::start().await;
    world.consumer(config(PriorityPolicy::PinnedClient)).await;
    let (_client, consumer) = reader(world.server.url()).await;
    let mut first = stream(&consumer).messages().await.unwrap();
    let mut events = first.events();
    world.publish(0..1).await;
    assert_eq!(read(&mut first, 1).await, [0]);
    assert!(waits(&mut first).await);
    soon("an unpinning", world.stream.unpin_consumer("c", "jobs")).await.unwrap();
    // It is the only one, so it is pinned again, by another id.
    world.publish(1..5).await;
    assert_eq!(read(&mut first, 4).await, [1, 2, 3, 4]);
    eventually("acknowledgements", SOON, async || world.info().await.num_ack_pending == 0).await;
    drop(first);
    while let Some(event) = soon("a report", events.next()).await {
        if event == StreamEvent::Began(StreamTrouble::Unpinned) {
            return;
        }
    }
    panic!("nothing was reported");
}

// J2
#[tokio::test]
async fn the_reader_with_the_first_priority_gets_all_messages_and_another_one_takes_over() {
    let world = World::start().await;
    let consumer = world.consumer(config(PriorityPolicy::Prioritized)).await;
    let mut second = stream(&consumer).priority(5).messages().await.unwrap();
    assert!(waits(&mut second).await);
    let mut first = stream(&consumer).priority(0).messages().await.unwrap();
    assert!(waits(&mut first).await);
    world.client.flush().await.unwrap();
    world.publish(0..1).await;
    assert_eq!(read(&mut first, 1).await, [0]);
    assert!(waits(&mut second).await, "there is one of a higher priority");
    drop(first);
    world.client.flush().await.unwrap();
    world.publish(1..21).await;
    assert!(read(&mut second, 20).await.into_iter().eq(1..21));
    drop(second);
    world.client.flush().await.unwrap();
    let mut batch = consumer.fetch().group("jobs").priority(0).expires(PINNED).messages().await.unwrap();
    world.client.flush().await.unwrap();
    world.publish(21..22).await;
    assert_eq!(number(&soon("a message", batch.next()).await.unwrap().unwrap()), 21);
}
