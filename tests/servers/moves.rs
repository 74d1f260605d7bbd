//! Planned moves in a cluster of real servers, under load: nothing is lost, nothing arrives twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::connection::{ConnectionEvent, Status};
use nats_lifeline::options::Handover;
use nats_lifeline::{Client, ConnectOptions, Subscriber};
use tokio::task::JoinHandle;

use crate::support::raw::RawClient;
use crate::support::{Cluster, SOON, Server, Timeline, eventually, soon, within};

/// How the client is made to leave its server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Why {
    Forced,
    LameDuck,
}

async fn cluster() -> Cluster {
    Cluster::start_as(2, Server::builder().lame_duck(Duration::from_secs(3), Duration::from_secs(30))).await
}

async fn knows_both(client: &Client) {
    eventually("gossip has come", SOON, async || client.server_pool().await.unwrap().len() == 2).await;
}

/// Publishes numbers until it is stopped.
struct Numbers {
    done: Arc<AtomicBool>,
    task: JoinHandle<u64>,
}

impl Numbers {
    /// From an observer; `pause` after every eighth.
    fn of_an_observer(mut observer: RawClient, subject: &'static str, pause: Duration) -> Numbers {
        let done = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&done);
        let task = tokio::spawn(async move {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                observer.publish(subject, n.to_string()).await;
                n += 1;
                if n % 8 == 0 {
                    tokio::time::sleep(pause).await;
                }
            }
            observer.sync().await;
            n
        });
        Numbers { done, task }
    }

    fn of_a_client(client: Client, subject: &'static str) -> Numbers {
        let done = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&done);
        let task = tokio::spawn(async move {
            let mut n = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                client.publish(subject, n.to_string().into()).await.unwrap();
                n += 1;
                if n % 8 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            n
        });
        Numbers { done, task }
    }

    /// Returns how many were published.
    async fn stop(self) -> u64 {
        self.done.store(true, Ordering::Relaxed);
        soon("the last number", self.task).await.unwrap()
    }
}

/// Reads numbers until this many different ones have arrived; other messages are skipped.
async fn read(subscriber: &mut Subscriber, count: u64) -> Vec<u64> {
    let (mut got, mut seen) = (Vec::new(), BTreeSet::new());
    let all = async {
        while (seen.len() as u64) < count {
            let message = subscriber.next().await.expect("the subscription lives");
            if let Ok(number) = String::from_utf8_lossy(&message.payload).parse() {
                got.push(number);
                seen.insert(number);
            }
        }
    };
    let in_time = tokio::time::timeout(SOON, all).await.is_ok();
    assert!(in_time, "{} of {count} numbers arrived", seen.len());
    got
}

/// Another client publishes to a queue group at the other server all the time, and each message arrives once; so do
/// messages that the client publishes itself; and nothing is in doubt.
async fn moves_without_a_loss(why: Why) {
    let mut cluster = cluster().await;
    let client = ConnectOptions::new().connect(cluster.servers[0].url()).await.unwrap();
    knows_both(&client).await;
    let timeline = Timeline::of(&client);
    let mut jobs = client.queue_subscribe("jobs", "workers".into()).await.unwrap();
    client.flush().await.unwrap();
    let mut observer = cluster.servers[1].raw().await;
    observer.subscribe("own", "1").await;

    let mut other = cluster.servers[1].raw().await;
    // Each server needs some time to learn of the other's subscriptions: earlier messages do not count as lost.
    eventually("both hear of each other", SOON, async || {
        other.publish("jobs", "warm").await;
        client.publish("own", "warm".into()).await.unwrap();
        client.flush().await.unwrap();
        let heard = tokio::time::timeout(Duration::from_millis(50), jobs.next()).await.is_ok();
        heard && !observer.received().await.is_empty()
    })
    .await;
    let warm = client.stats().accepted;

    let sending = Numbers::of_an_observer(other, "jobs", Duration::from_millis(1));
    let publishing = Numbers::of_a_client(client.clone(), "own");
    tokio::time::sleep(Duration::from_millis(50)).await;
    match why {
        Why::Forced => client.force_reconnect().await.unwrap(),
        Why::LameDuck => cluster.servers[0].lame_duck(),
    }
    let left = timeline.disconnected(0).await;
    assert!(matches!(left, ConnectionEvent::Disconnected { in_doubt: 0, .. }), "{left:?}");
    let back = timeline.reconnected(0).await;
    assert!(matches!(back, ConnectionEvent::Reconnected { in_doubt: 0, attempts: 1, .. }), "{back:?}");
    assert_eq!(client.server_info().port, cluster.servers[1].port());
    tokio::time::sleep(Duration::from_millis(50)).await;

    let (sent, published) = (sending.stop().await, publishing.stop().await);
    let mut got = read(&mut jobs, sent).await;
    // During the move messages may take two routes and overtake each other; each message arrived once.
    got.sort_unstable();
    assert!(got.iter().copied().eq(0..sent), "{} jobs of {sent}", got.len());
    assert!(jobs.next().await_nothing().await, "a job came twice");

    soon("a flush", client.flush()).await.unwrap();
    let mut arrived: Vec<u64> = Vec::new();
    within("all of ours", SOON, async {
        while arrived.len() < published as usize {
            arrived.extend(observer.next().await.text().parse::<u64>());
        }
    })
    .await;
    // Messages that the first server has taken travel over its route, and may be overtaken by messages through the
    // second one.
    let ahead = arrived.iter().enumerate().filter(|(at, number)| arrived[at + 1..].iter().any(|later| later < number));
    let border = ahead.map(|(_, number)| *number).min().unwrap_or(published);
    let (before, behind): (Vec<u64>, Vec<u64>) = arrived.into_iter().partition(|number| *number < border);
    assert!(before.into_iter().chain(behind).eq(0..published), "in order by each server, and each once");
    let stats = client.stats();
    assert!(stats.balances(), "{stats:?}");
    assert_eq!((stats.in_doubt, stats.lost.total(), stats.confirmed), (0, 0, warm + published));
}

/// For a stream that should get no message.
trait AwaitNothing: Future + Sized {
    async fn await_nothing(self) -> bool {
        tokio::time::timeout(Duration::from_millis(100), self).await.is_err()
    }
}

impl<F: Future> AwaitNothing for F {}

// Scenario 35, N6, D15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lame_duck_is_left_without_losses() {
    moves_without_a_loss(Why::LameDuck).await;
}

// N6, D15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forced_reconnect_loses_nothing() {
    moves_without_a_loss(Why::Forced).await;
}

// D15: without a gap, if duplicates are acceptable
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_subscription_has_no_gap_with_an_overlapping_handover() {
    let cluster = cluster().await;
    let options = ConnectOptions::new().handover(Handover::Overlap);
    let client = options.connect(cluster.servers[0].url()).await.unwrap();
    knows_both(&client).await;
    let timeline = Timeline::of(&client);
    let mut news = client.subscribe("news").await.unwrap();
    client.flush().await.unwrap();
    let mut other = cluster.servers[1].raw().await;
    eventually("the other server hears of it", SOON, async || {
        other.publish("news", "warm").await;
        tokio::time::timeout(Duration::from_millis(50), news.next()).await.is_ok()
    })
    .await;
    let sending = Numbers::of_an_observer(other, "news", Duration::from_millis(1));
    for round in 0..4 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        client.force_reconnect().await.unwrap();
        let left = timeline.disconnected(round).await;
        assert!(matches!(left, ConnectionEvent::Disconnected { in_doubt: 0, .. }), "{left:?}");
        timeline.reconnected(round).await;
    }
    tokio::time::sleep(Duration::from_millis(30)).await;
    let sent = sending.stop().await;
    read(&mut news, sent).await;
}

// D15, D22: replies in flight during a move arrive
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_during_a_move() {
    let cluster = cluster().await;
    let service = ConnectOptions::new().connect(cluster.servers[1].url()).await.unwrap();
    let mut asked = service.subscribe("slow").await.unwrap();
    service.flush().await.unwrap();
    tokio::spawn(async move {
        while let Some(question) = asked.next().await {
            let service = service.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(300)).await;
                service.publish(question.reply.unwrap(), question.payload).await.unwrap();
            });
        }
    });
    let client = ConnectOptions::new().connect(cluster.servers[0].url()).await.unwrap();
    knows_both(&client).await;
    eventually("the service is known", SOON, async || client.request("slow", "x".into()).await.is_ok()).await;
    let timeline = Timeline::of(&client);
    let asking: Vec<_> = (0..20)
        .map(|n: u32| {
            let client = client.clone();
            tokio::spawn(async move { client.request("slow", n.to_string().into()).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    client.force_reconnect().await.unwrap();
    timeline.reconnected(0).await;
    for (n, answer) in asking.into_iter().enumerate() {
        let answer = soon("an answer", answer).await.unwrap().unwrap();
        assert_eq!(answer.payload, n.to_string());
    }
}

// D15: an account that allows one connection, and only one server
#[tokio::test]
async fn without_a_second_connection_the_move_is_made_all_the_same() {
    let server = Server::builder().max_connections(1).start().await;
    for prepare in [true, false] {
        let options = ConnectOptions::new();
        let options = if prepare { options } else { options.no_prepared_moves() };
        let client = options.connect(server.url()).await.unwrap();
        let timeline = Timeline::of(&client);
        client.publish("a", "1".into()).await.unwrap();
        client.force_reconnect().await.unwrap();
        timeline.reconnected(0).await;
        // After the loss, the server may still count the connection that was left.
        let reported = timeline.all();
        let mut before = reported.iter().take_while(|event| !matches!(event, ConnectionEvent::Disconnected { .. }));
        let beside = before.any(|event| matches!(event, ConnectionEvent::AttemptFailed { .. }));
        assert!(prepare || !beside, "something is tried beside the present connection");
        soon("a flush", client.flush()).await.unwrap();
        assert_eq!(client.stats().in_doubt, 0);
        client.close().await.unwrap();
        eventually("the place is free", SOON, async || server.connections().is_empty()).await;
    }
}

// D15: no other server
#[tokio::test]
async fn a_lame_duck_without_another_server_is_kept() {
    let mut server = Server::builder().lame_duck(Duration::from_secs(3), Duration::from_secs(30)).start().await;
    let client = ConnectOptions::new().connect(server.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    server.lame_duck();
    timeline.nth("LameDuck", 0, |event| matches!(event, ConnectionEvent::LameDuck { .. })).await;
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!(client.status(), Status::Connected);
    soon("a flush", client.flush()).await.unwrap();
}

// N6, D15: the PONG of the next server does not mean that a third one already knows of the queue group
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_from_a_third_server_reach_the_queue_group_during_a_move() {
    let cluster = Cluster::start(3).await;
    let urls: Vec<String> = cluster.servers[..2].iter().map(Server::url).collect();
    let client = ConnectOptions::new().ignore_discovered_servers().connect(urls.as_slice()).await.unwrap();
    let timeline = Timeline::of(&client);
    let mut jobs = client.queue_subscribe_confirmed("jobs", "workers".into()).await.unwrap();
    let mut third = cluster.servers[2].raw().await;
    eventually("the third has heard of it", SOON, async || {
        third.publish("jobs", "warm").await;
        tokio::time::timeout(Duration::from_millis(50), jobs.next()).await.is_ok()
    })
    .await;

    let sending = Numbers::of_an_observer(third, "jobs", Duration::from_micros(200));
    for turn in 0..80 {
        client.force_reconnect().await.unwrap();
        timeline.reconnected(turn).await;
    }
    let sent = sending.stop().await;
    read(&mut jobs, sent).await;
}
