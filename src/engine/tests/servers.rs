//! Which server is dialled when: backoff, flapping, limits, gossip and replaced pools.

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::pair::{Net, PONG, Pair, addr, addrs, config, eof, ms, secs};
use crate::engine::backoff::{Backoff, Jitter};
use crate::engine::pool::{MAX_ADVERTISED, Policy, Pool};
use crate::engine::{Config, Status};

/// Plain doubling from 100 ms to 4 s, no jitter, no spread, for ever.
pub(super) fn exact() -> Config {
    let backoff = Backoff { jitter: Jitter::None, ..Policy::default().backoff };
    let policy = Policy { backoff, redial: ms(0), ..Policy::default() };
    Config { policy, retry_on_initial_connect: true, ..config() }
}

/// Refuses every dial until `until`.
pub(super) fn refuse_all(pair: &mut Pair, until: u64) {
    while pair.at() < ms(until) {
        while matches!(pair.net(), Net::Dialing(_)) {
            pair.refuse();
        }
        pair.advance(ms(1));
    }
}

pub(super) fn times(pair: &Pair, server: &str) -> Vec<u128> {
    pair.dials.iter().filter(|(_, name)| name == server).map(|(at, _)| at.as_millis()).collect()
}

#[test]
fn each_server_waits_for_itself() {
    let mut pair = Pair::dialling(exact(), &["a", "b"]);
    pair.refuse();
    pair.advance(ms(40));
    refuse_all(&mut pair, 3_000);
    // The delays run in parallel: b is 40 ms later than a throughout.
    assert_eq!(times(&pair, "a"), [0, 100, 300, 700, 1500]);
    assert_eq!(times(&pair, "b"), [0, 140, 340, 740, 1540]);
}

#[test]
fn the_wait_grows_to_its_cap_and_no_further() {
    let mut pair = Pair::dialling(exact(), &["a"]);
    refuse_all(&mut pair, 20_000);
    assert_eq!(times(&pair, "a"), [0, 100, 300, 700, 1500, 3100, 6300, 10_300, 14_300, 18_300]);
    assert_eq!(pair.retries().last(), Some(&secs(4)));
}

#[test]
fn jitter_stays_within_its_range() {
    let mut pair = Pair::dialling(Config { retry_on_initial_connect: true, ..config() }, &["a"]);
    refuse_all(&mut pair, 60_000);
    for (n, wait) in pair.retries().iter().enumerate() {
        let full = (ms(100) * 2_u32.pow(n.min(10) as u32)).min(secs(4));
        assert!((full / 2..=full).contains(wait), "{n}: {wait:?}");
    }
    let last: Vec<_> = pair.retries().into_iter().rev().take(5).collect();
    assert!(last.windows(2).any(|pair| pair[0] != pair[1]), "no jitter at the cap");
}

#[test]
fn the_server_that_was_lost_is_redialled_after_a_short_random_wait() {
    let mut waits = Vec::new();
    for seed in 0..200 {
        let mut pair = Pair::seeded(config(), &["a"], 1000, seed);
        pair.connect();
        pair.accept();
        pair.advance(secs(1));
        pair.lose(eof());
        pair.advance(ms(250));
        assert_eq!(pair.dials.len(), 2);
        waits.push((pair.dials[1].0 - secs(1)).as_millis());
    }
    assert!(waits.iter().any(|wait| *wait < 25) && waits.iter().any(|wait| *wait > 225), "{waits:?}");
}

#[test]
fn another_server_is_dialled_immediately() {
    let mut pair = Pair::connected(config(), &["a", "b"]);
    pair.advance(secs(5));
    pair.lose(eof());
    assert_eq!(pair.dials.last().unwrap(), &(secs(5), "b".to_owned()));
}

#[test]
fn a_server_that_accepts_and_closes_is_not_hammered() {
    for seed in 0..20 {
        let mut pair = Pair::seeded(config(), &["a"], 1000, seed);
        pair.connect();
        while pair.at() < secs(30) {
            if matches!(pair.net(), Net::Dialing(_)) {
                pair.accept();
                pair.advance(ms(9));
                pair.lose(eof());
            }
            pair.advance(ms(1));
        }
        let dials = &pair.dials;
        for window in dials.windows(11) {
            assert!(window[10].0 - window[0].0 >= secs(1), "more than ten dials a second: {window:?}");
        }
        // A life of less than a second clears nothing: the delays have grown to the cap.
        let last = dials[dials.len() - 1].0 - dials[dials.len() - 2].0;
        assert!(last >= secs(2), "{dials:?}");
    }
}

#[test]
fn a_second_of_life_clears_the_penalty() {
    let mut pair = Pair::dialling(exact(), &["a"]);
    refuse_all(&mut pair, 3_000);
    pair.advance(ms(200));
    pair.accept();
    pair.advance(secs(1));
    pair.lose(eof());
    pair.refuse();
    assert_eq!(pair.retries().last(), Some(&ms(100)));
}

#[test]
fn attempts_are_counted_over_all_servers_since_the_last_stable_connection() {
    let mut pair = Pair::connected(Config { max_reconnects: Some(5), ..exact() }, &["a", "b"]);
    pair.advance(secs(1));
    pair.lose(eof());
    for _ in 0..3 {
        pair.refuse();
        pair.advance(ms(400));
    }
    // A short life in between clears nothing, and counts like a failed attempt.
    pair.accept();
    pair.lose(eof());
    pair.advance(ms(400));
    assert_eq!(pair.engine.status(), Status::Reconnecting);
    pair.forget();
    pair.refuse();
    pair.expect_among("GaveUp after 5: connection refused");
    assert_eq!(pair.engine.status(), Status::Disconnected);
    assert_eq!(pair.engine.poll_timeout(), None);
}

#[test]
fn gossip_adds_and_takes_away_what_it_added() {
    let mut pair = Pair::ready();
    pair.serve(b"INFO {\"connect_urls\":[\"b:4222\",\"a:4222\",\"c:4222\",\"not an address\"]}\r\n");
    pair.expect(&["ServersChanged +b:4222,c:4222 -"]);
    pair.serve(b"INFO {\"connect_urls\":[\"b:4222\",\"a:4222\",\"c:4222\"]}\r\n");
    pair.expect(&[]);
    // The list is complete each time; the user's own server stays, and an empty list says nothing.
    pair.serve(b"INFO {\"connect_urls\":[\"c:4222\",\"d:4222\"]}\r\n");
    pair.expect(&["ServersChanged +d:4222 -b:4222"]);
    pair.serve(b"INFO {}\r\n");
    pair.expect(&[]);
    pair.lose(eof());
    pair.refuse();
    pair.refuse();
    pair.advance(ms(250));
    let dialled: Vec<&str> = pair.dials.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(dialled, ["a", "c", "d", "a"]);
}

// Fault H8: the hostile servers of our tests announced no others, and those that did accepted us.
#[test]
fn gossip_of_a_server_that_does_not_accept_us_is_ignored() {
    let mut pair = Pair::dialling(exact(), &["a"]);
    pair.dialed(0);
    let told: Vec<String> = (0..4000).map(|n| format!("\"evil:{}\"", n + 1)).collect();
    let info = format!("INFO {{\"connect_urls\":[{}]}}\r\n", told.join(","));
    pair.serve(info.as_bytes());
    pair.serve(info.as_bytes());
    assert_eq!(pair.engine.pool().servers().len(), 1);
    pair.serve(b"-ERR 'Authorization Violation'\r\n");
    assert_eq!(pair.engine.pool().servers().len(), 1);
    pair.advance(ms(100));
    pair.dialed(0);
    pair.serve(info.as_bytes());
    pair.lose(eof());
    assert_eq!(pair.engine.pool().servers().len(), 1);
    // One that accepts us is believed, within bounds, and the user's own server stays the first.
    pair.advance(ms(200));
    pair.accept_with(info.as_bytes());
    assert_eq!(pair.engine.pool().servers().len(), 1 + MAX_ADVERTISED);
    pair.advance(secs(2));
    pair.lose(eof());
    assert_eq!(pair.dials.last().unwrap().1, "a");
}

// Fault B5: the option that makes `connect` wait for one round was tested with single servers only.
#[test]
fn the_first_round_is_over_when_the_servers_that_the_user_named_have_failed() {
    let mut pair = Pair::dialling(config(), &["a", "b"]);
    pair.dialed(0);
    pair.serve(b"INFO {\"connect_urls\":[\"c:4222\",\"d:4222\"]}\r\n");
    pair.take_all();
    pair.lose(eof());
    pair.refuse();
    assert_eq!((pair.engine.status(), pair.dials.len()), (Status::Disconnected, 2));
    // And whatever else may be in the pool.
    let rng = &mut SmallRng::seed_from_u64(1);
    let mut pool = Pool::new(Vec::new(), vec![addr("a")], true, rng);
    let a = pool.servers()[0].id;
    pool.gossip(&["c:4222".to_owned()], &addr("a"), None, true, rng);
    assert!(!pool.all_named_failed());
    pool.failed(a, eof(), &Policy::default(), pair.now, rng);
    assert!(pool.all_named_failed());
}

#[test]
fn gossip_can_be_ignored() {
    let mut pair = Pair::dialling(Config { ignore_discovered: true, ..config() }, &["a"]);
    pair.accept_with(b"INFO {\"connect_urls\":[\"b:4222\"]}\r\n");
    assert_eq!(pair.engine.pool().servers().len(), 1);
}

#[test]
fn the_connected_server_stays_in_the_pool_although_gossip_forgets_it() {
    let mut pair = Pair::ready();
    pair.serve(b"INFO {\"connect_urls\":[\"b:4222\"]}\r\n");
    pair.lose(eof());
    pair.accept_with(b"INFO {\"connect_urls\":[\"c:4222\"]}\r\n");
    assert_eq!(pair.engine.server(), Some("b:4222"));
    assert_eq!(pair.engine.pool().servers().len(), 3);
}

#[test]
fn a_lame_duck_is_reported_once() {
    let mut pair = Pair::ready();
    pair.serve(b"INFO {\"ldm\":true}\r\n");
    pair.serve(b"INFO {\"ldm\":true}\r\n");
    pair.expect(&["LameDuck a:4222"]);
    pair.serve(b"INFO what\r\n");
    pair.expect(&[]);
    assert!(pair.engine.info().unwrap().lame_duck_mode);
}

#[test]
fn a_new_pool_is_used_by_the_next_attempt() {
    let mut pair = Pair::ready();
    pair.set_pool(addrs(&["b", "c"]));
    pair.expect(&[]);
    // The connection stays although its server is not in the pool, even when that server sends INFO.
    pair.serve(b"INFO {\"connect_urls\":[\"z:4222\"],\"max_payload\":5}\r\n");
    assert_eq!(pair.engine.status(), Status::Connected);
    assert_eq!(pair.engine.info().unwrap().max_payload(), 5);
    pair.forget();
    pair.lose(eof());
    pair.refuse();
    pair.refuse();
    let dialled: Vec<&str> = pair.dials.iter().skip(1).map(|(_, name)| name.as_str()).collect();
    assert_eq!(dialled, ["b", "c", "z"]);
}

#[test]
fn a_new_pool_ends_the_wait() {
    let mut pair = Pair::ready();
    pair.lose(eof());
    pair.forget();
    pair.set_pool(addrs(&["b"]));
    pair.expect(&["Connecting b:4222 1", "dial b"]);
    // The attempt in progress goes on.
    pair.set_pool(addrs(&["c"]));
    pair.greet();
    pair.serve(PONG);
    pair.expect_among("Reconnected b:4222");
}

#[test]
fn an_empty_pool_ends_with_that_cause() {
    let mut pair = Pair::ready();
    pair.set_pool(addrs(&[]));
    pair.lose(eof());
    pair.expect_among("GaveUp after 1: no servers in the pool");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut pair = Pair::seeded(
            Config { retain_order: false, retry_on_initial_connect: true, ..Config::default() },
            &["a", "b", "c", "d", "e"],
            1000,
            seed,
        );
        pair.connect();
        refuse_all(&mut pair, 5_000);
        pair.dials
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
