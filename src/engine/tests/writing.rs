//! A transport that takes nothing or fails, and what the server may still send.

use super::pair::{Pair, eof, ms, reset, secs};

#[test]
fn a_transport_that_takes_nothing_for_ten_seconds_is_dead() {
    let mut pair = Pair::ready();
    pair.advance(secs(5));
    pair.takes = false;
    pair.publish("x", "1");
    pair.advance(ms(9_999));
    pair.take(1);
    pair.advance(ms(9_999));
    pair.expect(&[]);
    pair.advance(ms(1));
    let journal = pair.journal();
    assert_eq!(journal[0], "close Reset");
    assert_eq!(journal[2], "Disconnected: write stalled for 10s, 0 in doubt, 1 buffered");
}

#[test]
fn the_write_timer_starts_when_there_is_something_to_write() {
    // The last byte was written fifteen seconds ago; nothing has stalled since.
    for stimulus in [Pair::serve_ping, Pair::limit_one, Pair::begin_drain, Pair::force_reconnect] {
        let mut pair = Pair::ready();
        pair.subscribe("s", 1);
        pair.advance(secs(15));
        pair.takes = false;
        stimulus(&mut pair);
        assert!(!pair.engine.flight().unwrap().is_empty());
        let now = pair.now;
        pair.engine.handle_timeout(now);
        pair.settle();
        assert!(pair.engine.is_live(1), "{:?}", pair.journal());
        pair.advance(ms(1_900));
        assert!(pair.engine.is_live(1), "{:?}", pair.journal());
    }
}

impl Pair {
    fn serve_ping(&mut self) {
        self.serve(b"PING\r\n");
    }

    fn limit_one(&mut self) {
        self.unsubscribe_after(1, 5);
    }

    fn begin_drain(&mut self) {
        self.drain(secs(60));
    }
}

#[test]
fn an_error_that_the_server_sent_before_it_closed_is_the_cause() {
    let mut pair = Pair::ready();
    pair.serve(b"-ERR 'Stale Connection'\r\n");
    pair.expect(&["ServerError Stale Connection"]);
    pair.lose(eof());
    pair.expect_among("Disconnected: server error: Stale Connection, 0 in doubt");
    // Also when it resets.
    let mut pair = Pair::ready();
    pair.serve(b"-ERR 'User Authentication Expired'\r\n");
    pair.lose(reset());
    pair.expect_among("Disconnected: server error: User Authentication Expired");
    // An error after which a server does not close is no cause.
    let mut pair = Pair::ready();
    pair.serve(b"-ERR 'Permissions Violation for Publish to \"x\"'\r\n");
    pair.lose(eof());
    pair.expect_among("Disconnected: closed by the server");
}

#[test]
fn after_a_write_error_the_server_has_100_ms_to_say_why() {
    let mut pair = Pair::ready();
    pair.publish("x", "1");
    pair.break_writing();
    assert!(!pair.engine.can_write());
    pair.publish("x", "2");
    pair.expect(&[]);
    pair.advance(ms(99));
    pair.serve(b"-ERR 'Maximum Payload Violation'\r\n");
    pair.lose(eof());
    pair.expect_among("Disconnected: server error: Maximum Payload Violation, 1 in doubt, 1 buffered");
}

#[test]
fn an_error_within_those_100_ms_is_the_cause_even_without_an_end() {
    let mut pair = Pair::ready();
    pair.break_writing();
    pair.serve(b"-ERR 'Maximum Payload Violation'\r\n");
    pair.advance(ms(100));
    pair.expect_among("Disconnected: server error: Maximum Payload Violation");
}

#[test]
fn without_an_error_from_the_server_the_write_error_is_the_cause() {
    let mut pair = Pair::ready();
    pair.break_writing();
    pair.advance(ms(99));
    pair.expect(&[]);
    pair.advance(ms(1));
    pair.expect_among("Disconnected: connection reset");
    let mut pair = Pair::ready();
    pair.break_writing();
    pair.lose(eof());
    pair.expect_among("Disconnected: connection reset");
}
