//! Planned moves: `force_reconnect` in every phase.

use super::pair::{INFO, PONG, Pair, config, eof, ms, secs};
use crate::engine::{Config, Gate, Status};

#[test]
fn a_move_waits_for_the_pong_so_that_nothing_is_in_doubt() {
    let mut pair = Pair::ready();
    pair.admit("x", b"1").unwrap();
    pair.force_reconnect();
    pair.expect_written("PUB x 1 1 PING");
    assert_eq!((pair.outbox.gate(), pair.engine.status()), (Gate::Buffering, Status::Connected));
    pair.publish("x", "2");
    pair.expect_written("");
    pair.expect(&[]);
    pair.serve(PONG);
    pair.expect(&[
        "close Finish",
        "handed over to 1, 0 in doubt",
        "Disconnected: reconnect was forced, 0 in doubt, 1 buffered",
        "Connecting a:4222 1",
        "dial a",
    ]);
    pair.accept();
    pair.expect_written("CONNECT {… PING PUB x 1 2");
    pair.expect(&["Reconnected a:4222 after 1: 0 subs, 1 flushed, 0 buffered"]);
}

#[test]
fn a_move_waits_no_longer_than_two_seconds() {
    let mut pair = Pair::ready();
    pair.publish("x", "1");
    pair.force_reconnect();
    pair.advance(ms(1999));
    pair.expect(&[]);
    pair.advance(ms(1));
    pair.expect_among("Disconnected: reconnect was forced, 1 in doubt, 0 buffered");
}

#[test]
fn asking_twice_for_a_move_makes_one_move() {
    let mut pair = Pair::ready();
    pair.publish("x", "1");
    pair.force_reconnect();
    pair.force_reconnect();
    pair.expect(&[]);
    pair.serve(PONG);
    pair.expect_among("Disconnected: reconnect was forced, 0 in doubt");
    assert_eq!(pair.dials.len(), 2);
}

#[test]
fn a_loss_during_a_move_is_reported_as_a_loss() {
    let mut pair = Pair::ready();
    pair.publish("x", "1");
    pair.force_reconnect();
    pair.lose(eof());
    pair.expect_among("Disconnected: closed by the server, 1 in doubt");
}

#[test]
fn a_move_goes_to_another_server_if_there_is_one() {
    let mut pair = Pair::connected(config(), &["a", "b"]);
    pair.force_reconnect();
    pair.serve(PONG);
    assert_eq!(pair.dials.last().unwrap().1, "b");
}

#[test]
fn force_reconnect_skips_the_wait() {
    let mut pair = Pair::ready();
    pair.lose(eof());
    for _ in 0..10 {
        pair.advance(secs(5));
        pair.refuse();
    }
    pair.forget();
    pair.force_reconnect();
    pair.expect(&["Connecting a:4222 11", "dial a"]);
}

#[test]
fn an_attempt_in_progress_is_the_reconnect_that_was_requested() {
    let mut pair = Pair::dialling(Config { max_reconnects: Some(1), ..config() }, &["a"]);
    pair.force_reconnect();
    pair.dialed(0);
    pair.force_reconnect();
    pair.serve(INFO);
    pair.force_reconnect();
    pair.serve(PONG);
    pair.expect(&["Connecting a:4222 1", "dial a", "Connected a:4222 after 1"]);
}

#[test]
fn force_reconnect_revives_a_client_that_has_given_up() {
    let mut pair = Pair::connected(Config { max_reconnects: Some(1), ..config() }, &["a"]);
    pair.subscribe("s", 1);
    pair.advance(secs(2));
    pair.lose(eof());
    pair.publish("x", "1");
    pair.advance(ms(250));
    pair.refuse();
    pair.expect_among("GaveUp after 1");
    assert_eq!((pair.engine.status(), pair.outbox.gate()), (Status::Disconnected, Gate::Shut));
    assert_eq!(pair.engine.ledger(pair.outbox.accepted()).lost.closed, 1);
    pair.force_reconnect();
    assert_eq!(pair.outbox.gate(), Gate::Buffering);
    pair.publish("x", "2");
    pair.accept();
    pair.expect_written("CONNECT {… PING PUB x 1 2");
    pair.expect_among("Reconnected a:4222");
}

#[test]
fn a_move_waits_until_the_recovery_is_announced() {
    let mut pair = Pair::ready();
    pair.lose(eof());
    pair.publish("x", "1");
    pair.advance(ms(250));
    pair.greet();
    pair.takes = false;
    pair.serve(PONG);
    pair.forget();
    pair.force_reconnect();
    pair.take_all();
    pair.serve(PONG);
    let journal = pair.journal();
    // I9: whoever sees the connection announced finds all of its state there.
    assert_eq!(journal[0], "Reconnected a:4222 after 1: 0 subs, 1 flushed, 0 buffered");
    assert_eq!(journal[3], "Disconnected: reconnect was forced, 0 in doubt, 0 buffered");
}

#[test]
fn a_subscription_drained_during_a_move_gets_what_the_server_had_sent() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.force_reconnect();
    pair.drain_subscription(1);
    pair.serve(b"MSG s 1 0\r\n\r\n");
    assert_eq!(pair.delivered, [1]);
    pair.serve(PONG);
    pair.expect_among("stream 1 ends: drained");
}

#[test]
fn interest_that_changes_during_a_move_goes_to_the_next_server() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.force_reconnect();
    pair.subscribe("t", 2);
    pair.unsubscribe(1);
    pair.serve(PONG);
    pair.accept();
    pair.expect_written("CONNECT {… PING SUB t 2");
}
