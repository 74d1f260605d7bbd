//! Closing: accepted messages are sent and confirmed if that takes no longer than the grace period.

use super::ending::drained_to;
use super::pair::{PONG, Pair, config, eof, ms, secs};
use crate::engine::{Gate, Status};

#[test]
fn close_sends_what_was_admitted_and_waits_for_its_pong() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.forget();
    pair.admit("x", b"1").unwrap();
    pair.close();
    pair.expect_written("PUB x 1 1 PING");
    assert_eq!(pair.outbox.gate(), Gate::Shut);
    pair.advance(ms(999));
    pair.expect(&[]);
    pair.serve(PONG);
    pair.expect(&[
        "close Finish",
        "handed over to 1, 0 in doubt",
        "Disconnected: closed by the user, 0 in doubt, 0 buffered",
        "stream 1 ends: the client was closed",
        "the end: the client was closed, completed: true",
        "Closed: the client was closed",
    ]);
}

#[test]
fn close_waits_no_longer_than_a_second() {
    let mut pair = Pair::ready();
    pair.takes = false;
    pair.publish("x", "1");
    pair.publish("x", "2");
    pair.close();
    pair.take(15);
    pair.flush(0);
    pair.advance(secs(1));
    let journal = pair.journal();
    assert_eq!(journal[0], "close Drop");
    assert_eq!(journal[2], "Disconnected: closed by the user, 1 in doubt, 1 buffered");
    assert!(journal.contains(&"flush 1 failed: the client was closed".to_owned()));
    assert!(journal.contains(&"the end: the client was closed, completed: false".to_owned()));
    let ledger = pair.engine.ledger(pair.outbox.accepted());
    assert_eq!((ledger.in_doubt, ledger.lost.closed, ledger.waiting), (1, 1, 0));
}

#[test]
fn close_does_not_wait_without_a_connection() {
    let stages: [fn(&mut Pair); 6] = [
        |_| {},
        |pair| pair.connect(),
        |pair| {
            pair.connect();
            pair.dialed(0);
        },
        |pair| {
            pair.connect();
            pair.greet();
        },
        |pair| {
            pair.connect();
            pair.accept();
            pair.lose(eof());
        },
        |pair| {
            pair.connect();
            pair.refuse();
        },
    ];
    for (n, stage) in stages.into_iter().enumerate() {
        let mut pair = Pair::plain();
        stage(&mut pair);
        pair.close();
        assert_eq!(pair.engine.status(), Status::Closed, "{n}");
        assert_eq!(pair.net(), super::pair::Net::None, "{n}");
        pair.expect_among("the end: the client was closed, completed: true");
    }
}

#[test]
fn a_loss_ends_a_close_immediately() {
    // The last PING was sent.
    let mut pair = Pair::ready();
    pair.publish("x", "1");
    pair.close();
    pair.lose(eof());
    pair.expect_among("the end: the client was closed, completed: false");
    // It is not: the loss came in the same round.
    let mut pair = Pair::ready();
    let (epoch, now) = (pair.engine.epoch(), pair.now);
    pair.engine.close(now);
    pair.engine.handle_lost(epoch, eof(), now);
    pair.expect_among("the end: the client was closed, completed: true");
    assert_eq!(pair.engine.status(), Status::Closed);
}

#[test]
fn an_attempt_that_fails_while_closing_changes_nothing() {
    let mut pair = Pair::dialling(config(), &["a"]);
    pair.forget();
    let (epoch, now) = (pair.engine.epoch(), pair.now);
    pair.engine.close(now);
    pair.engine.handle_dial_failed(epoch, eof(), now);
    pair.end_link(pair.net());
    let journal = pair.journal();
    assert!(journal.contains(&"the end: the client was closed, completed: true".to_owned()), "{journal:?}");
    assert!(!journal.iter().any(|entry| entry.starts_with("GaveUp")), "{journal:?}");
}

#[test]
fn close_during_a_drain_waits_for_its_own_pong() {
    // The drain's PING was sent; its PONG does not cover what was published after it.
    let mut pair = drained_to(0);
    pair.takes = false;
    pair.publish("x", "1");
    pair.close();
    pair.serve(PONG);
    pair.take_all();
    assert_eq!(pair.engine.status(), Status::Draining);
    pair.serve(PONG);
    pair.expect_among("the end: the client was closed, completed: true");
    assert_eq!(pair.engine.ledger(1).confirmed, 1);
}

#[test]
fn close_after_a_drains_last_ping_needs_no_other() {
    let mut pair = drained_to(2);
    pair.close();
    pair.serve(PONG);
    pair.expect_among("the end: the client was closed, completed: true");
}
