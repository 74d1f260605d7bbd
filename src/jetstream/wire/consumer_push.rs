//! The configurations of push consumers.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::consumer_config::{self as consumer, FromConsumer, IntoConsumerConfig, WrongKind};
use super::consumer_policies::{AckPolicy, DeliverPolicy, PriorityPolicy, ReplayPolicy};
use super::lenient::{is_default, null_is_default, percentage, sorted};
use super::{nanos, rfc3339};
use crate::protocol::datetime::DateTime;

/// The heartbeat of an ordered push consumer: its silence shows that it is gone.
const ORDERED_HEARTBEAT: Duration = Duration::from_secs(5);

/// After how long without a subscriber the server deletes an ordered consumer that was left alone.
const ORDERED_INACTIVE: Duration = Duration::from_secs(30);

/// The configuration of a push consumer. The fields are those of [`consumer::Config`](crate::jetstream::consumer::Config), which
/// says what each does and what its default is.
#[derive(Debug, Default, Serialize, Deserialize, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of `consumer::Config`")]
pub struct Config {
    #[serde(default)]
    pub deliver_subject: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub durable_name: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub deliver_group: Option<String>,
    #[serde(flatten)]
    pub deliver_policy: DeliverPolicy,
    #[serde(default)]
    pub ack_policy: AckPolicy,
    #[serde(default, skip_serializing_if = "is_default", with = "nanos")]
    pub ack_wait: Duration,
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_deliver: i64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub filter_subject: String,
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "null_is_default")]
    pub filter_subjects: Vec<String>,
    #[serde(default)]
    pub replay_policy: ReplayPolicy,
    #[serde(default, rename = "rate_limit_bps", skip_serializing_if = "is_default")]
    pub rate_limit: u64,
    #[serde(default, rename = "sample_freq", skip_serializing_if = "is_default", with = "percentage")]
    pub sample_frequency: u8,
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_waiting: i64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_ack_pending: i64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub headers_only: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub flow_control: bool,
    #[serde(default, skip_serializing_if = "is_default", with = "nanos")]
    pub idle_heartbeat: Duration,
    #[serde(default, skip_serializing_if = "is_default")]
    pub num_replicas: usize,
    // async-nats writes this name here, and `mem_storage` to servers.
    #[serde(default, alias = "mem_storage", skip_serializing_if = "is_default")]
    pub memory_storage: bool,
    #[serde(
        default,
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default",
        serialize_with = "sorted"
    )]
    pub metadata: HashMap<String, String>,
    #[serde(default, skip_serializing_if = "is_default", with = "nanos::list")]
    pub backoff: Vec<Duration>,
    #[serde(default, skip_serializing_if = "is_default", with = "nanos")]
    pub inactive_threshold: Duration,
    #[serde(default, skip_serializing_if = "is_default", with = "rfc3339::option")]
    pub pause_until: Option<DateTime>,
}

impl IntoConsumerConfig for Config {
    fn into_consumer_config(self) -> consumer::Config {
        consumer::Config {
            deliver_subject: Some(self.deliver_subject),
            durable_name: self.durable_name,
            name: self.name,
            description: self.description,
            deliver_group: self.deliver_group,
            deliver_policy: self.deliver_policy,
            ack_policy: self.ack_policy,
            ack_wait: self.ack_wait,
            max_deliver: self.max_deliver,
            filter_subject: self.filter_subject,
            filter_subjects: self.filter_subjects,
            replay_policy: self.replay_policy,
            rate_limit: self.rate_limit,
            sample_frequency: self.sample_frequency,
            max_waiting: self.max_waiting,
            max_ack_pending: self.max_ack_pending,
            headers_only: self.headers_only,
            flow_control: self.flow_control,
            idle_heartbeat: self.idle_heartbeat,
            max_batch: 0,
            max_bytes: 0,
            max_expires: Duration::ZERO,
            inactive_threshold: self.inactive_threshold,
            num_replicas: self.num_replicas,
            memory_storage: self.memory_storage,
            metadata: self.metadata,
            backoff: self.backoff,
            priority_policy: PriorityPolicy::None,
            priority_groups: Vec::new(),
            priority_timeout: Duration::ZERO,
            pause_until: self.pause_until,
        }
    }
}

impl IntoConsumerConfig for &Config {
    fn into_consumer_config(self) -> consumer::Config {
        self.clone().into_consumer_config()
    }
}

impl FromConsumer for Config {
    fn try_from_consumer_config(
        config: consumer::Config,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync + 'static>> {
        Ok(Config {
            deliver_subject: config.deliver_subject.ok_or(WrongKind::Pull)?,
            durable_name: config.durable_name,
            name: config.name,
            description: config.description,
            deliver_group: config.deliver_group,
            deliver_policy: config.deliver_policy,
            ack_policy: config.ack_policy,
            ack_wait: config.ack_wait,
            max_deliver: config.max_deliver,
            filter_subject: config.filter_subject,
            filter_subjects: config.filter_subjects,
            replay_policy: config.replay_policy,
            rate_limit: config.rate_limit,
            sample_frequency: config.sample_frequency,
            max_waiting: config.max_waiting,
            max_ack_pending: config.max_ack_pending,
            headers_only: config.headers_only,
            flow_control: config.flow_control,
            idle_heartbeat: config.idle_heartbeat,
            num_replicas: config.num_replicas,
            memory_storage: config.memory_storage,
            metadata: config.metadata,
            backoff: config.backoff,
            inactive_threshold: config.inactive_threshold,
            pause_until: config.pause_until,
        })
    }
}

/// The configuration of an ordered push consumer: one that yields every message once, in order, and needs no acknowledgements. It
/// is not durable; the client creates it again when it has to.
///
/// The fields are those of [`consumer::Config`](crate::jetstream::consumer::Config); `deliver_subject` must be set, for example to
/// `client.new_inbox()`. The others follow from the order: no acknowledgements, one delivery, one replica in memory, flow control
/// with a heartbeat every 5 s, and 30 s until the server deletes it when it was left alone.
#[derive(Debug, Default, Serialize, Deserialize, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of `consumer::Config`")]
pub struct OrderedConfig {
    #[serde(default)]
    pub deliver_subject: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub filter_subject: String,
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "null_is_default")]
    pub filter_subjects: Vec<String>,
    #[serde(default)]
    pub replay_policy: ReplayPolicy,
    #[serde(default, rename = "rate_limit_bps", skip_serializing_if = "is_default")]
    pub rate_limit: u64,
    #[serde(default, rename = "sample_freq", skip_serializing_if = "is_default", with = "percentage")]
    pub sample_frequency: u8,
    #[serde(default, skip_serializing_if = "is_default")]
    pub headers_only: bool,
    #[serde(flatten)]
    pub deliver_policy: DeliverPolicy,
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_waiting: i64,
    #[serde(
        default,
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default",
        serialize_with = "sorted"
    )]
    pub metadata: HashMap<String, String>,
}

impl IntoConsumerConfig for OrderedConfig {
    fn into_consumer_config(self) -> consumer::Config {
        consumer::Config {
            deliver_subject: Some(self.deliver_subject),
            name: self.name,
            description: self.description,
            deliver_policy: self.deliver_policy,
            ack_policy: AckPolicy::None,
            max_deliver: 1,
            filter_subject: self.filter_subject,
            filter_subjects: self.filter_subjects,
            replay_policy: self.replay_policy,
            rate_limit: self.rate_limit,
            sample_frequency: self.sample_frequency,
            max_waiting: self.max_waiting,
            headers_only: self.headers_only,
            flow_control: true,
            idle_heartbeat: ORDERED_HEARTBEAT,
            inactive_threshold: ORDERED_INACTIVE,
            num_replicas: 1,
            memory_storage: true,
            metadata: self.metadata,
            ..consumer::Config::default()
        }
    }
}

impl FromConsumer for OrderedConfig {
    fn try_from_consumer_config(
        config: consumer::Config,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync + 'static>> {
        Ok(OrderedConfig {
            deliver_subject: config.deliver_subject.ok_or(WrongKind::Pull)?,
            name: config.name,
            description: config.description,
            filter_subject: config.filter_subject,
            filter_subjects: config.filter_subjects,
            replay_policy: config.replay_policy,
            rate_limit: config.rate_limit,
            sample_frequency: config.sample_frequency,
            headers_only: config.headers_only,
            deliver_policy: config.deliver_policy,
            max_waiting: config.max_waiting,
            metadata: config.metadata,
        })
    }
}
