//! Decoded operations encode and decode to the same; lengths are known before encoding.

use nats_lifeline::protocol::{Decoded, Decoder, Limits, publish_args_len, publish_head, publish_len};

use super::choices::{Choices, Sizes};
use super::cuts::{Client, Server, Side};
use super::owned::Owned;

/// Either bytes, which are decoded to operations, or decisions, from which operations are made.
pub fn round_trip(input: &[u8]) {
    let mut choices = Choices::new(input);
    match choices.below(4) {
        0 => bytes_come_back::<Server>(choices.rest()),
        1 => bytes_come_back::<Client>(choices.rest()),
        2 => operations_come_back::<Server>(&mut choices, server_op),
        _ => operations_come_back::<Client>(&mut choices, client_op),
    }
}

/// An operation in any spelling is the same operation in ours.
fn bytes_come_back<S: Side>(bytes: &[u8]) {
    let mut decoder = Decoder::default();
    let mut rest = bytes;
    while let Ok(Decoded::Op { op, len }) = S::decode(&mut decoder, rest) {
        let op: Owned = op.into();
        // -ERR is encoded from text.
        if op.word != "-ERR" || core::str::from_utf8(&op.text).is_ok() {
            let mut written = Vec::new();
            op.encode(&mut written);
            check_lengths(&op, &written);
            assert_eq!(read::<S>(&written), [op]);
        }
        rest = &rest[len..];
    }
}

/// Any encoded operations, one after the other, decode to the same operations, in pieces too.
fn operations_come_back<S: Side>(choices: &mut Choices<'_>, make: fn(&mut Choices<'_>) -> Owned) {
    let mut sizes = Sizes::new(choices);
    let mut ops = Vec::new();
    let mut written = Vec::new();
    while !choices.is_empty() {
        let op = make(choices);
        let before = written.len();
        op.encode(&mut written);
        check_lengths(&op, &written[before..]);
        ops.push(op);
    }
    assert_eq!(read::<S>(&written), ops);
    let (mut decoder, mut start, mut end) = (Decoder::default(), 0, 0);
    let mut ops = ops.into_iter();
    while start < written.len() {
        match S::decode(&mut decoder, &written[start..end]) {
            Ok(Decoded::Op { op, len }) => {
                assert_eq!(Some(op.into()), ops.next());
                start += len;
            }
            Ok(Decoded::NeedMore(_)) => end += sizes.next().min(written.len() - end),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(ops.next(), None);
}

fn read<S: Side>(written: &[u8]) -> Vec<Owned> {
    // An operation within the limits may be longer in our spelling: INFO gets its blank.
    let limits = Limits { line: usize::MAX, ..Limits::default() };
    let (mut decoder, mut rest, mut ops) = (Decoder::new(limits), written, Vec::new());
    while !rest.is_empty() {
        let step = S::decode(&mut decoder, rest);
        let Ok(Decoded::Op { op, len }) = step else { panic!("{step:?} of {:?}", rest.escape_ascii().to_string()) };
        ops.push(op.into());
        rest = &rest[len..];
    }
    ops
}

/// The lengths of a PUB are known before it is encoded, and its head is the part before its payload.
fn check_lengths(op: &Owned, written: &[u8]) {
    if !matches!(op.word, "PUB" | "HPUB") {
        return;
    }
    let (reply, headers) = (op.second.as_deref(), op.headers.as_deref());
    let (reply_len, headers_len) = (reply.map(<[u8]>::len), headers.map(<[u8]>::len));
    assert_eq!(publish_len(op.text.len(), reply_len, headers_len, op.payload.len()), written.len());
    let line = written.iter().position(|byte| *byte == b'\n').unwrap() - 1;
    let args = publish_args_len(op.text.len(), reply_len, headers_len, op.payload.len());
    assert_eq!(op.word.len() + 1 + args, line);
    let mut head = Vec::new();
    publish_head(&mut head, &op.text, reply, headers, op.payload.len());
    assert_eq!([&head[..], &op.payload, b"\r\n"].concat(), written);
}

fn server_op(choices: &mut Choices<'_>) -> Owned {
    match choices.below(16) {
        0 => Owned::new("PING", b""),
        1 => Owned::new("PONG", b""),
        2 => Owned::new("+OK", b""),
        3 => Owned::new("INFO", &document(choices)),
        4 => {
            let text = String::from_utf8_lossy(choices.some_bytes()).replace('\n', " ");
            Owned::new("-ERR", text.as_bytes())
        }
        _ => message(choices, "MSG", "HMSG"),
    }
}

fn client_op(choices: &mut Choices<'_>) -> Owned {
    match choices.below(16) {
        0 => Owned::new("PING", b""),
        1 => Owned::new("PONG", b""),
        2 => Owned::new("CONNECT", &document(choices)),
        3 => {
            let (subject, queue) = (token(choices), choices.flag().then(|| token(choices)));
            Owned { second: queue, sid: choices.number(), ..Owned::new("SUB", &subject) }
        }
        4 => {
            let (sid, max) = (choices.number(), choices.flag().then(|| choices.number()));
            Owned { sid, max, ..Owned::new("UNSUB", b"") }
        }
        _ => message(choices, "PUB", "HPUB"),
    }
}

fn message(choices: &mut Choices<'_>, plain: &'static str, with_headers: &'static str) -> Owned {
    let text = token(choices);
    let second = choices.flag().then(|| token(choices));
    let headers = choices.flag().then(|| choices.some_bytes().to_vec());
    let mut payload = choices.some_bytes().to_vec();
    if payload.first() == Some(&0xff) {
        // Sizes of more digits.
        payload = payload.repeat(1 + choices.below(200));
    }
    let sid = if plain == "MSG" { choices.number() } else { 0 };
    let word = if headers.is_some() { with_headers } else { plain };
    Owned { word, text, second, sid, max: None, headers, payload }
}

/// Anything but a separator; at least one byte.
fn token(choices: &mut Choices<'_>) -> Vec<u8> {
    let len = choices.below(48);
    let mut token = choices.bytes(len).to_vec();
    token.iter_mut().filter(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).for_each(|byte| *byte = b'.');
    if token.is_empty() {
        token.push(b'0');
    }
    token
}

/// One line without blanks at its ends, in braces.
fn document(choices: &mut Choices<'_>) -> Vec<u8> {
    let inner: Vec<u8> = choices.some_bytes().iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect();
    [b"{", &inner[..], b"}"].concat()
}
