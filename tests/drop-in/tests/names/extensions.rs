//! Traits with which other crates extend async-nats's types: their methods must be reachable by name.

use std::time::Duration;

use async_nats::client::traits::{Publisher, Subscriber, TimeoutProvider};
use async_nats::{Client, Message, Subscriber as Subscription, ToSubject};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

/// A request with many replies for every client that has the three traits, started by a method without arguments.
trait ManyReplies: Publisher + Subscriber + TimeoutProvider + Clone {
    fn request_many(&self) -> Gather<Self> {
        Gather { client: self.clone(), patience: self.timeout() }
    }
}

impl<C: Publisher + Subscriber + TimeoutProvider + Clone> ManyReplies for C {}

struct Gather<C> {
    client: C,
    patience: Option<Duration>,
}

impl<C: Publisher + Subscriber> Gather<C> {
    async fn send<S: ToSubject>(self, subject: S, payload: Bytes) -> Result<Subscription, async_nats::Error> {
        let replies = self.client.subscribe("replies.1").await?;
        self.client.publish_with_reply(subject, "replies.1", payload).await?;
        Ok(replies)
    }
}

/// Services begin like this.
trait Services {
    fn add_service(&self, name: &str) -> String;
}

impl Services for Client {
    fn add_service(&self, name: &str) -> String {
        name.to_owned()
    }
}

// Fault G3: tests checked the names that async-nats has, but not those that it leaves free.
async fn of_a_client(client: &Client) -> Result<(), async_nats::Error> {
    let gather: Gather<Client> = client.request_many();
    let _: Option<Duration> = gather.patience;
    let mut replies = gather.send("a", Bytes::new()).await?;
    let _: Option<Message> = replies.next().await;
    let _: String = client.add_service("a");
    Ok(())
}

/// A consumer's own methods for a stream of messages, like those of `StreamExt`.
trait Payloads: Stream<Item = Message> + Sized {
    fn payloads(self) -> impl Stream<Item = Bytes> {
        self.map(|message| message.payload)
    }

    fn count(self) -> impl Future<Output = usize> {
        self.fold(0, |sum, _| async move { sum + 1 })
    }
}

impl Payloads for Subscription {}

async fn of_a_subscription(one: Subscription, other: Subscription) -> usize {
    let _: Vec<Bytes> = one.payloads().collect().await;
    Payloads::count(other).await
}

// Fault G2: every program that was tried enabled all features of tokio that it used.
/// Parts of tokio that programs use without enabling them: async-nats enables them.
async fn of_tokio() -> std::io::Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut one, mut other) = tokio::net::TcpListener::bind("localhost:0").await?.accept().await?.0.into_split();
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<u8>(1);
    let mut bytes = tokio::fs::read("a").await?;
    tokio::select! {
        _ = receiver.recv() => {}
        _ = one.read(&mut bytes) => {}
        () = tokio::time::sleep(Duration::ZERO) => other.write_all(b"a").await?,
    }
    let (sent, flushed) = tokio::join!(sender.send(1), other.flush());
    drop((sent, flushed));
    drop(tokio::task::spawn_blocking(|| ()));
    Ok(())
}
