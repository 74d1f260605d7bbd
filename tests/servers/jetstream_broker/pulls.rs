//! Pulls: what they get, and how they end.

use serde_json::{Value, json};

use super::script::{Script, compare};

const SECOND: u64 = 1_000_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulls_get_messages_and_statuses_as_on_a_server() {
    compare(async |script: &mut Script| {
        script.stream(json!({})).await;
        script.worker(json!({})).await;
        script.pull(json!({ "no_wait": true }), 1).await;
        script
            .pull(json!({ "batch": 2, "expires": 2 * SECOND, "idle_heartbeat": SECOND / 5 * 4, "max_bytes": 500 }), 3)
            .await;
        script.fill(3).await;
        script.pull(json!({ "batch": 2 }), 2).await;
        script.pull(json!({ "batch": 2, "no_wait": true }), 2).await;
        script.fill(1).await;
        script.pull(json!({ "batch": 2, "no_wait": true, "expires": SECOND }), 2).await;
        script.pull(json!({ "batch": 2, "no_wait": true, "expires": SECOND / 2 }), 1).await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.fill(4).await;
        script.pull(json!({ "batch": 10, "max_bytes": 20, "expires": SECOND }), 1).await;
        script.pull(json!({ "batch": 2, "max_bytes": 1_000, "expires": SECOND }), 3).await;
        script.pull(json!({ "batch": 5, "max_bytes": 60, "expires": SECOND }), 2).await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.pull(json!({ "batch": 5, "expires": SECOND, "idle_heartbeat": SECOND }), 1).await;
        script.say("$JS.API.CONSUMER.MSG.NEXT.S.c", "", "no json").await;
        script.take("no number", 1).await;
        script.say("$JS.API.CONSUMER.MSG.NEXT.S.c", "", "{no json").await;
        script.take("bad JSON", 1).await;
        script.ask("$JS.API.CONSUMER.MSG.NEXT.S.nothing", "", "").await;
        script.ask("$JS.API.CONSUMER.MSG.NEXT.nothing.c", "", "").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_pulls_are_served_and_ended_as_on_a_server() {
    compare(async |script: &mut Script| {
        script.stream(json!({})).await;
        script.worker(json!({ "max_waiting": 3 })).await;
        script.pull(json!({ "batch": 2 }), 0).await;
        script.pull(json!({ "batch": 2 }), 0).await;
        script.pull(json!({ "batch": 9, "no_wait": true }), 1).await;
        script.fill(3).await;
        script.take("to the waiting pulls", 3).await;
        script.pull(json!({ "batch": 1, "no_wait": true }), 1).await;
        script.pull(json!({ "batch": 2 }), 0).await;
        script.pull(json!({ "batch": 2 }), 0).await;
        script.pull(json!({ "batch": 2 }), 1).await;
        script.pull(json!({ "batch": 2, "expires": 9 * SECOND, "idle_heartbeat": SECOND }), 0).await;
        script.nothing("dropped without a word").await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.say("$JS.API.CONSUMER.DELETE.S.c", "", "").await;
        script.take_in_any_order("a status for each pull, and the answer", 4).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumers_limits_hold_as_on_a_server() {
    compare(async |script: &mut Script| {
        script.stream(json!({})).await;
        script.worker(json!({ "max_batch": 10, "max_expires": 20 * SECOND, "max_bytes": 5_000 })).await;
        let fine = json!({ "batch": 1, "expires": SECOND / 10, "max_bytes": 100 });
        let with = |field: &str, value: Value| super::script::with(fine.clone(), json!({ field: value }));
        script.pull(fine.clone(), 1).await;
        script.pull(with("batch", json!(11)), 1).await;
        script.pull(with("expires", json!(21 * SECOND)), 1).await;
        script.pull(with("max_bytes", json!(5_001)), 1).await;
        script.pull(with("max_bytes", Value::Null), 1).await;
        script.pull(json!({ "batch": 1, "no_wait": true }), 1).await;
        script.pull(json!({ "batch": 1 }), 1).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_begin_where_a_server_begins() {
    compare(async |script: &mut Script| {
        script.stream(json!({})).await;
        script.fill(2).await;
        script.ask("s.1", "", "later").await;
        script.api("STREAM.MSG.DELETE.S", json!({ "seq": 2 })).await;
        script.fill(3).await;
        for policy in [
            json!({ "deliver_policy": "all" }),
            json!({ "deliver_policy": "last" }),
            json!({ "deliver_policy": "new" }),
            json!({ "deliver_policy": "by_start_sequence", "opt_start_seq": 2 }),
            json!({ "deliver_policy": "by_start_sequence", "opt_start_seq": 20 }),
            json!({ "deliver_policy": "by_start_time", "opt_start_time": "2016-01-01T00:00:00Z" }),
            json!({ "deliver_policy": "last_per_subject", "filter_subject": "s.>" }),
            json!({ "deliver_policy": "last_per_subject", "filter_subjects": ["s.1", "s.2"] }),
            json!({ "deliver_policy": "last", "filter_subject": "s.1" }),
            json!({ "filter_subject": "s.1" }),
            json!({ "headers_only": true }),
            json!({ "ack_policy": "none" }),
        ] {
            script.worker(policy).await;
            script.pull_to_the_end(json!({ "batch": 20, "no_wait": true })).await;
            script.api("CONSUMER.INFO.S.c", Value::Null).await;
            script.ask("$JS.API.CONSUMER.DELETE.S.c", "", "").await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_pull_lives_by_interest_as_on_a_server() {
    compare(async |script: &mut Script| {
        script.stream(json!({})).await;
        script.worker(json!({})).await;
        script.subscribe("other.>", "5").await;
        script.pull_to("other.1", json!({ "batch": 2 })).await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.unsubscribe("5").await;
        script.fill(1).await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.subscribe("other.>", "5").await;
        script.nothing("the pull was dropped without a word").await;
        script.pull(json!({ "batch": 1 }), 1).await;
        script.pull_to("other.2", json!({ "batch": 2 })).await;
        script.unsubscribe("5").await;
        script.subscribe("other.>", "6").await;
        script.fill(1).await;
        script.take("to the pull", 1).await;
        script.nothing("more").await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_consumer_goes_as_on_a_server() {
    compare(async |script: &mut Script| {
        script.stream(json!({})).await;
        let idle = json!({ "name": "idle", "inactive_threshold": SECOND });
        script.api("CONSUMER.CREATE.S.idle", json!({ "stream_name": "S", "config": idle })).await;
        script.worker(json!({ "inactive_threshold": SECOND })).await;
        script.subscribe("push.c", "5").await;
        let push = json!({ "name": "push", "deliver_subject": "push.c", "inactive_threshold": SECOND });
        script.api("CONSUMER.CREATE.S.push", json!({ "stream_name": "S", "config": push })).await;
        script.pull(json!({ "batch": 1, "expires": 20 * SECOND }), 0).await;
        script.pause(3_000).await;
        script.api("CONSUMER.NAMES.S", Value::Null).await;
        script.unsubscribe("5").await;
        script.pause(3_000).await;
        script.api("CONSUMER.NAMES.S", Value::Null).await;
    })
    .await;
}
