//! From the byte stream to `Connected`, and all the ways in which that fails.

use super::pair::{INFO, PONG, Pair, addrs, config, eof, ms, reset, secs};
use crate::engine::{Config, Gate, Identity, Status};

#[test]
fn the_server_speaks_first_and_is_answered_in_one_piece() {
    let mut pair = Pair::dialling(config(), &["a"]);
    pair.expect(&["Connecting a:4222 1", "dial a"]);
    pair.dialed(0);
    pair.expect_written("");
    assert_eq!(pair.engine.status(), Status::Connecting);
    // S: INFO — C: CONNECT and PING, one write.
    pair.takes = false;
    pair.serve(INFO);
    assert_eq!(pair.engine.flight().unwrap().slices().count(), 1);
    pair.take_all();
    pair.expect_written("CONNECT {… PING");
    pair.expect(&[]);
    assert_eq!(pair.outbox.gate(), Gate::Buffering);
    // S: PONG — C: connected.
    pair.serve(PONG);
    pair.expect(&["Connected a:4222 after 1"]);
    pair.expect_written("");
    assert_eq!((pair.engine.status(), pair.outbox.gate()), (Status::Connected, Gate::Open));
}

#[test]
fn subscriptions_go_first_then_buffered_messages_and_only_then_the_event() {
    let mut pair = Pair::dialling(config(), &["a"]);
    pair.subscribe("one", 1);
    pair.queue_subscribe("two.*", Some("q"), 2);
    pair.unsubscribe_after(2, 5);
    pair.subscribe("three", 3);
    pair.publish("x", "hi");
    pair.forget();
    pair.greet();
    pair.expect_written("CONNECT {… PING");
    pair.takes = false;
    pair.serve(PONG);
    // S: … PONG — C: SUBs in order of sid, each limit directly after its SUB, then the message.
    pair.take("SUB one 1\r\nSUB two.* q 2\r\nUNSUB 2 5\r\nSUB three 3\r\n".len());
    pair.expect_written("SUB one 1 SUB two.* q 2 UNSUB 2 5 SUB three 3");
    pair.expect(&[]);
    assert_eq!(pair.engine.status(), Status::Connecting);
    pair.take("PUB x 2\r\nhi\r".len());
    pair.expect(&[]);
    pair.take(1);
    pair.expect_written("PUB x 2 hi");
    pair.expect(&["Connected a:4222 after 1"]);
}

#[test]
fn messages_still_buffered_after_a_second_are_reported() {
    let mut pair = Pair::ready();
    pair.lose(eof());
    pair.subscribe("s", 1);
    pair.admit("x", b"1").unwrap();
    pair.advance(ms(250));
    pair.forget();
    pair.greet();
    pair.takes = false;
    pair.serve(PONG);
    pair.take("SUB s 1\r\n".len() + 3);
    pair.advance(ms(999));
    pair.expect(&[]);
    pair.advance(ms(1));
    pair.expect(&["Reconnected a:4222 after 1: 1 subs, 0 flushed, 1 buffered"]);
}

#[test]
fn nothing_is_announced_before_the_subscriptions_were_taken() {
    let mut pair = Pair::dialling(config(), &["a"]);
    pair.subscribe("s", 1);
    pair.greet();
    pair.takes = false;
    pair.serve(PONG);
    pair.forget();
    pair.take(3);
    pair.advance(secs(3));
    pair.expect(&[]);
    pair.take(100);
    pair.expect(&["Connected a:4222 after 1"]);
}

#[test]
fn a_pong_to_the_server_is_not_taken_for_a_part_of_the_replay() {
    let mut pair = Pair::dialling(config(), &["a"]);
    pair.subscribe("s", 1);
    pair.greet();
    pair.takes = false;
    pair.serve(PONG);
    pair.forget();
    // S: PING — C: PONG goes first, and the SUB's last byte is not taken yet.
    pair.serve(b"PING\r\nPING\r\n");
    pair.take("PONG\r\nPONG\r\nSUB s 1\r".len());
    pair.expect_written("PONG PONG SUB s 1\r");
    pair.expect(&[]);
    pair.take(1);
    pair.expect(&["Connected a:4222 after 1"]);
}

#[test]
fn connect_goes_before_every_answer() {
    let mut pair = Pair::dialling(config(), &["a"]);
    pair.dialed(0);
    let mut greeting = INFO.to_vec();
    greeting.extend_from_slice(b"PING\r\n");
    pair.serve(&greeting);
    pair.expect_written("CONNECT {… PING PONG");
}

#[test]
fn all_of_the_handshake_may_come_in_one_read() {
    let mut pair = Pair::dialling(config(), &["a"]);
    pair.dialed(0);
    let mut all = INFO.to_vec();
    all.extend_from_slice(PONG);
    all.extend_from_slice(b"INFO {\"connect_urls\":[\"b:4222\"]}\r\nPING\r\n");
    pair.serve(&all);
    pair.expect_among("Connected a:4222 after 1");
    assert_eq!(pair.engine.pool().servers().len(), 2);
}

#[test]
fn a_second_info_before_the_pong_changes_nothing_but_what_is_known() {
    let mut pair = Pair::dialling(config(), &["a"]);
    pair.greet();
    pair.expect_written("CONNECT {… PING");
    pair.serve(b"INFO {\"max_payload\":77}\r\n");
    pair.expect_written("");
    assert_eq!(pair.engine.info().unwrap().max_payload(), 77);
    pair.serve(PONG);
    pair.expect_among("Connected");
}

#[test]
fn every_stage_of_an_attempt_is_under_the_same_deadline() {
    // Nobody answers.
    let mut pair = Pair::dialling(Config { retry_on_initial_connect: true, ..config() }, &["a"]);
    pair.advance(ms(4999));
    pair.expect(&["Connecting a:4222 1", "dial a"]);
    pair.advance(ms(1));
    let late = "took longer than 5s";
    pair.expect(&["stop dialling", &format!("AttemptFailed a:4222 1: {late}, looking up and dialling")]);
    pair.advance(ms(100));
    pair.expect(&["Connecting a:4222 2", "dial a"]);
    // An address accepts after three seconds and sends nothing.
    pair.advance(secs(3));
    pair.dialed(0);
    pair.advance(ms(1899));
    pair.expect(&[]);
    pair.advance(ms(101));
    let journal = pair.journal();
    assert_eq!(journal[0], "close Reset");
    assert_eq!(
        journal[1],
        format!(
            "AttemptFailed a:4222 2: {late}, waiting for INFO (a server that wants TLS first says nothing: tls_first)"
        )
    );
}

#[test]
fn a_server_that_sends_info_and_then_nothing_is_left() {
    let mut pair = Pair::dialling(Config { retry_on_initial_connect: true, ..config() }, &["a"]);
    pair.dialed(0);
    pair.advance(secs(2));
    pair.serve(INFO);
    pair.advance(secs(3));
    pair.expect_among("AttemptFailed a:4222 1: took longer than 5s, waiting for the PONG to CONNECT and PING");
    assert_eq!(pair.engine.status(), Status::Reconnecting);
}

#[test]
fn a_refusal_goes_to_the_next_server_and_comes_back_later() {
    let mut pair = Pair::dialling(Config { retry_on_initial_connect: true, ..config() }, &["a", "b"]);
    pair.greet();
    pair.forget();
    pair.serve(b"-ERR 'Authorization Violation'\r\n");
    pair.expect(&[
        "ServerError Authorization Violation",
        "close Drop",
        "AttemptFailed a:4222 1: server error: Authorization Violation",
        "Connecting b:4222 2",
        "dial b",
    ]);
    assert!(pair.engine.last_error().unwrap().is_auth());
    pair.refuse();
    pair.advance(ms(100));
    assert_eq!(pair.dials.last().unwrap().1, "a");
}

#[test]
fn a_server_that_must_not_be_used_in_plaintext_is_sent_nothing() {
    let mut pair = Pair::dialling(Config { tls_possible: false, ..config() }, &["a"]);
    pair.dialed(0);
    pair.serve(b"INFO {\"tls_required\":true}\r\n");
    pair.expect_among("AttemptFailed a:4222 1: no secure connection: ");
    assert_eq!(pair.wires[0].bytes, b"");
    let mut pair = Pair::with(config(), &[]);
    pair.set_pool(addrs(&["a"]));
    pair.command(|engine, now| engine.set_server_pool(vec!["tls://a".parse().unwrap()], now));
    pair.connect();
    pair.greet();
    pair.expect_among("AttemptFailed a:4222 1: no secure connection: ");
    assert_eq!(pair.wires[0].bytes, b"");
}

#[test]
fn a_server_that_speaks_out_of_turn_is_left() {
    for (bytes, found) in [
        (&b"PONG\r\n"[..], "the server sent PONG where INFO was expected"),
        (b"MSG a 1 0\r\n\r\n", "the server sent MSG where PONG was expected"),
        (b"INFO nonsense\r\n", "bad INFO: "),
        (b"-ERR 'maximum connections exceeded'\r\n", "server error: maximum connections exceeded"),
    ] {
        let mut pair = Pair::dialling(config(), &["a"]);
        pair.dialed(0);
        pair.serve(bytes);
        pair.expect_among(&format!("AttemptFailed a:4222 1: {found}"));
    }
    // +OK is never an operation of its own, in any stage.
    let mut pair = Pair::dialling(config(), &["a"]);
    pair.dialed(0);
    pair.serve(b"+OK\r\n");
    pair.serve(INFO);
    pair.serve(b"+OK\r\n");
    pair.serve(PONG);
    pair.expect_among("Connected");
}

#[test]
fn stimuli_of_an_earlier_connection_are_ignored() {
    let mut pair = Pair::ready();
    pair.lose(eof());
    pair.advance(ms(250));
    pair.forget();
    let (old, new) = (1, pair.engine.epoch());
    assert_ne!(old, new);
    let now = pair.now;
    pair.engine.handle_dialed(old, 0, now);
    pair.engine.handle_dial_failed(old, reset(), now);
    pair.expect(&[]);
    pair.greet();
    pair.forget();
    let flight = pair.engine.flight().unwrap().len();
    pair.engine.handle_received(old, now);
    pair.engine.handle_op(old, &crate::protocol::ServerOp::Pong, now);
    pair.engine.handle_op(old, &crate::protocol::ServerOp::Err(b"Stale Connection"), now);
    pair.engine.handle_taken(old, 7, now);
    pair.engine.handle_write_failed(old, reset(), now);
    pair.engine.handle_lost(old, reset(), now);
    pair.engine.handle_dialed(new, 0, now);
    pair.engine.handle_dial_failed(new, reset(), now);
    pair.expect(&[]);
    assert!(pair.engine.is_live(new) && !pair.engine.is_live(old) && pair.engine.can_write());
    assert_eq!(pair.engine.flight().unwrap().len(), flight);
    pair.serve(PONG);
    pair.expect(&["Reconnected a:4222 after 1: 0 subs, 0 flushed, 0 buffered"]);
}

#[test]
fn credentials_in_an_address_go_to_that_server_only() {
    let identity = Identity { user: Some("u".into()), password: Some("p".into()), echo: true, ..Identity::default() };
    let mut pair = Pair::with(Config { identity, ..config() }, &["tok@a", "x:y@b", "c"]);
    for expected in ["\"auth_token\":\"tok\"", "\"user\":\"x\",\"pass\":\"y\"", "\"user\":\"u\",\"pass\":\"p\""] {
        pair.connect();
        pair.greet();
        let written = pair.written();
        assert!(written.contains(expected), "{written}");
        pair.serve(b"-ERR 'Authorization Violation'\r\n");
    }
    assert!(!format!("{:?}", pair.engine.config.identity).contains("\"p\""));
}
