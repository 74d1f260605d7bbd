//! A server that goes away and returns, as programs for async-nats see it: events, states, replay and the pool.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod server;

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ReconnectToServer, SetServerPoolErrorKind};
use futures_util::StreamExt;
use server::{Server, Told, soon};

/// Nothing listens there: ports below 1024 are not assigned automatically.
const NOBODY: &str = "nats://127.0.0.1:9";

async fn delivers(client: &Client, subscriber: &mut async_nats::Subscriber, text: &'static str) {
    client.publish("a", text.into()).await.unwrap();
    assert_eq!(soon(text, subscriber.next()).await.unwrap().payload, text);
}

#[tokio::test]
async fn an_outage_is_reported_and_subscriptions_are_restored() {
    let mut server = Server::start("");
    let told = Told::default();
    let client = ConnectOptions::new().event_callback(told.callback()).connect(server.url()).await.unwrap();
    let mut own = client.subscribe("a").await.unwrap();
    delivers(&client, &mut own, "before").await;
    told.times(&Event::Connected, 1).await;

    server.kill();
    told.times(&Event::Disconnected, 1).await;
    assert_eq!(client.connection_state(), State::Disconnected);
    // Both buffer messages during the outage; only bytes that were just being written may differ.
    client.publish("a", "during".into()).await.unwrap();
    server.restart();
    told.times(&Event::Connected, 2).await;
    assert_eq!(soon("what was held", own.next()).await.unwrap().payload, "during");
    delivers(&client, &mut own, "after").await;
    assert_eq!(client.connection_state(), State::Connected);
    assert_eq!(client.statistics().connects.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn the_remaining_count_of_unsubscribe_after_survives_an_outage() {
    let mut server = Server::start("");
    let told = Told::default();
    let client = ConnectOptions::new().event_callback(told.callback()).connect(server.url()).await.unwrap();
    let mut own = client.subscribe("a").await.unwrap();
    own.unsubscribe_after(3).await.unwrap();
    delivers(&client, &mut own, "1").await;
    server.restart();
    told.times(&Event::Connected, 2).await;
    for text in ["2", "3", "4", "5"] {
        client.publish("a", text.into()).await.unwrap();
    }
    let rest: Vec<_> = soon("the end", own.by_ref().map(|message| message.payload).collect()).await;
    assert_eq!(rest, ["2", "3"]);
}

#[tokio::test]
async fn a_first_connection_fails_or_is_awaited_in_the_background() {
    let error = soon("an error", async_nats::connect(NOBODY)).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Io);
    let error = soon("an error", async_nats::connect("http://localhost")).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::ServerParse);

    let mut server = Server::start("");
    let url = server.url();
    server.kill();
    let told = Told::default();
    let options = ConnectOptions::new().retry_on_initial_connect().event_callback(told.callback());
    let client = soon("a client", options.connect(url)).await.unwrap();
    assert_eq!(client.connection_state(), State::Pending);
    assert!(client.try_server_info().is_none() && client.max_payload() == 1024 * 1024);
    server.restart();
    told.times(&Event::Connected, 1).await;
    soon("a flush", client.flush()).await.unwrap();
    assert!(client.try_server_info().is_some());
}

#[tokio::test]
async fn force_reconnect_reconnects() {
    let server = Server::start("");
    let told = Told::default();
    let client = ConnectOptions::new().event_callback(told.callback()).connect(server.url()).await.unwrap();
    let mut own = client.subscribe("a").await.unwrap();
    delivers(&client, &mut own, "before").await;
    client.force_reconnect().await.unwrap();
    told.times(&Event::Connected, 2).await;
    told.times(&Event::Disconnected, 1).await;
    delivers(&client, &mut own, "after").await;
}

#[tokio::test]
async fn the_pool_is_shown_and_replaced() {
    let (one, two) = (Server::start(""), Server::start(""));
    let told = Told::default();
    let client = ConnectOptions::new().event_callback(told.callback()).connect(one.url()).await.unwrap();
    let pool = client.server_pool().await.unwrap();
    assert_eq!((pool.len(), pool[0].did_connect, pool[0].is_discovered), (1, true, false));
    let error = client.set_server_pool(Vec::<&str>::new()).await.unwrap_err();
    assert_eq!(error.kind(), SetServerPoolErrorKind::EmptyPool);
    let error = client.set_server_pool(vec![one.url(), "ws://localhost".to_owned()]).await.unwrap_err();
    assert_eq!(error.kind(), SetServerPoolErrorKind::MixedSchemes);
    let error = client.set_server_pool("http://localhost").await.unwrap_err();
    assert_eq!(error.kind(), SetServerPoolErrorKind::InvalidAddress);

    client.set_server_pool(two.url()).await.unwrap();
    client.force_reconnect().await.unwrap();
    told.times(&Event::Connected, 2).await;
    let port: u16 = two.url().rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(client.server_info().port, port);
}

#[tokio::test]
async fn a_callback_chooses_the_next_server() {
    let (mut one, two) = (Server::start(""), Server::start(""));
    let told = Told::default();
    let there = two.url();
    let options = ConnectOptions::new()
        .retain_servers_order()
        .event_callback(told.callback())
        .reconnect_delay_callback(|_attempt| Duration::from_millis(10))
        .reconnect_to_server_callback(move |servers, _info| {
            // async-nats calls it for the first connection too, although its documentation mentions only reconnects.
            let connected_before = servers.iter().any(|server| server.did_connect);
            let addr = servers.into_iter().map(|server| server.addr).find(|addr| addr.as_url_str() == there);
            let addr = addr.filter(|_| connected_before);
            async move { addr.map(|addr| ReconnectToServer { addr, delay: Some(Duration::ZERO) }) }
        });
    let client = options.connect(vec![one.url(), two.url()]).await.unwrap();
    one.kill();
    told.times(&Event::Disconnected, 1).await;
    soon("a move", async {
        while client.connection_state() != State::Connected
            || !two.url().ends_with(&format!(":{}", client.server_info().port))
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn draining_delivers_messages_in_flight_and_closes() {
    let server = Server::start("");
    let told = Told::default();
    let client = ConnectOptions::new().event_callback(told.callback()).connect(server.url()).await.unwrap();
    let mut own = client.subscribe("a").await.unwrap();
    for _ in 0..100 {
        client.publish("a", "x".into()).await.unwrap();
    }
    client.flush().await.unwrap();
    client.drain().await.unwrap();
    assert_eq!(soon("the end", own.by_ref().count()).await, 100);
    told.times(&Event::Closed, 1).await;
    assert!(client.publish("a", "late".into()).await.is_err() && client.subscribe("b").await.is_err());
}

#[tokio::test]
async fn a_lame_duck_is_reported() {
    let mut server = Server::start("lame_duck_grace_period: \"1s\"\nlame_duck_duration: \"30s\"");
    let told = Told::default();
    let client = ConnectOptions::new().event_callback(told.callback()).connect(server.url()).await.unwrap();
    server.lame_duck();
    told.times(&Event::LameDuckMode, 1).await;
    drop(client);
}
