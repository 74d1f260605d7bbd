//! Streams: what is called, and the errors.

use std::fmt::{Debug, Display};

use async_nats::datetime::DateTime;
use async_nats::error::Error as KindError;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, Context, consumer, context, message, stream};
use futures_util::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{any, functions, futures, has, kinds, methods, same};

has!(stream::DirectGetErrorKind: Clone + Debug + PartialEq + Display);
has!(stream::DeleteMessageErrorKind: Clone + Debug + PartialEq + Display);
has!(stream::Stream: Debug + Clone);
has!(stream::Config: Debug + Serialize + DeserializeOwned + Clone + Eq + Default);
has!(stream::ConsumerLimits: Serialize + DeserializeOwned + Clone + Debug + Eq + Default);
has!(stream::Compression: Serialize + DeserializeOwned + Debug + Clone + Eq);
has!(stream::SubjectTransform: Serialize + DeserializeOwned + Debug + Clone + Eq);
has!(stream::Republish: Serialize + DeserializeOwned + Debug + Clone + Eq);
has!(stream::Placement: Debug + Clone + Serialize + DeserializeOwned + Eq + Default);
has!(stream::DiscardPolicy: Debug + Serialize + DeserializeOwned + Copy + Eq + Default);
has!(stream::RetentionPolicy: Debug + Serialize + DeserializeOwned + Copy + Eq + Default);
has!(stream::StorageType: Debug + Serialize + DeserializeOwned + Copy + Eq + Default);
has!(stream::PersistenceMode: Debug + Serialize + DeserializeOwned + Copy + Eq + Default);
has!(stream::StreamInfoRequest: Debug + Clone + Eq + Serialize);
has!(stream::InfoWithSubjects: Stream<Item = Result<(String, usize), stream::InfoError>> + Unpin + Send);
has!(stream::Info: Debug + DeserializeOwned + Clone + Eq);
has!(stream::PagedInfo: Debug + DeserializeOwned + Clone + Eq);
has!(stream::DeleteStatus: DeserializeOwned);
has!(stream::PauseResponse: DeserializeOwned);
has!(stream::ConsumerResetResponse: Debug + DeserializeOwned + Clone);
has!(stream::State: Debug + DeserializeOwned + Clone + Eq);
has!(stream::RawMessage: Debug + Serialize + DeserializeOwned + Clone);
has!(stream::ClusterInfo: Debug + DeserializeOwned + Clone + Eq + Default);
has!(stream::PeerInfo: Debug + DeserializeOwned + Clone + Eq + Default);
has!(stream::SourceInfo: Debug + Clone + DeserializeOwned + Eq);
has!(stream::PurgeResponse: Debug + DeserializeOwned + Copy);
has!(stream::PurgeRequest: Debug + Serialize + Clone + Default);
has!(stream::Source: Clone + Debug + Serialize + DeserializeOwned + Eq + Default);
has!(stream::StreamConsumerSource: Clone + Debug + Serialize + DeserializeOwned + Eq + Default);
has!(stream::External: Clone + Debug + Serialize + DeserializeOwned + Eq + Default);
has!(stream::Yes: Debug + Default);
has!(stream::No: Debug + Default);
has!(
    stream::Purge<stream::Yes, stream::No>:
    Debug + IntoFuture<Output = Result<stream::PurgeResponse, stream::PurgeError>>
);
has!(stream::PurgeErrorKind: Clone + Debug + PartialEq + Display);
has!(stream::ConsumerNames: Stream<Item = Result<String, stream::ConsumersError>> + Unpin + Send);
has!(stream::Consumers: Stream<Item = Result<consumer::Info, stream::ConsumersError>> + Unpin + Send);
has!(stream::LastRawMessageErrorKind: Clone + Debug + PartialEq + Display);
has!(stream::ConsumerErrorKind: Clone + Debug + PartialEq + Display);
has!(stream::ConsumerResetErrorKind: Clone + Debug + PartialEq + Display);
has!(stream::ConsumerCreateStrictErrorKind: Clone + Debug + PartialEq + Display);
has!(stream::ConsumerUpdateErrorKind: Clone + Debug + PartialEq + Display);
has!(stream::DirectGetRequest: Debug + Serialize + Default);
has!(stream::RawMessageRequest: Debug + Serialize + Default);

same!(stream::InfoError = context::RequestError);
same!(stream::DirectGetError = KindError<stream::DirectGetErrorKind>);
same!(stream::DeleteMessageError = KindError<stream::DeleteMessageErrorKind>);
same!(stream::PurgeError = KindError<stream::PurgeErrorKind>);
same!(stream::ConsumersErrorKind = context::StreamsErrorKind);
same!(stream::ConsumersError = context::StreamsError);
same!(stream::LastRawMessageError = KindError<stream::LastRawMessageErrorKind>);
same!(stream::RawMessageErrorKind = stream::LastRawMessageErrorKind);
same!(stream::RawMessageError = stream::LastRawMessageError);
same!(stream::ConsumerError = KindError<stream::ConsumerErrorKind>);
same!(stream::ConsumerResetError = KindError<stream::ConsumerResetErrorKind>);
same!(stream::ConsumerCreateStrictError = KindError<stream::ConsumerCreateStrictErrorKind>);
same!(stream::ConsumerUpdateError = KindError<stream::ConsumerUpdateErrorKind>);

has!(stream::DirectGetError: From<async_nats::RequestError>);
has!(stream::DirectGetError: From<serde_json::Error>);
has!(stream::DirectGetError: From<message::StreamMessageError>);
has!(stream::Config: From<&'static stream::Config>);
has!(stream::Config: From<&'static str>);
has!(stream::ConsumerResetError: From<jetstream::Error>);
has!(stream::ConsumerResetError: From<context::RequestError>);
has!(stream::ConsumerError: From<jetstream::Error>);
has!(stream::ConsumerCreateStrictError: From<jetstream::Error>);
has!(stream::ConsumerUpdateError: From<jetstream::Error>);
has!(stream::ConsumerUpdateError: From<stream::ConsumerError>);
has!(stream::ConsumerCreateStrictError: From<stream::ConsumerError>);
has!(stream::ConsumerError: From<context::RequestError>);
has!(stream::ConsumerUpdateError: From<context::RequestError>);
has!(stream::ConsumerCreateStrictError: From<context::RequestError>);
has!(message::StreamMessage: TryFrom<stream::RawMessage, Error = async_nats::Error>);

futures! { &mut stream::Stream:
    info() -> Result<&stream::Info, stream::InfoError>;
}

methods! { &stream::Stream:
    cached_info() -> &stream::Info;
}

futures! { &stream::Stream<()>:
    get_info() -> Result<stream::Info, stream::InfoError>;
    info_with_subjects::<&str>(&str) -> Result<stream::InfoWithSubjects, stream::InfoError>;
    direct_get_next_for_subject::<&str>(&str, Option<u64>) -> Result<message::StreamMessage, stream::DirectGetError>;
    direct_get_first_for_subject::<&str>(&str) -> Result<message::StreamMessage, stream::DirectGetError>;
    direct_get(u64) -> Result<message::StreamMessage, stream::DirectGetError>;
    direct_get_last_for_subject::<&str>(&str) -> Result<message::StreamMessage, stream::DirectGetError>;
    get_raw_message(u64) -> Result<message::StreamMessage, stream::RawMessageError>;
    get_first_raw_message_by_subject::<&str>(&str, u64) -> Result<message::StreamMessage, stream::RawMessageError>;
    get_next_raw_message_by_subject::<&str>(&str) -> Result<message::StreamMessage, stream::RawMessageError>;
    get_last_raw_message_by_subject(&str) -> Result<message::StreamMessage, stream::LastRawMessageError>;
    delete_message(u64) -> Result<bool, stream::DeleteMessageError>;
    purge_subject::<&str>(&str) -> Result<stream::PurgeResponse, stream::PurgeError>;
    create_consumer::<pull::Config>(pull::Config) -> Result<consumer::Consumer<pull::Config>, stream::ConsumerError>;
    update_consumer::<pull::Config>(pull::Config)
        -> Result<consumer::Consumer<pull::Config>, stream::ConsumerUpdateError>;
    create_consumer_strict::<pull::Config>(pull::Config)
        -> Result<consumer::Consumer<pull::Config>, stream::ConsumerCreateStrictError>;
    consumer_info::<&str>(&str) -> Result<consumer::Info, context::ConsumerInfoError>;
    get_consumer::<pull::Config>(&str) -> Result<consumer::Consumer<pull::Config>, async_nats::Error>;
    get_or_create_consumer::<pull::Config>(&str, pull::Config)
        -> Result<consumer::Consumer<pull::Config>, stream::ConsumerError>;
    delete_consumer(&str) -> Result<stream::DeleteStatus, stream::ConsumerError>;
    pause_consumer(&str, DateTime) -> Result<stream::PauseResponse, stream::ConsumerError>;
    resume_consumer(&str) -> Result<stream::PauseResponse, stream::ConsumerError>;
    unpin_consumer(&str, &str) -> Result<(), stream::ConsumerError>;
    reset_consumer(&str, Option<u64>) -> Result<stream::ConsumerResetResponse, stream::ConsumerResetError>;
}

methods! { &stream::Stream<()>:
    info_builder() -> stream::StreamInfoBuilder;
    direct_get_builder() -> stream::DirectGetBuilder<stream::WithHeaders>;
    raw_message_builder() -> stream::RawMessageBuilder<stream::WithHeaders>;
    purge() -> stream::Purge<stream::No, stream::No>;
    consumer_names() -> stream::ConsumerNames;
    consumers() -> stream::Consumers;
}

methods! { stream::StreamInfoBuilder:
    with_deleted(bool) -> stream::StreamInfoBuilder;
    subjects::<&str>(&str) -> stream::StreamInfoBuilder;
}

futures! { stream::StreamInfoBuilder:
    fetch() -> Result<stream::InfoWithSubjects, stream::InfoError>;
}

functions! { stream::InfoWithSubjects:
    new(Context, stream::Info, String) -> stream::InfoWithSubjects;
}

functions! { stream::StreamConsumerSource:
    new(&str, &str) -> stream::StreamConsumerSource;
}

methods! { stream::Purge<stream::Yes, stream::No>:
    filter::<&str>(&str) -> stream::Purge<stream::Yes, stream::No>;
    sequence(u64) -> stream::Purge<stream::Yes, stream::No>;
}

methods! { stream::Purge<stream::No, stream::Yes>:
    keep(u64) -> stream::Purge<stream::No, stream::Yes>;
}

methods! { stream::DirectGetBuilder:
    sequence(u64) -> stream::DirectGetBuilder;
    last_by_subject::<&str>(&str) -> stream::DirectGetBuilder;
    next_by_subject::<&str>(&str) -> stream::DirectGetBuilder;
}

futures! { stream::DirectGetBuilder<stream::WithHeaders>:
    send() -> Result<message::StreamMessage, stream::DirectGetError>;
}

futures! { stream::DirectGetBuilder<stream::WithoutHeaders>:
    send() -> Result<stream::StreamValue, stream::DirectGetError>;
}

methods! { stream::RawMessageBuilder:
    sequence(u64) -> stream::RawMessageBuilder;
    last_by_subject::<&str>(&str) -> stream::RawMessageBuilder;
    next_by_subject::<&str>(&str) -> stream::RawMessageBuilder;
}

futures! { stream::RawMessageBuilder<stream::WithHeaders>:
    send() -> Result<message::StreamMessage, stream::RawMessageError>;
}

futures! { stream::RawMessageBuilder<stream::WithoutHeaders>:
    send() -> Result<stream::StreamValue, stream::RawMessageError>;
}

#[test]
fn the_kinds_of_errors_have_these_texts() {
    kinds! { stream::DirectGetErrorKind {
        NotFound = "message not found", InvalidSubject = "invalid subject", TimedOut = "timed out",
        Request = "request failed",
        ErrorResponse(status, description) = "unable to get message: {status} {description}",
        Other = "error getting message",
    } }
    kinds! { stream::DeleteMessageErrorKind {
        Request = "request failed", TimedOut = "timed out", JetStream(err) = "JetStream error: {err}",
    } }
    kinds! { stream::PurgeErrorKind {
        Request = "request failed", TimedOut = "timed out", JetStream(err) = "JetStream error: {err}",
    } }
    kinds! { stream::LastRawMessageErrorKind {
        NoMessageFound = "no message found", InvalidSubject = "invalid subject",
        JetStream(err) = "JetStream error: {err}", Other = "failed to get last raw message",
    } }
    kinds! { stream::ConsumerErrorKind {
        TimedOut = "timed out", Request = "request failed", InvalidConsumerType = "invalid consumer type",
        InvalidName = "invalid consumer name", JetStream(err) = "JetStream error: {err}", Other = "consumer error",
    } }
    kinds! { stream::ConsumerResetErrorKind {
        TimedOut = "timed out", Request = "request failed", NotFound = "stream or consumer not found",
        InvalidReset = "invalid reset", JetStream(err) = "JetStream error: {err}",
    } }
    kinds! { stream::ConsumerCreateStrictErrorKind {
        TimedOut = "timed out", Request = "request failed", InvalidConsumerType = "invalid consumer type",
        InvalidName = "invalid consumer name", AlreadyExists = "consumer already exists",
        JetStream(err) = "JetStream error: {err}", Other = "consumer error",
    } }
    kinds! { stream::ConsumerUpdateErrorKind {
        TimedOut = "timed out", Request = "request failed", InvalidConsumerType = "invalid consumer type",
        InvalidName = "invalid consumer name", DoesNotExist = "consumer does not exist",
        JetStream(err) = "JetStream error: {err}", Other = "consumer error",
    } }
}
