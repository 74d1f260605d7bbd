//! What a server says of a consumer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::answer::known;
use super::consumer_config::Config;
use super::lenient::{is_default, null_is_default};
use super::stream_info::ClusterInfo;
use super::{nanos, rfc3339};
use crate::protocol::datetime::{DateTime, zero_time};

/// The configuration and the state of a consumer.
#[derive(Debug, Deserialize, Clone, PartialEq, Eq)]
pub struct Info {
    /// The stream's name. Without it and the next one, this is no answer about a consumer.
    pub stream_name: String,
    /// The consumer's name.
    pub name: String,
    /// When it was created.
    #[serde(default = "zero_time", with = "rfc3339")]
    pub created: DateTime,
    /// The configuration, with the server's defaults filled in. A policy that this version does not know reads as the default.
    #[serde(default, deserialize_with = "known")]
    pub config: Config,
    /// The last delivered message.
    #[serde(default)]
    pub delivered: SequenceInfo,
    /// The last message up to which all are acknowledged.
    #[serde(default)]
    pub ack_floor: SequenceInfo,
    /// How many delivered messages wait for their acknowledgement.
    #[serde(default)]
    pub num_ack_pending: usize,
    /// How many messages were delivered more than once and are not acknowledged yet.
    #[serde(default)]
    pub num_redelivered: usize,
    /// How many pulls are waiting, of all clients.
    #[serde(default)]
    pub num_waiting: usize,
    /// How many messages are yet to be delivered.
    #[serde(default)]
    pub num_pending: u64,
    /// The servers that have the consumer's state.
    #[serde(default)]
    pub cluster: Option<ClusterInfo>,
    /// Whether somebody subscribes to the subject that a push consumer delivers to.
    #[serde(default)]
    pub push_bound: bool,
    /// Whether it is paused (nats-server 2.11).
    #[serde(default)]
    pub paused: bool,
    /// For how much longer it is paused (2.11).
    #[serde(default, with = "nanos::option")]
    pub pause_remaining: Option<Duration>,
    /// The state of its priority groups (2.11).
    #[serde(default, deserialize_with = "null_is_default")]
    pub priority_groups: Vec<PriorityGroupState>,
}

/// The state of a priority group.
#[derive(Debug, Deserialize, Clone, PartialEq, Eq, Default)]
pub struct PriorityGroupState {
    /// The group's name.
    #[serde(default)]
    pub group: String,
    /// The id of the pin, if a client is pinned.
    #[serde(default)]
    pub pinned_client_id: Option<String>,
    /// When it was pinned.
    #[serde(default, with = "rfc3339::option")]
    pub pinned_ts: Option<DateTime>,
}

/// A place in a stream and in a consumer.
#[derive(Debug, Deserialize, Clone, Copy, PartialEq, Eq, Default)]
pub struct SequenceInfo {
    /// The number of the delivery in the consumer.
    #[serde(rename = "consumer_seq", default)]
    pub consumer_sequence: u64,
    /// The number of the message in the stream.
    #[serde(rename = "stream_seq", default)]
    pub stream_sequence: u64,
    /// When it happened; `None` if it has not.
    #[serde(default, with = "rfc3339::option")]
    pub last_active: Option<DateTime>,
}

/// What a server says after a pause or a resumption.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PauseResponse {
    /// Whether the consumer is paused.
    #[serde(default)]
    pub paused: bool,
    /// Until when; the zero time if it is not paused.
    #[serde(default = "zero_time", with = "rfc3339")]
    pub pause_until: DateTime,
    /// For how much longer.
    #[serde(default, with = "nanos::option")]
    pub pause_remaining: Option<Duration>,
}

/// What a server says after a consumer has started again (nats-server 2.14, ADR-60).
#[derive(Debug, Clone, Deserialize)]
pub struct ConsumerResetResponse {
    /// The consumer's configuration and state.
    #[serde(flatten)]
    pub info: Info,
    /// The number of the message that is delivered next.
    #[serde(default)]
    pub reset_seq: u64,
}

/// The body of a request that creates or changes a consumer.
#[derive(Debug, Clone, Serialize)]
pub struct CreateRequest<'a> {
    /// The stream's name.
    pub stream_name: &'a str,
    /// The configuration.
    pub config: &'a Config,
    /// What may happen.
    pub action: CreateAction,
}

/// Whether a consumer may exist already, or must (nats-server 2.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum CreateAction {
    /// It is created, or changed if it exists.
    #[serde(rename = "")]
    CreateOrUpdate,
    /// It is created, unless one with another configuration exists: error code 10148.
    #[serde(rename = "create")]
    Create,
    /// It is changed, if it exists: otherwise error code 10149.
    #[serde(rename = "update")]
    Update,
}

/// The body of a request that pauses a consumer, or resumes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PauseRequest {
    /// Until when; `None` resumes it.
    #[serde(skip_serializing_if = "is_default", with = "rfc3339::option")]
    pub pause_until: Option<DateTime>,
}

/// The body of a request that takes the pin from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UnpinRequest<'a> {
    /// The priority group.
    pub group: &'a str,
}

/// The body of a request that starts a consumer again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ResetRequest {
    /// The number of the message to deliver next; 0 is the one after the last acknowledged one.
    #[serde(rename = "seq", skip_serializing_if = "is_default")]
    pub sequence: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jetstream::wire::ReplayPolicy;
    use crate::protocol::datetime::parse_rfc3339;
    use serde_json::{json, to_value};

    #[test]
    fn requests_say_what_is_wanted_and_nothing_else() {
        let config = Config { name: Some("c".to_owned()), ..Config::default() };
        for (action, text) in
            [(CreateAction::CreateOrUpdate, ""), (CreateAction::Create, "create"), (CreateAction::Update, "update")]
        {
            let request = to_value(CreateRequest { stream_name: "S", config: &config, action }).unwrap();
            let config = json!({
                "name": "c", "deliver_policy": "all", "ack_policy": "explicit", "replay_policy": "instant",
            });
            assert_eq!(request, json!({ "stream_name": "S", "config": config, "action": text }));
        }
        assert_eq!(to_value(PauseRequest::default()).unwrap(), json!({}));
        let pause = PauseRequest { pause_until: Some(parse_rfc3339("2036-01-01T00:00:00Z").unwrap()) };
        assert_eq!(to_value(pause).unwrap(), json!({ "pause_until": "2036-01-01T00:00:00Z" }));
        assert_eq!(to_value(UnpinRequest { group: "jobs" }).unwrap(), json!({ "group": "jobs" }));
        assert_eq!(to_value(ResetRequest { sequence: 0 }).unwrap(), json!({}));
        assert_eq!(to_value(ResetRequest { sequence: 7 }).unwrap(), json!({ "seq": 7 }));
    }

    #[test]
    fn a_policy_from_the_future_costs_one_field() {
        let json = r#"{"stream_name":"S","name":"c","config":{"ack_policy":"someday","deliver_policy":"sometimes","opt_start_seq":3,
            "replay_policy":"original","priority_policy":7,"max_deliver":5},"num_pending":9}"#;
        let info: Info = serde_json::from_str(json).unwrap();
        let expected = Config { replay_policy: ReplayPolicy::Original, max_deliver: 5, ..Config::default() };
        assert_eq!((info.config, info.num_pending, info.name.as_str()), (expected, 9, "c"));
        assert!(serde_json::from_str::<Config>(r#"{"ack_policy":"someday"}"#).is_err(), "from a program it is a typo");
    }
}
