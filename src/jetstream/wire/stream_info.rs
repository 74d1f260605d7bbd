//! What a server says of a stream.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;

use super::answer::known;
use super::lenient::null_is_default;
use super::stream_config::{Config, SubjectTransform};
use super::{nanos, rfc3339};
use crate::protocol::datetime::{DateTime, zero_time};

/// The configuration and the state of a stream.
#[derive(Debug, Deserialize, Clone, PartialEq, Eq)]
pub struct Info {
    /// The configuration, with the server's defaults filled in. A policy that this version does not know reads as the default.
    /// Without it, this is no answer about a stream.
    #[serde(deserialize_with = "known")]
    pub config: Config,
    /// When the stream was created.
    #[serde(default = "zero_time", with = "rfc3339")]
    pub created: DateTime,
    /// What is stored.
    #[serde(default)]
    pub state: State,
    /// The servers that store it.
    #[serde(default)]
    pub cluster: Option<ClusterInfo>,
    /// How far a mirror has come.
    #[serde(default)]
    pub mirror: Option<SourceInfo>,
    /// How far the sources have come.
    #[serde(default, deserialize_with = "null_is_default")]
    pub sources: Vec<SourceInfo>,
    // The three of `PagedInfo`: to flatten it would cost a copy of every field that is not known.
    #[serde(default)]
    offset: usize,
    #[serde(default)]
    total: usize,
    #[serde(default)]
    limit: usize,
}

impl Info {
    /// Which part of the subjects [`State::subjects`] has.
    #[must_use]
    pub fn page(&self) -> PagedInfo {
        PagedInfo { offset: self.offset, total: self.total, limit: self.limit }
    }
}

/// Which part of a long list an answer has.
#[derive(Debug, Deserialize, Clone, PartialEq, Eq, Default)]
pub struct PagedInfo {
    #[serde(default)]
    offset: usize,
    #[serde(default)]
    total: usize,
    #[serde(default)]
    limit: usize,
}

impl PagedInfo {
    /// How many items there are in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// Where the next page begins, after a page of `len` items; `None` if this was the last one. A page without items is
    /// the last one whatever the total is, since the list may have become shorter.
    #[must_use]
    pub fn next(&self, len: usize) -> Option<usize> {
        let next = self.offset.saturating_add(len);
        (len > 0 && next < self.total).then_some(next)
    }
}

/// What is stored in a stream.
#[derive(Debug, Deserialize, Clone, PartialEq, Eq)]
pub struct State {
    /// How many messages.
    #[serde(default)]
    pub messages: u64,
    /// How many bytes, with headers and subjects.
    #[serde(default)]
    pub bytes: u64,
    /// The number of the first message. In an empty stream it is the number that the next one will have, or 0.
    #[serde(rename = "first_seq", default)]
    pub first_sequence: u64,
    /// When the first message was stored; the zero time if there is none.
    #[serde(rename = "first_ts", default = "zero_time", with = "rfc3339")]
    pub first_timestamp: DateTime,
    /// The number of the last message that was stored, even if it was removed since.
    #[serde(rename = "last_seq", default)]
    pub last_sequence: u64,
    /// When it was stored; the zero time if there was none.
    #[serde(rename = "last_ts", default = "zero_time", with = "rfc3339")]
    pub last_timestamp: DateTime,
    /// How many consumers the stream has.
    #[serde(default)]
    pub consumer_count: usize,
    /// How many subjects its messages have.
    #[serde(rename = "num_subjects", default)]
    pub subjects_count: u64,
    /// How many messages between the first and the last one were removed.
    #[serde(rename = "num_deleted", default)]
    pub deleted_count: Option<u64>,
    /// Their numbers, if they were asked for.
    #[serde(default)]
    pub deleted: Option<Vec<u64>>,
    #[serde(default)]
    subjects: Option<HashMap<String, usize>>,
}

impl State {
    /// The subjects and how many messages each has, if they were asked for: one page of them.
    #[must_use]
    pub fn subjects(&self) -> Option<&HashMap<String, usize>> {
        self.subjects.as_ref()
    }

    pub(in super::super) fn take_subjects(&mut self) -> Option<HashMap<String, usize>> {
        self.subjects.take()
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            messages: 0,
            bytes: 0,
            first_sequence: 0,
            first_timestamp: zero_time(),
            last_sequence: 0,
            last_timestamp: zero_time(),
            consumer_count: 0,
            subjects_count: 0,
            deleted_count: None,
            deleted: None,
            subjects: None,
        }
    }
}

/// The servers that store a stream, or that have a consumer.
#[derive(Debug, Default, Deserialize, Clone, PartialEq, Eq)]
pub struct ClusterInfo {
    /// The cluster's name; `None` without a cluster.
    #[serde(default)]
    pub name: Option<String>,
    /// The name of the group of servers.
    #[serde(default)]
    pub raft_group: Option<String>,
    /// The server that leads; `None` during an election.
    #[serde(default)]
    pub leader: Option<String>,
    /// Since when it leads.
    #[serde(default, with = "rfc3339::option")]
    pub leader_since: Option<DateTime>,
    /// Whether the system account carries the replication (nats-server 2.12).
    #[serde(default)]
    pub system_account: bool,
    /// The account that carries the replication (2.12).
    #[serde(default)]
    pub traffic_account: Option<String>,
    /// The servers that follow.
    #[serde(default, deserialize_with = "null_is_default")]
    pub replicas: Vec<PeerInfo>,
}

/// A server that follows the leader.
#[derive(Debug, Default, Deserialize, Clone, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Whether it has everything that the leader has.
    #[serde(default)]
    pub current: bool,
    /// How long ago the leader heard of it.
    #[serde(default, with = "nanos")]
    pub active: Duration,
    /// Whether it is offline.
    #[serde(default)]
    pub offline: bool,
    /// How many operations it is behind.
    #[serde(default)]
    pub lag: Option<u64>,
}

/// How far a mirror or a source has come.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq, Default)]
pub struct SourceInfo {
    /// The name of the origin.
    #[serde(default)]
    pub name: String,
    /// How many messages are yet to be copied.
    #[serde(default)]
    pub lag: u64,
    /// How long ago the last message came; `None` if none has come.
    #[serde(default, deserialize_with = "nanos::option::unless_negative")]
    pub active: Option<Duration>,
    /// The subjects of messages that are copied.
    #[serde(default)]
    pub filter_subject: Option<String>,
    /// What becomes of the subjects, in nats-server before 2.10.
    #[serde(default)]
    pub subject_transform_dest: Option<String>,
    /// What becomes of the subjects.
    #[serde(default, deserialize_with = "null_is_default")]
    pub subject_transforms: Vec<SubjectTransform>,
}

/// Whether a deletion succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct DeleteStatus {
    /// Whether it did.
    #[serde(default)]
    pub success: bool,
}

/// What a purge removed.
#[derive(Debug, Deserialize, Clone, Copy, Default, PartialEq, Eq)]
pub struct PurgeResponse {
    /// Whether it succeeded.
    #[serde(default)]
    pub success: bool,
    /// How many messages were removed.
    #[serde(default)]
    pub purged: u64,
}
