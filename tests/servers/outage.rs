//! One server goes away and returns: what is reported, and what happens to messages and subscriptions.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use nats_lifeline::{
    Client, ClientError, ConnectOptions, Event, Message, PublishErrorKind, Subscriber, connection::State,
};

use crate::support::{CallbackLog, Cut, Direction, Proxy, SOON, Server, eventually, soon};

/// A client with a name that the server knows.
async fn client_of(url: String, log: &CallbackLog) -> Client {
    ConnectOptions::new().name("lifeline").event_callback(log.callback()).connect(url).await.expect("a fresh server")
}

async fn next(subscriber: &mut Subscriber) -> Message {
    soon("a message", subscriber.next()).await.expect("the subscription goes on")
}

async fn numbers(subscriber: &mut Subscriber, count: usize) -> Vec<u64> {
    let mut got = Vec::new();
    while got.len() < count {
        got.push(std::str::from_utf8(&next(subscriber).await.payload).unwrap().parse().unwrap());
    }
    got
}

/// Only the events about the connection: Connected, Disconnected, Closed.
fn skeleton(log: &CallbackLog) -> Vec<Event> {
    let about = |event: &Event| matches!(event, Event::Connected | Event::Disconnected | Event::Closed);
    log.all().into_iter().filter(about).collect()
}

async fn publish_numbers(client: &Client, subject: &'static str, numbers: std::ops::Range<u64>) {
    for n in numbers {
        soon("a publish", client.publish(subject, n.to_string().into())).await.unwrap();
    }
}

/// Messages published between the loss and the reconnect arrive in order, exactly once, after earlier ones.
async fn survives(end: &str) {
    let mut server = Server::start().await;
    let log = CallbackLog::new();
    let client = client_of(server.url(), &log).await;
    let mut own = client.subscribe("a").await.unwrap();
    publish_numbers(&client, "a", 0..100).await;
    assert_eq!(numbers(&mut own, 100).await, (0..100).collect::<Vec<_>>());
    client.flush().await.unwrap();

    server.signal(end);
    server.ended().await;
    log.times(Event::Disconnected, 1).await;
    assert_eq!(client.connection_state(), State::Disconnected);
    publish_numbers(&client, "a", 100..1100).await;
    server.restart().await;
    log.times(Event::Connected, 2).await;
    assert_eq!(client.connection_state(), State::Connected);
    publish_numbers(&client, "a", 1100..1200).await;
    assert_eq!(numbers(&mut own, 1100).await, (100..1200).collect::<Vec<_>>());

    client.flush().await.unwrap();
    publish_numbers(&client, "a", 9999..10000).await;
    assert_eq!(numbers(&mut own, 1).await, [9999], "nothing arrived twice");
    assert_eq!(skeleton(&log), [Event::Connected, Event::Disconnected, Event::Connected]);
    assert_eq!(server.subscriptions().len(), 1);
}

// Scenario 1, S5, S7, S8, S28, S67
#[tokio::test]
async fn a_client_survives_the_kill_and_return_of_its_server() {
    survives("KILL").await;
}

// Scenario 2
#[tokio::test]
async fn a_client_survives_the_termination_and_return_of_its_server() {
    survives("TERM").await;
    survives("INT").await;
}

// Scenario 1, I9
#[tokio::test]
async fn five_outages_in_a_row_give_five_pairs_of_events() {
    let mut server = Server::start().await;
    let log = CallbackLog::new();
    let client = client_of(server.url(), &log).await;
    let mut own = client.subscribe("a").await.unwrap();
    for round in 0..5 {
        server.kill();
        log.times(Event::Disconnected, round + 1).await;
        publish_numbers(&client, "a", round as u64..round as u64 + 1).await;
        server.restart().await;
        log.times(Event::Connected, round + 2).await;
        assert_eq!(numbers(&mut own, 1).await, [round as u64]);
    }
    let mut expected = vec![Event::Connected];
    for _ in 0..5 {
        expected.extend([Event::Disconnected, Event::Connected]);
    }
    assert_eq!(skeleton(&log), expected);
}

// Scenario 24
#[tokio::test]
async fn messages_with_headers_are_not_sent_to_a_server_without_headers() {
    let mut server = Server::start().await;
    let log = CallbackLog::new();
    let client = client_of(server.url(), &log).await;
    let mut own = client.subscribe("a").await.unwrap();
    server.kill();
    log.times(Event::Disconnected, 1).await;
    let mut headers = nats_lifeline::HeaderMap::new();
    headers.insert("K", "v");
    client.publish("a", "1".into()).await.unwrap();
    client.publish_with_headers("a", headers.clone(), "2".into()).await.unwrap();
    client.publish("a", "3".into()).await.unwrap();
    server.restart_as(Server::builder().no_header_support()).await;
    log.times(Event::Connected, 2).await;
    assert_eq!(numbers(&mut own, 2).await, [1, 3]);
    let error = client.publish_with_headers("a", headers, "4".into()).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Send);
    client.publish("a", "5".into()).await.unwrap();
    assert_eq!(numbers(&mut own, 1).await, [5]);
}

// P12: the limit is followed at each connection; messages that no longer fit are lost, and the connection stays
#[tokio::test]
async fn buffered_messages_too_large_for_the_new_server_are_dropped() {
    let mut server = Server::start().await;
    let log = CallbackLog::new();
    let client = client_of(server.url(), &log).await;
    let mut own = client.subscribe("a").await.unwrap();
    server.kill();
    log.times(Event::Disconnected, 1).await;
    client.publish("a", "1".into()).await.unwrap();
    client.publish("a", vec![b'x'; 2000].into()).await.unwrap();
    client.publish("a", "3".into()).await.unwrap();
    server.restart_as(Server::builder().max_payload(1000)).await;
    log.times(Event::Connected, 2).await;
    assert_eq!(numbers(&mut own, 2).await, [1, 3]);
    assert_eq!(client.max_payload(), 1000);
    let error = client.publish("a", vec![b'x'; 2000].into()).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::MaxPayloadExceeded);
    assert_eq!(log.count(|event| *event == Event::Disconnected), 1);
}

// Scenario 80
#[tokio::test]
async fn a_first_connection_may_be_awaited_in_the_background() {
    let mut server = Server::start().await;
    server.kill();
    let error = soon("an answer", nats_lifeline::connect(server.url())).await.unwrap_err();
    assert_eq!(error.kind(), nats_lifeline::ConnectErrorKind::Io, "{error}");

    let log = CallbackLog::new();
    let options = ConnectOptions::new().retry_on_initial_connect().event_callback(log.callback());
    let client = soon("an immediate handle", options.connect(server.url())).await.unwrap();
    assert_eq!(client.connection_state(), State::Pending);
    assert_eq!(client.try_server_info(), None);
    assert_eq!(client.max_payload(), 1024 * 1024);
    let mut own = soon("a subscription", client.subscribe("a")).await.unwrap();
    publish_numbers(&client, "a", 0..100).await;
    server.restart().await;
    log.times(Event::Connected, 1).await;
    assert_eq!(client.connection_state(), State::Connected);
    assert_eq!(numbers(&mut own, 100).await, (0..100).collect::<Vec<_>>());
    assert_eq!(skeleton(&log), [Event::Connected]);
}

// Scenario 79, S18, S22
#[tokio::test]
async fn after_the_last_attempt_calls_fail_streams_end_and_an_event_reports_it() {
    let mut server = Server::start().await;
    let log = CallbackLog::new();
    let options = ConnectOptions::new().max_reconnects(3).event_callback(log.callback());
    let client = options.connect(server.url()).await.unwrap();
    let mut own = client.subscribe("a").await.unwrap();
    // A connection that dies within its first second counts as a failure.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    server.kill();
    log.times(Event::ClientError(ClientError::MaxReconnects), 1).await;
    let failed = |event: &Event| matches!(event, Event::ClientError(ClientError::Other(_)));
    assert_eq!(log.count(failed), 3);
    assert!(soon("the stream ends", own.next()).await.is_none());
    let error = soon("a refusal", client.publish("a", "x".into())).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Send);
    assert!(soon("a refusal", client.flush()).await.is_err());
    assert!(soon("a refusal", client.request("a", "".into())).await.is_err());
}

// Scenario 79: Disconnected is not Closed
#[tokio::test]
async fn force_reconnect_revives_a_client_that_had_given_up() {
    let mut server = Server::start().await;
    let log = CallbackLog::new();
    let options = ConnectOptions::new().max_reconnects(2).event_callback(log.callback());
    let client = options.connect(server.url()).await.unwrap();
    server.kill();
    log.times(Event::ClientError(ClientError::MaxReconnects), 1).await;
    server.restart().await;
    soon("the order is taken", client.force_reconnect()).await.unwrap();
    log.times(Event::Connected, 2).await;
    let mut own = client.subscribe("a").await.unwrap();
    publish_numbers(&client, "a", 7..8).await;
    assert_eq!(numbers(&mut own, 1).await, [7]);
}

// P3
#[tokio::test]
async fn force_reconnect_replaces_the_connection_and_loses_nothing() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.subscribe("a", "1").await;
    let log = CallbackLog::new();
    let client = client_of(server.url(), &log).await;
    let mut own = client.subscribe("b").await.unwrap();
    let before = server.connection("lifeline").unwrap().cid;
    publish_numbers(&client, "a", 0..1000).await;
    client.force_reconnect().await.unwrap();
    publish_numbers(&client, "a", 1000..2000).await;
    log.times(Event::Connected, 2).await;
    client.flush().await.unwrap();
    let got: Vec<String> = raw.received().await.iter().map(|message| message.text()).collect();
    assert_eq!(got, (0..2000).map(|n| n.to_string()).collect::<Vec<_>>());
    eventually("the old connection is gone", SOON, async || server.connections().len() == 2).await;
    assert_ne!(server.connection("lifeline").unwrap().cid, before);
    raw.publish("b", "1").await;
    assert_eq!(numbers(&mut own, 1).await, [1]);
    assert_eq!(skeleton(&log), [Event::Connected, Event::Disconnected, Event::Connected]);
}

// Scenario 74
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn force_reconnect_moves_unsent_messages_to_the_next_connection() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let mut raw = server.raw().await;
    raw.subscribe("a", "1").await;
    let log = CallbackLog::new();
    let client = client_of(proxy.url(), &log).await;
    client.flush().await.unwrap();
    proxy.throttle(Direction::ToServer, Some(20_000));
    for n in 0..30_u8 {
        client.publish("a", Bytes::from(vec![n; 1024])).await.unwrap();
    }
    client.force_reconnect().await.unwrap();
    proxy.throttle(Direction::ToServer, None);
    log.times(Event::Connected, 2).await;
    soon("a flush", client.flush()).await.unwrap();
    eventually("the old connection is gone", SOON, async || server.connections().len() == 2).await;
    let got: Vec<u8> = raw.received().await.iter().map(|message| message.payload[0]).collect();
    assert_eq!(got, (0..30).collect::<Vec<_>>());
}

// Scenario 83
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_works_byte_by_byte() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    for direction in [Direction::ToServer, Direction::ToClient] {
        proxy.one_byte_writes(direction, true);
    }
    let log = CallbackLog::new();
    let client = client_of(proxy.url(), &log).await;
    let mut own = client.subscribe("a").await.unwrap();
    for round in 0..3 {
        publish_numbers(&client, "a", 0..200).await;
        assert_eq!(numbers(&mut own, 200).await, (0..200).collect::<Vec<_>>());
        soon("a flush", client.flush()).await.unwrap();
        proxy.cut(if round == 1 { Cut::Rst } else { Cut::Fin });
        log.times(Event::Connected, round + 2).await;
    }
}
