//! Servers that accept no more subscriptions: they refuse SUBs without naming them.

use super::pair::{PONG, Pair, config, eof, ms};
use crate::engine::{Config, Status};

const FULL: &[u8] = b"-ERR 'maximum subscriptions exceeded'\r\n";
const SAID: &str = "ServerError maximum subscriptions exceeded";

fn message(sid: u64) -> Vec<u8> {
    format!("MSG s {sid} 1\r\nm\r\n").into_bytes()
}

fn ended(sid: u64) -> String {
    format!("stream {sid} ends: refused by the server: maximum subscriptions exceeded")
}

/// Connected, with these subscriptions that the server has accepted.
fn with(accepted: u64) -> Pair {
    let mut pair = Pair::ready();
    for sid in 1..=accepted {
        pair.subscribe("s", sid);
    }
    pair.flush(0);
    pair.serve(PONG);
    pair.forget();
    pair
}

// Fault I2. No server of the tests, real or simulated, ever had a limit of subscriptions.
#[test]
fn a_subscription_that_a_full_server_refuses_ends_a_round_trip_later() {
    let mut pair = with(2);
    pair.subscribe("s", 3);
    pair.expect_written("SUB s 3");
    pair.serve(FULL);
    pair.expect(&[SAID]);
    pair.expect_written("PING");
    pair.serve(PONG);
    pair.expect(&[&ended(3)]);
    assert_eq!(pair.engine.subscriptions.sids(), [1, 2]);
}

// Fault I2
#[test]
fn of_several_a_full_server_has_refused_the_last_ones() {
    let mut pair = with(1);
    for sid in 2..=4 {
        pair.queue_subscribe("s", None, sid);
    }
    pair.flush(0);
    pair.serve(&[FULL, FULL, PONG].concat());
    pair.expect(&[SAID, SAID, &ended(3), &ended(4), "flush 2 ok"]);
    // Those that it refused make no room, so the next ones are as clear.
    pair.queue_subscribe("s", None, 5);
    pair.queue_subscribe("s", None, 6);
    pair.flush(0);
    pair.forget();
    pair.serve(&[FULL, PONG].concat());
    pair.expect(&[SAID, &ended(6), "flush 3 ok"]);
    assert_eq!(pair.engine.subscriptions.sids(), [1, 2, 5]);
}

// Fault I2
#[test]
fn a_subscription_that_is_refused_by_name_is_not_the_one_for_which_there_is_no_room() {
    let mut pair = with(1);
    for (subject, sid) in [("s", 2), ("s", 3), ("no", 4)] {
        pair.queue_subscribe(subject, None, sid);
    }
    pair.flush(0);
    pair.forget();
    pair.serve(&[FULL, b"-ERR 'Permissions Violation for Subscription to \"no\"'\r\n", PONG].concat());
    pair.expect_among(&ended(3));
    assert_eq!(pair.engine.subscriptions.sids(), [1, 2]);
}

// Fault I2
#[test]
fn where_a_subscription_has_ended_in_between_sub_is_sent_again_one_by_one() {
    let mut pair = with(2);
    pair.queue_subscribe("s", None, 3);
    pair.unsubscribe(1);
    pair.queue_subscribe("s", None, 4);
    pair.flush(0);
    pair.forget();
    // It has refused the first, and had room for the second; or the other way round.
    pair.serve(&[FULL, PONG].concat());
    pair.expect(&[SAID, "flush 2 ok"]);
    pair.expect_written("UNSUB 3 SUB s 3 PING UNSUB 4 SUB s 4 PING");
    pair.serve(&[FULL, PONG, PONG].concat());
    pair.expect(&[SAID, &ended(3)]);
    pair.serve(&message(4));
    assert_eq!(pair.delivered_to(4), 1);
    assert_eq!(pair.engine.subscriptions.sids(), [2, 4]);
}

// Fault I2
#[test]
fn a_subscription_that_left_before_its_answer_is_not_mistaken_for_one_that_lives() {
    let mut pair = with(2);
    pair.queue_subscribe("s", None, 3);
    pair.queue_subscribe("s", None, 4);
    pair.unsubscribe(4);
    pair.flush(0);
    pair.forget();
    pair.serve(&[FULL, PONG].concat());
    pair.expect_written("UNSUB 3 SUB s 3 PING");
    pair.serve(PONG);
    assert_eq!(pair.engine.subscriptions.sids(), [1, 2, 3]);
}

// Fault I2. A server counts before it looks whether it knows the sid (`processSubEx` in client.go).
#[test]
fn a_full_server_that_refuses_what_it_knows_already_does_not_end_it() {
    let mut pair = with(1);
    pair.unsubscribe_after(1, 3);
    pair.unsubscribe_after(1, 5);
    pair.flush(0);
    pair.forget();
    pair.serve(&[FULL, PONG].concat());
    pair.expect(&[SAID, "flush 2 ok"]);
    pair.expect_written("UNSUB 1 SUB s 1 UNSUB 1 5 PING");
    pair.serve(PONG);
    assert_eq!(pair.engine.subscriptions.sids(), [1]);
}

// Fault I2. Only a simulated world in 300,000 had it: 100 s of backlog between a SUB and its PONG (seed 259368).
#[test]
fn a_subscription_that_was_asked_for_again_since_is_not_ended_by_its_first_refusal() {
    let mut pair = with(2);
    pair.subscribe("s", 3);
    pair.unsubscribe_after(3, 4);
    pair.flush(0);
    // There is room again, and a raised limit sends SUB once more.
    pair.unsubscribe(1);
    pair.unsubscribe_after(3, 5);
    pair.flush(0);
    pair.serve(&[FULL, PONG].concat());
    assert_eq!(pair.engine.subscriptions.sids(), [2, 3]);
    pair.serve(PONG);
    assert_eq!(pair.engine.subscriptions.sids(), [2, 3]);
}

// Fault I2
#[test]
fn a_smaller_server_keeps_the_first_of_a_replay() {
    let mut pair = with(4);
    pair.lose(eof());
    pair.advance(ms(250));
    pair.greet();
    pair.serve(PONG);
    pair.forget();
    pair.serve(&FULL.repeat(2));
    pair.serve(PONG);
    pair.expect_among(&ended(3));
    assert_eq!(pair.engine.subscriptions.sids(), [1, 2]);
    assert_eq!(pair.engine.status(), Status::Connected);
}

// Fault I2
#[test]
fn a_planned_move_to_a_server_without_room_is_given_up() {
    let mut pair = Pair::connected(Config { prepare_moves: true, ..config() }, &["a", "b"]);
    pair.queue_subscribe("s", Some("q"), 1);
    pair.flush(0);
    pair.serve(PONG);
    pair.serve(b"INFO {\"server_id\":\"S\",\"max_payload\":1048576,\"headers\":true,\"ldm\":true}\r\n");
    pair.advance(ms(1000));
    pair.aside(|beside| {
        beside.accept();
        beside.serve(FULL);
    });
    pair.expect_among("AttemptFailed b:4222 1: server error: maximum subscriptions exceeded");
    assert_eq!(pair.engine.subscriptions.sids(), [1]);
    assert_eq!(pair.engine.status(), Status::Connected);
}
