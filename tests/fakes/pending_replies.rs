//! Requests in two steps: sent first, awaited later.

use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::client::{ConnectionLost, SendFault};
use nats_lifeline::connection::{ConnectionEvent, Status};
use nats_lifeline::options::{DeliveryMode, RequestOptions};
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions, Request, RequestErrorKind};

async fn client(broker: &Broker) -> Client {
    ConnectOptions::new().connect(broker.url()).await.unwrap()
}

fn within(limit: Duration) -> Request {
    Request::new().timeout(Some(limit))
}

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(100);

// N18
#[tokio::test]
async fn requests_are_sent_in_order_and_replies_awaited_in_any_order() {
    let broker = Broker::start().await.unwrap();
    let (client, other) = (client(&broker).await, client(&broker).await);
    let mut served = other.subscribe("a.>").await.unwrap();
    other.flush().await.unwrap();

    let first = client.start_request("a.1", within(LONG)).await.unwrap();
    let second = client.start_request("a.2", within(LONG)).await.unwrap();
    client.publish("a.3", "no request".into()).await.unwrap();
    for expected in ["a.1", "a.2", "a.3"] {
        let message = served.next().await.unwrap();
        assert_eq!(message.subject.as_str(), expected);
        if let Some(reply) = message.reply {
            other.publish(reply, expected.into()).await.unwrap();
        }
    }
    assert_eq!(second.await.unwrap().payload, "a.2");
    assert_eq!(first.await.unwrap().payload, "a.1");
}

// N18
#[tokio::test]
async fn a_reply_received_before_the_await_counts_after_the_deadline() {
    let broker = Broker::start().await.unwrap();
    let (client, other) = (client(&broker).await, client(&broker).await);
    let mut served = other.subscribe("a").await.unwrap();
    other.flush().await.unwrap();
    let pending = client.start_request("a", within(Duration::from_millis(500))).await.unwrap();
    let unanswered = client.start_request("a", within(Duration::from_millis(500))).await.unwrap();
    other.publish(served.next().await.unwrap().reply.unwrap(), "yes".into()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(pending.await.unwrap().payload, "yes");
    let error = unanswered.await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::TimedOut);
    assert!(!error.is_safe_to_repeat(), "it was sent: {error}");
}

// N18
#[tokio::test]
async fn an_unsent_request_is_withdrawn_by_a_drop_and_by_the_deadline() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    broker.kill();
    assert!(client.status_watch().wait_for(Status::Reconnecting).await);
    let dropped = client.start_request("a", within(LONG)).await.unwrap();
    let late = client.start_request("a", within(SHORT)).await.unwrap();
    assert_eq!(client.stats().waiting, 2);
    drop(dropped);
    assert_eq!(client.stats().waiting, 1);
    let error = late.await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::TimedOut);
    assert!(matches!(error.source_as(), Some(SendFault::NotInTime { waited }) if *waited >= SHORT), "{error}");
    assert!(error.is_safe_to_repeat());
    assert_eq!(client.stats().waiting, 0);
}

// N18: which errors are safe to repeat
#[tokio::test]
async fn errors_say_whether_the_request_may_have_been_served() {
    let broker = Broker::start().await.unwrap();
    let (client, other) = (client(&broker).await, client(&broker).await);

    let error = client.start_request("a b", within(LONG)).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::InvalidSubject, "before anything was sent");
    assert!(error.is_safe_to_repeat());

    let error = client.start_request("a", within(LONG)).await.unwrap().await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);
    assert!(error.is_safe_to_repeat());

    let mut served = other.subscribe("a").await.unwrap();
    other.flush().await.unwrap();
    let shared = client.start_request("a", within(LONG)).await.unwrap();
    let inbox = client.new_inbox();
    let own = client.start_request("a", within(LONG).inbox(inbox.clone())).await.unwrap();
    let (_, _) = (served.next().await.unwrap(), served.next().await.unwrap());
    let mut events = client.events();
    broker.kill();
    let error = shared.await.unwrap_err();
    assert!(error.source_as::<ConnectionLost>().is_some(), "{error}");
    assert!(!error.is_safe_to_repeat());
    // The request's own subscription is restored on the next connection, and may still get the reply.
    broker.restart().await.unwrap();
    while !matches!(events.recv().await.unwrap(), ConnectionEvent::Reconnected { .. }) {}
    // It reports the messages in doubt of the lost connection; when it returns, the server has the subscription.
    client.flush().await.unwrap_err();
    other.publish(inbox, "late".into()).await.unwrap();
    assert_eq!(own.await.unwrap().payload, "late");
}

// N18: an error of the last try says nothing of the tries before
#[tokio::test]
async fn a_request_that_was_served_before_is_never_safe_to_repeat() {
    let broker = Broker::start().await.unwrap();
    let (client, other) = (client(&broker).await, client(&broker).await);
    let mut served = other.subscribe("a").await.unwrap();
    other.flush().await.unwrap();
    let options = RequestOptions::new().retries(1).try_timeout(Duration::from_millis(300)).idempotent();
    let asked = client.clone();
    let asking = tokio::spawn(async move { asked.request_with("a", within(LONG), options).await });
    assert!(served.next().await.is_some(), "the first try is served, and not answered");
    drop(served);
    other.flush().await.unwrap();
    let error = asking.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);
    assert!(!error.is_safe_to_repeat(), "{error}");

    client.close().await.unwrap();
    let error = client.request("a", "".into()).await.unwrap_err();
    assert!(error.is_safe_to_repeat(), "nothing was sent: {error}");
}

// N18: with at-least-once delivery one request may reach two servers
#[tokio::test]
async fn a_request_that_was_sent_twice_is_not_safe_to_repeat() {
    let broker = Broker::start().await.unwrap();
    let resending = ConnectOptions::new().delivery(DeliveryMode::AtLeastOnce);
    let (client, other) = (resending.connect(broker.url()).await.unwrap(), client(&broker).await);
    let mut served = other.subscribe("a").await.unwrap();
    other.flush().await.unwrap();
    broker.drop_pongs(true);
    let pending = client.start_request("a", within(LONG).inbox(client.new_inbox())).await.unwrap();
    assert!(served.next().await.is_some(), "the first copy is served");
    drop(served);
    other.close().await.ok();
    broker.drop_pongs(false);
    broker.disconnect_all();
    let error = pending.await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders, "{error}");
    assert!(!error.is_safe_to_repeat(), "{error}");
}
