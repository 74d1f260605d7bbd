//! When a peer is dead, when it is not, and which reason is given.

use super::pair::{PONG, Pair, config, ms, secs};
use crate::engine::Config;

#[test]
fn an_idle_connection_is_dead_after_three_silent_intervals() {
    let mut pair = Pair::ready();
    pair.advance(ms(19_999));
    pair.expect_written("");
    pair.advance(ms(1));
    pair.expect_written("PING");
    pair.advance(ms(39_999));
    pair.expect(&[]);
    pair.expect_written("");
    pair.advance(ms(1));
    let journal = pair.journal();
    assert_eq!(journal[0], "close Reset");
    assert!(journal[2].starts_with("Disconnected: stale connection: no byte for 60s"), "{journal:?}");
}

#[test]
fn a_publishing_connection_is_dead_soon_after_two_intervals() {
    let mut pair = Pair::connected(Config { ping_interval: Some(secs(2)), ..config() }, &["a"]);
    pair.forget();
    let last = pair.now;
    pair.publish("x", "1");
    // Ten times a second is enough, however many messages are published.
    for _ in 0..9 {
        pair.advance(ms(10));
        pair.publish("x", "1");
    }
    assert!(!pair.written().contains("PING"));
    pair.advance(ms(10));
    pair.expect_written("PING");
    while pair.engine.carries() {
        pair.publish("x", "1");
        pair.advance(ms(10));
        assert!(pair.now < last + secs(10));
    }
    assert_eq!(pair.now - last, ms(4100));
    pair.expect_among("Disconnected: stale connection: no byte for 4.1s");
}

#[test]
fn a_flood_of_pings_does_not_fill_the_memory_with_answers() {
    // Nothing is taken in the middle of a read.
    let flood = b"PING\r\n".repeat(100_000);
    let mut pair = Pair::ready();
    for _ in 0..3 {
        pair.serve(&flood);
        pair.take_all();
        assert_eq!(pair.written().matches("PONG").count(), 1024);
    }
    // A few get an answer each.
    pair.serve(b"PING\r\nPING\r\n");
    pair.expect_written("PONG PONG");
    // Before the PONG of the handshake too.
    let mut pair = Pair::dialling(config(), &["a"]);
    pair.dialed(0);
    pair.serve(super::pair::INFO);
    pair.serve(&flood);
    pair.take_all();
    assert_eq!(pair.written().matches("PONG").count(), 1024);
}

#[test]
fn bytes_without_a_pong_keep_a_connection_alive() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.advance(secs(20));
    pair.expect_written("SUB s 1 PING");
    for _ in 0..4 {
        pair.advance(secs(39));
        pair.serve(b"MSG s 1 0\r\n\r\n");
    }
    pair.expect(&[]);
    assert_eq!(pair.delivered.len(), 4);
    pair.serve(PONG);
    pair.advance(secs(20));
    pair.expect_written("PING");
    // Half an operation is a sign of life too; nothing is not.
    pair.advance(secs(39));
    pair.serve(b"MSG s");
    pair.advance(ms(39_999));
    pair.expect(&[]);
    pair.advance(ms(1));
    pair.expect_among("Disconnected: stale connection: no byte for 40s");
}

// Fault A10. The test above went on for ever: bytes were a sign of life by rule, and no peer in any test sent everything but
// PONGs.
#[test]
fn bytes_without_a_pong_do_not_keep_it_alive_for_ever() {
    let mut pair = Pair::ready();
    pair.publish("x", "1");
    pair.advance(ms(100));
    pair.expect_written("PUB x 1 1 PING");
    let asked = pair.now;
    while pair.now < asked + secs(159) {
        pair.advance(secs(1));
        pair.serve(b"PING\r\n+OK\r\n");
    }
    pair.expect(&[]);
    pair.advance(secs(1));
    pair.expect_among(
        "Disconnected: stale connection: no PONG for 160s although other bytes came, 1 in doubt, 0 buffered",
    );
}

// Fault A10, its sibling: a peer that takes everything and says nothing.
#[test]
fn a_transport_that_empties_does_not_keep_a_connection_alive_for_ever() {
    let mut pair = Pair::ready();
    pair.takes = false;
    pair.flush(0);
    pair.take(6);
    let asked = pair.now;
    while pair.engine.carries() {
        pair.admit("x", &[b'p'; 10_000]).unwrap();
        pair.settle();
        pair.take(9_000);
        pair.advance(secs(1));
        assert!(pair.now <= asked + secs(161));
    }
    assert!(pair.now >= asked + secs(160));
    pair.expect_among("Disconnected: stale connection: no byte for");
}

// Fault A2. In the tests time always passed at the right moments: a runtime that is busy, or a process or machine that is
// stopped, had no place in them.
#[test]
fn a_deadline_that_was_slept_through_does_not_count_against_the_peer() {
    let mut pair = Pair::ready();
    pair.publish("x", "1");
    pair.advance(ms(100));
    // The PONG comes while nobody looks, and is read before the deadline is checked.
    pair.sleep(secs(60));
    pair.serve(PONG);
    pair.advance(ms(0));
    pair.expect(&[]);
    assert_eq!(pair.engine.ledger(1).confirmed, 1);
    // Or it is still on its way: the whole machine was paused.
    pair.publish("x", "2");
    pair.advance(ms(100));
    pair.sleep(secs(3600));
    pair.advance(ms(4_999));
    pair.expect(&[]);
    pair.serve(PONG);
    pair.advance(secs(1));
    assert_eq!(pair.engine.ledger(2).confirmed, 2);
    // Or it never comes: that is noticed sooner than after two intervals.
    pair.publish("x", "3");
    pair.advance(ms(100));
    pair.sleep(secs(3600));
    pair.advance(ms(4_999));
    assert!(pair.engine.carries());
    pair.advance(ms(1));
    pair.expect_among("Disconnected: stale connection: no byte for");
    // An idle connection sends a PING first.
    let mut pair = Pair::ready();
    pair.sleep(secs(3600));
    pair.advance(ms(0));
    pair.expect_written("PING");
    pair.serve(PONG);
    pair.expect(&[]);
}

// Fault A2. In the simulation the transport seldom took something at the moment of waking, and never as late as this (seed
// 93255).
#[test]
fn what_a_transport_takes_at_waking_does_not_hide_that_a_deadline_was_slept_through() {
    let mut pair = Pair::ready();
    pair.publish("x", "1");
    pair.advance(ms(100));
    pair.takes = false;
    pair.publish("x", "2");
    // A little more than four times the limit: a PING unanswered for longer has not reached the peer.
    pair.sleep(ms(160_300));
    pair.take_all();
    pair.advance(ms(0));
    assert!(pair.engine.carries(), "{:?}", pair.journal());
    pair.serve(PONG);
    pair.advance(secs(1));
    assert!(pair.engine.carries());
}

// Fault A2.
#[test]
fn an_attempt_whose_deadline_was_slept_through_goes_on_for_a_moment() {
    let mut pair = Pair::dialling(config(), &["a"]);
    pair.sleep(secs(60));
    pair.advance(ms(0));
    pair.dialed(0);
    pair.serve(super::pair::INFO);
    pair.sleep(secs(60));
    pair.advance(ms(0));
    pair.serve(PONG);
    assert!(pair.engine.carries());
    // No peer is waited for for ever.
    let mut pair = Pair::dialling(config(), &["a"]);
    pair.sleep(secs(60));
    pair.advance(ms(4_999));
    pair.forget();
    pair.advance(ms(1));
    pair.expect_among("AttemptFailed a:4222 1: took longer than 5s, looking up and dialling");
}

// Fault A2.
#[test]
fn a_write_that_stalled_while_nobody_looked_is_tried_again() {
    let mut pair = Pair::ready();
    pair.takes = false;
    pair.publish("x", "1");
    pair.sleep(secs(60));
    pair.advance(ms(0));
    assert!(pair.engine.carries());
    pair.take_all();
    pair.advance(secs(5));
    assert!(pair.engine.carries());
    // A transport that is still stuck has a second.
    pair.publish("x", "2");
    pair.sleep(secs(60));
    pair.advance(ms(999));
    assert!(pair.engine.carries());
    pair.advance(ms(1));
    pair.expect_among("Disconnected: write stalled for");
}

// Fault A3. The peers of all tests read everything or nothing; none read slowly without a pause.
#[test]
fn a_peer_that_reads_slowly_is_alive() {
    let mut pair = Pair::ready();
    pair.takes = false;
    // 4 MiB at 40 kB/s; a transport that has room only when a third of its megabytes is free.
    pair.admit("x", &[b'p'; 4 << 20]).unwrap();
    pair.settle();
    pair.take(2 << 20);
    pair.flush(0);
    for _ in 0..20 {
        pair.advance(secs(9));
        pair.take(100_000);
    }
    pair.expect(&[]);
    // The PING was taken with the last byte; it comes after everything that the transport has queued.
    pair.take_all();
    pair.advance(secs(39));
    // One for the message, one for the flush.
    pair.serve(&PONG.repeat(2));
    pair.expect(&["flush 1 ok"]);
    assert_eq!(pair.engine.ledger(1).confirmed, 1);
}

// Fault A3.
#[test]
fn a_ping_has_more_time_while_the_transport_empties() {
    let mut pair = Pair::ready();
    pair.takes = false;
    pair.flush(0);
    pair.take(6);
    pair.admit("x", &[b'p'; 4 << 20]).unwrap();
    pair.settle();
    for _ in 0..15 {
        pair.advance(secs(9));
        pair.take(100_000);
    }
    assert!(pair.engine.carries(), "what was taken before the PING arrives first, and the transport empties");
    // It does not empty any more.
    pair.advance(secs(10));
    pair.expect_among("Disconnected: write stalled for 10s");
}

#[test]
fn unexpected_pongs_are_ignored() {
    let mut pair = Pair::ready();
    pair.serve(&b"PONG\r\n".repeat(1000));
    pair.publish("x", "1");
    assert_eq!(pair.engine.ledger(1).unconfirmed, 1);
    pair.serve(&b"PONG\r\n".repeat(1000));
    pair.expect(&[]);
    assert_eq!(pair.engine.ledger(1).unconfirmed, 1);
    let token = pair.flush(0);
    pair.serve(b"PONG\r\n");
    pair.expect(&[&format!("flush {token} ok")]);
    assert_eq!(pair.engine.ledger(1).confirmed, 1);
}

#[test]
fn a_pong_is_ignored_before_its_ping_was_taken_completely() {
    let mut pair = Pair::ready();
    pair.takes = false;
    let token = pair.flush(0);
    pair.take("PING\r".len());
    pair.serve(b"PONG\r\n");
    pair.expect(&[]);
    pair.take(1);
    pair.serve(b"PONG\r\n");
    pair.expect(&[&format!("flush {token} ok")]);
}

#[test]
fn messages_are_confirmed_without_being_asked_and_not_too_often() {
    let mut pair = Pair::ready();
    for _ in 0..1000 {
        pair.publish("x", "1");
        pair.advance(ms(10));
        if pair.written().contains("PING") {
            pair.serve(b"PONG\r\n");
        }
    }
    let pings = String::from_utf8_lossy(&pair.wires[0].bytes).matches("PING").count();
    assert!((90..=102).contains(&pings), "{pings} in ten seconds");
    pair.advance(secs(1));
    pair.serve(b"PONG\r\n");
    let ledger = pair.engine.ledger(pair.outbox.accepted());
    assert_eq!((ledger.confirmed, ledger.unconfirmed), (1000, 0));
}

#[test]
fn a_fast_publisher_is_confirmed_by_bytes_and_one_ping_is_out_at_a_time() {
    let mut pair = Pair::ready();
    let payload = vec![b'p'; 16 * 1024];
    for _ in 0..15 {
        pair.admit("x", &payload).unwrap();
        pair.settle();
    }
    assert!(!pair.written().contains("PING"), "less than 256 KiB, and no time has passed");
    for _ in 0..100 {
        pair.admit("x", &payload).unwrap();
        pair.settle();
    }
    assert_eq!(pair.written().matches("PING").count(), 1, "the server has not answered");
    // The next PING goes with the next message: a write for it alone costs more than it does.
    pair.serve(b"PONG\r\n");
    assert_eq!(pair.written(), "");
    pair.admit("x", b"last").unwrap();
    pair.settle();
    let written = pair.written();
    assert!(written.contains("last") && written.ends_with("PING"), "{written}");
    assert_eq!(pair.engine.ledger(116).confirmed, 16);
    pair.serve(b"PONG\r\n");
    assert_eq!(pair.engine.ledger(116).confirmed, 116);
    pair.expect_written("");
}

#[test]
fn idle_pings_can_be_switched_off() {
    let mut pair = Pair::connected(Config { ping_interval: None, ..config() }, &["a"]);
    pair.forget();
    pair.advance(secs(100_000));
    pair.expect_written("");
    // Published messages are confirmed all the same, or a loss would leave all of them in doubt.
    pair.publish("x", "1");
    pair.advance(secs(1));
    pair.expect_written("PUB x 1 1 PING");
    pair.serve(b"PONG\r\n");
    pair.advance(secs(100_000));
    pair.expect_written("");
    pair.expect(&[]);
    // A flush still does not wait for ever: its PING is measured by the default interval.
    pair.publish("x", "2");
    pair.flush(0);
    pair.advance(secs(40));
    pair.expect_among("flush 1 failed: 1 message is in doubt: the connection was lost before the server confirmed it");
}

#[test]
fn a_ping_is_answered_ahead_of_what_waits_but_not_inside_it() {
    let mut pair = Pair::ready();
    pair.takes = false;
    pair.publish("x", "1");
    pair.admit("x", &[b'p'; 40_000]).unwrap();
    pair.serve(b"PING\r\n");
    pair.take(6 + 5);
    pair.expect_written("PONG PUB x");
    pair.serve(b"PING\r\n");
    pair.take(7 + 6);
    pair.expect_written("… 1 1 PONG");
}

#[test]
fn the_round_trip_is_measured_from_the_last_byte_of_the_ping() {
    let mut pair = Pair::ready();
    pair.takes = false;
    pair.flush(0);
    pair.advance(ms(50));
    pair.take(6);
    pair.advance(ms(30));
    pair.serve(b"PONG\r\n");
    assert_eq!(pair.engine.round_trip(), Some(ms(30)));
}
