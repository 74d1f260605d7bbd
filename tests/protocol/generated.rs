//! Generated operations and bytes, and the number of cases, for the property tests.

use crate::wire::{Body, Op};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// A token: no blank, no control character (servers accept some of those; see the fixtures).
pub(crate) fn token() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-z0-9.*>_-]{1,40}".prop_map(String::into_bytes),
        1 => "[0-9]{1,25}".prop_map(String::into_bytes),
        1 => vec(0x21..=0xff_u8, 1..30),
    ]
}

pub(crate) fn body() -> impl Strategy<Value = Body> {
    let payload = prop_oneof![
        8 => vec(any::<u8>(), 0..60),
        1 => vec(any::<u8>(), 60..3000),
    ];
    (token(), option::of(token()), option::of(vec(any::<u8>(), 0..60)), payload)
        .prop_map(|(subject, reply, headers, payload)| Body { subject, reply, headers, payload })
}

/// Text for INFO, CONNECT and -ERR: one line, not empty, without blanks at its ends.
pub(crate) fn line() -> impl Strategy<Value = Vec<u8>> {
    "[!-~]([ -~]{0,60}[!-~])?".prop_map(String::into_bytes)
}

pub(crate) fn server_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (any::<u64>(), body()).prop_map(|(sid, body)| Op::Msg(sid, body)),
        1 => Just(Op::Ping),
        1 => Just(Op::Pong),
        1 => Just(Op::Ok),
        1 => line().prop_map(Op::Err),
        1 => line().prop_map(Op::Info),
    ]
}

pub(crate) fn client_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => body().prop_map(Op::Pub),
        1 => (token(), option::of(token()), any::<u64>())
            .prop_map(|(subject, queue, sid)| Op::Sub(subject, queue, sid)),
        1 => (any::<u64>(), option::of(any::<u64>())).prop_map(|(sid, max)| Op::Unsub(sid, max)),
        1 => Just(Op::Ping),
        1 => Just(Op::Pong),
        1 => line().prop_map(Op::Connect),
    ]
}

/// Bytes that often look enough like the protocol to get deep into the decoder.
pub(crate) fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        "(MSG|HMSG|PING|PONG|INFO|\\+OK|-ERR|PUB|HPUB|SUB|UNSUB|CONNECT|msg|hPub)".prop_map(String::into_bytes),
        "[ \t]{1,2}".prop_map(String::into_bytes),
        "\r?\n".prop_map(String::into_bytes),
        "[0-9]{1,3}".prop_map(String::into_bytes),
        "[a-z]{1,5}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..6),
    ];
    vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

pub(crate) fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![vec(1..4_usize, 0..400), vec(1..100_usize, 0..100)]
}

pub(crate) fn written(ops: &[Op]) -> Vec<u8> {
    let mut out = Vec::new();
    ops.iter().for_each(|op| op.encode(&mut out));
    out
}

/// Any text, often with characters that could break a frame or a line.
pub(crate) fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[a-zA-Z0-9.*>_-]{1,6}",
        1 => "[ \t\r\n]{1,2}",
        1 => Just("\r\nPUB evil 0\r\n\r\n".to_owned()),
        1 => "[:\"'\\\\%@/\\x00-\\x1f]{1,2}",
        1 => any::<String>(),
    ];
    vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

/// 1,500 cases per property.
pub(crate) fn config() -> ProptestConfig {
    laws(1500)
}

/// This many cases, or the number in `PROPTEST_CASES`. Failures are not saved in a file: each becomes a test.
pub(crate) fn laws(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(asked.unwrap_or(cases)) }
}
