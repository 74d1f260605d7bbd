//! Pulls: what they get, and how they end.

use super::*;

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_pull_gets_its_batch_and_waits_for_the_rest() {
    let mut world = World::with_worker(json!({}));
    world.fill(2);
    let out = world.pull("inbox.1", json!({ "batch": 3, "expires": 10 * SECOND }));
    assert_eq!(texts(&out), ["message 1", "message 2"]);
    assert_eq!((out[0].to.as_str(), out[0].subject.as_str()), ("inbox.1", "s.1"));
    assert!(out[1].reply.as_deref().unwrap().starts_with("$JS.ACK.S.c.1.2.2."), "{:?}", out[1]);
    assert!(out[1].reply.as_deref().unwrap().ends_with(".0"));
    assert_eq!(texts(&world.fill(2)), ["message 1"], "the pull is full after it");
    let state = world.state();
    assert_eq!((state.waiting_pulls, state.ack_pending, state.pending), (0, 3, 1));
}

#[test]
fn a_pull_says_that_it_lives_and_that_it_ends() {
    let mut world = World::with_worker(json!({}));
    world.pull("inbox.1", json!({ "batch": 3, "expires": 3 * SECOND, "idle_heartbeat": SECOND, "max_bytes": 500 }));
    assert_eq!(texts(&world.pass(2_500)), ["100 Idle Heartbeat", "100 Idle Heartbeat"]);
    let out = world.pass(500);
    assert_eq!(texts(&out), ["408 Request Timeout"]);
    assert!(out[0].headers.ends_with(b"\r\nNats-Pending-Messages: 3\r\nNats-Pending-Bytes: 500\r\n\r\n"));
    assert_eq!(texts(&world.pass(10_000)), [""; 0]);
}

#[test]
fn a_pull_that_does_not_wait_ends_without_messages() {
    let mut world = World::with_worker(json!({}));
    assert_eq!(texts(&world.pull("inbox.1", json!({ "no_wait": true }))), ["404 No Messages"]);
    world.fill(1);
    let out = world.pull("inbox.2", json!({ "no_wait": true, "batch": 5 }));
    assert_eq!(texts(&out), ["message 1", "404 No Messages"]);
    assert_eq!(world.state().waiting_pulls, 0);
}

#[test]
fn a_waiting_pull_lives_by_interest_in_its_reply_subject() {
    let mut world = World::with_worker(json!({}));
    world.pull("gone.1", json!({ "batch": 5 }));
    world.pull("inbox.2", json!({ "batch": 1 }));
    let out = world.fill(1);
    assert_eq!((out.len(), out[0].to.as_str()), (1, "inbox.2"));
    assert_eq!(world.state().waiting_pulls, 0, "the other one was dropped without a word");
    // Interest that came back in time: the pull still lives.
    world.pull("back.1", json!({ "batch": 1 }));
    world.subjects.push("back.>".to_owned());
    assert_eq!(world.fill(1)[0].to, "back.1");
}

#[test]
fn bytes_end_a_pull() {
    let mut world = World::with_worker(json!({}));
    world.fill(3);
    let out = world.pull("inbox.1", json!({ "batch": 9, "max_bytes": 20 }));
    assert_eq!(texts(&out), ["409 Message Size Exceeds MaxBytes"]);
    let out = world.pull("inbox.1", json!({ "batch": 2, "max_bytes": 1_000 }));
    assert_eq!(texts(&out), ["message 1", "message 2", "409 Batch Completed"]);
}

#[test]
fn what_a_consumer_does_not_allow_is_refused() {
    let limits = json!({ "max_batch": 10, "max_expires": 20 * SECOND, "max_bytes": 5_000, "max_waiting": 1 });
    let mut world = World::with_worker(limits);
    let fine = json!({ "batch": 1, "expires": SECOND, "max_bytes": 100 });
    let with = |field: &str, value: Value| {
        let mut body = fine.clone();
        body[field] = value;
        body
    };
    for (body, text) in [
        (with("batch", json!(11)), "409 Exceeded MaxRequestBatch of 10"),
        (with("expires", json!(21 * SECOND)), "409 Exceeded MaxRequestExpires of 20s"),
        (with("max_bytes", json!(5_001)), "409 Exceeded MaxRequestMaxBytes of 5000"),
        (with("idle_heartbeat", json!(SECOND)), "400 Bad Request - heartbeat value too large"),
    ] {
        assert_eq!(texts(&world.pull("inbox.1", body)), [text]);
    }
    assert_eq!(texts(&world.pull("inbox.1", fine.clone())), [""; 0]);
    assert_eq!(texts(&world.pull("inbox.2", fine.clone())), ["409 Exceeded MaxWaiting"]);
    let beating = with("idle_heartbeat", json!(SECOND / 2));
    assert_eq!(texts(&world.pull("inbox.2", beating)), [""; 0], "dropped without a word");
    assert_eq!(world.state().waiting_pulls, 1);
}

#[test]
fn deliveries_begin_where_the_policy_says() {
    for (policy, expected) in [
        (json!({ "deliver_policy": "all" }), vec!["message 1", "message 2", "message 1"]),
        (json!({ "deliver_policy": "last" }), vec!["message 1"]),
        (json!({ "deliver_policy": "new" }), vec![]),
        (json!({ "deliver_policy": "by_start_sequence", "opt_start_seq": 2 }), vec!["message 2", "message 1"]),
        (json!({ "deliver_policy": "by_start_time", "opt_start_time": "2026-01-01T00:00:00.5Z" }), vec!["message 1"]),
        (json!({ "deliver_policy": "last_per_subject", "filter_subject": "s.>" }), vec!["message 2", "message 1"]),
        (json!({ "filter_subject": "s.2" }), vec!["message 2"]),
        (json!({ "filter_subjects": ["s.1", "s.7"] }), vec!["message 1", "message 1"]),
    ] {
        let mut world = World::with_stream(json!({}));
        world.fill(2);
        world.pass(1_000);
        world.fill(1);
        let filter = policy["filter_subject"].as_str().map(|filter| format!(".{filter}")).unwrap_or_default();
        let body = json!({ "stream_name": "S", "config": policy });
        let info = world.api(&format!("CONSUMER.CREATE.S.c{filter}"), body);
        assert_eq!(info["num_pending"], expected.len(), "{info}");
        assert_eq!(texts(&world.pull("inbox.1", json!({ "batch": 10 }))), expected, "{policy}");
        assert_eq!(world.state().pending, 0);
        let more = world.fill(3).len();
        let wants = if policy.get("filter_subject").is_some_and(|filter| filter == "s.2") { 1 } else { 3 };
        let wants = if policy.get("filter_subjects").is_some() { 1 } else { wants };
        assert_eq!(more, wants, "{policy}");
    }
}

#[test]
fn an_abandoned_consumer_is_deleted_and_a_pulled_one_is_not() {
    let mut world = World::with_stream(json!({}));
    world.consumer(json!({ "name": "c", "inactive_threshold": SECOND }));
    world.pull("inbox.1", json!({ "expires": 10 * SECOND }));
    world.pass(8_000);
    assert!(world.model.consumer("S", "c").is_some());
    world.subjects.clear();
    world.pass(1_200);
    assert_eq!(world.model.consumer("S", "c"), None);
    let (heard, _) = world.say("$JS.API.CONSUMER.MSG.NEXT.S.c", Some("inbox.1"), "", b"");
    assert!(!heard);
}

#[test]
fn a_deleted_consumer_says_so_to_its_pulls() {
    let mut world = World::with_worker(json!({}));
    world.pull("inbox.1", json!({ "batch": 5 }));
    let (_, out) = world.say("$JS.API.CONSUMER.DELETE.S.c", Some("inbox.api"), "", b"");
    assert_eq!(texts(&out)[0], "409 Consumer Deleted");
}

#[test]
fn a_paused_consumer_delivers_nothing_until_its_time() {
    let mut world = World::with_worker(json!({}));
    let paused = world.api("CONSUMER.PAUSE.S.c", json!({ "pause_until": "2026-01-01T00:00:05Z" }));
    assert_eq!((&paused["paused"], &paused["pause_remaining"]), (&json!(true), &json!(5 * SECOND)));
    world.fill(1);
    assert_eq!(texts(&world.pull("inbox.1", json!({}))), [""; 0]);
    assert_eq!(texts(&world.pass(5_000)), ["message 1"]);
}
