//! Planned moves: queue groups are at both servers for a moment, plain subscriptions at one.

use super::candidate::{LAME, joined, prepare, ready};
use super::pair::{Net, PONG, Pair, config, eof, ms, secs};
use crate::engine::{Config, Handover, Purpose, Status};

#[test]
fn queue_groups_are_at_both_and_plain_subscriptions_at_one() {
    let mut pair = ready();
    pair.queue_subscribe("jobs", Some("q"), 1);
    pair.subscribe("news", 2);
    pair.forget();
    prepare(&mut pair);
    pair.aside(|pair| pair.expect_written("CONNECT {… PING SUB jobs q 1 PING"));
    pair.expect_written("");
    // From both, now.
    pair.serve(b"MSG jobs 1 1\r\nx\r\n");
    pair.aside(|pair| pair.serve(b"MSG jobs 1 1\r\ny\r\n"));
    assert_eq!(pair.delivered_to(1), 2);
    pair.aside(|pair| pair.serve(PONG));
    // The PONG does not mean that the other servers of the cluster know about it.
    pair.advance(ms(49));
    pair.expect_written("");
    pair.advance(ms(1));
    pair.expect_written("UNSUB 1 UNSUB 2 PING");
    pair.serve(b"MSG news 2 1\r\nz\r\nMSG jobs 1 1\r\nz\r\nPONG\r\n");
    assert_eq!((pair.delivered_to(1), pair.delivered_to(2)), (3, 1));
    pair.expect_written("SUB news 2");
    pair.expect_among("Reconnected b:4222 after 1: 2 subs, 0 flushed, 0 buffered");
}

#[test]
fn only_a_group_at_a_server_that_is_read_to_the_end_has_missed_nothing() {
    for end in ["read to the end", "too slow", "lost"] {
        let mut pair = ready();
        pair.queue_subscribe("jobs", Some("q"), 1);
        pair.subscribe("news", 2);
        prepare(&mut pair);
        joined(&mut pair);
        match end {
            "read to the end" => pair.serve(PONG),
            "too slow" => pair.advance(secs(2)),
            _ => pair.lose(eof()),
        }
        assert_eq!(pair.engine.server(), Some("b:4222"));
        let bridged = |sid: u64| pair.engine.subscriptions.get(sid).unwrap().is_bridged();
        assert_eq!((bridged(1), bridged(2)), (end == "read to the end", false), "{end}");
        // A later loss is another matter.
        pair.lose(eof());
        assert!(!pair.engine.subscriptions.get(1).unwrap().is_bridged());
    }
}

#[test]
fn a_group_that_ends_during_the_move_is_ended_at_the_next_server() {
    for (how, said) in [(0, "UNSUB 1"), (1, "UNSUB 1 SUB jobs q 1 UNSUB 1 5"), (2, "UNSUB 1")] {
        let mut pair = ready();
        pair.queue_subscribe("jobs", Some("q"), 1);
        prepare(&mut pair);
        match how {
            0 => pair.unsubscribe(1),
            1 => pair.unsubscribe_after(1, 5),
            _ => pair.drain_subscription(1),
        }
        joined(&mut pair);
        pair.flush(0);
        pair.serve(PONG);
        pair.serve(PONG);
        pair.expect_written(&format!("CONNECT {{… PING SUB jobs q 1 PING {said}…"));
        pair.serve(b"MSG jobs 1 1\r\nx\r\n");
        assert_eq!(pair.delivered_to(1), usize::from(how > 0), "drained: what was sent before is delivered");
        // The PONG of the join was read; that of the flush ends the drained subscription.
        pair.serve(PONG);
        let ended = pair.journal().iter().any(|entry| entry.starts_with("stream 1 ends"));
        assert_eq!(ended, how != 1);
    }
}

#[test]
fn a_group_that_was_limited_during_a_move_is_unsubscribed_at_its_limit() {
    let mut pair = ready();
    pair.queue_subscribe("jobs", Some("q"), 1);
    prepare(&mut pair);
    pair.unsubscribe_after(1, 2);
    joined(&mut pair);
    pair.serve(PONG);
    pair.serve(PONG);
    pair.expect_written("CONNECT {… PING SUB jobs q 1 PING UNSUB 1 SUB jobs q 1 UNSUB 1 2");
    // The first message was on its way before the server got the limit, so it is not counted. The third would go to nobody.
    pair.serve(b"MSG jobs 1 1\r\nx\r\nMSG jobs 1 1\r\ny\r\n");
    assert_eq!(pair.delivered_to(1), 2);
    pair.expect_written("UNSUB 1");
}

/// A group at the next server, which has counted two of its messages before it became the present one, and would immediately
/// end a limit of two.
fn counted_beside() -> Pair {
    let mut pair = ready();
    pair.queue_subscribe("jobs", Some("q"), 1);
    prepare(&mut pair);
    pair.aside(|pair| pair.serve(b"MSG jobs 1 1\r\nx\r\nMSG jobs 1 1\r\ny\r\n"));
    joined(&mut pair);
    pair.serve(PONG);
    pair.serve(PONG);
    pair
}

#[test]
fn a_group_that_is_limited_after_a_move_is_counted_again() {
    let mut pair = counted_beside();
    pair.forget();
    pair.unsubscribe_after(1, 4);
    pair.expect_written("…UNSUB 1 SUB jobs q 1 UNSUB 1 2");
}

#[test]
fn a_group_that_is_limited_between_two_moves_is_counted_again() {
    let mut pair = counted_beside();
    // The third server has the group already, and has not confirmed it: the second still counts two too many.
    prepare(&mut pair);
    pair.forget();
    pair.unsubscribe_after(1, 4);
    pair.expect_written("…UNSUB 1 SUB jobs q 1 UNSUB 1 2");
}

#[test]
fn a_subscription_that_is_limited_and_ended_immediately_leaves_nothing_at_the_server() {
    for (drains, moved) in [(false, true), (true, true), (false, false), (true, false)] {
        let mut pair = ready();
        pair.queue_subscribe("jobs", Some("q"), 1);
        if moved {
            prepare(&mut pair);
            joined(&mut pair);
            pair.serve(PONG);
        } else {
            pair.unsubscribe_after(1, 2);
        }
        pair.written();
        // The frame of the second command is loaded before the first is applied, which makes the server forget its count.
        assert!(pair.outbox.admit_unsubscribe(1));
        pair.command(|engine, _| engine.unsubscribe_after(1, 4));
        if drains {
            pair.command(|engine, _| engine.drain_subscription(1, true));
        } else {
            pair.command(|engine, _| engine.unsubscribe(1, true));
        }
        pair.settle();
        let said = if moved { "UNSUB 1 UNSUB 1 SUB jobs q 1 UNSUB 1 4" } else { "UNSUB 1 UNSUB 1 4 SUB jobs q 1" };
        let last = if drains { " UNSUB 1 PING" } else { " UNSUB 1" };
        pair.expect_written(&format!("{said}{last}"));
    }
}

#[test]
fn interest_that_changes_in_the_moment_of_a_loss_reaches_the_server_that_is_prepared() {
    let mut pair = ready();
    pair.queue_subscribe("jobs", Some("q"), 1);
    pair.queue_subscribe("jobs", Some("q"), 2);
    prepare(&mut pair);
    // These are frames for `a`, which is gone before they are loaded; `b` replaces it in the same exchange.
    pair.queue_subscribe("news", None, 3);
    assert!(pair.outbox.admit_unsubscribe(1) && pair.outbox.admit_unsubscribe(2));
    pair.command(|engine, _| engine.unsubscribe(1, true));
    pair.command(|engine, _| engine.drain_subscription(2, true));
    let Net::Up(epoch) = pair.net() else { panic!("no connection") };
    pair.engine.handle_lost(epoch, eof(), pair.now);
    pair.settle();
    pair.expect_written("CONNECT {… PING SUB jobs q 1 SUB jobs q 2 PING UNSUB 1 UNSUB 2 SUB news 3 PING");
    pair.expect_among("Reconnected b:4222 after 1: ");
}

#[test]
fn a_group_that_is_drained_as_the_next_server_takes_over_waits_for_what_that_has_sent() {
    for limited in [true, false] {
        let mut pair = ready();
        pair.queue_subscribe("jobs", Some("q"), 1);
        prepare(&mut pair);
        pair.aside(|pair| pair.serve(PONG));
        if limited {
            pair.unsubscribe_after(1, 5);
        }
        pair.written();
        // The loss is settled in the exchange before the command is applied: the command finds `b` as the present connection.
        let Net::Up(epoch) = pair.net() else { panic!("no connection") };
        pair.engine.handle_lost(epoch, eof(), pair.now);
        pair.drain_subscription(1);
        pair.serve(b"MSG jobs 1 1\r\nx\r\n");
        assert_eq!(pair.delivered_to(1), 1, "sent by `b` before it knew, limited: {limited}");
        pair.serve(PONG);
        pair.expect_among("stream 1 ends: drained");
    }
}

#[test]
fn a_group_that_is_drained_at_a_lost_connection_waits_for_the_next_server() {
    let mut pair = ready();
    pair.queue_subscribe("jobs", Some("q"), 1);
    prepare(&mut pair);
    let Net::Up(epoch) = pair.net() else { panic!("no connection") };
    pair.engine.handle_lost(epoch, eof(), pair.now);
    // Not settled yet.
    pair.engine.drain_subscription(1, false);
    pair.settle();
    pair.serve(b"MSG jobs 1 1\r\nx\r\n");
    assert_eq!(pair.delivered_to(1), 1);
    // The PING of the join, and that of the drain.
    pair.serve(PONG);
    pair.serve(PONG);
    pair.expect_among("stream 1 ends: drained");
}

#[test]
fn a_group_that_is_drained_during_a_failed_move_ends_at_the_present_server() {
    let mut pair = ready();
    pair.queue_subscribe("jobs", Some("q"), 1);
    pair.serve(LAME);
    pair.advance(ms(800));
    pair.aside(|pair| pair.accept());
    pair.drain_subscription(1);
    // The candidate's server may send more, so this PONG is not the end.
    pair.serve(PONG);
    pair.forget();
    pair.aside(|pair| pair.lose(eof()));
    pair.serve(PONG);
    pair.expect_among("stream 1 ends: drained");
}

#[test]
fn a_group_that_the_next_server_refuses_is_unsubscribed_at_the_present_one() {
    // Old servers name neither sid nor queue: of the two subscriptions it knows only the group.
    let named = "-ERR 'Permissions Violation for Subscription to \"jobs\" using queue \"q\" (sid \"1\")'\r\n";
    let unnamed = "-ERR 'Permissions Violation for Subscription to \"jobs\"'\r\n";
    for refusal in [named, unnamed] {
        let mut pair = ready();
        pair.queue_subscribe("jobs", Some("q"), 1);
        pair.subscribe("jobs", 2);
        prepare(&mut pair);
        pair.forget();
        pair.written();
        pair.aside(|pair| pair.serve(refusal.as_bytes()));
        pair.expect_written("UNSUB 1");
        pair.expect_among("stream 1 ends: refused by the server");
        assert!(pair.engine.subscriptions.get(2).is_some(), "{refusal}");
        // Nothing is left at that server, even if the move fails.
        pair.aside(|pair| pair.lose(eof()));
        assert_eq!(pair.engine.status(), Status::Connected);
    }
}

#[test]
fn with_overlap_plain_subscriptions_are_at_both() {
    let config = Config { prepare_moves: true, handover: Handover::Overlap, ..config() };
    let mut pair = Pair::connected(config, &["a", "b"]);
    pair.subscribe("news", 1);
    pair.subscribe("five", 2);
    pair.unsubscribe_after(2, 5);
    pair.subscribe_for(Purpose::Messages(Some(Handover::Exclusive)), "own", 3);
    pair.forget();
    pair.written();
    prepare(&mut pair);
    pair.aside(|pair| pair.expect_written("CONNECT {… PING SUB news 1 PING"));
    // What comes from both comes twice.
    pair.serve(b"MSG news 1 1\r\nx\r\n");
    pair.aside(|pair| pair.serve(b"MSG news 1 1\r\nx\r\nPONG\r\n"));
    assert_eq!(pair.delivered_to(1), 2);
    pair.advance(ms(50));
    pair.expect_written("UNSUB 1 UNSUB 2 UNSUB 3 PING");
    pair.serve(PONG);
    // A limit is given to one server at a time.
    pair.expect_written("SUB five 2 UNSUB 2 5 SUB own 3");
    pair.expect_among("Reconnected b:4222 after 1: 3 subs, 0 flushed, 0 buffered");
}

#[test]
fn one_subscription_alone_may_overlap() {
    let mut pair = Pair::connected(Config { prepare_moves: true, ..config() }, &["a", "b"]);
    pair.subscribe("plain", 1);
    pair.subscribe_for(Purpose::Messages(Some(Handover::Overlap)), "own", 2);
    pair.forget();
    pair.written();
    prepare(&mut pair);
    pair.aside(|pair| pair.expect_written("CONNECT {… PING SUB own 2 PING"));
}
