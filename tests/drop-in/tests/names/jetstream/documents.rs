//! The fields of configurations and of what servers report.

use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;

use async_nats::datetime::DateTime;
use async_nats::jetstream::{account, consumer, publish, response, stream};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{fields, has, variants};

fields! { publish::PublishAck {
    stream: String, sequence: u64, domain: String, duplicate: bool, value: Option<String>, batch_id: Option<String>,
    batch_size: Option<u64>,
} }

fields! { account::Limits {
    max_memory: Option<i64>, max_storage: Option<i64>, max_streams: Option<i64>, max_consumers: Option<i64>,
    max_bytes_required: bool, max_ack_pending: i64, memory_max_stream_bytes: Option<i64>,
    storage_max_stream_bytes: Option<i64>,
} }

fields! { account::Requests { total: u64, errors: u64, level: usize, inflight: u64 } }

fields! { account::Tier {
    memory: u64, storage: u64, reserved_memory: u64, reserved_storage: u64, streams: usize, consumers: usize,
    limits: account::Limits,
} }

fields! { account::Account {
    memory: u64, storage: u64, reserved_memory: u64, reserved_storage: u64, streams: usize, consumers: usize,
    domain: Option<String>, limits: account::Limits, requests: account::Requests,
    tiers: HashMap<String, account::Tier>,
} }

variants! { response::Response<u8> { Err { error: _ }, Ok(_) } }

fields! { stream::Config {
    name: String, max_bytes: i64, max_messages: i64, max_messages_per_subject: i64, discard: stream::DiscardPolicy,
    discard_new_per_subject: bool, subjects: Vec<String>, retention: stream::RetentionPolicy, max_consumers: i32,
    max_age: Duration, max_message_size: i32, storage: stream::StorageType, num_replicas: usize, no_ack: bool,
    duplicate_window: Duration, template_owner: String, sealed: bool, description: Option<String>, allow_rollup: bool,
    deny_delete: bool, deny_purge: bool, republish: Option<stream::Republish>, allow_direct: bool,
    mirror_direct: bool, mirror: Option<stream::Source>, sources: Option<Vec<stream::Source>>,
    metadata: HashMap<String, String>, subject_transform: Option<stream::SubjectTransform>,
    compression: Option<stream::Compression>, consumer_limits: Option<stream::ConsumerLimits>,
    first_sequence: Option<u64>, placement: Option<stream::Placement>, persist_mode: Option<stream::PersistenceMode>,
    pause_until: Option<DateTime>, allow_message_ttl: bool, subject_delete_marker_ttl: Option<Duration>,
    allow_atomic_publish: bool, allow_message_schedules: bool, allow_message_counter: bool, allow_batch_publish: bool,
} }

fields! { stream::ConsumerLimits { inactive_threshold: Duration, max_ack_pending: i64 } }

fields! { stream::SubjectTransform { source: String, destination: String } }

fields! { stream::Republish { source: String, destination: String, headers_only: bool } }

fields! { stream::Placement { cluster: Option<String>, tags: Vec<String> } }

fields! { stream::InfoWithSubjects { info: stream::Info, .. } }

fields! { stream::Info {
    config: stream::Config, created: DateTime, state: stream::State, cluster: Option<stream::ClusterInfo>,
    mirror: Option<stream::SourceInfo>, sources: Vec<stream::SourceInfo>, ..
} }

fields! { stream::DeleteStatus { success: bool } }

fields! { stream::PauseResponse { paused: bool, pause_until: DateTime, pause_remaining: Option<Duration> } }

fields! { stream::ConsumerResetResponse { info: consumer::Info, reset_seq: u64 } }

fields! { stream::State {
    messages: u64, bytes: u64, first_sequence: u64, first_timestamp: DateTime, last_sequence: u64,
    last_timestamp: DateTime, consumer_count: usize, subjects_count: u64, deleted_count: Option<u64>,
    deleted: Option<Vec<u64>>, ..
} }

fields! { stream::RawMessage {
    subject: String, sequence: u64, payload: String, headers: Option<String>, time: DateTime,
} }

fields! { stream::ClusterInfo {
    name: Option<String>, raft_group: Option<String>, leader: Option<String>, leader_since: Option<DateTime>,
    system_account: bool, traffic_account: Option<String>, replicas: Vec<stream::PeerInfo>,
} }

fields! { stream::PeerInfo { name: String, current: bool, active: Duration, offline: bool, lag: Option<u64> } }

fields! { stream::SourceInfo {
    name: String, lag: u64, active: Option<Duration>, filter_subject: Option<String>,
    subject_transform_dest: Option<String>, subject_transforms: Vec<stream::SubjectTransform>,
} }

fields! { stream::PurgeResponse { success: bool, purged: u64 } }

fields! { stream::PurgeRequest { sequence: Option<u64>, filter: Option<String>, keep: Option<u64> } }

fields! { stream::Source {
    name: String, start_sequence: Option<u64>, start_time: Option<DateTime>, filter_subject: Option<String>,
    external: Option<stream::External>, domain: Option<String>, subject_transforms: Vec<stream::SubjectTransform>,
    consumer: Option<stream::StreamConsumerSource>,
} }

fields! { stream::StreamConsumerSource { name: String, deliver_subject: String } }

fields! { stream::External { api_prefix: String, delivery_prefix: Option<String> } }

fields! { stream::StreamValue { data: Bytes } }

variants! { stream::Compression { S2, None } }

variants! { stream::DiscardPolicy { Old, New } }

variants! { stream::RetentionPolicy { Limits, Interest, WorkQueue } }

variants! { stream::StorageType { File, Memory } }

variants! { stream::PersistenceMode { Default, Async } }

fields! { consumer::Info {
    stream_name: String, name: String, created: DateTime, config: consumer::Config, delivered: consumer::SequenceInfo,
    ack_floor: consumer::SequenceInfo, num_ack_pending: usize, num_redelivered: usize, num_waiting: usize,
    num_pending: u64, cluster: Option<stream::ClusterInfo>, push_bound: bool, paused: bool,
    pause_remaining: Option<Duration>, priority_groups: Vec<consumer::PriorityGroupState>,
} }

fields! { consumer::PriorityGroupState {
    group: String, pinned_client_id: Option<String>, pinned_ts: Option<DateTime>,
} }

fields! { consumer::SequenceInfo { consumer_sequence: u64, stream_sequence: u64, last_active: Option<DateTime> } }

fields! { consumer::Config {
    deliver_subject: Option<String>, durable_name: Option<String>, name: Option<String>, description: Option<String>,
    deliver_group: Option<String>, deliver_policy: consumer::DeliverPolicy, ack_policy: consumer::AckPolicy,
    ack_wait: Duration, max_deliver: i64, filter_subject: String, filter_subjects: Vec<String>,
    replay_policy: consumer::ReplayPolicy, rate_limit: u64, sample_frequency: u8, max_waiting: i64,
    max_ack_pending: i64, headers_only: bool, flow_control: bool, idle_heartbeat: Duration, max_batch: i64,
    max_bytes: i64, max_expires: Duration, inactive_threshold: Duration, num_replicas: usize, memory_storage: bool,
    metadata: HashMap<String, String>, backoff: Vec<Duration>, priority_policy: consumer::PriorityPolicy,
    priority_groups: Vec<String>, priority_timeout: Duration, pause_until: Option<DateTime>,
} }

variants! { consumer::PriorityPolicy { Overflow, PinnedClient, Prioritized, None } }

variants! { consumer::DeliverPolicy {
    All, Last, New, ByStartSequence { start_sequence: _ }, ByStartTime { start_time: _ }, LastPerSubject,
} }

variants! { consumer::AckPolicy { Explicit, None, All, FlowControl } }

variants! { consumer::ReplayPolicy { Instant, Original } }

has!(publish::PublishAck: Debug + DeserializeOwned + Clone + Eq + Default);

has!(account::Limits: Debug + DeserializeOwned + Copy + Eq + Default);
has!(account::Requests: Debug + Serialize + DeserializeOwned + Copy + Eq + Default);
has!(account::Tier: Debug + DeserializeOwned + Copy + Eq + Default);
has!(account::Account: Debug + DeserializeOwned + Clone + Eq + Default);

has!(response::Response<u8>: Debug + DeserializeOwned);
