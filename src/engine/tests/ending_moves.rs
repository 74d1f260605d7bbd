//! The end of a client in the middle of a planned move.

use super::pair::{INFO, PONG, Pair, config, ms};
use crate::engine::{Config, Status};

/// A message is unconfirmed at `a`, and `b` was sent the queue group and a PING.
fn joining() -> Pair {
    let mut pair = Pair::connected(Config { prepare_moves: true, ..config() }, &["a", "b"]);
    pair.queue_subscribe("jobs", Some("q"), 1);
    pair.force_reconnect();
    pair.advance(ms(0));
    pair.aside(|pair| pair.dialed(0));
    pair.aside(|pair| pair.serve(INFO));
    pair.aside(|pair| pair.serve(PONG));
    pair.publish("x", "1");
    pair
}

#[test]
fn messages_in_doubt_are_reported_where_a_drain_ends_in_the_middle_of_a_move() {
    let mut pair = joining();
    pair.drain(ms(1500));
    pair.aside(|pair| pair.serve(PONG));
    pair.forget();
    // `b` is ready, so `a` is left, and does not answer.
    pair.advance(ms(1500));
    assert_eq!(pair.engine.status(), Status::Closed);
    pair.expect_among("Disconnected: closed by the user, 1 in doubt, 0 buffered");
    assert_eq!(pair.engine.ledger(pair.outbox.accepted()).in_doubt, 1);
}

#[test]
fn a_server_that_does_not_confirm_the_groups_is_left_with_the_limit_that_was_set_for_it() {
    let mut pair = joining();
    pair.forget();
    pair.advance(ms(1999));
    pair.expect(&[]);
    pair.advance(ms(1));
    pair.expect_among("AttemptFailed b:4222 1: took longer than 2s, waiting for the PONG after the queue groups");
    assert_eq!(pair.engine.status(), Status::Connected);
}

#[test]
fn a_drain_that_abandons_a_move_unsubscribes_what_was_subscribed_in_it() {
    let mut pair = Pair::ready();
    // The frame was admitted while the gate was open, and buffered when the connection was to be left.
    let now = pair.now;
    pair.engine.force_reconnect(now);
    pair.queue_subscribe("s", None, 1);
    pair.settle();
    pair.expect_written("PING");
    pair.drain(ms(1000));
    pair.expect_written("SUB s 1 UNSUB 1 PING");
    pair.serve(PONG);
    pair.forget();
    pair.serve(PONG);
    pair.expect(&["no more for 1"]);
}
