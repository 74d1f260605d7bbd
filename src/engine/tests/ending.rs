//! Drain and close, in every stage and with everything going wrong (D19).

use super::pair::{PONG, Pair, config, eof, ms, secs};
use crate::engine::{Config, Gate, Status};

#[test]
fn a_drain_in_order() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.subscribe("t", 2);
    pair.forget();
    pair.drain(secs(30));
    pair.expect(&["Draining"]);
    // C: no more subscriptions. S: what it had sent, then PONG.
    pair.expect_written("UNSUB 1 UNSUB 2 PING");
    pair.serve(b"MSG s 1 0\r\n\r\n");
    pair.serve(PONG);
    assert_eq!(pair.delivered, [1]);
    pair.expect(&["no more for 1", "no more for 2"]);
    // Consumers still publish while they read.
    assert_eq!(pair.outbox.gate(), Gate::Open);
    pair.publish("x", "1");
    pair.finished(1);
    // A consumer that reads one subscription after the other reaches the second one.
    pair.expect(&["stream 1 ends: drained"]);
    pair.admit("x", b"2").unwrap();
    pair.finished(2);
    // The gate shuts before the last stream ends, and a PING follows the last message.
    pair.expect(&["stream 2 ends: drained"]);
    assert_eq!(pair.outbox.gate(), Gate::Shut);
    pair.expect_written("PUB x 1 1 PUB x 1 2 PING");
    pair.serve(PONG);
    pair.expect(&[
        "close Finish",
        "handed over to 2, 0 in doubt",
        "Disconnected: closed by the user, 0 in doubt, 0 buffered",
        "the end: drained, completed: true",
        "Closed: drained",
    ]);
    assert_eq!(pair.engine.ledger(2).confirmed, 2);
}

// Fault A9. No test drained a subscription that nobody reads; each had a consumer that came back.
#[test]
fn a_drain_does_not_wait_for_a_consumer_that_has_taken_its_last_message_and_stays_away() {
    for (within, patience) in [(secs(30), ms(5_000)), (secs(4), ms(1_000))] {
        let mut pair = Pair::ready();
        pair.subscribe("s", 1);
        pair.subscribe("t", 2);
        pair.drain(within);
        pair.serve(PONG);
        pair.forget();
        pair.last_taken(1);
        pair.advance(patience / 2);
        pair.last_taken(2);
        // They may still be answering.
        pair.advance(patience - ms(1));
        pair.expect(&[]);
        assert_eq!(pair.outbox.gate(), Gate::Open);
        pair.advance(ms(1));
        pair.expect(&["stream 1 ends: drained", "stream 2 ends: drained"]);
        pair.serve(PONG);
        pair.expect_among("the end: drained, completed: true");
    }
}

// Fault A9.
#[test]
fn a_drain_waits_for_a_consumer_that_still_has_messages_to_read() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.subscribe("t", 2);
    pair.drain(secs(30));
    pair.serve(PONG);
    pair.last_taken(1);
    pair.advance(secs(5));
    assert_eq!(pair.outbox.gate(), Gate::Open, "the second one has not taken its last message");
    pair.advance(secs(10));
    pair.last_taken(2);
    pair.finished(2);
    pair.serve(PONG);
    pair.expect_among("the end: drained, completed: true");
}

#[test]
fn a_drain_waits_for_requests() {
    let mut pair = Pair::ready();
    pair.requests_waiting = true;
    pair.drain(secs(30));
    pair.serve(PONG);
    assert_eq!(pair.outbox.gate(), Gate::Open);
    pair.requests_waiting = false;
    pair.settle();
    assert_eq!(pair.outbox.gate(), Gate::Shut);
    pair.serve(PONG);
    assert_eq!(pair.engine.status(), Status::Closed);
}

#[test]
fn the_replies_subscription_is_kept_to_the_end_of_a_drain() {
    let mut pair = Pair::ready();
    let framed = pair.outbox.admit_subscribe(b"_INBOX.1.*", None, 1);
    pair.command(move |engine, _| {
        let interest =
            crate::engine::Interest { subject: b"_INBOX.1.*", queue: None, purpose: crate::engine::Purpose::Replies };
        engine.subscribe(1, interest, 1, framed);
    });
    pair.requests_waiting = true;
    pair.drain(secs(30));
    pair.expect_written("SUB _INBOX.1.* 1 PING");
    pair.serve(PONG);
    // Lost and connected again: replies still come.
    pair.lose(eof());
    pair.reconnect();
    pair.expect_written("CONNECT {… PING SUB _INBOX.1.* 1");
    pair.serve(b"MSG _INBOX.1.2 1 0\r\n\r\n");
    assert_eq!(pair.delivered, [1]);
    pair.requests_waiting = false;
    pair.settle();
    pair.serve(PONG);
    pair.expect_among("stream 1 ends: drained");
    assert_eq!(pair.engine.status(), Status::Closed);
}

/// Drained up to the stage, with one subscription and a buffered or unconfirmed message.
pub(super) fn drained_to(stage: usize) -> Pair {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.forget();
    pair.drain(secs(30));
    if stage > 0 {
        pair.serve(PONG);
    }
    if stage > 1 {
        pair.publish("x", "1");
        pair.finished(1);
    }
    pair
}

#[test]
fn a_loss_while_interest_is_being_withdrawn() {
    let mut pair = drained_to(0);
    pair.lose(eof());
    pair.expect_among("no more for 1");
    pair.publish("x", "1");
    pair.finished(1);
    pair.expect_among("stream 1 ends: drained");
    pair.reconnect();
    pair.expect_written("CONNECT {… PING PUB x 1 1 PING");
    pair.serve(PONG);
    pair.expect_among("the end: drained, completed: true");
}

#[test]
fn a_loss_while_consumers_read() {
    let mut pair = drained_to(1);
    pair.lose(eof());
    pair.publish("x", "1");
    pair.reconnect();
    pair.expect_written("CONNECT {… PING PUB x 1 1");
    pair.finished(1);
    pair.expect_written("PING");
    pair.serve(PONG);
    pair.expect_among("the end: drained, completed: true");
}

#[test]
fn a_loss_while_the_last_pong_is_awaited() {
    let mut pair = drained_to(2);
    pair.lose(eof());
    // There is nothing to send that another server could confirm.
    pair.expect_among("the end: drained, completed: false");
    assert_eq!(pair.engine.ledger(pair.outbox.accepted()).in_doubt, 1);
}

#[test]
fn a_loss_while_the_last_message_is_being_written() {
    let mut pair = drained_to(1);
    pair.takes = false;
    pair.publish("x", "1");
    pair.finished(1);
    pair.lose(eof());
    pair.expect_among("Disconnected: closed by the server, 0 in doubt, 1 buffered");
    assert_eq!((pair.outbox.gate(), pair.engine.status()), (Gate::Shut, Status::Draining));
    pair.takes = true;
    pair.reconnect();
    pair.serve(PONG);
    pair.expect_among("the end: drained, completed: true");
}

// Fault J1
#[test]
fn a_drain_while_down_with_nothing_to_send_waits_for_no_server() {
    for stage in 0..3 {
        let mut pair = Pair::ready();
        pair.subscribe("s", 1);
        pair.lose(eof());
        if stage > 0 {
            pair.advance(secs(1));
            pair.dialing();
        }
        if stage > 1 {
            pair.greet();
        }
        pair.drain(secs(30));
        // The consumer still reads.
        pair.expect_among("no more for 1");
        assert_eq!(pair.engine.status(), Status::Draining, "stage {stage}");
        pair.finished(1);
        pair.expect_among("the end: drained, completed: true");
        assert_eq!(pair.engine.status(), Status::Closed, "stage {stage}");
    }
}

#[test]
fn the_deadline_ends_a_drain_in_every_stage() {
    for stage in 0..3 {
        let mut pair = drained_to(stage);
        pair.forget();
        for _ in 0..2 {
            pair.advance(ms(14_999));
            pair.serve(b"MSG s 9 0\r\n\r\n");
        }
        assert_eq!(pair.engine.status(), Status::Draining);
        pair.advance(ms(2));
        let journal = pair.journal();
        assert!(journal.contains(&"the end: drained, completed: false".to_owned()), "{stage}: {journal:?}");
        let ended = journal.iter().filter(|entry| entry.starts_with("stream 1 ends")).count();
        assert_eq!(ended, usize::from(stage < 2), "{stage}: {journal:?}");
        assert_eq!(pair.engine.status(), Status::Closed);
    }
}

#[test]
fn a_drain_while_down_waits_for_a_connection_and_reports() {
    let mut pair = Pair::ready();
    pair.lose(eof());
    pair.publish("x", "1");
    pair.drain(secs(3));
    pair.forget();
    assert_eq!(pair.outbox.gate(), Gate::Shut);
    pair.advance(secs(1));
    pair.refuse();
    pair.advance(secs(2));
    pair.expect_among("the end: drained, completed: false");
    assert_eq!(pair.engine.ledger(pair.outbox.accepted()).lost.closed, 1);
}

#[test]
fn a_drain_of_a_client_that_was_never_connected_ends_immediately() {
    let mut pair = Pair::plain();
    pair.drain(secs(3));
    pair.expect(&["Draining", "the end: drained, completed: true", "Closed: drained"]);
}

#[test]
fn a_drain_while_retries_run_out() {
    let mut pair = Pair::connected(Config { max_reconnects: Some(1), ..config() }, &["a"]);
    pair.advance(secs(2));
    pair.lose(eof());
    pair.publish("x", "1");
    pair.drain(secs(30));
    pair.advance(secs(1));
    pair.refuse();
    pair.expect_among("the end: reconnecting was given up: connection refused, completed: false");
    assert_eq!(pair.engine.status(), Status::Closed);
}

#[test]
fn a_drain_during_the_replay_sends_unsub_too() {
    // What the server was sent must be unsubscribed, or it keeps sending to nobody.
    let mut pair = Pair::dialling(config(), &["a"]);
    for sid in 1..=9000 {
        pair.queue_subscribe("some.subject.of.some.length", Some("q"), sid);
    }
    pair.greet();
    pair.takes = false;
    pair.serve(PONG);
    pair.drain(secs(30));
    pair.forget();
    pair.take_all();
    let wire = String::from_utf8_lossy(&pair.wires[0].bytes).into_owned();
    let (told, taken_back) = (wire.matches("\r\nSUB ").count(), wire.matches("\r\nUNSUB ").count());
    assert!(told > 0 && taken_back >= told, "{told} told, {taken_back} taken back");
    assert!(wire.ends_with("PING\r\n"));
    pair.serve(b"MSG s 1 0\r\n\r\n");
    assert_eq!(pair.delivered, [1]);
    let journal = pair.journal();
    assert!(!journal.iter().any(|entry| entry.starts_with("no more")), "{journal:?}");
    pair.serve(PONG);
    pair.expect_among("no more for 9000");
}

#[test]
fn a_drain_during_a_replay_that_dies_goes_on() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.lose(eof());
    pair.advance(ms(250));
    pair.greet();
    let (epoch, now) = (pair.engine.epoch(), pair.now);
    pair.engine.handle_op(epoch, &crate::protocol::ServerOp::Pong, now);
    pair.engine.drain(secs(30), now);
    pair.engine.handle_lost(epoch, eof(), now);
    pair.expect_among("no more for 1");
    pair.publish("x", "1");
    pair.finished(1);
    pair.advance(secs(1));
    pair.accept();
    pair.serve(PONG);
    pair.expect_among("the end: drained, completed: true");
}

#[test]
fn a_client_that_wants_to_end_does_not_move() {
    let mut pair = Pair::ready();
    pair.force_reconnect();
    pair.admit("x", b"1").unwrap();
    pair.close();
    pair.expect_written("PING PUB x 1 1 PING");
    pair.serve(PONG);
    pair.serve(PONG);
    pair.expect_among("the end: the client was closed, completed: true");
    assert_eq!(pair.dials.len(), 1);

    let mut pair = Pair::ready();
    pair.force_reconnect();
    pair.drain(secs(9));
    pair.serve(PONG);
    pair.serve(PONG);
    pair.serve(PONG);
    pair.expect_among("the end: drained, completed: true");
}

#[test]
fn subscriptions_made_while_draining_end() {
    let mut pair = drained_to(1);
    pair.subscribe("t", 2);
    pair.expect_among("stream 2 ends: the client was closed");
    pair.finished(1);
    pair.serve(PONG);
    assert_eq!(pair.engine.status(), Status::Closed);
}

#[test]
fn an_end_while_recovering_reports_connected_first() {
    let mut pair = Pair::dialling(config(), &["a"]);
    pair.publish("x", "1");
    pair.greet();
    pair.takes = false;
    pair.serve(PONG);
    pair.close();
    pair.forget();
    pair.advance(secs(1));
    let journal = pair.journal();
    assert_eq!(journal[0], "Connected a:4222 after 1", "{journal:?}");
    assert!(journal.contains(&"Disconnected: closed by the user, 0 in doubt, 1 buffered".to_owned()), "{journal:?}");
}
