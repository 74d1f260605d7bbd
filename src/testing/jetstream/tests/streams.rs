//! Streams: documents, publishing, limits, single messages.

use super::*;

#[test]
fn a_created_stream_answers_what_the_server_has_filled_in() {
    let mut world = World::new();
    let info = world.api("STREAM.CREATE.S", json!({ "name": "S" }));
    assert_eq!(info["type"], "io.nats.jetstream.api.v1.stream_create_response");
    assert_eq!(info["config"]["subjects"], json!(["S"]));
    assert_eq!(info["config"]["max_msgs"], -1);
    assert_eq!(info["config"]["duplicate_window"], 120_000_000_000_u64);
    assert_eq!(info["state"]["messages"], 0);
    let again = world.api("STREAM.CREATE.S", json!({ "name": "S" }));
    assert_eq!((&again["created"], &again["error"]), (&info["created"], &Value::Null));
    let other = world.api("STREAM.CREATE.S", json!({ "name": "S", "max_msgs": 5 }));
    assert_eq!(other["error"]["err_code"], 10058);
    let overlap = world.api("STREAM.CREATE.T", json!({ "name": "T", "subjects": ["*"] }));
    assert_eq!(overlap["error"]["err_code"], 10065);
    let updated = world.api("STREAM.UPDATE.S", json!({ "name": "S", "max_msgs": 5 }));
    assert_eq!(updated["config"]["max_msgs"], 5);
    assert_eq!(world.api("STREAM.NAMES", json!({}))["streams"], json!(["S"]));
    assert_eq!(world.api("STREAM.DELETE.S", json!({}))["success"], true);
    assert_eq!(world.api("STREAM.INFO.S", json!({}))["error"]["err_code"], 10059);
    assert_eq!(world.api("STREAM.NAMES", json!({}))["streams"], Value::Null);
}

#[test]
fn the_same_id_is_stored_once_within_the_window() {
    let mut world = World::with_stream(json!({ "duplicate_window": 1_000_000_000 }));
    let header = "NATS/1.0\r\nNats-Msg-Id: a\r\n\r\n";
    assert_eq!(world.publish("s.1", header), json!({ "stream": "S", "seq": 1 }));
    assert_eq!(world.publish("s.1", header), json!({ "stream": "S", "seq": 1, "duplicate": true }));
    world.pass(1_000);
    assert_eq!(world.publish("s.1", header), json!({ "stream": "S", "seq": 2 }));
    assert_eq!(world.model.messages("S").count(), 2);
}

#[test]
fn what_was_expected_otherwise_is_refused() {
    let mut world = World::with_stream(json!({}));
    world.publish("s.1", "NATS/1.0\r\nNats-Msg-Id: a\r\n\r\n");
    for (header, code) in [
        ("Nats-Expected-Stream: T", 10060),
        ("Nats-Expected-Last-Sequence: 0", 10071),
        ("Nats-Expected-Last-Subject-Sequence: 0", 10071),
        ("Nats-Expected-Last-Msg-Id: b", 10070),
        ("Nats-TTL: 5", 10166),
        ("Nats-Rollup: sub", 10111),
    ] {
        let ack = world.publish("s.1", &format!("NATS/1.0\r\n{header}\r\n\r\n"));
        assert_eq!((&ack["error"]["err_code"], &ack["seq"]), (&json!(code), &json!(0)), "{header}: {ack}");
    }
    let good = "NATS/1.0\r\nNats-Expected-Stream: S\r\nNats-Expected-Last-Sequence: 1\r\n\
                Nats-Expected-Last-Subject-Sequence: 1\r\nNats-Expected-Last-Msg-Id: a\r\n\r\n";
    assert_eq!(world.publish("s.1", good)["seq"], 2);
}

#[test]
fn limits_drop_the_oldest_or_refuse_the_newest() {
    let mut world = World::with_stream(json!({ "max_msgs": 3, "max_msgs_per_subject": 2 }));
    for subject in ["s.1", "s.1", "s.1", "s.2", "s.3"] {
        world.publish(subject, "");
    }
    let left: Vec<u64> = world.model.messages("S").map(|(seq, ..)| seq).collect();
    assert_eq!(left, [3, 4, 5]);
    let mut world = World::with_stream(json!({ "max_msgs": 1, "discard": "new" }));
    world.publish("s.1", "");
    assert_eq!(world.publish("s.1", "")["error"]["err_code"], 10077);
    let mut world = World::with_stream(json!({ "max_bytes": 80, "max_age": 5_000_000_000_u64 }));
    world.fill(3);
    assert_eq!(world.model.messages("S").count(), 1, "46 bytes each");
    world.pass(5_000);
    assert_eq!(world.model.messages("S").count(), 0);
}

#[test]
fn a_message_ends_by_its_own_time_to_live() {
    let mut world = World::with_stream(json!({ "allow_msg_ttl": true, "allow_rollup_hdrs": true }));
    assert_eq!(world.publish("s.1", "NATS/1.0\r\nNats-TTL: x\r\n\r\n")["error"]["err_code"], 10165);
    world.publish("s.1", "NATS/1.0\r\nNats-TTL: 1s\r\n\r\n");
    world.publish("s.1", "");
    world.pass(1_000);
    assert_eq!(world.model.messages("S").map(|(seq, ..)| seq).collect::<Vec<_>>(), [2]);
    world.publish("s.2", "");
    world.publish("s.1", "NATS/1.0\r\nNats-Rollup: sub\r\n\r\n");
    assert_eq!(world.model.messages("S").map(|(seq, ..)| seq).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn messages_are_found_by_sequence_and_by_subject() {
    let mut world = World::with_stream(json!({ "allow_direct": true }));
    for subject in ["s.1", "s.2", "s.1"] {
        world.publish(subject, "");
    }
    let found = |answer: Value| answer["message"]["seq"].clone();
    assert_eq!(found(world.api("STREAM.MSG.GET.S", json!({ "seq": 2 }))), 2);
    assert_eq!(found(world.api("STREAM.MSG.GET.S", json!({ "last_by_subj": "s.1" }))), 3);
    assert_eq!(found(world.api("STREAM.MSG.GET.S", json!({ "seq": 2, "next_by_subj": "s.1" }))), 3);
    assert_eq!(world.api("STREAM.MSG.GET.S", json!({ "seq": 9 }))["error"]["err_code"], 10037);
    let (_, out) = world.say("$JS.API.DIRECT.GET.S.s.1", Some("inbox.1"), "", b"");
    let head = String::from_utf8(out[0].headers.to_vec()).unwrap();
    assert!(head.contains("\r\nNats-Sequence: 3\r\n"), "{head}");
    let (_, out) = world.say("$JS.API.DIRECT.GET.S", Some("inbox.1"), "", br#"{"seq":9}"#);
    assert_eq!(texts(&out), ["404 Message Not Found"]);
    assert_eq!(world.api("STREAM.MSG.DELETE.S", json!({ "seq": 2 }))["success"], true);
    let info = world.api("STREAM.INFO.S", json!({ "subjects_filter": ">", "deleted_details": true }));
    assert_eq!(info["state"]["subjects"], json!({ "s.1": 2 }));
    assert_eq!(info["state"]["deleted"], json!([2]));
    assert_eq!(world.api("STREAM.PURGE.S", json!({ "seq": 1 }))["purged"], 0);
    assert_eq!(world.api("STREAM.PURGE.S", json!({ "keep": 1 }))["purged"], 1);
    assert_eq!(world.api("STREAM.PURGE.S", json!({ "seq": 0 }))["purged"], 1, "it is no limit");
    assert_eq!(world.publish("s.1", "")["seq"], 4);
}

#[test]
fn a_stream_for_consumers_keeps_what_they_have_not_processed() {
    let mut world = World::with_stream(json!({ "retention": "workqueue" }));
    world.fill(2);
    world.consumer(json!({ "durable_name": "c", "ack_policy": "explicit" }));
    let out = world.pull("inbox.1", json!({ "batch": 5 }));
    world.answer(&out[0], "+ACK", None);
    assert_eq!(world.model.messages("S").map(|(seq, ..)| seq).collect::<Vec<_>>(), [2]);
    let second = json!({ "stream_name": "S", "config": { "durable_name": "d", "ack_policy": "explicit" } });
    assert_eq!(world.api("CONSUMER.CREATE.S.d", second)["error"]["err_code"], 10099);

    let mut world = World::with_stream(json!({ "retention": "interest" }));
    assert_eq!(world.publish("s.1", "")["seq"], 1);
    assert_eq!(world.model.messages("S").count(), 0, "nobody is interested");
    world.consumer(json!({ "durable_name": "c", "ack_policy": "explicit" }));
    assert_eq!(world.publish("s.1", "")["seq"], 2);
    assert_eq!(world.model.messages("S").count(), 1);
    let out = world.pull("inbox.1", json!({}));
    world.answer(&out[0], "", None);
    assert_eq!(world.model.messages("S").count(), 0);
}

#[test]
fn what_the_model_does_not_have_is_refused_by_name() {
    let mut world = World::new();
    for (field, value, what) in [
        ("mirror", json!({ "name": "T" }), "mirrors"),
        ("sources", json!([{ "name": "T" }]), "sources"),
        ("allow_atomic", json!(true), "atomic batches"),
    ] {
        let mut config = json!({ "name": "S" });
        config[field] = value;
        let answer = world.api("STREAM.CREATE.S", config);
        assert!(answer["error"]["description"].as_str().unwrap().contains(what), "{answer}");
    }
}
