//! Callbacks that choose the server and the delay, and servers that are removed because of what they did.

use super::pair::{Net, Pair, addrs, config, eof, ms, secs};
use crate::engine::backoff::{Backoff, Jitter};
use crate::engine::pool::Policy;
use crate::engine::{Config, ConnectionEvent, Status};

fn asks_server() -> Config {
    Config { ask_server: true, ..exact(Policy::default()) }
}

fn asks_delay() -> Config {
    Config { ask_delay: true, ..exact(Policy::default()) }
}

/// Plain doubling from 100 ms, and no wait for the first redial.
fn exact(policy: Policy) -> Config {
    let backoff = Backoff { jitter: Jitter::None, ..policy.backoff };
    Config { policy: Policy { backoff, redial: ms(0), ..policy }, retry_on_initial_connect: true, ..config() }
}

fn dialled(pair: &Pair) -> Vec<(u128, &str)> {
    pair.dials.iter().map(|(at, name)| (at.as_millis(), name.as_str())).collect()
}

/// Connected to `a` for two seconds, and lost.
fn lost(config: Config, servers: &[&str]) -> Pair {
    let asked = config.ask_server;
    let mut pair = Pair::dialling(config, servers);
    if asked {
        pair.choose(None, None);
    }
    pair.accept();
    pair.advance(secs(2));
    pair.forget();
    pair.lose(eof());
    pair
}

/// S: sends INFO and refuses the credentials.
fn refuse_login(pair: &mut Pair, text: &str) {
    pair.greet();
    pair.take_all();
    pair.serve(format!("-ERR '{text}'\r\n").as_bytes());
}

// Fault D4: the drop-in tests had the callback's signature, and no program in which it matters when it is called.
#[test]
fn the_callback_picks_the_server_of_the_first_attempt_too() {
    let config = Config { retry_on_initial_connect: false, ..asks_server() };
    let mut pair = Pair::dialling(config.clone(), &["a", "b", "c"]);
    pair.expect_among("choose 1, server: true");
    pair.choose(Some("c"), None);
    pair.accept();
    assert_eq!(dialled(&pair), [(0, "c")]);
    // If it never wants another, `connect` does not go on for ever.
    let mut pair = Pair::dialling(config.clone(), &["a", "b", "c"]);
    for _ in 0..3 {
        assert_eq!(pair.engine.status(), if pair.dials.is_empty() { Status::Connecting } else { Status::Reconnecting });
        pair.choose(Some("c"), Some(ms(0)));
        pair.advance(ms(100));
        pair.refuse();
    }
    assert_eq!((pair.engine.status(), pair.dials.len()), (Status::Disconnected, 3));
    // A callback that does not answer gets the pool's own choice.
    let mut pair = Pair::dialling(config, &["a", "b"]);
    pair.advance(Config::default().connect_timeout);
    pair.accept();
    assert_eq!(dialled(&pair).len(), 1);
}

#[test]
fn the_callback_picks_the_server_of_each_attempt_after_the_first_connection() {
    let mut pair = lost(asks_server(), &["a", "b", "c"]);
    pair.expect_among("choose 1, server: true");
    assert_eq!((dialled(&pair).len(), pair.engine.status()), (1, Status::Reconnecting));
    pair.choose(Some("c"), None);
    pair.refuse();
    pair.expect_among("choose 2, server: true");
    // It has just failed, so it is due after its backoff; b would be due now.
    pair.choose(Some("c"), None);
    pair.advance(ms(99));
    assert_eq!(dialled(&pair), [(0, "a"), (2000, "c")]);
    pair.advance(ms(1));
    assert_eq!(dialled(&pair)[2], (2100, "c"));
    pair.accept();
    assert_eq!(pair.engine.status(), Status::Connected);
}

#[test]
fn a_server_that_is_not_in_the_pool_is_reported_and_not_dialled() {
    let mut pair = lost(asks_server(), &["a", "b"]);
    pair.choose(Some("z"), None);
    pair.expect_among("ServerNotInPool z:4222");
    assert_eq!(dialled(&pair), [(0, "a"), (2000, "b")]);
}

#[test]
fn a_callback_that_does_not_answer_is_not_waited_for() {
    let mut pair = lost(asks_server(), &["a", "b"]);
    let limit = Config::default().connect_timeout;
    pair.advance(limit - ms(1));
    assert_eq!(dialled(&pair).len(), 1);
    pair.advance(ms(1));
    assert_eq!(dialled(&pair).last(), Some(&((secs(2) + limit).as_millis(), "b")));
    // An answer that comes too late changes nothing.
    pair.choose(Some("a"), Some(ms(0)));
    assert_eq!(dialled(&pair).len(), 2);
    pair.accept();
    assert_eq!(pair.engine.status(), Status::Connected);
}

#[test]
fn the_user_does_not_wait_for_the_callback() {
    let mut pair = lost(asks_server(), &["a", "b"]);
    pair.force_reconnect();
    assert_eq!(dialled(&pair).len(), 2);
}

#[test]
fn an_end_while_the_callback_is_asked_is_an_end() {
    let mut pair = lost(asks_server(), &["a", "b"]);
    pair.close();
    assert_eq!(pair.engine.status(), Status::Closed);
    pair.choose(Some("b"), None);
    assert_eq!((dialled(&pair).len(), pair.engine.poll_timeout()), (1, None));
}

#[test]
fn a_chosen_server_that_leaves_the_pool_during_the_wait_is_not_dialled() {
    let mut pair = lost(asks_server(), &["a", "b"]);
    pair.choose(Some("b"), Some(secs(1)));
    pair.set_pool(addrs(&["a", "c"]));
    pair.choose(None, None);
    pair.advance(secs(1));
    assert!(!dialled(&pair).iter().any(|(_, name)| *name == "b"), "{:?}", pair.dials);
    assert_eq!(dialled(&pair).len(), 2);
}

#[test]
fn the_delay_of_the_callback_is_obeyed_from_the_first_attempt_on() {
    let mut pair = Pair::dialling(asks_delay(), &["a", "b"]);
    for (attempt, delay) in [(1, 0), (2, 700), (3, 50), (4, 9000)] {
        pair.expect_among(&format!("choose {attempt}, server: false"));
        pair.choose(None, Some(ms(delay)));
        pair.advance(ms(delay));
        pair.refuse();
    }
    // In turn, although each had failed and their backoff would have chosen another.
    assert_eq!(dialled(&pair), [(0, "a"), (700, "b"), (750, "a"), (9750, "b")]);
}

#[test]
fn a_delay_of_zero_means_at_most_ten_dials_a_second() {
    let mut pair = Pair::dialling(asks_delay(), &["a"]);
    pair.choose(None, Some(ms(0)));
    while pair.at() < secs(3) {
        if matches!(pair.net(), Net::Dialing(_)) {
            pair.refuse();
            pair.choose(None, Some(ms(0)));
        }
        pair.advance(ms(1));
    }
    // At zero, and every 100 ms up to the third second.
    let expected: Vec<_> = (0..=30).map(|n| (n * 100, "a")).collect();
    assert_eq!(dialled(&pair), expected);
}

#[test]
fn short_connections_count_as_failed_attempts() {
    let mut pair = Pair::dialling(Config { max_reconnects: Some(4), ..exact(Policy::default()) }, &["a"]);
    let mut lives = 0;
    while pair.engine.status() != Status::Disconnected {
        assert!(pair.at() < secs(60), "a flapping server is never given up");
        if matches!(pair.net(), Net::Dialing(_)) {
            pair.accept();
            pair.lose(eof());
            lives += 1;
        }
        pair.advance(ms(10));
    }
    assert_eq!(lives, 4);
    pair.expect_among("GaveUp after 4: closed by the server");
}

#[test]
fn the_longer_a_connection_lived_the_less_its_end_costs() {
    let mut pair = Pair::dialling(exact(Policy::default()), &["a"]);
    for _ in 0..30 {
        pair.accept();
        pair.advance(ms(900));
        let at = pair.at();
        pair.lose(eof());
        while !matches!(pair.net(), Net::Dialing(_)) {
            pair.advance(ms(1));
        }
        assert!(pair.at() - at <= ms(200), "{:?}", pair.at() - at);
    }
}

/// Rules for credentials that are refused for a minute, with exact delays.
fn a_minute() -> Config {
    exact(Policy { give_up_on_auth_after: Some(secs(60)), ..Policy::default() })
}

// Fault B3: the rule had counted attempts, and two quick ones proved nothing. A simulated server that refuses everybody for
// some seconds, with the default options, should have found it; the simulation had turned the rule off.
#[test]
fn a_refusal_by_default_is_never_the_last_word() {
    let mut pair = lost(exact(Policy::default()), &["a"]);
    for text in ["Account Authentication Expired", "Authorization Violation"] {
        for _ in 0..50 {
            refuse_login(&mut pair, text);
            pair.expect_among(&format!("ServerError {text}"));
            assert_eq!(pair.engine.status(), Status::Reconnecting);
            assert_eq!(pair.engine.last_error().unwrap().to_string(), format!("server error: {text}"));
            pair.advance(secs(4));
        }
    }
    // The delays have grown in between: about a hundred attempts in four hundred seconds.
    assert_eq!(pair.retries().last(), Some(&secs(4)));
    pair.accept();
    assert_eq!(pair.engine.status(), Status::Connected);
}

// Fault B2: our own classification of `-ERR` texts counted it as a refusal; a table of what each text asks of a client would
// have shown that it has nothing to do with credentials.
#[test]
fn a_slow_line_is_no_refusal_even_where_refusals_end_the_search() {
    let mut pair = lost(exact(Policy { give_up_on_auth_after: Some(ms(0)), ..Policy::default() }), &["a"]);
    for _ in 0..20 {
        refuse_login(&mut pair, "Authentication Timeout");
        assert_eq!(pair.engine.status(), Status::Reconnecting);
        pair.advance(secs(4));
    }
    pair.accept();
    assert_eq!(pair.engine.status(), Status::Connected);
}

// Fault B3
#[test]
fn a_server_that_refuses_the_credentials_in_the_same_words_for_the_time_that_was_set_leaves_the_pool() {
    let mut pair = lost(a_minute(), &["a", "b"]);
    let violation = "Authorization Violation";
    let first = pair.at();
    // S: a refuses the credentials, b the connection.
    while pair.engine.pool().servers().len() == 2 {
        assert!(pair.at() < first + secs(70), "a is still there");
        match pair.dials.last() {
            _ if pair.net() == Net::None => pair.advance(ms(100)),
            Some((_, name)) if name == "a" => refuse_login(&mut pair, violation),
            _ => pair.refuse(),
        }
    }
    assert!(pair.at() >= first + secs(60), "{:?}", pair.at());
    pair.expect_among("ServersChanged + -a:4222");
    // Gossip does not bring it back.
    pair.advance(secs(4));
    pair.dialed(0);
    let second = pair.at();
    pair.serve(b"INFO {\"connect_urls\":[\"a:4222\"]}\r\n");
    pair.take_all();
    pair.serve(format!("-ERR '{violation}'\r\n").as_bytes());
    assert_eq!(pair.engine.pool().servers().len(), 1);
    while pair.engine.status() == Status::Reconnecting {
        pair.advance(secs(4));
        refuse_login(&mut pair, violation);
    }
    assert!(pair.at() >= second + secs(60), "{:?}", pair.at());
    let over = |event: &ConnectionEvent| matches!(event, ConnectionEvent::GaveUp { cause, .. } if cause.is_auth());
    assert!(pair.events.iter().any(over));
    assert_eq!((pair.engine.status(), pair.engine.poll_timeout()), (Status::Disconnected, None));
    // The user gives both another chance.
    pair.force_reconnect();
    refuse_login(&mut pair, violation);
    pair.accept();
    assert_eq!(pair.engine.status(), Status::Connected);
}

#[test]
fn any_other_outcome_in_between_begins_the_time_of_a_refusal_again() {
    for outcome in 0..3 {
        let mut pair = lost(a_minute(), &["a"]);
        for _ in 0..3 {
            for _ in 0..12 {
                refuse_login(&mut pair, "Authorization Violation");
                pair.advance(secs(4));
            }
            match outcome {
                0 => {
                    pair.accept();
                    pair.advance(secs(2));
                    pair.lose(eof());
                }
                1 => {
                    pair.refuse();
                    pair.advance(secs(4));
                }
                _ => {
                    refuse_login(&mut pair, "Account Authentication Expired");
                    pair.advance(secs(4));
                }
            }
        }
        assert_eq!(pair.engine.pool().servers().len(), 1);
    }
}

#[test]
fn a_server_has_its_own_limit_of_attempts() {
    let mut pair = lost(exact(Policy { max_per_server: Some(2), ..Policy::default() }), &["a", "b"]);
    pair.refuse();
    pair.accept();
    pair.forget();
    // A short life counts as a failed attempt too.
    pair.lose(eof());
    pair.advance(ms(100));
    pair.refuse();
    pair.expect_among("ServersChanged + -b:4222");
    pair.refuse();
    assert!(pair.engine.pool().is_empty());
    pair.expect_among("GaveUp after 4: connection refused");
}

#[test]
fn giving_up_names_every_server_and_its_last_error() {
    let mut pair = lost(Config { max_reconnects: Some(3), ..exact(Policy::default()) }, &["a", "b"]);
    pair.refuse();
    refuse_login(&mut pair, "Authorization Violation");
    pair.advance(secs(4));
    pair.refuse();
    let servers = pair.events.iter().find_map(|event| match event {
        ConnectionEvent::GaveUp { servers, .. } => Some(servers),
        _ => None,
    });
    let texts: Vec<String> = servers.unwrap().iter().map(|(server, cause)| format!("{server}: {cause}")).collect();
    assert_eq!(texts, ["a:4222: server error: Authorization Violation", "b:4222: connection refused"]);
    let from =
        |event: &ConnectionEvent| matches!(event, ConnectionEvent::ServerError { server, .. } if server == "a:4222");
    assert!(pair.events.iter().any(from), "an error names its server too");
}

// N8, D14
#[test]
fn an_attempt_that_waits_for_its_turn_loses_no_time() {
    let mut pair = Pair::dialling(exact(Policy::default()), &["a"]);
    pair.dial_waits();
    pair.advance(secs(60));
    pair.expect(&["Connecting a:4222 1", "dial a"]);
    pair.dial_begins();
    pair.advance(ms(4999));
    pair.expect(&[]);
    pair.advance(ms(1));
    pair.expect_among("AttemptFailed a:4222 1: took longer than 5s");
    // Ending a subscription works while it waits.
    pair.advance(ms(100));
    pair.dial_waits();
    pair.close();
    pair.expect_among("the end: ");
}
