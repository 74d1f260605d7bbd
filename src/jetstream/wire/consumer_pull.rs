//! The configurations of pull consumers, and of a batch.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::consumer_config::{self as consumer, FromConsumer, IntoConsumerConfig, WrongKind};
use super::consumer_policies::{AckPolicy, DeliverPolicy, PriorityPolicy, ReplayPolicy};
use super::lenient::{is_default, null_is_default, percentage, sorted};
use super::{nanos, rfc3339};
use crate::protocol::datetime::DateTime;

/// After how long without a pull the server deletes an ordered consumer that was left alone.
const ORDERED_INACTIVE: Duration = Duration::from_secs(30);

/// What a single pull asks for.
#[derive(Debug, Default, Serialize, Clone, PartialEq, Eq)]
pub struct BatchConfig {
    /// How many messages at most, at least 1.
    pub batch: usize,
    /// How long the pull waits; `None` or zero is for as long as the connection lasts.
    #[serde(skip_serializing_if = "is_default", with = "nanos::option")]
    pub expires: Option<Duration>,
    /// Ends when there are no messages, instead of waiting for the first one.
    #[serde(skip_serializing_if = "is_default")]
    pub no_wait: bool,
    /// How many bytes at most, counted by the server with subject, reply and headers; 0 is no limit.
    pub max_bytes: usize,
    /// After how long without messages the server sends a heartbeat: at least 100 ms, at most half of `expires`, and zero is never.
    #[serde(skip_serializing_if = "is_default", with = "nanos")]
    pub idle_heartbeat: Duration,
    /// Messages only while at least this many are pending, with [`PriorityPolicy::Overflow`].
    pub min_pending: Option<usize>,
    /// Messages only while at least this many acknowledgements are pending, with [`PriorityPolicy::Overflow`].
    pub min_ack_pending: Option<usize>,
    /// The priority group, which is needed if the consumer has them.
    pub group: Option<String>,
    /// 0, the most important, to 9, with [`PriorityPolicy::Prioritized`].
    pub priority: Option<usize>,
}

/// The configuration of a pull consumer. The fields are those of [`consumer::Config`](crate::jetstream::consumer::Config), which
/// says what each does and what its default is.
///
/// ```
/// use nats_lifeline::jetstream::consumer::{IntoConsumerConfig, pull};
///
/// let config = pull::Config { durable_name: Some("worker".to_owned()), max_deliver: 5, ..Default::default() };
/// assert_eq!(config.into_consumer_config().deliver_subject, None);
/// ```
#[derive(Debug, Default, Serialize, Deserialize, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of `consumer::Config`")]
pub struct Config {
    #[serde(default, skip_serializing_if = "is_default")]
    pub durable_name: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: Option<String>,
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
    pub max_batch: i64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_bytes: i64,
    #[serde(default, skip_serializing_if = "is_default", with = "nanos")]
    pub max_expires: Duration,
    #[serde(default, skip_serializing_if = "is_default", with = "nanos")]
    pub inactive_threshold: Duration,
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
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority_policy: PriorityPolicy,
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "null_is_default")]
    pub priority_groups: Vec<String>,
    #[serde(default, skip_serializing_if = "is_default", with = "nanos")]
    pub priority_timeout: Duration,
    #[serde(default, skip_serializing_if = "is_default", with = "rfc3339::option")]
    pub pause_until: Option<DateTime>,
}

impl IntoConsumerConfig for Config {
    fn into_consumer_config(self) -> consumer::Config {
        consumer::Config {
            deliver_subject: None,
            durable_name: self.durable_name,
            name: self.name,
            description: self.description,
            deliver_group: None,
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
            flow_control: false,
            idle_heartbeat: Duration::ZERO,
            max_batch: self.max_batch,
            max_bytes: self.max_bytes,
            max_expires: self.max_expires,
            inactive_threshold: self.inactive_threshold,
            num_replicas: self.num_replicas,
            memory_storage: self.memory_storage,
            metadata: self.metadata,
            backoff: self.backoff,
            priority_policy: self.priority_policy,
            priority_groups: self.priority_groups,
            priority_timeout: self.priority_timeout,
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
        if config.deliver_subject.is_some() {
            return Err(WrongKind::Push.into());
        }
        Ok(Config {
            durable_name: config.durable_name,
            name: config.name,
            description: config.description,
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
            max_batch: config.max_batch,
            max_bytes: config.max_bytes,
            max_expires: config.max_expires,
            inactive_threshold: config.inactive_threshold,
            num_replicas: config.num_replicas,
            memory_storage: config.memory_storage,
            metadata: config.metadata,
            backoff: config.backoff,
            priority_policy: config.priority_policy,
            priority_groups: config.priority_groups,
            priority_timeout: config.priority_timeout,
            pause_until: config.pause_until,
        })
    }
}

/// The configuration of an ordered pull consumer: one that yields every message once, in order, and needs no acknowledgements. It
/// is not durable; the client creates it again when it has to.
///
/// The fields are those of [`consumer::Config`](crate::jetstream::consumer::Config). The others follow from the order: no
/// acknowledgements, one delivery, one replica in memory, and 30 s until the server deletes it when it was left alone.
#[derive(Debug, Default, Serialize, Deserialize, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of `consumer::Config`")]
pub struct OrderedConfig {
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
    #[serde(default)]
    pub max_batch: i64,
    #[serde(default)]
    pub max_bytes: i64,
    // serde's own form, `{"secs":…,"nanos":…}`, as in async-nats: this never goes to a server.
    #[serde(default)]
    pub max_expires: Duration,
}

impl From<OrderedConfig> for Config {
    fn from(config: OrderedConfig) -> Self {
        Config {
            name: config.name,
            description: config.description,
            deliver_policy: config.deliver_policy,
            ack_policy: AckPolicy::None,
            max_deliver: 1,
            filter_subject: config.filter_subject,
            filter_subjects: config.filter_subjects,
            replay_policy: config.replay_policy,
            rate_limit: config.rate_limit,
            sample_frequency: config.sample_frequency,
            max_waiting: config.max_waiting,
            headers_only: config.headers_only,
            max_batch: config.max_batch,
            max_bytes: config.max_bytes,
            max_expires: config.max_expires,
            inactive_threshold: ORDERED_INACTIVE,
            num_replicas: 1,
            memory_storage: true,
            metadata: config.metadata,
            ..Config::default()
        }
    }
}

impl IntoConsumerConfig for OrderedConfig {
    fn into_consumer_config(self) -> consumer::Config {
        Config::from(self).into_consumer_config()
    }
}

impl FromConsumer for OrderedConfig {
    fn try_from_consumer_config(
        config: consumer::Config,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync + 'static>> {
        Ok(OrderedConfig {
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
            max_batch: config.max_batch,
            max_bytes: config.max_bytes,
            max_expires: config.max_expires,
        })
    }
}
