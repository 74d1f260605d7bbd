//! Several addresses of one name: the handshake decides which one is used.

use super::pair::{INFO, Net, PONG, Pair, config, eof, ms, secs};
use crate::engine::{Config, Status};

fn dialling(retry: bool) -> Pair {
    let mut pair = Pair::dialling(Config { retry_on_initial_connect: retry, ..config() }, &["a"]);
    pair.forget();
    pair
}

// Fault D1: our test names had dead and silent addresses, but none where something other than a server accepts.
#[test]
fn an_address_that_accepts_and_is_no_server_leads_to_the_next() {
    for how in 0..4 {
        let mut pair = dialling(false);
        pair.dialed(1);
        match how {
            0 => pair.lose(eof()),
            1 => pair.serve(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            2 => pair.serve(b"PONG\r\n"),
            _ => {
                pair.serve(INFO);
                pair.serve(b"-ERR 'maximum connections exceeded'\r\n");
            }
        }
        pair.expect_among("close Drop, dial the next address");
        assert!(!pair.journal().iter().any(|entry| entry.starts_with("AttemptFailed")), "it is the same attempt");
        pair.accept();
        pair.expect_among("Connected a:4222 after 1");
    }
}

// Fault D1
#[test]
fn an_address_that_accepts_and_is_silent_has_its_share_of_the_time() {
    let mut pair = dialling(false);
    pair.dialed(2);
    pair.advance(ms(999));
    pair.expect(&[]);
    pair.advance(ms(1));
    pair.expect(&["close Reset, dial the next address"]);
    // S: the second sends INFO and then nothing. It has half of the four seconds that remain.
    pair.dialed(1);
    pair.serve(INFO);
    pair.advance(ms(1999));
    pair.expect(&[]);
    pair.advance(ms(1));
    pair.expect(&["close Reset, dial the next address"]);
    // The last one has all the time that remains.
    pair.dialed(0);
    pair.advance(ms(1900));
    pair.serve(INFO);
    pair.serve(PONG);
    pair.expect(&["Connected a:4222 after 1"]);
    assert_eq!(pair.at(), ms(4900));
}

// Fault D1
#[test]
fn all_addresses_have_one_deadline_and_the_reason_is_that_of_the_one_that_has_spoken() {
    let mut pair = dialling(false);
    pair.dialed(1);
    pair.serve(b"INFO {\"max_payload\":\r\n");
    pair.forget();
    pair.refuse();
    pair.expect_among("AttemptFailed a:4222 1: bad INFO");
    assert_eq!((pair.engine.status(), pair.net()), (Status::Disconnected, Net::None));
    let mut pair = dialling(true);
    pair.dialed(1);
    pair.advance(secs(1));
    pair.advance(ms(3999));
    pair.forget();
    pair.advance(ms(1));
    // The limit of the whole attempt was reached, not that of the second address.
    pair.expect_among("AttemptFailed a:4222 1: took longer than 5s, waiting for INFO");
    // With a short limit each still gets a share.
    let config = Config { connect_timeout: ms(200), retry_on_initial_connect: false, ..config() };
    let mut pair = Pair::dialling(config, &["a"]);
    pair.dialed(3);
    for left in [2, 1, 0] {
        pair.advance(ms(50));
        pair.dialed(left);
    }
    pair.advance(ms(49));
    pair.serve(INFO);
    pair.serve(PONG);
    pair.expect_among("Connected a:4222 after 1");
}

// Fault I9. Our test names had one silent address; with many, the last one's share is a few milliseconds.
#[test]
fn many_silent_addresses_are_reported_with_the_time_of_all() {
    let mut pair = dialling(true);
    for others in (1..=40).rev() {
        pair.dialed(others);
        pair.advance(ms(1000).min((secs(5) - pair.at()) / (others as u32 + 1)));
    }
    pair.forget();
    // The last one refuses, shortly before the deadline of all.
    pair.refuse();
    let journal = pair.journal();
    let said = journal.iter().find(|entry| entry.starts_with("AttemptFailed a:4222 1: took longer than 4.")).unwrap();
    assert!(said.contains("waiting for INFO"), "{said}");

    // What one of them said is the better reason.
    let mut pair = dialling(true);
    pair.dialed(2);
    pair.serve(b"INFO {\"max_payload\":\r\n");
    pair.dialed(1);
    pair.advance(secs(1));
    pair.forget();
    pair.refuse();
    pair.expect_among("AttemptFailed a:4222 1: bad INFO");
}

// Fault D1: credentials that one address refused are not tried at all the others.
#[test]
fn a_refusal_of_the_credentials_speaks_for_all_addresses() {
    let mut pair = dialling(false);
    pair.dialed(1);
    pair.serve(INFO);
    pair.serve(b"-ERR 'Authorization Violation'\r\n");
    pair.expect_among("AttemptFailed a:4222 1: server error: Authorization Violation");
    assert_eq!(pair.dials.len(), 1);
}

// Fault D1
#[test]
fn the_next_connection_of_a_move_tries_all_addresses_as_well() {
    let mut pair = Pair::connected(Config { prepare_moves: true, ..config() }, &["a", "b"]);
    pair.force_reconnect();
    pair.advance(ms(0));
    pair.aside(|pair| pair.dialed(1));
    pair.aside(|pair| pair.lose(eof()));
    pair.expect_among("close Drop, dial the next address");
    pair.aside(|pair| pair.accept());
    pair.serve(PONG);
    pair.expect_among("Reconnected b:4222 after 1: 0 subs, 0 flushed, 0 buffered");
}

// Faults D1, D2, A2: a program that computes for some seconds has not been listening, and the answer waits in the socket.
#[test]
fn no_server_is_put_aside_for_time_in_which_we_did_not_listen() {
    let mut pair = Pair::dialling(Config { retry_on_initial_connect: true, ..config() }, &["a", "b"]);
    pair.forget();
    for stage in 0..3 {
        pair.now += ms(1400);
        pair.engine.handle_timeout(pair.now);
        pair.settle();
        pair.expect(&[]);
        match stage {
            0 => pair.dialed(1),
            1 => pair.serve(INFO),
            _ => pair.serve(PONG),
        }
    }
    assert_eq!((pair.engine.server(), pair.dials.len()), (Some("a:4222"), 1));
}
