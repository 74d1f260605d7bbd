//! Streams, their messages, and the account.

use nats_lifeline::datetime::parse_rfc3339;
use nats_lifeline::jetstream::account::Account;
use nats_lifeline::jetstream::message::StreamMessage;
use nats_lifeline::jetstream::stream::{
    Compression, Config, ConsumerLimits, DeleteStatus, DiscardPolicy, External, Info, PurgeResponse, Republish,
    RetentionPolicy, StorageType, SubjectTransform,
};
use nats_lifeline::jetstream::wire::{Page, RawMessageAnswer};
use nats_lifeline::jetstream::{ErrorCode, message};

use super::{ok, recorded, refused, seconds};

fn transform(source: &str, destination: &str) -> SubjectTransform {
    SubjectTransform { source: source.to_owned(), destination: destination.to_owned() }
}

/// The configuration that the fixtures' script asks for, with what the server fills in.
fn orders(metadata: &[(&str, &str)]) -> Config {
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Config {
        name: "ORDERS".to_owned(),
        description: Some("all orders".to_owned()),
        subjects: vec!["orders.>".to_owned(), "raw.*".to_owned()],
        retention: RetentionPolicy::Limits,
        max_consumers: 20,
        max_messages: 1_000,
        max_bytes: 1_048_576,
        max_age: seconds(24 * 3600),
        max_messages_per_subject: 100,
        max_message_size: 4_096,
        discard: DiscardPolicy::New,
        discard_new_per_subject: true,
        storage: StorageType::File,
        num_replicas: 1,
        duplicate_window: seconds(120),
        compression: Some(Compression::S2),
        first_sequence: Some(100),
        subject_transform: Some(transform("raw.*", "orders.{{wildcard(1)}}")),
        republish: Some(Republish {
            source: "orders.>".to_owned(),
            destination: "copies.>".to_owned(),
            headers_only: true,
        }),
        allow_direct: true,
        allow_rollup: true,
        consumer_limits: Some(ConsumerLimits { inactive_threshold: seconds(60), max_ack_pending: 500 }),
        allow_message_ttl: true,
        subject_delete_marker_ttl: Some(seconds(60)),
        metadata,
        ..Config::default()
    }
}

const METADATA: [(&str, &str); 4] =
    [("_nats.level", "5"), ("_nats.req.level", "1"), ("_nats.ver", "2.15.1"), ("team", "sales")];

#[test]
fn a_new_stream_has_what_was_asked_for() {
    let info: Info = ok("stream_create");
    assert_eq!(info.config, orders(&METADATA));
    recorded(info.created);
    let state = info.state;
    assert_eq!((state.messages, state.bytes, state.first_sequence, state.last_sequence), (0, 0, 100, 99));
    assert_eq!(state.first_timestamp, parse_rfc3339("0001-01-01T00:00:00Z").unwrap());
    assert_eq!((info.cluster, info.mirror, info.sources), (None, None, Vec::new()));
    let error = refused::<Info>("stream_create_exists", 400, ErrorCode::STREAM_NAME_EXIST);
    let text = "stream name already in use with a different configuration";
    assert_eq!(error.description(), Some(text));
    assert_eq!(error.to_string(), format!("{text} (code 400, error code 10058)"));
}

/// What a server answered is what it is sent again, in an update.
#[test]
fn a_configuration_survives_the_way_to_the_server_and_back() {
    for name in ["stream_create", "stream_info_features", "stream_info_mirror", "stream_info_sources"] {
        let config = ok::<Info>(name).config;
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config, "{name}");
    }
}

#[test]
fn a_stream_says_what_it_stores() {
    let info: Info = ok("stream_info");
    assert_eq!(info.config, orders(&METADATA));
    let state = &info.state;
    assert_eq!((state.messages, state.first_sequence, state.last_sequence), (6, 100, 106));
    assert_eq!((state.subjects_count, state.deleted_count, state.deleted.as_deref()), (2, Some(1), Some(&[102][..])));
    assert!(state.bytes > 0 && state.consumer_count == 0 && state.first_timestamp <= state.last_timestamp);
    recorded(state.first_timestamp);
    let subjects = state.subjects().unwrap();
    assert_eq!((subjects["orders.eu"], subjects["orders.us"], subjects.len()), (4, 2, 2));
    let page = info.page();
    assert_eq!((page.total(), page.next(2), page.next(1), page.next(0)), (2, None, Some(1), None));
    let cluster = info.cluster.unwrap();
    assert_eq!((cluster.name, cluster.leader.as_deref(), cluster.replicas.len()), (None, Some("one"), 0));
    refused::<Info>("stream_info_missing", 404, ErrorCode::STREAM_NOT_FOUND);
}

#[test]
fn a_mirror_and_its_sources_say_how_far_they_are() {
    let mirror: Info = ok("stream_info_mirror");
    let origin = mirror.config.mirror.clone().unwrap();
    assert_eq!((origin.name.as_str(), origin.start_sequence), ("EVENTS", Some(2)));
    assert_eq!(origin.subject_transforms, [transform("events.>", "copy.>")]);
    assert_eq!((mirror.config.max_messages, mirror.config.max_message_size, mirror.config.max_consumers), (-1, -1, -1));
    assert_eq!((mirror.config.storage, mirror.config.consumer_limits), (StorageType::Memory, None));
    let progress = mirror.mirror.unwrap();
    assert_eq!((progress.name.as_str(), progress.lag), ("EVENTS", 0));
    assert!(progress.active.is_some_and(|active| active < seconds(60)), "{:?}", progress.active);
    assert_eq!(progress.subject_transforms, [transform("events.>", "copy.>")]);

    let both: Info = ok("stream_info_sources");
    let sources = both.config.sources.unwrap();
    assert_eq!(sources[0].filter_subject.as_deref(), Some("events.1"));
    let external =
        External { api_prefix: "$JS.elsewhere.API".to_owned(), delivery_prefix: Some("deliver.here".to_owned()) };
    assert_eq!(sources[1].external.as_ref(), Some(&external));
    assert_eq!(sources[1].start_time, Some(parse_rfc3339("2026-01-02T03:04:05Z").unwrap()));
    assert_eq!(both.sources.len(), 2);
    // In any order.
    let away = both.sources.iter().find(|source| source.name == "AWAY").unwrap();
    assert_eq!(away.active, None, "it has never been heard of");
}

#[test]
fn later_features_and_a_cluster_are_read() {
    let config = ok::<Info>("stream_info_features").config;
    assert!(config.allow_atomic_publish && config.allow_message_schedules && config.allow_batch_publish);
    assert!(!config.allow_message_counter && config.allow_rollup && config.compression == Some(Compression::None));

    let cluster = ok::<Info>("stream_info_cluster").cluster.unwrap();
    assert_eq!((cluster.name.as_deref(), cluster.replicas.len()), (Some("three"), 2));
    assert!(cluster.raft_group.is_some_and(|group| group.starts_with("S-R3F-")) && cluster.leader.is_some());
    assert!(cluster.system_account && cluster.traffic_account.as_deref() == Some("$SYS"));
    recorded(cluster.leader_since.unwrap());
    for replica in cluster.replicas {
        assert!(replica.name.starts_with('n') && replica.current && !replica.offline && replica.lag.is_none());
        assert!(!replica.active.is_zero());
    }
}

#[test]
fn lists_have_pages_and_may_be_empty() {
    let infos: Page<Info> = ok("stream_list");
    let names: Page<String> = ok("stream_names");
    assert_eq!(
        infos.items.iter().map(|info| &info.config.name).collect::<Vec<_>>(),
        names.items.iter().collect::<Vec<_>>()
    );
    assert_eq!(names.items, ["BATCH", "BOTH", "COPY", "COUNT", "EVENTS", "ORDERS"]);
    assert_eq!((names.total, names.offset, names.limit, names.next()), (6, 0, 1_024, None));
    assert_eq!((infos.total, infos.limit, infos.next()), (6, 256, None));
    // A list has no keys of the server's version.
    assert_eq!(infos.items[5].config, orders(&[("_nats.req.level", "1"), ("team", "sales")]));
    let none: Page<String> = ok("stream_names_none");
    assert_eq!((none.items.len(), none.total, none.next()), (0, 0, None));
}

#[test]
fn a_stored_message_has_its_headers_and_its_payload() {
    let raw = ok::<RawMessageAnswer>("stream_message_get").message;
    assert_eq!((raw.subject.as_str(), raw.sequence, raw.payload.as_str()), ("orders.eu", 100, "Zm91ciB3aGVlbHM="));
    let time = raw.time;
    let message = StreamMessage::try_from(raw).unwrap();
    assert_eq!((message.subject.as_str(), message.sequence, message.time), ("orders.eu", 100, time));
    assert_eq!(message.payload, "four wheels");
    assert_eq!(message.headers.get("Nats-Msg-Id").unwrap().as_str(), "1");
    recorded(message.time);

    let last = ok::<RawMessageAnswer>("stream_message_get_last").message;
    let last = StreamMessage::try_from(last).unwrap();
    assert_eq!((last.subject.as_str(), last.sequence, last.payload.as_ref()), ("orders.us", 106, &b"order 7"[..]));
    refused::<RawMessageAnswer>("stream_message_get_missing", 404, ErrorCode::NO_MESSAGE_FOUND);
}

#[test]
fn a_stored_message_that_is_not_base64_is_refused() {
    let good = ok::<RawMessageAnswer>("stream_message_get").message;
    let mut bad = good.clone();
    bad.payload = "four wheels".to_owned();
    let error = StreamMessage::try_from(bad).unwrap_err();
    let fault = error.downcast::<message::StoredFault>().unwrap();
    assert_eq!(*fault, message::StoredFault::NotBase64 { what: "payload bytes" });
    let mut bad = good.clone();
    bad.headers = Some("Zm91ciB3aGVlbHM=".to_owned());
    let error = StreamMessage::try_from(bad).unwrap_err().to_string();
    assert!(error.starts_with("the headers of a stored message are malformed: "), "{error}");
    let bare = StreamMessage::try_from(nats_lifeline::jetstream::stream::RawMessage { headers: None, ..good }).unwrap();
    assert!(bare.headers.is_empty());
}

#[test]
fn deletions_and_purges_say_whether_they_succeeded() {
    assert!(ok::<DeleteStatus>("stream_message_delete").success);
    let error = refused::<DeleteStatus>("stream_message_delete_missing", 400, ErrorCode::SEQUENCE_NOT_FOUND);
    assert_eq!(error.description(), Some("sequence 102 not found"));
    let purge: PurgeResponse = ok("stream_purge");
    assert!(purge.success);
    assert!(ok::<DeleteStatus>("stream_delete").success);
}

#[test]
fn an_account_without_limits_has_none() {
    let account: Account = ok("account_info");
    let limits = account.limits;
    let negative = [limits.max_memory, limits.max_storage, limits.max_streams, limits.max_consumers];
    assert_eq!(negative, [None; 4]);
    assert_eq!((limits.memory_max_stream_bytes, limits.storage_max_stream_bytes), (None, None));
    assert_eq!((limits.max_ack_pending, limits.max_bytes_required), (-1, false));
    assert_eq!((account.streams, account.domain, account.tiers.len()), (5, None, 0));
    assert_eq!(account.reserved_storage, 1_048_576, "what the stream ORDERS may store");
    assert!(account.requests.level >= 4 && account.requests.total > account.requests.errors);
    assert!(account.consumers > 0 && account.storage > 0);

    assert_eq!(ok::<Account>("account_info_domain").domain.as_deref(), Some("hub"));
}

#[test]
fn an_account_with_tiers_has_limits_for_each() {
    let json = r#"{"tiers":{"R1":{"memory":1,"storage":2,"streams":3,"consumers":4,"limits":{"max_streams":5,
        "max_memory":-1}},"R3":null},"limits":{},"api":{"total":1}}"#;
    let error = serde_json::from_str::<Account>(json).unwrap_err().to_string();
    assert!(error.contains("null"), "a tier is never null: {error}");
    let account: Account = serde_json::from_str(&json.replace(r#","R3":null"#, "")).unwrap();
    let tier = account.tiers["R1"];
    assert_eq!((tier.memory, tier.storage, tier.streams, tier.consumers), (1, 2, 3, 4));
    assert_eq!((tier.limits.max_streams, tier.limits.max_memory), (Some(5), None));
}
