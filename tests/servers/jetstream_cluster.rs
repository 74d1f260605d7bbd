//! JetStream in a cluster of three servers with files, while they are killed, frozen and sent away, and leaders step down.
//!
//! `TROUBLES=100 cargo test --release --test servers jetstream_cluster` makes a hundred disturbances.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use nats_lifeline::jetstream::context::ContextBuilder;
use nats_lifeline::jetstream::message::PublishMessage;
use nats_lifeline::jetstream::publish::{PublishOutcome, RetryOptions};
use nats_lifeline::jetstream::stream::{Config, StorageType, Stream};
use nats_lifeline::jetstream::{self, Context};
use nats_lifeline::options::Backoff;
use nats_lifeline::{Client, ConnectOptions};

use crate::support::trouble::TROUBLES;
use crate::support::{Cluster, SOON, soon, until_ok, within};

async fn connect(cluster: &Cluster) -> Client {
    let options = ConnectOptions::new().backoff(Backoff::fixed(Duration::from_millis(20)));
    options.connect(cluster.urls()).await.unwrap()
}

/// How many disturbances the tests make.
fn troubles(usual: usize) -> usize {
    std::env::var("TROUBLES").map_or(usual, |count| count.parse().expect("TROUBLES is a number"))
}

async fn stream(calm: &Context) -> Stream {
    let config = Config {
        name: "ORDERS".to_owned(),
        subjects: vec!["orders".to_owned()],
        storage: StorageType::File,
        num_replicas: 3,
        allow_direct: true,
        duplicate_window: Duration::from_secs(3_600),
        ..Config::default()
    };
    until_ok("a replicated stream", async || calm.create_stream(config.clone()).await).await
}

/// How often each payload is stored.
async fn stored(stream: &Stream) -> HashMap<Vec<u8>, u64> {
    let mut counts = HashMap::new();
    let mut messages = stream.get_many().send().unwrap();
    while let Some(message) = within("stored messages", SOON * 2, messages.try_next()).await.unwrap() {
        *counts.entry(message.payload.to_vec()).or_default() += 1;
    }
    counts
}

// J1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_stored_once_whatever_the_cluster_goes_through() {
    let mut cluster = Cluster::with_jetstream(3).await;
    let calm = jetstream::new(connect(&cluster).await);
    let stream = stream(&calm).await;
    let context = ContextBuilder::new().timeout(Duration::from_secs(2)).build(connect(&cluster).await);
    let done = Arc::new(AtomicBool::new(false));
    let publishing: Vec<_> = (0..4)
        .map(|publisher| {
            let (context, done) = (context.clone(), done.clone());
            tokio::spawn(async move {
                let mut outcomes = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    let text = format!("{publisher}.{}", outcomes.len());
                    let message = PublishMessage::build().payload(text.clone().into());
                    outcomes.push((text, context.publish_retry("orders", message, RetryOptions::new()).await));
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                outcomes
            })
        })
        .collect();
    for trouble in TROUBLES.iter().cycle().take(troubles(8)) {
        within("a disturbance", SOON * 4, cluster.trouble(*trouble, &calm, "ORDERS", None)).await;
        within("a whole cluster", SOON * 4, cluster.whole()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    done.store(true, Ordering::Relaxed);
    let mut outcomes = Vec::new();
    for task in publishing {
        outcomes.extend(within("the last message", SOON * 4, task).await.unwrap());
    }
    let (counts, all) = (stored(&stream).await, outcomes.len());
    for (text, outcome) in outcomes {
        let count = counts.get(text.as_bytes()).copied().unwrap_or(0);
        assert!(matches!(outcome, PublishOutcome::Stored(_)), "{text}, stored {count} times: {outcome:?}");
        assert_eq!(count, 1, "{text} was acknowledged");
    }
    assert_eq!(counts.len(), all);
    let published = soon("outcomes", context.acks_outcome()).await;
    assert_eq!((published.published, published.stored), (all as u64, all as u64), "{published:?}");
}
