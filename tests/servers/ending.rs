//! Draining, closing and dropping, in every state: nothing hangs, nothing leaks, nothing is lost silently.

use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::{
    Client, ConnectOptions, PublishErrorKind, RequestErrorKind, SubscribeErrorKind,
    client::FlushErrorKind,
    connection::{ConnectionEvent, State, Status},
};

use crate::support::{Cut, Proxy, SOON, Server, Timeline, eventually, soon, within};

async fn client_of(url: String) -> Client {
    ConnectOptions::new().name("lifeline").connect(url).await.expect("a fresh server takes clients")
}

async fn gone(server: &Server) {
    eventually("the connection ends", SOON, async || server.connection("lifeline").is_none()).await;
}

/// Every call fails immediately with the right kind.
async fn refuses_everything(client: &Client) {
    let publish = soon("publish", client.publish("a", "x".into())).await.unwrap_err();
    assert_eq!(publish.kind(), PublishErrorKind::Send);
    assert!(client.try_publish("a", "x".into()).is_err());
    let subscribe = soon("subscribe", client.subscribe("a")).await.unwrap_err();
    assert_eq!(subscribe.kind(), SubscribeErrorKind::Other);
    let subscribe = soon("subscribe", client.queue_subscribe("a", "q".to_owned())).await.unwrap_err();
    assert_eq!(subscribe.kind(), SubscribeErrorKind::Other);
    let flush = soon("flush", client.flush()).await.unwrap_err();
    assert_eq!(flush.kind(), FlushErrorKind::SendError);
    let request = soon("request", client.request("a", "x".into())).await.unwrap_err();
    assert_eq!(request.kind(), RequestErrorKind::Other);
    assert!(soon("rtt", client.rtt()).await.is_err());
    assert!(soon("drain", client.drain()).await.is_err());
    assert!(soon("force_reconnect", client.force_reconnect()).await.is_err());
    assert_eq!((client.status(), client.connection_state()), (Status::Closed, State::Disconnected));
}

// P7
#[tokio::test]
async fn draining_a_subscription_delivers_messages_in_flight_and_ends_it() {
    let server = Server::start().await;
    let client = client_of(server.url()).await;
    let mut own = client.subscribe("a").await.unwrap();
    let mut other = client.subscribe("b").await.unwrap();
    for n in 0..1000 {
        client.publish("a", n.to_string().into()).await.unwrap();
    }
    soon("the drain begins", own.drain()).await.unwrap();
    let got: Vec<String> =
        soon("the stream ends", own.map(|message| String::from_utf8_lossy(&message.payload).into_owned()).collect())
            .await;
    assert_eq!(got.len(), 1000);
    assert!(got.iter().enumerate().all(|(at, text)| *text == at.to_string()));
    eventually("the server forgot it", SOON, async || server.subscriptions().len() == 1).await;
    client.publish("b", "on".into()).await.unwrap();
    assert_eq!(soon("the other goes on", other.next()).await.unwrap().payload, "on");
}

// Scenario 48, S66, D19
#[tokio::test]
async fn draining_a_client_delivers_everything_in_both_directions_and_closes_it() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.subscribe("out", "1").await;
    let client = client_of(server.url()).await;
    let timeline = Timeline::of(&client);
    let mut own = client.subscribe("in").await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
    for n in 0..100 {
        raw.publish("in", n.to_string()).await;
    }
    raw.sync().await;
    for n in 0..1000 {
        client.publish("out", n.to_string().into()).await.unwrap();
    }
    soon("the drain begins", client.drain()).await.unwrap();
    let mut answered = 0;
    while let Some(message) = soon("a message or the end", own.next()).await {
        // Publishing is possible until the last message was read.
        client.publish("out", format!("answer to {}", String::from_utf8_lossy(&message.payload)).into()).await.unwrap();
        answered += 1;
    }
    let events = timeline.ended().await;
    let draining = events.iter().position(|event| matches!(event, ConnectionEvent::Draining)).expect("Draining");
    assert!(matches!(events.last(), Some(ConnectionEvent::Closed { .. })), "{events:?}");
    assert!(draining < events.len() - 1);
    gone(&server).await;
    let got = raw.received().await;
    assert_eq!(got.len(), 1000 + answered);
    assert_eq!(got[999].text(), "999");
    refuses_everything(&client).await;
}

// N7
#[tokio::test]
async fn drain_and_close_accounts_for_every_message() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.subscribe("a", "1").await;
    let client = client_of(server.url()).await;
    for n in 0..500 {
        client.publish("a", n.to_string().into()).await.unwrap();
    }
    let report = soon("the report", client.drain_and_close(SOON)).await.unwrap();
    assert!(report.completed, "{report:?}");
    assert_eq!((report.in_doubt, report.lost.total(), report.undelivered), (0, 0, 0), "{report:?}");
    assert_eq!(client.stats().confirmed, 500);
    assert_eq!(raw.received().await.len(), 500);
    gone(&server).await;
    refuses_everything(&client).await;
}

// Scenario 49, N7
#[tokio::test]
async fn drain_and_close_during_an_outage_waits_and_then_reports_lost_messages() {
    let mut server = Server::start().await;
    let client = client_of(server.url()).await;
    let timeline = Timeline::of(&client);
    let mut own = client.subscribe("a").await.unwrap();
    server.kill();
    timeline.disconnected(0).await;
    for n in 0..10 {
        client.publish("a", n.to_string().into()).await.unwrap();
    }
    let report = soon("a report after the deadline", client.drain_and_close(Duration::from_millis(500))).await;
    let report = report.unwrap_or_else(|error| panic!("a report, not an error: {error:?}"));
    assert!(!report.completed, "{report:?}");
    assert_eq!(report.lost.closed, 10, "{report:?}");
    assert!(client.stats().balances());
    assert!(soon("the stream ends", own.next()).await.is_none());
    refuses_everything(&client).await;
}

// Fault J1
#[tokio::test]
async fn a_drain_during_an_outage_with_nothing_to_send_ends_immediately() {
    let mut server = Server::start().await;
    let client = client_of(server.url()).await;
    let timeline = Timeline::of(&client);
    let mut own = client.subscribe("a").await.unwrap();
    client.publish("a", "received before".into()).await.unwrap();
    client.flush().await.unwrap();
    server.kill();
    timeline.disconnected(0).await;
    let router = client.router().route("b", async |_| Ok::<(), String>(())).start().await.unwrap();
    let hour = Duration::from_secs(3600);
    soon("the router's report", router.drain(hour)).await;
    let drainer = client.clone();
    let draining = tokio::spawn(async move { drainer.drain_and_close(hour).await });
    assert_eq!(soon("what was received", own.next()).await.unwrap().payload, "received before");
    assert!(soon("the stream ends", own.next()).await.is_none());
    let report = soon("a report", draining).await.unwrap().unwrap();
    assert!(report.completed, "{report:?}");
    assert_eq!((report.undelivered, report.lost.total(), report.in_doubt), (0, 0, 0), "{report:?}");
}

// Scenario 49
#[tokio::test]
async fn drain_and_close_during_an_outage_finishes_when_the_server_returns() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.subscribe("a", "1").await;
    let proxy = Proxy::start(server.port()).await;
    let client = client_of(proxy.url()).await;
    let timeline = Timeline::of(&client);
    proxy.refuse().await;
    proxy.cut(Cut::Rst);
    timeline.disconnected(0).await;
    for n in 0..10 {
        client.publish("a", n.to_string().into()).await.unwrap();
    }
    let drainer = client.clone();
    let draining = tokio::spawn(async move { drainer.drain_and_close(SOON).await });
    eventually("draining", SOON, async || client.status() == Status::Draining).await;
    proxy.admit().await;
    let report = within("the report", SOON * 2, draining).await.unwrap().unwrap();
    assert!(report.completed, "{report:?}");
    assert_eq!(raw.received().await.len(), 10);
    gone(&server).await;
}

// S3, S4, N7, promise 1
#[tokio::test]
async fn close_while_connected_confirms_published_messages_and_is_final() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.subscribe("a", "1").await;
    let client = client_of(server.url()).await;
    let timeline = Timeline::of(&client);
    let mut own = client.subscribe("b").await.unwrap();
    for n in 0..500 {
        client.publish("a", n.to_string().into()).await.unwrap();
    }
    soon("close", client.close()).await.unwrap();
    assert_eq!(raw.received().await.len(), 500);
    assert!(soon("the stream ends", own.next()).await.is_none());
    gone(&server).await;
    refuses_everything(&client).await;
    soon("a second close", client.close()).await.unwrap();
    let events = timeline.ended().await;
    assert_eq!(events.iter().filter(|event| matches!(event, ConnectionEvent::Closed { .. })).count(), 1, "{events:?}");
}

// Scenario 76, S10, I8
#[tokio::test]
async fn close_while_reconnecting_stops_dialling() {
    let mut server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let client = client_of(proxy.url()).await;
    let timeline = Timeline::of(&client);
    // The proxy keeps accepting, so that every attempt can be counted.
    server.kill();
    timeline.disconnected(0).await;
    eventually("some attempts", SOON, async || proxy.accepted() >= 3).await;
    assert_eq!(client.status(), Status::Reconnecting);
    let waiting = client.clone();
    let flush = tokio::spawn(async move { waiting.flush().await });
    let waiting = client.clone();
    let request = tokio::spawn(async move { waiting.request("a", "x".into()).await });
    tokio::task::yield_now().await;
    let _ = soon("close", client.close()).await;
    assert!(soon("the flush", flush).await.unwrap().is_err());
    assert!(soon("the request", request).await.unwrap().is_err());
    refuses_everything(&client).await;
    eventually("no attempt under way", SOON, async || proxy.open() == 0).await;
    let attempts = proxy.accepted();
    // Longer than any pause between the first attempts: no connection may be attempted.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(proxy.accepted(), attempts);
}

// Scenario 76
#[tokio::test]
async fn dropping_the_last_handle_while_reconnecting_stops_dialling() {
    let mut server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let client = client_of(proxy.url()).await;
    let timeline = Timeline::of(&client);
    let subscriber = client.subscribe("a").await.unwrap();
    server.kill();
    timeline.disconnected(0).await;
    eventually("some attempts", SOON, async || proxy.accepted() >= 2).await;
    drop(client);
    drop(subscriber);
    let events = timeline.ended().await;
    assert!(matches!(events.last(), Some(ConnectionEvent::Closed { .. })), "{events:?}");
    eventually("no attempt under way", SOON, async || proxy.open() == 0).await;
    let attempts = proxy.accepted();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(proxy.accepted(), attempts);
}

// N7: closing a client that was never connected, that gave up, and that drains
#[tokio::test]
async fn close_returns_in_every_other_state() {
    let mut server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    proxy.silence();
    let never = soon("a handle", ConnectOptions::new().retry_on_initial_connect().connect(proxy.url())).await.unwrap();
    assert!(matches!(never.status(), Status::Connecting | Status::Reconnecting), "{}", never.status());
    let _ = soon("close before the first connection", never.close()).await;
    refuses_everything(&never).await;

    let drains = client_of(server.url()).await;
    // An unread subscription keeps the drain going.
    let mut unread = drains.subscribe("a").await.unwrap();
    drains.publish("a", "x".into()).await.unwrap();
    soon("a flush", drains.flush()).await.unwrap();
    soon("the drain begins", drains.drain()).await.unwrap();
    eventually("draining", SOON, async || drains.status() == Status::Draining).await;
    let _ = soon("close while draining", drains.close()).await;
    refuses_everything(&drains).await;
    within("the stream ends", SOON, async { while unread.next().await.is_some() {} }).await;

    let gave_up = ConnectOptions::new().max_reconnects(1).connect(server.url()).await.unwrap();
    server.kill();
    eventually("given up", SOON, async || gave_up.status() == Status::Disconnected).await;
    let _ = soon("close after giving up", gave_up.close()).await;
    refuses_everything(&gave_up).await;
}

// D19, I8
#[tokio::test]
async fn dropping_the_last_handle_sends_published_messages_and_ends_the_connection() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.subscribe("a", "1").await;
    for _ in 0..20 {
        let client = client_of(server.url()).await;
        let clone = client.clone();
        for n in 0..500 {
            client.publish("a", n.to_string().into()).await.unwrap();
        }
        drop(client);
        clone.publish("a", "last".into()).await.unwrap();
        drop(clone);
        let got = raw.next_n(501).await;
        assert_eq!(got[500].text(), "last");
        gone(&server).await;
    }
}

// D19
#[tokio::test]
async fn a_subscription_keeps_its_connection_and_listeners_do_not() {
    let server = Server::start().await;
    let client = client_of(server.url()).await;
    let (timeline, watch) = (Timeline::of(&client), client.status_watch());
    let mut own = client.subscribe("a").await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
    drop(client);
    let mut raw = server.raw().await;
    raw.publish("a", "still here").await;
    assert_eq!(soon("a message", own.next()).await.unwrap().payload, "still here");
    drop(own);
    gone(&server).await;
    timeline.ended().await;
    eventually("closed", SOON, async || watch.status() == Status::Closed).await;
}

#[test]
fn without_a_runtime_connecting_is_an_error() {
    let mut connecting = std::pin::pin!(nats_lifeline::connect("localhost"));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = connecting.as_mut().poll(&mut context) else {
        panic!("it must fail immediately");
    };
    assert_eq!(error.kind(), nats_lifeline::ConnectErrorKind::Io);
    assert!(error.to_string().contains("needs a tokio runtime"), "{error}");
}

// Scenario 87
#[test]
fn a_client_may_outlive_its_runtime_and_be_dropped_anywhere() {
    for down in [false, true] {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (server, client, subscriber) = runtime.block_on(async {
            let mut server = Server::start().await;
            let client = client_of(server.url()).await;
            let subscriber = client.subscribe("a").await.unwrap();
            soon("a flush", client.flush()).await.unwrap();
            if down {
                let timeline = Timeline::of(&client);
                server.kill();
                timeline.disconnected(0).await;
            }
            (server, client, subscriber)
        });
        drop(runtime);
        let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        other.block_on(async {
            assert!(soon("an answer", client.publish("a", "x".into())).await.is_err(), "its runtime is not running");
            assert!(soon("an answer", client.flush()).await.is_err());
            let mut subscriber = subscriber;
            assert!(soon("the stream ends", subscriber.next()).await.is_none());
        });
        drop(other);
        drop(client);
        drop(server);
    }
}
