//! Messages to publish, and messages with what acknowledges them.

use std::fmt::{Debug, Display};
use std::time::Duration;

use async_nats::datetime::DateTime;
use async_nats::error::Error as KindError;
use async_nats::jetstream::{Context, message};
use async_nats::{HeaderMap, Subject};
use bytes::Bytes;

use super::{any, fields, functions, futures, has, kinds, methods, same, variants};

has!(message::StreamMessage: Debug + Clone);
has!(message::PublishMessage: Clone + Debug + Default);
has!(message::Message: Clone + Debug + std::ops::Deref<Target = async_nats::Message>);
has!(message::StreamMessageErrorKind: Debug + Clone + PartialEq + Display);
has!(message::AckKind: Debug + Copy);
has!(message::Info<'static>: Debug + Clone);

same!(message::StreamMessageError = KindError<message::StreamMessageErrorKind>);

has!(async_nats::message::OutboundMessage: From<message::OutboundMessage>);
has!(async_nats::Message: From<message::Message>);
has!(Bytes: From<message::AckKind>);
has!(message::StreamMessage: TryFrom<async_nats::Message, Error = message::StreamMessageError>);

fields! { message::StreamMessage {
    subject: Subject, sequence: u64, headers: HeaderMap, payload: Bytes, time: DateTime,
} }

fields! { message::OutboundMessage { subject: Subject, payload: Bytes, headers: Option<HeaderMap> } }

fields! { message::Message { message: async_nats::Message, context: Context } }

fields! { message::Info<'static> {
    domain: Option<&'static str>, acc_hash: Option<&'static str>, stream: &'static str, consumer: &'static str,
    stream_sequence: u64, consumer_sequence: u64, delivered: i64, pending: u64, published: DateTime,
    token: Option<&'static str>,
} }

variants! { message::AckKind { Ack, Nak(_), Progress, Next, Term } }

functions! { message::OutboundMessage:
    new(Subject, Bytes, Option<HeaderMap>) -> message::OutboundMessage;
}

functions! { message::PublishMessage:
    build() -> message::PublishMessage;
}

methods! { message::PublishMessage:
    payload(Bytes) -> message::PublishMessage;
    headers(HeaderMap) -> message::PublishMessage;
    header::<&str, &str>(&str, &str) -> message::PublishMessage;
    message_id::<&str>(&str) -> message::PublishMessage;
    expected_last_message_id::<&str>(&str) -> message::PublishMessage;
    expected_last_sequence(u64) -> message::PublishMessage;
    expected_last_subject_sequence(u64) -> message::PublishMessage;
    expected_stream::<&str>(&str) -> message::PublishMessage;
    ttl(Duration) -> message::PublishMessage;
    outbound_message::<Subject>(Subject) -> message::OutboundMessage;
}

methods! { message::Message:
    split() -> (async_nats::Message, message::Acker);
}

futures! { &message::Message:
    ack() -> Result<(), async_nats::Error>;
    ack_with(message::AckKind) -> Result<(), async_nats::Error>;
    double_ack_with(message::AckKind) -> Result<(), async_nats::Error>;
    double_ack() -> Result<(), async_nats::Error>;
}

methods! { &message::Message:
    info() -> Result<message::Info<'static>, async_nats::Error>;
}

functions! { message::Acker:
    new(Context, Option<Subject>) -> message::Acker;
}

futures! { &message::Acker:
    ack() -> Result<(), async_nats::Error>;
    ack_with(message::AckKind) -> Result<(), async_nats::Error>;
    double_ack_with(message::AckKind) -> Result<(), async_nats::Error>;
    double_ack() -> Result<(), async_nats::Error>;
}

#[test]
fn the_kinds_of_errors_have_these_texts() {
    kinds! { message::StreamMessageErrorKind { MissingHeader = "missing message header", ParseError = "parse error" } }
}
