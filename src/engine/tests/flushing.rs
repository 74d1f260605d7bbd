//! Flush: Ok only after a PONG (promise 2, I5), in doubt once, and per handle.

use super::pair::{PONG, Pair, config, eof, ms, secs};
use crate::engine::Config;

#[test]
fn a_flush_waits_for_the_pong_after_everything() {
    let mut pair = Pair::ready();
    pair.admit("x", b"1").unwrap();
    pair.flush(0);
    pair.expect_written("PUB x 1 1 PING");
    pair.expect(&[]);
    pair.serve(PONG);
    pair.expect(&["flush 1 ok"]);
}

#[test]
fn flushes_of_one_round_share_a_ping_and_later_ones_do_not() {
    let mut pair = Pair::ready();
    pair.command(|engine, _| {
        engine.flush(101, 0);
        engine.flush(102, 0);
    });
    pair.admit("x", b"1").unwrap();
    pair.settle();
    pair.flush(0);
    pair.expect_written("PUB x 1 1 PING PING");
    pair.serve(PONG);
    pair.expect(&["flush 101 ok", "flush 102 ok"]);
    pair.serve(PONG);
    pair.expect(&["flush 1 ok"]);
}

#[test]
fn a_flush_waits_through_an_outage() {
    let mut pair = Pair::ready();
    pair.lose(eof());
    pair.publish("x", "1");
    pair.flush(0);
    pair.forget();
    pair.reconnect();
    pair.expect_written("CONNECT {… PING PUB x 1 1 PING");
    pair.serve(PONG);
    pair.expect_among("flush 1 ok");
}

#[test]
fn messages_in_doubt_fail_a_flush_once_for_each_handle() {
    let mut pair = Pair::ready();
    pair.publish("x", "1");
    pair.publish("x", "2");
    pair.flush(0);
    pair.lose(eof());
    let doubt = "2 messages are in doubt: the connection was lost before the server confirmed them";
    pair.expect_among(&format!("flush 1 failed: {doubt}"));
    // The handle that knows can flush again; another gets the report first.
    pair.flush(2);
    pair.expect(&[]);
    pair.flush(0);
    pair.expect(&[&format!("flush 3 failed: {doubt}")]);
    pair.reconnect();
    pair.serve(PONG);
    pair.expect_among("flush 2 ok");
    // Only the difference is reported.
    pair.publish("x", "3");
    pair.lose(eof());
    pair.flush(2);
    pair.expect_among("flush 4 failed: 1 message is in doubt");
}

#[test]
fn a_flush_with_nothing_in_doubt_survives_the_loss() {
    let mut pair = Pair::ready();
    pair.flush(0);
    pair.lose(eof());
    pair.reconnect();
    pair.serve(PONG);
    pair.expect_among("flush 1 ok");
}

#[test]
fn a_cancelled_flush_asks_for_no_ping() {
    let mut pair = Pair::ready();
    pair.lose(eof());
    pair.flush(0);
    pair.command(|engine, _| engine.keep_flushes(|token| token != 1));
    pair.reconnect();
    pair.expect_written("CONNECT {… PING");
}

#[test]
fn a_flush_after_the_end_fails() {
    let mut pair = Pair::plain();
    pair.flush(0);
    pair.expect(&["flush 1 failed: reconnecting was given up: no servers in the pool"]);
    pair.connect();
    pair.flush(0);
    pair.expect(&["Connecting a:4222 1", "dial a"]);
    pair.refuse();
    pair.expect_among("flush 2 failed: reconnecting was given up: connection refused");
    pair.close();
    pair.flush(0);
    pair.expect_among("flush 3 failed: the client was closed");
}

#[test]
fn a_flush_that_waits_fails_when_reconnecting_is_given_up() {
    let mut pair = Pair::connected(Config { max_reconnects: Some(1), ..config() }, &["a"]);
    pair.advance(secs(2));
    pair.flush(0);
    pair.lose(eof());
    pair.advance(ms(250));
    pair.refuse();
    pair.expect_among("flush 1 failed: reconnecting was given up");
}
