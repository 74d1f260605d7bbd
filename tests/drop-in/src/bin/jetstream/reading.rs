//! Stored messages are read without a consumer.

use async_nats::jetstream::Context;
use async_nats::jetstream::message::StreamMessage;
use async_nats::{Error, HeaderMap};
use futures_util::TryStreamExt;

use crate::outcome;

pub(crate) async fn read(context: &Context) -> Result<(), Error> {
    println!("# reading");
    let stream = context.get_stream("ORDERS").await?;
    outcome("by sequence", stream.get_raw_message(3).await.map(text));
    outcome("unknown", stream.get_raw_message(1000).await.map(text));
    outcome("last", stream.get_last_raw_message_by_subject("orders.paid").await.map(text));
    outcome("last of none", stream.get_last_raw_message_by_subject("orders.none").await.map(text));
    outcome("last of an invalid subject", stream.get_last_raw_message_by_subject("a..b").await.map(text));
    outcome("next", stream.get_next_raw_message_by_subject("orders.paid").await.map(text));
    outcome("next from 4", stream.get_first_raw_message_by_subject("orders.paid", 4).await.map(text));
    let builder = stream.raw_message_builder().sequence(5).next_by_subject("orders.*");
    outcome("by a builder", builder.send().await.map(text));

    outcome("direct", stream.direct_get(2).await.map(text));
    outcome("direct, unknown", stream.direct_get(1000).await.map(text));
    outcome("direct, last", stream.direct_get_last_for_subject("orders.paid").await.map(text));
    outcome("direct, last of none", stream.direct_get_last_for_subject("orders.none").await.map(text));
    outcome("direct, first", stream.direct_get_first_for_subject("orders.paid").await.map(text));
    outcome("direct, next", stream.direct_get_next_for_subject("orders.paid", Some(4)).await.map(text));
    outcome("direct, no next", stream.direct_get_next_for_subject("orders.none", None).await.map(text));
    outcome("direct, invalid", stream.direct_get_next_for_subject("a..b", None).await.map(text));
    outcome("direct, by a builder", stream.direct_get_builder().last_by_subject("orders.new").send().await.map(text));
    outcome("direct, by sequence", stream.direct_get_builder().sequence(1).send().await.map(text));

    let mut subjects: Vec<_> = stream.info_with_subjects("orders.>").await?.try_collect().await?;
    subjects.sort();
    println!("{subjects:?}");
    stream.delete_message(2).await?;
    let info = stream.info_builder().with_deleted(true).subjects("orders.paid").fetch().await?;
    println!("{:?} {:?}", info.info.state.deleted, info.info.state.deleted_count);
    println!("{:?}", info.try_collect::<Vec<_>>().await?);
    Ok(())
}

fn text(message: StreamMessage) -> (u64, String, String, Vec<String>) {
    let StreamMessage { subject, sequence, headers, payload, time: _ } = message;
    (sequence, subject.to_string(), String::from_utf8_lossy(&payload).into_owned(), names(&headers))
}

/// The headers that the publisher wrote.
fn names(headers: &HeaderMap) -> Vec<String> {
    let own = headers.iter().filter(|(name, _)| name.to_string() == "Trace");
    own.flat_map(|(name, values)| values.iter().map(move |value| format!("{name}: {value}"))).collect()
}
