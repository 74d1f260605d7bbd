//! Every method of the client, the subscriber and their traits, with the types of arguments and results.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::client::{DrainError, FlushError, ReconnectError, traits};
use async_nats::connection::State;
use async_nats::message::OutboundMessage;
use async_nats::{
    Client, HeaderMap, Message, PublishError, ReconnectToServer, Request, RequestError, Server, ServerAddr, ServerInfo,
    ServerPoolError, SetServerPoolError, Statistics, Subject, SubscribeError, Subscriber, UnsubscribeError,
};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};

const SUBJECT: Subject = Subject::from_static("a");

async fn of_the_client(client: &Client) {
    let _: Option<Duration> = client.timeout();
    let _: Option<ServerInfo> = client.try_server_info();
    let _: ServerInfo = client.server_info();
    let _: usize = client.max_payload();
    let _: bool = client.is_server_compatible(2_i64, 10_i64, 0_i64);
    let _: Result<(), PublishError> = client.publish("a", Bytes::new()).await;
    let _: Result<(), PublishError> = client.publish_with_headers(SUBJECT, HeaderMap::new(), Bytes::new()).await;
    let _: Result<(), PublishError> = client.publish_with_reply("a".to_owned(), SUBJECT, Bytes::new()).await;
    let _: Result<(), PublishError> =
        client.publish_with_reply_and_headers("a", "b".to_owned(), HeaderMap::new(), Bytes::new()).await;
    let _: Result<Message, RequestError> = client.request("a", Bytes::new()).await;
    let _: Result<Message, RequestError> = client.request_with_headers("a", HeaderMap::new(), Bytes::new()).await;
    let _: Result<Message, RequestError> = client.send_request("a", Request::new()).await;
    let _: String = client.new_inbox();
    let _: Result<Subscriber, SubscribeError> = client.subscribe("a").await;
    let _: Result<Subscriber, SubscribeError> = client.queue_subscribe("a", "q".to_owned()).await;
    let _: Result<(), FlushError> = client.flush().await;
    let _: Result<(), DrainError> = client.drain().await;
    let _: State = client.connection_state();
    let _: Result<(), ReconnectError> = client.force_reconnect().await;
    let _: Result<(), SetServerPoolError> = client.set_server_pool(vec!["a", "b"]).await;
    let _: Result<Vec<Server>, ServerPoolError> = client.server_pool().await;
    let _: Arc<Statistics> = client.statistics();
}

fn of_the_sums(sums: &Statistics) -> u64 {
    let Statistics { in_bytes, out_bytes, in_messages, out_messages, connects } = sums;
    let each: [&portable_atomic::AtomicU64; 5] = [in_bytes, out_bytes, in_messages, out_messages, connects];
    each.into_iter().map(|sum| sum.load(Ordering::Relaxed)).sum()
}

async fn of_a_subscriber(mut subscriber: Subscriber) {
    let _: Option<Message> = subscriber.next().await;
    let _: Result<(), UnsubscribeError> = subscriber.unsubscribe().await;
    let _: Result<(), UnsubscribeError> = subscriber.unsubscribe_after(3_u64).await;
    let _: Result<(), UnsubscribeError> = subscriber.drain().await;
}

async fn of_the_traits<T>(client: &T, message: OutboundMessage)
where
    T: traits::Publisher + traits::Subscriber + traits::Requester + traits::TimeoutProvider,
{
    let _: Result<(), PublishError> = client.publish_with_reply("a", SUBJECT, Bytes::new()).await;
    let _: Result<(), PublishError> = client.publish_message(message).await;
    let _: Result<Subscriber, SubscribeError> = client.subscribe("a".to_owned()).await;
    let _: Result<Message, RequestError> = client.send_request(SUBJECT, Request::default()).await;
    let _: Option<Duration> = client.timeout();
}

/// Other crates build on these traits, with their own clients.
struct Wrapped(Client);

impl traits::TimeoutProvider for Wrapped {
    fn timeout(&self) -> Option<Duration> {
        self.0.timeout()
    }
}

impl traits::Publisher for Wrapped {
    async fn publish_with_reply<S, R>(&self, subject: S, reply: R, payload: Bytes) -> Result<(), PublishError>
    where
        S: async_nats::ToSubject,
        R: async_nats::ToSubject,
    {
        self.0.publish_with_reply(subject, reply, payload).await
    }

    async fn publish_message(&self, msg: OutboundMessage) -> Result<(), PublishError> {
        traits::Publisher::publish_message(&self.0, msg).await
    }
}

impl traits::Subscriber for Wrapped {
    async fn subscribe<S: async_nats::ToSubject>(&self, subject: S) -> Result<Subscriber, SubscribeError> {
        self.0.subscribe(subject).await
    }
}

impl traits::Requester for Wrapped {
    async fn send_request<S>(&self, subject: S, request: Request) -> Result<Message, RequestError>
    where
        S: async_nats::ToSubject,
    {
        self.0.send_request(subject, request).await
    }
}

async fn of_the_sink(mut client: Client, message: OutboundMessage) -> Result<(), PublishError> {
    client.feed(message.clone()).await?;
    client.send(message).await?;
    SinkExt::<OutboundMessage>::flush(&mut client).await
}

fn of_a_server(server: Server) -> ReconnectToServer {
    let Server { addr, failed_attempts, did_connect, is_discovered, last_error } = server;
    let _: (usize, bool, bool, Option<String>) = (failed_attempts, did_connect, is_discovered, last_error);
    let addr: ServerAddr = addr;
    ReconnectToServer { addr, delay: None }
}

#[allow(deprecated)]
fn under_its_old_name(message: OutboundMessage) -> async_nats::PublishMessage {
    message
}

/// Futures that are spawned must be `Send`.
fn everything_can_be_spawned(client: Client, mut subscriber: Subscriber) {
    fn spawned<F: Future + Send + 'static>(_: F) {}
    let (one, two, three, four) = (client.clone(), client.clone(), client.clone(), client.clone());
    spawned(async move { one.publish("a", Bytes::new()).await });
    spawned(async move { two.request("a", Bytes::new()).await });
    spawned(async move { three.subscribe("a").await });
    spawned(async move { four.flush().await });
    spawned(async move { client.drain().await });
    spawned(async move { subscriber.unsubscribe().await });
    spawned(async_nats::connect("a"));
}
