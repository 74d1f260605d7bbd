//! Acknowledgements and redeliveries.

use serde_json::{Value, json};

use super::script::{Script, compare};

const SECOND: u64 = 1_000_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_the_effect_that_it_has_on_a_server() {
    compare(async |script: &mut Script| {
        script.stream(json!({})).await;
        script.worker(json!({})).await;
        script.fill(5).await;
        let got = script.pull(json!({ "batch": 5 }), 5).await;
        let reply = |n: usize| got[n].as_ref().unwrap().reply.clone().unwrap();
        script.ask(&reply(0), "", "+ACK").await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.ask(&reply(2), "", "").await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.ask(&reply(2), "", "+ACK").await;
        script.ask(&reply(3), "", "+WPI").await;
        script.ask(&reply(3), "", "+TERM no use").await;
        script.ask(&reply(1), "", "-NAK").await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.pull(json!({ "batch": 1 }), 1).await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        // An answer to the first delivery.
        script.ask(&reply(1), "", "+ACK").await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.tell(&reply(4), r#"-NAK {"delay":200000000}"#).await;
        script.pull(json!({ "batch": 1 }), 1).await;
        script.fill(1).await;
        script.say(&reply(4), "", "+NXT").await;
        script.take("the next one", 1).await;
        script.say(&reply(4), "", "+NXT {\"batch\":1,\"no_wait\":true}").await;
        script.take("no next one", 1).await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.ask("$JS.ACK.S.nothing.1.1.1.1.1", "", "+ACK").await;
        script.ask("$JS.ACK.nothing.c.1.1.1.1.1", "", "+ACK").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_delivered_again_as_on_a_server() {
    compare(async |script: &mut Script| {
        script.stream(json!({})).await;
        script.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>", "9").await;
        script.worker(json!({ "ack_wait": SECOND / 2, "max_deliver": 2 })).await;
        script.fill(1).await;
        script.pull(json!({ "batch": 5 }), 2).await;
        script.take("the advisory", 1).await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.api("CONSUMER.DELETE.S.c", Value::Null).await;
        script.take("the pull", 1).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_messages_are_limited_and_acknowledged_together_as_on_a_server() {
    compare(async |script: &mut Script| {
        script.stream(json!({})).await;
        script.worker(json!({ "ack_policy": "all", "max_ack_pending": 2 })).await;
        script.fill(5).await;
        let got = script.pull(json!({ "batch": 5 }), 2).await;
        script.nothing("two are open").await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
        script.tell(got[1].as_ref().unwrap().reply.as_deref().unwrap(), "").await;
        let got = script.take("two more", 2).await;
        script.tell(got[1].as_ref().unwrap().reply.as_deref().unwrap(), "+ACK").await;
        script.take("the last one", 1).await;
        script.api("CONSUMER.INFO.S.c", Value::Null).await;
    })
    .await;
}
