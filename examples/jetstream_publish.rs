//! Publishes to a stream: with acknowledgements, without a duplicate, and over an outage.
//! `cargo run --example jetstream_publish`

#[path = "shared/small.rs"]
mod small;

use std::time::Duration;

use nats_lifeline::jetstream::context::PublishErrorKind;
use nats_lifeline::jetstream::message::PublishMessage;
use nats_lifeline::jetstream::publish::{PublishOutcome, RetryOptions};
use nats_lifeline::jetstream::{self, stream};
use nats_lifeline::testing::Broker;
use small::{Error, Server, check, out, say};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let broker = Broker::builder().jetstream(true);
    small::run_on("Stores orders in a stream, each once, over an outage too.", broker, example).await
}

async fn example(server: Server) -> Result<(), Error> {
    let client = nats_lifeline::connect(server.url()).await?;
    let context = jetstream::new(client.clone());
    let config = stream::Config {
        name: "EXAMPLE_ORDERS".to_owned(),
        subjects: vec!["example.orders.*".to_owned()],
        ..stream::Config::default()
    };
    let mut orders = context.get_or_create_stream(config).await?;
    let before = orders.info().await?.state.messages;

    let ack = context.publish("example.orders.new", "four wheels".into()).await?.await?;
    say!("stored as message {} of {}", ack.sequence, ack.stream);

    // Many at a time. Nobody has to await the acknowledgements one by one.
    for number in 0..1_000 {
        context.publish("example.orders.new", format!("a bell, {number}").into()).await?;
    }
    let counts = context.acks_outcome().await;
    say!(
        "{} published, {} stored, {} refused, {} in doubt",
        counts.published,
        counts.stored,
        counts.refused,
        counts.in_doubt
    );
    check(counts.stored == 1_001, "all are stored")?;

    // The stream stores an id once.
    let order = || PublishMessage::build().payload("a lamp".into()).message_id(format!("order-{}", client.new_inbox()));
    let order = order();
    context.send_publish("example.orders.new", order.clone()).await?.await?;
    let again = context.send_publish("example.orders.new", order).await?.await?;
    check(again.duplicate, "the second one is a duplicate")?;

    // The last message must be the one that was read before; otherwise somebody else was faster.
    let stale = PublishMessage::build().expected_last_sequence(before + 1);
    let refused = context.send_publish("example.orders.new", stale).await?.await;
    check(
        refused.is_err_and(|error| error.kind() == PublishErrorKind::WrongLastSequence),
        "the expectation is refused",
    )?;

    // Over an outage: it is sent again under one id until it is stored.
    let publishing = tokio::spawn({
        let context = context.clone();
        async move {
            let order = PublishMessage::build().payload("a saddle".into());
            let options = RetryOptions::new().within(Duration::from_secs(30));
            context.publish_retry("example.orders.new", order, options).await
        }
    });
    server.outage(&client).await?;
    match publishing.await? {
        PublishOutcome::Stored(ack) => say!("stored over an outage as message {}", ack.sequence),
        other => return Err(format!("not stored: {other:?}").into()),
    }
    let after = orders.info().await?.state.messages;
    check(after == before + 1_003, "every order is stored once")?;
    context.delete_stream("EXAMPLE_ORDERS").await?;
    Ok(client.close().await?)
}
