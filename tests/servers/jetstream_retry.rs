//! Publishing until a message is stored: over cuts, killed and frozen servers, each message is stored once, and its
//! outcome is true.
//!
//! `DROPS=1000 cargo test --release --test servers jetstream_retry` breaks the connection a thousand times.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nats_lifeline::jetstream::context::{ContextBuilder, PublishErrorKind};
use nats_lifeline::jetstream::message::PublishMessage;
use nats_lifeline::jetstream::publish::{PublishOutcome, RetryOptions};
use nats_lifeline::jetstream::stream::{Config, DiscardPolicy, StorageType, Stream};
use nats_lifeline::jetstream::{self, Context};
use nats_lifeline::options::Backoff;
use nats_lifeline::{Client, ConnectOptions};

use crate::support::{Cut, Direction, Proxy, Server, soon};

async fn connect(url: String) -> Client {
    ConnectOptions::new().backoff(Backoff::fixed(Duration::from_millis(2))).connect(url).await.unwrap()
}

fn config(window: Duration) -> Config {
    Config {
        name: "ORDERS".to_owned(),
        subjects: vec!["orders".to_owned()],
        storage: StorageType::File,
        duplicate_window: window,
        ..Config::default()
    }
}

fn order(text: String) -> PublishMessage {
    PublishMessage::build().payload(text.into())
}

/// How often each payload is stored.
async fn stored(stream: &Stream) -> HashMap<String, u64> {
    let mut counts = HashMap::new();
    let last = stream.get_info().await.unwrap().state.last_sequence;
    for sequence in 1..=last {
        let message = stream.get_raw_message(sequence).await.unwrap();
        *counts.entry(String::from_utf8(message.payload.to_vec()).unwrap()).or_default() += 1;
    }
    counts
}

// J1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_stored_once_over_cuts_and_killed_servers() {
    let drops: u64 = std::env::var("DROPS").map_or(30, |drops| drops.parse().expect("DROPS is a number"));
    let mut server = Server::builder().jetstream().start().await;
    let proxy = Proxy::start(server.port()).await;
    let calm = jetstream::new(connect(server.url()).await);
    let stream = soon("a stream", calm.create_stream(config(Duration::from_secs(3_600)))).await.unwrap();
    let context = ContextBuilder::new().timeout(Duration::from_secs(2)).build(connect(proxy.url()).await);
    let done = Arc::new(AtomicBool::new(false));
    let publishing: Vec<_> = (0..8)
        .map(|publisher| {
            let (context, done) = (context.clone(), done.clone());
            tokio::spawn(async move {
                let mut outcomes = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    let text = format!("{publisher}.{}", outcomes.len());
                    let outcome = context.publish_retry("orders", order(text.clone()), RetryOptions::new()).await;
                    outcomes.push((text, outcome));
                }
                outcomes
            })
        })
        .collect();
    for drop in 0..drops {
        tokio::time::sleep(Duration::from_millis(20 + drop % 3 * 15)).await;
        match drop % 10 {
            // Its answers are lost, and then the connection.
            3 => {
                proxy.freeze(Direction::ToClient);
                tokio::time::sleep(Duration::from_millis(10)).await;
                proxy.cut(Cut::Rst);
                proxy.unfreeze(Direction::ToClient);
            }
            7 => {
                server.kill();
                server.restart().await;
            }
            even => proxy.cut(if even % 2 == 0 { Cut::Rst } else { Cut::Fin }),
        }
    }
    done.store(true, Ordering::Relaxed);
    let mut outcomes = Vec::new();
    for task in publishing {
        outcomes.extend(soon("the last message", task).await.unwrap());
    }
    let counts = stored(&stream).await;
    let (mut duplicates, all) = (0, outcomes.len());
    for (text, outcome) in outcomes {
        let count = counts.get(&text).copied().unwrap_or(0);
        match outcome {
            PublishOutcome::Stored(ack) => {
                assert_eq!(count, 1, "{text} was acknowledged");
                duplicates += u64::from(ack.duplicate);
            }
            other => panic!("{text}, stored {count} times: {other:?}"),
        }
    }
    assert_eq!(counts.len(), all);
    assert!(duplicates > 0, "no acknowledgement was lost: the test tests nothing");
}

// J1
#[tokio::test]
async fn beyond_the_duplicate_window_a_message_is_in_doubt_and_not_sent_again() {
    let server = Server::builder().jetstream().start().await;
    let proxy = Proxy::start(server.port()).await;
    let calm = jetstream::new(connect(server.url()).await);
    let stream = soon("a stream", calm.create_stream(config(Duration::from_secs(1)))).await.unwrap();
    let context = ContextBuilder::new().timeout(Duration::from_millis(300)).build(connect(proxy.url()).await);
    let options = RetryOptions::new().within(Duration::from_secs(20)).duplicate_window(Duration::from_secs(1));
    let began = Instant::now();
    let publishing = context.publish_retry("orders", order("a".to_owned()), options);
    let outage = async {
        while stream.get_info().await.unwrap().state.messages == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The server answers into the void until long after its window.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        proxy.unfreeze(Direction::ToClient);
    };
    proxy.freeze(Direction::ToClient);
    let (outcome, ()) = soon("an outcome", async { tokio::join!(publishing, outage) }).await;
    let PublishOutcome::InDoubt { message, error, .. } = outcome else { panic!("{outcome:?}") };
    assert!(message.headers.unwrap().get("Nats-Msg-Id").is_some());
    assert_eq!(error.kind(), PublishErrorKind::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(10), "it ends with the window, not with the deadline");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(stored(&stream).await, HashMap::from([("a".to_owned(), 1)]));
}

#[tokio::test]
async fn outcomes_say_what_is_known() {
    let server = Server::builder().jetstream().start().await;
    let client = connect(server.url()).await;
    let context: Context = ContextBuilder::new().timeout(Duration::from_secs(2)).build(client.clone());
    let quick = RetryOptions::new().within(Duration::from_millis(500));
    // Nobody stores it.
    let outcome = context.publish_retry("orders", order("a".to_owned()), quick).await;
    let PublishOutcome::NotSent { error, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.kind(), PublishErrorKind::StreamNotFound);
    // The stream comes while it is being sent again.
    let late = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let config = Config { max_messages: 1, discard: DiscardPolicy::New, ..config(Duration::from_secs(60)) };
        context.create_stream(config).await.unwrap();
    };
    let publishing = context.publish_retry("orders", order("b".to_owned()).message_id("1"), RetryOptions::new());
    let (outcome, ()) = soon("an outcome", async { tokio::join!(publishing, late) }).await;
    assert_eq!(outcome.stored().map(|ack| (ack.sequence, ack.duplicate)), Some((1, false)));
    // A blank id is none.
    let mut ids = Vec::new();
    for _ in 0..2 {
        let blank = context.publish_retry("blanks", order("b".to_owned()).message_id(" "), quick).await;
        let PublishOutcome::NotSent { message, .. } = blank else { panic!("{blank:?}") };
        ids.push(message.headers.unwrap().get("Nats-Msg-Id").unwrap().to_string());
    }
    assert!(ids.iter().all(|id| !id.trim().is_empty()) && ids[0] != ids[1], "{ids:?}");
    // Its own id.
    let again = context.publish_retry("orders", order("b".to_owned()).message_id("1"), RetryOptions::new()).await;
    assert_eq!(again.stored().map(|ack| (ack.sequence, ack.duplicate)), Some((1, true)));
    // Full.
    let outcome = context.publish_retry("orders", order("c".to_owned()), RetryOptions::new()).await;
    assert!(matches!(outcome, PublishOutcome::Refused { .. }), "{outcome:?}");
    let huge = order("x".repeat(2_000_000));
    let outcome = soon("an outcome", context.publish_retry("orders", huge, RetryOptions::new())).await;
    let PublishOutcome::NotSent { error, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.kind(), PublishErrorKind::MaxPayloadExceeded);
    client.close().await.unwrap();
    let outcome = soon("an outcome", context.publish_retry("orders", order("d".to_owned()), RetryOptions::new())).await;
    assert!(matches!(outcome, PublishOutcome::NotSent { .. }), "{outcome:?}");
}
