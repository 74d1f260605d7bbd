//! Planned moves away from a server in lame duck mode.

use super::candidate::{LAME, ready};
use super::pair::{INFO, Net, PONG, Pair, config, eof, ms, secs};
use crate::engine::pool::Policy;
use crate::engine::{Config, Status};

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
    let mut pair = Pair::connected(Config { prepare_moves: true, ..config() }, &["a"]);
    pair.serve(LAME);
    pair.advance(secs(1));
    pair.aside(|pair| pair.refuse());
    assert_eq!((pair.dials.len(), pair.engine.status()), (2, Status::Connected));
    // This does not count against the server: once it is back, it is dialled as usual.
    pair.lose(eof());
    pair.advance(ms(250));
    assert_eq!(pair.dials.len(), 3);
}

/// The INFO of a server with that id, in lame duck mode or not.
fn info(id: &str, lame: bool) -> Vec<u8> {
    format!("INFO {{\"server_id\":\"{id}\",\"max_payload\":1048576,\"headers\":true,\"ldm\":{lame}}}\r\n").into_bytes()
}

/// For this many seconds, once a second: servers send `greeting` on candidates' connections, and answer.
fn idle(pair: &mut Pair, seconds: u64, greeting: &[u8]) {
    for _ in 0..10 * seconds {
        pair.advance(ms(100));
        if matches!(pair.second_net(), Net::Dialing(_)) {
            pair.aside(|pair| pair.accept_with(greeting));
        }
        pair.serve(PONG);
    }
}

// Fault D6: each server of our clusters had its own address, so nobody asked whether an address stands for one server.
#[test]
fn the_address_of_a_lame_duck_may_lead_to_another_server() {
    for limit in [None, Some(1)] {
        let policy = Policy { max_per_server: limit, ..Policy::default() };
        let mut pair = Pair::dialling(Config { prepare_moves: true, policy, ..config() }, &["a"]);
        pair.accept_with(&info("ONE", false));
        pair.serve(&info("ONE", true));
        // The load balancer leads to the same server at first, whether or not it is still in lame duck mode, and then to
        // nothing.
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
        pair.expect_among("Reconnected a:4222 after 1: 0 subs, 0 flushed, 0 buffered");
        let dials = pair.dials.len();
        idle(&mut pair, 60, INFO);
        assert_eq!(pair.dials.len(), dials, "and that is all");
    }
}

// Fault D8: our rolling restarts had one lame duck at a time.
#[test]
fn of_two_servers_that_are_about_to_stop_neither_is_left_for_the_other() {
    for both in [true, false] {
        let mut pair = ready();
        pair.serve(&info("ONE", true));
        let started = pair.dials.len();
        // Whether the other one is a lame duck from its first INFO on, or only when the client is connected.
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
        // In the end it is thrown out, and connects wherever it is accepted.
        pair.lose(eof());
        pair.advance(ms(250));
        assert!(matches!(pair.net(), Net::Dialing(_)));
    }
}

// Fault D8: what a server says about itself before it accepts us is no reason to leave another one.
#[test]
fn a_lame_duck_that_does_not_accept_us_is_forgotten() {
    let config = Config { prepare_moves: true, retry_on_initial_connect: true, ..config() };
    let mut pair = Pair::dialling(config, &["a", "b"]);
    pair.dialed(0);
    pair.serve(&info("ONE", true));
    pair.lose(eof());
    pair.accept_with(&info("TWO", false));
    assert_eq!(pair.engine.server(), Some("b:4222"));
    idle(&mut pair, 5, &info("ONE", true));
    assert_eq!((pair.dials.len(), pair.engine.server()), (2, Some("b:4222")));
}

// Fault D8: a restarted server is a good one again, even in a rolling upgrade of two, where there is no other.
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
