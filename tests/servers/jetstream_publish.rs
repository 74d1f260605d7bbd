//! Publishing to streams, and what becomes of acknowledgements.

use std::future::{Future, IntoFuture};
use std::task::Waker;
use std::time::{Duration, Instant};

use nats_lifeline::client::ConnectionLost;
use nats_lifeline::jetstream::context::{
    ContextBuilder, PublishCounts, PublishError, PublishErrorKind, PublishOutcome, RetryOptions, traits::Publisher,
};
use nats_lifeline::jetstream::message::{OutboundMessage, PublishMessage};
use nats_lifeline::jetstream::stream::{Config, DiscardPolicy, StorageType};
use nats_lifeline::jetstream::{self, Context, ErrorCode};
use nats_lifeline::{Client, ConnectOptions, HeaderMap};

use crate::support::{Cut, Direction, Proxy, Server, soon};

struct World {
    server: Server,
    client: Client,
    context: Context,
}

impl World {
    async fn start(builder: ContextBuilder<jetstream::context::Yes>) -> World {
        let server = Server::builder().jetstream().start().await;
        let client = ConnectOptions::new().connect(server.url()).await.unwrap();
        let world = World { context: builder.build(client.clone()), server, client };
        world.stream().await;
        world
    }

    async fn stream(&self) {
        let config = Config {
            name: "M".to_owned(),
            subjects: vec!["m.*".to_owned()],
            storage: StorageType::Memory,
            ..Config::default()
        };
        soon("a stream", self.context.create_stream(config)).await.unwrap();
    }

    /// The number of stored messages.
    async fn stored(&self) -> u64 {
        self.context.get_stream("M").await.unwrap().cached_info().state.messages
    }
}

fn refused(error: &PublishError) -> Option<ErrorCode> {
    error.source_as::<jetstream::Error>().map(jetstream::Error::error_code)
}

#[tokio::test]
async fn acknowledgements_say_where_messages_were_stored() {
    let world = World::start(ContextBuilder::new()).await;
    let context = &world.context;
    let ack = context.publish("m.a", "1".into()).await.unwrap().await.unwrap();
    assert_eq!((ack.stream.as_str(), ack.sequence, ack.duplicate), ("M", 1, false));
    let mut headers = HeaderMap::new();
    headers.insert("X", "y");
    assert_eq!(context.publish_with_headers("m.a", headers, "2".into()).await.unwrap().await.unwrap().sequence, 2);

    let message = || PublishMessage::build().payload("3".into()).message_id("17");
    assert!(!context.send_publish("m.b", message()).await.unwrap().await.unwrap().duplicate);
    let again = context.send_publish("m.b", message()).await.unwrap().await.unwrap();
    assert_eq!((again.duplicate, again.sequence), (true, 3));
    let whole = OutboundMessage::new("m.c".into(), "4".into(), None);
    assert_eq!(context.publish_message(whole).await.unwrap().await.unwrap().sequence, 4);

    // All of them are sent before the first acknowledgement is read.
    let mut sent = Vec::new();
    for _ in 0..1000 {
        sent.push(context.publish("m.d", "x".into()).await.unwrap());
    }
    for (ack, expected) in sent.into_iter().zip(5..) {
        assert_eq!(soon("an acknowledgement", async { ack.await }).await.unwrap().sequence, expected);
    }
    assert!(world.client.stats().balances());
}

#[tokio::test]
async fn expectations_that_do_not_hold_are_errors_and_store_nothing() {
    let world = World::start(ContextBuilder::new()).await;
    let context = &world.context;
    context.send_publish("m.a", PublishMessage::build().message_id("first")).await.unwrap().await.unwrap();
    let expecting = PublishMessage::build;
    let cases = [
        (expecting().expected_last_sequence(7), PublishErrorKind::WrongLastSequence, 10071),
        (expecting().expected_last_subject_sequence(7), PublishErrorKind::WrongLastSequence, 10071),
        (expecting().expected_last_message_id("other"), PublishErrorKind::WrongLastMessageId, 10070),
        (expecting().expected_stream("N"), PublishErrorKind::Other, 10060),
        (expecting().ttl(Duration::from_secs(9)), PublishErrorKind::Other, 10166),
    ];
    for (message, kind, code) in cases {
        let error = context.send_publish("m.a", message).await.unwrap().await.unwrap_err();
        assert_eq!((error.kind(), refused(&error)), (kind, Some(ErrorCode(code))), "{error}");
    }
    let holds = expecting().expected_last_sequence(1).expected_last_message_id("first").expected_stream("M");
    assert_eq!(context.send_publish("m.a", holds).await.unwrap().await.unwrap().sequence, 2);
    assert_eq!(world.stored().await, 2);
}

// A full stream stays full: async-nats fails immediately, and so do we.
#[tokio::test]
async fn a_full_stream_refuses_a_message_once() {
    let world = World::start(ContextBuilder::new()).await;
    let config = Config {
        name: "FULL".to_owned(),
        subjects: vec!["full".to_owned()],
        storage: StorageType::Memory,
        max_messages: 1,
        discard: DiscardPolicy::New,
        ..Config::default()
    };
    world.context.create_stream(config).await.unwrap();
    world.context.publish("full", "1".into()).await.unwrap().await.unwrap();
    let before = world.client.stats().accepted;
    let error = world.context.publish("full", "2".into()).await.unwrap().await.unwrap_err();
    assert_eq!((error.kind(), refused(&error)), (PublishErrorKind::Other, Some(ErrorCode::STREAM_STORE_FAILED)));
    assert_eq!(world.client.stats().accepted - before, 1);
}

// What nobody reads any more does not hold up a drain.
#[tokio::test]
async fn a_drain_waits_for_no_acknowledgement_that_nobody_reads() {
    let world = World::start(ContextBuilder::new()).await;
    let silent = world.client.subscribe("silent").await.unwrap();
    drop(world.context.publish("silent", "1".into()).await.unwrap());
    let kept = world.context.publish("m.a", "1".into()).await.unwrap();
    // Its acknowledgement has come when this one's has.
    world.context.publish("m.a", "2".into()).await.unwrap().await.unwrap();
    drop(silent);
    let client = world.client.clone();
    let draining = tokio::spawn(async move { client.drain_and_close(Duration::from_secs(600)).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(kept);
    assert!(soon("the drain", draining).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_message_that_nobody_has_is_sent_again_until_the_time_is_over() {
    let world = World::start(ContextBuilder::new().timeout(Duration::from_millis(600))).await;
    let began = Instant::now();
    let error = world.context.publish("nobody", "1".into()).await.unwrap().await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::StreamNotFound);
    assert!(began.elapsed() >= Duration::from_millis(300), "it was tried more than once: {:?}", began.elapsed());

    // A stream that is created meanwhile stores it.
    let mut patient = world.context.clone();
    patient.set_timeout(Duration::from_secs(30));
    let waiting = tokio::spawn(async move { patient.publish("late", "1".into()).await.unwrap().await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let config = Config { name: "LATE".to_owned(), subjects: vec!["late".to_owned()], ..Config::default() };
    world.context.create_stream(config).await.unwrap();
    let ack = soon("the acknowledgement", waiting).await.unwrap().unwrap();
    assert_eq!((ack.stream.as_str(), ack.sequence), ("LATE", 1));
}

#[tokio::test]
async fn a_message_that_can_not_be_sent_again_says_that_it_was_sent() {
    let mut world = World::start(ContextBuilder::new().timeout(Duration::from_secs(1))).await;
    let published = world.context.publish("nobody", "1".into()).await.unwrap();
    world.client.flush().await.unwrap();
    // It is sent again after 100 ms.
    let killed = async { world.server.kill() };
    let (error, ()) = soon("an error", async { tokio::join!(published.into_future(), killed) }).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::TimedOut);
    let text = "it was not stored when it was sent (no stream found for given subject: nobody stores the subject";
    assert!(error.to_string().contains(text), "{error}");
    assert_eq!(world.context.publish_counts().not_sent, 1);
}

// It took as long as if a stream could have been created meanwhile.
#[tokio::test]
async fn a_subject_that_no_stream_can_have_is_not_tried_again() {
    let world = World::start(ContextBuilder::new().timeout(Duration::from_secs(60))).await;
    let published = async { world.context.publish("m..b", "1".into()).await.unwrap().await.unwrap_err() };
    let error = soon("an error", published).await;
    assert_eq!(error.kind(), PublishErrorKind::StreamNotFound);
    let text = error.to_string();
    assert!(text.starts_with(r#"no stream found for given subject: "m..b""#), "{text}");
    let retried = world.context.publish_retry("m..b", "1".into(), RetryOptions::new());
    let outcome = soon("an outcome", retried).await;
    assert!(matches!(outcome, PublishOutcome::NotSent { .. }), "{outcome:?}");
    let counts = world.context.publish_counts();
    assert_eq!((counts.published, counts.not_sent), (2, 2), "{counts:?}");
}

#[tokio::test]
async fn somebody_elses_answer_is_no_acknowledgement() {
    use futures_util::StreamExt;
    let world = World::start(ContextBuilder::new()).await;
    let mut answering = world.client.subscribe("service").await.unwrap();
    let client = world.client.clone();
    tokio::spawn(async move {
        for answer in ["{}", "no JSON", r#"{"seq":3}"#, ""] {
            let request = answering.next().await.unwrap();
            client.publish(request.reply.unwrap(), answer.into()).await.unwrap();
        }
    });
    for _ in 0..4 {
        let error = world.context.publish("service", "1".into()).await.unwrap().await.unwrap_err();
        assert_eq!(error.kind(), PublishErrorKind::Other, "{error}");
    }
}

#[tokio::test]
async fn permits_come_back_with_acknowledgements_whether_or_not_somebody_reads_them() {
    let world = World::start(ContextBuilder::new().max_ack_inflight(10)).await;
    // Dropped, kept, and awaited.
    for _ in 0..100 {
        drop(soon("a permit", world.context.publish("m.a", "1".into())).await.unwrap());
    }
    let mut kept = Vec::new();
    for _ in 0..100 {
        kept.push(soon("a permit", world.context.publish("m.a", "1".into())).await.unwrap());
    }
    for ack in kept {
        ack.await.unwrap();
    }
    world.context.wait_for_acks().await;
    assert_eq!(world.stored().await, 200);
}

#[tokio::test]
async fn acknowledgements_that_never_come_count_until_their_timeout() {
    let timeout = Duration::from_millis(300);
    let builder = ContextBuilder::new().max_ack_inflight(2).ack_timeout(timeout);
    let mut world = World::start(builder).await;
    world.server.stop();
    let kept = world.context.publish("m.a", "1".into()).await.unwrap();
    drop(world.context.publish("m.a", "2".into()).await.unwrap());
    let began = Instant::now();
    drop(soon("the third permit", world.context.publish("m.a", "3".into())).await.unwrap());
    assert!(began.elapsed() >= timeout / 2, "{:?}", began.elapsed());
    soon("all permits", world.context.wait_for_acks()).await;
    world.server.cont();
    assert_eq!(kept.await.unwrap().sequence, 1, "it is late, and it counts");
}

#[tokio::test]
async fn without_backpressure_a_full_context_says_so() {
    let builder = ContextBuilder::new().max_ack_inflight(1).backpressure_on_inflight(false);
    let mut world = World::start(builder).await;
    world.server.stop();
    let first = world.context.publish("m.a", "1".into()).await.unwrap();
    let error = world.context.publish("m.a", "2".into()).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::MaxAckPending);
    world.server.cont();
    first.await.unwrap();
    world.context.publish("m.a", "2".into()).await.unwrap().await.unwrap();
}

#[tokio::test]
async fn acknowledgements_that_never_come_cost_no_permit_for_ever_and_are_counted() {
    let timeout = Duration::from_millis(300);
    let builder = ContextBuilder::new().max_ack_inflight(2).ack_timeout(timeout).backpressure_on_inflight(false);
    let mut world = World::start(builder).await;
    world.server.stop();
    let kept = world.context.publish("m.a", "1".into()).await.unwrap();
    drop(world.context.publish("m.a", "2".into()).await.unwrap());
    let error = world.context.publish("m.a", "3".into()).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::MaxAckPending);
    assert_eq!(world.context.publish_counts().pending(), 2);
    tokio::time::sleep(timeout * 2).await;
    let counts = world.context.publish_counts();
    assert_eq!((counts.pending(), counts.in_doubt), (1, 1), "one is kept: {counts:?}");
    drop(kept);
    let counts = world.context.publish_counts();
    assert_eq!((counts.pending(), counts.in_doubt), (0, 2), "{counts:?}");
    // Both permits are back.
    for _ in 0..2 {
        drop(world.context.publish("m.a", "4".into()).await.unwrap());
    }
    world.server.cont();
    soon("all permits", world.context.wait_for_acks()).await;
    assert_eq!(world.context.publish_counts().stored, 2);
}

#[tokio::test]
async fn an_acknowledgement_that_a_lost_connection_took_along_is_reported() {
    let mut world = World::start(ContextBuilder::new().max_ack_inflight(2)).await;
    world.server.stop();
    let (lost, dropped) = (
        world.context.publish("m.a", "1".into()).await.unwrap(),
        world.context.publish("m.a", "2".into()).await.unwrap(),
    );
    drop(dropped);
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.server.kill();
    let error = soon("the report", async { lost.await }).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::BrokenPipe);
    assert!(error.source_as::<ConnectionLost>().is_some(), "{error}");
    // What is published during the outage is sent when it is over; its permits were taken back.
    let later = world.context.publish("m.a", "3".into()).await.unwrap();
    drop(world.context.publish("m.a", "4".into()).await.unwrap());
    world.server.restart().await;
    world.stream().await;
    // The stream was in memory, so it may not have been there yet: then nobody had it, and it was sent again.
    soon("the acknowledgement", async { later.await }).await.unwrap();
    soon("all permits", world.context.wait_for_acks()).await;
}

#[tokio::test]
async fn a_closed_client_ends_all_waits() {
    let mut world = World::start(ContextBuilder::new().max_ack_inflight(1)).await;
    world.server.stop();
    let first = world.context.publish("m.a", "1".into()).await.unwrap();
    let context = world.context.clone();
    let second = tokio::spawn(async move { context.publish("m.a", "2".into()).await.map(drop) });
    let context = world.context.clone();
    let all = tokio::spawn(async move { context.wait_for_acks().await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let _ = soon("the end", world.client.close()).await;
    assert_eq!(soon("its end", async { first.await }).await.unwrap_err().kind(), PublishErrorKind::BrokenPipe);
    assert!(soon("the second", second).await.unwrap().is_err());
    soon("the waiting", all).await.unwrap();
}

fn sum(counts: &PublishCounts) -> u64 {
    counts.stored + counts.refused + counts.not_sent + counts.in_doubt + counts.pending()
}

// J8
#[tokio::test]
async fn every_published_message_is_counted_by_its_outcome() {
    let world = World::start(ContextBuilder::new().timeout(Duration::from_millis(400))).await;
    let context = &world.context;
    let mut kept = Vec::new();
    for number in 0..300 {
        // Nobody awaits most of them.
        let ack = context.publish("m.a", format!("{number}").into()).await.unwrap();
        if number % 10 == 0 {
            kept.push(ack);
        }
        let counts = context.publish_counts();
        assert_eq!((counts.published, sum(&counts)), (number + 1, number + 1));
    }
    assert!(context.publish_counts().pending() >= 30, "they were not awaited");
    for ack in kept {
        ack.await.unwrap();
    }
    let counts = soon("outcomes", context.acks_outcome()).await;
    assert_eq!((counts.stored, counts.duplicates, counts.pending()), (300, 0, 0), "{counts:?}");

    let message = || PublishMessage::build().message_id("1");
    context.send_publish("m.a", message()).await.unwrap().await.unwrap();
    // One that is awaited, and one that is not, of each kind.
    let expecting = |number| PublishMessage::build().expected_last_sequence(number);
    for awaited in [true, false] {
        for (subject, publish) in [("m.a", message()), ("m.a", expecting(7)), ("other", PublishMessage::build())] {
            let ack = context.send_publish(subject, publish).await.unwrap();
            if awaited {
                let _ = soon("an outcome", ack.into_future()).await;
            }
        }
        // It is given up.
        let mut given_up = Box::pin(context.publish("m.b", "".into()).await.unwrap().into_future());
        let mut cx = std::task::Context::from_waker(Waker::noop());
        assert!(given_up.as_mut().poll(&mut cx).is_pending());
    }
    let counts = soon("outcomes", context.acks_outcome()).await;
    assert_eq!((counts.stored, counts.duplicates, counts.refused, counts.not_sent), (303, 2, 2, 2), "{counts:?}");
    assert_eq!((counts.in_doubt, counts.pending(), sum(&counts)), (2, 0, counts.published), "{counts:?}");
}

// J8
#[tokio::test]
async fn a_lost_connection_and_silence_leave_messages_in_doubt() {
    let world = World::start(ContextBuilder::new().ack_timeout(Duration::from_millis(300))).await;
    let proxy = Proxy::start(world.server.port()).await;
    let client = ConnectOptions::new().connect(proxy.url()).await.unwrap();
    let context = ContextBuilder::new().ack_timeout(Duration::from_millis(300)).build(client.clone());
    context.publish("m.a", "".into()).await.unwrap().await.unwrap();
    proxy.freeze(Direction::ToClient);
    drop(context.publish("m.a", "".into()).await.unwrap());
    let counts = soon("outcomes", context.acks_outcome()).await;
    assert_eq!((counts.stored, counts.in_doubt), (1, 1), "{counts:?}");
    let kept = context.publish("m.a", "".into()).await.unwrap();
    drop(context.publish("m.a", "".into()).await.unwrap());
    while proxy.passed(Direction::ToServer) == 0 {}
    tokio::time::sleep(Duration::from_millis(50)).await;
    proxy.cut(Cut::Rst);
    proxy.unfreeze(Direction::ToClient);
    kept.await.unwrap_err();
    let counts = soon("outcomes", context.acks_outcome()).await;
    assert_eq!((counts.stored, counts.in_doubt, counts.pending()), (1, 3, 0), "{counts:?}");
    drop(context.publish("m.a", "".into()).await.unwrap());
    let _ = client.close().await;
    let counts = soon("outcomes", context.acks_outcome()).await;
    assert_eq!((sum(&counts), counts.pending()), (counts.published, 0), "{counts:?}");
}
