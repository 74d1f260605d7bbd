//! Consumers.

use std::time::Duration;

use nats_lifeline::datetime::parse_rfc3339;
use nats_lifeline::jetstream::ErrorCode;
use nats_lifeline::jetstream::consumer::{
    AckPolicy, Config, DeliverPolicy, FromConsumer, Info, IntoConsumerConfig, PriorityPolicy, ReplayPolicy, pull, push,
};
use nats_lifeline::jetstream::stream::{ConsumerResetResponse, PauseResponse};
use nats_lifeline::jetstream::wire::Page;

use super::{ok, recorded, refused, seconds};

/// The configuration that the fixtures' script asks for, with what the server fills in.
fn worker() -> pull::Config {
    let metadata = [("_nats.level", "5"), ("_nats.req.level", "0"), ("_nats.ver", "2.15.1"), ("owner", "ops")];
    pull::Config {
        durable_name: Some("worker".to_owned()),
        name: Some("worker".to_owned()),
        description: Some("handles orders".to_owned()),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: 100 },
        ack_policy: AckPolicy::Explicit,
        // The first delay of the backoff replaces the 30 s that were asked for.
        ack_wait: seconds(1),
        max_deliver: 5,
        backoff: vec![seconds(1), seconds(5)],
        filter_subjects: vec!["orders.eu".to_owned(), "orders.us".to_owned()],
        replay_policy: ReplayPolicy::Instant,
        sample_frequency: 50,
        max_waiting: 4,
        max_ack_pending: 100,
        max_batch: 50,
        max_expires: seconds(60),
        max_bytes: 100_000,
        inactive_threshold: seconds(50),
        metadata: metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..pull::Config::default()
    }
}

#[test]
fn a_new_consumer_has_what_was_asked_for() {
    let info: Info = ok("consumer_create");
    assert_eq!((info.stream_name.as_str(), info.name.as_str()), ("ORDERS", "worker"));
    assert_eq!(info.config, worker().into_consumer_config());
    assert_eq!(pull::Config::try_from_consumer_config(info.config).unwrap(), worker());
    assert_eq!((info.delivered.stream_sequence, info.delivered.consumer_sequence), (99, 0));
    assert_eq!((info.delivered.last_active, info.num_pending, info.cluster), (None, 6, None));
    recorded(info.created);
    refused::<Info>("consumer_create_exists", 400, ErrorCode::CONSUMER_ALREADY_EXISTS);
    refused::<Info>("consumer_update_missing", 400, ErrorCode::CONSUMER_DOES_NOT_EXIST);
    refused::<Info>("consumer_info_missing", 404, ErrorCode::CONSUMER_NOT_FOUND);
}

#[test]
fn a_configuration_survives_the_way_to_the_server_and_back() {
    for name in ["consumer_create", "consumer_info_pinned", "consumer_info_push", "consumer_info_paused"] {
        let config = ok::<Info>(name).config;
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config, "{name}");
    }
}

#[test]
fn a_consumer_says_what_it_delivered() {
    let info: Info = ok("consumer_info");
    assert_eq!((info.delivered.consumer_sequence, info.delivered.stream_sequence), (7, 106));
    assert_eq!((info.ack_floor.consumer_sequence, info.ack_floor.stream_sequence), (1, 100));
    recorded(info.delivered.last_active.unwrap());
    assert_eq!((info.num_ack_pending, info.num_redelivered, info.num_waiting, info.num_pending), (1, 1, 0, 0));
    assert!(!info.push_bound && !info.paused && info.pause_remaining.is_none() && info.priority_groups.is_empty());
}

#[test]
fn a_pinned_a_paused_and_a_push_consumer_say_so() {
    let pinned: Info = ok("consumer_info_pinned");
    assert_eq!(pinned.config.priority_policy, PriorityPolicy::PinnedClient);
    assert_eq!(
        (pinned.config.priority_timeout, pinned.config.priority_groups.join(" ").as_str()),
        (seconds(60), "jobs")
    );
    let [group] = &pinned.priority_groups[..] else { panic!("{:?}", pinned.priority_groups) };
    assert!(group.group == "jobs" && group.pinned_client_id.as_deref().is_some_and(|id| id.len() > 10));
    recorded(group.pinned_ts.unwrap());

    let paused: Info = ok("consumer_info_paused");
    let until = parse_rfc3339("2036-01-01T00:00:00Z").unwrap();
    assert_eq!((paused.paused, paused.config.pause_until), (true, Some(until)));
    assert!(paused.pause_remaining.is_some_and(|left| left > seconds(3600)));
    let start_time = parse_rfc3339("2026-01-02T03:04:05.000000006Z").unwrap();
    assert_eq!(paused.config.deliver_policy, DeliverPolicy::ByStartTime { start_time });
    assert_eq!((paused.config.ack_policy, paused.config.replay_policy), (AckPolicy::All, ReplayPolicy::Original));
    assert!(paused.config.headers_only && paused.config.memory_storage && paused.config.num_replicas == 1);

    let info: Info = ok("consumer_info_push");
    let config = push::Config::try_from_consumer_config(info.config.clone()).unwrap();
    assert_eq!((config.deliver_subject.as_str(), config.filter_subject.as_str()), ("push.here", "events.>"));
    assert_eq!((config.deliver_policy, config.ack_policy), (DeliverPolicy::LastPerSubject, AckPolicy::None));
    assert_eq!((config.flow_control, config.idle_heartbeat, config.rate_limit), (true, seconds(5), 1_048_576));
    assert_eq!(config.into_consumer_config(), info.config);
}

#[test]
fn a_clustered_consumer_has_replicas() {
    let cluster = ok::<Info>("consumer_info_cluster").cluster.unwrap();
    assert_eq!((cluster.name.as_deref(), cluster.replicas.len()), (Some("three"), 2));
    assert!(cluster.raft_group.is_some_and(|group| group.starts_with("C-R3F-")));
}

#[test]
fn lists_have_all_consumers() {
    let infos: Page<Info> = ok("consumer_list");
    let names: Page<String> = ok("consumer_names");
    assert_eq!(names.items, ["pinned", "timed", "worker"]);
    assert_eq!(infos.items.iter().map(|info| info.name.as_str()).collect::<Vec<_>>(), names.items);
    assert_eq!((infos.total, infos.next(), names.limit), (3, None, 1_024));
    assert_eq!(ok::<Page<String>>("consumer_names_none").items, Vec::<String>::new());
}

#[test]
fn pauses_resets_and_unpins_are_answered() {
    let pause: PauseResponse = ok("consumer_pause");
    assert_eq!((pause.paused, pause.pause_until), (true, parse_rfc3339("2036-01-01T00:00:00Z").unwrap()));
    assert!(pause.pause_remaining.is_some_and(|left| left > seconds(3600)));
    let resumed: PauseResponse = ok("consumer_resume");
    assert_eq!((resumed.paused, resumed.pause_remaining), (false, None));
    assert_eq!(resumed.pause_until, parse_rfc3339("0001-01-01T00:00:00Z").unwrap());
    let reset: ConsumerResetResponse = ok("consumer_reset");
    assert_eq!((reset.reset_seq, reset.info.name.as_str(), reset.info.num_pending), (101, "worker", 5));
    assert_eq!(reset.info.config, worker().into_consumer_config());
    let unpinned: serde_json::Value = ok("consumer_unpin");
    assert_eq!(unpinned["type"], "io.nats.jetstream.api.v1.consumer_unpin_response");
}

#[test]
fn a_consumer_of_the_other_kind_is_refused() {
    let push = push::Config { deliver_subject: "push.here".to_owned(), ..push::Config::default() };
    let pull = worker().into_consumer_config();
    let error = pull::Config::try_from_consumer_config((&push).into_consumer_config()).unwrap_err();
    assert_eq!(error.to_string(), "pull consumer cannot have delivery subject");
    for error in [
        push::Config::try_from_consumer_config(pull.clone()).unwrap_err(),
        push::OrderedConfig::try_from_consumer_config(pull.clone()).unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "push consumer must have delivery subject");
    }
    let ordered = pull::OrderedConfig::try_from_consumer_config(pull).unwrap();
    assert_eq!(ordered.filter_subjects, worker().filter_subjects);
}

#[test]
fn an_ordered_consumer_acknowledges_nothing_and_is_kept_in_memory() {
    let metadata = worker().metadata;
    let pull = pull::OrderedConfig {
        name: Some("o".to_owned()),
        filter_subject: "orders.>".to_owned(),
        max_batch: 7,
        max_expires: seconds(9),
        metadata: metadata.clone(),
        ..pull::OrderedConfig::default()
    };
    let push = push::OrderedConfig {
        deliver_subject: "push.here".to_owned(),
        name: Some("o".to_owned()),
        filter_subject: "orders.>".to_owned(),
        metadata,
        ..push::OrderedConfig::default()
    };
    let (pull, push) = (pull.into_consumer_config(), push.into_consumer_config());
    for config in [&pull, &push] {
        assert_eq!((config.ack_policy, config.max_deliver, config.num_replicas), (AckPolicy::None, 1, 1));
        assert!(config.memory_storage && config.durable_name.is_none() && config.inactive_threshold == seconds(30));
        assert_eq!((config.name.as_deref(), config.filter_subject.as_str()), (Some("o"), "orders.>"));
        assert_eq!(config.metadata.len(), 4);
    }
    assert_eq!((pull.deliver_subject, pull.max_batch, pull.max_expires), (None, 7, seconds(9)));
    assert_eq!((pull.flow_control, pull.idle_heartbeat), (false, Duration::ZERO));
    assert_eq!((push.deliver_subject.as_deref(), push.flow_control), (Some("push.here"), true));
    assert_eq!(push.idle_heartbeat, seconds(5));
}

/// The two write one field differently, as in async-nats.
#[test]
fn the_kinds_configurations_are_read_as_servers_and_as_programs_write_them() {
    let pull = pull::Config { memory_storage: true, ..worker() };
    let own = serde_json::to_string(&pull).unwrap();
    assert!(own.contains(r#""memory_storage":true"#), "{own}");
    let servers = serde_json::to_string(&pull.clone().into_consumer_config()).unwrap();
    assert!(servers.contains(r#""mem_storage":true"#) && servers.contains(r#""sample_freq":"50""#), "{servers}");
    for json in [own, servers] {
        assert_eq!(serde_json::from_str::<pull::Config>(&json).unwrap(), pull);
    }
}
