//! Properties of JetStream's documents and subjects, over generated ones.

use std::time::Duration;

use nats_lifeline::datetime::{DateTime, from_nanos};
use nats_lifeline::jetstream::consumer::{self, FromConsumer, IntoConsumerConfig, pull, push};
use nats_lifeline::jetstream::publish::PublishAck;
use nats_lifeline::jetstream::response::Response;
use nats_lifeline::jetstream::stream;
use nats_lifeline::jetstream::wire::AckSubject;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fuzz_bodies::bodies::{Edit, edit_consumer, edit_stream};
use crate::generated::laws;

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = (any::<u8>(), any::<u64>(), ".{0,12}");
    vec(edit.prop_map(|(field, number, text)| Edit { field, number, text }), 0..40)
}

fn streams() -> impl Strategy<Value = stream::Config> {
    edits().prop_map(|edits| {
        let mut config = stream::Config::default();
        edits.iter().for_each(|edit| edit_stream(&mut config, edit));
        config
    })
}

fn consumers() -> impl Strategy<Value = consumer::Config> {
    edits().prop_map(|edits| {
        let mut config = consumer::Config::default();
        edits.iter().for_each(|edit| edit_consumer(&mut config, edit));
        config
    })
}

/// A token of a subject.
fn token() -> impl Strategy<Value = String> {
    "[^.]{0,12}"
}

fn object(document: impl serde::Serialize) -> serde_json::Map<String, Value> {
    match serde_json::to_value(document).unwrap() {
        Value::Object(object) => object,
        other => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(laws(256))]

    #[test]
    fn a_streams_configuration_reads_back(config in streams()) {
        let json = serde_json::to_string(&config).unwrap();
        prop_assert_eq!(&serde_json::from_str::<stream::Config>(&json).unwrap(), &config);
        // Equal maps are equal bytes.
        prop_assert_eq!(serde_json::to_string(&config.clone()).unwrap(), json);
    }

    #[test]
    fn a_consumers_configuration_reads_back(config in consumers()) {
        let json = serde_json::to_string(&config).unwrap();
        prop_assert_eq!(&serde_json::from_str::<consumer::Config>(&json).unwrap(), &config);
        let pull = pull::Config::try_from_consumer_config(consumer::Config { deliver_subject: None, ..config.clone() });
        let pull = pull.unwrap();
        let again = pull::Config::try_from_consumer_config((&pull).into_consumer_config()).unwrap();
        prop_assert_eq!(&again, &pull);
        let deliver_subject = Some("here".to_owned());
        let push = push::Config::try_from_consumer_config(consumer::Config { deliver_subject, ..config }).unwrap();
        let again = push::Config::try_from_consumer_config((&push).into_consumer_config()).unwrap();
        prop_assert_eq!(&again, &push);
    }

    /// What a later version adds, or writes for nothing, changes nothing else.
    #[test]
    fn unknown_fields_and_null_lists_are_ignored(config in streams(), at in any::<prop::sample::Index>()) {
        let mut document = object(&config);
        document.insert("from_the_future".to_owned(), json!([{ "error": { "code": 1 } }, null, 1.5e300]));
        for list in ["subjects", "metadata"] {
            document.entry(list).or_insert(Value::Null);
        }
        let info = json!({ "type": "t", "config": document, "newer": {}, "state": { "subjects": null } });
        let info: stream::Info = serde_json::from_value(info).unwrap();
        prop_assert_eq!(&info.config, &config);
        // A missing field is the default of that field alone.
        let keys: Vec<_> = document.keys().cloned().collect();
        document.remove(at.get(&keys));
        serde_json::from_value::<stream::Config>(Value::Object(document)).unwrap();
    }

    #[test]
    fn an_unknown_policy_in_an_info_reads_as_if_it_were_absent(config in consumers(), which in 0..4_usize) {
        let policy = ["deliver_policy", "ack_policy", "replay_policy", "priority_policy"][which];
        let mut document = object(&config);
        document.remove(policy);
        let without: consumer::Config = serde_json::from_value(Value::Object(document.clone())).unwrap();
        document.insert(policy.to_owned(), json!("from_the_future"));
        prop_assert!(serde_json::from_value::<consumer::Config>(Value::Object(document.clone())).is_err());
        let info = json!({ "stream_name": "s", "name": "c", "config": document });
        let info: consumer::Info = serde_json::from_value(info).unwrap();
        prop_assert_eq!(info.config, without);
    }

    #[test]
    fn an_acknowledgement_reads_back(
        names in (".{0,9}", ".{0,9}"), sequence in any::<u64>(), duplicate in any::<bool>(),
        value in option::of("[0-9]{1,40}"), batch in option::of((".{0,9}", any::<u64>())),
    ) {
        let (stream, domain) = names;
        let (batch_id, batch_size) = batch.unzip();
        let ack = PublishAck { stream, sequence, domain, duplicate, value, batch_id, batch_size };
        let json = serde_json::to_string(&ack).unwrap();
        let read: Response<PublishAck> = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(read.into_result().unwrap(), ack);
    }

    #[test]
    fn an_ack_subject_reads_back(
        first in option::of((option::of("[^._]{0,8}"), token(), option::of(token()))), names in (token(), token()),
        delivered in 0..=i64::MAX as u64, numbers in any::<[u64; 3]>(), published in any::<i64>(),
    ) {
        let (domain, acc_hash, last) = match &first {
            Some((domain, hash, last)) => (domain.as_deref(), Some(hash.as_str()), last.as_deref()),
            None => (None, None, None),
        };
        let [stream_sequence, consumer_sequence, pending] = numbers;
        let (stream, consumer) = (names.0.as_str(), names.1.as_str());
        let ack = AckSubject {
            domain, acc_hash, stream, consumer, delivered, stream_sequence, consumer_sequence, published, pending, token: last,
        };
        let subject = ack.to_string();
        let read = AckSubject::parse(&subject);
        prop_assert_eq!(read, Ok(ack), "{}", subject);
        let info = ack.info().unwrap();
        prop_assert_eq!(info.published, from_nanos(published.into()).unwrap());
        prop_assert_eq!((info.delivered as u64, info.pending), (delivered, pending));
    }

    #[test]
    fn durations_and_times_keep_their_nanoseconds(nanos in 0..=i64::MAX, time in any::<i64>()) {
        let limits = stream::ConsumerLimits { inactive_threshold: Duration::from_nanos(nanos as u64), max_ack_pending: 0 };
        let json = serde_json::to_value(&limits).unwrap();
        prop_assert_eq!(&json["inactive_threshold"], nanos);
        prop_assert_eq!(serde_json::from_value::<stream::ConsumerLimits>(json).unwrap(), limits);
        let time: DateTime = from_nanos(time.into()).unwrap();
        let source = stream::Source { start_time: Some(time), ..stream::Source::default() };
        let json = serde_json::to_string(&source).unwrap();
        prop_assert_eq!(serde_json::from_str::<stream::Source>(&json).unwrap(), source);
    }

    #[test]
    fn no_text_makes_a_document_panic(text in ".{0,60}", number in any::<i64>(), depth in 0..200_usize) {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for field in ["created", "config", "state", "sources", "cluster", "error", "max_age", "sample_freq", "ack_wait", "seq"] {
            let quoted = json!(text).to_string();
            for value in [quoted.as_str(), &text, &number.to_string(), &nested, "1e400", "-0.5", "{}", "null"] {
                for json in [format!(r#"{{"{field}":{value}}}"#), format!(r#"{{"config":{{"{field}":{value}}}}}"#)] {
                    let _ = serde_json::from_str::<Response<stream::Info>>(&json);
                    let _ = serde_json::from_str::<Response<consumer::Info>>(&json);
                    let _ = serde_json::from_str::<Response<PublishAck>>(&json);
                }
            }
        }
    }
}
