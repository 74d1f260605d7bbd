//! Calls in a loop: frames for the server must not pile up, and the task and other tasks must be able to run.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use nats_lifeline::client::SendFault;
use nats_lifeline::connection::Status;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::fake::INFO;
use crate::support::{Server, soon};

/// A client of a server that reads nothing after the handshake.
async fn stuck(patience: Duration) -> Client {
    let options = ConnectOptions::new().publish_timeout(patience).dialer(|_| async {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move {
            theirs.write_all(INFO.as_bytes()).await.unwrap();
            let mut heard = Vec::new();
            while !heard.ends_with(b"PING\r\n") {
                heard.push(theirs.read_u8().await.unwrap());
            }
            theirs.write_all(b"PONG\r\n").await.unwrap();
            std::future::pending::<()>().await;
        });
        io::Result::Ok(ours)
    });
    options.connect("nats://stuck").await.unwrap()
}

/// The mark, the stream's buffer, and some calls more.
const MOST: usize = 4 << 20;

// Fault A4. The memory tests had a server that reads nothing for publishers only.
#[tokio::test]
async fn subscriptions_made_and_dropped_wait_for_a_server_that_reads_nothing() {
    let client = stuck(Duration::from_millis(300)).await;
    let subject = "s".repeat(3000);
    let mut bytes = 0;
    let error = loop {
        match client.subscribe(subject.clone()).await {
            Ok(subscription) => drop(subscription),
            Err(error) => break error,
        }
        bytes += subject.len();
        assert!(bytes < MOST, "{bytes} bytes of subjects, and no end");
    };
    assert!(matches!(error.source_as(), Some(SendFault::NoRoom { .. })), "{error}");
    assert!(client.stats().pending_bytes < MOST as u64);
}

// Fault A4
#[tokio::test]
async fn limits_of_a_subscription_wait_for_a_server_that_reads_nothing() {
    let client = stuck(Duration::from_millis(300)).await;
    let mut subscription = client.subscribe("a").await.unwrap();
    let mut calls = 0;
    while subscription.unsubscribe_after(1_000_000 + calls % 2).await.is_ok() {
        calls += 1;
        assert!(calls < MOST as u64 / 10, "{calls} calls, and no end");
    }
}

// Fault A4
#[tokio::test]
async fn commands_that_the_task_has_not_taken_are_limited() {
    let client = stuck(Duration::from_secs(3600)).await;
    // No other task runs between two of these polls: the connection's task takes nothing.
    let addresses = vec!["nats://a"; 100];
    let calls = (0..100_000).take_while(|_| client.set_server_pool(&addresses[..]).now_or_never().is_some()).count();
    assert!(calls < 10_000, "{calls} calls in one poll");
    let subject = "s".repeat(3000);
    let made = (0..100_000).map_while(|_| client.subscribe(subject.clone()).now_or_never()).collect::<Vec<_>>();
    assert!(made.len() * 3000 < MOST, "{} subscriptions in one poll", made.len());
}

/// Repeats the call until other tasks have run a hundred times.
async fn leaves_turns_to_others(what: &str, mut call: impl AsyncFnMut()) {
    let turns = Arc::new(AtomicU64::new(0));
    let counting = tokio::spawn({
        let turns = turns.clone();
        async move {
            loop {
                turns.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });
    let mut calls = 0;
    while turns.load(Ordering::Relaxed) < 100 {
        call().await;
        calls += 1;
        assert!(calls < 1_000_000, "{what}: {calls} calls, and others had {turns:?} turns");
    }
    counting.abort();
}

// Fault A4. The starvation test covered only publishers and subscribers.
#[tokio::test]
async fn calls_in_a_loop_let_other_tasks_run_on_one_thread() {
    let server = Server::start().await;
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    let mut subscription = client.subscribe("a").await.unwrap();
    let mut limit = 1_000_000;
    leaves_turns_to_others("unsubscribe_after", async || {
        limit += 1;
        subscription.unsubscribe_after(limit).await.unwrap();
    })
    .await;
    leaves_turns_to_others("drain", async || subscription.drain().await.unwrap()).await;
    leaves_turns_to_others("unsubscribe", async || subscription.unsubscribe().await.unwrap()).await;
    let url = server.url();
    leaves_turns_to_others("set_server_pool", async || client.set_server_pool(url.as_str()).await.unwrap()).await;
    leaves_turns_to_others("force_reconnect", async || client.force_reconnect().await.unwrap()).await;
    soon("a flush", client.flush()).await.unwrap();
}

/// The CPU time of this thread, where available: then other threads don't count.
fn spent() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = stat.split(' ').next().and_then(|text| text.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

// Fault A7. Waiting requests were cancelled by the hundred, and in order.
#[tokio::test]
async fn requests_buffered_in_an_outage_are_cancelled_in_any_order_at_the_same_cost() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::new().reconnect_buffer_size(1 << 30);
    let client = options.connect(broker.url()).await.unwrap();
    client.flush().await.unwrap();
    broker.kill();
    client.status_watch().wait_for(Status::Reconnecting).await;
    let give_up = |many: usize| {
        let mut waiting: Vec<_> = (0..many).map(|_| Some(Box::pin(client.request("a", "x".into())))).collect();
        for request in waiting.iter_mut().flatten() {
            // The first poll may only yield.
            let _ = request.as_mut().now_or_never().is_some() || request.as_mut().now_or_never().is_some();
        }
        assert!(client.stats().waiting as usize >= many - 1, "{:?}", client.stats());
        let begun = spent();
        (0..many).for_each(|number| drop(waiting[number * 1_000_003 % many].take()));
        assert_eq!(client.stats().waiting, 0);
        spent().saturating_sub(begun)
    };
    let shortest = |many: usize| (0..3).map(|_| give_up(many)).min().unwrap();
    let (few, many) = (shortest(5000), shortest(20_000));
    assert!(many < few * 10 + Duration::from_millis(20), "5,000 take {few:?}, 20,000 take {many:?}");
}
