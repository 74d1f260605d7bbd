//! Single messages whose publishers wait for the PONG after them: N3, D10.

use super::pair::{PONG, Pair, eof, ms, secs};
use crate::engine::{DeliveryMode, OutboxRules, OverflowPolicy};

/// `PUB x 1 1`, with its line ends.
const FRAME: usize = 12;

fn at_least_once() -> Pair {
    Pair::ruled(OutboxRules { delivery: DeliveryMode::AtLeastOnce, ..OutboxRules::default() })
}

/// The next connection, up to the PONG of its handshake.
fn recover(pair: &mut Pair) {
    pair.reconnect();
}

#[test]
fn a_ping_follows_the_message_and_its_pong_is_reported() {
    let mut pair = Pair::ready();
    pair.publish_confirmed("x", "1");
    pair.expect_written("PUB x 1 1 PING");
    pair.expect(&[]);
    pair.serve(PONG);
    pair.expect(&["confirmed to 1"]);
}

#[test]
fn all_of_a_batch_share_one_ping_with_those_who_flush() {
    let mut pair = Pair::ready();
    pair.command(|engine, _| engine.flush(101, 0));
    for payload in ["1", "2", "3"] {
        let number = pair.admit("x", payload.as_bytes()).unwrap();
        pair.outbox.want_pong(number);
    }
    pair.admit("x", b"4").unwrap();
    pair.settle();
    // The flush was called when the messages had been taken out of the mailbox.
    pair.expect_written("PUB x 1 1 PUB x 1 2 PUB x 1 3 PUB x 1 4 PING PING");
    pair.serve(PONG);
    pair.expect(&["confirmed to 4"]);
    pair.serve(PONG);
    pair.expect(&["flush 101 ok"]);
}

#[test]
fn publishing_without_confirmation_costs_no_ping_and_reports_nothing() {
    let mut pair = Pair::ready();
    pair.publish_confirmed("x", "1");
    pair.publish("x", "2");
    pair.expect_written("PUB x 1 1 PING PUB x 1 2");
    pair.serve(PONG);
    pair.expect(&["confirmed to 1"]);
    pair.lose(eof());
    pair.forget();
    recover(&mut pair);
    pair.expect_written("CONNECT {… PING");
}

#[test]
fn a_message_that_a_lost_connection_had_taken_is_in_doubt_and_not_confirmed_later() {
    let mut pair = Pair::ready();
    pair.publish_confirmed("x", "1");
    pair.lose(eof());
    pair.expect_among("handed over to 1, 1 in doubt");
    recover(&mut pair);
    pair.expect_written("CONNECT {… PING");
    pair.publish_confirmed("x", "2");
    pair.forget();
    pair.serve(PONG);
    pair.expect(&["confirmed to 2"]);
}

#[test]
fn what_a_lost_connection_had_not_taken_completely_is_confirmed_on_the_next() {
    let mut pair = Pair::ready();
    pair.takes = false;
    pair.publish_confirmed("x", "1");
    pair.publish_confirmed("x", "2");
    pair.take(FRAME + 5);
    pair.lose(eof());
    pair.expect_among("handed over to 1, 1 in doubt");
    pair.takes = true;
    recover(&mut pair);
    pair.expect_written("…PUB x 1 2 PING");
    pair.forget();
    pair.serve(PONG);
    pair.expect(&["confirmed to 2"]);
}

#[test]
fn messages_published_in_an_outage_are_confirmed_when_they_are_sent() {
    let mut pair = Pair::ready();
    pair.lose(eof());
    pair.publish_confirmed("x", "1");
    pair.publish("x", "2");
    recover(&mut pair);
    pair.expect_written("…PUB x 1 1 PUB x 1 2 PING");
    pair.forget();
    pair.serve(PONG);
    pair.expect(&["confirmed to 2"]);
}

#[test]
fn in_a_move_it_waits_for_the_next_connection() {
    let mut pair = Pair::ready();
    pair.publish_confirmed("x", "1");
    pair.force_reconnect();
    pair.publish_confirmed("x", "2");
    pair.expect_written("PUB x 1 1 PING PING");
    pair.serve(PONG);
    pair.expect(&["confirmed to 1"]);
    pair.serve(PONG);
    pair.accept();
    pair.expect_written("…PUB x 1 2 PING");
    pair.forget();
    pair.serve(PONG);
    pair.expect(&["confirmed to 2"]);
}

#[test]
fn at_least_once_the_pong_of_the_resend_is_waited_for() {
    let mut pair = at_least_once();
    pair.publish_confirmed("x", "1");
    pair.lose(eof());
    pair.expect_among("handed over to 0, 0 in doubt");
    recover(&mut pair);
    pair.expect_written("…PUB x 1 1 PING");
    pair.forget();
    pair.serve(PONG);
    pair.expect(&["confirmed to 1"]);
}

#[test]
fn at_least_once_a_message_that_was_sent_can_not_be_withdrawn() {
    let mut pair = at_least_once();
    let sent = pair.publish_confirmed("x", "1");
    pair.lose(eof());
    let buffered = pair.publish_confirmed("x", "2");
    assert!(!pair.outbox.cancel(sent, &mut Vec::new()), "a connection had taken it");
    assert!(pair.outbox.cancel(buffered, &mut Vec::new()));
    recover(&mut pair);
    pair.expect_written("…PUB x 1 1 PING");
}

#[test]
fn messages_that_a_new_server_does_not_take_are_reported() {
    let mut pair = Pair::ready();
    pair.lose(eof());
    pair.publish_confirmed("x", "12345");
    pair.publish_confirmed("x", "1");
    pair.advance(ms(250));
    pair.accept_with(b"INFO {\"server_id\":\"S\",\"max_payload\":4,\"headers\":true}\r\n");
    pair.expect_among("dropped 1-1");
    pair.expect_written("…PUB x 1 1 PING");
    pair.forget();
    pair.serve(PONG);
    pair.expect(&["confirmed to 2"]);
}

#[test]
fn at_least_once_a_message_that_was_sent_and_then_dropped_is_reported_as_sent() {
    let mut pair = at_least_once();
    pair.publish_confirmed("x", "12345");
    pair.lose(eof());
    pair.publish_confirmed("x", "67890");
    pair.advance(ms(250));
    pair.accept_with(b"INFO {\"server_id\":\"S\",\"max_payload\":4,\"headers\":true}\r\n");
    pair.expect_among("dropped 1-1 again, 2-2");
}

#[test]
fn at_least_once_dropped_messages_are_reported_with_whether_they_were_sent() {
    let overflow = OverflowPolicy::DropOldest;
    let rules = OutboxRules { delivery: DeliveryMode::AtLeastOnce, cap: 2 * FRAME, overflow, ..OutboxRules::default() };
    let mut pair = Pair::ruled(rules);
    pair.publish_confirmed("x", "1");
    pair.lose(eof());
    for payload in ["2", "3", "4"] {
        pair.admit("x", payload.as_bytes()).unwrap();
    }
    pair.settle();
    pair.expect_among("dropped 1-1 again, 2-2");
}

#[test]
fn messages_given_up_at_the_end_are_reported_as_in_doubt_or_dropped() {
    let mut pair = at_least_once();
    pair.publish_confirmed("x", "sent");
    pair.lose(eof());
    pair.publish_confirmed("x", "buffered");
    pair.forget();
    pair.close();
    let journal = pair.journal();
    let expected = ["handed over to 1, 1 in doubt", "LeftInDoubt 1", "dropped 2-2", "Lost 1 closed: x buffered"];
    assert_eq!(journal.get(..4), Some(&expected.map(str::to_owned)[..]), "{journal:#?}");
}

#[test]
fn close_confirms_what_its_last_pong_covers() {
    let mut pair = Pair::ready();
    pair.publish_confirmed("x", "1");
    pair.close();
    pair.serve(PONG);
    pair.expect(&["confirmed to 1"]);
    pair.serve(PONG);
    pair.expect_among("the end: the client was closed, completed: true");
}

#[test]
fn close_without_a_pong_leaves_messages_in_doubt() {
    let mut pair = Pair::ready();
    pair.publish_confirmed("x", "1");
    pair.close();
    pair.advance(secs(1));
    pair.expect_among("handed over to 1, 1 in doubt");
}

#[test]
fn confirmations_survive_servers_that_die_between_handshake_and_pong() {
    let mut pair = at_least_once();
    pair.publish_confirmed("x", "1");
    for _ in 0..3 {
        pair.lose(eof());
        pair.advance(secs(9));
        pair.greet();
        pair.take_all();
        pair.forget();
        pair.serve(PONG);
        pair.expect_written("…PUB x 1 1 PING");
    }
    pair.serve(PONG);
    pair.expect_among("confirmed to 1");
}
