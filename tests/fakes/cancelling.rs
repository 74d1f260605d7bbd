//! Calls that are cancelled at each point where they wait: connected, disconnected, and while the connection is lost.
//! They leave nothing behind, and nothing is done twice.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use nats_lifeline::client::PublishOutcome;
use nats_lifeline::options::Backoff;
use nats_lifeline::options::RepliesOptions;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions};
use tokio::time::timeout;

use crate::support::{SOON, eventually, soon};

/// A call is polled at most this often before it is dropped. No call waits more often.
const POLLS: usize = 4;

/// How long to wait for a wake, because a call without a server may never be woken.
const PATIENCE: Duration = Duration::from_millis(20);

/// Polls a future at most this often, each time after it was woken. `None`: it was dropped unfinished.
async fn polled<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = times;
    let polls = poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    timeout(PATIENCE, polls).await.ok().flatten()
}

/// A call with this payload. If it publishes a message, it returns whether the message was accepted.
type Call = fn(Client, Bytes) -> Pin<Box<dyn Future<Output = Option<bool>> + Send>>;

const CALLS: &[(&str, Call)] = &[
    ("publish", |client, body| Box::pin(async move { Some(client.publish("c.a", body).await.is_ok()) })),
    ("publish_with_reply", |client, body| {
        Box::pin(async move { Some(client.publish_with_reply("c.b", "nobody", body).await.is_ok()) })
    }),
    ("publish_critical", |client, body| {
        Box::pin(async move { Some(client.publish_critical("c.c", body).await.is_ok()) })
    }),
    ("publish_confirmed", |client, body| {
        Box::pin(async move {
            let outcome = client.publish_confirmed("c.d", body).await;
            Some(!matches!(outcome, PublishOutcome::NotSent { .. }))
        })
    }),
    ("request", |client, body| Box::pin(async move { client.request("deaf", body).await.ok().map(|_| false) })),
    ("request_stream", |client, body| {
        Box::pin(async move {
            let mut replies = client.request_stream("deaf", body, RepliesOptions::new()).await.ok()?;
            replies.next().await.map(|_| false)
        })
    }),
    ("flush", |client, _| Box::pin(async move { client.flush().await.ok().and(None) })),
    ("rtt", |client, _| Box::pin(async move { client.rtt().await.ok().and(None) })),
    ("subscribe", |client, _| {
        Box::pin(async move {
            let mut subscriber = client.subscribe("s").await.ok()?;
            subscriber.next().await;
            None
        })
    }),
    ("subscribe_confirmed", |client, _| Box::pin(async move { client.subscribe_confirmed("s").await.ok().and(None) })),
    ("unsubscribe", |client, _| {
        Box::pin(
            async move { client.queue_subscribe("s", "q".to_owned()).await.ok()?.unsubscribe().await.ok().and(None) },
        )
    }),
    ("drain", |client, _| Box::pin(async move { client.subscribe("s").await.ok()?.drain().await.ok().and(None) })),
    ("server_pool", |client, _| Box::pin(async move { client.server_pool().await.ok().and(None) })),
    ("health", |client, _| {
        Box::pin(async move {
            client.health().await;
            None
        })
    }),
];

/// The state of the server during the calls.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Connected,
    Gone,
    LostMeanwhile,
}

/// Makes each call, and cancels it after each of its polls. Returns the accepted messages, by payload; `false`: perhaps
/// accepted.
async fn give_up(client: &Client, broker: &Broker, state: State) -> HashMap<Bytes, bool> {
    let mut sent = HashMap::new();
    for (name, call) in CALLS {
        for times in 0..=POLLS {
            let body = Bytes::from(format!("{name} {times}"));
            if state == State::LostMeanwhile {
                let mut watch = client.status_watch();
                soon("a connection", watch.wait_for(nats_lifeline::connection::Status::Connected)).await;
                broker.disconnect_all();
            }
            match polled(call(client.clone(), body.clone()), times).await {
                Some(Some(true)) => drop(sent.insert(body, true)),
                Some(Some(false)) => {}
                None if times > 0 => drop(sent.insert(body, false)),
                _ => {}
            }
        }
    }
    sent
}

async fn nothing_stays_behind(state: State) {
    let broker = Broker::start().await.unwrap();
    let at_once = || ConnectOptions::new().backoff(Backoff::fixed(Duration::from_millis(1)));
    let client = at_once().connect(broker.url()).await.unwrap();
    let witness = at_once().connect(broker.url()).await.unwrap();
    let mut seen = witness.subscribe("c.>").await.unwrap();
    let _deaf = witness.subscribe("deaf").await.unwrap();
    soon("a flush", witness.flush()).await.unwrap();
    // Makes the inbox of requests, which stays.
    timeout(PATIENCE, client.request("deaf", "x".into())).await.unwrap_err();
    let subscriptions = broker.subscription_count();

    if state == State::Gone {
        broker.kill();
    }
    let sent = give_up(&client, &broker, state).await;
    if state == State::Gone {
        broker.restart().await.unwrap();
    }
    soon("the witness", witness.flush()).await.ok();
    // It may report messages in doubt, once.
    while soon("a flush", client.flush()).await.is_err() {}
    soon("the witness", witness.flush()).await.ok();

    let mut arrived: HashMap<Bytes, usize> = HashMap::new();
    while let Ok(Some(message)) = timeout(PATIENCE, seen.next()).await {
        *arrived.entry(message.payload).or_default() += 1;
    }
    for (body, times) in &arrived {
        assert_eq!(*times, 1, "{state:?}: {body:?} came {times} times");
        assert!(sent.contains_key(body), "{state:?}: {body:?} arrived, but its future was never polled, or refused it");
    }
    if state == State::Connected {
        for (body, _) in sent.iter().filter(|(_, accepted)| **accepted) {
            assert!(arrived.contains_key(body), "{body:?} was accepted");
        }
    }
    let stats = client.stats();
    assert!(stats.balances() && stats.waiting == 0 && stats.lost.total() == 0, "{state:?}: {stats:?}");
    eventually("all subscriptions are given back", SOON, async || broker.subscription_count() == subscriptions).await;
    // The drain waits for pending requests: there are none.
    let report = soon("the end", client.drain_and_close(SOON)).await.unwrap();
    assert!(report.completed, "{state:?}: {report:?}");
}

#[tokio::test]
async fn calls_cancelled_while_connected_leave_nothing_behind() {
    nothing_stays_behind(State::Connected).await;
}

#[tokio::test]
async fn calls_cancelled_while_disconnected_leave_nothing_behind() {
    nothing_stays_behind(State::Gone).await;
}

#[tokio::test]
async fn calls_cancelled_during_a_loss_leave_nothing_behind() {
    nothing_stays_behind(State::LostMeanwhile).await;
}

/// Publishers on their own threads race with losses; their handles are dropped wherever they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_may_be_dropped_on_other_runtimes_and_on_none() {
    let broker = Arc::new(Broker::start().await.unwrap());
    let client = ConnectOptions::new().connect(broker.url()).await.unwrap();
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let client = client.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let subscriber = runtime.block_on(async {
                    let subscriber = client.subscribe("s").await.unwrap();
                    for number in 0..2_000 {
                        client.publish("c", format!("{n} {number}").into()).await.unwrap();
                    }
                    // Cancelled on this runtime, while the client lives on another.
                    drop(polled(client.request("nobody", "x".into()), 1).await);
                    subscriber
                });
                drop(runtime);
                // Outside of any runtime.
                drop((subscriber, client));
            })
        })
        .collect();
    for _ in 0..5 {
        broker.disconnect_all();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for thread in threads {
        tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    }
    while soon("a flush", client.flush()).await.is_err() {}
    let stats = client.stats();
    assert!(stats.balances() && stats.waiting == 0, "{stats:?}");
    eventually("no subscription is left but that of replies", SOON, async || broker.subscription_count() <= 1).await;
    let broker_knows = Arc::clone(&broker);
    drop(client);
    eventually("the connection ends with the last handle", SOON, async || broker_knows.connections() == 0).await;
}
