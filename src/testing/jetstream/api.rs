//! Requests to the API: finding the verb, and answering.

use super::JetStream;
use super::fault::Fault;
use super::faults::{Faults, NewPulls};
use super::time::{Time, ZERO_TIME};
use super::turn::{Out, Turn};
use crate::protocol::PubOp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// What a request is answered.
pub(super) enum Answer {
    /// A document: its type, and its fields or the reason for the refusal.
    Document(&'static str, Result<Value, Fault>),
    /// It was answered already, or never will be.
    Silence,
    /// Nobody is there.
    NoResponders,
}

/// The start of a page.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PageRequest {
    pub(super) offset: usize,
    pub(super) subject: Option<String>,
}

impl JetStream {
    pub(super) fn api(
        &mut self,
        verb: &str,
        reply: Option<&str>,
        message: &PubOp<'_>,
        now: Time,
        interest: &dyn Fn(&str) -> bool,
        out: &mut Vec<Out>,
    ) -> bool {
        let tokens: Vec<&str> = verb.split('.').collect();
        let answer = match tokens.as_slice() {
            ["CONSUMER", "MSG", "NEXT", stream, consumer] => {
                let mut turn = Turn { now, interest, out, faults: &mut self.faults };
                let Some(stream) = self.streams.get_mut(*stream) else { return false };
                return super::api_consumers::next(stream, consumer, reply, message.payload, &mut turn);
            }
            ["DIRECT", "GET", stream, subject @ ..] => {
                let mut turn = Turn { now, interest, out, faults: &mut self.faults };
                let Some(stream) = self.streams.get(*stream) else { return false };
                return stream.direct_get(subject, reply, message.payload, &mut turn);
            }
            ["INFO"] => Answer::Document("account_info", Ok(self.account())),
            ["STREAM", "MSG", verb @ ("GET" | "DELETE"), stream] => {
                self.message_api(verb, stream, message.payload, now)
            }
            ["STREAM", verb, name @ ..] => {
                let mut turn = Turn { now, interest, out, faults: &mut self.faults };
                let server = &self.server_name;
                super::api_streams::answer(&mut self.streams, verb, name, message.payload, server, &mut turn)
            }
            ["CONSUMER", verb, stream, rest @ ..] => {
                let fresh = self.random(u64::MAX);
                let mut turn = Turn { now, interest, out, faults: &mut self.faults };
                match self.streams.get_mut(*stream) {
                    Some(found) if found.is_offline(now) => Answer::NoResponders,
                    found => super::api_consumers::answer(found, verb, rest, message.payload, fresh, &mut turn),
                }
            }
            // A server listens for all of the API, and does not answer what it does not know.
            _ => Answer::Silence,
        };
        let (kind, result) = match answer {
            Answer::Document(kind, result) => (kind, result),
            Answer::Silence => return true,
            Answer::NoResponders => return false,
        };
        self.requests += 1;
        self.errors += u64::from(result.is_err());
        let mut turn = Turn { now, interest, out, faults: &mut self.faults };
        if let Some(reply) = reply {
            turn.answer(reply, document(kind, result).to_string());
        }
        // What the request has made possible comes after its answer.
        if let Some(stream) = tokens.get(2).and_then(|name| self.streams.get_mut(*name)) {
            stream.advance(&mut turn);
        }
        true
    }

    fn account(&self) -> Value {
        let used = |kind| self.streams.values().filter(move |one| one.config.storage() == kind);
        let bytes = |kind| used(kind).map(|stream| stream.log.bytes()).sum::<u64>();
        let consumers: usize = self.streams.values().map(|stream| stream.consumers.len()).sum();
        json!({
            "memory": bytes(super::log::Storage::Memory),
            "storage": bytes(super::log::Storage::File),
            "reserved_memory": 0,
            "reserved_storage": 0,
            "streams": self.streams.len(),
            "consumers": consumers,
            "limits": {
                "max_memory": -1,
                "max_storage": -1,
                "max_streams": -1,
                "max_consumers": -1,
                "max_ack_pending": -1,
                "memory_max_stream_bytes": -1,
                "storage_max_stream_bytes": -1,
                "max_bytes_required": false,
            },
            "api": { "level": 5, "total": self.requests, "errors": self.errors },
        })
    }
}

/// The whole answer. A refusal has the fields too that a server adds to it.
fn document(kind: &str, result: Result<Value, Fault>) -> Value {
    let mut fields = match result {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => Map::new(),
        Err(fault) => {
            let mut fields = Map::new();
            fields.insert("error".to_owned(), fault.json());
            let mut add = |name: &str, value: Value| {
                fields.insert(name.to_owned(), value);
            };
            match kind {
                "stream_purge" => add("purged", 0.into()),
                "consumer_reset" => add("reset_seq", 0.into()),
                "consumer_pause" => {
                    add("paused", false.into());
                    add("pause_until", ZERO_TIME.into());
                }
                "stream_info" | "stream_names" | "consumer_names" | "consumer_list" => {
                    for name in ["total", "offset", "limit"] {
                        add(name, 0.into());
                    }
                    if kind.starts_with("consumer") {
                        add("consumers", Value::Array(Vec::new()));
                    }
                }
                _ => {}
            }
            fields
        }
    };
    fields.insert("type".to_owned(), format!("io.nats.jetstream.api.v1.{kind}_response").into());
    Value::Object(fields)
}

/// Reads a body that may be empty.
pub(super) fn read<T: Default + DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    Fault::or_document(body)
}

/// A page of a list.
pub(super) fn page(name: &str, all: Vec<Value>, offset: usize, limit: usize, none_is_null: bool) -> Value {
    let total = all.len();
    let offset = offset.min(total);
    let items: Vec<Value> = all.into_iter().skip(offset).take(limit).collect();
    let items = if items.is_empty() && none_is_null { Value::Null } else { items.into() };
    let mut page = json!({ "total": total, "offset": offset, "limit": limit });
    if let Some(fields) = page.as_object_mut() {
        fields.insert(name.to_owned(), items);
    }
    page
}

/// What a consumer without a leader does with a request.
pub(super) fn without_leader(pulls: NewPulls) -> Answer {
    match pulls {
        NewPulls::Swallowed => Answer::Silence,
        NewPulls::NoResponders => Answer::NoResponders,
    }
}

/// Whether a fault swallows this pull.
pub(super) fn is_swallowed(turn: &mut Turn<'_>) -> bool {
    Faults::take(&mut turn.faults.swallow_pulls)
}
