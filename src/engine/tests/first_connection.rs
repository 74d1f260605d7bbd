//! The first connection: how many attempts it has, and what ends it.

use super::pair::{Net, Pair, ms, secs};
use super::servers::exact;
use crate::engine::{Config, ConnectionEvent, Status};

fn with_attempts(attempts: u64) -> Config {
    Config { first_attempts: Some(attempts), retry_on_initial_connect: false, ..exact() }
}

/// Refuses every dial until the client gives up. Returns the attempts that it reports then.
fn attempts_until_it_gives_up(pair: &mut Pair) -> u64 {
    while pair.engine.status() != Status::Disconnected {
        match pair.net() {
            Net::Dialing(_) => pair.refuse(),
            _ => pair.advance(ms(1)),
        }
        assert!(pair.at() < secs(60), "{:?}", pair.dials);
    }
    let gave_up = pair.events.iter().find_map(|event| match event {
        ConnectionEvent::GaveUp { attempts, .. } => Some(*attempts),
        _ => None,
    });
    gave_up.unwrap()
}

// S22
#[test]
fn the_first_connection_has_as_many_attempts_as_configured_over_all_servers() {
    for attempts in 1..=7 {
        for servers in [&["a"][..], &["a", "b"], &["a", "b", "c"]] {
            let mut pair = Pair::dialling(with_attempts(attempts), servers);
            assert_eq!(attempts_until_it_gives_up(&mut pair), attempts, "{servers:?}");
            assert_eq!(pair.dials.len() as u64, attempts, "{servers:?}");
        }
    }
}

// S22
#[test]
fn attempts_on_the_same_server_wait_by_its_backoff() {
    let mut pair = Pair::dialling(with_attempts(4), &["a"]);
    attempts_until_it_gives_up(&mut pair);
    let waited: Vec<_> = pair.dials.iter().map(|(at, _)| *at).collect();
    assert_eq!(waited, [ms(0), ms(100), ms(300), ms(700)]);
    assert_eq!(pair.at(), ms(700), "after the last attempt it does not wait");
}

#[test]
fn a_limit_of_reconnects_does_not_shorten_the_first_connection_and_the_other_way_round() {
    let config = Config { max_reconnects: Some(2), ..with_attempts(5) };
    assert_eq!(attempts_until_it_gives_up(&mut Pair::dialling(config.clone(), &["a"])), 5);
    // Where the first connection counts as lost, only the other limit applies.
    let config = Config { retry_on_initial_connect: true, ..config };
    assert_eq!(attempts_until_it_gives_up(&mut Pair::dialling(config, &["a"])), 2);
}

#[test]
fn a_first_connection_that_succeeds_late_is_one() {
    let mut pair = Pair::dialling(with_attempts(3), &["a"]);
    pair.refuse();
    pair.advance(ms(100));
    pair.refuse();
    pair.advance(ms(200));
    pair.forget();
    pair.accept();
    pair.expect_among("Connected a:4222 after 3");
    // Later connections are not limited by it.
    pair.lose(super::pair::eof());
    super::servers::refuse_all(&mut pair, 30_000);
    assert_ne!(pair.engine.status(), Status::Disconnected);
}
