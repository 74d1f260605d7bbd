//! What the part that waits asks for: consumers by number, and what their answers say.

use std::time::{Duration, Instant};

use nats_lifeline::jetstream::consumer::DeliverPolicy;
use nats_lifeline::jetstream::decide::ordered::{Arrival, Created};
use nats_lifeline::jetstream::decide::settings;
use nats_lifeline::jetstream::wire::AckSubject;
use nats_lifeline::testing::jetstream::Out;
use serde_json::{Value, json};

use super::source::inbox;
use crate::line::{Line, Sent};

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) policy: DeliverPolicy,
    pub(super) filter: String,
    pub(super) heartbeat: Duration,
    /// The inbox holds this many messages.
    pub(super) capacity: usize,
    pub(super) seed: u64,
    /// What the pulls of an ordered pull consumer ask for.
    pub(super) pulls: Option<settings::Settings>,
}

pub(super) fn name(incarnation: u64) -> String {
    format!("reader_{incarnation}")
}

/// The configuration of an incarnation.
pub(super) fn config(settings: &Settings, incarnation: u64, from: DeliverPolicy) -> Value {
    let mut config = json!({
        "name": name(incarnation), "ack_policy": "none", "max_deliver": 1, "mem_storage": true, "num_replicas": 1,
        "inactive_threshold": nanos(Duration::from_secs(30)), "replay_policy": "instant",
    });
    if settings.pulls.is_none() {
        config["deliver_subject"] = inbox(incarnation).into();
        config["flow_control"] = true.into();
        config["idle_heartbeat"] = nanos(settings.heartbeat).into();
    }
    let policy = serde_json::to_value(from).unwrap();
    config.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
    if !settings.filter.is_empty() {
        config["filter_subject"] = settings.filter.clone().into();
    }
    config
}

pub(super) fn delete(incarnation: u64, line: &mut Line, now: Instant) {
    let subject = format!("$JS.API.CONSUMER.DELETE.S.{}", name(incarnation));
    line.publish(Sent { subject, reply: None, payload: Vec::new() }, now);
}

pub(super) fn created(answer: &Value) -> Created {
    let number = |value: &Value| value.as_u64().unwrap();
    Created {
        before: number(&answer["delivered"]["stream_seq"]),
        delivered: number(&answer["delivered"]["consumer_seq"]),
        pending: number(&answer["num_pending"]),
        stream: None,
    }
}

/// A payload without its padding.
pub(super) fn text(payload: &[u8]) -> String {
    let text = payload.split(|byte| *byte == b' ').next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}

/// The numbers of a message, and its incarnation, if that is an older one than `live`.
pub(super) fn arrival(message: &Out, live: u64) -> Option<(u64, Arrival)> {
    let numbers = AckSubject::parse(message.reply.as_deref()?).ok()?;
    let incarnation: u64 = numbers.consumer.strip_prefix("reader_")?.parse().ok()?;
    let AckSubject { stream_sequence, consumer_sequence, pending, .. } = numbers;
    let arrival = Arrival { stream: stream_sequence, consumer: consumer_sequence, pending };
    (incarnation < live).then_some((incarnation, arrival))
}
