//! Intended differences from the behaviour of async-nats 0.51. Not run with the real one; each test says what that
//! does.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod server;

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::client::FlushErrorKind;
use async_nats::{ConnectOptions, Event, HeaderName};
use futures_util::StreamExt;
use server::{Server, Told, soon};

/// async-nats accepts an empty name from `TryFrom` and from `FromStr`. On the wire that is a line that begins with a
/// colon, which is not a header.
#[test]
fn a_header_has_a_name() {
    assert!(HeaderName::try_from(String::new()).is_err() && "".parse::<HeaderName>().is_err());
}

/// async-nats parses user and password in the address, but does not send them (nats.rs#1623).
#[tokio::test]
async fn credentials_in_an_address_are_used() {
    let server = Server::start("authorization { user: ada, password: pw }");
    let url = server.url().replace("//", "//ada:pw@");
    soon("a connection", async_nats::connect(url)).await.unwrap();
}

/// async-nats flushes its socket: Ok means nothing about the server, and during an outage the call waits until it ends.
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

/// async-nats counts the parts of a message without its protocol line, headers by their number, and no
/// requests.
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

/// async-nats reports this before it sends the subscriptions again: a message published after the event can be
/// missed.
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
