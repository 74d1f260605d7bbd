//! Pull consumers, ordered ones too.

use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::time::Duration;

use async_nats::datetime::DateTime;
use async_nats::error::Error as KindError;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, consumer};
use async_nats::{Subject, SubscribeError};
use futures_util::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{any, fields, functions, futures, has, kinds, methods, same};

has!(pull::Batch: Stream<Item = Result<jetstream::Message, async_nats::Error>> + Unpin + Send);
has!(pull::Sequence: Stream<Item = Result<pull::Batch, pull::MessagesError>> + Unpin + Send);
has!(pull::OrderedConfig: Debug + Serialize + DeserializeOwned + Clone + Eq + Default);
has!(pull::Ordered: Stream<Item = Result<jetstream::Message, pull::OrderedError>> + Unpin + Send);
has!(pull::Stream: Stream<Item = Result<jetstream::Message, pull::MessagesError>> + Unpin + Send);
has!(pull::OrderedErrorKind: Copy + Debug + PartialEq + Display);
has!(pull::MessagesErrorKind: Copy + Debug + PartialEq + Display);
has!(pull::BatchConfig: Debug + Serialize + Clone + Eq + Default);
has!(pull::Config: Debug + Serialize + DeserializeOwned + Clone + Eq + Default);
has!(pull::BatchRequestErrorKind: Copy + Debug + PartialEq + Display);
has!(pull::BatchErrorKind: Copy + Debug + PartialEq + Display);
has!(pull::ConsumerRecreateErrorKind: Copy + Debug + PartialEq + Display);

same!(pull::OrderedError = KindError<pull::OrderedErrorKind>);
same!(pull::MessagesError = KindError<pull::MessagesErrorKind>);
same!(pull::BatchRequestError = KindError<pull::BatchRequestErrorKind>);
same!(pull::BatchError = KindError<pull::BatchErrorKind>);
same!(pull::ConsumerRecreateError = KindError<pull::ConsumerRecreateErrorKind>);

has!(pull::Config: From<pull::OrderedConfig>);
has!(pull::OrderedError: From<pull::MessagesError>);
has!(pull::BatchError: From<SubscribeError>);
has!(pull::BatchError: From<pull::BatchRequestError>);

fields! { pull::OrderedConfig {
    name: Option<String>, description: Option<String>, filter_subject: String, filter_subjects: Vec<String>,
    replay_policy: consumer::ReplayPolicy, rate_limit: u64, sample_frequency: u8, headers_only: bool,
    deliver_policy: consumer::DeliverPolicy, max_waiting: i64, metadata: HashMap<String, String>, max_batch: i64,
    max_bytes: i64, max_expires: Duration,
} }

fields! { pull::BatchConfig {
    batch: usize, expires: Option<Duration>, no_wait: bool, max_bytes: usize, idle_heartbeat: Duration,
    min_pending: Option<usize>, min_ack_pending: Option<usize>, group: Option<String>, priority: Option<usize>,
} }

fields! { pull::Config {
    durable_name: Option<String>, name: Option<String>, description: Option<String>,
    deliver_policy: consumer::DeliverPolicy, ack_policy: consumer::AckPolicy, ack_wait: Duration, max_deliver: i64,
    filter_subject: String, filter_subjects: Vec<String>, replay_policy: consumer::ReplayPolicy, rate_limit: u64,
    sample_frequency: u8, max_waiting: i64, max_ack_pending: i64, headers_only: bool, max_batch: i64, max_bytes: i64,
    max_expires: Duration, inactive_threshold: Duration, num_replicas: usize, memory_storage: bool,
    metadata: HashMap<String, String>, backoff: Vec<Duration>, priority_policy: consumer::PriorityPolicy,
    priority_groups: Vec<String>, priority_timeout: Duration, pause_until: Option<DateTime>,
} }

futures! { &consumer::Consumer<pull::Config>:
    messages() -> Result<pull::Stream, consumer::StreamError>;
    request_batch::<pull::BatchConfig>(pull::BatchConfig, Subject) -> Result<(), pull::BatchRequestError>;
}

methods! { &consumer::Consumer<pull::Config>:
    stream() -> pull::StreamBuilder<'static>;
    fetch() -> pull::FetchBuilder<'static>;
    batch() -> pull::BatchBuilder<'static>;
    sequence(usize) -> Result<pull::Sequence, pull::BatchError>;
}

futures! { consumer::Consumer<pull::OrderedConfig>:
    messages() -> Result<pull::Ordered, consumer::StreamError>;
}

functions! { pull::StreamBuilder<'static>:
    new(&'static consumer::Consumer<pull::Config>) -> pull::StreamBuilder<'static>;
}

methods! { pull::StreamBuilder<'static>:
    max_bytes_per_batch(usize) -> pull::StreamBuilder<'static>;
    max_messages_per_batch(usize) -> pull::StreamBuilder<'static>;
    heartbeat(Duration) -> pull::StreamBuilder<'static>;
    expires(Duration) -> pull::StreamBuilder<'static>;
    min_pending(usize) -> pull::StreamBuilder<'static>;
    priority(usize) -> pull::StreamBuilder<'static>;
    min_ack_pending(usize) -> pull::StreamBuilder<'static>;
    group::<&str>(&str) -> pull::StreamBuilder<'static>;
}

futures! { pull::StreamBuilder<'static>:
    messages() -> Result<pull::Stream, consumer::StreamError>;
}

functions! { pull::FetchBuilder<'static>:
    new(&'static consumer::Consumer<pull::Config>) -> pull::FetchBuilder<'static>;
}

methods! { pull::FetchBuilder<'static>:
    max_bytes(usize) -> pull::FetchBuilder<'static>;
    max_messages(usize) -> pull::FetchBuilder<'static>;
    heartbeat(Duration) -> pull::FetchBuilder<'static>;
    expires(Duration) -> pull::FetchBuilder<'static>;
    min_pending(usize) -> pull::FetchBuilder<'static>;
    priority(usize) -> pull::FetchBuilder<'static>;
    min_ack_pending(usize) -> pull::FetchBuilder<'static>;
    group::<&str>(&str) -> pull::FetchBuilder<'static>;
}

futures! { pull::FetchBuilder<'static>:
    messages() -> Result<pull::Batch, pull::BatchError>;
}

functions! { pull::BatchBuilder<'static>:
    new(&'static consumer::Consumer<pull::Config>) -> pull::BatchBuilder<'static>;
}

methods! { pull::BatchBuilder<'static>:
    max_bytes(usize) -> pull::BatchBuilder<'static>;
    max_messages(usize) -> pull::BatchBuilder<'static>;
    heartbeat(Duration) -> pull::BatchBuilder<'static>;
    min_pending(usize) -> pull::BatchBuilder<'static>;
    min_ack_pending(usize) -> pull::BatchBuilder<'static>;
    group::<&str>(&str) -> pull::BatchBuilder<'static>;
    expires(Duration) -> pull::BatchBuilder<'static>;
}

futures! { pull::BatchBuilder<'static>:
    messages() -> Result<pull::Batch, pull::BatchError>;
}

#[test]
fn the_kinds_of_errors_have_these_texts() {
    kinds! { pull::OrderedErrorKind {
        MissingHeartbeat = "missed idle heartbeat", ConsumerDeleted = "consumer deleted",
        Pull = "pull request failed", PushBasedConsumer = "cannot use with push consumer",
        Recreate = "consumer recreation failed", NoResponders = "no responders",
        RequestLimitExceeded = "pull request exceeded consumer limits", Other = "error",
    } }
    kinds! { pull::MessagesErrorKind {
        MissingHeartbeat = "missed idle heartbeat", ConsumerDeleted = "consumer deleted",
        Pull = "pull request failed", PushBasedConsumer = "cannot use with push consumer",
        NoResponders = "no responders", RequestLimitExceeded = "pull request exceeded consumer limits",
        Other = "error",
    } }
    kinds! { pull::BatchRequestErrorKind {
        Publish = "publish failed", Flush = "flush failed", Serialize = "serialize failed",
    } }
    kinds! { pull::BatchErrorKind {
        Subscribe = "subscribe failed", Pull = "pull request failed", Flush = "flush failed",
        Serialize = "serialize failed", PinnedClient = "pinned client consumers need a pull stream",
    } }
    kinds! { pull::ConsumerRecreateErrorKind {
        GetStream = "error getting stream", Recreate = "consumer creation failed", TimedOut = "timed out",
    } }
}
