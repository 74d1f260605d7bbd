//! Preferred servers: dialled first, but not for long, and returned to: S46, N6, D15.

use super::pair::{INFO, Net, PONG, Pair, addr, addrs, config, eof, ms, secs};
use crate::engine::backoff::{Backoff, Jitter};
use crate::engine::{Config, Preferred, Status};

const LAME: &[u8] = b"INFO {\"server_id\":\"S\",\"max_payload\":1048576,\"headers\":true,\"ldm\":true}\r\n";

/// `p` is preferred to `a`; probes come after 5 s, 10 s and so on, exactly.
fn prefers() -> Config {
    let backoff = Backoff { jitter: Jitter::None, ..Preferred::default().probe };
    let preferred = Preferred { servers: vec![addr("p")], probe: backoff, ..Preferred::default() };
    Config { preferred, prepare_moves: true, ..config() }
}

/// Connected to `a`, because `p` was not there.
fn elsewhere(config: Config) -> Pair {
    let mut pair = Pair::dialling(config, &["a"]);
    pair.refuse();
    pair.accept();
    pair.expect_among("Connected a:4222 after 2");
    pair
}

/// The probe has found `p`, which has to prove itself.
fn aside() -> Pair {
    let mut pair = elsewhere(prefers());
    pair.advance(secs(5));
    pair.expect(&["Connecting p:4222 1", "dial p"]);
    pair.aside(|pair| pair.accept());
    pair.forget();
    pair.written();
    pair
}

/// Time passes, and the server answers.
fn idle(pair: &mut Pair, seconds: u64) {
    for _ in 0..seconds {
        pair.advance(secs(1));
        pair.serve(PONG);
    }
}

#[test]
fn a_preferred_server_is_first_wherever_it_stands() {
    for servers in [&["a", "b"][..], &["a", "p", "b"]] {
        for seed in 0..20 {
            let mut pair = Pair::seeded(Config { retain_order: false, ..prefers() }, servers, 1 << 20, seed);
            pair.connect();
            assert_eq!((pair.dials[0].1.as_str(), pair.engine.pool().servers().len()), ("p", 3));
        }
    }
}

#[test]
fn a_preferred_server_that_does_not_answer_is_not_waited_for_as_long_as_others() {
    let mut pair = Pair::dialling(prefers(), &["a"]);
    pair.advance(ms(1999));
    pair.expect(&["Connecting p:4222 1", "dial p"]);
    pair.advance(ms(1));
    pair.expect_among("AttemptFailed p:4222 1: took longer than 2s");
    assert_eq!(pair.dials[1].1, "a");
    pair.advance(ms(4999));
    assert_eq!(pair.dials.len(), 2, "the others have their whole time");
    // Where there are no others, it has the whole time.
    let mut pair = Pair::dialling(Config { retry_on_initial_connect: true, ..prefers() }, &["p"]);
    pair.advance(ms(4999));
    pair.expect(&["Connecting p:4222 1", "dial p"]);
}

#[test]
fn after_the_loss_of_a_preferred_server_another_is_dialled_immediately() {
    let mut pair = Pair::connected(prefers(), &["a"]);
    pair.expect_among("Connected p:4222 after 1");
    idle(&mut pair, 60);
    assert_eq!(pair.dials.len(), 1, "from here there is nowhere better to go");
    pair.lose(eof());
    assert_eq!(pair.dials.last().unwrap().1, "a");
}

#[test]
fn a_preferred_server_that_has_been_there_for_a_while_is_moved_to() {
    let mut pair = elsewhere(prefers());
    pair.queue_subscribe("jobs", Some("q"), 1);
    pair.subscribe("news", 2);
    pair.advance(ms(4999));
    pair.forget();
    pair.written();
    pair.advance(ms(1));
    pair.expect(&["Connecting p:4222 1", "dial p"]);
    pair.aside(|pair| pair.accept());
    pair.advance(ms(9999));
    pair.publish("x", "1");
    // Both are up; nothing has changed.
    pair.expect_written("PUB x 1 1 PING");
    pair.serve(PONG);
    pair.aside(|pair| pair.expect_written("CONNECT {… PING"));
    pair.expect(&[]);
    assert_eq!((pair.engine.status(), pair.engine.server()), (Status::Connected, Some("a:4222")));
    pair.advance(ms(1));
    pair.aside(|pair| pair.serve(PONG));
    pair.advance(ms(50));
    pair.publish("x", "2");
    pair.expect_written("UNSUB 1 UNSUB 2 PING");
    pair.serve(PONG);
    pair.expect(&[
        "close Finish",
        "Disconnected: a preferred server is back, 0 in doubt, 1 buffered",
        "Reconnected p:4222 after 1: 2 subs, 1 flushed, 0 buffered",
    ]);
    pair.expect_written("SUB jobs q 1 PING SUB news 2 PUB x 1 2");
    idle(&mut pair, 300);
    assert_eq!(pair.dials.len(), 3, "and that is all");
}

#[test]
fn probes_that_fail_come_at_growing_intervals() {
    let mut pair = elsewhere(prefers());
    let mut last = pair.now;
    for wait in [5, 10, 20, 40, 60, 60] {
        while pair.engine.status() == Status::Connected && pair.second_net() == Net::None {
            pair.advance(secs(1));
            if pair.engine.flight().unwrap().is_empty() {
                pair.serve(PONG);
            }
        }
        assert_eq!((pair.now - last).as_secs(), wait);
        last = pair.now;
        pair.aside(|pair| pair.refuse());
        pair.expect_among("AttemptFailed p:4222 1");
    }
    assert_eq!(pair.engine.status(), Status::Connected);
}

#[test]
fn a_preferred_server_that_dies_before_it_has_proved_itself_is_not_moved_to() {
    let mut pair = aside();
    pair.advance(secs(9));
    pair.aside(|pair| pair.lose(eof()));
    pair.expect_among("AttemptFailed p:4222 1: closed by the server");
    pair.serve(PONG);
    pair.advance(ms(9999));
    pair.expect(&[]);
    pair.advance(ms(1));
    pair.expect(&["Connecting p:4222 1", "dial p"]);
    assert_eq!(pair.engine.server(), Some("a:4222"));
}

#[test]
fn a_forced_move_goes_to_the_preferred_server_without_more_proof() {
    // The user forces a reconnect; the present server enters lame duck mode; the connection is lost.
    for how in 0..3 {
        let mut pair = aside();
        match how {
            0 => pair.force_reconnect(),
            1 => pair.serve(LAME),
            _ => pair.lose(eof()),
        }
        if how < 2 {
            pair.serve(PONG);
        }
        let cause = ["reconnect was forced", "the server is about to stop", "closed by the server"][how];
        pair.expect_among(&format!("Disconnected: {cause}, 0 in doubt"));
        assert_eq!(pair.engine.server(), Some("p:4222"));
        assert_eq!(pair.dials.len(), 3);
    }
}

#[test]
fn a_preferred_server_that_is_about_to_stop_is_not_moved_to() {
    let mut pair = aside();
    pair.aside(|pair| pair.serve(LAME));
    pair.advance(secs(9));
    pair.expect_among("AttemptFailed p:4222 1: the server is about to stop");
    assert_eq!((pair.second_net(), pair.engine.server()), (Net::None, Some("a:4222")));
}

#[test]
fn without_preference_or_permission_the_client_does_not_move() {
    let prefers = prefers();
    let off = Preferred { failback: false, ..prefers.preferred.clone() };
    for config in [
        Config { preferred: off, ..prefers.clone() },
        Config { prepare_moves: false, ..prefers.clone() },
        Config { reconnect: false, ..prefers.clone() },
    ] {
        let mut pair = elsewhere(config);
        idle(&mut pair, 60);
        assert_eq!(pair.dials.len(), 2);
    }
}

#[test]
fn a_preferred_server_that_keeps_dying_is_returned_to_ever_later() {
    let mut pair = elsewhere(prefers());
    let mut waits = Vec::new();
    for _ in 0..4 {
        let since = pair.now;
        while pair.second_net() == Net::None {
            pair.advance(secs(1));
            pair.serve(PONG);
        }
        waits.push((pair.now - since).as_secs());
        pair.aside(|pair| pair.accept());
        pair.advance(secs(10));
        pair.serve(PONG);
        assert_eq!(pair.engine.server(), Some("p:4222"));
        pair.advance(secs(2));
        pair.lose(eof());
        pair.accept();
        assert_eq!(pair.engine.server(), Some("a:4222"));
    }
    assert_eq!(waits, [5, 10, 20, 40]);
}

#[test]
fn a_pool_that_is_replaced_may_have_something_better() {
    let mut pair = elsewhere(prefers());
    pair.set_pool(addrs(&["a", "b"]));
    pair.advance(secs(5));
    pair.serve(PONG);
    assert_eq!(pair.dials.len(), 2, "the preferred server is not in the pool any more");
    pair.set_pool(addrs(&["a", "p"]));
    pair.advance(secs(5));
    assert_eq!(pair.dials.last().unwrap().1, "p");
    // A client that drains or closes goes nowhere.
    pair.aside(|pair| pair.dialed(0));
    pair.aside(|pair| pair.serve(INFO));
    pair.close();
    pair.serve(PONG);
    pair.expect_among("the end: ");
    assert_eq!((pair.net(), pair.second_net()), (Net::None, Net::None));
}
