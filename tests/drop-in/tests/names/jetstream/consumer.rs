//! Consumers: what all of them have, and push consumers.

use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::time::Duration;

use async_nats::datetime::DateTime;
use async_nats::error::Error as KindError;
use async_nats::jetstream::consumer::{pull, push};
use async_nats::jetstream::{self, Context, consumer, context, stream};
use futures_util::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{any, fields, functions, futures, has, kinds, methods, same};

has!(consumer::Consumer<pull::Config>: Clone + Debug);
has!(consumer::Info: Debug + DeserializeOwned + Clone + Eq);
has!(consumer::PriorityGroupState: Debug + DeserializeOwned + Clone + Eq);
has!(consumer::SequenceInfo: Debug + DeserializeOwned + Copy + Eq);
has!(consumer::Config: Debug + Serialize + DeserializeOwned + Clone + Eq + Default);
has!(consumer::PriorityPolicy: Debug + Serialize + DeserializeOwned + Clone + Eq + Default);
has!(consumer::DeliverPolicy: Debug + Serialize + DeserializeOwned + Copy + Eq + Default);
has!(consumer::AckPolicy: Debug + Serialize + DeserializeOwned + Copy + Eq + Default);
has!(consumer::ReplayPolicy: Debug + Serialize + DeserializeOwned + Copy + Eq + Default);
has!(consumer::StreamErrorKind: Copy + Debug + PartialEq + Display);

same!(consumer::PullConsumer = consumer::Consumer<pull::Config>);
same!(consumer::PushConsumer = consumer::Consumer<push::Config>);
same!(consumer::OrderedPullConsumer = consumer::Consumer<pull::OrderedConfig>);
same!(consumer::OrderedPushConsumer = consumer::Consumer<push::OrderedConfig>);
same!(consumer::StreamError = KindError<consumer::StreamErrorKind>);

has!(consumer::Config: From<&'static consumer::Config>);
has!(consumer::Config: From<&'static str>);
has!(consumer::StreamError: From<stream::ConsumerError>);

has!(push::Messages: Stream<Item = Result<jetstream::Message, push::MessagesError>> + Unpin + Send);
has!(push::Config: Debug + Serialize + DeserializeOwned + Clone + Eq + Default);
has!(push::OrderedConfig: Debug + Serialize + DeserializeOwned + Clone + Eq + Default);
has!(push::Ordered: Stream<Item = Result<jetstream::Message, push::OrderedError>> + Unpin + Send);
has!(push::OrderedErrorKind: Clone + Debug + PartialEq + Display);
has!(push::MessagesErrorKind: Copy + Debug + PartialEq + Display);
has!(push::ConsumerRecreateErrorKind: Copy + Debug + PartialEq + Display);

same!(push::OrderedError = KindError<push::OrderedErrorKind>);
same!(push::MessagesError = KindError<push::MessagesErrorKind>);
same!(push::ConsumerRecreateError = KindError<push::ConsumerRecreateErrorKind>);

has!(push::OrderedError: From<push::MessagesError>);

fields! { push::Config {
    deliver_subject: String, durable_name: Option<String>, name: Option<String>, description: Option<String>,
    deliver_group: Option<String>, deliver_policy: consumer::DeliverPolicy, ack_policy: consumer::AckPolicy,
    ack_wait: Duration, max_deliver: i64, filter_subject: String, filter_subjects: Vec<String>,
    replay_policy: consumer::ReplayPolicy, rate_limit: u64, sample_frequency: u8, max_waiting: i64,
    max_ack_pending: i64, headers_only: bool, flow_control: bool, idle_heartbeat: Duration, num_replicas: usize,
    memory_storage: bool, metadata: HashMap<String, String>, backoff: Vec<Duration>, inactive_threshold: Duration,
    pause_until: Option<DateTime>,
} }

fields! { push::OrderedConfig {
    deliver_subject: String, name: Option<String>, description: Option<String>, filter_subject: String,
    filter_subjects: Vec<String>, replay_policy: consumer::ReplayPolicy, rate_limit: u64, sample_frequency: u8,
    headers_only: bool, deliver_policy: consumer::DeliverPolicy, max_waiting: i64, metadata: HashMap<String, String>,
} }

functions! { consumer::Consumer<push::OrderedConfig>:
    new(push::OrderedConfig, consumer::Info, Context) -> consumer::Consumer<push::OrderedConfig>;
}

futures! { &mut consumer::Consumer<push::OrderedConfig>:
    info() -> Result<&consumer::Info, context::ConsumerInfoError>;
    reset(Option<u64>) -> Result<stream::ConsumerResetResponse, stream::ConsumerResetError>;
}

futures! { &consumer::Consumer<push::OrderedConfig>:
    get_info() -> Result<consumer::Info, context::ConsumerInfoError>;
}

methods! { &consumer::Consumer<push::OrderedConfig>:
    cached_info() -> &consumer::Info;
}
futures! { &consumer::Consumer<push::Config>:
    messages() -> Result<push::Messages, consumer::StreamError>;
}

futures! { consumer::Consumer<push::OrderedConfig>:
    messages() -> Result<push::Ordered, consumer::StreamError>;
}

#[test]
fn the_kinds_of_errors_have_these_texts() {
    kinds! { consumer::StreamErrorKind { TimedOut = "timed out", Other = "failed" } }
    kinds! { push::OrderedErrorKind {
        MissingHeartbeat = "missed idle heartbeat", ConsumerDeleted = "consumer deleted",
        PullBasedConsumer = "cannot use with push consumer", Recreate = "consumer recreation failed",
        Other = "error",
    } }
    kinds! { push::MessagesErrorKind {
        MissingHeartbeat = "missed idle heartbeat", ConsumerDeleted = "consumer deleted",
        PullBasedConsumer = "cannot use with pull consumer", Other = "error",
    } }
    kinds! { push::ConsumerRecreateErrorKind {
        GetStream = "error getting stream", Subscription = "failed to resubscribe",
        Recreate = "consumer creation failed", TimedOut = "timed out",
    } }
}
