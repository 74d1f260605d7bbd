//! Faults.

use super::*;
use crate::testing::jetstream::{NewPulls, WaitingPulls};

fn elect(world: &mut World, pulls: NewPulls, waiting: WaitingPulls) -> Vec<Out> {
    let mut out = Vec::new();
    assert!(world.model.elect("S", "c", Duration::from_secs(2), pulls, waiting, world.now, &mut out));
    out
}

#[test]
fn an_election_loses_pulls_and_nothing_else() {
    let mut world = World::with_worker(json!({ "ack_wait": 1_000_000_000 }));
    world.fill(1);
    let first = world.pull("inbox.1", json!({ "batch": 5 }));
    assert_eq!(texts(&elect(&mut world, NewPulls::NoResponders, WaitingPulls::Told)), ["409 Leadership Change"]);
    world.fill(1);
    assert!(!world.say("$JS.API.CONSUMER.MSG.NEXT.S.c", Some("inbox.1"), "", b"").0);
    assert!(!world.say(first[0].reply.as_deref().unwrap(), Some("inbox.2"), "", b"+ACK").0);
    assert_eq!(texts(&world.pass(2_000)), [""; 0]);
    assert_eq!(texts(&world.pull("inbox.1", json!({ "batch": 5 }))), ["message 1", "message 1"], "again, and the next");
}

#[test]
fn an_election_can_be_silent() {
    let mut world = World::with_worker(json!({}));
    world.pull("inbox.1", json!({ "batch": 5 }));
    assert_eq!(texts(&elect(&mut world, NewPulls::Swallowed, WaitingPulls::Vanish)), [""; 0]);
    assert_eq!(texts(&world.pull("inbox.1", json!({}))), [""; 0]);
    world.fill(1);
    assert_eq!(texts(&world.pass(5_000)), [""; 0], "no pull waits");
    assert_eq!(texts(&world.pull("inbox.1", json!({}))), ["message 1"]);
}

#[test]
fn the_seed_decides_about_an_election() {
    let told = |seed| {
        let mut world = World::with_worker(json!({}));
        world.model.random = seed;
        world.pull("inbox.1", json!({}));
        let mut out = Vec::new();
        world.model.elect_somehow("S", "c", Duration::from_secs(1), world.now, &mut out);
        out.len()
    };
    let all: Vec<usize> = (0..100).map(told).collect();
    let sum: usize = all.iter().sum();
    assert!((40..80).contains(&sum), "{sum} of 100 were told");
    assert_eq!(told(7), all[7]);
}

#[test]
fn each_loss_happens_as_often_as_it_was_asked_for() {
    let mut world = World::with_worker(json!({ "ack_wait": 1_000_000_000 }));
    world.model.lose_publish_acks(1);
    let (heard, out) = world.say("s.1", Some("inbox.pub"), "", b"message 1");
    assert!(heard && out.is_empty() && world.model.messages("S").count() == 1);
    world.model.swallow_pulls(1);
    assert_eq!(texts(&world.pull("inbox.1", json!({ "batch": 5 }))), [""; 0]);
    world.model.lose_deliveries(1);
    assert_eq!(texts(&world.pull("inbox.1", json!({ "batch": 5 }))), [""; 0]);
    let out = world.pass(1_000);
    assert_eq!(texts(&out), ["message 1"]);
    world.model.lose_acks(1);
    assert_eq!(texts(&world.answer(&out[0], "", Some("inbox.2"))), [""; 0]);
    assert_eq!(world.state().ack_pending, 1);
    assert_eq!(world.answer(&out[0], "", Some("inbox.2")).len(), 1);
    assert_eq!(world.state().ack_pending, 0);
}

#[test]
fn deliveries_come_twice_or_late() {
    let mut world = World::with_worker(json!({}));
    world.pull("inbox.1", json!({ "batch": 5 }));
    world.model.double_deliveries(1);
    assert_eq!(texts(&world.fill(1)), ["message 1", "message 1"]);
    world.model.delay_deliveries(1, Duration::from_secs(1));
    assert_eq!(texts(&world.fill(2)), ["message 2"]);
    assert_eq!(texts(&world.pass(1_000)), ["message 1"]);
}

#[test]
fn a_consumer_vanishes_and_a_stream_is_offline() {
    let mut world = World::with_worker(json!({}));
    world.pull("inbox.1", json!({ "batch": 5 }));
    assert!(world.model.take_offline("S", Duration::from_secs(1), world.now));
    assert!(!world.say("s.1", Some("inbox.pub"), "", b"").0);
    assert!(!world.say("$JS.API.STREAM.INFO.S", Some("inbox.api"), "", b"").0);
    world.pass(1_000);
    assert_eq!(world.fill(1).len(), 1, "the pull has waited");
    assert!(world.model.lose_consumer("S", "c"));
    assert_eq!(texts(&world.fill(1)), [""; 0]);
    assert_eq!(world.api("CONSUMER.INFO.S.c", json!({}))["error"]["err_code"], 10014);
}

#[test]
fn a_restart_forgets_pulls_and_what_was_in_memory_only() {
    let mut world = World::with_worker(json!({}));
    world.pull("inbox.1", json!({ "batch": 5 }));
    let config = json!({ "name": "d", "mem_storage": true });
    world.api("CONSUMER.CREATE.S.d", json!({ "stream_name": "S", "config": config }));
    world.model.restart(world.now);
    assert_eq!(world.model.consumer_names("S").collect::<Vec<_>>(), ["c"]);
    assert_eq!(texts(&world.fill(1)), [""; 0]);
    assert_eq!(world.model.stream_names().collect::<Vec<_>>(), ["S"]);
}
