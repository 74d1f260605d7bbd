//! Streams: created, changed, described, purged and deleted; single messages.

use serde_json::{Value, json};

use super::script::{Script, compare};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_created_changed_and_deleted_as_on_a_server() {
    compare(async |script: &mut Script| {
        script.api("INFO", Value::Null).await;
        script.api("STREAM.NAMES", Value::Null).await;
        script.api("STREAM.LIST", json!({})).await;
        script.api("STREAM.INFO.S", Value::Null).await;
        script.api("STREAM.CREATE.S", json!({ "name": "S" })).await;
        script.api("STREAM.CREATE.S", json!({ "name": "S" })).await;
        script.api("STREAM.CREATE.S", json!({ "name": "S", "max_msgs": 7 })).await;
        script.api("STREAM.CREATE.T", json!({ "name": "S" })).await;
        script.api("STREAM.CREATE.T", json!({ "name": "T", "subjects": ["S"] })).await;
        script.api("STREAM.CREATE.T", json!({ "name": "T", "subjects": ["t.*", "t.1"] })).await;
        script.api("STREAM.CREATE.T", json!({ "name": "T", "subjects": ["t.1", "t.1"] })).await;
        script.api("STREAM.CREATE.T", json!({ "name": "T", "discard_new_per_subject": true })).await;
        script
            .api("STREAM.CREATE.T", json!({ "name": "T", "max_age": 1_000_000_000, "duplicate_window": 2_000_000_000 }))
            .await;
        let full = json!({
            "name": "T", "description": "text", "subjects": ["t.>", "u"], "retention": "interest", "max_consumers": 4,
            "max_msgs": 100, "max_bytes": 10_000, "max_age": 60_000_000_000_u64, "max_msgs_per_subject": 10,
            "max_msg_size": 1_000, "discard": "new", "storage": "memory", "num_replicas": 1,
            "duplicate_window": 30_000_000_000_u64, "allow_direct": true, "allow_rollup_hdrs": true,
            "consumer_limits": { "inactive_threshold": 60_000_000_000_u64, "max_ack_pending": 50 },
            "allow_msg_ttl": true, "metadata": { "team": "sales" }, "compression": "none", "first_seq": 10,
        });
        script.api("STREAM.CREATE.T", full).await;
        script.api("STREAM.INFO.T", Value::Null).await;
        script.api("STREAM.UPDATE.S", json!({ "name": "S", "subjects": ["S", "s.>"], "max_msgs": 3 })).await;
        script.api("STREAM.UPDATE.S", json!({ "name": "S", "storage": "memory" })).await;
        script.api("STREAM.UPDATE.S", json!({ "name": "S", "retention": "workqueue" })).await;
        script.api("STREAM.UPDATE.nothing", json!({ "name": "nothing" })).await;
        script.api("STREAM.NAMES", json!({})).await;
        script.api("STREAM.NAMES", json!({ "subject": "s.1" })).await;
        script.api("STREAM.NAMES", json!({ "subject": "nothing" })).await;
        script.api("STREAM.NAMES", json!({ "offset": 1 })).await;
        script.api("STREAM.LIST", json!({})).await;
        script.ask("$JS.API.STREAM.CREATE.X", "", "no json").await;
        script.api("STREAM.CREATE.X", json!({ "name": "X", "nonsense": 1 })).await;
        script.api("STREAM.NAMES", json!({ "nonsense": 1 })).await;
        script.api("STREAM.INFO.S", json!({ "nonsense": 1 })).await;
        script.ask("$JS.API.STREAM.NONSENSE.X", "", "").await;
        script.api("STREAM.DELETE.T", Value::Null).await;
        script.api("STREAM.DELETE.T", Value::Null).await;
        script.api("INFO", Value::Null).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_read_and_removed_as_on_a_server() {
    compare(async |script: &mut Script| {
        script.stream(json!({ "allow_direct": true })).await;
        script.api("STREAM.MSG.GET.S", json!({ "seq": 1 })).await;
        script.fill(4).await;
        script.ask("s.1", "A: b", "again").await;
        script.ask("s.2", "", "").await;
        for body in [
            json!({ "seq": 1 }),
            json!({ "seq": 5 }),
            json!({ "seq": 6 }),
            json!({ "seq": 9 }),
            json!({ "last_by_subj": "s.1" }),
            json!({ "last_by_subj": "s.*" }),
            json!({ "last_by_subj": "nothing" }),
            json!({ "seq": 2, "next_by_subj": "s.1" }),
            json!({ "next_by_subj": "s.1" }),
            json!({ "seq": 6, "next_by_subj": "s.1" }),
            json!({}),
        ] {
            script.api("STREAM.MSG.GET.S", body.clone()).await;
            script.api("DIRECT.GET.S", body).await;
        }
        script.api("STREAM.MSG.GET.nothing", json!({ "seq": 1 })).await;
        script.api("DIRECT.GET.nothing", json!({ "seq": 1 })).await;
        script.api("DIRECT.GET.S", Value::Null).await;
        script.ask("$JS.API.DIRECT.GET.S", "", "no json").await;
        script.api("DIRECT.GET.S.s.1", Value::Null).await;
        script.api("DIRECT.GET.S.nothing", Value::Null).await;
        script.api("DIRECT.GET.S.s.1", json!({})).await;
        script.api("STREAM.MSG.DELETE.S", json!({ "seq": 2 })).await;
        script.api("STREAM.MSG.DELETE.S", json!({ "seq": 2 })).await;
        script.api("STREAM.MSG.DELETE.S", json!({ "seq": 99 })).await;
        script.api("STREAM.MSG.DELETE.S", json!({ "seq": 3, "no_erase": true })).await;
        script.api("STREAM.MSG.DELETE.nothing", json!({ "seq": 2 })).await;
        script.api("STREAM.INFO.S", json!({ "subjects_filter": ">", "deleted_details": true })).await;
        script.api("STREAM.INFO.S", json!({ "subjects_filter": "s.1", "offset": 0 })).await;
        script.api("STREAM.INFO.S", json!({ "subjects_filter": "nothing" })).await;
        script.api("STREAM.PURGE.S", json!({ "seq": 2, "keep": 1 })).await;
        script.api("STREAM.PURGE.S", json!({ "seq": 1 })).await;
        script.api("STREAM.PURGE.S", json!({ "filter": "s.1", "keep": 1 })).await;
        script.api("STREAM.PURGE.S", json!({ "seq": 5 })).await;
        script.api("STREAM.INFO.S", Value::Null).await;
        script.api("STREAM.PURGE.S", json!({ "keep": 1 })).await;
        script.api("STREAM.PURGE.S", Value::Null).await;
        script.api("STREAM.INFO.S", Value::Null).await;
        script.ask("s.1", "", "after it").await;
        script.api("STREAM.PURGE.S", json!({ "seq": 20 })).await;
        script.api("STREAM.INFO.S", Value::Null).await;
        script.ask("s.1", "", "and later").await;
        script.api("STREAM.PURGE.S", json!({ "seq": 0 })).await;
        script.api("STREAM.PURGE.nothing", Value::Null).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stream_forbids_is_refused_as_on_a_server() {
    compare(async |script: &mut Script| {
        script.stream(json!({ "deny_delete": true, "deny_purge": true })).await;
        script.fill(1).await;
        script.api("STREAM.MSG.DELETE.S", json!({ "seq": 1 })).await;
        script.api("STREAM.PURGE.S", Value::Null).await;
        script.api("DIRECT.GET.S", json!({ "seq": 1 })).await;
        script
            .api(
                "STREAM.UPDATE.S",
                json!({ "name": "S", "subjects": ["s.>"], "deny_delete": false, "deny_purge": true }),
            )
            .await;
        script
            .api(
                "STREAM.UPDATE.S",
                json!({ "name": "S", "subjects": ["s.>"], "deny_delete": true, "deny_purge": true, "max_msgs": 5 }),
            )
            .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_messages_are_read_as_on_a_server() {
    compare(async |script: &mut Script| {
        script.stream(json!({ "allow_direct": true })).await;
        script.direct(json!({ "batch": 3 })).await;
        script.direct(json!({ "multi_last": ["s.*"] })).await;
        script.fill(4).await;
        script.ask("s.1", "A: b", "again").await;
        script.ask("s.2", "", "").await;
        script.api("STREAM.MSG.DELETE.S", json!({ "seq": 3 })).await;
        for body in [
            json!({ "batch": 3 }),
            json!({ "batch": 10, "seq": 2 }),
            json!({ "batch": 10, "seq": 20 }),
            json!({ "batch": 2, "next_by_subj": "s.1" }),
            json!({ "batch": 2, "seq": 2, "next_by_subj": "s.*" }),
            json!({ "batch": 2, "next_by_subj": "nothing" }),
            json!({ "batch": 10, "seq": 1, "max_bytes": 30 }),
            json!({ "batch": 10, "seq": 1, "max_bytes": 1 }),
            json!({ "batch": 10, "seq": 1, "max_bytes": 12 }),
            json!({ "batch": 10, "seq": 1, "max_bytes": 36 }),
            json!({ "multi_last": ["s.*"], "max_bytes": 8 }),
            json!({ "batch": 10, "start_time": "2016-01-01T00:00:00Z" }),
            json!({ "batch": 10, "start_time": "2099-01-01T00:00:00Z" }),
            json!({ "multi_last": ["s.*"] }),
            json!({ "multi_last": ["s.1", "s.3", "s.4", "nothing"] }),
            json!({ "multi_last": ["s.*"], "batch": 2 }),
            json!({ "multi_last": ["s.*"], "seq": 5 }),
            json!({ "multi_last": ["s.*"], "up_to_seq": 4 }),
            json!({ "multi_last": ["s.*"], "up_to_time": "2099-01-01T00:00:00Z" }),
            json!({ "multi_last": ["s.*"], "max_bytes": 30 }),
            json!({ "multi_last": ["nothing"] }),
        ] {
            script.direct(body).await;
        }
    })
    .await;
}
