//! A consumer's configuration, as a server reads it, completes it and answers it.

use super::fault::Fault;
use super::log::{covers, overlap};
use super::stream_config::{StreamConfig, is_default};
use super::time::{Time, parse_rfc3339};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const ACK_WAIT: u64 = Duration::from_secs(30).as_nanos() as u64;
const MAX_ACK_PENDING: i64 = 1_000;
const MAX_WAITING: i64 = 512;
const EPHEMERAL_INACTIVE: u64 = Duration::from_secs(5).as_nanos() as u64;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Deliver {
    #[default]
    All,
    Last,
    New,
    ByStartSequence,
    ByStartTime,
    LastPerSubject,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Ack {
    #[default]
    None,
    All,
    Explicit,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Replay {
    #[default]
    Instant,
    Original,
}

/// Durations in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ConsumerConfig {
    #[serde(skip_serializing_if = "is_default")]
    pub(super) durable_name: String,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) name: String,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) description: String,
    pub(super) deliver_policy: Deliver,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) opt_start_seq: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) opt_start_time: Option<String>,
    pub(super) ack_policy: Ack,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) ack_wait: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) max_deliver: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) backoff: Option<Vec<u64>>,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) filter_subject: String,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) filter_subjects: Option<Vec<String>>,
    pub(super) replay_policy: Replay,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) rate_limit_bps: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) sample_freq: String,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) max_waiting: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) max_ack_pending: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) flow_control: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) headers_only: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) max_batch: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) max_expires: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) max_bytes: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) deliver_subject: String,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) deliver_group: String,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) idle_heartbeat: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) inactive_threshold: u64,
    pub(super) num_replicas: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) mem_storage: bool,
    pub(super) metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) pause_until: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    priority_groups: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_default")]
    priority_policy: Option<Value>,
    #[serde(skip_serializing_if = "is_default")]
    priority_timeout: u64,
}

impl ConsumerConfig {
    /// Fills in what a server does, and checks the rest.
    pub(super) fn completed(mut self, stream: &StreamConfig) -> Result<Self, Fault> {
        if self.priority_groups.is_some() {
            return Err(Fault::new(500, 10012, "the broker for tests does not support priority groups"));
        }
        let acks = self.ack_policy != Ack::None;
        if self.ack_wait == 0 && acks {
            self.ack_wait = match self.backoff.as_deref() {
                Some([first, ..]) => *first,
                _ => ACK_WAIT,
            };
        }
        if self.max_deliver == 0 || self.max_deliver < -1 {
            self.max_deliver = -1;
        }
        if self.max_ack_pending == 0 && acks {
            self.max_ack_pending = match stream.consumer_limits.max_ack_pending {
                limit if limit > 0 => limit,
                _ => MAX_ACK_PENDING,
            };
        }
        if self.is_pull() && self.max_waiting <= 0 {
            self.max_waiting = MAX_WAITING;
        }
        if self.inactive_threshold == 0 {
            self.inactive_threshold = match stream.consumer_limits.inactive_threshold {
                0 if self.durable_name.is_empty() => EPHEMERAL_INACTIVE,
                limit => limit,
            };
        }
        if self.opt_start_time.as_deref().is_some_and(|time| parse_rfc3339(time).is_none()) {
            self.opt_start_time = None;
        }
        self.metadata.retain(|key, _| !key.starts_with("_nats."));
        let level = if self.pause_until.is_some() { "1" } else { "0" };
        self.metadata.insert("_nats.req.level".to_owned(), level.to_owned());
        self.check()?;
        Ok(self)
    }

    fn check(&self) -> Result<(), Fault> {
        let bad = |err_code, text: &str| Err(Fault::new(400, err_code, text));
        let started = self.opt_start_time.is_some();
        match self.deliver_policy {
            Deliver::ByStartSequence if self.opt_start_seq == 0 => {
                return bad(
                    10094,
                    "consumer delivery policy is deliver by start sequence, but optional start sequence is not set",
                );
            }
            Deliver::ByStartTime if !started => {
                return bad(
                    10094,
                    "consumer delivery policy is deliver by start time, but optional start time is not set",
                );
            }
            Deliver::ByStartSequence | Deliver::ByStartTime => {}
            policy if self.opt_start_seq > 0 || started => {
                let which = if started { "time" } else { "sequence" };
                let name = match policy {
                    Deliver::Last => "last",
                    Deliver::New => "new",
                    Deliver::LastPerSubject => "last per subject",
                    _ => "all",
                };
                let text =
                    format!("consumer delivery policy is deliver {name}, but optional start {which} is also set");
                return bad(10094, &text);
            }
            Deliver::LastPerSubject if self.filters().next().is_none() => {
                return bad(
                    10094,
                    "consumer delivery policy is deliver last per subject, but optional filter subject is not set",
                );
            }
            _ => {}
        }
        if self.is_pull() {
            if self.rate_limit_bps > 0 {
                return bad(10086, "consumer in pull mode can not have rate limit set");
            }
            if self.idle_heartbeat > 0 {
                return bad(10088, "consumer idle heartbeat requires a push based consumer");
            }
            if self.flow_control {
                return bad(10089, "consumer flow control requires a push based consumer");
            }
        } else {
            if self.max_waiting > 0 {
                return bad(10080, "consumer in push mode can not set max waiting");
            }
            if self.flow_control && self.idle_heartbeat == 0 {
                return bad(10108, "consumer with flow control also needs heartbeats");
            }
            if self.idle_heartbeat > 0 && self.idle_heartbeat < 100_000_000 {
                return bad(10083, "consumer idle heartbeat needs to be >= 100ms");
            }
        }
        if !self.filter_subject.is_empty() && self.filter_subjects.is_some() {
            return bad(10136, "consumer cannot have both FilterSubject and FilterSubjects specified");
        }
        let filters: Vec<&str> = self.filters().collect();
        for (at, one) in filters.iter().enumerate() {
            if filters.iter().skip(at + 1).any(|other| overlap(one, other)) {
                return bad(10138, "consumer subject filters cannot overlap");
            }
        }
        if let Some(backoff) = &self.backoff {
            let most = u64::try_from(self.max_deliver).ok();
            if most.is_some_and(|most| (backoff.len() as u64) > most) {
                return bad(10116, "max deliver is required to be > length of backoff values");
            }
        }
        Ok(())
    }

    /// Its subjects; none are all.
    pub(super) fn filters(&self) -> impl Iterator<Item = &str> {
        let one = Some(self.filter_subject.as_str()).filter(|filter| !filter.is_empty());
        one.into_iter().chain(self.filter_subjects.iter().flatten().map(String::as_str))
    }

    pub(super) fn wants(&self, subject: &str) -> bool {
        let mut filters = self.filters().peekable();
        filters.peek().is_none() || filters.any(|filter| covers(filter, subject))
    }

    pub(super) fn is_pull(&self) -> bool {
        self.deliver_subject.is_empty()
    }

    pub(super) fn is_durable(&self) -> bool {
        !self.durable_name.is_empty()
    }

    pub(super) fn start_time(&self) -> Option<Time> {
        self.opt_start_time.as_deref().and_then(parse_rfc3339)
    }

    pub(super) fn paused_until(&self) -> Option<Time> {
        self.pause_until.as_deref().and_then(parse_rfc3339)
    }

    /// How long the delivery with this number may take before the message is delivered again.
    pub(super) fn patience(&self, delivered: u64) -> u64 {
        let Some(backoff) = self.backoff.as_deref().filter(|steps| !steps.is_empty()) else { return self.ack_wait };
        let step = usize::try_from(delivered.saturating_sub(1)).unwrap_or(usize::MAX).min(backoff.len() - 1);
        backoff.get(step).copied().unwrap_or(self.ack_wait)
    }

    pub(super) fn plain_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
