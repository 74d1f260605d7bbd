//! Acknowledgements and redeliveries.

use super::*;

#[test]
fn an_acknowledged_message_is_not_delivered_again() {
    let mut world = World::with_worker(json!({ "ack_wait": 1_000_000_000 }));
    world.fill(3);
    let out = world.pull("inbox.1", json!({ "batch": 3 }));
    assert_eq!(texts(&world.answer(&out[0], "+ACK", None)), [""; 0]);
    let confirmed = world.answer(&out[2], "+ACK", Some("inbox.2"));
    assert_eq!((confirmed.len(), confirmed[0].to.as_str(), &confirmed[0].payload[..]), (1, "inbox.2", &b""[..]));
    let state = world.state();
    assert_eq!((state.ack_pending, state.ack_floor_consumer, state.ack_floor_stream), (1, 1, 1));
    world.pull("inbox.3", json!({ "batch": 5 }));
    let again = world.pass(1_000);
    assert_eq!(texts(&again), ["message 2"]);
    assert!(again[0].reply.as_deref().unwrap().starts_with("$JS.ACK.S.c.2.2.4."), "{again:?}");
    // An answer to the first delivery counts too.
    world.answer(&out[1], "", None);
    assert_eq!((world.state().ack_pending, world.state().ack_floor_stream), (0, 3));
    assert_eq!(texts(&world.pass(5_000)), [""; 0]);
}

#[test]
fn every_other_answer_has_its_effect() {
    let mut world = World::with_worker(json!({ "ack_wait": 1_000_000_000 }));
    world.fill(2);
    let out = world.pull("inbox.1", json!({ "batch": 9 }));
    assert_eq!(texts(&world.answer(&out[0], "-NAK", None)), ["message 1"]);
    world.answer(&out[0], r#"-NAK {"delay":500000000}"#, None);
    world.answer(&out[1], "+TERM no use", None);
    assert_eq!(texts(&world.pass(499)), [""; 0]);
    assert_eq!(texts(&world.pass(1)), ["message 1"]);
    world.pass(900);
    world.answer(&out[0], "+WPI", None);
    assert_eq!(texts(&world.pass(900)), [""; 0]);
    assert_eq!(texts(&world.pass(100)), ["message 1"]);
    world.answer(&out[0], "+ACK", None);
    world.fill(1);
    world.fill(2);
    let next = world.answer(&out[0], "+NXT", Some("inbox.2"));
    assert_eq!((texts(&next), world.state().waiting_pulls), (vec![], 2), "an acknowledgement and a pull");
}

#[test]
fn all_acknowledges_what_came_before() {
    let mut world = World::with_worker(json!({ "ack_policy": "all" }));
    world.fill(4);
    let out = world.pull("inbox.1", json!({ "batch": 9 }));
    world.answer(&out[2], "+ACK", None);
    let state = world.state();
    assert_eq!((state.ack_pending, state.ack_floor_stream), (1, 3));
}

#[test]
fn no_more_than_the_limit_is_open() {
    let mut world = World::with_worker(json!({ "max_ack_pending": 2 }));
    world.fill(4);
    let out = world.pull("inbox.1", json!({ "batch": 9 }));
    assert_eq!(texts(&out), ["message 1", "message 2"]);
    assert_eq!(texts(&world.answer(&out[1], "", None)), ["message 3"]);
    assert_eq!(texts(&world.answer(&out[0], "-NAK", None)), ["message 1"], "one that is open already");
}

#[test]
fn after_the_last_delivery_the_consumer_gives_up_and_says_so() {
    let mut world = World::with_worker(json!({ "ack_wait": 1_000_000_000, "max_deliver": 2 }));
    world.fill(1);
    world.pull("inbox.1", json!({ "batch": 9 }));
    assert_eq!(texts(&world.pass(1_000)), ["message 1"]);
    let out = world.pass(1_000);
    assert_eq!(out[0].to, "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.S.c");
    assert_eq!((out.len(), world.state().ack_pending), (1, 0));
}

#[test]
fn a_stream_of_dead_letters_stores_the_advisory() {
    let mut world = World::with_worker(json!({ "ack_wait": 1_000_000_000, "max_deliver": 1 }));
    let subject = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>";
    world.api("STREAM.CREATE.DEAD", json!({ "name": "DEAD", "subjects": [subject] }));
    world.fill(1);
    world.pull("inbox.1", json!({ "batch": 9 }));
    world.pass(1_000);
    let dead: Vec<Value> =
        world.model.messages("DEAD").map(|(_, _, _, payload)| serde_json::from_slice(payload).unwrap()).collect();
    assert_eq!((dead.len(), &dead[0]["stream_seq"], &dead[0]["deliveries"]), (1, &json!(1), &json!(1)));
}

#[test]
fn a_backoff_spaces_redeliveries() {
    let mut world = World::with_worker(json!({ "backoff": [1_000_000_000, 3_000_000_000_u64], "max_deliver": 4 }));
    world.fill(1);
    world.pull("inbox.1", json!({ "batch": 9 }));
    let mut times = Vec::new();
    for _ in 0..100 {
        for _ in world.pass(100).iter().filter(|out| out.to == "inbox.1") {
            times.push((world.now - world.start).as_millis());
        }
    }
    assert_eq!(times, [1_000, 4_000, 7_000]);
}
