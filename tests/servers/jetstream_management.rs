//! Streams and consumers are created, found, changed, listed and deleted; stored messages are read.

use std::time::Duration;

use futures_util::TryStreamExt;
use nats_lifeline::client::ConnectionLost;
use nats_lifeline::jetstream::consumer::{self, AckPolicy, DeliverPolicy, pull, push};
use nats_lifeline::jetstream::context::{
    AccountErrorKind, ConsumerInfoErrorKind, ContextBuilder, CreateStreamErrorKind, GetStreamByNameErrorKind,
    GetStreamErrorKind, RequestErrorKind,
};
use nats_lifeline::jetstream::response::Response;
use nats_lifeline::jetstream::stream::{
    self, Config, ConsumerCreateStrictErrorKind, ConsumerErrorKind, ConsumerUpdateErrorKind, DirectGetErrorKind,
    LastRawMessageErrorKind, Source, StorageType,
};
use nats_lifeline::jetstream::{self, Context, ErrorCode};
use nats_lifeline::{Client, ConnectOptions};

use crate::support::{Server, soon};

/// A server with JetStream, and a context.
struct World {
    server: Server,
    client: Client,
    context: Context,
}

impl World {
    async fn start() -> World {
        World::with(ContextBuilder::new()).await
    }

    async fn with(builder: ContextBuilder<jetstream::context::Yes>) -> World {
        let server = Server::builder().jetstream().start().await;
        let client = ConnectOptions::new().connect(server.url()).await.unwrap();
        World { context: builder.build(client.clone()), server, client }
    }

    /// A stream in memory.
    async fn stream(&self, name: &str, subject: &str) -> stream::Stream {
        let config = Config { subjects: vec![subject.to_owned()], ..in_memory(name) };
        soon("a stream", self.context.create_stream(config)).await.unwrap()
    }

    /// Stores messages.
    async fn store(&self, messages: &[(&str, &str)]) {
        for (subject, payload) in messages {
            let answer = self.client.request((*subject).to_owned(), (*payload).to_owned().into()).await.unwrap();
            assert!(!answer.payload.windows(7).any(|part| part == b"\"error\""), "{answer:?}");
        }
    }
}

fn in_memory(name: &str) -> Config {
    Config { name: name.to_owned(), storage: StorageType::Memory, ..Config::default() }
}

#[tokio::test]
async fn streams_are_created_found_changed_and_deleted() {
    let world = World::start().await;
    let context = &world.context;
    assert_eq!(context.get_stream("ORDERS").await.unwrap_err().kind(), not_found());
    let updated = context.update_stream(&in_memory("ORDERS")).await.unwrap_err();
    assert_eq!(updated.kind(), CreateStreamErrorKind::NotFound);

    let config = Config { subjects: vec!["orders.>".into()], max_messages: 100, ..in_memory("ORDERS") };
    let mut orders = context.create_stream(config.clone()).await.unwrap();
    assert_eq!(orders.cached_info().config.max_messages, 100);
    context.create_stream(&config).await.expect("the same configuration again");
    let other = Config { max_messages: 7, ..config.clone() };
    let error = context.create_stream(&other).await.unwrap_err();
    let CreateStreamErrorKind::JetStream(refused) = error.kind() else { panic!("{error}") };
    assert_eq!(refused.error_code(), ErrorCode::STREAM_NAME_EXIST);

    assert_eq!(context.get_or_create_stream(other.clone()).await.unwrap().cached_info().config.max_messages, 100);
    assert_eq!(context.update_stream(&other).await.unwrap().config.max_messages, 7);
    assert_eq!(orders.info().await.unwrap().config.max_messages, 7);
    assert_eq!(context.create_or_update_stream(in_memory("NEW")).await.unwrap().config.name, "NEW");
    assert_eq!(context.stream_by_subject("orders.new").await.unwrap(), "ORDERS");
    let nowhere = context.stream_by_subject("nowhere").await.unwrap_err();
    assert_eq!(nowhere.kind(), GetStreamByNameErrorKind::NotFound);

    assert!(context.delete_stream("NEW").await.unwrap().success);
    assert_eq!(context.delete_stream("NEW").await.unwrap_err().kind(), not_found());
    let gone = context.get_stream_no_info("NEW").await.unwrap().get_info().await.unwrap_err();
    let refused = gone.source_as::<jetstream::Error>().map(jetstream::Error::error_code);
    assert_eq!((gone.kind(), refused), (RequestErrorKind::Other, Some(ErrorCode::STREAM_NOT_FOUND)));
}

fn not_found() -> GetStreamErrorKind {
    let error = r#"{"code":404,"err_code":10059,"description":"stream not found"}"#;
    GetStreamErrorKind::JetStream(serde_json::from_str(error).unwrap())
}

#[tokio::test]
async fn lists_longer_than_a_page_are_complete() {
    let world = World::start().await;
    let mut expected = Vec::new();
    for number in 0..260 {
        let name = format!("S{number:03}");
        world
            .context
            .create_stream(Config { subjects: vec![format!("s.{number}")], ..in_memory(&name) })
            .await
            .unwrap();
        expected.push(name);
    }
    let mut names: Vec<String> = soon("the names", world.context.stream_names().try_collect()).await.unwrap();
    names.sort_unstable();
    assert_eq!(names, expected);
    let infos: Vec<stream::Info> = soon("the infos", world.context.streams().try_collect()).await.unwrap();
    let mut names: Vec<&str> = infos.iter().map(|info| info.config.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, expected, "a page has 256 of them");

    let first = world.context.get_stream("S000").await.unwrap();
    let mut expected = Vec::new();
    for number in 0..260 {
        let name = format!("c{number:03}");
        let config = pull::Config { name: Some(name.clone()), ..pull::Config::default() };
        first.create_consumer(config).await.unwrap();
        expected.push(name);
    }
    let mut names: Vec<String> = first.consumer_names().try_collect().await.unwrap();
    names.sort_unstable();
    assert_eq!(names, expected);
    let consumers: Vec<consumer::Info> = first.consumers().try_collect().await.unwrap();
    assert_eq!(consumers.len(), 260);
}

#[tokio::test]
async fn stored_messages_are_read_deleted_and_purged() {
    let world = World::start().await;
    let config = Config { subjects: vec!["m.*".into()], allow_direct: true, ..in_memory("M") };
    let stream = world.context.create_stream(config).await.unwrap();
    world.store(&[("m.a", "1"), ("m.b", "2"), ("m.a", "3"), ("m.c", "4"), ("m.a", "5")]).await;

    // From the leader, and from any replica.
    let raw = stream.get_raw_message(2).await.unwrap();
    assert_eq!((raw.subject.as_str(), raw.sequence, &raw.payload[..]), ("m.b", 2, &b"2"[..]));
    assert_eq!(stream.get_last_raw_message_by_subject("m.a").await.unwrap().sequence, 5);
    assert_eq!(stream.get_first_raw_message_by_subject("m.a", 2).await.unwrap().sequence, 3);
    assert_eq!(stream.get_next_raw_message_by_subject("m.c").await.unwrap().sequence, 4);
    let none = stream.get_raw_message(99).await.unwrap_err();
    assert_eq!(none.kind(), LastRawMessageErrorKind::NoMessageFound);

    let direct = stream.direct_get(2).await.unwrap();
    assert_eq!((direct.subject.as_str(), direct.sequence, direct.time), ("m.b", 2, raw.time));
    assert_eq!(&direct.payload[..], b"2");
    assert_eq!(stream.direct_get_last_for_subject("m.a").await.unwrap().sequence, 5);
    assert_eq!(stream.direct_get_first_for_subject("m.a").await.unwrap().sequence, 1);
    assert_eq!(stream.direct_get_next_for_subject("m.a", Some(4)).await.unwrap().sequence, 5);
    assert_eq!(stream.direct_get(99).await.unwrap_err().kind(), DirectGetErrorKind::NotFound);
    let last = stream.direct_get_last_for_subject("m.nothing").await.unwrap_err();
    assert_eq!(last.kind(), DirectGetErrorKind::NotFound);

    let both = stream.direct_get_builder().last_by_subject("m.a").sequence(1).send().await.unwrap_err();
    assert_eq!(both.to_string(), "request failed: last_by_subject excludes sequence and next_by_subject");
    let zero = stream.direct_get(0).await.unwrap_err().to_string();
    assert_eq!(zero, "request failed: sequence 0; messages are numbered from 1");
    let raw = [stream.raw_message_builder(), stream.raw_message_builder().last_by_subject("m.a").sequence(1)];
    for (builder, rule) in raw.into_iter().zip(["nothing says which message", "last_by_subject excludes sequence"]) {
        let error = builder.send().await.unwrap_err().to_string();
        assert!(error.contains(rule), "{error}");
    }

    let mut subjects: Vec<_> = stream.info_with_subjects("m.>").await.unwrap().try_collect().await.unwrap();
    subjects.sort_unstable();
    assert_eq!(subjects, [("m.a".to_owned(), 3), ("m.b".to_owned(), 1), ("m.c".to_owned(), 1)]);

    assert!(stream.delete_message(2).await.unwrap());
    assert!(stream.delete_message(2).await.is_err(), "it is gone");
    let info = stream.info_builder().with_deleted(true).fetch().await.unwrap().info;
    assert_eq!(info.state.deleted, Some(vec![2]));

    assert_eq!(stream.purge().filter("m.a").keep(1).await.unwrap().purged, 2);
    for none in [0, 1] {
        assert_eq!(stream.purge().sequence(none).await.unwrap().purged, 0, "nothing is before {none}");
    }
    assert_eq!(stream.purge().sequence(5).await.unwrap().purged, 1, "the fourth");
    assert_eq!(stream.purge().await.unwrap().purged, 1);
    assert_eq!(stream.get_info().await.unwrap().state.messages, 0);
    let wrong = stream.purge().filter("m..a").await.unwrap_err().to_string();
    assert!(wrong.contains("invalid filter subject \"m..a\": empty token at byte 2"), "{wrong}");
}

#[tokio::test]
async fn a_stream_without_direct_gets_says_so() {
    let world = World::start().await;
    let stream = world.stream("M", "m").await;
    let error = stream.direct_get(1).await.unwrap_err();
    assert_eq!(error.to_string(), "unable to get message: 503 no responders");
}

#[tokio::test]
async fn consumers_are_created_found_changed_and_deleted() {
    let world = World::start().await;
    let stream = world.stream("M", "m.*").await;
    world.store(&[("m.a", "1"), ("m.b", "2")]).await;
    let config = pull::Config {
        durable_name: Some("workers".to_owned()),
        filter_subject: "m.a".to_owned(),
        ..pull::Config::default()
    };
    let mut workers = stream.create_consumer(config.clone()).await.unwrap();
    assert_eq!((workers.cached_info().name.as_str(), workers.cached_info().num_pending), ("workers", 1));
    assert_eq!(workers.info().await.unwrap().num_pending, 1);
    assert_eq!(workers.config().filter_subject, "m.a");

    let other = pull::Config { filter_subject: "m.b".to_owned(), ..config.clone() };
    let strict = stream.create_consumer_strict(other.clone()).await.unwrap_err();
    assert_eq!(strict.kind(), ConsumerCreateStrictErrorKind::AlreadyExists);
    stream.create_consumer_strict(config).await.expect("the same again");
    stream.update_consumer(other).await.unwrap();
    let found = stream.get_consumer::<pull::Config>("workers").await.unwrap();
    assert_eq!(found.cached_info().config.filter_subject, "m.b");
    let fresh = pull::Config { durable_name: Some("fresh".to_owned()), ..pull::Config::default() };
    let update = stream.update_consumer(fresh).await.unwrap_err();
    assert_eq!(update.kind(), ConsumerUpdateErrorKind::DoesNotExist);

    // The kind is a part of the type.
    let error = world.context.get_consumer_from_stream::<push::Config, _, _>("workers", "M").await.unwrap_err();
    assert_eq!(error.kind(), ConsumerErrorKind::InvalidConsumerType);
    assert!(stream.get_consumer::<push::Config>("workers").await.is_err());
    let pushed = push::Config { deliver_subject: "d".to_owned(), ..push::Config::default() };
    let pushed = world.context.create_consumer_on_stream(pushed, "M").await.unwrap();
    assert_eq!(pushed.cached_info().config.deliver_subject.as_deref(), Some("d"));
    assert_eq!(pushed.cached_info().name.len(), 22, "it has a name of ours");

    let both = pull::Config {
        name: Some("both".to_owned()),
        filter_subjects: vec!["m.a".to_owned(), "m.b".to_owned()],
        deliver_policy: DeliverPolicy::Last,
        ack_policy: AckPolicy::None,
        ..pull::Config::default()
    };
    let both = stream.get_or_create_consumer("both", both).await.unwrap();
    assert_eq!(both.cached_info().config.filter_subjects.len(), 2);
    let again = stream.get_or_create_consumer("both", pull::Config::default()).await.unwrap();
    assert_eq!(again.cached_info().config.ack_policy, AckPolicy::None);

    let named = stream.get_or_create_consumer("named", pull::Config::default()).await.unwrap();
    assert_eq!(named.cached_info().name, "named");
    stream.delete_consumer("named").await.unwrap();

    let later = nats_lifeline::datetime::parse_rfc3339("2100-01-01T00:00:00Z").unwrap();
    assert!(stream.pause_consumer("both", later).await.unwrap().paused);
    assert!(!stream.resume_consumer("both").await.unwrap().paused);
    let group = stream.unpin_consumer("both", "no group").await.unwrap_err().to_string();
    assert!(group.contains("invalid priority group \"no group\""), "{group}");
    assert!(matches!(stream.unpin_consumer("both", "jobs").await.unwrap_err().kind(), ConsumerErrorKind::JetStream(_)));

    assert!(stream.delete_consumer("both").await.unwrap().success);
    assert!(world.context.delete_consumer_from_stream("workers", "M").await.unwrap().success);
    assert_eq!(workers.get_info().await.unwrap_err().kind(), ConsumerInfoErrorKind::NotFound);
    assert!(matches!(stream.delete_consumer("both").await.unwrap_err().kind(), ConsumerErrorKind::JetStream(_)));
}

#[tokio::test]
async fn a_consumer_starts_again_where_it_is_told_to() {
    let world = World::start().await;
    let stream = world.stream("M", "m").await;
    world.store(&[("m", "1"), ("m", "2"), ("m", "3")]).await;
    let mut consumer = stream.create_consumer(pull::Config::default()).await.unwrap();
    let reset = consumer.reset(Some(3)).await.unwrap();
    assert_eq!((reset.reset_seq, reset.info.num_pending), (3, 1));
    assert_eq!(consumer.cached_info().num_pending, 1);
}

// What would change a subject never leaves the client.
#[tokio::test]
async fn names_and_subjects_that_are_none_are_refused_with_their_rule() {
    let world = World::start().await;
    let context = &world.context;
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let error = context.get_stream("a.b").await.unwrap_err();
    assert_eq!(error.kind(), GetStreamErrorKind::InvalidStreamName);
    assert_eq!(text(&error), "invalid stream name: invalid stream name \"a.b\": '.' at byte 1 is not allowed");
    assert_eq!(context.get_stream("").await.unwrap_err().kind(), GetStreamErrorKind::EmptyName);
    assert_eq!(context.delete_stream("*").await.unwrap_err().kind(), GetStreamErrorKind::InvalidStreamName);
    let error = context.create_stream("a b").await.unwrap_err();
    assert_eq!(error.kind(), CreateStreamErrorKind::InvalidStreamName);
    assert_eq!(
        context.create_stream(Config::default()).await.unwrap_err().kind(),
        CreateStreamErrorKind::EmptyStreamName
    );
    let subject = context.stream_by_subject("a..b").await.unwrap_err();
    assert_eq!(subject.kind(), GetStreamByNameErrorKind::InvalidSubject);

    let source = Source { name: "M".to_owned(), domain: Some("hub".to_owned()), ..Source::default() };
    let both = Source { external: Some(stream::External::default()), ..source.clone() };
    let error = context.create_stream(Config { mirror: Some(both), ..in_memory("X") }).await.unwrap_err();
    assert_eq!(error.kind(), CreateStreamErrorKind::DomainAndExternalSet);
    let made = context.create_stream(Config { sources: Some(vec![source]), ..in_memory("X") }).await.unwrap();
    let sources = made.cached_info().config.sources.clone().unwrap();
    assert_eq!(sources[0].external.as_ref().unwrap().api_prefix, "$JS.hub.API");

    let stream = world.stream("M", "m").await;
    let named = pull::Config { durable_name: Some("a.b".to_owned()), ..pull::Config::default() };
    assert_eq!(stream.create_consumer(named).await.unwrap_err().kind(), ConsumerErrorKind::InvalidName);
    let filtered = pull::Config { filter_subject: "a b".to_owned(), ..pull::Config::default() };
    let error = stream.create_consumer(filtered).await.unwrap_err();
    assert!(text(&error).contains("invalid filter subject \"a b\""), "{error}");
    assert_eq!(stream.consumer_info(">").await.unwrap_err().kind(), ConsumerInfoErrorKind::InvalidName);

    let wrong = jetstream::with_prefix(world.client.clone(), "from.*");
    let error = wrong.query_account().await.unwrap_err();
    assert!(text(&error).contains("invalid API prefix \"from.*\""), "{error}");
    let wrong = jetstream::with_domain(world.client.clone(), "a.b");
    assert!(text(&wrong.get_stream("M").await.unwrap_err()).contains("invalid domain \"a.b\""));
}

#[tokio::test]
async fn the_account_and_any_request_of_the_api() {
    let world = World::start().await;
    world.stream("M", "m").await;
    let account = world.context.query_account().await.unwrap();
    assert_eq!((account.streams, account.limits.max_streams), (1, None));
    let answer: Response<serde_json::Value> = world.context.request("STREAM.INFO.M", &()).await.unwrap();
    assert_eq!(answer.into_result().unwrap()["config"]["name"], "M");
    let answer: Response<serde_json::Value> = world.context.request("STREAM.INFO.NONE", &()).await.unwrap();
    assert_eq!(answer.into_result().unwrap_err().error_code(), ErrorCode::STREAM_NOT_FOUND);
    let nobody = jetstream::with_domain(world.client.clone(), "nowhere");
    assert_eq!(nobody.query_account().await.unwrap_err().kind(), AccountErrorKind::JetStreamUnavailable);
    let error = nobody.create_stream("M").await.unwrap_err();
    assert_eq!(error.kind(), CreateStreamErrorKind::JetStreamUnavailable);
}

// A server that is stopped has not answered: what only reads is asked again, the rest is reported.
#[tokio::test]
async fn after_a_lost_connection_reads_are_repeated_and_changes_are_reported() {
    let mut world = World::start().await;
    world.context.create_stream(in_memory("M")).await.unwrap();
    world.server.stop();
    let (reading, changing) = (world.context.clone(), world.context.clone());
    let reading = tokio::spawn(async move { reading.stream_names().try_collect::<Vec<_>>().await });
    let changing = tokio::spawn(async move { changing.delete_stream("M").await });
    // Both are sent by then.
    world.client.statistics();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!reading.is_finished() && !changing.is_finished());
    world.server.kill();
    let error = soon("the report", changing).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), GetStreamErrorKind::Request);
    assert!(error.source_as::<ConnectionLost>().is_some(), "{error}");
    world.server.restart().await;
    let names = soon("the list", reading).await.unwrap().unwrap();
    assert_eq!(names, [] as [&str; 0], "the stream was in memory");
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_waits_for_its_turn_within_it() {
    let timeout = Duration::from_millis(400);
    let mut world = World::with(ContextBuilder::new().timeout(timeout).concurrency_limit(Some(1))).await;
    world.context.query_account().await.unwrap();
    world.server.stop();
    let began = std::time::Instant::now();
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let context = world.context.clone();
            tokio::spawn(async move { context.query_account().await })
        })
        .collect();
    for call in calls {
        let error = soon("the deadline", call).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), AccountErrorKind::TimedOut);
    }
    assert!(began.elapsed() >= timeout);
    world.server.cont();
    let mut patient = world.context.clone();
    patient.set_timeout(Duration::from_secs(30));
    patient.query_account().await.expect("turns were given back");
}

#[tokio::test]
async fn a_list_ends_after_an_error_that_would_come_again() {
    let server = Server::start().await;
    let context = jetstream::new(ConnectOptions::new().connect(server.url()).await.unwrap());
    let names: Vec<_> = soon("the end", futures_util::StreamExt::collect(context.stream_names())).await;
    assert!(matches!(&names[..], [Err(error)] if error.kind() == RequestErrorKind::NoResponders), "{names:?}");
}

#[tokio::test]
async fn an_answer_that_says_nothing_of_the_stream_is_an_error() {
    let server = Server::start().await;
    let client = ConnectOptions::new().connect(server.url()).await.unwrap();
    let mut requests = client.subscribe("$JS.API.STREAM.INFO.S").await.unwrap();
    client.flush().await.unwrap();
    let answering = tokio::spawn(async move {
        let request = futures_util::StreamExt::next(&mut requests).await.unwrap();
        client.publish(request.reply.unwrap(), "{}".into()).await.unwrap();
    });
    let context = jetstream::new(ConnectOptions::new().connect(server.url()).await.unwrap());
    let error = soon("an answer", context.get_stream("S")).await.unwrap_err();
    assert!(error.to_string().contains("missing field `config`"), "{error}");
    answering.await.unwrap();
}
