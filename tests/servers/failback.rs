//! Preferred servers, real ones: used first, replaced when they die, and returned to, under load and without losses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nats_lifeline::connection::{Cause, ConnectionEvent};
use nats_lifeline::options::Backoff;
use nats_lifeline::{Client, ConnectOptions};

use crate::support::{Cut, Proxy, RawClient, SOON, Server, Timeline, eventually, soon};

/// Prefers `url`, with short times.
fn prefers(url: &str) -> ConnectOptions {
    ConnectOptions::new()
        .preferred_servers(url)
        .unwrap()
        .failback_probe(Backoff::fixed(Duration::from_millis(100)))
        .failback_stability(Duration::from_millis(200))
}

/// Publishes numbers until it is stopped.
struct Load {
    client: Client,
    published: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Load {
    fn of(client: &Client) -> Load {
        let (published, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stop, publisher) = (published.clone(), done.clone(), client.clone());
        let task = tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let n = count.load(Ordering::Relaxed);
                publisher.publish("numbers", n.to_string().into()).await.unwrap();
                count.store(n + 1, Ordering::Relaxed);
                if n % 8 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });
        Load { client: client.clone(), published, done, task }
    }

    async fn more(&self) {
        let before = self.published.load(Ordering::Relaxed);
        eventually("load", SOON, async || self.published.load(Ordering::Relaxed) > before + 200).await;
    }

    /// Returns how many were published, when all have reached a server.
    async fn stop(self) -> u64 {
        self.done.store(true, Ordering::Relaxed);
        soon("the last message", self.task).await.unwrap();
        // The loss is reported once.
        let _ = soon("a flush", self.client.flush()).await;
        soon("a flush", self.client.flush()).await.unwrap();
        self.published.load(Ordering::Relaxed)
    }
}

async fn numbers(observer: &mut RawClient) -> Vec<u64> {
    observer.sync().await;
    observer.received().await.iter().map(|message| message.text().parse().unwrap()).collect()
}

// S46, N6, D15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_returns_to_a_preferred_server_that_died_under_load_and_the_account_is_exact() {
    let (better, other) = (Server::start().await, Server::start().await);
    let proxy = Proxy::start(better.port()).await;
    let mut observers = [better.raw().await, other.raw().await];
    for observer in &mut observers {
        observer.subscribe("numbers", "1").await;
        observer.sync().await;
    }
    let client = prefers(&proxy.url()).connect(other.url()).await.unwrap();
    assert_eq!(client.server_info().port, better.port(), "the preferred one is first");
    let timeline = Timeline::of(&client);
    let load = Load::of(&client);
    load.more().await;

    proxy.refuse().await;
    proxy.cut(Cut::Rst);
    let lost = timeline.disconnected(0).await;
    let ConnectionEvent::Disconnected { in_doubt, .. } = lost else { unreachable!() };
    timeline.reconnected(0).await;
    assert_eq!(client.server_info().port, other.port());
    load.more().await;
    timeline.nth("a probe that fails", 1, |event| matches!(event, ConnectionEvent::AttemptFailed { .. })).await;

    proxy.admit().await;
    let left = timeline.disconnected(1).await;
    assert!(
        matches!(left, ConnectionEvent::Disconnected { cause: Cause::Failback, in_doubt: 0, .. }),
        "nothing is in doubt: {left:?}"
    );
    let back = timeline.reconnected(1).await;
    assert!(matches!(back, ConnectionEvent::Reconnected { in_doubt: 0, dropped: 0, .. }), "{back:?}");
    assert_eq!(client.server_info().port, better.port());
    load.more().await;

    let published = load.stop().await;
    let [first, second] = &mut observers;
    let (first, second) = (numbers(first).await, numbers(second).await);
    assert!(first.is_sorted() && second.is_sorted(), "in order at each");
    let mut all = [first, second].concat();
    all.sort_unstable();
    let arrived = all.len() as u64;
    all.dedup();
    assert_eq!(all.len() as u64, arrived, "nothing arrives twice");
    assert!(published - arrived <= in_doubt, "{published} published, {arrived} arrived, {in_doubt} in doubt");
    let stats = client.stats();
    assert!(stats.balances() && stats.in_doubt == in_doubt && stats.lost.total() == 0, "{stats:?}");
}

// S46, N6
#[tokio::test]
async fn the_client_returns_to_a_preferred_server_that_was_restarted() {
    let (mut better, other) = (Server::start().await, Server::start().await);
    let client = prefers(&better.url()).connect(other.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    let mut own = client.subscribe("own").await.unwrap();
    for round in 0..2 {
        better.kill();
        timeline.reconnected(2 * round).await;
        assert_eq!(client.server_info().port, other.port());
        better.restart().await;
        let back = timeline.reconnected(2 * round + 1).await;
        assert!(matches!(back, ConnectionEvent::Reconnected { subscriptions: 1, .. }), "{back:?}");
        assert_eq!(client.server_info().port, better.port());
        client.publish("own", round.to_string().into()).await.unwrap();
        let message = soon("a message", futures_util::StreamExt::next(&mut own)).await.unwrap();
        assert_eq!(message.payload, round.to_string());
    }
    let log: Vec<String> = client.recovery_log().iter().map(ToString::to_string).collect();
    assert_eq!(log.iter().filter(|line| line.contains("a preferred server is back")).count(), 2, "{log:#?}");
}

// S46
#[tokio::test]
async fn an_absent_preferred_server_delays_nothing_and_is_probed_only_if_configured() {
    let other = Server::start().await;
    let gone = Proxy::start(other.port()).await;
    gone.silence();
    // It accepts connections and sends nothing.
    let options = prefers(&gone.url()).preferred_timeout(Duration::from_millis(100)).no_failback();
    let client = soon("a connection", options.connect(other.url())).await.unwrap();
    assert_eq!((client.server_info().port, gone.accepted()), (other.port(), 1));
    gone.admit().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(gone.accepted(), 1, "nothing is probed");
    // But a client that must leave goes there.
    client.force_reconnect().await.unwrap();
    eventually("the preferred server is used", SOON, async || gone.open() == 1).await;
    soon("a flush", client.flush()).await.unwrap();
}
