//! Rows I: what calls report at full servers, for requests that cannot be sent, and for messages that were not read.

use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::client::{NotConnected, PayloadTooLarge, SendFault};
use nats_lifeline::connection::{EndReason, Status};
use nats_lifeline::options::RepliesOptions;
use nats_lifeline::protocol::ErrKind;
use nats_lifeline::testing::Broker;
use nats_lifeline::{ConnectOptions, Request, RequestErrorKind};

use crate::support::{SOON, Server, soon};

fn full() -> EndReason {
    EndReason::Refused(ErrKind::MaxSubscriptionsExceeded)
}

// Fault I2. No test server had a limit of subscriptions.
#[tokio::test]
async fn a_request_to_a_full_server_fails_immediately_and_the_next_works_when_there_is_room_again() {
    let server = Server::builder().line("max_subscriptions: 3").start().await;
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    let mut subscribers = Vec::new();
    for subject in ["a", "b", "c"] {
        subscribers.push(client.subscribe_confirmed(subject).await.unwrap());
    }
    for _ in 0..3 {
        let asked = std::time::Instant::now();
        let error = client.request("nobody", "".into()).await.unwrap_err();
        assert_eq!(error.source_as::<EndReason>(), Some(&full()), "{error:?}");
        assert!(asked.elapsed() < Duration::from_secs(5), "the request failed only at its timeout");
    }
    let error = client.request_stream("nobody", "".into(), RepliesOptions::new()).await;
    let failed = match error {
        Ok(mut replies) => replies.next().await.unwrap().unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(failed.source_as::<EndReason>(), Some(&full()));
    subscribers.pop();
    client.flush().await.unwrap();
    let error = client.request("nobody", "".into()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);
    // The others are not affected.
    client.publish("a", "".into()).await.unwrap();
    assert!(soon("the message", subscribers[0].next()).await.is_some());
}

// Fault I2
#[tokio::test]
async fn a_subscription_at_a_full_server_ends_and_can_be_repeated_when_there_is_room() {
    let server = Server::builder().line("max_subscriptions: 2").start().await;
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    let mut first = client.subscribe("a").await.unwrap();
    let mut second = client.subscribe("b").await.unwrap();
    let mut third = client.subscribe("c").await.unwrap();
    assert!(soon("its end", third.next()).await.is_none());
    assert_eq!(third.end_reason(), Some(full()));
    let error = client.subscribe_confirmed("d").await.unwrap_err();
    assert_eq!(error.source_as::<EndReason>(), Some(&full()), "{error:?}");

    // One leaves and two are added before the server has answered.
    second.unsubscribe().await.unwrap();
    let mut fourth = client.subscribe("e").await.unwrap();
    let mut fifth = client.subscribe("f").await.unwrap();
    assert!(soon("its end", fifth.next()).await.is_none());
    assert_eq!(fifth.end_reason(), Some(full()));
    client.publish("e", "".into()).await.unwrap();
    client.publish("a", "".into()).await.unwrap();
    assert!(soon("a message", fourth.next()).await.is_some());
    assert!(soon("a message", first.next()).await.is_some());

    // The next connection gets the live subscriptions.
    client.force_reconnect().await.unwrap();
    client.flush().await.unwrap();
    client.publish("e", "".into()).await.unwrap();
    assert!(soon("a message", fourth.next()).await.is_some());
    client.publish("a", "".into()).await.unwrap();
    assert!(soon("a message", first.next()).await.is_some());
}

// Fault I2, its sibling: a confirmed subscription while others leave.
#[tokio::test]
async fn a_confirmed_subscription_is_at_the_server_even_if_others_are_refused() {
    let server = Server::builder().line("max_subscriptions: 4").start().await;
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    for _ in 0..20 {
        let mut gone = client.subscribe("gone").await.unwrap();
        let wanted = (0..6).map(|_| client.subscribe_confirmed("wanted"));
        let leaving = async { gone.unsubscribe().await.unwrap() };
        let (outcomes, ()) = futures_util::future::join(futures_util::future::join_all(wanted), leaving).await;
        let mut made: Vec<_> = outcomes.into_iter().filter_map(Result::ok).collect();
        assert!((3..=4).contains(&made.len()), "as many as the server has room for, and not {}", made.len());
        client.publish("wanted", "".into()).await.unwrap();
        for subscriber in &mut made {
            assert!(soon("a message", subscriber.next()).await.is_some());
        }
        drop(made);
        client.flush().await.unwrap();
    }
}

// Fault I3. The tests read this error on runtimes with one thread, where the last attempt's event always comes before
// the state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_connect_names_every_server_each_time() {
    let dead = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"];
    for _ in 0..300 {
        let error = nats_lifeline::connect(dead.as_slice()).await.unwrap_err();
        let attempts = error.source_as::<NotConnected>().unwrap().attempts().count();
        assert_eq!(attempts, dead.len(), "{error}");
    }
}

// Fault I7. The reason was tested of `publish_confirmed` only.
#[tokio::test]
async fn a_request_that_the_next_server_cannot_accept_reports_the_reason() {
    let broker = Broker::start().await.unwrap();
    let client = nats_lifeline::connect(broker.url()).await.unwrap();
    broker.kill();
    client.status_watch().wait_for(Status::Reconnecting).await;
    broker.set_max_payload(100);
    let payload = bytes::Bytes::from(vec![b'x'; 150]);
    let asking = tokio::spawn({
        let (client, payload) = (client.clone(), payload.clone());
        async move { client.request("a", payload).await.unwrap_err() }
    });
    let mut replies = client.request_stream("a", payload, RepliesOptions::new()).await.unwrap();
    while client.stats().waiting < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    broker.restart().await.unwrap();
    let of_request = soon("the request", asking).await.unwrap();
    let of_stream = soon("the stream", replies.next()).await.unwrap().unwrap_err();
    for error in [of_request, of_stream] {
        assert_eq!(error.kind(), RequestErrorKind::MaxPayloadExceeded, "{error:?}");
        assert_eq!(error.source_as::<PayloadTooLarge>(), Some(&PayloadTooLarge { max: 100, size: 150 }));
    }
}

// Fault I7, its sibling: a request that has expired.
#[tokio::test]
async fn a_request_that_expired_reports_it() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::new().max_message_age(Some(Duration::from_millis(1)));
    let client = options.connect(broker.url()).await.unwrap();
    broker.kill();
    client.status_watch().wait_for(Status::Reconnecting).await;
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.request("a", "old".into()).await.unwrap_err() }
    });
    while client.stats().accepted == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    broker.restart().await.unwrap();
    let error = soon("the request", asking).await.unwrap();
    assert_eq!(error.source_as::<SendFault>(), Some(&SendFault::Expired), "{error:?}");
}

// Fault I4. The number was tested with messages that were never read, but not with those that were read late.
#[tokio::test]
async fn messages_read_after_the_end_of_their_subscription_do_not_count_as_undelivered() {
    let broker = Broker::start().await.unwrap();
    for how in ["limit", "drain", "unsubscribe", "dropped", "unread"] {
        let client = nats_lifeline::connect(broker.url()).await.unwrap();
        let mut subscriber = client.subscribe("a").await.unwrap();
        if how == "limit" {
            subscriber.unsubscribe_after(5).await.unwrap();
        }
        for _ in 0..5 {
            client.publish("a", "".into()).await.unwrap();
        }
        client.flush().await.unwrap();
        match how {
            "drain" => subscriber.drain().await.unwrap(),
            "unsubscribe" | "unread" => subscriber.unsubscribe().await.unwrap(),
            _ => {}
        }
        client.flush().await.unwrap();
        let mut left = Some(subscriber);
        if how == "dropped" {
            left = None;
        }
        if let Some(subscriber) = left.as_mut().filter(|_| how != "unread") {
            for _ in 0..5 {
                assert!(soon("a message", subscriber.next()).await.is_some(), "{how}");
            }
        }
        let report = client.drain_and_close(SOON).await.unwrap();
        let expected = if how == "unread" { 5 } else { 0 };
        assert_eq!((report.undelivered, report.completed), (expected, true), "{how}: {report:?}");
        // The report is right: undelivered messages can still be read.
        if let Some(subscriber) = &mut left {
            assert_eq!(subscriber.collect::<Vec<_>>().await.len() as u64, expected, "{how}");
        }
    }
}

// Fault I6. No test checked these texts.
#[tokio::test]
async fn errors_of_requests_name_the_inbox_once() {
    let broker = Broker::start().await.unwrap();
    let client = nats_lifeline::connect(broker.url()).await.unwrap();
    let error = client.send_request("a", Request::new().inbox(String::new())).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::InvalidSubject);
    assert_eq!(error.to_string(), "invalid subject: the inbox \"\": it is empty");
    let error = client.request("", "".into()).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid subject: \"\": it is empty");
}
