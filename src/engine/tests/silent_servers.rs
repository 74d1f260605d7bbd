//! Silent servers must not keep a client from those that answer.

use std::time::Duration;

use super::pair::{INFO, Net, PONG, Pair, addrs, eof, ms, secs};
use super::servers::exact;
use crate::engine::pool::Policy;
use crate::engine::{Config, Status};

/// Connected to `a` for some seconds, with others in the pool that were announced by gossip and never answer; `a` restarts, and
/// is back after `down`. Returns how long the outage was.
fn restart(config: Config, named: &[&str], told: usize, down: u64) -> Duration {
    let mut pair = Pair::dialling(config, named);
    while pair.dials.last().unwrap().1 != "a" {
        pair.refuse();
    }
    let told: Vec<String> = (0..told).map(|n| format!("\"told{n}:4222\"")).collect();
    pair.accept_with(format!("INFO {{\"connect_urls\":[{}]}}\r\n", told.join(",")).as_bytes());
    pair.advance(secs(5));
    let lost = pair.at();
    pair.lose(eof());
    while pair.engine.status() != Status::Connected {
        let is_a = pair.dials.last().is_some_and(|(_, name)| name == "a");
        match pair.net() {
            Net::Dialing(_) if is_a && pair.at() < lost + ms(down) => pair.refuse(),
            Net::Dialing(_) if is_a => pair.accept(),
            _ => pair.advance(ms(1)),
        }
        assert!(pair.at() < lost + secs(120), "never back");
    }
    pair.at() - lost
}

// Fault D2: the pool was tested for fairness with servers that refuse immediately; none was silent, so none cost any time.
#[test]
fn a_server_that_restarts_is_back_soon_however_many_others_are_silent() {
    for (named, told) in [(&["a"][..], 5), (&["a", "b", "c", "d"], 0), (&["a", "b", "c"], 20), (&["b", "a"], 100)] {
        for down in [0, 100, 700, 1500, 6000] {
            for redial in [0, 250] {
                let config = exact();
                let config = Config { policy: Policy { redial: ms(redial), ..config.policy }, ..config };
                let outage = restart(config, named, told, down);
                // Its own backoff, one silence up to its limit, and little more.
                let most = ms(2100 + 2 * down);
                assert!(outage <= most, "{named:?} and {told} others, down for {down} ms: {outage:?}");
            }
        }
    }
}

// Fault D2
#[test]
fn silent_servers_are_put_aside_for_one_that_is_due_and_have_their_whole_time_in_the_end() {
    // S: a is silent. b refuses a few times.
    let mut pair = Pair::dialling(Config { retry_on_initial_connect: false, ..exact() }, &["a", "b"]);
    let mut dialled = Duration::ZERO;
    while pair.engine.status() != Status::Disconnected {
        match pair.net() {
            Net::Dialing(_) if pair.dials.last().unwrap().1 == "b" => pair.refuse(),
            Net::Dialing(_) => {
                dialled += ms(1);
                pair.advance(ms(1));
            }
            _ => pair.advance(ms(1)),
        }
        assert!(pair.at() < secs(20), "{:?}", pair.dials);
    }
    assert!(pair.dials.iter().filter(|(_, name)| name == "a").count() >= 3, "{:?}", pair.dials);
    // Half of its time in pieces, and then all of it in one: it may be slow, and not dead.
    assert!((ms(7500)..secs(9)).contains(&dialled), "{dialled:?}");
    // Where all are silent or slow, none is put aside for another: each has its time in one piece.
    let mut pair = Pair::dialling(exact(), &["a", "b", "c"]);
    pair.advance(secs(1));
    assert_eq!(pair.dials.last().unwrap().1, "c");
    pair.advance(ms(4990));
    assert_eq!(pair.dials.len(), 3, "{:?}", pair.dials);
    pair.accept();
    assert_eq!(pair.engine.server(), Some("c:4222"));
}

// Fault D2
#[test]
fn a_slow_server_has_its_whole_time_although_another_one_refuses_all_the_time() {
    let mut pair = Pair::dialling(Config { retry_on_initial_connect: false, ..exact() }, &["a", "b"]);
    let (mut attempt, mut begun) = (0, pair.at());
    while !pair.engine.carries() {
        assert_ne!(pair.engine.status(), Status::Disconnected, "{:?}", pair.dials);
        if pair.dials.len() != attempt {
            (attempt, begun) = (pair.dials.len(), pair.at());
        }
        match pair.net() {
            Net::Dialing(_) if pair.dials.last().unwrap().1 == "b" => pair.refuse(),
            Net::Dialing(_) if pair.at() >= begun + ms(4500) => pair.accept(),
            _ => pair.advance(ms(1)),
        }
        assert!(pair.at() < secs(30), "{:?}", pair.dials);
    }
    assert_eq!(pair.engine.server(), Some("a:4222"));
}

// Fault D2: a port where something accepts, such as a tunnel whose far side is gone, is no better than a silent one.
#[test]
fn a_server_that_accepts_and_says_nothing_is_put_aside_as_well() {
    let mut pair = Pair::dialling(Config { retry_on_initial_connect: true, ..exact() }, &["a", "b"]);
    pair.dialed(0);
    pair.advance(ms(999));
    assert_eq!(pair.dials.len(), 1);
    pair.forget();
    pair.advance(ms(1));
    pair.expect_among("AttemptFailed a:4222 1: took longer than 1s, waiting for INFO, and another server is due");
    assert_eq!(pair.dials.last().unwrap().1, "b");
    // Where there is no other, it has its whole time.
    pair.refuse();
    pair.set_pool(addrs(&["a"]));
    pair.advance(ms(500));
    pair.dialed(0);
    pair.advance(ms(4000));
    pair.serve(INFO);
    pair.serve(PONG);
    assert_eq!(pair.engine.server(), Some("a:4222"));
}

// Fault D2: no server starves because of this, either.
#[test]
fn servers_that_were_never_seen_alive_have_their_turn_although_all_better_ones_are_due() {
    let mut pair = Pair::dialling(exact(), &["a", "b"]);
    pair.accept_with(b"INFO {\"connect_urls\":[\"told:4222\"]}\r\n");
    pair.lose(eof());
    // Each refuses us, and is due again immediately.
    for _ in 0..40 {
        if !matches!(pair.net(), Net::Dialing(_)) {
            pair.force_reconnect();
        }
        pair.refuse();
    }
    let told = pair.dials.iter().filter(|(_, name)| name == "told").count();
    assert!((5..=15).contains(&told), "{:?}", pair.dials);
}
