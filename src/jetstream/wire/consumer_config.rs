//! A consumer's configuration as servers know it, with the fields of pull and push consumers.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::answer::Enumerations;
use super::consumer_policies::{AckPolicy, DeliverPolicy, PriorityPolicy, ReplayPolicy};
use super::lenient::{is_default, null_is_default, percentage, sorted};
use super::{nanos, rfc3339};
use crate::protocol::datetime::DateTime;

/// The configuration of a consumer of either kind: a push consumer has a [`deliver_subject`](Config::deliver_subject), a pull
/// consumer has none. To create one, use the configuration of its kind.
///
/// What is 0, zero or empty is left to the server; what it answers has its values filled in.
#[derive(Debug, Default, Serialize, Deserialize, Clone, PartialEq, Eq)]
pub struct Config {
    /// The subject that a push consumer delivers to; `None` for a pull consumer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deliver_subject: Option<String>,
    /// The name of a durable consumer, which stays until it is deleted or [inactive](Config::inactive_threshold) for too long.
    #[serde(default, skip_serializing_if = "is_default")]
    pub durable_name: Option<String>,
    /// The name; without one and without a durable name, the server chooses one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: Option<String>,
    /// Any text, up to 4 KiB.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: Option<String>,
    /// The queue group that a push consumer delivers to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deliver_group: Option<String>,
    /// Where in the stream the consumer begins.
    #[serde(flatten)]
    pub deliver_policy: DeliverPolicy,
    /// Which messages have to be acknowledged.
    #[serde(default)]
    pub ack_policy: AckPolicy,
    /// After how long a message that was not acknowledged is delivered again; zero is 30 s.
    #[serde(default, skip_serializing_if = "is_default", with = "nanos")]
    pub ack_wait: Duration,
    /// How often a message is delivered at most; 0 and -1 are no limit.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_deliver: i64,
    /// The subjects of messages that are delivered; empty is all. Wildcards are allowed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub filter_subject: String,
    /// Several such filters, none of which overlaps another (nats-server 2.10). Older servers ignore this field and deliver
    /// everything: compare what they answer. Not together with [`filter_subject`](Config::filter_subject).
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "null_is_default")]
    pub filter_subjects: Vec<String>,
    /// How fast stored messages are delivered.
    #[serde(default)]
    pub replay_policy: ReplayPolicy,
    /// The most bits per second that a push consumer delivers; 0 is no limit.
    #[serde(default, rename = "rate_limit_bps", skip_serializing_if = "is_default")]
    pub rate_limit: u64,
    /// Of how many acknowledgements, in percent, the server publishes a sample. Written as text; `"50"` and `"50%"` are read.
    #[serde(default, rename = "sample_freq", skip_serializing_if = "is_default", with = "percentage")]
    pub sample_frequency: u8,
    /// How many pulls may wait at a time; 0 is 512.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_waiting: i64,
    /// How many messages may wait for their acknowledgement before no more are delivered; 0 is 1,000, -1 is no limit.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_ack_pending: i64,
    /// Whether payloads are left out. The header `Nats-Msg-Size` has their size.
    #[serde(default, skip_serializing_if = "is_default")]
    pub headers_only: bool,
    /// Whether a push consumer asks from time to time how far its reader has come, and waits for it. It needs an
    /// [`idle_heartbeat`](Config::idle_heartbeat).
    #[serde(default, skip_serializing_if = "is_default")]
    pub flow_control: bool,
    /// After how long without messages a push consumer sends a heartbeat; at least 100 ms, and zero is never. Without heartbeats its
    /// readers can't tell that it was deleted: they wait for ever.
    #[serde(default, skip_serializing_if = "is_default", with = "nanos")]
    pub idle_heartbeat: Duration,
    /// The largest batch of a pull; 0 is no limit.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_batch: i64,
    /// The most bytes of a pull; 0 is no limit.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_bytes: i64,
    /// The longest time that a pull may wait; zero is no limit.
    #[serde(default, skip_serializing_if = "is_default", with = "nanos")]
    pub max_expires: Duration,
    /// After how long without a pull, or without a subscriber, the consumer is deleted. Zero is 5 s for a consumer that is not durable,
    /// and never for a durable one.
    #[serde(default, skip_serializing_if = "is_default", with = "nanos")]
    pub inactive_threshold: Duration,
    /// How many servers have the consumer's state; 0 is as many as have the stream.
    #[serde(default, skip_serializing_if = "is_default")]
    pub num_replicas: usize,
    /// Whether its state is in memory although the stream is in files.
    #[serde(default, rename = "mem_storage", skip_serializing_if = "is_default")]
    pub memory_storage: bool,
    /// Keys and values of yours, up to 128 KiB in all (2.10). Keys that begin with `_nats.` are the server's.
    #[serde(
        default,
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default",
        serialize_with = "sorted"
    )]
    pub metadata: HashMap<String, String>,
    /// How long to wait before each redelivery, instead of [`ack_wait`](Config::ack_wait); the last one is repeated. Fewer than
    /// [`max_deliver`](Config::max_deliver).
    #[serde(default, skip_serializing_if = "is_default", with = "nanos::list")]
    pub backoff: Vec<Duration>,
    /// How the clients that pull share the messages (2.11, ADR-42).
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority_policy: PriorityPolicy,
    /// The names of the groups in which they share them: 1 to 16 of `A-Z a-z 0-9 _ / = -` each (2.11).
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "null_is_default")]
    pub priority_groups: Vec<String>,
    /// After how long without a pull a pinned client loses its pin (2.11); zero is 2 minutes.
    #[serde(default, skip_serializing_if = "is_default", with = "nanos")]
    pub priority_timeout: Duration,
    /// Until when nothing is delivered (2.11).
    #[serde(default, skip_serializing_if = "is_default", with = "rfc3339::option")]
    pub pause_until: Option<DateTime>,
}

impl Enumerations for Config {
    const FIELDS: &'static [(&'static str, &'static [&'static str])] = &[
        ("deliver_policy", DeliverPolicy::NAMES),
        ("ack_policy", &["explicit", "none", "all", "flow_control"]),
        ("replay_policy", &["instant", "original"]),
        ("priority_policy", &["overflow", "pinned_client", "prioritized", "none"]),
    ];
}

impl From<&Config> for Config {
    fn from(config: &Config) -> Self {
        config.clone()
    }
}

impl From<&str> for Config {
    /// A durable pull consumer with this name.
    fn from(name: &str) -> Self {
        Config { durable_name: Some(name.to_owned()), ..Config::default() }
    }
}

/// A configuration that a consumer can be created with.
pub trait IntoConsumerConfig {
    /// The configuration as servers know it.
    fn into_consumer_config(self) -> Config;
}

impl IntoConsumerConfig for Config {
    fn into_consumer_config(self) -> Config {
        self
    }
}

impl IntoConsumerConfig for &Config {
    fn into_consumer_config(self) -> Config {
        self.clone()
    }
}

/// A configuration that is made from what a server answers.
pub trait FromConsumer {
    /// The configuration of this kind.
    ///
    /// # Errors
    ///
    /// If the consumer is of another kind.
    fn try_from_consumer_config(config: Config) -> Result<Self, Box<dyn std::error::Error + Send + Sync + 'static>>
    where
        Self: Sized;
}

impl FromConsumer for Config {
    fn try_from_consumer_config(config: Config) -> Result<Self, Box<dyn std::error::Error + Send + Sync + 'static>> {
        Ok(config)
    }
}

/// A consumer is of another kind than the configuration that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongKind {
    /// It is a push consumer.
    #[error("pull consumer cannot have delivery subject")]
    Push,
    /// It is a pull consumer.
    #[error("push consumer must have delivery subject")]
    Pull,
}
