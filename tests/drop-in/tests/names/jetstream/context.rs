//! The context, its builder and its errors.

use std::fmt::{Debug, Display};
use std::time::Duration;

use async_nats::error::Error as KindError;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, Context, account, consumer, context, message, publish, stream};
use async_nats::{Client, Subject};
use bytes::Bytes;
use futures_util::Stream;

use super::{any, functions, futures, has, kinds, methods, same};

has!(Context: Debug + Clone + Send + Sync + Unpin);
has!(context::Yes: Debug + Default);
has!(context::No: Debug + Default);
has!(context::PublishErrorKind: Copy + Debug + PartialEq + Display);
has!(
    context::PublishAckFuture:
    Debug + IntoFuture<Output = Result<publish::PublishAck, context::PublishError>, IntoFuture: Future + Unpin + Send> + Send
);
has!(context::StreamNames: Stream<Item = Result<String, context::StreamsError>> + Unpin + Send);
has!(context::Streams: Stream<Item = Result<stream::Info, context::StreamsError>> + Unpin + Send);
has!(context::RequestErrorKind: Copy + Debug + PartialEq + Display);
has!(context::ConsumerInfoErrorKind: Clone + Debug + PartialEq + Display);
has!(context::CreateStreamErrorKind: Clone + Debug + PartialEq + Display);
has!(context::GetStreamErrorKind: Clone + Debug + PartialEq + Display);
has!(context::GetStreamByNameErrorKind: Clone + Debug + PartialEq + Display);
has!(context::AccountErrorKind: Clone + Debug + PartialEq + Display);

same!(context::PublishError = KindError<context::PublishErrorKind>);
same!(context::StreamsErrorKind = context::RequestErrorKind);
same!(context::StreamsError = context::RequestError);
same!(context::Publish = message::PublishMessage);
same!(context::RequestError = KindError<context::RequestErrorKind>);
same!(context::ConsumerInfoError = KindError<context::ConsumerInfoErrorKind>);
same!(context::CreateStreamError = KindError<context::CreateStreamErrorKind>);
same!(context::GetStreamError = KindError<context::GetStreamErrorKind>);
same!(context::GetStreamByNameError = KindError<context::GetStreamByNameErrorKind>);
same!(context::UpdateStreamError = context::CreateStreamError);
same!(context::UpdateStreamErrorKind = context::CreateStreamErrorKind);
same!(context::DeleteStreamError = context::GetStreamError);
same!(context::DeleteStreamErrorKind = context::GetStreamErrorKind);
same!(context::AccountError = KindError<context::AccountErrorKind>);

has!(context::RequestError: From<async_nats::RequestError>);
has!(context::RequestError: From<jetstream::Error>);
has!(context::ConsumerInfoError: From<jetstream::Error>);
has!(context::ConsumerInfoError: From<context::RequestError>);
has!(context::CreateStreamError: From<jetstream::Error>);
has!(context::CreateStreamError: From<context::RequestError>);
has!(context::AccountError: From<context::RequestError>);
has!(context::ContextBuilder<context::Yes>: Default);

functions! { context::ContextBuilder<context::Yes>:
    new() -> context::ContextBuilder<context::Yes>;
}

methods! { context::ContextBuilder<context::Yes>:
    api_prefix::<&str>(&str) -> context::ContextBuilder<context::No>;
    domain::<&str>(&str) -> context::ContextBuilder<context::No>;
}

methods! { context::ContextBuilder<context::No>:
    timeout(Duration) -> context::ContextBuilder<context::Yes>;
    ack_timeout(Duration) -> context::ContextBuilder<context::Yes>;
    max_ack_inflight(usize) -> context::ContextBuilder<context::Yes>;
    backpressure_on_inflight(bool) -> context::ContextBuilder<context::Yes>;
    concurrency_limit(Option<usize>) -> context::ContextBuilder<context::Yes>;
    build(Client) -> Context;
}

methods! { &mut Context:
    set_timeout(Duration) -> ();
}

methods! { &Context:
    client() -> Client;
    stream_names() -> context::StreamNames;
    streams() -> context::Streams;
}

futures! { &Context:
    wait_for_acks() -> ();
    publish::<Subject>(Subject, Bytes) -> Result<context::PublishAckFuture, context::PublishError>;
    publish_with_headers::<Subject>(Subject, async_nats::header::HeaderMap, Bytes)
        -> Result<context::PublishAckFuture, context::PublishError>;
    send_publish::<Subject>(Subject, message::PublishMessage)
        -> Result<context::PublishAckFuture, context::PublishError>;
    query_account() -> Result<account::Account, context::AccountError>;
    create_stream::<&str>(&str) -> Result<stream::Stream<stream::Info>, context::CreateStreamError>;
    get_stream_no_info::<&str>(&str) -> Result<stream::Stream<()>, context::GetStreamError>;
    get_stream::<&str>(&str) -> Result<stream::Stream, context::GetStreamError>;
    get_or_create_stream::<stream::Config>(stream::Config) -> Result<stream::Stream, context::CreateStreamError>;
    delete_stream::<&str>(&str) -> Result<stream::DeleteStatus, context::DeleteStreamError>;
    update_stream::<&stream::Config>(&stream::Config) -> Result<stream::Info, context::UpdateStreamError>;
    create_or_update_stream(stream::Config) -> Result<stream::Info, context::CreateStreamError>;
    stream_by_subject::<&str>(&str) -> Result<String, context::GetStreamByNameError>;
    get_consumer_from_stream::<pull::Config, &str, &str>(&str, &str)
        -> Result<consumer::Consumer<pull::Config>, stream::ConsumerError>;
    delete_consumer_from_stream::<&str, &str>(&str, &str) -> Result<stream::DeleteStatus, stream::ConsumerError>;
    create_consumer_on_stream::<pull::Config, &str>(pull::Config, &str)
        -> Result<consumer::Consumer<pull::Config>, stream::ConsumerError>;
    update_consumer_on_stream::<pull::Config, &str>(pull::Config, &str)
        -> Result<consumer::Consumer<pull::Config>, stream::ConsumerUpdateError>;
    create_consumer_strict_on_stream::<pull::Config, &str>(pull::Config, &str)
        -> Result<consumer::Consumer<pull::Config>, stream::ConsumerCreateStrictError>;
    request::<Subject, (), serde_json::Value>(Subject, &()) -> Result<serde_json::Value, context::RequestError>;
    send_request::<Subject>(Subject, async_nats::client::Request) -> Result<(), async_nats::PublishError>;
}

#[test]
fn the_kinds_of_errors_have_these_texts() {
    kinds! { context::PublishErrorKind {
        StreamNotFound = "no stream found for given subject", WrongLastMessageId = "wrong last message id",
        WrongLastSequence = "wrong last sequence", TimedOut = "timed out: didn't receive ack in time",
        BrokenPipe = "broken pipe", MaxAckPending = "max ack pending reached",
        MaxPayloadExceeded = "max payload size exceeded", Other = "publish failed",
    } }
    kinds! { context::RequestErrorKind {
        NoResponders = "requested JetStream resource does not exist", TimedOut = "timed out",
        InvalidSubject = "invalid subject", Other = "request failed",
    } }
    kinds! { context::ConsumerInfoErrorKind {
        InvalidName = "invalid consumer name", Offline = "consumer is offline", NotFound = "consumer not found",
        StreamNotFound = "stream not found", Request = "request error", JetStream(err) = "jetstream error: {err}",
        TimedOut = "timed out", NoResponders = "no responders",
    } }
    kinds! { context::CreateStreamErrorKind {
        EmptyStreamName = "stream name cannot be empty", InvalidStreamName = "stream name cannot contain `.`, `_`",
        DomainAndExternalSet = "domain and external are both set", JetStreamUnavailable = "jetstream unavailable",
        JetStream(err) = "jetstream error: {err}", TimedOut = "jetstream request timed out",
        Response = "response error", NotFound = "stream not found",
        ResponseParse = "failed to parse server response",
    } }
    kinds! { context::GetStreamErrorKind {
        EmptyName = "empty name cannot be empty", Request = "request error",
        InvalidStreamName = "invalid stream name", JetStream(err) = "jetstream error: {err}",
    } }
    kinds! { context::GetStreamByNameErrorKind {
        Request = "request error", NotFound = "stream not found", InvalidSubject = "invalid subject",
        JetStream(err) = "jetstream error: {err}",
    } }
    kinds! { context::AccountErrorKind {
        TimedOut = "timed out", JetStream(err) = "JetStream error: {err}",
        JetStreamUnavailable = "JetStream unavailable", Other = "error",
    } }
}
