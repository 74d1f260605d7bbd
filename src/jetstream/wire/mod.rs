//! What JetStream's clients and servers write to each other: documents, subjects, statuses and names. Pure, as `protocol` is:
//! no I/O, no clock, no runtime, and bytes from outside can't make it panic.
//!
//! With the feature `internals` it is public, for tests, fuzzing and experiments, without any promise. What programs use is in
//! [`jetstream`](crate::jetstream).

// | question | file |
// |---|---|
// | a document or an error? what is unknown? | `answer`, on `error` and `error_codes` |
// | how are durations, times and absent values written | `nanos`, `rfc3339`, `lenient` |
// | a stream | `stream_config`, `stream_source`, `stream_info`; `stream_requests`; lists in `pages` |
// | a consumer | `consumer_config`, `consumer_policies`, `consumer_pull`, `consumer_push`; `consumer_info` with its requests |
// | a stored message, one to store, its acknowledgement | `stored`, `outbound`, `publish_ack` |
// | a pull: what it asks for, and what its statuses mean | `pull_request`, `pull_status` |
// | where a delivered message stands, and what it is answered | `ack_subject`, `ack_kind` |
// | the subjects of requests, and the names in them | `api`, `name` |
// | an account | `account` |

mod account;
mod ack_kind;
mod ack_subject;
mod answer;
mod api;
mod consumer_config;
mod consumer_info;
mod consumer_policies;
mod consumer_pull;
mod consumer_push;
mod error;
mod error_codes;
mod lenient;
mod name;
mod nanos;
mod outbound;
mod pages;
mod publish_ack;
mod pull_request;
mod pull_status;
mod rfc3339;
mod stored;
mod stream_config;
mod stream_info;
mod stream_requests;
mod stream_source;

pub use account::{Account, Limits, Requests, Tier};
pub use ack_kind::{AckKind, term_because};
pub use ack_subject::{AckSubject, AckSubjectFault, Info as MessageInfo, OwnedInfo};
pub use answer::Response;
pub use api::{Call, Prefix};
pub use consumer_config::{Config as ConsumerConfig, FromConsumer, IntoConsumerConfig, WrongKind};
pub use consumer_info::{
    ConsumerResetResponse, CreateAction, CreateRequest, Info as ConsumerInfo, PauseRequest, PauseResponse,
    PriorityGroupState, ResetRequest, SequenceInfo, UnpinRequest,
};
pub use consumer_policies::{AckPolicy, DeliverPolicy, PriorityPolicy, ReplayPolicy};
pub use consumer_pull::{BatchConfig, Config as PullConfig, OrderedConfig as OrderedPullConfig};
pub use consumer_push::{Config as PushConfig, OrderedConfig as OrderedPushConfig};
pub use error::{Error, ErrorCode};
pub use name::{Filter, InvalidName, Name, NameFault, NameKind};
pub use outbound::{OutboundMessage, PublishMessage, Rollup, Schedule, ttl_seconds};
pub use pages::Page;
pub use publish_ack::PublishAck;
pub use pull_request::{PullFault, PullRequest, SHORTEST_HEARTBEAT};
pub use pull_status::PullStatus;
pub use stored::{RawMessage, RawMessageAnswer, StoredFault, StreamMessage};
pub use stream_config::{
    Compression, Config as StreamConfig, ConsumerLimits, DiscardPolicy, PersistenceMode, Placement, Republish,
    RetentionPolicy, StorageType, SubjectTransform,
};
pub use stream_info::{
    ClusterInfo, DeleteStatus, Info as StreamInfo, PagedInfo, PeerInfo, PurgeResponse, SourceInfo, State,
};
pub use stream_requests::{
    DeleteMessageRequest, DirectGetRequest, ManyRequest, PageRequest, PurgeRequest, RawMessageRequest,
    StreamInfoRequest,
};
pub use stream_source::{External, Source, StreamConsumerSource};
