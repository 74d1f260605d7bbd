//! Pull consumers on a calm server: streams of messages, batches, their ends, and what they leave behind.

use std::task::Poll;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use nats_lifeline::jetstream::consumer::pull::{
    self, BatchConfig, BatchEnd, BatchErrorKind, MessagesErrorKind, StreamErrorKind, StreamEvent, StreamTrouble,
};
use nats_lifeline::jetstream::consumer::{AckPolicy, Info, PriorityPolicy, PullConsumer, push};
use nats_lifeline::jetstream::stream::{Config, StorageType, Stream};
use nats_lifeline::jetstream::{self, Context, Message};
use nats_lifeline::{Client, ConnectOptions};

use crate::support::{SOON, Server, eventually, soon};

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) context: Context,
    pub(crate) stream: Stream,
}

impl World {
    pub(crate) async fn start() -> World {
        let server = Server::builder().jetstream().start().await;
        World::of(server, async |url| ConnectOptions::new().connect(url).await.unwrap()).await
    }

    pub(crate) async fn of(server: Server, connect: impl AsyncFnOnce(String) -> Client) -> World {
        let client = connect(server.url()).await;
        let context = jetstream::new(client.clone());
        let config = Config {
            name: "M".to_owned(),
            subjects: vec!["m.*".to_owned()],
            storage: StorageType::File,
            ..Config::default()
        };
        let stream = soon("a stream", context.create_stream(config)).await.unwrap();
        World { server, client, context, stream }
    }

    pub(crate) async fn consumer(&self, config: pull::Config) -> PullConsumer {
        let config = pull::Config { durable_name: Some("c".to_owned()), ..config };
        soon("a consumer", self.stream.create_consumer(config)).await.unwrap()
    }

    pub(crate) async fn publish(&self, numbers: std::ops::Range<u64>) {
        let mut acks = Vec::new();
        for number in numbers {
            acks.push(self.context.publish("m.a", number.to_string().into()).await.unwrap());
        }
        for ack in acks {
            soon("an acknowledgement", async { ack.await }).await.unwrap();
        }
    }

    pub(crate) async fn info(&self) -> Info {
        soon("the consumer's state", self.stream.consumer_info("c")).await.unwrap()
    }
}

pub(crate) fn number(message: &Message) -> u64 {
    std::str::from_utf8(&message.payload).unwrap().parse().unwrap()
}

/// Polls once. Whether there is nothing to read yet.
pub(crate) async fn waits<S: futures_util::Stream + Unpin>(stream: &mut S) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(stream.poll_next_unpin(cx).is_pending())).await
}

/// Reads and acknowledges messages up to this many.
pub(crate) async fn read(messages: &mut pull::Stream, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        let message = soon("a message", messages.next()).await.unwrap().unwrap();
        message.ack().await.unwrap();
        numbers.push(number(&message));
    }
    numbers
}

#[tokio::test]
async fn a_stream_gives_all_messages_in_order_and_never_asks_for_more_than_a_batch() {
    let world = World::start().await;
    world.publish(0..1_000).await;
    let consumer = world.consumer(pull::Config::default()).await;
    let mut messages = consumer.stream().max_messages_per_batch(20).messages().await.unwrap();
    let mut numbers = Vec::new();
    while numbers.len() < 1_000 {
        numbers.extend(read(&mut messages, 1).await);
        assert!(messages.outstanding() <= 20, "{messages:?}");
    }
    assert!(numbers.into_iter().eq(0..1_000));
    world.publish(1_000..1_010).await;
    assert!(read(&mut messages, 10).await.into_iter().eq(1_000..1_010), "it waits for more");
    drop(messages);
    eventually("acknowledgements", SOON, async || world.info().await.num_ack_pending == 0).await;
    let counts = world.context.delivery_counts();
    assert_eq!((counts.delivered, counts.acked, counts.open()), (1_010, 1_010, 0));
}

#[tokio::test]
async fn a_batch_of_one_message_is_enough() {
    let world = World::start().await;
    world.publish(0..50).await;
    let consumer = world.consumer(pull::Config::default()).await;
    let mut messages = consumer.stream().max_messages_per_batch(1).messages().await.unwrap();
    assert!(read(&mut messages, 50).await.into_iter().eq(0..50));
}

#[tokio::test]
async fn bytes_limit_what_is_on_the_way_and_a_message_over_the_limit_is_reported() {
    let world = World::start().await;
    let consumer = world.consumer(pull::Config::default()).await;
    let mut messages = consumer.stream().max_bytes_per_batch(1_000).messages().await.unwrap();
    let mut events = messages.events();
    world.publish(0..100).await;
    assert!(read(&mut messages, 100).await.into_iter().eq(0..100));
    world.context.publish("m.large", vec![b'1'; 2_000].into()).await.unwrap().await.unwrap();
    let event = tokio::select! {
        message = messages.next() => panic!("{message:?}"),
        event = soon("an event", events.next()) => event,
    };
    assert_eq!(event, Some(StreamEvent::Began(StreamTrouble::MessageTooLarge)));
}

#[tokio::test]
async fn dropped_streams_and_batches_leave_nothing_behind() {
    let world = World::start().await;
    let consumer = world.consumer(pull::Config::default()).await;
    let before = soon("subscriptions", async { world.server.subscriptions().len() }).await;
    for _ in 0..30 {
        let mut messages = consumer.messages().await.unwrap();
        assert!(waits(&mut messages).await);
        let mut batch = consumer.batch().messages().await.unwrap();
        assert!(waits(&mut batch).await);
        world.client.flush().await.unwrap();
    }
    eventually("no subscriptions", SOON, async || world.server.subscriptions().len() == before).await;
    // The server forgets a pull without a subscriber when it looks at it.
    world.publish(0..1).await;
    eventually("no pulls", SOON, async || world.info().await.num_waiting == 0).await;
    assert_eq!(world.info().await.num_ack_pending, 0, "nobody was given the message");
}

#[tokio::test]
async fn a_consumer_that_is_deleted_ends_its_stream() {
    let world = World::start().await;
    let consumer = world.consumer(pull::Config::default()).await;
    let mut messages = consumer.messages().await.unwrap();
    world.publish(0..1).await;
    read(&mut messages, 1).await;
    soon("a deletion", world.stream.delete_consumer("c")).await.unwrap();
    let error = soon("the end", messages.next()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), MessagesErrorKind::ConsumerDeleted);
    assert!(messages.next().await.is_none());

    // One that never was there: nobody receives the pull, so the server is asked.
    let mut messages = consumer.messages().await.unwrap();
    let mut events = messages.events();
    let error = soon("the end", messages.next()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), MessagesErrorKind::ConsumerDeleted);
    assert_eq!(events.next().await, Some(StreamEvent::Began(StreamTrouble::NoResponders)));
    assert_eq!(events.next().await, None, "the stream has ended");
    let mut batch = consumer.fetch().expires(Duration::from_secs(1)).messages().await.unwrap();
    let error = soon("an end", batch.next()).await.unwrap().unwrap_err();
    let kind = error.downcast_ref::<pull::MessagesError>().unwrap().kind();
    assert_eq!(kind, MessagesErrorKind::NoResponders, "{:?}", batch.end());
}

#[tokio::test]
async fn a_fetch_gives_what_is_there_and_says_how_it_ended() {
    let world = World::start().await;
    let consumer = world.consumer(pull::Config::default()).await;
    let mut batch = consumer.fetch().messages().await.unwrap();
    assert!(soon("the end", batch.next()).await.is_none());
    assert_eq!(batch.end(), Some(&BatchEnd::NoMessages));

    world.publish(0..15).await;
    let mut batch = consumer.fetch().max_messages(10).messages().await.unwrap();
    let mut numbers = Vec::new();
    while let Some(message) = soon("a message", batch.next()).await {
        numbers.push(number(&message.unwrap()));
    }
    assert!(numbers.into_iter().eq(0..10));
    assert_eq!(batch.end(), Some(&BatchEnd::Full));
    let rest: Vec<_> = soon("the rest", consumer.fetch().messages().await.unwrap().try_collect()).await.unwrap();
    assert_eq!(rest.len(), 5);

    // One that waits gets the first message that comes, and no more than are there then.
    let mut batch = consumer.fetch().expires(Duration::from_secs(20)).messages().await.unwrap();
    assert!(waits(&mut batch).await);
    world.publish(15..16).await;
    assert_eq!(number(&soon("a message", batch.next()).await.unwrap().unwrap()), 15);
    assert!(soon("the end", batch.next()).await.is_none());
    assert_eq!(batch.end(), Some(&BatchEnd::NoMessages));
}

#[tokio::test]
async fn a_batch_waits_for_its_messages_until_its_time_is_over() {
    let world = World::start().await;
    let consumer = world.consumer(pull::Config::default()).await;
    world.publish(0..3).await;
    let mut batch = consumer.batch().max_messages(4).expires(Duration::from_millis(300)).messages().await.unwrap();
    let numbers: Vec<_> =
        soon("the batch", (&mut batch).map_ok(|message| number(&message)).try_collect()).await.unwrap();
    assert_eq!((numbers, batch.end()), (vec![0, 1, 2], Some(&BatchEnd::Expired)));
    world.publish(3..30).await;
    let mut batch = consumer.batch().max_bytes(300).messages().await.unwrap();
    let count = soon("the batch", (&mut batch).try_fold(0, async |sum, _| Ok(sum + 1))).await.unwrap();
    assert_eq!(batch.end(), Some(&BatchEnd::MaxBytes));
    assert!((1..10).contains(&count), "{count}");
    assert_eq!(world.info().await.num_waiting, 0);
}

#[tokio::test]
async fn a_sequence_gives_batches_one_after_the_other() {
    let world = World::start().await;
    world.publish(0..40).await;
    let consumer = world.consumer(pull::Config::default()).await;
    let mut batches = consumer.sequence(10).unwrap();
    for first in [0, 10, 20, 30] {
        let batch = soon("a batch", batches.next()).await.unwrap().unwrap();
        let messages: Vec<_> = soon("its messages", batch.try_collect()).await.unwrap();
        assert!(messages.iter().map(number).eq(first..first + 10));
    }
    assert_eq!(consumer.sequence(0).unwrap_err().kind(), BatchErrorKind::Pull);
}

#[tokio::test]
async fn a_single_pull_goes_to_the_inbox_that_it_is_given() {
    let world = World::start().await;
    world.publish(0..2).await;
    let consumer = world.consumer(pull::Config::default()).await;
    let inbox = world.client.new_inbox();
    let mut arrivals = world.client.subscribe(inbox.clone()).await.unwrap();
    let config = BatchConfig { batch: 2, no_wait: true, ..BatchConfig::default() };
    consumer.request_batch(config, inbox.clone().into()).await.unwrap();
    for expected in ["0", "1"] {
        assert_eq!(soon("a message", arrivals.next()).await.unwrap().payload, expected);
    }
    let none = consumer.request_batch(BatchConfig::default(), inbox.into()).await.unwrap_err();
    assert_eq!(none.to_string(), "publish failed: a batch of 0 messages; at least 1 is needed");
}

#[tokio::test]
async fn pulls_that_no_server_accepts_are_errors_before_anything_is_sent() {
    let world = World::start().await;
    let config = pull::Config {
        priority_policy: PriorityPolicy::Overflow,
        priority_groups: vec!["jobs".to_owned()],
        ..pull::Config::default()
    };
    let consumer = world.consumer(config).await;
    let sent = world.client.stats().accepted;
    let second = Duration::from_secs(1);
    let tiny = "an idle heartbeat of 5µs; at least 100ms is needed, or none";
    let cases = [
        (consumer.stream().max_messages_per_batch(0), "a batch of 0 messages; at least 1 is needed"),
        (consumer.stream().expires(second).heartbeat(second), "an idle heartbeat of 1s is over half of the pull's 1s"),
        (consumer.stream().expires(Duration::ZERO), "a stream of pulls that wait for 0ns; at least 100ms is needed"),
        (consumer.stream().expires(second / 20), "a stream of pulls that wait for 50ms; at least 100ms is needed"),
        (consumer.stream().heartbeat(Duration::from_micros(5)), tiny),
        (consumer.stream().group("jobs").priority(10), "a priority of 10; 0 to 9 are allowed"),
        (consumer.stream(), r#"no priority group: the consumer has ["jobs"], and each pull has to name one"#),
        (consumer.stream().group("other"), r#"the priority group "other": the consumer has ["jobs"]"#),
    ];
    for (builder, text) in cases {
        let error = builder.messages().await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (StreamErrorKind::Other, format!("failed: {text}")));
    }
    let error = consumer.fetch().group("jobs").max_messages(0).messages().await.unwrap_err();
    assert_eq!(error.to_string(), "pull request failed: a batch of 0 messages; at least 1 is needed");
    let error = consumer.batch().group("jobs").heartbeat(second * 9).expires(second).messages().await.unwrap_err();
    assert_eq!(error.kind(), BatchErrorKind::Pull);
    let micros = Duration::from_micros(5);
    let error = consumer.batch().group("jobs").heartbeat(micros).messages().await.unwrap_err();
    assert_eq!(error.to_string(), format!("pull request failed: {tiny}"));
    let error = consumer.fetch().group("jobs").heartbeat(micros).expires(second).messages().await.unwrap_err();
    assert_eq!(error.to_string(), format!("pull request failed: {tiny}"));
    let error = consumer.fetch().group("jobs").heartbeat(second).messages().await.unwrap_err().to_string();
    assert!(error.ends_with("an idle heartbeat of 1s needs a pull that waits: `expires` of at least 2s"), "{error}");
    let config = BatchConfig { batch: 1, expires: Some(second), idle_heartbeat: micros, ..BatchConfig::default() };
    let error = consumer.request_batch(config, "inbox".into()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("publish failed: {tiny}"));
    assert_eq!(world.client.stats().accepted, sent);
    // The server has the same rule for push consumers.
    let pushed = push::Config { deliver_subject: "p".to_owned(), idle_heartbeat: micros, ..push::Config::default() };
    let error = soon("a refusal", world.stream.create_consumer(pushed)).await.unwrap_err();
    assert!(error.to_string().contains("heartbeat needs to be >= 100ms (code 400, error code 10083)"), "{error}");
    let mut messages = consumer.stream().group("jobs").min_pending(1).messages().await.unwrap();
    world.publish(0..5).await;
    assert!(read(&mut messages, 5).await.into_iter().eq(0..5));
}

#[tokio::test]
async fn pulls_ask_for_no_more_than_the_consumer_allows() {
    let world = World::start().await;
    let limits = pull::Config {
        max_batch: 5,
        max_expires: Duration::from_secs(2),
        max_bytes: 10_000,
        ..pull::Config::default()
    };
    let consumer = world.consumer(limits.clone()).await;
    world.publish(0..40).await;
    let mut messages = consumer.messages().await.unwrap();
    assert!(read(&mut messages, 10).await.into_iter().eq(0..10));
    assert!(messages.outstanding() <= 5);
    // The limits become lower while it runs.
    let lower = pull::Config { max_batch: 2, durable_name: Some("c".to_owned()), ..limits };
    soon("an update", world.stream.update_consumer(lower)).await.unwrap();
    assert!(read(&mut messages, 30).await.into_iter().eq(10..40));
    let batch = consumer.batch().max_messages(4).expires(Duration::from_millis(100)).messages().await.unwrap();
    let error = soon("the end", batch.collect::<Vec<_>>()).await.pop().unwrap().unwrap_err();
    let error = error.downcast_ref::<pull::MessagesError>().unwrap();
    assert_eq!(
        error.to_string(),
        "pull request exceeded consumer limits: the server refuses it: Exceeded MaxRequestBatch of 2"
    );
}

#[tokio::test]
async fn a_consumer_without_acknowledgements_leaves_nothing_open() {
    let world = World::start().await;
    world.publish(0..3).await;
    let consumer = world.consumer(pull::Config { ack_policy: AckPolicy::None, ..pull::Config::default() }).await;
    let mut messages = consumer.messages().await.unwrap();
    for expected in 0..3 {
        assert_eq!(number(&soon("a message", messages.next()).await.unwrap().unwrap()), expected);
    }
    assert_eq!(world.context.delivery_counts().delivered, 0, "nothing is to be acknowledged");
}

#[tokio::test]
async fn a_push_consumer_can_not_be_pulled_from() {
    let world = World::start().await;
    let consumer = world.consumer(pull::Config::default()).await;
    soon("a deletion", world.stream.delete_consumer("c")).await.unwrap();
    let config =
        push::Config { durable_name: Some("c".to_owned()), deliver_subject: "d".to_owned(), ..push::Config::default() };
    soon("a push consumer", world.stream.create_consumer(config)).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    let error = soon("the end", messages.next()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), MessagesErrorKind::PushBasedConsumer);
}

#[tokio::test]
async fn the_largest_numbers_are_no_trap() {
    let world = World::start().await;
    let consumer = world.consumer(pull::Config::default()).await;
    world.publish(0..2).await;
    let fetch = consumer.fetch().max_messages(usize::MAX).max_bytes(usize::MAX);
    let mut batch = soon("a batch", fetch.messages()).await.unwrap();
    assert_eq!(number(&soon("a message", batch.next()).await.unwrap().unwrap()), 0);
    drop(batch);
    world.publish(2..3).await;
    let patient = consumer.batch().max_messages(1).expires(Duration::MAX);
    let mut batch = soon("a batch", patient.messages()).await.unwrap();
    assert_eq!(number(&soon("a message", batch.next()).await.unwrap().unwrap()), 2);
}

// J6
#[tokio::test]
async fn nothing_is_dropped_that_was_asked_for_however_large_it_is() {
    let world = World::start().await;
    for _ in 0..80 {
        let ack = world.context.publish("m.a", vec![b'1'; 1_000_000].into()).await.unwrap();
        soon("an acknowledgement", async { ack.await }).await.unwrap();
    }
    let consumer = world.consumer(pull::Config::default()).await;
    let mut messages = consumer.stream().max_messages_per_batch(80).messages().await.unwrap();
    assert!(waits(&mut messages).await);
    eventually("all are delivered", SOON, async || world.info().await.num_ack_pending == 80).await;
    // All of them are in the client, after what is answered only now.
    soon("a flush", world.client.flush()).await.unwrap();
    for number in 1..=80 {
        let info = soon("a message", messages.next()).await.unwrap().unwrap().info().map(|info| info.stream_sequence);
        assert_eq!(info.unwrap(), number);
    }
}
