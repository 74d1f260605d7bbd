//! A stream's configuration.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::answer::Enumerations;
use super::lenient::{empty_is_none, is_default, nearest_i32, null_is_default, sorted};
use super::stream_source::Source;
use super::{nanos, rfc3339};
use crate::protocol::datetime::DateTime;

/// The configuration of a stream.
///
/// [`Config::default`] leaves everything to the server: no limits, one replica, messages in files. What a server answers has
/// its values filled in, where -1 means that there is no limit, and metadata keys of its own that begin with `_nats.`: it is never
/// equal to what was sent.
///
/// ```
/// use nats_lifeline::jetstream::stream::{Config, RetentionPolicy};
/// use std::time::Duration;
///
/// let config = Config {
///     name: "ORDERS".to_owned(),
///     subjects: vec!["orders.>".to_owned()],
///     retention: RetentionPolicy::WorkQueue,
///     max_age: Duration::from_secs(24 * 3600),
///     ..Default::default()
/// };
/// assert!(serde_json::to_string(&config)?.contains(r#""max_age":86400000000000"#));
/// # Ok::<(), nats_lifeline::Error>(())
/// ```
#[derive(Debug, Default, Serialize, Deserialize, Clone, PartialEq, Eq)]
pub struct Config {
    /// The name, up to 255 bytes: no blanks, and none of `. * > / \`.
    #[serde(default)]
    pub name: String,
    /// The most bytes that are stored; 0 and -1 are no limit. [`discard`](Config::discard) says what happens beyond.
    #[serde(default)]
    pub max_bytes: i64,
    /// The most messages that are stored; 0 and -1 are no limit.
    #[serde(default, rename = "max_msgs")]
    pub max_messages: i64,
    /// The most messages that are stored for each subject; 0 and -1 are no limit.
    #[serde(default, rename = "max_msgs_per_subject")]
    pub max_messages_per_subject: i64,
    /// What happens to a message that would exceed a limit.
    #[serde(default)]
    pub discard: DiscardPolicy,
    /// With [`DiscardPolicy::New`]: a message that would exceed the limit of its subject is refused too.
    #[serde(default, skip_serializing_if = "is_default")]
    pub discard_new_per_subject: bool,
    /// The subjects of which messages are stored; wildcards are allowed. None for a mirror; if empty otherwise, the name.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "null_is_default")]
    pub subjects: Vec<String>,
    /// When messages are removed. It can't be changed freely later.
    #[serde(default)]
    pub retention: RetentionPolicy,
    /// The most consumers; 0 and -1 are no limit.
    #[serde(default, deserialize_with = "nearest_i32")]
    pub max_consumers: i32,
    /// How long messages are stored; zero is forever. Whole nanoseconds, as all durations here.
    #[serde(default, with = "nanos")]
    pub max_age: Duration,
    /// The largest message in bytes, headers included; 0 and -1 are no limit but the server's.
    #[serde(default, rename = "max_msg_size", skip_serializing_if = "is_default", deserialize_with = "nearest_i32")]
    pub max_message_size: i32,
    /// Where messages are stored. It can't be changed later.
    #[serde(default)]
    pub storage: StorageType,
    /// How many servers of a cluster store each message, up to 5; 0 is 1.
    #[serde(default)]
    pub num_replicas: usize,
    /// Whether publishers get no acknowledgement.
    #[serde(default, skip_serializing_if = "is_default")]
    pub no_ack: bool,
    /// For how long the ids of messages (`Nats-Msg-Id`) are remembered, to store each once; zero is 2 minutes, or
    /// [`max_age`](Config::max_age) if that is less.
    #[serde(default, skip_serializing_if = "is_default", with = "nanos")]
    pub duplicate_window: Duration,
    /// The owner of the template that made the stream, which only old servers have.
    #[serde(default, skip_serializing_if = "is_default")]
    pub template_owner: String,
    /// Whether nothing can be stored, deleted or changed any more. It can't be undone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sealed: bool,
    /// Any text, up to 4 KiB.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: Option<String>,
    /// Whether a message with the header `Nats-Rollup` may replace all earlier ones of its subject or of the stream.
    #[serde(default, rename = "allow_rollup_hdrs", skip_serializing_if = "is_default")]
    pub allow_rollup: bool,
    /// Whether the API refuses to delete messages.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deny_delete: bool,
    /// Whether the API refuses to purge the stream.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deny_purge: bool,
    /// Publishes each stored message again, to another subject.
    #[serde(default, skip_serializing_if = "is_default")]
    pub republish: Option<Republish>,
    /// Whether all replicas answer requests for single messages, not only the leader; such an answer may be older than the last
    /// acknowledged message.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_direct: bool,
    /// Whether a mirror answers such requests for its origin.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mirror_direct: bool,
    /// The stream that this one is a copy of. A mirror has no subjects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mirror: Option<Source>,
    /// Streams of which messages are copied into this one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sources: Option<Vec<Source>>,
    /// Keys and values of yours, up to 128 KiB in all (nats-server 2.10). Keys that begin with `_nats.` are the server's.
    #[serde(
        default,
        skip_serializing_if = "is_default",
        deserialize_with = "null_is_default",
        serialize_with = "sorted"
    )]
    pub metadata: HashMap<String, String>,
    /// Stores messages under another subject than the one that they were published to (2.10).
    #[serde(default, skip_serializing_if = "is_default")]
    pub subject_transform: Option<SubjectTransform>,
    /// How files are compressed (2.10); `None` is the server's default, which is not at all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub compression: Option<Compression>,
    /// Defaults and limits for the stream's consumers (2.10).
    #[serde(default, deserialize_with = "empty_is_none")]
    pub consumer_limits: Option<ConsumerLimits>,
    /// The sequence number of the first message (2.10); `None` is 1.
    #[serde(default, rename = "first_seq", skip_serializing_if = "is_default")]
    pub first_sequence: Option<u64>,
    /// Which servers of a cluster store the stream.
    #[serde(default, skip_serializing_if = "is_default")]
    pub placement: Option<Placement>,
    /// Whether an acknowledgement waits for the disk (2.12).
    #[serde(default, skip_serializing_if = "is_default")]
    pub persist_mode: Option<PersistenceMode>,
    /// async-nats has this field; servers pause consumers, not streams.
    #[serde(default, skip_serializing_if = "is_default", with = "rfc3339::option")]
    pub pause_until: Option<DateTime>,
    /// Whether messages may have a time to live of their own, by the header `Nats-TTL` (2.11).
    #[serde(default, rename = "allow_msg_ttl", skip_serializing_if = "is_default")]
    pub allow_message_ttl: bool,
    /// Leaves a marker where the last message of a subject is removed by age, and keeps it for this long, at least a second (2.11).
    #[serde(default, skip_serializing_if = "is_default", with = "nanos::option")]
    pub subject_delete_marker_ttl: Option<Duration>,
    /// Whether batches may be published that are stored entirely or not at all (2.12, ADR-50).
    #[serde(default, rename = "allow_atomic", skip_serializing_if = "is_default")]
    pub allow_atomic_publish: bool,
    /// Whether messages may be scheduled for later (2.12, ADR-51).
    #[serde(default, rename = "allow_msg_schedules", skip_serializing_if = "is_default")]
    pub allow_message_schedules: bool,
    /// Whether messages are increments of a counter (2.12, ADR-49).
    #[serde(default, rename = "allow_msg_counter", skip_serializing_if = "is_default")]
    pub allow_message_counter: bool,
    /// Whether messages may be published in batches without an acknowledgement for each (2.14, ADR-50).
    #[serde(default, rename = "allow_batched", skip_serializing_if = "is_default")]
    pub allow_batch_publish: bool,
}

impl Enumerations for Config {
    const FIELDS: &'static [(&'static str, &'static [&'static str])] = &[
        ("discard", &["old", "new"]),
        ("retention", &["limits", "interest", "workqueue"]),
        ("storage", &["file", "memory"]),
        ("compression", &["s2", "none"]),
        ("persist_mode", &["default", "async"]),
    ];
}

impl From<&Config> for Config {
    fn from(config: &Config) -> Self {
        config.clone()
    }
}

impl From<&str> for Config {
    /// A stream with this name, and with the same text as its only subject, which is what a server takes it for.
    fn from(name: &str) -> Self {
        Config { name: name.to_owned(), ..Config::default() }
    }
}

/// Defaults and limits for a stream's consumers.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
pub struct ConsumerLimits {
    /// After how long without interest a consumer is deleted; zero is no limit.
    #[serde(default, with = "nanos")]
    pub inactive_threshold: Duration,
    /// The most messages that wait for their acknowledgement; 0 is no limit.
    #[serde(default)]
    pub max_ack_pending: i64,
}

/// How files are compressed.
#[derive(Serialize, Deserialize, Clone, Debug, Eq, PartialEq)]
pub enum Compression {
    /// With S2.
    #[serde(rename = "s2")]
    S2,
    /// Not at all.
    #[serde(rename = "none")]
    None,
}

/// From one subject to another.
#[derive(Serialize, Deserialize, Debug, Clone, Eq, PartialEq)]
pub struct SubjectTransform {
    /// The subjects that are changed; wildcards are allowed.
    #[serde(rename = "src", default)]
    pub source: String,
    /// What they become; `{{wildcard(1)}}` is what the first wildcard matched.
    #[serde(rename = "dest", default)]
    pub destination: String,
}

/// Where stored messages are published again.
#[derive(Serialize, Deserialize, Debug, Clone, Eq, PartialEq)]
pub struct Republish {
    /// The subjects of messages that are published again; wildcards are allowed.
    #[serde(rename = "src", default)]
    pub source: String,
    /// The subject that they are published to.
    #[serde(rename = "dest", default)]
    pub destination: String,
    /// Whether payloads are left out.
    #[serde(default)]
    pub headers_only: bool,
}

/// Which servers of a cluster store a stream.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Placement {
    /// The name of the cluster.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cluster: Option<String>,
    /// Tags that the servers must have, all of them.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "null_is_default")]
    pub tags: Vec<String>,
}

/// What happens to a message that would exceed a limit.
#[derive(Default, Debug, Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum DiscardPolicy {
    /// The oldest messages are removed.
    #[default]
    #[serde(rename = "old")]
    Old = 0,
    /// It is refused.
    #[serde(rename = "new")]
    New = 1,
}

/// When messages are removed.
#[derive(Default, Debug, Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RetentionPolicy {
    /// When they exceed a limit.
    #[default]
    #[serde(rename = "limits")]
    Limits = 0,
    /// When all consumers that match them have acknowledged them.
    #[serde(rename = "interest")]
    Interest = 1,
    /// When the one consumer that matches them has acknowledged them.
    #[serde(rename = "workqueue")]
    WorkQueue = 2,
}

/// Where messages are stored.
#[derive(Default, Debug, Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum StorageType {
    /// In files.
    #[default]
    #[serde(rename = "file")]
    File = 0,
    /// In memory: a restart of all servers that store the stream loses it.
    #[serde(rename = "memory")]
    Memory = 1,
}

/// Whether an acknowledgement waits for the disk.
#[derive(Default, Debug, Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PersistenceMode {
    /// It comes when the message was written.
    #[default]
    #[serde(rename = "default")]
    Default = 0,
    /// It may come before that (ADR-56): faster, and a crash of the server loses acknowledged messages.
    #[serde(rename = "async")]
    Async = 1,
}
