//! The verbs of streams.

use super::api::{Answer, PageRequest, page, read};
use super::fault::Fault;
use super::log::overlap;
use super::stream::Stream;
use super::stream_config::StreamConfig;
use super::time::rfc3339;
use super::turn::Turn;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The most subjects, names and infos of a page.
const SUBJECTS: usize = 100_000;
const NAMES: usize = 1_024;
const INFOS: usize = 256;

type Streams = BTreeMap<String, Stream>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct InfoRequest {
    offset: usize,
    deleted_details: bool,
    subjects_filter: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PurgeRequest {
    filter: String,
    seq: u64,
    keep: u64,
}

pub(super) fn answer(
    streams: &mut Streams,
    verb: &str,
    name: &[&str],
    body: &[u8],
    server: &str,
    turn: &mut Turn<'_>,
) -> Answer {
    let (kind, result) = match (verb, name) {
        ("CREATE", [name]) => ("stream_create", create(streams, name, body, turn)),
        ("NAMES", []) => ("stream_names", list(streams, body, Listed::Names, turn)),
        ("LIST", []) => ("stream_list", list(streams, body, Listed::Infos, turn)),
        (_, [name]) if streams.get(*name).is_some_and(|stream| stream.is_offline(turn.now)) => {
            return Answer::NoResponders;
        }
        ("UPDATE", [name]) => ("stream_update", update(streams, name, body, turn)),
        ("INFO", [name]) => ("stream_info", info(streams, name, body, server, turn)),
        ("DELETE", [name]) => ("stream_delete", delete(streams, name, turn)),
        ("PURGE", [name]) => ("stream_purge", purge(streams, name, body)),
        _ => return Answer::Silence,
    };
    Answer::Document(kind, result)
}

/// Refuses subjects that another stream has.
fn check_overlap(streams: &Streams, config: &StreamConfig) -> Result<(), Fault> {
    let others = streams.values().filter(|other| other.config.name != config.name);
    let mut taken = others.flat_map(|other| other.config.subjects());
    match taken.any(|theirs| config.subjects().iter().any(|own| overlap(own, theirs))) {
        true => Err(Fault::new(400, 10065, "subjects overlap with an existing stream")),
        false => Ok(()),
    }
}

fn create(streams: &mut Streams, name: &str, body: &[u8], turn: &Turn<'_>) -> Result<Value, Fault> {
    let config = StreamConfig::read(body, name)?;
    if let Some(found) = streams.get(name) {
        return match found.config == config {
            true => Ok(created(found, turn)),
            false => Err(Fault::new(400, 10058, "stream name already in use with a different configuration")),
        };
    }
    check_overlap(streams, &config)?;
    let stream = streams.entry(name.to_owned()).or_insert(Stream::new(config, turn.now));
    Ok(created(stream, turn))
}

fn update(streams: &mut Streams, name: &str, body: &[u8], turn: &Turn<'_>) -> Result<Value, Fault> {
    let config = StreamConfig::read(body, name)?;
    streams.get(name).ok_or_else(Fault::no_stream)?.config.allows(&config)?;
    check_overlap(streams, &config)?;
    let stream = streams.get_mut(name).ok_or_else(Fault::no_stream)?;
    stream.config = config;
    stream.trim();
    Ok(described(stream, turn))
}

fn info(streams: &Streams, name: &str, body: &[u8], server: &str, turn: &Turn<'_>) -> Result<Value, Fault> {
    let request: InfoRequest = read(body)?;
    let stream = streams.get(name).ok_or_else(Fault::no_stream)?;
    let mut info = described(stream, turn);
    let state = info.get_mut("state").and_then(Value::as_object_mut);
    let mut bounds = (0, 0, 0);
    if let Some(state) = state {
        if request.deleted_details && stream.log.deleted() > 0 {
            let gaps = (stream.log.first()..=stream.log.last()).filter(|seq| stream.log.get(*seq).is_none());
            state.insert("deleted".to_owned(), gaps.collect::<Vec<u64>>().into());
        }
        if !request.subjects_filter.is_empty() {
            let all: Vec<_> = stream.log.subjects(&request.subjects_filter).collect();
            let shown = all.iter().skip(request.offset).take(SUBJECTS);
            let subjects: Map<String, Value> =
                shown.map(|(subject, seqs)| ((*subject).to_owned(), seqs.len().into())).collect();
            if !subjects.is_empty() {
                bounds = (all.len(), request.offset, SUBJECTS);
                state.insert("subjects".to_owned(), subjects.into());
            }
        }
    }
    if let Some(fields) = info.as_object_mut() {
        fields.insert("cluster".to_owned(), json!({ "leader": server }));
        fields.insert("total".to_owned(), bounds.0.into());
        fields.insert("offset".to_owned(), bounds.1.into());
        fields.insert("limit".to_owned(), bounds.2.into());
    }
    Ok(info)
}

fn delete(streams: &mut Streams, name: &str, turn: &mut Turn<'_>) -> Result<Value, Fault> {
    let mut stream = streams.remove(name).ok_or_else(Fault::no_stream)?;
    for consumer in stream.consumers.values_mut() {
        consumer.deleted(turn);
    }
    Ok(json!({ "success": true }))
}

fn purge(streams: &mut Streams, name: &str, body: &[u8]) -> Result<Value, Fault> {
    let request: PurgeRequest = read(body)?;
    if request.seq > 0 && request.keep > 0 {
        return Err(Fault::bad_request());
    }
    let stream = streams.get_mut(name).ok_or_else(Fault::no_stream)?;
    if stream.config.sealed {
        return Err(Fault::new(400, 10109, "invalid operation on sealed stream"));
    }
    if stream.config.deny_purge {
        return Err(Fault::new(500, 10110, "stream purge not permitted"));
    }
    let pattern = if request.filter.is_empty() { ">" } else { &request.filter };
    let mut seqs: Vec<u64> = stream.log.subjects(pattern).flat_map(|(_, seqs)| seqs.iter().copied()).collect();
    seqs.sort_unstable();
    if request.seq > 0 {
        seqs.retain(|seq| *seq < request.seq);
    }
    let keep = usize::try_from(request.keep).unwrap_or(usize::MAX);
    seqs.truncate(seqs.len().saturating_sub(keep));
    for seq in &seqs {
        stream.remove(*seq);
    }
    if request.filter.is_empty() && request.seq > 0 {
        stream.log.purged_to(request.seq);
    }
    Ok(json!({ "success": true, "purged": seqs.len() }))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Names,
    Infos,
}

fn list(streams: &Streams, body: &[u8], what: Listed, turn: &Turn<'_>) -> Result<Value, Fault> {
    let request: PageRequest = read(body)?;
    let wanted = |stream: &&Stream| {
        let subject = request.subject.as_deref().filter(|subject| !subject.is_empty());
        subject.is_none_or(|subject| stream.config.subjects().iter().any(|own| overlap(own, subject)))
    };
    let found = streams.values().filter(wanted);
    Ok(match what {
        Listed::Names => {
            let names = found.map(|stream| stream.config.name.as_str().into()).collect();
            page("streams", names, request.offset, NAMES, true)
        }
        Listed::Infos => {
            let infos = found.map(|stream| listed(stream, turn)).collect();
            page("streams", infos, request.offset, INFOS, false)
        }
    })
}

fn created(stream: &Stream, turn: &Turn<'_>) -> Value {
    let mut info = described(stream, turn);
    if let Some(fields) = info.as_object_mut() {
        // Also for one that exists, if it is the same.
        fields.insert("did_create".to_owned(), true.into());
    }
    info
}

fn described(stream: &Stream, turn: &Turn<'_>) -> Value {
    json!({
        "config": stream.config.json(),
        "created": rfc3339(stream.created),
        "state": stream.state(),
        "ts": rfc3339(turn.now),
    })
}

fn listed(stream: &Stream, turn: &Turn<'_>) -> Value {
    json!({
        "config": stream.config.plain_json(),
        "created": rfc3339(stream.created),
        "state": stream.state(),
        "ts": rfc3339(turn.now),
    })
}
