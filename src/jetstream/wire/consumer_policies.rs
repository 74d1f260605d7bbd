//! The policies of a consumer.

use serde::{Deserialize, Serialize};

use super::rfc3339;
use crate::protocol::datetime::DateTime;

/// Where in the stream a consumer begins. In JSON, a start is written beside the policy, in the same object.
///
/// ```
/// use nats_lifeline::jetstream::consumer::DeliverPolicy;
///
/// let policy = DeliverPolicy::ByStartSequence { start_sequence: 7 };
/// assert_eq!(serde_json::to_string(&policy)?, r#"{"deliver_policy":"by_start_sequence","opt_start_seq":7}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Default, Debug, Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[serde(tag = "deliver_policy", try_from = "Start")]
pub enum DeliverPolicy {
    /// At the first message.
    #[default]
    #[serde(rename = "all")]
    All,
    /// At the last message.
    #[serde(rename = "last")]
    Last,
    /// At the first message after the consumer was created.
    #[serde(rename = "new")]
    New,
    /// At the message with this number, or the next one that there is.
    #[serde(rename = "by_start_sequence")]
    ByStartSequence {
        /// The number, from 1.
        #[serde(rename = "opt_start_seq")]
        start_sequence: u64,
    },
    /// At the first message that was stored at this time or later.
    #[serde(rename = "by_start_time")]
    ByStartTime {
        /// The time.
        #[serde(rename = "opt_start_time", with = "rfc3339")]
        start_time: DateTime,
    },
    /// At the last message of each subject.
    #[serde(rename = "last_per_subject")]
    LastPerSubject,
}

impl DeliverPolicy {
    /// As they are written.
    pub(super) const NAMES: &'static [&'static str] =
        &["all", "last", "new", "by_start_sequence", "by_start_time", "last_per_subject"];
}

/// The three fields of [`DeliverPolicy`] as they are read.
#[derive(Deserialize)]
struct Start {
    #[serde(default)]
    deliver_policy: Policy,
    #[serde(default)]
    opt_start_seq: Option<u64>,
    #[serde(default, with = "rfc3339::option")]
    opt_start_time: Option<DateTime>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Policy {
    #[default]
    All,
    Last,
    New,
    ByStartSequence,
    ByStartTime,
    LastPerSubject,
}

impl TryFrom<Start> for DeliverPolicy {
    type Error = &'static str;

    fn try_from(start: Start) -> Result<Self, Self::Error> {
        Ok(match start.deliver_policy {
            Policy::All => DeliverPolicy::All,
            Policy::Last => DeliverPolicy::Last,
            Policy::New => DeliverPolicy::New,
            Policy::LastPerSubject => DeliverPolicy::LastPerSubject,
            Policy::ByStartSequence => DeliverPolicy::ByStartSequence {
                start_sequence: start.opt_start_seq.ok_or("`by_start_sequence` without `opt_start_seq`")?,
            },
            Policy::ByStartTime => DeliverPolicy::ByStartTime {
                start_time: start.opt_start_time.ok_or("`by_start_time` without `opt_start_time`")?,
            },
        })
    }
}

/// Which messages have to be acknowledged.
#[derive(Default, Debug, Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum AckPolicy {
    /// Each of them.
    #[default]
    #[serde(rename = "explicit")]
    Explicit = 2,
    /// None: a message counts as processed when it was delivered.
    #[serde(rename = "none")]
    None = 0,
    /// The last one, which acknowledges those before it.
    #[serde(rename = "all")]
    All = 1,
    /// As with `All`, by the answers to flow control (nats-server 2.14): for push consumers that copy a stream.
    #[serde(rename = "flow_control")]
    FlowControl = 3,
}

/// How fast stored messages are delivered.
#[derive(Default, Debug, Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ReplayPolicy {
    /// As fast as possible.
    #[default]
    #[serde(rename = "instant")]
    Instant = 0,
    /// With the pauses between them with which they were stored.
    #[serde(rename = "original")]
    Original = 1,
}

/// How the clients that pull from a consumer share its messages (ADR-42).
#[derive(Default, Debug, Serialize, Deserialize, Clone, PartialEq, Eq)]
pub enum PriorityPolicy {
    /// A client that asks for it gets messages only while many are pending.
    #[serde(rename = "overflow")]
    Overflow,
    /// One client gets all messages, until it stops pulling.
    #[serde(rename = "pinned_client")]
    PinnedClient,
    /// Pulls with a lower number of priority are served first (nats-server 2.12).
    #[serde(rename = "prioritized")]
    Prioritized,
    /// In turn.
    #[default]
    #[serde(rename = "none")]
    None,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::datetime::parse_rfc3339;

    #[test]
    fn a_start_is_beside_its_policy_in_both_directions() {
        let start_time = parse_rfc3339("2026-01-02T03:04:05.000000006Z").unwrap();
        for (policy, json) in [
            (DeliverPolicy::All, r#"{"deliver_policy":"all"}"#),
            (DeliverPolicy::Last, r#"{"deliver_policy":"last"}"#),
            (DeliverPolicy::New, r#"{"deliver_policy":"new"}"#),
            (DeliverPolicy::LastPerSubject, r#"{"deliver_policy":"last_per_subject"}"#),
            (
                DeliverPolicy::ByStartSequence { start_sequence: u64::MAX },
                r#"{"deliver_policy":"by_start_sequence","opt_start_seq":18446744073709551615}"#,
            ),
            (
                DeliverPolicy::ByStartTime { start_time },
                r#"{"deliver_policy":"by_start_time","opt_start_time":"2026-01-02T03:04:05.000000006Z"}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&policy).unwrap(), json);
            assert_eq!(serde_json::from_str::<DeliverPolicy>(json).unwrap(), policy);
            assert!(DeliverPolicy::NAMES.iter().any(|name| json.contains(&format!("\"{name}\""))), "{json}");
        }
    }

    #[test]
    fn no_policy_is_all_and_a_start_that_is_missing_is_an_error() {
        let read = serde_json::from_str::<DeliverPolicy>;
        assert_eq!(read("{}").unwrap(), DeliverPolicy::All);
        let error = read(r#"{"deliver_policy":"by_start_sequence"}"#).unwrap_err().to_string();
        assert!(error.contains("without `opt_start_seq`"), "{error}");
        assert!(read(r#"{"deliver_policy":"by_start_time","opt_start_time":null}"#).is_err());
        assert!(read(r#"{"deliver_policy":"sometimes"}"#).is_err());
    }
}
