//! The verbs of consumers.

use super::api::{Answer, PageRequest, is_swallowed, page, read, without_leader};
use super::consumer::{Consumer, Creation};
use super::consumer_config::{Ack, ConsumerConfig, Deliver};
use super::fault::Fault;
use super::faults::NewPulls;
use super::log::overlap;
use super::stream::Stream;
use super::stream_config::{Retention, limit};
use super::time::ZERO_TIME;
use super::turn::Turn;
use serde::Deserialize;
use serde_json::{Value, json};

const NAMES: usize = 1_024;
const INFOS: usize = 256;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
enum Action {
    #[default]
    #[serde(rename = "")]
    Either,
    #[serde(rename = "create")]
    Create,
    #[serde(rename = "update")]
    Update,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CreateRequest {
    stream_name: String,
    config: ConsumerConfig,
    action: Action,
    /// Whether the server must change nothing in the configuration.
    #[serde(rename = "pedantic")]
    _pedantic: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ResetRequest {
    seq: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PauseRequest {
    pause_until: Option<String>,
}

/// `CONSUMER.MSG.NEXT`: a pull. Returns whether it was received.
pub(super) fn next(stream: &mut Stream, name: &str, reply: Option<&str>, body: &[u8], turn: &mut Turn<'_>) -> bool {
    if stream.is_offline(turn.now) {
        return false;
    }
    let Some(consumer) = stream.consumers.get_mut(name) else { return false };
    if let Some(election) = consumer.election(turn.now) {
        return election.pulls == NewPulls::Swallowed;
    }
    if let Some(reply) = reply.filter(|_| !is_swallowed(turn)) {
        consumer.pull(reply, body, turn);
        stream.advance(turn);
    }
    true
}

/// All other verbs. `fresh` becomes the name of a consumer that has none.
pub(super) fn answer(
    stream: Option<&mut Stream>,
    verb: &str,
    rest: &[&str],
    body: &[u8],
    fresh: u64,
    turn: &mut Turn<'_>,
) -> Answer {
    let leaderless = match (&stream, rest) {
        (Some(stream), [name, ..]) => {
            stream.consumers.get(*name).and_then(|consumer| consumer.election(turn.now)).map(|election| election.pulls)
        }
        _ => None,
    };
    if let Some(pulls) = leaderless {
        return without_leader(pulls);
    }
    let kind = match verb {
        "CREATE" => "consumer_create",
        "INFO" => "consumer_info",
        "DELETE" => "consumer_delete",
        "NAMES" => "consumer_names",
        "LIST" => "consumer_list",
        "PAUSE" => "consumer_pause",
        "RESET" => "consumer_reset",
        _ => return Answer::Silence,
    };
    let Some(stream) = stream else { return Answer::Document(kind, Err(Fault::no_stream())) };
    let result = match (verb, rest) {
        ("CREATE", _) => create(stream, rest, body, fresh, turn),
        ("INFO", [name]) => {
            let found = stream.consumers.get(*name).ok_or_else(Fault::no_consumer);
            found.map(|consumer| consumer.info(turn, Creation::Single))
        }
        ("DELETE", [name]) => match stream.delete_consumer(name, turn) {
            true => Ok(json!({ "success": true })),
            false => Err(Fault::no_consumer()),
        },
        ("NAMES", []) => list(stream, body, turn, NAMES, |consumer, _| consumer.name().into()),
        ("LIST", []) => list(stream, body, turn, INFOS, |consumer, turn| consumer.info(turn, Creation::Listed)),
        ("PAUSE", [name]) => pause(stream, name, body, turn),
        // Only the consumer itself listens for this.
        ("RESET", [name]) if !stream.consumers.contains_key(*name) => return Answer::Silence,
        ("RESET", [name]) => reset(stream, name, body, turn),
        _ => return Answer::Silence,
    };
    Answer::Document(kind, result)
}

fn list(
    stream: &Stream,
    body: &[u8],
    turn: &Turn<'_>,
    limit: usize,
    item: impl Fn(&Consumer, &Turn<'_>) -> Value,
) -> Result<Value, Fault> {
    let request: PageRequest = read(body)?;
    let all = stream.consumers.values().map(|consumer| item(consumer, turn)).collect();
    Ok(page("consumers", all, request.offset, limit, false))
}

fn pause(stream: &mut Stream, name: &str, body: &[u8], turn: &mut Turn<'_>) -> Result<Value, Fault> {
    let request: PauseRequest = read(body)?;
    let consumer = stream.consumers.get_mut(name).ok_or_else(Fault::no_consumer)?;
    let until = request.pause_until.filter(|until| until != ZERO_TIME);
    consumer.pause(until.clone());
    let left = consumer.pause_left(turn.now);
    let mut answer = json!({ "paused": left.is_some(), "pause_until": until.as_deref().unwrap_or(ZERO_TIME) });
    if let (Some(fields), Some(left)) = (answer.as_object_mut(), left) {
        fields.insert("pause_remaining".to_owned(), left.into());
    }
    Ok(answer)
}

fn reset(stream: &mut Stream, name: &str, body: &[u8], turn: &mut Turn<'_>) -> Result<Value, Fault> {
    let request: ResetRequest = read(body)?;
    let consumer = stream.consumers.get_mut(name).ok_or_else(Fault::no_consumer)?;
    let next = consumer.reset(request.seq, &stream.log)?;
    let mut info = consumer.info(turn, Creation::Single);
    if let Some(fields) = info.as_object_mut() {
        fields.insert("reset_seq".to_owned(), next.into());
    }
    Ok(info)
}

fn create(stream: &mut Stream, rest: &[&str], body: &[u8], fresh: u64, turn: &mut Turn<'_>) -> Result<Value, Fault> {
    let request: CreateRequest = Fault::or_document(body)?;
    let CreateRequest { stream_name, mut config, action, .. } = request;
    if stream_name != stream.config.name {
        return Err(Fault::new(400, 10056, "stream name in subject does not match request"));
    }
    match rest {
        [] => {}
        [name] => check_name(name, &mut config)?,
        [name, filter @ ..] => {
            check_name(name, &mut config)?;
            if filter.join(".") != config.filter_subject || config.filter_subjects.is_some() {
                return Err(Fault::new(
                    400,
                    10131,
                    "Consumer create request did not match filtered subject from create subject",
                ));
            }
        }
    }
    if config.name.is_empty() {
        config.name = match config.durable_name.is_empty() {
            false => config.durable_name.clone(),
            true => format!("{fresh:016X}").chars().take(8).collect(),
        };
    }
    let name = config.name.clone();
    let config = config.completed(&stream.config)?;
    match (stream.consumers.contains_key(&name), action) {
        (true, Action::Create) => existing(stream, &name, &config)?,
        (false, Action::Update) => return Err(Fault::new(400, 10149, "consumer does not exist")),
        (true, Action::Either | Action::Update) => update(stream, &name, config)?,
        (false, Action::Either | Action::Create) => {
            check_retention(stream, &config)?;
            if limit(stream.config.max_consumers).is_some_and(|most| stream.consumers.len() as u64 >= most) {
                return Err(Fault::new(400, 10026, "maximum consumers limit reached"));
            }
            let made = Consumer::new(&stream.config.name, &name, config, &stream.log, turn.now);
            stream.consumers.insert(name.clone(), made);
        }
    }
    let consumer = stream.consumers.get(&name).ok_or_else(Fault::no_consumer)?;
    Ok(consumer.info(turn, Creation::Single))
}

fn check_name(name: &str, config: &mut ConsumerConfig) -> Result<(), Fault> {
    // The one in the subject counts.
    config.name = name.to_owned();
    match config.durable_name.is_empty() || config.durable_name == name {
        true => Ok(()),
        false => Err(Fault::new(400, 10017, "consumer name in subject does not match durable name in request")),
    }
}

/// A strict creation of one that exists: fine if it is the same.
fn existing(stream: &Stream, name: &str, config: &ConsumerConfig) -> Result<(), Fault> {
    match stream.consumers.get(name).is_some_and(|found| found.config() == config) {
        true => Ok(()),
        false => Err(Fault::new(400, 10148, "consumer already exists")),
    }
}

fn update(stream: &mut Stream, name: &str, config: ConsumerConfig) -> Result<(), Fault> {
    let Some(consumer) = stream.consumers.get_mut(name) else { return Ok(()) };
    let present = consumer.config();
    let refused = |what: &str| Err(Fault::new(500, 10012, format!("{what} can not be updated")));
    if *present == config {
        return Ok(());
    }
    if present.deliver_policy != config.deliver_policy {
        return refused("deliver policy");
    }
    if present.opt_start_seq != config.opt_start_seq {
        return refused("start sequence");
    }
    if present.opt_start_time != config.opt_start_time {
        return refused("start time");
    }
    if present.ack_policy != config.ack_policy {
        return refused("ack policy");
    }
    if present.replay_policy != config.replay_policy {
        return refused("replay policy");
    }
    if present.idle_heartbeat != config.idle_heartbeat {
        return refused("heart beats");
    }
    if present.flow_control != config.flow_control {
        return refused("flow control");
    }
    if present.is_durable() != config.is_durable() {
        return refused("durable name");
    }
    if present.is_pull() != config.is_pull() {
        return refused(if present.is_pull() {
            "pull consumer to push based consumer"
        } else {
            "push consumer to pull based consumer"
        });
    }
    consumer.update(config, &stream.log);
    Ok(())
}

/// What only streams that keep messages for their consumers demand.
fn check_retention(stream: &Stream, config: &ConsumerConfig) -> Result<(), Fault> {
    if stream.config.retention != Retention::WorkQueue {
        return Ok(());
    }
    if config.ack_policy != Ack::Explicit {
        if config.is_pull() && config.ack_policy == Ack::None {
            let text = "consumer in pull mode requires explicit ack policy on workqueue stream";
            return Err(Fault::new(400, 10084, text));
        }
        return Err(Fault::new(400, 10098, "workqueue stream requires explicit ack"));
    }
    if config.deliver_policy != Deliver::All {
        return Err(Fault::new(400, 10101, "consumer must be deliver all on workqueue stream"));
    }
    let filters = |config: &ConsumerConfig| -> Vec<String> { config.filters().map(str::to_owned).collect() };
    let own = filters(config);
    if stream.consumers.is_empty() {
        return Ok(());
    }
    let theirs: Vec<String> = stream.consumers.values().flat_map(|other| filters(other.config())).collect();
    if own.is_empty() || theirs.is_empty() {
        return Err(Fault::new(400, 10099, "multiple non-filtered consumers not allowed on workqueue stream"));
    }
    match own.iter().any(|own| theirs.iter().any(|theirs| overlap(own, theirs))) {
        true => Err(Fault::new(400, 10100, "filtered consumer not unique on workqueue stream")),
        false => Ok(()),
    }
}
