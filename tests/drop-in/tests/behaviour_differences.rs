//! Intended differences from the behaviour of async-nats 0.51. Not run with the real one; each test says what that
//! does.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod server;

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::client::FlushErrorKind;
use async_nats::jetstream::consumer::{pull, push};
use async_nats::jetstream::stream::{Config, ConsumerErrorKind, Stream};
use async_nats::jetstream::{Context, ContextBuilder};
use async_nats::{ConnectOptions, Event, HeaderName};
use futures_util::{StreamExt, TryStreamExt};
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

async fn a_stream(server: &Server) -> (Context, Stream) {
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = ContextBuilder::new().timeout(Duration::from_secs(20)).build(client);
    let config = Config { name: "A".to_owned(), subjects: vec!["a".to_owned()], ..Config::default() };
    let stream = context.create_stream(config).await.unwrap();
    (context, stream)
}

/// async-nats fails with `StreamNotFound` immediately, also when the stream's leader is being elected.
#[tokio::test]
async fn a_message_that_no_stream_has_taken_is_sent_again() {
    let server = Server::start_jetstream_on(0);
    let (context, _) = a_stream(&server).await;
    let ack = context.publish("b", "x".into()).await.unwrap().into_future();
    let creation = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        context
            .create_stream(Config { name: "B".to_owned(), subjects: vec!["b".to_owned()], ..Config::default() })
            .await
    };
    let (ack, stream) = soon("both", async { tokio::join!(ack, creation) }).await;
    stream.unwrap();
    assert_eq!(ack.unwrap().stream, "B");
}

/// async-nats sends them: the server has no such subject or understands another one, and the call times out or fails.
#[tokio::test]
async fn names_that_would_change_the_subject_of_a_request_are_refused() {
    let server = Server::start_jetstream_on(0);
    let (_, stream) = a_stream(&server).await;
    let config = pull::Config { durable_name: Some("a.b".to_owned()), ..pull::Config::default() };
    let error = stream.get_or_create_consumer("a.b", config.clone()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ConsumerErrorKind::InvalidName);
    let error = stream.create_consumer(config).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ConsumerErrorKind::InvalidName);
}

/// With async-nats, the server creates a pull consumer, and the call fails with the kind `Other`.
#[tokio::test]
async fn a_push_consumer_without_a_subject_is_not_created() {
    let server = Server::start_jetstream_on(0);
    let (_, stream) = a_stream(&server).await;
    let error = stream.create_consumer(push::Config::default()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ConsumerErrorKind::InvalidConsumerType);
    assert_eq!(error.to_string(), "invalid consumer type: push consumer must have delivery subject");
    assert_eq!(stream.get_info().await.unwrap().state.consumer_count, 0);
}

/// With async-nats, the server refuses such a request, and the only item is an error.
#[tokio::test]
async fn a_batch_is_not_larger_than_the_consumer_allows() {
    let server = Server::start_jetstream_on(0);
    let (context, stream) = a_stream(&server).await;
    for _ in 0..3 {
        context.publish("a", "x".into()).await.unwrap().await.unwrap();
    }
    let consumer = stream.create_consumer(pull::Config { max_batch: 2, ..pull::Config::default() }).await.unwrap();
    let batch = consumer.fetch().max_messages(3).messages().await.unwrap();
    assert_eq!(soon("a batch", batch.try_collect::<Vec<_>>()).await.unwrap().len(), 2);
}

/// async-nats has no source for these, and so no text of the server.
#[tokio::test]
async fn the_text_of_a_refusal_is_kept() {
    let server = Server::start_jetstream_on(0);
    let (_, stream) = a_stream(&server).await;
    let error = stream.consumer_info("c").await.unwrap_err();
    assert_eq!(error.to_string(), "consumer not found: consumer not found (code 404, error code 10014)");
}
