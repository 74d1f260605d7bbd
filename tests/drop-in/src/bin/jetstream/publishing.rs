//! Messages are published, and acknowledged by the server.

use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{Context, ContextBuilder};
use async_nats::{Error, HeaderMap};

use crate::{impatient, outcome};

pub(crate) async fn publish(context: &Context) -> Result<(), Error> {
    println!("# publishing");
    let ack = context.publish("orders.new", "1".into()).await?.await?;
    println!("{} {} {:?} {:?}", ack.stream, ack.sequence, ack.duplicate, ack.domain);
    let mut headers = HeaderMap::new();
    headers.insert("Trace", "17");
    println!("{}", context.publish_with_headers("orders.new", headers, "2".into()).await?.await?.sequence);
    for duplicate in [false, true] {
        let message = PublishMessage::build().payload("3".into()).message_id("third").header("Trace", "18");
        let ack = context.send_publish("orders.paid", message).await?.await?;
        println!("{} {} {duplicate}", ack.sequence, ack.duplicate);
    }
    let mut later = Vec::new();
    for number in 4..=20 {
        later.push(context.publish("orders.new", number.to_string().into()).await?);
    }
    let mut sequences = Vec::new();
    for ack in later {
        sequences.push(ack.await?.sequence);
    }
    println!("{sequences:?}");

    let right = PublishMessage::build()
        .expected_stream("ORDERS")
        .expected_last_sequence(20)
        .expected_last_subject_sequence(3)
        .payload("21".into());
    println!("as expected: {}", context.send_publish("orders.paid", right).await?.await?.sequence);
    for (what, wrong) in [
        ("stream", PublishMessage::build().expected_stream("OTHER")),
        ("last sequence", PublishMessage::build().expected_last_sequence(7)),
        ("last message", PublishMessage::build().expected_last_message_id("seventh")),
        ("time to live", PublishMessage::build().ttl(Duration::from_secs(5))),
    ] {
        outcome(what, context.send_publish("orders.new", wrong).await?.await.map(|ack| ack.sequence));
    }
    outcome("no stream", impatient(context).publish("unknown", "".into()).await?.await.map(drop));

    // Acknowledgements that nobody awaits.
    let limited = ContextBuilder::new().max_ack_inflight(3).build(context.client());
    for number in 22..=30 {
        drop(limited.publish("orders.new", number.to_string().into()).await?);
    }
    limited.wait_for_acks().await;
    println!("{}", context.get_stream("ORDERS").await?.cached_info().state.last_sequence);
    Ok(())
}
