//! Planned moves with a connection that is ready before the present one is left: D15, N6.

use super::pair::{INFO, Net, PONG, Pair, config, eof, ms, secs};
use crate::engine::pool::Policy;
use crate::engine::{Config, Gate, Handover, Status};

const LAME: &[u8] = b"INFO {\"server_id\":\"S\",\"max_payload\":1048576,\"headers\":true,\"ldm\":true}\r\n";

/// Connected to `a`, with `b` in the pool.
fn ready() -> Pair {
    let mut pair = Pair::with(Config { prepare_moves: true, ..config() }, &["a", "b"]);
    pair.connect();
    pair.accept();
    pair.forget();
    pair
}

/// The candidate is dialled and has done its handshake.
fn prepared() -> Pair {
    let mut pair = ready();
    pair.force_reconnect();
    pair.advance(ms(0));
    pair.expect(&["Connecting b:4222 1", "dial b"]);
    pair.aside(|pair| pair.dialed());
    pair.aside(|pair| pair.serve(INFO));
    pair
}

/// The user wants to be elsewhere, and a candidate is connected.
fn prepare(pair: &mut Pair) {
    pair.force_reconnect();
    pair.advance(ms(0));
    pair.aside(|pair| pair.accept());
}

/// The candidate's server has the groups, and so have the others.
fn joined(pair: &mut Pair) {
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
    pair.aside(|pair| pair.dialed());
    pair.aside(|pair| pair.serve(INFO));
    pair.publish("x", "2");
    pair.expect_written("PUB x 1 1 PUB x 1 2");
    pair.expect(&[]);
    pair.aside(|pair| pair.serve(PONG));
    // The handshake is done: only now the present one is left.
    pair.expect_written("PING");
    assert_eq!(pair.outbox.gate(), Gate::Held);
    pair.publish("x", "3");
    pair.serve(PONG);
    pair.expect(&[
        "close Finish",
        "Disconnected: reconnect was forced, 0 in doubt, 1 held",
        "Reconnected b:4222 after 1: 0 subs, 1 flushed, 0 held",
    ]);
    pair.expect_written("CONNECT {… PING PUB x 1 3");
    assert_eq!(pair.statuses.iter().filter(|status| **status == Status::Reconnecting).count(), 1);
}

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
    // The PONG does not say that the other servers of a cluster know of it already.
    pair.advance(ms(49));
    pair.expect_written("");
    pair.advance(ms(1));
    pair.expect_written("UNSUB 1 UNSUB 2 PING");
    pair.serve(b"MSG news 2 1\r\nz\r\nMSG jobs 1 1\r\nz\r\nPONG\r\n");
    assert_eq!((pair.delivered_to(1), pair.delivered_to(2)), (3, 1));
    pair.expect_written("SUB news 2");
    pair.expect_among("Reconnected b:4222 after 1: 2 subs, 0 flushed, 0 held");
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
        // A loss later on is another matter.
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
        // The PONG of the join was read; that of the flush ends the drained one.
        pair.serve(PONG);
        let ended = pair.journal().iter().any(|entry| entry.starts_with("stream 1 ends"));
        assert_eq!(ended, how != 1);
    }
}

#[test]
fn a_group_that_was_limited_during_a_move_is_taken_back_at_its_limit() {
    let mut pair = ready();
    pair.queue_subscribe("jobs", Some("q"), 1);
    prepare(&mut pair);
    pair.unsubscribe_after(1, 2);
    joined(&mut pair);
    pair.serve(PONG);
    pair.serve(PONG);
    pair.expect_written("CONNECT {… PING SUB jobs q 1 PING UNSUB 1 SUB jobs q 1 UNSUB 1 2");
    // The first was on its way before the server was told of the limit: it does not count it. Its third would go to nobody.
    pair.serve(b"MSG jobs 1 1\r\nx\r\nMSG jobs 1 1\r\ny\r\n");
    assert_eq!(pair.delivered_to(1), 2);
    pair.expect_written("UNSUB 1");
}

/// A group at the next server, which has counted two messages of it before it was the present one, and would end a limit of two there
/// and then.
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
fn a_group_that_is_limited_behind_a_move_is_counted_anew() {
    let mut pair = counted_beside();
    pair.forget();
    pair.unsubscribe_after(1, 4);
    pair.expect_written("…UNSUB 1 SUB jobs q 1 UNSUB 1 2");
}

#[test]
fn a_group_that_is_limited_between_two_moves_is_counted_anew() {
    let mut pair = counted_beside();
    // The third server has the group already, and has not confirmed it: the second still counts two too many.
    prepare(&mut pair);
    pair.forget();
    pair.unsubscribe_after(1, 4);
    pair.expect_written("…UNSUB 1 SUB jobs q 1 UNSUB 1 2");
}

#[test]
fn who_is_limited_and_ended_at_once_leaves_nothing_at_the_server() {
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
        // The frame of the second command is loaded before the first is applied, which has the server forget what it counted.
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
    // These are frames for `a`, which is gone before they are loaded; `b` takes its place in the same exchange.
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
        // The loss is settled in the exchange before the command is applied: the command finds `b` in the place of `a`.
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
    // That of the join, and that of the drain.
    pair.serve(PONG);
    pair.serve(PONG);
    pair.expect_among("stream 1 ends: drained");
}

#[test]
fn a_group_that_is_drained_during_a_move_that_comes_to_nothing_ends_at_the_present_server() {
    let mut pair = ready();
    pair.queue_subscribe("jobs", Some("q"), 1);
    pair.serve(LAME);
    pair.advance(ms(800));
    pair.aside(|pair| pair.accept());
    pair.drain_subscription(1);
    // The candidate's server may send more, so this PONG is not the last word.
    pair.serve(PONG);
    pair.forget();
    pair.aside(|pair| pair.lose(eof()));
    pair.serve(PONG);
    pair.expect_among("stream 1 ends: drained");
}

#[test]
fn a_group_that_the_next_server_refuses_is_taken_back_at_the_present_one() {
    // Old servers name neither sid nor queue: of the two subscriptions it knows the group only.
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
        // Nobody is left behind there, even if the move comes to nothing.
        pair.aside(|pair| pair.lose(eof()));
        assert_eq!(pair.engine.status(), Status::Connected);
    }
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

// What is asked for while a candidate is under way for another reason was tried only where that candidate succeeds.
#[test]
fn a_user_who_wants_to_leave_is_not_forgotten_when_a_candidate_for_another_reason_fails() {
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
            pair.aside(|pair| pair.dialed());
        }
        if far > 1 {
            pair.aside(|pair| pair.serve(INFO));
        }
        for _ in 2..far {
            pair.aside(|pair| pair.serve(PONG));
        }
        pair.lose(eof());
        if far == 0 {
            pair.dialed();
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
fn a_lame_duck_is_left_within_a_second_and_for_another_server() {
    let mut pair = ready();
    pair.serve(LAME);
    pair.expect(&["LameDuck a:4222"]);
    pair.advance(secs(1));
    pair.expect(&["Connecting b:4222 1", "dial b"]);
    pair.aside(|pair| pair.accept());
    pair.serve(PONG);
    pair.expect_among("Disconnected: the server is about to stop, 0 in doubt");
    assert_eq!(pair.engine.server(), Some("b:4222"));
    // Where there is no other, one that still serves is better than none.
    let mut pair = Pair::with(Config { prepare_moves: true, ..config() }, &["a"]);
    pair.connect();
    pair.accept();
    pair.serve(LAME);
    pair.advance(secs(1));
    pair.aside(|pair| pair.refuse());
    assert_eq!((pair.dials.len(), pair.engine.status()), (2, Status::Connected));
    // The server is none the worse for it: once it is back, it is dialled without much ado.
    pair.lose(eof());
    pair.advance(ms(250));
    assert_eq!(pair.dials.len(), 3);
}

/// What a server with that id says; lame or not.
fn info(id: &str, lame: bool) -> Vec<u8> {
    format!("INFO {{\"server_id\":\"{id}\",\"max_payload\":1048576,\"headers\":true,\"ldm\":{lame}}}\r\n").into_bytes()
}

/// Every second for so many seconds: servers say `greeting` on the connections that are prepared, and answer.
fn idle(pair: &mut Pair, seconds: u64, greeting: &[u8]) {
    for _ in 0..10 * seconds {
        pair.advance(ms(100));
        if matches!(pair.beside_net(), Net::Dialing(_)) {
            pair.aside(|pair| pair.accept_with(greeting));
        }
        pair.serve(PONG);
    }
}

// Fault D6: our clusters had an address for each server, so nobody asked whether an address is one.
#[test]
fn behind_the_address_of_a_lame_duck_there_may_be_another_server() {
    for limit in [None, Some(1)] {
        let policy = Policy { max_per_server: limit, ..Policy::default() };
        let mut pair = Pair::with(Config { prepare_moves: true, policy, ..config() }, &["a"]);
        pair.connect();
        pair.accept_with(&info("ONE", false));
        pair.serve(&info("ONE", true));
        // The load balancer leads to the same server at first, whether or not that says it again, and then nobody answers.
        for (seconds, greeting) in [(2, info("ONE", true)), (2, info("ONE", false))] {
            idle(&mut pair, seconds, &greeting);
            assert_eq!((pair.engine.status(), pair.engine.server()), (Status::Connected, Some("a:4222")));
        }
        pair.advance(secs(6));
        pair.aside(|pair| pair.refuse());
        assert_eq!(pair.dials.len(), 5, "{:?}", pair.dials);
        pair.forget();
        pair.serve(PONG);
        idle(&mut pair, 11, &info("TWO", false));
        pair.expect_among("Reconnected a:4222 after 1: 0 subs, 0 flushed, 0 held");
        let dials = pair.dials.len();
        idle(&mut pair, 60, INFO);
        assert_eq!(pair.dials.len(), dials, "and that is all");
    }
}

// Fault D8: one lame duck at a time is what a rolling restart of ours had.
#[test]
fn of_two_servers_that_are_about_to_stop_neither_is_left_for_the_other() {
    for both in [true, false] {
        let mut pair = ready();
        pair.serve(&info("ONE", true));
        let started = pair.dials.len();
        // Does the other one say so at once, or only when the client is there?
        if both {
            idle(&mut pair, 20, &info("TWO", true));
            assert_eq!(pair.engine.server(), Some("a:4222"));
        } else {
            idle(&mut pair, 2, &info("TWO", false));
            assert_eq!(pair.engine.server(), Some("b:4222"));
            pair.serve(&info("TWO", true));
            idle(&mut pair, 18, &info("TWO", true));
            assert_eq!(pair.engine.server(), Some("b:4222"));
        }
        assert_eq!(pair.engine.status(), Status::Connected);
        let dials = pair.dials.len() - started;
        assert!(dials <= 7, "{dials} connections: {:?}", pair.dials);
        // It is thrown out in the end, and goes wherever it is let in.
        pair.lose(eof());
        pair.advance(ms(250));
        assert!(matches!(pair.net(), Net::Dialing(_)));
    }
}

// Fault D8: what a server says of itself before it lets us in is no reason to leave another one.
#[test]
fn a_lame_duck_that_does_not_let_us_in_is_forgotten() {
    let config = Config { prepare_moves: true, retry_on_initial_connect: true, ..config() };
    let mut pair = Pair::with(config, &["a", "b"]);
    pair.connect();
    pair.dialed();
    pair.serve(&info("ONE", true));
    pair.lose(eof());
    pair.accept_with(&info("TWO", false));
    assert_eq!(pair.engine.server(), Some("b:4222"));
    idle(&mut pair, 5, &info("ONE", true));
    assert_eq!((pair.dials.len(), pair.engine.server()), (2, Some("b:4222")));
}

// Fault D8: a restarted server is a good one again, also in a rolling upgrade of two, where there is no other.
#[test]
fn a_lame_duck_that_has_restarted_may_be_moved_to() {
    let mut pair = ready();
    pair.serve(&info("ONE", true));
    idle(&mut pair, 2, &info("TWO", false));
    assert_eq!(pair.engine.server(), Some("b:4222"));
    idle(&mut pair, 10, &info("TWO", false));
    pair.serve(&info("TWO", true));
    idle(&mut pair, 3, &info("THREE", false));
    assert_eq!(pair.engine.server(), Some("a:4222"));
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
fn who_drains_or_closes_moves_no_more() {
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

#[test]
fn where_repetitions_are_better_than_gaps_plain_subscriptions_are_at_both() {
    let config = Config { prepare_moves: true, handover: Handover::Overlap, ..config() };
    let mut pair = Pair::with(config, &["a", "b"]);
    pair.connect();
    pair.accept();
    pair.subscribe("news", 1);
    pair.subscribe("five", 2);
    pair.unsubscribe_after(2, 5);
    pair.forget();
    pair.written();
    prepare(&mut pair);
    pair.aside(|pair| pair.expect_written("CONNECT {… PING SUB news 1 PING"));
    // What comes from both comes twice.
    pair.serve(b"MSG news 1 1\r\nx\r\n");
    pair.aside(|pair| pair.serve(b"MSG news 1 1\r\nx\r\nPONG\r\n"));
    assert_eq!(pair.delivered_to(1), 2);
    pair.advance(ms(50));
    pair.expect_written("UNSUB 1 UNSUB 2 PING");
    pair.serve(PONG);
    // Who counts is told to one server at a time.
    pair.expect_written("SUB five 2 UNSUB 2 5");
    pair.expect_among("Reconnected b:4222 after 1: 2 subs, 0 flushed, 0 held");
}
