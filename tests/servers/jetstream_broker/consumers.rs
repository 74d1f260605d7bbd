//! Consumers: created, changed, described, paused and deleted.

use serde_json::{Value, json};

use super::script::{Script, compare};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_are_created_changed_and_deleted_as_on_a_server() {
    compare(async |script: &mut Script| {
        let create = |config: Value, action: &str| json!({ "stream_name": "S", "config": config, "action": action });
        script.api("CONSUMER.CREATE.S.c", create(json!({ "name": "c" }), "")).await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.stream(json!({})).await;
        script.fill(3).await;
        script.api("CONSUMER.NAMES.S", Value::Null).await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.worker(json!({})).await;
        script.worker(json!({})).await;
        script.worker(json!({ "max_deliver": 5, "description": "text" })).await;
        script.worker(json!({ "deliver_policy": "new" })).await;
        script.worker(json!({ "ack_policy": "all" })).await;
        let c = json!({ "durable_name": "c", "ack_policy": "explicit" });
        script.api("CONSUMER.CREATE.S.c", create(c.clone(), "create")).await;
        script.api("CONSUMER.CREATE.S.c", create(c.clone(), "update")).await;
        script.api("CONSUMER.CREATE.S.c", create(c.clone(), "create")).await;
        script.api("CONSUMER.CREATE.S.d", create(json!({ "durable_name": "d" }), "update")).await;
        script.api("CONSUMER.CREATE.S.d", create(c, "")).await;
        script.api("CONSUMER.CREATE.S.d", create(json!({ "name": "e" }), "")).await;
        script.api("CONSUMER.CREATE.S.d.s.1", create(json!({ "name": "d", "filter_subject": "s.1" }), "create")).await;
        script.api("CONSUMER.CREATE.S.e.s.1", create(json!({ "name": "e", "filter_subject": "s.2" }), "create")).await;
        let full = json!({
            "durable_name": "f", "name": "f", "description": "text", "deliver_policy": "by_start_sequence",
            "opt_start_seq": 2, "ack_policy": "explicit", "ack_wait": 1_000_000_000, "max_deliver": 5,
            "backoff": [1_000_000_000, 5_000_000_000_u64], "filter_subjects": ["s.1", "s.2"],
            "replay_policy": "instant", "sample_freq": "50%", "max_waiting": 4, "max_ack_pending": 100,
            "max_batch": 50, "max_expires": 60_000_000_000_u64, "max_bytes": 100_000,
            "inactive_threshold": 50_000_000_000_u64, "num_replicas": 1, "mem_storage": true, "headers_only": true,
            "metadata": { "owner": "ops" },
        });
        script.api("CONSUMER.CREATE.S.f", create(full, "create")).await;
        let push = json!({ "durable_name": "g", "deliver_subject": "push.g", "idle_heartbeat": 5_000_000_000_u64,
            "flow_control": true, "ack_policy": "none", "deliver_group": "workers" });
        script.api("CONSUMER.CREATE.S.g", create(push.clone(), "create")).await;
        script.api("CONSUMER.CREATE.S.g", create(json!({ "durable_name": "g" }), "")).await;
        script.api("CONSUMER.INFO.S.g", Value::Null).await;
        script.api("CONSUMER.NAMES.S", json!({})).await;
        script.api("CONSUMER.NAMES.S", json!({ "offset": 2 })).await;
        script.api("CONSUMER.LIST.S", json!({})).await;
        script.api("CONSUMER.NAMES.nothing", Value::Null).await;
        script.api("CONSUMER.DELETE.S.g", Value::Null).await;
        script.api("CONSUMER.DELETE.S.g", Value::Null).await;
        script.api("CONSUMER.DELETE.nothing.g", Value::Null).await;
        script.api("CONSUMER.PAUSE.S.c", json!({ "pause_until": "2036-01-01T00:00:00Z" })).await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.api("CONSUMER.PAUSE.S.c", json!({})).await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.api("CONSUMER.PAUSE.S.c", json!({ "pause_until": "2016-01-01T00:00:00Z" })).await;
        script.api("CONSUMER.PAUSE.S.nothing", json!({})).await;
        script.api("INFO", Value::Null).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configurations_are_refused_as_on_a_server() {
    compare(async |script: &mut Script| {
        script.stream(json!({ "max_consumers": 2 })).await;
        for fields in [
            json!({ "deliver_policy": "by_start_sequence" }),
            json!({ "deliver_policy": "by_start_time" }),
            json!({ "deliver_policy": "all", "opt_start_seq": 2 }),
            json!({ "deliver_policy": "last", "opt_start_seq": 2 }),
            json!({ "deliver_policy": "last_per_subject" }),
            json!({ "deliver_policy": "sometimes" }),
            json!({ "filter_subject": "t.1" }),
            json!({ "filter_subject": "s.1", "filter_subjects": ["s.2"] }),
            json!({ "filter_subjects": ["s.*", "s.2"] }),
            json!({ "idle_heartbeat": 1_000_000_000 }),
            json!({ "flow_control": true }),
            json!({ "rate_limit_bps": 100 }),
            json!({ "deliver_subject": "push", "flow_control": true }),
            json!({ "deliver_subject": "push", "max_waiting": 5 }),
            json!({ "deliver_subject": "push", "idle_heartbeat": 1 }),
            json!({ "backoff": [1_000_000_000, 2_000_000_000], "max_deliver": 1 }),
            json!({ "max_deliver": 0, "ack_wait": 0, "max_waiting": 0, "max_ack_pending": 0 }),
        ] {
            script.worker(fields).await;
        }
        script.api("CONSUMER.CREATE.S.d", json!({ "stream_name": "S", "config": { "name": "d" } })).await;
        script.api("CONSUMER.CREATE.S.e", json!({ "stream_name": "S", "config": { "name": "e" } })).await;
        script.api("CONSUMER.CREATE.S.e", json!({ "stream_name": "T", "config": { "name": "e" } })).await;
        script.ask("$JS.API.CONSUMER.CREATE.S.e", "", "no json").await;
        script.worker(json!({ "nonsense": 1 })).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_work_queue_is_as_strict_as_on_a_server() {
    compare(async |script: &mut Script| {
        script.stream(json!({ "retention": "workqueue" })).await;
        script.worker(json!({ "ack_policy": "none" })).await;
        script.worker(json!({ "ack_policy": "all" })).await;
        script.worker(json!({ "deliver_policy": "new" })).await;
        script.worker(json!({ "filter_subject": "s.1" })).await;
        let second = |filter: &str| {
            let config = json!({ "durable_name": "d", "ack_policy": "explicit", "filter_subject": filter });
            json!({ "stream_name": "S", "config": config })
        };
        script.api("CONSUMER.CREATE.S.d", second("")).await;
        script.api("CONSUMER.CREATE.S.d", second("s.*")).await;
        script.api("CONSUMER.CREATE.S.d", second("s.2")).await;
        script.fill(3).await;
        let got = script.pull(json!({ "batch": 1 }), 1).await;
        script.ask(got[0].as_ref().unwrap().reply.as_deref().unwrap(), "", "+ACK").await;
        script.api("STREAM.INFO.S", json!({ "subjects_filter": ">" })).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_are_reset_as_on_a_server() {
    compare(async |script: &mut Script| {
        script.stream(json!({})).await;
        script.fill(5).await;
        for policy in [
            json!({}),
            json!({ "deliver_policy": "by_start_sequence", "opt_start_seq": 2 }),
            json!({ "deliver_policy": "by_start_sequence", "opt_start_seq": 5 }),
            json!({ "deliver_policy": "last_per_subject", "filter_subject": "s.*" }),
            json!({ "deliver_policy": "new" }),
        ] {
            script.worker(policy).await;
            script.api("CONSUMER.RESET.S.c", Value::Null).await;
            script.pull_to_the_end(json!({ "batch": 3, "expires": 300_000_000, "max_bytes": 10_000 })).await;
            script.api("CONSUMER.RESET.S.c", json!({ "seq": 4 })).await;
            script.api("CONSUMER.INFO.S.c", Value::Null).await;
            script.api("CONSUMER.RESET.S.c", json!({ "seq": 40 })).await;
            script.pull_to_the_end(json!({ "batch": 3, "expires": 300_000_000, "max_bytes": 10_000 })).await;
            script.api("CONSUMER.INFO.S.c", Value::Null).await;
            script.api("CONSUMER.DELETE.S.c", Value::Null).await;
        }
        script.api("CONSUMER.RESET.S.c", Value::Null).await;
    })
    .await;
}
