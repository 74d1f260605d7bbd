//! Publishing: acknowledgements, deduplication, expectations, limits.

use serde_json::{Value, json};

use super::script::{Script, compare, with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_acknowledged_and_refused_as_on_a_server() {
    compare(async |script: &mut Script| {
        script.ask("s.1", "", "nobody").await;
        script.stream(json!({ "max_msg_size": 200 })).await;
        script.ask("s.1", "", "one").await;
        script.ask("s.1", "Nats-Msg-Id: a", "two").await;
        script.ask("s.1", "Nats-Msg-Id: a", "two").await;
        for header in [
            "Nats-Expected-Stream: T",
            "Nats-Expected-Stream: S",
            "Nats-Expected-Last-Sequence: 1",
            "Nats-Expected-Last-Sequence: 3",
            "Nats-Expected-Last-Subject-Sequence: 1",
            "Nats-Expected-Last-Subject-Sequence: 0",
            "Nats-Expected-Last-Subject-Sequence: 4",
            "Nats-Expected-Last-Msg-Id: b",
            "Nats-Expected-Last-Msg-Id: a",
            "Nats-TTL: 1s",
            "Nats-TTL: x",
            "Nats-Rollup: sub",
        ] {
            script.ask("s.1", header, "expected").await;
        }
        script.ask("s.new", "Nats-Expected-Last-Subject-Sequence: 0", "first").await;
        script.ask("s.new", "Nats-Expected-Last-Subject-Sequence: 0", "second").await;
        script.ask("s.1", "", &"x".repeat(201)).await;
        script.api("STREAM.INFO.S", Value::Null).await;
        script.api("STREAM.MSG.GET.S", json!({ "seq": 2 })).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold_as_on_a_server() {
    compare(async |script: &mut Script| {
        let limits = [
            json!({ "max_msgs": 2 }),
            json!({ "max_msgs": 2, "discard": "new" }),
            json!({ "max_bytes": 150 }),
            json!({ "max_bytes": 150, "discard": "new" }),
            json!({ "max_msgs_per_subject": 1 }),
            json!({ "max_msgs_per_subject": 1, "max_msgs": 2, "discard": "new" }),
            json!({ "max_msgs_per_subject": 1, "discard": "new", "discard_new_per_subject": true }),
            json!({ "storage": "memory", "max_bytes": 150 }),
            json!({ "retention": "interest" }),
            json!({ "retention": "workqueue", "max_msgs": 3 }),
            json!({ "allow_rollup_hdrs": true, "allow_msg_ttl": true }),
        ];
        // A stream of its own for each: servers remove the files of a deleted one in the background.
        for (n, limit) in limits.into_iter().enumerate() {
            let (name, subject) = (format!("S{n}"), format!("s{n}.2"));
            let config = with(json!({ "name": name, "subjects": [format!("s{n}.>")] }), limit);
            script.api(&format!("STREAM.CREATE.{name}"), config).await;
            script.fill_below(&format!("s{n}"), 4).await;
            let info = async |script: &mut Script| {
                let what = json!({ "subjects_filter": ">", "deleted_details": true });
                script.api(&format!("STREAM.INFO.{name}"), what).await;
            };
            for header in ["", "Nats-Msg-Id: x"] {
                script.ask(&subject, header, "again").await;
            }
            info(script).await;
            for header in ["Nats-Rollup: sub", "Nats-TTL: never", "Nats-TTL: 0", "Nats-TTL: 500ms", "Nats-TTL: 1h"] {
                script.ask(&subject, header, "what now?").await;
            }
            info(script).await;
            for header in ["Nats-Rollup: all", "Nats-Rollup: x"] {
                script.ask(&subject, header, "and now?").await;
            }
            info(script).await;
        }
    })
    .await;
}
