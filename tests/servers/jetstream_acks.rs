//! A JetStream publisher over a connection that breaks all the time: acknowledged messages are stored once.
//!
//! `DROPS=1000 cargo test --release --test servers jetstream_acks` breaks it a thousand times.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nats_lifeline::options::Backoff;
use nats_lifeline::{Client, ConnectOptions, HeaderMap};
use serde_json::Value;

use crate::support::{Cut, Proxy, SOON, Server, Timeline, soon, within};

async fn ask(client: &Client, subject: &str, question: &str) -> Value {
    let answer = soon("an answer", client.request(subject.to_owned(), question.to_owned().into())).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

/// Publishes with one message id until the server acknowledges it as stored or duplicate.
async fn publish(client: &Client, id: &str) {
    loop {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        let answer = client.request_with_headers("orders".to_owned(), headers, id.to_owned().into()).await;
        // The message or its acknowledgement was lost: this is unknown, so it is published again.
        let Ok(answer) = answer else { continue };
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(answer["stream"], "ORDERS", "{answer}");
        return;
    }
}

// Scenario 88
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_acknowledged_by_jetstream_are_stored_once_whatever_breaks() {
    let drops: u64 = std::env::var("DROPS").map_or(40, |drops| drops.parse().expect("DROPS is a number"));
    let server = Server::builder().jetstream().start().await;
    let calm = ConnectOptions::new().connect(server.url()).await.unwrap();
    let stream = r#"{"name":"ORDERS","subjects":["orders"],"storage":"memory","duplicate_window":3600000000000}"#;
    let made = ask(&calm, "$JS.API.STREAM.CREATE.ORDERS", stream).await;
    assert!(made.get("error").is_none(), "{made}");

    let proxy = Proxy::start(server.port()).await;
    let options = ConnectOptions::new().request_timeout(Some(Duration::from_secs(2)));
    let client = options.backoff(Backoff::fixed(Duration::from_millis(2))).connect(proxy.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    let (acked, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let publishing: Vec<_> = (0..8)
        .map(|publisher| {
            let (client, acked, done) = (client.clone(), acked.clone(), done.clone());
            tokio::spawn(async move {
                let mut n = 0_u64;
                while !done.load(Ordering::Relaxed) {
                    publish(&client, &format!("{publisher}.{n}")).await;
                    acked.fetch_add(1, Ordering::Relaxed);
                    n += 1;
                }
            })
        })
        .collect();
    for drop in 0..drops {
        let before = acked.load(Ordering::Relaxed);
        within("acknowledgements between two drops", SOON, async {
            while acked.load(Ordering::Relaxed) < before + 5 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        proxy.cut(if drop % 2 == 0 { Cut::Rst } else { Cut::Fin });
        timeline.reconnected(usize::try_from(drop).unwrap()).await;
    }
    done.store(true, Ordering::Relaxed);
    for task in publishing {
        soon("the last message", task).await.unwrap();
    }
    let info = ask(&calm, "$JS.API.STREAM.INFO.ORDERS", "").await;
    // Each id was acknowledged once; so a message that was stored twice or not at all would show here.
    assert_eq!(info["state"]["messages"].as_u64().unwrap(), acked.load(Ordering::Relaxed));
    assert!(client.stats().balances());
}
