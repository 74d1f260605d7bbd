//! Subscriptions over several connections: what each server is sent, limits (I10), drains and refusals.

use super::pair::{PONG, Pair, config, eof, ms};
use crate::engine::{ExchangeInput, Gate, Interest, Purpose, Status};
use crate::protocol::ServerOp;

fn message(sid: u64) -> Vec<u8> {
    format!("MSG s {sid} 1\r\nm\r\n").into_bytes()
}

#[test]
fn interest_keeps_its_place_among_the_messages() {
    let mut pair = Pair::ready();
    pair.admit("x", b"1").unwrap();
    pair.queue_subscribe("s", None, 1);
    pair.admit("x", b"2").unwrap();
    pair.settle();
    pair.expect_written("PUB x 1 1 SUB s 1 PUB x 1 2");
    pair.unsubscribe(1);
    pair.expect_written("UNSUB 1");
    pair.expect(&["stream 1 ends: unsubscribed"]);
    pair.serve(&message(1));
    assert!(pair.delivered.is_empty());
}

#[test]
fn a_limit_holds_over_all_connections() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.unsubscribe_after(1, 7);
    pair.expect_written("SUB s 1 UNSUB 1 7");
    pair.serve(&message(1).repeat(3));
    pair.lose(eof());
    pair.reconnect();
    pair.expect_written("CONNECT {… PING SUB s 1 UNSUB 1 4");
    pair.serve(&message(1).repeat(2));
    // Sent again on the second connection: the server counts from its own SUB.
    pair.unsubscribe_after(1, 6);
    pair.expect_written("UNSUB 1 3");
    pair.forget();
    pair.serve(&message(1).repeat(5));
    assert_eq!(pair.delivered_to(1), 6);
    pair.expect(&["stream 1 ends: received the 6 messages asked for"]);
    pair.lose(eof());
    pair.reconnect();
    pair.expect_written("CONNECT {… PING");
}

#[test]
fn a_limit_that_is_reached_already_ends_the_subscription_immediately() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.serve(&message(1).repeat(3));
    pair.unsubscribe_after(1, 3);
    pair.expect(&["stream 1 ends: received the 3 messages asked for"]);
    pair.expect_written("SUB s 1 UNSUB 1");
    pair.subscribe("s", 2);
    pair.unsubscribe_after(2, 0);
    pair.expect(&["stream 2 ends: received the 0 messages asked for"]);
}

#[test]
fn a_limit_that_servers_can_not_parse_is_counted_here_and_not_sent() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.unsubscribe_after(1, 1_000_000_000);
    pair.expect_written("SUB s 1");
    pair.lose(eof());
    pair.reconnect();
    // Ten digits would be garbage to a server, and end the subscription.
    pair.expect_written("CONNECT {… PING SUB s 1");
    // A smaller limit is sent. Then it must not stay, and the largest that can be sent must not replace it: it would be reached
    // one day.
    pair.unsubscribe_after(1, 5);
    pair.expect_written("UNSUB 1 5");
    pair.serve(&message(1).repeat(2));
    pair.unsubscribe_after(1, 1_000_000_001);
    pair.expect_written("UNSUB 1 SUB s 1");
    pair.unsubscribe_after(1, 2_000_000_000);
    pair.expect_written("");
    pair.unsubscribe_after(1, 4);
    pair.expect_written("UNSUB 1 4");
}

#[test]
fn a_drained_subscription_is_not_sent_again_for_another_limit() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.unsubscribe_after(1, 2);
    pair.drain_subscription(1);
    pair.forget();
    // A SUB would make the server begin again, and nobody would unsubscribe it.
    for max in [4, 2_000_000_000, 3] {
        pair.unsubscribe_after(1, max);
    }
    pair.expect_written("");
    pair.serve(&message(1).repeat(4));
    assert_eq!(pair.delivered_to(1), 3);
    pair.expect(&["stream 1 ends: received the 3 messages asked for"]);
}

#[test]
fn a_limit_that_is_raised_holds_whether_or_not_the_server_had_reached_the_old_one() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.unsubscribe_after(1, 3);
    pair.serve(&message(1).repeat(2));
    pair.unsubscribe_after(1, 5);
    // A server that still knows the sid takes the UNSUB and ignores the SUB; one that does not does the opposite.
    pair.expect_written("SUB s 1 UNSUB 1 3 UNSUB 1 5 SUB s 1");
    pair.serve(&message(1).repeat(4));
    assert_eq!(pair.delivered_to(1), 5);
    pair.expect(&["stream 1 ends: received the 5 messages asked for"]);
    // If it was subscribed again, that server has no limit yet.
    pair.expect_written("UNSUB 1");
}

#[test]
fn after_a_raised_limit_the_next_server_counts_again() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.unsubscribe_after(1, 3);
    pair.unsubscribe_after(1, 5);
    pair.lose(eof());
    pair.reconnect();
    pair.expect_written("CONNECT {… PING SUB s 1 UNSUB 1 5");
    pair.serve(&message(1).repeat(5));
    pair.expect_written("");
}

#[test]
fn a_limit_that_is_set_while_disconnected_is_sent_with_the_replay() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.serve(&message(1));
    pair.lose(eof());
    pair.unsubscribe_after(1, 3);
    pair.reconnect();
    pair.expect_written("CONNECT {… PING SUB s 1 UNSUB 1 2");
}

/// A connection whose replay has sent `1` and not yet `9000`: the transport takes nothing.
fn replaying() -> Pair {
    let mut pair = Pair::dialling(config(), &["a"]);
    for sid in 1..=9000 {
        pair.queue_subscribe("some.subject.of.some.length", None, sid);
    }
    pair.greet();
    pair.forget();
    pair.takes = false;
    pair.serve(PONG);
    assert!(pair.engine.flight().unwrap().len() < 70_000, "in pieces");
    pair
}

#[test]
fn a_large_replay_goes_in_pieces() {
    let mut pair = replaying();
    pair.take(60_000);
    pair.expect(&[]);
    pair.take_all();
    let written = pair.written();
    assert_eq!(written.matches("SUB").count(), 9000);
    pair.expect(&["Connected a:4222 after 1"]);
}

#[test]
fn subscriptions_made_during_the_replay_are_sent_last() {
    let mut pair = replaying();
    pair.subscribe("late", 9001);
    pair.unsubscribe_after(9001, 2);
    pair.admit("x", b"1").unwrap();
    pair.take_all();
    let written = pair.written();
    assert!(written.ends_with("9000 SUB late 9001 UNSUB 9001 2 PUB x 1 1"), "{}", &written[written.len() - 99..]);
}

#[test]
fn subscriptions_ended_during_the_replay_are_not_sent_or_are_unsubscribed() {
    let mut pair = replaying();
    pair.unsubscribe(1);
    pair.unsubscribe(9000);
    pair.unsubscribe_after(2, 4);
    pair.unsubscribe_after(8999, 4);
    pair.take_all();
    let written = pair.written();
    assert!(written.contains(" UNSUB 1 ") && written.contains(" UNSUB 2 4 "));
    assert!(!written.contains(" 9000"), "it was never told");
    assert!(written.ends_with("length 8999 UNSUB 8999 4"));
}

#[test]
fn a_drain_of_replayed_subscriptions_waits_for_the_server() {
    let mut pair = replaying();
    pair.drain_subscription(1);
    pair.drain_subscription(9000);
    // The second server knows nothing of the second.
    pair.expect(&["stream 9000 ends: drained"]);
    pair.take_all();
    pair.serve(&message(1));
    assert_eq!(pair.delivered, [1]);
    assert!(pair.written().ends_with("PING"));
    pair.forget();
    pair.serve(PONG);
    pair.expect(&["stream 1 ends: drained"]);
}

#[test]
fn a_drained_subscription_gets_what_the_server_had_sent() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.drain_subscription(1);
    pair.expect_written("SUB s 1 UNSUB 1 PING");
    pair.serve(&message(1));
    assert_eq!(pair.delivered, [1]);
    pair.serve(PONG);
    pair.expect(&["stream 1 ends: drained"]);
}

#[test]
fn a_drained_subscription_ends_with_its_connection() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.drain_subscription(1);
    pair.lose(eof());
    pair.expect_among("stream 1 ends: drained");
    pair.subscribe("s", 2);
    pair.drain_subscription(2);
    pair.expect_among("stream 2 ends: drained");
    pair.reconnect();
    pair.expect_written("CONNECT {… PING");
}

#[test]
fn a_refused_subscription_ends_and_its_neighbours_do_not() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.queue_subscribe("s", Some("q"), 2);
    pair.queue_subscribe("s", Some("r"), 3);
    pair.subscribe("t", 4);
    pair.forget();
    pair.serve(b"-ERR 'Permissions Violation for Subscription to \"s\" using queue \"q\"'\r\n");
    let journal = pair.journal();
    assert_eq!(journal.len(), 2, "{journal:?}");
    assert!(journal[1].starts_with("stream 2 ends: refused by the server"));
    pair.serve(b"-ERR 'Permissions Violation for Subscription to \"t\" (sid \"4\")'\r\n");
    pair.expect_among("stream 4 ends: refused by the server");
    pair.lose(eof());
    pair.reconnect();
    pair.expect_written("CONNECT {… PING SUB s 1 SUB s r 3");
}

#[test]
fn a_refusal_without_a_queue_is_for_the_plain_subscription_if_there_is_one() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.queue_subscribe("s", Some("q"), 2);
    pair.forget();
    pair.serve(b"-ERR 'Permissions Violation for Subscription to \"s\"'\r\n");
    let journal = pair.journal();
    assert_eq!(journal.len(), 2, "{journal:?}");
    assert!(journal[1].starts_with("stream 1 ends: refused by the server"));
    // An old server does not name the queue group.
    pair.serve(b"-ERR 'Permissions Violation for Subscription to \"s\"'\r\n");
    pair.expect_among("stream 2 ends: refused by the server");
}

#[test]
fn messages_before_the_handshake_is_done_are_out_of_turn_and_for_nobody() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.lose(eof());
    pair.advance(ms(250));
    pair.greet();
    pair.serve(&message(1));
    assert!(pair.delivered.is_empty());
    pair.expect_among("AttemptFailed a:4222 1: the server sent MSG where PONG was expected");
}

#[test]
fn messages_for_an_unknown_sid_are_not_wanted() {
    let mut pair = Pair::ready();
    pair.serve(&message(77));
    pair.unsubscribe_after(77, 1);
    pair.command(|engine, _| {
        engine.unsubscribe(77, false);
        engine.drain_subscription(77, false);
        engine.handle_finished(77);
        engine.handle_complete(77, 1);
    });
    pair.expect(&[]);
    pair.expect_written("");
    let (epoch, now) = (pair.engine.epoch(), pair.now);
    pair.engine.handle_op(epoch, &ServerOp::Ok, now);
    pair.expect(&[]);
}

#[test]
fn a_handle_that_subscribes_without_a_pause_does_not_keep_the_gate_shut() {
    let mut pair = Pair::ready();
    pair.subscribe("a", 1);
    pair.lose(eof());
    pair.admit("x", b"1").unwrap();
    pair.advance(ms(250));
    pair.greet();
    pair.forget();
    pair.engine.handle_op(pair.engine.epoch(), &ServerOp::Pong, pair.now);
    for round in 0..3 {
        let sid = 2 + round;
        let framed = pair.outbox.admit_subscribe(b"b", None, sid);
        assert_eq!(framed, round > 0, "the gate is open from the second round on");
        let input = ExchangeInput { commands_waiting: true, requests_waiting: false };
        pair.engine.exchange(&mut pair.outbox, input, pair.now);
        assert_eq!(pair.outbox.gate(), Gate::Open);
        let interest = Interest { subject: b"b", queue: None, purpose: Purpose::Messages(None) };
        pair.engine.subscribe(sid, interest, sid, framed);
        assert_eq!(pair.engine.status(), Status::Reconnecting, "the transport has taken nothing yet");
    }
    // Messages published after a subscription stay after it.
    pair.expect_written("SUB a 1 SUB b 2 PUB x 1 1 SUB b 3 SUB b 4");
    pair.expect_among("Reconnected");
    assert_eq!(pair.engine.status(), Status::Connected);
}

#[test]
fn commands_that_write_nothing_delay_no_announcement() {
    let mut pair = Pair::ready();
    pair.lose(eof());
    pair.advance(ms(250));
    pair.greet();
    pair.engine.handle_op(pair.engine.epoch(), &ServerOp::Pong, pair.now);
    pair.command(|engine, _| engine.handle_finished(9));
    pair.forget();
    assert_eq!(pair.engine.status(), Status::Connected);
}
