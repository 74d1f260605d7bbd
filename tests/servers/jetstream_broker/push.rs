//! Push consumers.

use serde_json::{Value, json};

use super::script::{Script, compare};

const SECOND: u64 = 1_000_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_consumer_delivers_as_on_a_server() {
    compare(async |script: &mut Script| {
        script.stream(json!({})).await;
        script.fill(2).await;
        let push = json!({ "durable_name": "c", "deliver_subject": "push.c", "ack_policy": "none",
            "idle_heartbeat": 2 * SECOND, "flow_control": true, "max_ack_pending": null });
        script.worker(push).await;
        script.nothing("nobody listens").await;
        script.subscribe("push.c", "7").await;
        script.take("what waited", 2).await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.take("a heartbeat", 1).await;
        script.tell("s.3", "message 3").await;
        script.take("the next one", 1).await;
        script.take("a heartbeat", 1).await;
        script.pull(json!({}), 1).await;
        script.unsubscribe("7").await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
    })
    .await;
}
