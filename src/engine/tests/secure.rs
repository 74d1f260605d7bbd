//! Between INFO and CONNECT: the connection is secured, and credentials are asked for.

use super::pair::{INFO, PONG, Pair, config, eof, ms, secs};
use crate::engine::{Cause, Config, Credentials};

const TLS_INFO: &[u8] = b"INFO {\"server_id\":\"S\",\"headers\":true,\"tls_required\":true}\r\n";

fn upgraded(pair: &mut Pair) {
    let epoch = pair.engine.epoch();
    pair.command(move |engine, now| engine.handle_upgraded(epoch, now));
    pair.settle();
}

fn connected_to(pair: &mut Pair, info: &[u8]) {
    pair.connect();
    pair.dialed(0);
    pair.serve(info);
}

#[test]
fn a_server_that_requires_tls_gets_it_before_connect() {
    let mut pair = Pair::plain();
    connected_to(&mut pair, TLS_INFO);
    pair.expect(&["Connecting a:4222 1", "dial a", "upgrade a"]);
    pair.expect_written("");
    assert!(pair.engine.is_securing(pair.engine.epoch()));
    // C: TLS — C: CONNECT and PING.
    upgraded(&mut pair);
    assert!(pair.written().contains("\"tls_required\":true"));
    pair.serve(PONG);
    pair.expect(&["Connected a:4222 after 1"]);
}

#[test]
fn where_tls_is_required_a_plain_server_is_sent_nothing() {
    let required = Config { require_tls: true, ..config() };
    for (mut pair, why) in [
        (Pair::with(required, &["a"]), "the options ask for TLS"),
        (tls_pool(&["tls://a"]), "the address asks for TLS"),
        (tls_pool(&["a", "tls://b"]), "another address of the pool asks for TLS"),
    ] {
        connected_to(&mut pair, INFO);
        pair.expect_among(&format!(
            "AttemptFailed a:4222 1: no secure connection: {why}, and the server does not offer it"
        ));
        assert_eq!(pair.wires[0].bytes, b"");
    }
    // TLS that the server only offers is used.
    let mut pair = tls_pool(&["tls://a"]);
    connected_to(&mut pair, b"INFO {\"tls_available\":true}\r\n");
    pair.expect_among("upgrade a");
    // And ignored by a client that did not ask for it.
    let mut pair = Pair::plain();
    connected_to(&mut pair, b"INFO {\"tls_available\":true}\r\n");
    pair.expect_written("CONNECT {… PING");
}

fn tls_pool(urls: &[&str]) -> Pair {
    let urls: Vec<_> = urls.iter().map(|url| url.parse().unwrap()).collect();
    let mut pair = Pair::with(config(), &[]);
    pair.command(move |engine, now| engine.set_server_pool(urls, now));
    pair
}

#[test]
fn tls_first_begins_before_info() {
    let mut pair = Pair::dialling(Config { tls_first: true, require_tls: true, ..config() }, &["a"]);
    pair.dialed(0);
    pair.expect(&["Connecting a:4222 1", "dial a", "upgrade a"]);
    upgraded(&mut pair);
    pair.expect_written("");
    pair.serve(INFO);
    pair.expect_written("CONNECT {… PING");
    pair.serve(PONG);
    pair.expect(&["Connected a:4222 after 1"]);
}

#[test]
fn plaintext_during_the_tls_handshake_is_an_error() {
    let mut pair = Pair::dialling(Config { tls_first: true, ..config() }, &["a"]);
    pair.dialed(0);
    pair.feed(INFO);
    pair.expect_among("AttemptFailed a:4222 1: no secure connection: the server sent plaintext");
    assert!(pair.engine.info().is_none() && pair.wires[0].bytes.is_empty());
}

#[test]
fn credentials_are_not_sent_in_plaintext_once_a_server_had_tls() {
    let identity = crate::engine::Identity { user: Some("u".to_owned()), ..config().identity };
    for (config, refused) in [(config(), false), (Config { identity, ..config() }, true)] {
        let mut pair = Pair::with(config, &["a", "b"]);
        connected_to(&mut pair, TLS_INFO);
        upgraded(&mut pair);
        pair.serve(PONG);
        pair.lose(eof());
        pair.forget();
        pair.greet();
        let failed = pair.journal().iter().any(|line| line.contains("an earlier server had TLS"));
        assert_eq!(failed, refused);
    }
}

#[test]
fn a_handshake_that_fails_or_takes_too_long_is_a_failed_attempt() {
    let mut pair = Pair::plain();
    connected_to(&mut pair, TLS_INFO);
    let epoch = pair.engine.epoch();
    pair.command(move |engine, now| engine.handle_upgrade_failed(epoch, Cause::Tls("no".into()), now));
    pair.settle();
    pair.expect_among("AttemptFailed a:4222 1: no secure connection: no");
    // One that comes late changes nothing.
    pair.command(move |engine, now| engine.handle_upgraded(epoch, now));
    pair.settle();
    pair.expect_written("");

    let mut pair = Pair::plain();
    connected_to(&mut pair, TLS_INFO);
    pair.advance(secs(5));
    pair.expect_among("AttemptFailed a:4222 1: took longer than 5s, in the TLS handshake");
}

#[test]
fn credentials_are_asked_for_again_on_each_attempt() {
    let mut pair = Pair::with(Config { ask_credentials: true, ..config() }, &["a"]);
    connected_to(&mut pair, b"INFO {\"nonce\":\"n1\",\"headers\":true}\r\n");
    pair.expect_among("authenticate to a:4222, attempt 1, nonce Some(\"n1\"), before: nothing");
    // S: PING — C: nothing, because a server treats anything before CONNECT as an attack.
    pair.serve(b"PING\r\n");
    pair.expect_written("");
    answer(&mut pair, Ok(Credentials { nkey: Some("U1".to_owned()), ..Credentials::default() }));
    let connect = pair.written();
    assert!(connect.contains("\"nkey\":\"U1\"") && connect.ends_with("PING"), "{connect}");
    pair.serve(PONG);
    pair.lose(eof());
    pair.advance(ms(250));
    pair.dialed(0);
    pair.forget();
    pair.serve(b"INFO {\"nonce\":\"n2\"}\r\n");
    pair.expect_among("authenticate to a:4222, attempt 1, nonce Some(\"n2\"), before: closed by the server");
    answer(&mut pair, Err(Cause::Credentials("the vault is closed".into())));
    pair.expect_among("AttemptFailed a:4222 1: no credentials: the vault is closed");
    pair.expect_written("");
}

#[test]
fn credentials_of_a_callback_are_sent_alone_and_those_of_a_key_beside_the_options() {
    let identity = crate::engine::Identity { user: Some("u".to_owned()), ..config().identity };
    for alone in [true, false] {
        let config = Config { ask_credentials: true, identity: identity.clone(), ..config() };
        let mut pair = Pair::with(config, &["a"]);
        connected_to(&mut pair, INFO);
        answer(&mut pair, Ok(Credentials { token: Some("t".into()), alone, ..Credentials::default() }));
        let connect = pair.written();
        assert_eq!((connect.contains("\"auth_token\":\"t\""), connect.contains("\"user\":\"u\"")), (true, !alone));
    }
}

fn answer(pair: &mut Pair, answer: Result<Credentials, Cause>) {
    let epoch = pair.engine.epoch();
    pair.command(move |engine, now| engine.handle_credentials(epoch, answer, now));
    pair.settle();
}

#[test]
fn bytes_that_the_transport_has_begun_stay_in_their_place() {
    let mut pair = Pair::ready();
    pair.takes = false;
    pair.publish("x", "one");
    pair.publish("x", "two");
    pair.settle();
    let epoch = pair.engine.epoch();
    let all = pair.engine.flight().unwrap().len();
    // TLS has sealed the first bytes, and none of them was taken: the PONG still goes after them.
    pair.command(move |engine, _| engine.handle_begun(epoch, 10));
    pair.serve(b"PING\r\n");
    let bytes: Vec<u8> = pair.engine.flight().unwrap().slices().flatten().copied().collect();
    assert!(bytes.starts_with(b"PUB x 3\r\none\r\n") && bytes.len() == all + 6, "{bytes:?}");
    pair.take_all();
    pair.serve(b"PING\r\n");
    pair.publish("x", "three");
    pair.settle();
    let bytes: Vec<u8> = pair.engine.flight().unwrap().slices().flatten().copied().collect();
    assert!(bytes.starts_with(b"PONG\r\n"), "with nothing begun it goes first");
}

#[test]
fn credentials_that_expire_are_renewed_before_and_only_if_there_are_newer_ones() {
    let config = Config { ask_credentials: true, ping_interval: None, ..config() };
    let mut pair = Pair::with(config, &["a"]);
    let until = |pair: &mut Pair, left| {
        answer(pair, Ok(Credentials { expires_in: Some(left), ..Credentials::default() }));
        pair.serve(PONG);
    };
    connected_to(&mut pair, INFO);
    until(&mut pair, secs(600));
    pair.forget();
    pair.advance(secs(539));
    pair.expect(&[]);
    // A minute before: PING, PONG, and on to another connection.
    pair.advance(secs(1));
    pair.serve(PONG);
    pair.expect_among("Disconnected: the credentials were renewed before they expire, 0 in doubt");
    pair.advance(secs(1));
    pair.greet();
    pair.expect_among("authenticate to a:4222");
    // The same as before: another connection would not help, so nothing is done about the expiry.
    until(&mut pair, secs(59));
    pair.forget();
    pair.advance(secs(58));
    pair.expect(&[]);
}
