//! What happens to messages around a loss, by the rules that the user chose: S26-S40, D9, D10.

use super::pair::{PONG, Pair, eof, ms, secs};
use crate::engine::{DeliveryMode, OutboxRules, OverflowPolicy, Refusal};

fn rules() -> OutboxRules {
    OutboxRules::default()
}

/// A connection that was lost, with an empty journal.
fn lost(rules: OutboxRules) -> Pair {
    let mut pair = Pair::ruled(rules);
    pair.lose(eof());
    pair.forget();
    pair
}

/// The next connection, up to the PONG of its handshake; buffered messages were taken.
fn recover(pair: &mut Pair) {
    pair.reconnect();
}

/// `PUB a 1 x`: 12 bytes.
const FRAME: usize = 12;

#[test]
fn the_oldest_make_room_for_the_newest() {
    let mut pair = lost(OutboxRules { cap: 2 * FRAME, overflow: OverflowPolicy::DropOldest, ..rules() });
    for payload in ["1", "2", "3", "4"] {
        pair.admit("a", payload.as_bytes()).unwrap();
    }
    pair.expect(&["dropped 1-2", "Lost 2 by overflow: a 1, a 2", "BufferHigh 24 of 24"]);
    recover(&mut pair);
    pair.expect_written("…PUB a 1 3 PUB a 1 4");
    let ledger = pair.engine.ledger(pair.outbox.accepted());
    assert_eq!((ledger.accepted, ledger.lost.overflow, ledger.unconfirmed), (4, 2, 2));
}

/// D10: in an earlier version dropping messages could loop for ever.
#[test]
fn one_frame_larger_than_a_piece_of_a_chunk_is_dropped_too() {
    let mut pair = lost(OutboxRules { cap: 10_000, overflow: OverflowPolicy::DropOldest, ..rules() });
    pair.admit("a", &[b'1'; 6000]).unwrap();
    pair.admit("a", &[b'2'; 6000]).unwrap();
    pair.expect_among("Lost 1 by overflow: a 1111111111");
    recover(&mut pair);
    assert!(pair.written().ends_with("2222"));
}

#[test]
fn the_newest_are_dropped_as_they_come() {
    let mut pair = lost(OutboxRules { cap: 2 * FRAME, overflow: OverflowPolicy::DropNewest, ..rules() });
    pair.admit("a", b"1").unwrap();
    pair.admit("a", b"2").unwrap();
    assert_eq!(pair.admit("a", b"3"), Err(Refusal::Dropped));
    pair.expect(&["Lost 1 by overflow: a 3", "BufferHigh 24 of 24"]);
    recover(&mut pair);
    pair.expect_written("…PUB a 1 1 PUB a 1 2");
    assert_eq!(pair.outbox.accepted(), 3, "what the policy drops was accepted");
}

#[test]
fn a_message_that_fits_no_empty_buffer_drops_nothing() {
    let mut pair = lost(OutboxRules { cap: 2 * FRAME, overflow: OverflowPolicy::DropOldest, ..rules() });
    pair.admit("a", b"1").unwrap();
    let refused = pair.admit("a", &[b'x'; 100]);
    assert!(matches!(refused, Err(Refusal::TooLarge { limit: 24, .. })), "{refused:?}");
    pair.expect(&[]);
}

#[test]
fn a_cap_in_messages_counts_besides_the_one_in_bytes() {
    let mut pair = lost(OutboxRules { messages: Some(2), ..rules() });
    pair.admit("a", b"1").unwrap();
    pair.admit("a", b"2").unwrap();
    assert_eq!(pair.admit("a", b"3"), Err(Refusal::TooMany { pending: 2, limit: 2 }));
    let mut pair = lost(OutboxRules { messages: Some(2), overflow: OverflowPolicy::DropOldest, ..rules() });
    for payload in ["1", "2", "3"] {
        pair.admit("a", payload.as_bytes()).unwrap();
    }
    pair.expect(&["dropped 1-1", "Lost 1 by overflow: a 1"]);
}

#[test]
fn messages_that_are_too_old_are_not_sent() {
    let mut pair = lost(OutboxRules { max_age: Some(secs(60)), ..rules() });
    pair.admit("a", b"1").unwrap();
    pair.advance(secs(30));
    pair.admit("a", b"2").unwrap();
    pair.forget();
    // The first is at its limit; nothing expires before its time.
    pair.advance(secs(30));
    pair.expect_among("Connecting");
    pair.advance(ms(10));
    pair.accept();
    pair.expect_among("Lost 1 expired: a 1");
    pair.expect_written("…PUB a 1 2");
}

#[test]
fn messages_that_are_too_old_make_room_for_others() {
    let mut pair = lost(OutboxRules { cap: 2 * FRAME, max_age: Some(ms(50)), ..rules() });
    pair.admit("a", b"1").unwrap();
    pair.admit("a", b"2").unwrap();
    assert!(matches!(pair.admit("a", b"3"), Err(Refusal::Full { .. })));
    pair.now += ms(61);
    pair.admit("a", b"3").unwrap();
    pair.expect_among("Lost 2 expired: a 1, a 2");
}

#[test]
fn returned_messages_age_from_the_loss_of_their_connection() {
    let mut pair = Pair::ruled(OutboxRules { max_age: Some(ms(400)), ..rules() });
    pair.takes = false;
    pair.admit("a", b"1").unwrap();
    pair.settle();
    pair.advance(ms(900));
    pair.lose(eof());
    pair.takes = true;
    pair.forget();
    pair.advance(ms(300));
    pair.accept();
    pair.expect_written("…PUB a 1 1");
}

#[test]
fn each_watermark_is_reported_once() {
    let mut pair = lost(OutboxRules { cap: 10 * FRAME, ..rules() });
    for payload in ["1", "2", "3", "4", "5", "6", "7"] {
        pair.publish("a", payload);
    }
    pair.expect(&[]);
    pair.publish("a", "8");
    pair.publish("a", "9");
    pair.expect(&["BufferHigh 96 of 120"]);
    pair.reconnect();
    let journal = pair.journal();
    assert_eq!(journal.iter().filter(|entry| entry.starts_with("BufferLow 0 of 120")).count(), 1, "{journal:#?}");
    assert_eq!(journal.iter().filter(|entry| entry.starts_with("BufferHigh")).count(), 0, "{journal:#?}");
}

#[test]
fn at_least_once_what_no_pong_covers_is_sent_again() {
    let mut pair = Pair::ruled(OutboxRules { delivery: DeliveryMode::AtLeastOnce, ..rules() });
    pair.publish("a", "1");
    pair.flush(0);
    pair.serve(PONG);
    pair.publish("a", "2");
    pair.publish("a", "3");
    pair.written();
    assert_eq!(pair.outbox.pending(), 2 * FRAME, "what is unconfirmed counts");
    pair.lose(eof());
    pair.expect_among("Disconnected: closed by the server, 0 in doubt, 2 buffered");
    pair.publish("a", "4");
    recover(&mut pair);
    pair.expect_written("…PUB a 1 2 PUB a 1 3 PUB a 1 4");
    pair.flush(0);
    pair.serve(PONG);
    let ledger = pair.engine.ledger(pair.outbox.accepted());
    assert_eq!((ledger.confirmed, ledger.in_doubt, ledger.resent), (4, 0, 2));
    assert_eq!(pair.outbox.pending(), 0);
}

#[test]
fn at_least_once_a_flush_goes_on_over_a_loss() {
    let mut pair = Pair::ruled(OutboxRules { delivery: DeliveryMode::AtLeastOnce, ..rules() });
    pair.publish("a", "1");
    let token = pair.flush(0);
    pair.lose(eof());
    pair.forget();
    recover(&mut pair);
    pair.serve(PONG);
    pair.expect_among(&format!("flush {token} ok"));
}

#[test]
fn at_least_once_what_was_sent_and_is_given_up_is_in_doubt() {
    let mut pair = Pair::ruled(OutboxRules { delivery: DeliveryMode::AtLeastOnce, ..rules() });
    pair.publish("a", "sent");
    pair.lose(eof());
    pair.publish("a", "buffered");
    pair.close();
    pair.expect_among("Lost 1 closed: a buffered");
    let ledger = pair.engine.ledger(pair.outbox.accepted());
    assert_eq!((ledger.accepted, ledger.in_doubt, ledger.lost.closed), (2, 1, 1));
    assert!(ledger.balances());
}

#[test]
fn at_least_once_a_server_that_dies_in_the_replay_gets_nothing_counted_twice() {
    let mut pair = Pair::ruled(OutboxRules { delivery: DeliveryMode::AtLeastOnce, ..rules() });
    pair.publish("a", "1");
    pair.publish("a", "2");
    for _ in 0..3 {
        pair.lose(eof());
        pair.advance(secs(9));
        pair.greet();
        pair.takes = false;
        pair.serve(PONG);
        pair.take(FRAME + 5);
        pair.takes = true;
    }
    pair.flush(0);
    // After the third they are given to it one by one.
    pair.serve(PONG);
    pair.serve(PONG);
    let ledger = pair.engine.ledger(pair.outbox.accepted());
    assert_eq!((ledger.accepted, ledger.confirmed, ledger.in_doubt), (2, 2, 0));
}

#[test]
fn at_least_once_subscriptions_take_no_room_from_messages() {
    let mut pair = Pair::ruled(OutboxRules { cap: 40, delivery: DeliveryMode::AtLeastOnce, ..rules() });
    for sid in 1..20 {
        // Publishing after them waits for no PONG: none is expected.
        pair.subscribe("s", sid);
        assert_eq!(pair.outbox.pending(), 0);
    }
    pair.publish("a", "1");
}
