//! Messages that a server refuses by name, before the PONG that covers them.

use super::pair::{PONG, Pair, eof, ms};
use crate::engine::{DeliveryMode, Ledger, OutboxRules};

const REFUSED: &[u8] = b"-ERR 'Permissions Violation for Publish to \"no\"'\r\n";

fn at_least_once() -> Pair {
    Pair::ruled(OutboxRules { delivery: DeliveryMode::AtLeastOnce, ..OutboxRules::default() })
}

fn ledger(pair: &mut Pair) -> Ledger {
    pair.settle();
    let ledger = pair.engine.ledger(pair.outbox.accepted());
    assert!(ledger.balances(), "{ledger:?}");
    ledger
}

// Fault C1. The simulation should have found it: its servers refused SUBs and never a PUB.
#[test]
fn a_refused_message_is_named_immediately_and_its_pong_does_not_confirm_it() {
    let mut pair = Pair::ready();
    pair.publish_confirmed("yes", "1");
    pair.publish_confirmed("no", "2");
    pair.serve(PONG);
    pair.expect(&["confirmed to 1"]);
    pair.serve(REFUSED);
    pair.expect(&["ServerError Permissions Violation for Publish to \"no\"", "refusing no of 1-2"]);
    assert_eq!(ledger(&mut pair).unconfirmed, 1);
    pair.serve(PONG);
    pair.expect(&["refused no of 1-2", "Lost 1 refused: ", "confirmed to 2"]);
    let ledger = ledger(&mut pair);
    assert_eq!((ledger.confirmed, ledger.lost.refused, ledger.unconfirmed), (1, 1, 0));
}

// Fault C1
#[test]
fn a_refusal_and_its_pong_in_one_read_are_reported_in_order() {
    let mut pair = Pair::ready();
    pair.publish_confirmed("no", "1");
    pair.serve(&[REFUSED, PONG].concat());
    let journal = pair.journal();
    assert_eq!(journal[1..], ["refusing no of 0-1", "refused no of 0-1", "Lost 1 refused: ", "confirmed to 1"]);
}

// Fault C1
#[test]
fn what_a_pong_has_covered_was_not_refused_and_what_comes_later_is_another_matter() {
    let mut pair = Pair::ready();
    pair.publish_confirmed("no", "allowed still");
    pair.serve(PONG);
    pair.publish_confirmed("no", "2");
    pair.forget();
    pair.serve(&[REFUSED, PONG].concat());
    pair.publish_confirmed("no", "allowed again");
    pair.serve(PONG);
    let journal = pair.journal();
    let expected = ["refusing no of 1-2", "refused no of 1-2", "Lost 1 refused: ", "confirmed to 2", "confirmed to 3"];
    assert_eq!(journal[1..], expected);
    assert_eq!(ledger(&mut pair).confirmed, 2);
}

// Fault C1
#[test]
fn a_loss_after_a_refusal_leaves_the_refused_message_neither_in_doubt_nor_unconfirmed() {
    let mut pair = Pair::ready();
    pair.publish("no", "1");
    pair.publish("yes", "2");
    pair.serve(REFUSED);
    pair.forget();
    pair.lose(eof());
    let journal = pair.journal();
    assert_eq!(
        journal[1..4],
        ["refused no of 0-2", "Lost 1 refused: ", "handed over to 2, 1 in doubt"],
        "{journal:#?}"
    );
    let ledger = ledger(&mut pair);
    assert_eq!((ledger.in_doubt, ledger.lost.refused), (1, 1));
}

// Fault C1
#[test]
fn at_least_once_a_refused_message_is_returned_and_not_sent_again() {
    let mut pair = at_least_once();
    pair.publish("no", "1");
    pair.publish("yes", "2");
    pair.serve(REFUSED);
    pair.forget();
    pair.lose(eof());
    pair.publish("no", "3");
    let journal = pair.journal();
    let expected = ["refused no of 0-2", "dropped 1-1 again", "Lost 1 refused: no 1", "handed over to 1, 0 in doubt"];
    assert_eq!(journal[1..5], expected, "{journal:#?}");
    pair.reconnect();
    // The next server decides about messages that no server was given.
    pair.expect_written("…PUB yes 1 2 PUB no 1 3");
    assert_eq!(ledger(&mut pair).lost.refused, 1);
}

// Fault C1
#[test]
fn at_least_once_every_message_with_that_subject_before_the_pong_is_refused() {
    let mut pair = at_least_once();
    for (subject, payload) in [("no", "1"), ("yes", "2"), ("no", "3")] {
        pair.admit(subject, payload.as_bytes()).unwrap();
    }
    pair.flush(0);
    pair.serve(&[REFUSED, REFUSED, PONG].concat());
    pair.expect_among("Lost 2 refused: no 1, no 3");
    let ledger = ledger(&mut pair);
    assert_eq!((ledger.confirmed, ledger.lost.refused, ledger.unconfirmed), (1, 2, 0));
}

// Fault C1
#[test]
fn a_reply_subject_that_a_server_refuses_costs_its_message() {
    let mut pair = at_least_once();
    let payload = bytes::Bytes::from_static(b"1");
    for reply in ["_R_.1", "inbox"] {
        let frame =
            crate::engine::Frame { subject: b"a", reply: Some(reply.as_bytes()), headers: None, payload: &payload };
        pair.outbox.admit(&frame, false).unwrap();
    }
    pair.flush(0);
    pair.serve(b"-ERR 'Permissions Violation for Publish with Reply of \"_R_.1\"'\r\nPONG\r\n");
    pair.expect_among("refused reply _R_.1 of 0-2");
    let ledger = ledger(&mut pair);
    assert_eq!((ledger.confirmed, ledger.lost.refused), (1, 1));
}

// Fault C1
#[test]
fn a_server_that_refuses_more_than_it_was_given_changes_no_sum() {
    for mut pair in [Pair::ready(), at_least_once()] {
        pair.serve(REFUSED);
        pair.publish_confirmed("yes", "1");
        pair.serve(&REFUSED.repeat(1000));
        pair.serve(PONG);
        let ledger = ledger(&mut pair);
        assert!(ledger.confirmed + ledger.lost.refused == 1, "{ledger:?}");
        pair.publish("no", "2");
        pair.serve(&REFUSED.repeat(1000));
        pair.close();
        pair.serve(PONG);
        pair.serve(PONG);
    }
}

// Fault C1
#[test]
fn at_the_end_refused_messages_count_as_lost_and_not_as_in_doubt() {
    for mut pair in [Pair::ready(), at_least_once()] {
        pair.publish("no", "1");
        pair.publish("yes", "2");
        pair.serve(REFUSED);
        pair.close();
        pair.advance(ms(2000));
        let ledger = ledger(&mut pair);
        assert_eq!((ledger.in_doubt, ledger.lost.refused), (1, 1));
    }
}

// Subscriptions.

const NO_JOBS: &[u8] = b"-ERR 'Permissions Violation for Subscription to \"jobs\"'\r\n";

// Fault C2. In our tests a refused subscription was kept by its consumer.
#[test]
fn a_refused_subscription_that_was_dropped_takes_no_queue_group_along() {
    let mut pair = Pair::ready();
    pair.queue_subscribe("jobs", Some("q"), 1);
    pair.flush(0);
    pair.serve(PONG);
    pair.subscribe("jobs", 2);
    pair.unsubscribe(2);
    pair.forget();
    pair.serve(NO_JOBS);
    pair.expect(&["ServerError Permissions Violation for Subscription to \"jobs\""]);
    // The same with a group that the server has not confirmed yet.
    pair.queue_subscribe("jobs", Some("r"), 3);
    pair.subscribe("jobs", 4);
    pair.unsubscribe(4);
    pair.forget();
    pair.serve(NO_JOBS);
    pair.expect(&["ServerError Permissions Violation for Subscription to \"jobs\""]);
}

// Fault C2
#[test]
fn what_a_pong_has_covered_was_accepted_and_is_not_the_one_that_is_refused() {
    let mut pair = Pair::ready();
    pair.subscribe("jobs", 1);
    pair.flush(0);
    pair.serve(PONG);
    pair.subscribe("jobs", 2);
    pair.subscribe("jobs", 3);
    pair.forget();
    pair.serve(NO_JOBS);
    pair.expect_among("stream 2 ends: refused by the server");
    pair.flush(0);
    pair.forget();
    pair.serve(&[NO_JOBS, PONG].concat());
    pair.expect_among("stream 3 ends: refused by the server");
    // None was made recently: all with that name are meant.
    pair.serve(NO_JOBS);
    pair.expect_among("stream 1 ends: refused by the server");
}

// Fault C2
#[test]
fn a_limit_that_is_sent_again_does_not_make_an_old_subscription_the_newest() {
    let mut pair = Pair::ready();
    pair.subscribe("jobs", 1);
    pair.unsubscribe_after(1, 3);
    pair.flush(0);
    pair.serve(PONG);
    pair.unsubscribe_after(1, 5);
    pair.flush(0);
    pair.serve(PONG);
    pair.subscribe("jobs", 2);
    pair.forget();
    pair.serve(NO_JOBS);
    pair.expect_among("stream 2 ends: refused by the server");
    assert_eq!(pair.engine.subscriptions.len(), 1);
}

// Fault C2
#[test]
fn a_replay_asks_for_all_of_them_and_the_new_server_may_refuse_each() {
    let mut pair = Pair::ready();
    for sid in 1..=3 {
        pair.subscribe("jobs", sid);
    }
    pair.lose(eof());
    pair.advance(ms(250));
    pair.greet();
    pair.serve(PONG);
    pair.unsubscribe(2);
    pair.forget();
    pair.serve(&NO_JOBS.repeat(2));
    pair.expect_among("stream 1 ends: refused by the server");
    assert_eq!(pair.engine.subscriptions.len(), 1, "the second refusal was for the one that was dropped");
    pair.serve(NO_JOBS);
    pair.expect_among("stream 3 ends: refused by the server");
}

// Fault C2. Refusals named the subject only; no test had a server that names the sid, and what is then remembered by name.
#[test]
fn a_subscription_refused_by_its_sid_is_not_named_again() {
    const NO_SID: &[u8] = b"-ERR 'Permissions Violation for Subscription to \"jobs\" (sid \"2\")'\r\n";
    // Whether or not another one was refused by name before.
    for by_name in [true, false] {
        let mut pair = Pair::ready();
        for sid in 1..=3 {
            pair.subscribe("jobs", sid);
        }
        if by_name {
            pair.serve(NO_JOBS);
            pair.expect_among("stream 1 ends: refused by the server");
        }
        pair.serve(NO_SID);
        pair.expect_among("stream 2 ends: refused by the server");
        if !by_name {
            pair.serve(NO_JOBS);
            pair.expect_among("stream 1 ends: refused by the server");
        }
        pair.serve(NO_JOBS);
        pair.expect_among("stream 3 ends: refused by the server");
    }
}
