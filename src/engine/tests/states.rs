//! The six states and every arrow between them (S1 to S3, S22).

use super::pair::{Pair, addrs, config, eof, ms, secs};
use crate::engine::Config;
use crate::engine::Status::{Closed, Connected, Connecting, Disconnected, Draining, Reconnecting};

#[test]
fn the_first_connection() {
    let mut pair = Pair::plain();
    assert_eq!(pair.engine.status(), Disconnected);
    pair.connect();
    pair.accept();
    assert_eq!(pair.statuses, [Disconnected, Connecting, Connected]);
}

#[test]
fn a_failed_first_attempt_is_already_reconnecting() {
    let mut pair = Pair::dialling(config(), &["a", "b"]);
    pair.refuse();
    assert_eq!(pair.engine.status(), Reconnecting);
    pair.accept();
    assert_eq!(pair.statuses, [Disconnected, Connecting, Reconnecting, Connected]);
}

#[test]
fn a_first_round_without_success_ends_disconnected_and_says_why() {
    let mut pair = Pair::dialling(config(), &["a", "b"]);
    pair.refuse();
    pair.refuse();
    assert_eq!(pair.statuses, [Disconnected, Connecting, Reconnecting, Disconnected]);
    pair.expect_among("GaveUp after 2: connection refused");
    assert_eq!(pair.engine.poll_timeout(), None);
}

#[test]
fn a_loss_is_reconnecting_until_it_is_connected() {
    let mut pair = Pair::ready();
    pair.lose(eof());
    assert_eq!(pair.engine.status(), Reconnecting);
    pair.advance(ms(250));
    pair.refuse();
    pair.advance(secs(1));
    pair.accept();
    assert_eq!(pair.statuses, [Disconnected, Connecting, Connected, Reconnecting, Connected]);
}

#[test]
fn exhausted_retries_end_disconnected_not_closed() {
    let mut pair = Pair::connected(Config { max_reconnects: Some(2), ..config() }, &["a"]);
    pair.advance(secs(2));
    pair.lose(eof());
    pair.advance(secs(1));
    pair.refuse();
    pair.advance(secs(1));
    pair.refuse();
    pair.expect_among("GaveUp after 2: ");
    assert_eq!(pair.statuses, [Disconnected, Connecting, Connected, Reconnecting, Disconnected]);
    // Connecting again is possible.
    pair.connect();
    pair.advance(secs(1));
    pair.accept();
    assert_eq!(pair.statuses[5..], [Connecting, Connected]);
}

#[test]
fn after_a_new_pool_the_state_stays_reconnecting() {
    let mut pair = Pair::dialling(Config { retry_on_initial_connect: true, ..config() }, &["a"]);
    pair.refuse();
    pair.set_pool(addrs(&["b"]));
    pair.accept();
    assert_eq!(pair.statuses, [Disconnected, Connecting, Reconnecting, Connected]);
}

#[test]
fn drain_goes_through_draining_to_closed() {
    let mut pair = Pair::ready();
    pair.drain(secs(30));
    pair.serve(b"PONG\r\n");
    pair.serve(b"PONG\r\n");
    assert_eq!(pair.statuses, [Disconnected, Connecting, Connected, Draining, Closed]);
}

#[test]
fn close_is_an_arrow_from_every_state() {
    let mut pair = Pair::plain();
    pair.close();
    assert_eq!(pair.statuses, [Disconnected, Closed]);

    let mut pair = Pair::dialling(config(), &["a"]);
    pair.close();
    assert_eq!(pair.statuses, [Disconnected, Connecting, Closed]);

    let mut pair = Pair::ready();
    pair.close();
    pair.serve(b"PONG\r\n");
    assert_eq!(pair.statuses, [Disconnected, Connecting, Connected, Closed]);

    let mut pair = Pair::ready();
    pair.lose(eof());
    pair.close();
    assert_eq!(pair.statuses, [Disconnected, Connecting, Connected, Reconnecting, Closed]);

    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.drain(secs(30));
    pair.close();
    pair.serve(b"PONG\r\nPONG\r\n");
    assert_eq!(pair.statuses, [Disconnected, Connecting, Connected, Draining, Closed]);
}

#[test]
fn closed_is_final() {
    let mut pair = Pair::ready();
    pair.close();
    pair.serve(b"PONG\r\n");
    pair.forget();
    pair.connect();
    pair.force_reconnect();
    pair.drain(secs(1));
    pair.close();
    pair.set_pool(addrs(&["b"]));
    pair.expect(&[]);
    pair.advance(secs(1000));
    pair.expect(&[]);
    assert_eq!((pair.engine.status(), pair.engine.poll_timeout()), (Closed, None));
}

#[test]
fn without_reconnecting_a_loss_ends_the_search() {
    let mut pair = Pair::dialling(Config { reconnect: false, ..config() }, &["a", "b"]);
    pair.refuse();
    pair.accept();
    pair.advance(secs(5));
    pair.lose(eof());
    pair.expect_among("GaveUp after 0: closed by the server");
    assert_eq!(pair.engine.status(), Disconnected);
    assert_eq!(pair.dials.len(), 2);
}

#[test]
fn a_connection_that_dies_in_its_replay_is_not_reported() {
    let mut pair = Pair::dialling(Config { retry_on_initial_connect: true, ..config() }, &["a"]);
    pair.subscribe("s", 1);
    pair.greet();
    pair.forget();
    // S: PONG, EOF — in one round, before a SUB was loaded.
    let (epoch, now) = (pair.engine.epoch(), pair.now);
    pair.engine.handle_op(epoch, &crate::protocol::ServerOp::Pong, now);
    assert_eq!(pair.engine.status(), Connecting);
    pair.engine.handle_lost(epoch, eof(), now);
    pair.expect(&["close Drop", "AttemptFailed a:4222 1: closed by the server"]);
    pair.advance(ms(100));
    pair.accept();
    pair.expect_written("CONNECT {… PING SUB s 1");
    assert_eq!(pair.statuses, [Disconnected, Connecting, Reconnecting, Connected]);
}
