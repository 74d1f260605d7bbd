//! Readers whose user may not publish what they need: the error names the subject, and comes immediately.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use nats_lifeline::jetstream::consumer::{AckPolicy, pull, push};
use nats_lifeline::jetstream::{self, Context};
use nats_lifeline::{Client, ConnectOptions};

use super::jetstream_pull::World;
use crate::support::{Server, ServerBuilder, soon};

/// Two users: `boss` may do everything, and `worker` may not publish to `denied`.
fn server(denied: &str) -> ServerBuilder {
    let worker = format!("{{ user: worker, password: w, permissions: {{ publish: {{ deny: [\"{denied}\"] }} }} }}");
    let users = format!("authorization {{ users: [ {{ user: boss, password: b }}, {worker} ] }}");
    Server::builder().jetstream().line(users)
}

async fn connect(server: &Server, user: &str, password: &str) -> Client {
    let options = ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    options.connect(server.url()).await.unwrap()
}

/// A consumer with messages, and the context of the worker.
async fn world(denied: &str) -> (World, Context) {
    let server = server(denied).start().await;
    let worker = connect(&server, "worker", "w").await;
    let boss = connect(&server, "boss", "b").await;
    let world = World::of(server, async |_| boss).await;
    world.consumer(pull::Config::default()).await;
    world.publish(0..3).await;
    (world, jetstream::new(worker))
}

/// The error that these messages end with, with its sources.
async fn end<T: Debug, E: Into<nats_lifeline::Error> + Debug>(
    mut messages: impl Stream<Item = Result<T, E>> + Unpin,
) -> String {
    let error: nats_lifeline::Error = soon("an error", messages.next()).await.unwrap().unwrap_err().into();
    assert!(soon("the end", messages.next()).await.is_none());
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        text = format!("{text}: {next}");
        source = next.source();
    }
    text
}

// J2
#[tokio::test]
async fn a_denied_pull_ends_its_messages_with_an_error_that_names_the_subject() {
    let (_world, worker) = world("$JS.API.CONSUMER.MSG.NEXT.>").await;
    let denied = "Permissions Violation for Publish to \"$JS.API.CONSUMER.MSG.NEXT.M.";
    let consumer: jetstream::consumer::PullConsumer =
        soon("it", worker.get_consumer_from_stream("c", "M")).await.unwrap();
    let error = end(soon("a stream", consumer.messages()).await.unwrap()).await;
    assert!(error.contains(&format!("{denied}c\"")), "{error}");
    for waits in [true, false] {
        let batch = match waits {
            true => consumer.batch().messages().await,
            false => consumer.fetch().messages().await,
        };
        let mut batch = batch.unwrap();
        let error = end(&mut batch).await;
        assert!(error.contains(&format!("{denied}c\"")), "{error}");
        let Some(pull::BatchEnd::Refused(text)) = batch.end() else { panic!("{:?}", batch.end()) };
        assert!(text.contains(denied), "{text}");
    }
    let ordered = worker.create_consumer_on_stream(pull::OrderedConfig::default(), "M");
    let error = end(soon("a consumer", ordered).await.unwrap().messages().await.unwrap()).await;
    assert!(error.contains(denied), "{error}");
}

// J2
#[tokio::test]
async fn a_push_consumer_whose_flow_control_is_denied_ends_instead_of_stalling() {
    let (world, worker) = world("$JS.FC.>").await;
    for number in 0..40 {
        let payload = vec![0; 500_000].into();
        soon("an ack", async { world.context.publish(format!("m.{number}"), payload).await.unwrap().await })
            .await
            .unwrap();
    }
    let denied = "Permissions Violation for Publish to \"$JS.FC.M.";
    let deliver_subject = worker.client().new_inbox();
    let config = push::Config {
        deliver_subject: deliver_subject.clone(),
        flow_control: true,
        idle_heartbeat: Duration::from_secs(1),
        ack_policy: AckPolicy::None,
        ..push::Config::default()
    };
    let consumer = soon("a consumer", worker.create_consumer_on_stream(config, "M")).await.unwrap();
    let error = end(after_messages(soon("messages", consumer.messages()).await.unwrap())).await;
    assert!(error.contains(denied), "{error}");
    let config = push::OrderedConfig { deliver_subject, ..push::OrderedConfig::default() };
    let consumer = soon("a consumer", worker.create_consumer_on_stream(config, "M")).await.unwrap();
    let error = end(after_messages(soon("messages", consumer.messages()).await.unwrap())).await;
    assert!(error.contains(denied), "{error}");
}

/// What comes from the first error on.
fn after_messages<T, E>(
    messages: impl Stream<Item = Result<T, E>> + Unpin,
) -> impl Stream<Item = Result<T, E>> + Unpin {
    messages.skip_while(|message| std::future::ready(message.is_ok()))
}

// J2
#[tokio::test]
async fn a_refused_inbox_is_an_error_and_not_the_end_of_the_messages() {
    let world = World::of(Server::builder().jetstream().line("max_subscriptions: 2").start().await, async |url| {
        ConnectOptions::new().connect(url).await.unwrap()
    })
    .await;
    let consumer = world.consumer(pull::Config::default()).await;
    // The inbox of requests is one; this is the other.
    let _other = world.client.subscribe("other").await.unwrap();
    world.client.flush().await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    let error = soon("an error", messages.next()).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("maximum subscriptions exceeded"), "{error}");
    assert!(soon("the end", messages.next()).await.is_none());
    let mut batch = soon("a batch", consumer.fetch().messages()).await.unwrap();
    assert!(soon("an error", batch.next()).await.unwrap().is_err());
}
