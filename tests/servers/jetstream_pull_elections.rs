//! A pull consumer of a cluster whose leaders step down: servers drop its pulls, often without a word.
//!
//! `STEPDOWNS=100 HEARTBEAT=15000 cargo test --test servers jetstream_pull_elections -- --nocapture` shows the longest silence with a heartbeat
//! in milliseconds.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use nats_lifeline::jetstream::consumer::pull::{self, StreamEvent};
use nats_lifeline::jetstream::stream::{Config, StorageType};
use nats_lifeline::jetstream::{self, Context};
use nats_lifeline::{Client, ConnectOptions};
use serde_json::Value;

use super::jetstream_pull::number;
use crate::support::{Cluster, SOON, eventually, until_ok, within};

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

async fn connect(cluster: &Cluster) -> Client {
    ConnectOptions::new().connect(cluster.urls()).await.unwrap()
}

/// When each message was stored.
type Published = Arc<Mutex<Vec<Instant>>>;

async fn publish_all_the_time(context: Context, done: Arc<AtomicBool>, published: Published) {
    while !done.load(Ordering::Relaxed) {
        let number = published.lock().unwrap().len();
        if let Ok(ack) = context.publish("orders", number.to_string().into()).await {
            if ack.await.is_ok() {
                published.lock().unwrap().push(Instant::now());
            }
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_when_leaders_step_down() {
    let cluster = Cluster::with_jetstream(3).await;
    let (calm, client) = (jetstream::new(connect(&cluster).await), connect(&cluster).await);
    let config = Config {
        name: "ORDERS".to_owned(),
        subjects: vec!["orders".to_owned()],
        storage: StorageType::File,
        num_replicas: 3,
        ..Config::default()
    };
    let stream = until_ok("a stream", async || calm.create_stream(config.clone()).await).await;
    // A server that steps down can lose a message that it counts as delivered. It comes again after this time.
    let ack_wait = Duration::from_secs(5);
    let durable = pull::Config { durable_name: Some("c".to_owned()), ack_wait, ..pull::Config::default() };
    until_ok("a consumer", async || stream.create_consumer(durable.clone()).await).await;
    let context = jetstream::new(client);
    let consumer: jetstream::consumer::PullConsumer =
        until_ok("the consumer", async || context.get_consumer_from_stream("c", "ORDERS").await).await;
    let heartbeat = Duration::from_millis(setting("HEARTBEAT", 1_000));
    let mut messages = consumer.stream().heartbeat(heartbeat).messages().await.unwrap();
    let mut events = messages.events();

    let (done, published) = (Arc::new(AtomicBool::new(false)), Published::default());
    let publisher = tokio::spawn(publish_all_the_time(calm.clone(), done.clone(), published.clone()));
    let read = Arc::new(AtomicU64::new(0));
    let reader = tokio::spawn({
        let (done, published, read) = (done.clone(), published.clone(), read.clone());
        async move {
            let (mut got, mut longest, mut last) = (BTreeSet::new(), Duration::ZERO, Instant::now());
            while !(done.load(Ordering::Relaxed) && got.len() >= published.lock().unwrap().len()) {
                // The publisher may be done while this waits.
                let Ok(message) = tokio::time::timeout(Duration::from_millis(100), messages.next()).await else {
                    assert!(last.elapsed() < SOON * 3, "no message for {:?}", last.elapsed());
                    continue;
                };
                let message = message.unwrap().unwrap();
                // Since it was stored, or read what came before.
                let stored = published.lock().unwrap().get(number(&message) as usize).copied();
                let silence = last.max(stored.unwrap_or_else(Instant::now)).elapsed();
                if message.info().unwrap().delivered == 1 {
                    longest = longest.max(silence);
                }
                last = Instant::now();
                message.ack().await.unwrap();
                got.insert(number(&message));
                read.store(got.len() as u64, Ordering::Relaxed);
            }
            (got, longest)
        }
    });
    let mut told = Vec::new();
    for step in 0..setting("STEPDOWNS", 12) {
        let before = read.load(Ordering::Relaxed);
        eventually("messages between two elections", SOON * 3, async || read.load(Ordering::Relaxed) > before + 20)
            .await;
        let what = if step % 2 == 0 { "CONSUMER.LEADER.STEPDOWN.ORDERS.c" } else { "STREAM.LEADER.STEPDOWN.ORDERS" };
        // It is refused while there is no leader.
        let _: Result<Value, _> = calm.request(what, &()).await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(1), events.next()).await {
            told.push(event);
        }
    }
    done.store(true, Ordering::Relaxed);
    within("the publisher", SOON * 2, publisher).await.unwrap();
    let (got, longest) = within("the last messages", SOON * 4, reader).await.unwrap();
    assert!(got.into_iter().eq(0..published.lock().unwrap().len() as u64), "everything that was stored was delivered");
    let mut counts = std::collections::BTreeMap::new();
    for event in told {
        if let StreamEvent::Began(trouble) = event {
            *counts.entry(trouble).or_insert(0) += 1;
        }
    }
    println!("the longest silence with a heartbeat of {heartbeat:?}: {longest:?}; reported: {counts:?}");
}
