//! JetStream's documents, subjects, statuses and names: nothing panics, what is written reads back, and what is checked is safe.

use std::fmt::Debug;
use std::time::Duration;

use nats_lifeline::StatusCode;
use nats_lifeline::datetime::{from_nanos, parse_rfc3339};
use nats_lifeline::jetstream::consumer::{self, FromConsumer, IntoConsumerConfig};
use nats_lifeline::jetstream::publish::PublishAck;
use nats_lifeline::jetstream::response::Response;
use nats_lifeline::jetstream::wire::{
    AckSubject, Call, Filter, Name, NameKind, Page, Prefix, PullRequest, PullStatus, RawMessageAnswer, term_because,
};
use nats_lifeline::jetstream::{Error, account, message, stream};
use nats_lifeline::protocol::{check_publish_subject, check_subscribe_subject};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::choices::Choices;
use super::documents::{Edit, edit_consumer, edit_stream};

/// What to do, and then what to do it with.
pub fn jetstream(input: &[u8]) {
    let mut choices = Choices::new(input);
    match choices.below(8) {
        0 => documents(choices.rest()),
        1 => stream_config(&mut choices),
        2 => consumer_config(&mut choices),
        3 => ack_subject(&mut choices),
        4 => status(&mut choices),
        5 => names(&mut choices),
        6 => pull(&mut choices),
        _ => times(&mut choices),
    }
}

fn text(choices: &mut Choices<'_>) -> String {
    String::from_utf8_lossy(choices.some_bytes()).into_owned()
}

/// Any bytes: a document, or an error.
fn documents(json: &[u8]) {
    if let Some(config) = answer::<stream::Config>(json) {
        same_again(&config);
    }
    if let Some(config) = answer::<consumer::Config>(json) {
        same_again(&config);
    }
    if let Some(config) = answer::<consumer::pull::Config>(json) {
        same_again(&config);
    }
    if let Some(ack) = answer::<PublishAck>(json) {
        same_again(&ack);
    }
    if let Some(raw) = answer::<RawMessageAnswer>(json) {
        let _ = message::StreamMessage::try_from(raw.message);
    }
    answer::<stream::Info>(json);
    answer::<consumer::Info>(json);
    answer::<stream::ConsumerResetResponse>(json);
    answer::<stream::PauseResponse>(json);
    answer::<account::Account>(json);
    answer::<Page<stream::Info>>(json);
    answer::<Page<String>>(json).map(|page| page.next());
    if let Some(error) = answer::<Error>(json) {
        assert!(!error.to_string().contains(char::is_control));
    }
}

/// An answer is an error exactly if it has one, as a slow reader sees it.
fn answer<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    let read = serde_json::from_slice::<Response<T>>(json);
    // A key that occurs twice means something else to the slow reader.
    let once = json.windows(7).filter(|bytes| bytes == b"\"error\"").count() <= 1 && !json.contains(&b'\\');
    if let (Ok(Value::Object(object)), true) = (serde_json::from_slice(json), once) {
        let error = object.get("error").filter(|error| !error.is_null());
        let error = error.map(|error| serde_json::from_value::<Error>(error.clone()));
        match (&read, error) {
            (Ok(Response::Err { error }), Some(Ok(expected))) => assert_eq!(*error, expected),
            (Ok(Response::Ok(_)), None) | (Err(_), None | Some(Err(_))) => {}
            // The document was bad before the error came.
            (Err(_), Some(Ok(_))) => {}
            (Ok(_), expected) => panic!("an answer with {expected:?} was read as another"),
        }
    }
    read.ok()?.into_result().ok()
}

fn same_again<T: Serialize + DeserializeOwned + PartialEq + Debug>(document: &T) {
    // Times that no text can express are refused.
    let Ok(json) = serde_json::to_string(document) else { return };
    assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *document, "{json}");
}

fn edits(choices: &mut Choices<'_>) -> Vec<Edit> {
    let count = choices.below(40);
    (0..count).map(|_| Edit { field: choices.byte(), number: choices.number(), text: text(choices) }).collect()
}

/// A configuration reads back: by itself, and as a server's answer.
fn stream_config(choices: &mut Choices<'_>) {
    let mut config = stream::Config::default();
    edits(choices).iter().for_each(|edit| edit_stream(&mut config, edit));
    same_again(&config);
    let json = serde_json::json!({ "config": config }).to_string();
    let info: Response<stream::Info> = serde_json::from_str(&json).unwrap();
    assert_eq!(info.into_result().unwrap().config, config);
}

fn consumer_config(choices: &mut Choices<'_>) {
    let mut config = consumer::Config::default();
    edits(choices).iter().for_each(|edit| edit_consumer(&mut config, edit));
    same_again(&config);
    let json = serde_json::json!({ "stream_name": "s", "name": "c", "config": config }).to_string();
    let info: Response<consumer::Info> = serde_json::from_str(&json).unwrap();
    assert_eq!(info.into_result().unwrap().config, config);
    // Either kind takes it, and keeps what it has fields for.
    let pull = consumer::pull::Config::try_from_consumer_config(config.clone());
    let push = consumer::push::Config::try_from_consumer_config(config.clone());
    assert_eq!((pull.is_ok(), push.is_ok()), (config.deliver_subject.is_none(), config.deliver_subject.is_some()));
    if let Ok(pull) = pull {
        same_again(&pull);
        let again = (&pull).into_consumer_config();
        assert_eq!(consumer::pull::Config::try_from_consumer_config(again).unwrap(), pull);
    }
    if let Ok(push) = push {
        same_again(&push);
        let again = (&push).into_consumer_config();
        assert_eq!(consumer::push::Config::try_from_consumer_config(again).unwrap(), push);
    }
}

fn ack_subject(choices: &mut Choices<'_>) {
    let token = |choices: &mut Choices<'_>| text(choices).replace('.', "-");
    let second = choices.flag();
    let names = [(); 5].map(|()| token(choices));
    let [domain, acc_hash, stream, consumer, last] = &names;
    let made = AckSubject {
        domain: Some(domain.as_str()).filter(|domain| second && *domain != "_"),
        acc_hash: second.then_some(acc_hash.as_str()),
        stream,
        consumer,
        delivered: choices.number() >> 1,
        stream_sequence: choices.number(),
        consumer_sequence: choices.number(),
        published: choices.number() as i64,
        pending: choices.number(),
        token: Some(last.as_str()).filter(|_| second),
    };
    let subject = made.to_string();
    let parsed = AckSubject::parse(&subject).unwrap();
    assert_eq!(parsed, made, "{subject}");
    let info = parsed.info().unwrap();
    assert_eq!(info.published, from_nanos(made.published.into()).unwrap());
    assert_eq!(info.to_owned_info().stream, *stream);

    let other = format!("$JS.ACK.{}", String::from_utf8_lossy(choices.rest()));
    if let Ok(parsed) = AckSubject::parse(&other) {
        // Numbers may begin with zeros, and there may be more tokens.
        assert_eq!(AckSubject::parse(&parsed.to_string()), Ok(parsed));
    }
}

fn status(choices: &mut Choices<'_>) {
    let Ok(code) = StatusCode::from_u16((choices.number() % 1_000) as u16) else { return };
    let text = String::from_utf8_lossy(choices.rest()).into_owned();
    let status = PullStatus::of(code, &text);
    assert_eq!(PullStatus::of(code, &text.to_ascii_uppercase()), status);
    let is_alive = |status| matches!(status, PullStatus::IdleHeartbeat | PullStatus::FlowControl);
    assert_eq!(is_alive(PullStatus::of(code, &format!("{text} and more"))), is_alive(status));
    assert!(!is_alive(status) || code == StatusCode::IDLE_HEARTBEAT);
}

/// A valid name is one token of the subject, so it can't make another request of this one.
fn names(choices: &mut Choices<'_>) {
    let (prefix, stream, consumer, filter) = (text(choices), text(choices), text(choices), text(choices));
    for kind in [NameKind::Stream, NameKind::Consumer, NameKind::PriorityGroup, NameKind::Domain] {
        if let Ok(name) = Name::new(kind, &stream) {
            let fits = !name.as_str().is_empty() && name.as_str().len() <= 255;
            assert!(fits && !name.as_str().contains([' ', '\t', '\r', '\n', '.', '*', '>', '\\']));
        }
    }
    assert_eq!(Filter::new(&filter).is_ok(), check_subscribe_subject(filter.as_bytes()).is_ok());
    let (Ok(stream), Ok(consumer)) = (Name::stream(&stream), Name::consumer(&consumer)) else { return };
    let Ok(prefix) = Prefix::new(&prefix) else { return };
    let filter = Filter::new(&filter).ok();
    let call = Call::ConsumerCreate { stream, consumer, filter };
    let subject = prefix.subject(call);
    assert_eq!(check_publish_subject(subject.as_bytes()), Ok(()));
    let rest = subject.strip_prefix(prefix.as_str()).unwrap();
    let mut tokens = rest.splitn(6, '.');
    let expected = ["", "CONSUMER", "CREATE", stream.as_str(), consumer.as_str()];
    assert!(expected.iter().all(|token| tokens.next() == Some(token)), "{subject}");
    assert_eq!(tokens.next(), filter.map(|filter| filter.as_str()));
}

/// The body that is written by hand is what serde would write.
fn pull(choices: &mut Choices<'_>) {
    let bits = choices.byte();
    let some = |bit: u8| bits >> bit & 1 == 1;
    let (group, id) = (text(choices), text(choices));
    let nanos = |choices: &mut Choices<'_>| Duration::from_nanos(choices.number());
    let pull = PullRequest {
        batch: choices.number(),
        max_bytes: choices.number(),
        expires: nanos(choices),
        idle_heartbeat: nanos(choices),
        no_wait: some(0),
        group: some(1).then_some(group.as_str()),
        id: some(2).then_some(id.as_str()),
        min_pending: some(3).then(|| choices.number()),
        min_ack_pending: some(4).then(|| choices.number()),
        priority: some(5).then(|| choices.number()),
    };
    let mut body = Vec::new();
    pull.write(&mut body);
    let json: Value = serde_json::from_slice(&body).unwrap();
    let number = |name: &str| json.get(name).map(|value| value.as_u64().unwrap());
    let some_nanos = |duration: Duration| {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX) as u64;
        Some(nanos).filter(|nanos| *nanos > 0)
    };
    assert_eq!(number("batch"), Some(pull.batch.max(1)));
    assert_eq!(number("max_bytes"), Some(pull.max_bytes).filter(|bytes| *bytes > 0));
    assert_eq!(
        (number("expires"), number("idle_heartbeat")),
        (some_nanos(pull.expires), some_nanos(pull.idle_heartbeat))
    );
    assert_eq!(json.get("no_wait").is_some_and(|flag| flag == true), pull.no_wait);
    assert_eq!(
        (json.get("group").and_then(Value::as_str), json.get("id").and_then(Value::as_str)),
        (pull.group, pull.id)
    );
    let rest = (number("min_pending"), number("min_ack_pending"), number("priority"));
    assert_eq!(rest, (pull.min_pending, pull.min_ack_pending, pull.priority));
    if pull.check().is_ok() {
        assert!(pull.batch > 0 && pull.priority.is_none_or(|priority| priority < 10));
    }
}

fn times(choices: &mut Choices<'_>) {
    let time = from_nanos(i128::from(choices.number() as i64)).unwrap();
    let raw = stream::RawMessage { subject: text(choices), sequence: 1, payload: text(choices), headers: None, time };
    let json = serde_json::to_string(&raw).unwrap();
    assert_eq!(serde_json::from_str::<stream::RawMessage>(&json).unwrap(), raw);
    let reason = text(choices);
    let payload = term_because(&reason);
    assert!(payload.starts_with(b"+TERM") && !payload.contains(&b'\n'));
    let shown = String::from_utf8_lossy(choices.rest()).into_owned();
    if let Ok(time) = parse_rfc3339(&shown) {
        let raw = stream::RawMessage { time, ..raw };
        same_again(&raw);
    }
}
