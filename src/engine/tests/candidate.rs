//! Planned moves with a connection that is ready before the present one is left: D15, N6.

use super::pair::{INFO, Net, PONG, Pair, config, eof, ms, secs};
use crate::engine::{Config, Gate, Status};

pub(super) const LAME: &[u8] = b"INFO {\"server_id\":\"S\",\"max_payload\":1048576,\"headers\":true,\"ldm\":true}\r\n";

/// Connected to `a`, with `b` in the pool.
pub(super) fn ready() -> Pair {
    let mut pair = Pair::connected(Config { prepare_moves: true, ..config() }, &["a", "b"]);
    pair.forget();
    pair
}

/// The candidate was dialled and has done its handshake.
fn prepared() -> Pair {
    let mut pair = ready();
    pair.force_reconnect();
    pair.advance(ms(0));
    pair.expect(&["Connecting b:4222 1", "dial b"]);
    pair.aside(|pair| pair.dialed(0));
    pair.aside(|pair| pair.serve(INFO));
    pair
}

/// The user has forced a reconnect, and a candidate is connected.
pub(super) fn prepare(pair: &mut Pair) {
    pair.force_reconnect();
    pair.advance(ms(0));
    pair.aside(|pair| pair.accept());
}

/// The candidate's server has the groups, and so do the others of the cluster.
pub(super) fn joined(pair: &mut Pair) {
    pair.aside(|pair| pair.serve(PONG));
    pair.advance(ms(50));
}

#[test]
fn nothing_is_left_before_the_next_server_is_ready() {
    let mut pair = ready();
    pair.publish("x", "1");
    pair.force_reconnect();
    pair.advance(ms(0));
    pair.expect(&["Connecting b:4222 1", "dial b"]);
    assert_eq!((pair.outbox.gate(), pair.engine.status()), (Gate::Open, Status::Connected));
    pair.aside(|pair| pair.dialed(0));
    pair.aside(|pair| pair.serve(INFO));
    pair.publish("x", "2");
    pair.expect_written("PUB x 1 1 PUB x 1 2");
    pair.expect(&[]);
    pair.aside(|pair| pair.serve(PONG));
    // The handshake is done: only now is the present connection left.
    pair.expect_written("PING");
    assert_eq!(pair.outbox.gate(), Gate::Buffering);
    pair.publish("x", "3");
    pair.serve(PONG);
    pair.expect(&[
        "close Finish",
        "Disconnected: reconnect was forced, 0 in doubt, 1 buffered",
        "Reconnected b:4222 after 1: 0 subs, 1 flushed, 0 buffered",
    ]);
    pair.expect_written("CONNECT {… PING PUB x 1 3");
    assert_eq!(pair.statuses.iter().filter(|status| **status == Status::Reconnecting).count(), 1);
}

#[test]
fn a_server_that_can_not_be_prepared_does_not_keep_the_user() {
    let mut pair = ready();
    pair.force_reconnect();
    pair.advance(ms(0));
    pair.aside(|pair| pair.refuse());
    pair.expect_among("AttemptFailed b:4222 1");
    // As without preparation.
    pair.expect_written("PING");
    pair.serve(PONG);
    pair.expect_among("Disconnected: reconnect was forced, 0 in doubt");
    pair.advance(ms(200));
    assert!(matches!(pair.net(), Net::Dialing(_)));
}

// Requests made while a candidate was in progress for another reason were only tested where that candidate succeeded.
#[test]
fn a_forced_move_is_not_forgotten_when_a_candidate_for_another_reason_fails() {
    let mut pair = ready();
    pair.serve(LAME);
    pair.advance(ms(800));
    pair.force_reconnect();
    pair.aside(|pair| pair.refuse());
    pair.expect_among("AttemptFailed b:4222 1");
    pair.expect_written("PING");
    pair.serve(PONG);
    pair.expect_among("Disconnected: reconnect was forced, 0 in doubt");
}

#[test]
fn a_loss_is_bridged_by_whatever_is_prepared() {
    // Dialling, before INFO, before PONG, on standby while the groups join, and when they have.
    for far in 0..5 {
        let mut pair = ready();
        pair.queue_subscribe("jobs", Some("q"), 1);
        pair.subscribe("news", 2);
        pair.publish("x", "1");
        pair.force_reconnect();
        pair.advance(ms(0));
        if far > 0 {
            pair.aside(|pair| pair.dialed(0));
        }
        if far > 1 {
            pair.aside(|pair| pair.serve(INFO));
        }
        for _ in 2..far {
            pair.aside(|pair| pair.serve(PONG));
        }
        pair.lose(eof());
        if far == 0 {
            pair.dialed(0);
        }
        if far < 2 {
            pair.serve(INFO);
        }
        if far < 3 {
            pair.serve(PONG);
        }
        pair.expect_written(match far {
            3.. => "CONNECT {… PING SUB jobs q 1 PING SUB news 2",
            _ => "CONNECT {… PING SUB jobs q 1 SUB news 2",
        });
        let journal = pair.journal();
        let said = |what: &str| journal.iter().any(|entry| entry.starts_with(what));
        assert!(said("Disconnected: closed by the server, 1 in doubt"), "{far}: {journal:#?}");
        assert!(said("Reconnected b:4222 after 1: 2 subs"), "{far}: {journal:#?}");
        assert_eq!(pair.dials.len(), 2, "no dial of its own: {far}");
    }
}

#[test]
fn a_candidate_that_dies_changes_nothing() {
    let mut pair = ready();
    pair.queue_subscribe("jobs", Some("q"), 1);
    pair.serve(LAME);
    pair.advance(secs(1));
    pair.aside(|pair| pair.accept());
    pair.written();
    pair.aside(|pair| pair.lose(eof()));
    assert_eq!(pair.engine.status(), Status::Connected);
    pair.publish("x", "1");
    pair.expect_written("PUB x 1 1 PING");
    // It is tried again, when it is due.
    pair.advance(secs(1));
    pair.expect_among("Connecting b:4222 1");
}

#[test]
fn a_server_that_never_confirms_the_groups_is_no_candidate() {
    let mut pair = ready();
    pair.queue_subscribe("jobs", Some("q"), 1);
    prepare(&mut pair);
    pair.forget();
    pair.advance(secs(2));
    pair.expect_among("AttemptFailed b:4222 1: ");
    pair.expect_written("PING");
}

#[test]
fn a_client_that_drains_or_closes_does_not_move() {
    for drains in [true, false] {
        let mut pair = prepared();
        pair.forget();
        if drains {
            pair.drain(secs(30))
        } else {
            pair.close()
        }
        pair.expect_among(if drains { "Draining" } else { "close Drop" });
        pair.serve(PONG);
        pair.serve(PONG);
        pair.expect_among("the end: ");
        assert_eq!(pair.net(), Net::None);
    }
}

#[test]
fn a_drain_waits_until_the_groups_are_at_one_server() {
    let mut pair = ready();
    pair.queue_subscribe("jobs", Some("q"), 1);
    prepare(&mut pair);
    pair.aside(|pair| pair.serve(PONG));
    pair.drain(secs(30));
    pair.advance(ms(50));
    pair.serve(PONG);
    pair.expect_written("CONNECT {… PING SUB jobs q 1 PING UNSUB 1 PING");
    pair.serve(b"MSG jobs 1 1\r\nx\r\nPONG\r\n");
    assert_eq!(pair.delivered_to(1), 1);
    pair.expect_among("no more for 1");
    pair.finished(1);
    pair.serve(PONG);
    pair.expect_among("the end: drained, completed: true");
}
