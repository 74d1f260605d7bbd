//! Atomic batches, counters, schedules, and many messages at a time.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use nats_lifeline::jetstream::context::{BatchPublishErrorKind, ContextBuilder};
use nats_lifeline::jetstream::message::{PublishMessage, Rollup, Schedule};
use nats_lifeline::jetstream::stream::{Config, DirectGetErrorKind, StorageType, Stream};
use nats_lifeline::jetstream::{self, Context, ErrorCode};
use nats_lifeline::options::Backoff;
use nats_lifeline::{Client, ConnectOptions};

use crate::support::{Cut, Direction, Proxy, RawClient, SOON, Server, soon};

struct World {
    server: Server,
    client: Client,
    context: Context,
}

impl World {
    async fn start() -> World {
        let server = Server::builder().jetstream().start().await;
        let client = ConnectOptions::new().connect(server.url()).await.unwrap();
        World { context: jetstream::new(client.clone()), server, client }
    }

    async fn stream(&self, config: Config) -> Stream {
        let config = Config {
            name: "M".to_owned(),
            subjects: vec!["m.>".to_owned()],
            storage: StorageType::Memory,
            allow_direct: true,
            ..config
        };
        soon("a stream", self.context.create_stream(config)).await.unwrap()
    }
}

fn text(payload: impl ToString) -> PublishMessage {
    PublishMessage::build().payload(payload.to_string().into())
}

async fn stored(stream: &Stream) -> u64 {
    stream.get_info().await.unwrap().state.messages
}

#[tokio::test]
async fn a_batch_is_stored_as_a_whole_or_not_at_all() {
    let world = World::start().await;
    let stream = world.stream(Config { allow_atomic_publish: true, ..Config::default() }).await;
    let mut batch = world.context.atomic_batch();
    for number in 1..1_000 {
        batch.add("m.a", text(number)).await.unwrap();
    }
    assert_eq!((batch.len(), stored(&stream).await), (999, 0));
    let ack = batch.commit("m.b", text(1_000)).await.unwrap();
    assert_eq!((ack.sequence, ack.batch_size, stored(&stream).await), (1_000, Some(1_000), 1_000));

    // Too many.
    let mut batch = world.context.atomic_batch();
    for number in 0..1_000 {
        batch.add("m.a", text(number)).await.unwrap();
    }
    let error = batch.commit("m.a", text(1_001)).await.unwrap_err();
    assert_eq!(error.kind(), BatchPublishErrorKind::TooLarge);
    // Dropped.
    let mut batch = world.context.atomic_batch();
    batch.add("m.a", text(1)).await.unwrap();
    drop(batch);
    // Refused by its last message.
    let mut batch = world.context.atomic_batch();
    batch.add("m.a", text(1).expected_last_sequence(1_000)).await.unwrap();
    let second = batch.add("m.a", text(2).expected_last_sequence(1_001)).await.unwrap_err();
    assert_eq!(second.kind(), BatchPublishErrorKind::InvalidMessage);
    let error = batch.commit("m.c", text(3).expected_last_subject_sequence(5)).await.unwrap_err();
    assert_eq!(error.kind(), BatchPublishErrorKind::Refused);
    assert!(error.source_as::<jetstream::Error>().unwrap().error_code().is_wrong_last_sequence(), "{error:?}");
    assert_eq!(stored(&stream).await, 1_000);
    // One message alone.
    let ack = world.context.atomic_batch().commit("m.a", text(1)).await.unwrap();
    assert_eq!((ack.sequence, ack.batch_size), (1_001, Some(1)));
}

#[tokio::test]
async fn a_stream_that_takes_no_batches_says_so_at_the_first_message() {
    let world = World::start().await;
    let none = world.context.atomic_batch().add("m.a", text(1)).await.unwrap_err();
    assert_eq!(none.kind(), BatchPublishErrorKind::Refused);
    let stream = world.stream(Config::default()).await;
    let error = world.context.atomic_batch().add("m.a", text(1)).await.unwrap_err();
    let code = error.source_as::<jetstream::Error>().unwrap().error_code();
    assert_eq!((error.kind(), code), (BatchPublishErrorKind::Refused, ErrorCode::ATOMIC_PUBLISH_DISABLED));
    assert_eq!(stored(&stream).await, 0);
}

#[tokio::test]
async fn without_jetstream_each_call_says_that_it_may_not_be_enabled() {
    let server = Server::start().await;
    let client = ConnectOptions::new().connect(server.url()).await.unwrap();
    let context = ContextBuilder::new().timeout(Duration::from_millis(300)).build(client);
    let errors = [
        context.query_account().await.unwrap_err().to_string(),
        context.get_stream("M").await.unwrap_err().to_string(),
        context.create_stream("M").await.unwrap_err().to_string(),
        context.publish("m.a", "".into()).await.unwrap().await.unwrap_err().to_string(),
    ];
    for error in errors {
        assert!(error.contains("JetStream is not enabled for the account or domain"), "{error}");
    }
    let error = context.atomic_batch().commit("m.a", text(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "the batch was refused: no responders");
}

#[tokio::test]
async fn a_batch_that_misses_a_message_is_not_committed() {
    let world = World::start().await;
    let stream = world.stream(Config { allow_atomic_publish: true, ..Config::default() }).await;
    // What can't be sent leaves the batch as it was.
    let mut batch = world.context.atomic_batch();
    for invalid in ["", "m. a"] {
        let error = batch.add(invalid, text(0)).await.unwrap_err();
        assert_eq!((error.kind(), batch.len()), (BatchPublishErrorKind::InvalidMessage, 0));
    }
    batch.add("m.a", text(1)).await.unwrap();
    let large = "x".repeat(world.client.max_payload() + 1);
    for error in [batch.add("m. a", text(2)).await, batch.add("m.a", text(large)).await] {
        assert_eq!(error.unwrap_err().kind(), BatchPublishErrorKind::InvalidMessage);
    }
    assert_eq!(batch.commit("m.a", text(2)).await.unwrap().batch_size, Some(2));
    // An `add` that was given up.
    let mut batch = world.context.atomic_batch();
    batch.add("m.a", text(1)).await.unwrap();
    let mut other = world.context.atomic_batch();
    let adding = other.add("m.a", text(1));
    assert!(futures_util::FutureExt::now_or_never(adding).is_none());
    let error = other.commit("m.a", text(2)).await.unwrap_err();
    assert_eq!(error.kind(), BatchPublishErrorKind::NotSent);
    assert!(error.to_string().contains("given up"), "{error}");
    // One that has failed.
    let _ = world.client.drain_and_close(SOON).await;
    let error = batch.add("m.a", text(2)).await.unwrap_err();
    assert_eq!(error.kind(), BatchPublishErrorKind::NotSent);
    let error = batch.commit("m.a", text(3)).await.unwrap_err().to_string();
    assert!(error.contains("has failed"), "{error}");
    let other = ConnectOptions::new().connect(world.server.url()).await.unwrap();
    let stream = jetstream::new(other).get_stream(stream.cached_info().config.name.clone()).await.unwrap();
    assert_eq!(stored(&stream).await, 2);
}

#[tokio::test]
async fn a_batch_over_a_lost_connection_is_never_half_stored() {
    let world = World::start().await;
    let stream = world.stream(Config { allow_atomic_publish: true, ..Config::default() }).await;
    let proxy = Proxy::start(world.server.port()).await;
    let options = ConnectOptions::new().backoff(Backoff::fixed(Duration::from_millis(2)));
    let context = jetstream::new(options.connect(proxy.url()).await.unwrap());
    let mut batch = context.atomic_batch();
    batch.add("m.a", text(1)).await.unwrap();
    // The answer to the last message is lost.
    proxy.freeze(Direction::ToClient);
    let committed = batch.commit("m.a", text(2));
    let cut = async {
        while stored(&stream).await == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        proxy.cut(Cut::Rst);
        proxy.unfreeze(Direction::ToClient);
    };
    let (error, ()) = soon("an outcome", async { tokio::join!(committed, cut) }).await;
    assert_eq!(error.unwrap_err().kind(), BatchPublishErrorKind::InDoubt);
    assert_eq!(stored(&stream).await, 2);
}

#[tokio::test]
async fn counters_schedules_and_rollups_are_stored_as_they_are_meant() {
    let world = World::start().await;
    let counters = Config { allow_message_counter: true, ..Config::default() };
    world.stream(counters).await;
    let add = |by| PublishMessage::build().increment(by);
    for (by, value) in [(5, "5"), (-7, "-2"), (i128::MAX, "170141183460469231731687303715884105725")] {
        let ack = world.context.send_publish("m.visits", add(by)).await.unwrap().await.unwrap();
        assert_eq!(ack.value.as_deref(), Some(value));
    }
    world.context.delete_stream("M").await.unwrap();

    let config = Config { allow_message_schedules: true, allow_rollup: true, ..Config::default() };
    let stream = world.stream(config).await;
    let mut due = world.client.subscribe("m.due").await.unwrap();
    let schedule = text("now").schedule(Schedule::every(Duration::from_millis(1)), "m.due");
    world.context.send_publish("m.schedule", schedule).await.unwrap().await.unwrap();
    let first = stream.get_last_raw_message_by_subject("m.schedule").await.unwrap();
    assert_eq!(first.headers.get("Nats-Schedule").unwrap().as_str(), "@every 1s");
    soon("a scheduled message", async {
        while stream.get_last_raw_message_by_subject("m.due").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    due.unsubscribe().await.unwrap();
    let all = text("all").rollup(Rollup::All);
    world.context.send_publish("m.x", all).await.unwrap().await.unwrap();
}

#[tokio::test]
async fn many_messages_come_in_pages_in_order() {
    let world = World::start().await;
    let stream = world.stream(Config::default()).await;
    for number in 1..=2_500_u64 {
        drop(world.context.publish(format!("m.{}", number % 10), number.to_string().into()).await.unwrap());
    }
    let counts = world.context.acks_outcome().await;
    assert_eq!(counts.stored, 2_500);
    let numbers = |messages: Vec<jetstream::message::StreamMessage>| -> Vec<u64> {
        messages.iter().map(|message| message.sequence).collect()
    };
    let all: Vec<_> = soon("all", stream.get_many().send().unwrap().try_collect()).await.unwrap();
    assert_eq!(numbers(all), (1..=2_500).collect::<Vec<_>>());
    let some = stream.get_many().sequence(100).subject("m.5").messages(150).send().unwrap();
    let some: Vec<_> = soon("some", some.try_collect()).await.unwrap();
    assert_eq!(numbers(some), (0..150).map(|at| 105 + 10 * at).collect::<Vec<_>>());
    let last = stream.get_many().last_by_subjects(["m.3", "m.>"]).send().unwrap();
    let last: Vec<_> = soon("the last ones", last.try_collect()).await.unwrap();
    assert_eq!(numbers(last), (2_491..=2_500).collect::<Vec<_>>());
    let last = stream.get_many().last_by_subjects(["m.3"]).up_to_sequence(2_000).send().unwrap();
    let last: Vec<_> = soon("the last one", last.try_collect()).await.unwrap();
    assert_eq!(numbers(last), [1_993]);
    let as_of_nothing = stream.get_many().last_by_subjects(["m.3"]).up_to_sequence(0);
    for none in [stream.get_many().subject("m.none"), as_of_nothing] {
        let none: Vec<_> = soon("none", none.send().unwrap().try_collect()).await.unwrap();
        assert!(numbers(none).is_empty());
    }
    let kind = |many: jetstream::stream::GetMany| many.send().unwrap_err().kind();
    assert_eq!(kind(stream.get_many().subject("a b")), DirectGetErrorKind::InvalidSubject);
    assert_eq!(kind(stream.get_many().subject("a").last_by_subjects(["b"])), DirectGetErrorKind::Request);
    assert_eq!(kind(stream.get_many().up_to_sequence(1)), DirectGetErrorKind::Request);
    assert_eq!(kind(stream.get_many().last_by_subjects(vec!["a"; 1_025])), DirectGetErrorKind::Request);
    assert_eq!(kind(stream.get_many().last_by_subjects(Vec::<String>::new())), DirectGetErrorKind::Request);
}

/// Answers requests for many messages as a server does: with messages of these numbers, and then with a status.
async fn answering(server: &Server, answers: Vec<(Vec<u64>, &'static str)>) -> Stream<()> {
    let mut responder = RawClient::connect(server.port()).await;
    responder.subscribe("$JS.API.DIRECT.GET.S", "1").await;
    responder.sync().await;
    tokio::spawn(async move {
        for (numbers, status) in answers {
            let reply = responder.next().await.reply.unwrap();
            for number in numbers {
                let place = format!("Nats-Stream: S\r\nNats-Subject: s\r\nNats-Sequence: {number}");
                let time = "Nats-Time-Stamp: 2026-01-01T00:00:00Z\r\nNats-Num-Pending: 1";
                let headers = format!("NATS/1.0\r\n{place}\r\n{time}\r\n\r\n");
                responder.publish_with_headers(&reply, &headers, "").await;
            }
            responder.publish_with_headers(&reply, &format!("NATS/1.0 {status}\r\n\r\n"), "").await;
        }
    });
    let context = jetstream::new(ConnectOptions::new().connect(server.url()).await.unwrap());
    context.get_stream_no_info("S").await.unwrap()
}

#[tokio::test]
async fn a_message_that_is_removed_while_many_are_sent_does_not_end_them() {
    let server = Server::start().await;
    let end = "204 EOB\r\nNats-Num-Pending: 0\r\nNats-Last-Sequence: 9";
    let answers = vec![(vec![3, 5], "404 Message Not Found"), (vec![], "404 Message Not Found"), (vec![8, 9, 10], end)];
    let stream = answering(&server, answers).await;
    let last = stream.get_many().last_by_subjects(["s"]).messages(4).send().unwrap();
    let numbers: Vec<_> = soon("all", last.map_ok(|message| message.sequence).try_collect()).await.unwrap();
    assert_eq!(numbers, [3, 5, 8, 9], "no more than were asked for");
}

#[tokio::test]
async fn many_messages_end_with_their_client() {
    let world = World::start().await;
    let stream = world.stream(Config::default()).await;
    let _ = world.client.drain_and_close(SOON).await;
    let mut all = stream.get_many().send().unwrap();
    let ended = std::time::Instant::now();
    assert!(soon("the end", all.next()).await.unwrap().is_err());
    assert!(ended.elapsed() < Duration::from_secs(1), "{:?}", ended.elapsed());
}

#[tokio::test]
async fn many_messages_come_once_over_cuts() {
    let world = World::start().await;
    let stream = world.stream(Config::default()).await;
    for number in 1..=5_000_u64 {
        drop(world.context.publish("m.a", format!("{number:0200}").into()).await.unwrap());
    }
    world.context.acks_outcome().await;
    let proxy = Proxy::start(world.server.port()).await;
    let options = ConnectOptions::new().backoff(Backoff::fixed(Duration::from_millis(2)));
    let context = jetstream::new(options.connect(proxy.url()).await.unwrap());
    let behind = context.get_stream_no_info(&stream.cached_info().config.name).await.unwrap();
    proxy.throttle(Direction::ToClient, Some(3_000_000));
    let cuts = async {
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(40)).await;
            proxy.cut(Cut::Rst);
        }
    };
    let read = behind.get_many().send().unwrap().map_ok(|message| message.sequence).try_collect::<Vec<_>>();
    let (numbers, ()) = soon("all", async { tokio::join!(read, cuts) }).await;
    assert_eq!(numbers.unwrap(), (1..=5_000).collect::<Vec<_>>());
}
