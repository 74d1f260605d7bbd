//! With the server gone, every call returns in time with the right result.

use std::future::Future;
use std::time::{Duration, Instant};

use nats_lifeline::connection::Status;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions, Request, RequestErrorKind};

const HELD: u64 = 5_000;

/// A client whose server has just died, with buffered messages.
async fn bereft() -> (Broker, Client) {
    let broker = Broker::start().await.unwrap();
    let client = ConnectOptions::new().connect(broker.url()).await.unwrap();
    broker.kill();
    let mut watch = client.status_watch();
    answers("the loss is noticed", 10, watch.wait_for(Status::Reconnecting)).await;
    answers("publish", 2, async {
        for _ in 0..HELD {
            client.publish("a", "buffered".into()).await.unwrap();
        }
    })
    .await;
    assert_eq!(client.stats().waiting, HELD);
    (broker, client)
}

/// The result of a call, and how long it took; at most this many seconds.
async fn answers<F: Future>(what: &str, seconds: u64, call: F) -> (F::Output, Duration) {
    let began = Instant::now();
    match tokio::time::timeout(Duration::from_secs(seconds), call).await {
        Ok(output) => (output, began.elapsed()),
        Err(_) => panic!("{what}: no answer within {seconds} s"),
    }
}

#[tokio::test]
async fn with_the_server_gone_every_call_returns_in_time() {
    let (_broker, client) = bereft().await;
    let second = Duration::from_secs(1);

    drop(answers("subscribe", 1, client.subscribe("b")).await.0.unwrap());
    let request = Request::new().timeout(Some(second));
    let (reply, took) = answers("request", 3, client.send_request("b", request)).await;
    assert_eq!(reply.unwrap_err().kind(), RequestErrorKind::TimedOut);
    assert!(took >= second, "{took:?}");
    let (flushed, took) = answers("flush", 3, client.flush_timeout(second)).await;
    assert!(flushed.is_err() && took >= second, "{took:?}");
    assert_eq!(answers("the pool", 1, client.server_pool()).await.0.unwrap().len(), 1);
    let unreachable = ["nats://127.0.0.1:1", "nats://127.0.0.1:2"].as_slice();
    answers("a new pool", 1, client.set_server_pool(unreachable)).await.0.unwrap();
    assert_eq!(answers("the pool", 1, client.server_pool()).await.0.unwrap().len(), 2);
    assert!(!answers("health", 1, client.health()).await.0.healthy);
    answers("force_reconnect", 1, client.force_reconnect()).await.0.unwrap();
    answers("drain", 1, client.drain()).await.0.unwrap();
    assert_eq!(client.status(), Status::Draining);
    let (closed, took) = answers("close", 1, client.close()).await;
    let report = closed.unwrap_err().report();
    assert_eq!((report.completed, report.lost.closed), (false, HELD));
    assert!(took < second, "{took:?}");
}

#[tokio::test]
async fn with_the_server_gone_drain_and_close_reports_at_its_deadline() {
    let (_broker, client) = bereft().await;
    let (report, took) = answers("drain_and_close", 3, client.drain_and_close(Duration::from_secs(1))).await;
    let report = report.unwrap();
    assert_eq!((report.completed, report.lost.closed, report.in_doubt), (false, HELD, 0));
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert!(client.stats().balances());
    // After the end, every call returns immediately.
    answers("all calls", 1, async {
        assert!(client.publish("a", "late".into()).await.is_err());
        assert!(client.subscribe("a").await.is_err());
        assert!(client.request("a", "late".into()).await.is_err());
        assert!(client.flush().await.is_err());
        assert!(client.server_pool().await.is_err());
        assert!(client.drain().await.is_err());
        client.close().await.unwrap();
    })
    .await;
}
