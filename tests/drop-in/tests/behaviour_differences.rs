//! Where this crate behaves differently from async-nats 0.51 on purpose. Not run with the real one; each test says what that does.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod server;

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::client::FlushErrorKind;
use async_nats::{ConnectOptions, Event, HeaderName};
use futures_util::StreamExt;
use server::{Server, Told, soon};

/// async-nats takes an empty name from `TryFrom` and from `FromStr`. On the wire it is a line that begins with a
/// colon: no header at all.
#[test]
fn a_header_has_a_name() {
    assert!(HeaderName::try_from(String::new()).is_err() && "".parse::<HeaderName>().is_err());
}

/// async-nats reads user and password from the address and then does not send them (nats.rs#1623).
#[tokio::test]
async fn credentials_in_an_address_are_used() {
    let server = Server::start("authorization { user: ada, password: pw }");
    let url = server.url().replace("//", "//ada:pw@");
    soon("a connection", async_nats::connect(url)).await.unwrap();
}

/// async-nats flushes its socket: Ok says nothing about the server, and during an outage the call waits for as long
/// as that lasts.
#[tokio::test]
async fn a_flush_waits_for_the_servers_answer() {
    let mut server = Server::start("");
    let told = Told::default();
    let client = ConnectOptions::new().event_callback(told.callback()).connect(server.url()).await.unwrap();
    let mut own = client.subscribe("a").await.unwrap();
    client.publish("a", "x".into()).await.unwrap();
    client.flush().await.unwrap();
    assert!(own.next().await.is_some());
    server.kill();
    told.times(&Event::Disconnected, 1).await;
    let error = soon("an answer", client.flush_timeout(Duration::from_millis(100))).await.unwrap_err();
    assert_eq!(error.kind(), FlushErrorKind::FlushError);
}

/// async-nats counts the parts of a message without its protocol line, headers by their number, and requests not at
/// all.
#[tokio::test]
async fn statistics_count_the_bytes_on_the_socket() {
    let server = Server::start("");
    let client = async_nats::connect(server.url()).await.unwrap();
    client.flush().await.unwrap();
    let before = client.statistics().out_bytes.load(Ordering::Relaxed);
    client.publish("a", "xyz".into()).await.unwrap();
    client.flush().await.unwrap();
    let after = client.statistics().out_bytes.load(Ordering::Relaxed);
    assert_eq!(after - before, "PUB a 3\r\nxyz\r\nPING\r\n".len() as u64);
}

/// async-nats says so before it sends the subscriptions again: what is published by somebody who saw the event can
/// miss them.
#[tokio::test]
async fn connected_after_an_outage_comes_after_the_subscriptions() {
    let mut server = Server::start("");
    let told = Told::default();
    let client = ConnectOptions::new().event_callback(told.callback()).connect(server.url()).await.unwrap();
    let mut own = client.subscribe("a").await.unwrap();
    client.flush().await.unwrap();
    server.restart();
    told.times(&Event::Connected, 2).await;
    let other = async_nats::connect(server.url()).await.unwrap();
    client.flush().await.unwrap();
    other.publish("a", "x".into()).await.unwrap();
    assert_eq!(soon("a message", own.next()).await.unwrap().payload, "x");
}
