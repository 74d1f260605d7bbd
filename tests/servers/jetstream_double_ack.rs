//! Acknowledgements that the server confirms, and what is known when it does not.

use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::jetstream::consumer::{PullConsumer, pull};
use nats_lifeline::jetstream::context::ContextBuilder;
use nats_lifeline::jetstream::message::{AckError, AckErrorKind, Acker};
use nats_lifeline::jetstream::stream::{Config, StorageType, Stream};
use nats_lifeline::jetstream::{self, AckKind, Context};
use nats_lifeline::{Client, ConnectOptions, Message, Subject};

use crate::support::{Cut, Direction, Proxy, Server, soon};

struct World {
    proxy: Proxy,
    _server: Server,
    client: Client,
    context: Context,
    stream: Stream,
}

impl World {
    async fn start(timeout: Duration) -> World {
        let server = Server::builder().jetstream().start().await;
        let proxy = Proxy::start(server.port()).await;
        let client = ConnectOptions::new().connect(proxy.url()).await.unwrap();
        let context = ContextBuilder::new().timeout(timeout).build(client.clone());
        let config = Config {
            name: "M".to_owned(),
            subjects: vec!["m.*".to_owned()],
            storage: StorageType::Memory,
            ..Config::default()
        };
        let stream = soon("a stream", context.create_stream(config)).await.unwrap();
        let config = pull::Config { durable_name: Some("c".to_owned()), ..pull::Config::default() };
        soon("a consumer", stream.create_consumer(config)).await.unwrap();
        World { proxy, _server: server, client, context, stream }
    }

    /// Publishes a message and pulls it.
    async fn next(&self) -> Message {
        self.context.publish("m.a", "x".into()).await.unwrap().await.unwrap();
        // A pulled message keeps its subject, so that the inbox of requests can't take it.
        let inbox = self.client.new_inbox();
        let mut pulled = self.client.subscribe(inbox.clone()).await.unwrap();
        self.client.publish_with_reply("$JS.API.CONSUMER.MSG.NEXT.M.c", inbox, "1".into()).await.unwrap();
        soon("a message", pulled.next()).await.unwrap()
    }

    /// Publishes a message, which the consumer delivers.
    async fn delivered(&self) -> jetstream::Message {
        self.context.publish("m.a", "x".into()).await.unwrap().await.unwrap();
        let consumer: PullConsumer = self.stream.get_consumer("c").await.unwrap();
        let mut messages = consumer.fetch().max_messages(1).messages().await.unwrap();
        soon("a message", messages.next()).await.unwrap().unwrap()
    }

    fn acker(&self, message: &Message) -> Acker {
        Acker::new(self.context.clone(), message.reply.clone())
    }

    /// Messages that were delivered and not acknowledged, and the last one of those that are all acknowledged.
    async fn state(&self) -> (usize, u64) {
        let info = self.stream.consumer_info("c").await.unwrap();
        (info.num_ack_pending, info.ack_floor.stream_sequence)
    }
}

fn kind(result: Result<(), nats_lifeline::Error>) -> AckErrorKind {
    let error = result.unwrap_err();
    error.downcast_ref::<AckError>().unwrap_or_else(|| panic!("{error:?}")).kind()
}

#[tokio::test]
async fn a_confirmed_acknowledgement_is_stored_and_a_second_one_is_confirmed_too() {
    let world = World::start(Duration::from_secs(10)).await;
    let first = world.delivered().await.split().1;
    assert_eq!(world.state().await, (1, 0));
    first.double_ack().await.unwrap();
    assert_eq!(world.state().await, (0, 1));
    first.double_ack().await.unwrap();
    let second = world.delivered().await;
    second.double_ack_with(AckKind::Progress).await.unwrap();
    assert_eq!(world.state().await, (1, 1));
    second.double_ack_with(AckKind::Term).await.unwrap();
    assert_eq!(world.state().await, (0, 2));
    assert_eq!(kind(second.double_ack_with(AckKind::Next).await), AckErrorKind::NoConfirmation);
    let counts = world.context.delivery_counts();
    assert_eq!((counts.delivered, counts.acked, counts.terminated), (2, 1, 1), "each message was answered once");
    // Not delivered by a consumer of this context, and so not counted.
    let other = jetstream::Message { message: world.next().await, context: world.context.clone() };
    other.double_ack().await.unwrap();
    assert_eq!((world.state().await, world.context.delivery_counts()), ((0, 3), counts));
}

#[tokio::test]
async fn an_acknowledgement_that_nobody_receives_is_no_success() {
    let world = World::start(Duration::from_secs(1)).await;
    let acker = world.acker(&world.next().await);
    world.stream.delete_consumer("c").await.unwrap();
    assert_eq!(kind(acker.double_ack().await), AckErrorKind::NotReceived);
    acker.ack().await.unwrap();
    let foreign = Acker::new(world.context.clone(), None);
    for result in [foreign.ack().await, foreign.double_ack().await] {
        let text = result.as_ref().unwrap_err().to_string();
        assert_eq!(
            (kind(result), text.as_str()),
            (AckErrorKind::NotFromConsumer, "No reply subject, not a JetStream message")
        );
    }
    let blank = Acker::new(world.context.clone(), Some(Subject::from("a b")));
    assert_eq!(kind(blank.ack().await), AckErrorKind::NotSent);
}

#[tokio::test]
async fn after_a_lost_connection_only_what_may_be_repeated_is_sent_again() {
    let world = World::start(Duration::from_secs(10)).await;
    let messages = [world.next().await, world.next().await];
    let [ack, nak] = messages.each_ref().map(|message| world.acker(message));
    let cut = |world: &World| {
        world.proxy.unfreeze(Direction::ToClient);
        world.proxy.cut(Cut::Rst);
    };
    for (acker, kind_sent) in [(ack, AckKind::Ack), (nak, AckKind::Nak(Some(Duration::from_secs(60))))] {
        // The server gets it; its answer is lost.
        world.proxy.freeze(Direction::ToClient);
        let before = world.proxy.passed(Direction::ToServer);
        let sent = acker.double_ack_with(kind_sent);
        let lost = async {
            while world.proxy.passed(Direction::ToServer) == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            cut(&world);
        };
        let (result, ()) = soon("an outcome", async { tokio::join!(sent, lost) }).await;
        match kind_sent {
            AckKind::Ack => result.unwrap(),
            _ => assert_eq!(kind(result), AckErrorKind::InDoubt),
        }
    }
    assert_eq!(world.state().await, (1, 1));
}

#[tokio::test]
async fn an_acknowledgement_that_was_sent_before_a_long_outage_may_have_been_received() {
    let world = World::start(Duration::from_secs(1)).await;
    let acker = world.acker(&world.next().await);
    world.proxy.freeze(Direction::ToClient);
    let before = world.proxy.passed(Direction::ToServer);
    let lost = async {
        while world.proxy.passed(Direction::ToServer) == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        world.proxy.refuse().await;
        world.proxy.cut(Cut::Rst);
    };
    let (result, ()) = soon("an outcome", async { tokio::join!(acker.double_ack(), lost) }).await;
    let text = result.as_ref().unwrap_err().to_string();
    assert!(text.contains("it may have been received before a connection was lost"), "{text}");
    assert_eq!(kind(result), AckErrorKind::TimedOut);
}

// J7. What was in doubt was not sent again, and its messages came again after `ack_wait`.
#[tokio::test]
async fn acknowledgements_in_doubt_are_sent_again_and_their_messages_do_not_come_again() {
    let world = World::start(Duration::from_secs(10)).await;
    let mut messages = Vec::new();
    for _ in 0..4 {
        messages.push(world.delivered().await);
    }
    world.client.flush().await.unwrap();
    // The server gets nothing of this.
    world.proxy.freeze(Direction::ToServer);
    messages[0].ack().await.unwrap();
    messages[1].ack_with(AckKind::Ack).await.unwrap();
    // A second one of these could concern the next delivery.
    messages[2].ack_with(AckKind::Nak(Some(Duration::from_secs(60)))).await.unwrap();
    let until = async |reached: &dyn Fn() -> bool| {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon("acknowledgements on their way", until(&|| world.client.stats().waiting == 0)).await;
    world.proxy.cut(Cut::Rst);
    world.proxy.unfreeze(Direction::ToServer);
    soon("another connection", until(&|| world.client.stats().connects == 2)).await;
    assert_eq!(world.client.stats().in_doubt, 3);
    let acknowledged = async {
        while world.state().await != (2, 2) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("both acknowledgements", acknowledged).await;
    assert_eq!(world.stream.consumer_info("c").await.unwrap().num_redelivered, 0);
    let counts = world.context.delivery_counts();
    assert_eq!((counts.delivered, counts.acked, counts.nacked), (4, 2, 1));
}
