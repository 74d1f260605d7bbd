//! JetStream's documents, subjects and statuses: a real server's answers, and properties over generated ones.

mod consumers;
mod properties;
mod publishing;
mod statuses;
mod streams;

use std::path::{Path, PathBuf};
use std::time::Duration;

use nats_lifeline::datetime::{DateTime, parse_rfc3339};
use nats_lifeline::jetstream::response::Response;
use nats_lifeline::jetstream::{Error, ErrorCode};
use serde::de::DeserializeOwned;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol-fixtures/jetstream")
}

fn text(file: &str) -> String {
    std::fs::read_to_string(folder().join(file)).unwrap()
}

fn answer<T: DeserializeOwned>(name: &str) -> Response<T> {
    serde_json::from_str(&text(&format!("{name}.json"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What the server answered.
#[track_caller]
fn ok<T: DeserializeOwned>(name: &str) -> T {
    answer(name).into_result().unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The error that it answered, which has this code and number.
#[track_caller]
fn refused<T: DeserializeOwned + std::fmt::Debug>(name: &str, code: usize, number: ErrorCode) -> Error {
    let error = answer::<T>(name).into_result().unwrap_err();
    assert_eq!((error.code(), error.error_code()), (code, number), "{name}: {error}");
    error
}

/// A time at which the fixtures can have been recorded.
#[track_caller]
fn recorded(time: DateTime) {
    let at = |text: &str| parse_rfc3339(text).unwrap();
    assert!(time > at("2026-11-01T00:00:00Z") && time < at("2100-01-01T00:00:00Z"), "{time:?}");
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The lines of a text file, each as its name and the rest.
fn lines(text: &str) -> Vec<(&str, &str)> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once(' ').unwrap()).collect()
}

#[test]
fn every_file_is_decoded_by_a_test() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/protocol/jetstream");
    let sources = std::fs::read_dir(here).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let sources: String = sources.collect();
    let (mut count, mut forgotten) = (0, Vec::new());
    for path in std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|kind| kind == "json") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            count += 1;
            if !sources.contains(&format!("\"{name}\"")) {
                forgotten.push(name);
            }
        }
    }
    assert!(count > 40 && forgotten.is_empty(), "of {count} files, no test decodes {forgotten:?}");
}

/// What does not say which stream or consumer it is about is no answer.
#[test]
fn an_answer_about_a_stream_or_a_consumer_says_which() {
    use nats_lifeline::jetstream::{consumer, stream};
    let error = serde_json::from_str::<stream::Info>("{}").unwrap_err();
    assert_eq!(error.to_string(), "missing field `config` at line 1 column 2");
    let error = serde_json::from_str::<consumer::Info>(r#"{"stream_name":"s"}"#).unwrap_err();
    assert_eq!(error.to_string(), "missing field `name` at line 1 column 19");
}

/// All other documents may have nothing in them.
#[test]
fn every_field_may_be_missing() {
    use nats_lifeline::jetstream::{account, consumer, publish, stream};
    fn empty<T: DeserializeOwned>(what: &str) -> T {
        serde_json::from_str("{}").unwrap_or_else(|error| panic!("{what}: {error}"))
    }
    assert_eq!(empty::<stream::Config>("stream config"), stream::Config::default());
    assert_eq!(empty::<consumer::Config>("consumer config"), consumer::Config::default());
    assert_eq!(empty::<consumer::pull::Config>("pull config"), consumer::pull::Config::default());
    assert_eq!(empty::<consumer::push::Config>("push config"), consumer::push::Config::default());
    assert_eq!(empty::<consumer::pull::OrderedConfig>("ordered"), consumer::pull::OrderedConfig::default());
    assert_eq!(empty::<consumer::push::OrderedConfig>("ordered"), consumer::push::OrderedConfig::default());
    assert_eq!(empty::<account::Account>("account"), account::Account::default());
    assert_eq!(empty::<publish::PublishAck>("ack"), publish::PublishAck::default());
    assert_eq!(empty::<stream::Source>("source"), stream::Source::default());
    assert_eq!(empty::<stream::State>("state"), stream::State::default());
    let zero = parse_rfc3339("0001-01-01T00:00:00Z").unwrap();
    let stream: stream::Info = serde_json::from_str(r#"{"config":{}}"#).unwrap();
    let consumer: consumer::Info = serde_json::from_str(r#"{"stream_name":"s","name":"c"}"#).unwrap();
    assert_eq!((stream.created, consumer.created), (zero, zero));
    assert_eq!(empty::<stream::RawMessage>("raw message").time, zero);
    assert_eq!(empty::<stream::PauseResponse>("pause").pause_until, zero);
    let reset: stream::ConsumerResetResponse = serde_json::from_str(r#"{"stream_name":"s","name":"c"}"#).unwrap();
    assert_eq!(reset.reset_seq, 0);
    assert_eq!(empty::<stream::DeleteStatus>("delete"), stream::DeleteStatus::default());
    assert_eq!(empty::<stream::PurgeResponse>("purge"), stream::PurgeResponse::default());
    assert_eq!(empty::<Error>("error").to_string(), "unknown (code 0, error code 0)");
}
