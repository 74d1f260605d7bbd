//! JetStream of another server or another account: by its domain over a leaf node, and by the prefix of an import.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::jetstream::consumer::{PullConsumer, pull};
use nats_lifeline::jetstream::stream::Config;
use nats_lifeline::jetstream::{self, Context};
use nats_lifeline::{Client, ConnectOptions};

use super::jetstream_pull::number;
use crate::support::ports::Ports;
use crate::support::{SOON, Server, eventually, soon};

async fn connect(server: &Server, user: &str) -> Client {
    let options = ConnectOptions::with_user_and_password(user.to_owned(), "p".to_owned());
    options.connect(server.url()).await.unwrap()
}

fn config() -> Config {
    Config { name: "M".to_owned(), subjects: vec!["m.*".to_owned()], ..Config::default() }
}

async fn publish(context: &Context, numbers: std::ops::Range<u64>, domain: &str) {
    for number in numbers {
        let ack = soon("a publish", context.publish("m.a", number.to_string().into())).await.unwrap();
        let ack = soon("an acknowledgement", async { ack.await }).await.unwrap();
        assert_eq!((ack.sequence, ack.stream.as_str()), (number + 1, "M"));
        assert_eq!(ack.domain, domain);
    }
}

/// Publishes, pulls, acknowledges and reads in order: all of it through `far`, whose stream has nothing in it. `near` is beside the
/// stream. `in_acks` is the domain in acknowledgement subjects.
async fn everything_works(far: &Context, near: &Context, domain: &str, in_acks: Option<&str>) {
    publish(far, 0..6, domain).await;
    let stream = soon("the stream", far.get_stream("M")).await.unwrap();
    let ack_wait = Duration::from_secs(2);
    let durable = pull::Config { durable_name: Some("c".to_owned()), ack_wait, ..pull::Config::default() };
    let consumer: PullConsumer = soon("a consumer", stream.create_consumer(durable)).await.unwrap();
    let mut messages = consumer.stream().max_messages_per_batch(4).messages().await.unwrap();
    for expected in 0..6 {
        let message = soon("a message", messages.next()).await.unwrap().unwrap();
        let info = message.info().unwrap();
        assert_eq!((number(&message), info.stream, info.consumer), (expected, "M", "c"));
        assert_eq!((info.stream_sequence, info.delivered), (expected + 1, 1));
        assert_eq!(info.domain, in_acks);
        assert_eq!(message.subject.as_str(), "m.a");
        if expected % 2 == 0 {
            message.ack().await.unwrap();
        } else {
            soon("a confirmation", message.double_ack()).await.unwrap();
        }
    }
    drop(messages);
    publish(far, 6..10, domain).await;
    // What was sent for the last pull of the dropped stream comes again after a while.
    let mut rest: BTreeSet<u64> = (6..10).collect();
    while !rest.is_empty() {
        let mut batch = consumer.batch().max_messages(rest.len()).messages().await.unwrap();
        while let Some(message) = soon("a message, or the end", batch.next()).await {
            let message = message.unwrap();
            assert!(rest.remove(&number(&message)));
            soon("a confirmation", message.double_ack()).await.unwrap();
        }
    }
    let near = soon("the stream", near.get_stream("M")).await.unwrap();
    eventually("acknowledgements", SOON, async || {
        let info = soon("information", near.consumer_info("c")).await.unwrap();
        (info.num_ack_pending, info.ack_floor.stream_sequence) == (0, 10)
    })
    .await;
    let ordered = soon("a consumer", stream.create_consumer(pull::OrderedConfig::default())).await.unwrap();
    let mut ordered = soon("a subscription", ordered.messages()).await.unwrap();
    for expected in 0..10 {
        assert_eq!(number(&soon("a message", ordered.next()).await.unwrap().unwrap()), expected);
    }
}

// J2
#[tokio::test]
async fn a_client_on_a_leaf_node_uses_the_streams_of_the_hub_by_its_domain() {
    for v2 in [false, true] {
        over_a_leaf_node(v2).await;
    }
}

/// `v2`: the acknowledgement subjects have the domain.
async fn over_a_leaf_node(v2: bool) {
    let ports = Ports::reserve();
    let port = ports.cluster();
    let hub = Server::builder().jetstream_domain("hub").line(format!("leafnodes {{ listen: \"127.0.0.1:{port}\" }}"));
    let hub = hub.line(format!("feature_flags {{ js_ack_fc_v2: {v2} }}")).start_on(ports).await;
    let remote = format!("leafnodes {{ remotes: [ {{ url: \"nats-leaf://127.0.0.1:{port}\" }} ] }}");
    let leaf = Server::builder().jetstream_domain("leaf").line(remote).start().await;
    let near = jetstream::new(ConnectOptions::new().connect(hub.url()).await.unwrap());
    soon("a stream", near.create_stream(config())).await.unwrap();
    let client = ConnectOptions::new().connect(leaf.url()).await.unwrap();
    let far = jetstream::with_domain(client.clone(), "hub");
    eventually("the leaf node's connection", SOON * 2, async || far.get_stream("M").await.is_ok()).await;
    everything_works(&far, &near, "hub", v2.then_some("hub")).await;
    // Its own server has another domain.
    let own = jetstream::with_domain(client, "leaf");
    assert_eq!(soon("an account", own.query_account()).await.unwrap().streams, 0);
}

// J2
#[tokio::test]
async fn a_client_of_another_account_uses_its_streams_by_the_prefix_of_the_import() {
    let accounts = r#"
accounts {
  JS { jetstream: enabled, users: [ { user: near, password: p } ], exports: [
    { service: "$JS.API.>", response_type: stream }, { service: "$JS.ACK.>" }, { service: "m.*" } ] }
  APP { users: [ { user: far, password: p } ], imports: [
    { service: { account: JS, subject: "$JS.API.>" }, to: "JS.other.API.>" },
    { service: { account: JS, subject: "$JS.ACK.>" } }, { service: { account: JS, subject: "m.*" } } ] }
}"#;
    let server = Server::builder().jetstream().line(accounts).start().await;
    let near = jetstream::new(connect(&server, "near").await);
    soon("a stream", near.create_stream(config())).await.unwrap();
    let far = jetstream::with_prefix(connect(&server, "far").await, "JS.other.API");
    everything_works(&far, &near, "", None).await;
}
