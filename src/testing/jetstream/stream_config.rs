//! A stream's configuration, as a server reads it, completes it and answers it.

use super::fault::Fault;
use super::log::{Storage, covers, overlap};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Metadata of the server, in every document with a configuration.
const VERSION: &str = "2.15.1";
const LEVEL: &str = "5";

const DUPLICATE_WINDOW: u64 = Duration::from_secs(120).as_nanos() as u64;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Retention {
    #[default]
    Limits,
    Interest,
    WorkQueue,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Discard {
    #[default]
    Old,
    New,
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ConsumerLimits {
    #[serde(skip_serializing_if = "is_default")]
    pub(super) inactive_threshold: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) max_ack_pending: i64,
}

/// Durations in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StreamConfig {
    pub(super) name: String,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) description: String,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) subjects: Option<Vec<String>>,
    pub(super) retention: Retention,
    pub(super) max_consumers: i64,
    pub(super) max_msgs: i64,
    pub(super) max_bytes: i64,
    pub(super) max_age: u64,
    pub(super) max_msgs_per_subject: i64,
    pub(super) max_msg_size: i64,
    pub(super) discard: Discard,
    pub(super) storage: StorageName,
    pub(super) num_replicas: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) no_ack: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) duplicate_window: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) placement: Option<Value>,
    #[serde(skip_serializing_if = "is_default")]
    mirror: Option<Value>,
    #[serde(skip_serializing_if = "is_default")]
    sources: Option<Value>,
    pub(super) compression: Compression,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) first_seq: u64,
    #[serde(skip_serializing_if = "is_default")]
    subject_transform: Option<Value>,
    #[serde(skip_serializing_if = "is_default")]
    republish: Option<Value>,
    pub(super) allow_direct: bool,
    pub(super) mirror_direct: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) discard_new_per_subject: bool,
    pub(super) sealed: bool,
    pub(super) deny_delete: bool,
    pub(super) deny_purge: bool,
    pub(super) allow_rollup_hdrs: bool,
    pub(super) consumer_limits: ConsumerLimits,
    pub(super) allow_msg_ttl: bool,
    #[serde(skip_serializing_if = "is_default")]
    subject_delete_marker_ttl: u64,
    #[serde(skip_serializing_if = "is_default")]
    allow_atomic: bool,
    #[serde(skip_serializing_if = "is_default")]
    allow_msg_counter: bool,
    #[serde(skip_serializing_if = "is_default")]
    allow_msg_schedules: bool,
    #[serde(skip_serializing_if = "is_default")]
    allow_batched: bool,
    #[serde(skip_serializing_if = "is_default")]
    persist_mode: Option<Value>,
    pub(super) metadata: BTreeMap<String, String>,
    /// Whether the server must change nothing in the configuration.
    #[serde(skip_serializing)]
    pedantic: bool,
    #[serde(skip_serializing)]
    template_owner: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum StorageName {
    #[default]
    File,
    Memory,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Compression {
    #[default]
    None,
    S2,
}

impl StreamConfig {
    /// The configuration with what a server fills in.
    pub(super) fn read(body: &[u8], name: &str) -> Result<Self, Fault> {
        let mut config: StreamConfig = Fault::or_document(body)?;
        if config.name != name {
            return Err(Fault::new(400, 10056, "stream name in subject does not match request"));
        }
        config.complete();
        config.check()?;
        Ok(config)
    }

    fn complete(&mut self) {
        for limit in [
            &mut self.max_consumers,
            &mut self.max_msgs,
            &mut self.max_bytes,
            &mut self.max_msgs_per_subject,
            &mut self.max_msg_size,
        ] {
            if *limit == 0 {
                *limit = -1;
            }
        }
        if self.num_replicas == 0 {
            self.num_replicas = 1;
        }
        if self.subjects.as_ref().is_none_or(Vec::is_empty) {
            self.subjects = Some(vec![self.name.clone()]);
        }
        if self.duplicate_window == 0 {
            self.duplicate_window = match self.max_age {
                0 => DUPLICATE_WINDOW,
                age => age.min(DUPLICATE_WINDOW),
            };
        }
        self.metadata.retain(|key, _| !key.starts_with("_nats."));
        let level = if self.allow_msg_ttl { "1" } else { "0" };
        self.metadata.insert("_nats.req.level".to_owned(), level.to_owned());
    }

    fn check(&self) -> Result<(), Fault> {
        for (set, what) in [
            (self.mirror.is_some(), "mirrors"),
            (self.sources.is_some(), "sources"),
            (self.subject_transform.is_some(), "subject transforms"),
            (self.republish.is_some(), "republishing"),
            (self.subject_delete_marker_ttl > 0, "delete markers"),
            (self.allow_atomic, "atomic batches"),
            (self.allow_batched, "fast batches"),
            (self.allow_msg_counter, "counters"),
            (self.allow_msg_schedules, "scheduled messages"),
        ] {
            if set {
                return Err(Fault::not_here(what));
            }
        }
        if self.discard_new_per_subject && (self.discard != Discard::New || self.max_msgs_per_subject <= 0) {
            return Err(Fault::bad_stream("discard new per subject requires discard new policy to be set"));
        }
        if self.max_age > 0 && self.duplicate_window > self.max_age {
            return Err(Fault::bad_stream("duplicates window can not be larger then max age"));
        }
        let subjects = self.subjects();
        for (at, subject) in subjects.iter().enumerate() {
            let others = subjects.iter().skip(at + 1);
            if let Some(other) = others.into_iter().find(|other| overlap(subject, other)) {
                return Err(Fault::bad_stream(format!("subject \"{subject}\" overlaps with \"{other}\"")));
            }
        }
        Ok(())
    }

    pub(super) fn subjects(&self) -> &[String] {
        self.subjects.as_deref().unwrap_or_default()
    }

    pub(super) fn covers(&self, subject: &str) -> bool {
        self.subjects().iter().any(|pattern| covers(pattern, subject))
    }

    pub(super) fn storage(&self) -> Storage {
        match self.storage {
            StorageName::File => Storage::File,
            StorageName::Memory => Storage::Memory,
        }
    }

    /// Whether an update from this one is allowed.
    pub(super) fn allows(&self, new: &StreamConfig) -> Result<(), Fault> {
        let refused = |what: &str| Err(Fault::bad_stream(format!("stream configuration update can not change {what}")));
        if self.storage != new.storage {
            return refused("storage type");
        }
        if self.retention != new.retention && [self.retention, new.retention].contains(&Retention::WorkQueue) {
            return refused("retention policy to/from workqueue");
        }
        if self.sealed && !new.sealed {
            return Err(Fault::bad_stream("stream configuration update can not unseal a sealed stream"));
        }
        if self.deny_delete && !new.deny_delete {
            return Err(Fault::bad_stream("stream configuration update can not cancel deny message deletes"));
        }
        if self.deny_purge && !new.deny_purge {
            return Err(Fault::bad_stream("stream configuration update can not cancel deny purge"));
        }
        Ok(())
    }

    /// The document of answers, with the metadata that say what the server is.
    pub(super) fn json(&self) -> Value {
        with_version(serde_json::to_value(self).unwrap_or_default())
    }

    /// The document of lists, without them.
    pub(super) fn plain_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Adds what the server says of itself to the metadata of a configuration.
pub(super) fn with_version(mut config: Value) -> Value {
    if let Some(metadata) = config.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("_nats.ver".to_owned(), VERSION.into());
        metadata.insert("_nats.level".to_owned(), LEVEL.into());
    }
    config
}

/// A limit; 0 and below are none.
pub(super) fn limit(value: i64) -> Option<u64> {
    u64::try_from(value).ok().filter(|limit| *limit > 0)
}
