//! Requests that are repeated, and requests that keep waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use nats_lifeline::client::ConnectionLost;
use nats_lifeline::connection::Status;
use nats_lifeline::options::RequestOptions;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions, Request, RequestErrorKind};

async fn client(broker: &Broker) -> Client {
    ConnectOptions::new().connect(broker.url()).await.unwrap()
}

/// Answers everything on `a`, and counts.
async fn responder(broker: &Broker) -> Arc<AtomicUsize> {
    let client = client(broker).await;
    let mut requests = client.subscribe("a").await.unwrap();
    client.flush().await.unwrap();
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            count.fetch_add(1, Ordering::Relaxed);
            client.publish(request.reply.unwrap(), "yes".into()).await.unwrap();
        }
    });
    served
}

fn within(seconds: u64) -> Request {
    Request::new().timeout(Some(Duration::from_secs(seconds)))
}

// S71: 100 ms, 200 ms, 400 ms
#[tokio::test]
async fn a_request_without_responders_is_repeated_until_there_is_one() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let began = Instant::now();
    let error = client.request_with("a", within(20), RequestOptions::new().retries(2)).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());

    let options = RequestOptions::new().retries(20);
    let (reply, served) = tokio::join!(client.request_with("a", within(20), options), async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        responder(&broker).await
    });
    assert_eq!(reply.unwrap().payload, "yes");
    assert_eq!(served.load(Ordering::Relaxed), 1);
}

// S71: the timeout applies to all tries together
#[tokio::test]
async fn no_retry_begins_after_the_deadline() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let request = Request::new().timeout(Some(Duration::from_millis(250)));
    let began = Instant::now();
    let error = client.request_with("a", request, RequestOptions::new().retries(1000)).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders, "why the last try failed");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

// S71, D22: a request that was buffered and withdrawn may be repeated
#[tokio::test]
async fn a_request_that_was_never_sent_is_repeated_and_served_once() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    broker.kill();
    assert!(client.status_watch().wait_for(Status::Reconnecting).await);
    let options = RequestOptions::new().retries(100).backoff(Duration::ZERO).try_timeout(Duration::from_millis(100));
    let asking = client.clone();
    let asked = tokio::spawn(async move { asking.request_with("a", within(20), options).await });
    tokio::time::sleep(Duration::from_millis(350)).await;
    assert!(!asked.is_finished());
    assert!(client.stats().waiting <= 1, "the earlier tries were withdrawn: {:?}", client.stats());
    asked.abort();
    let _ = asked.await;
    assert_eq!(client.stats().waiting, 0, "and so is a cancelled one");
    // That it may be repeated does not mean that it is: without retries the first try is the last.
    let options = RequestOptions::new().try_timeout(Duration::from_millis(50));
    let error = client.request_with("a", within(20), options).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::TimedOut);
}

// D22, scenario 45
#[tokio::test]
async fn a_request_that_was_sent_fails_with_its_connection_or_waits_or_is_repeated() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let other = ConnectOptions::new().connect(broker.url()).await.unwrap();
    let mut requests = other.subscribe("a").await.unwrap();
    other.flush().await.unwrap();
    let ask = |options: RequestOptions| {
        let client = client.clone();
        tokio::spawn(async move { client.request_with("a", within(20), options).await })
    };
    let plain = ask(RequestOptions::new());
    let patient = ask(RequestOptions::new().keep_waiting());
    let again = ask(RequestOptions::new().retries(5).idempotent());
    let mut replies = Vec::new();
    for _ in 0..3 {
        replies.push(requests.next().await.unwrap().reply.unwrap());
    }
    let mut events = client.events();
    broker.disconnect_all();
    let error = plain.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::Other);
    assert!(error.source_as::<ConnectionLost>().is_some(), "{error:?}");
    while !matches!(events.recv().await.unwrap(), nats_lifeline::connection::ConnectionEvent::Reconnected { .. }) {}
    // The responder answers late, and on another connection.
    for reply in replies {
        other.publish(reply, "late".into()).await.unwrap();
    }
    assert_eq!(patient.await.unwrap().unwrap().payload, "late");
    let request = requests.next().await.unwrap();
    other.publish(request.reply.unwrap(), "again".into()).await.unwrap();
    assert_eq!(again.await.unwrap().unwrap().payload, "again");
}
