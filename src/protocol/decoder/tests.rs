//! The decoder's unit tests: what it remembers, how much it asks for, what its limits mean.

use super::*;

fn server(decoder: &mut Decoder, bytes: &[u8]) -> Result<usize, ProtocolError> {
    match decoder.decode_server(bytes)? {
        Decoded::Op { len, .. } => Ok(len),
        Decoded::NeedMore(more) => panic!("needs {more} more"),
    }
}

fn needs(decoder: &mut Decoder, bytes: &[u8]) -> usize {
    match decoder.decode_server(bytes) {
        Ok(Decoded::NeedMore(more)) => more,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_the_beginning_of_everything() {
    assert_eq!(needs(&mut Decoder::default(), b""), 1);
    let step = Decoder::default().decode_client(b"");
    assert_eq!(step, Ok(Decoded::NeedMore(1)));
}

#[test]
fn a_body_is_asked_for_by_its_length() {
    let mut decoder = Decoder::default();
    let mut bytes = b"HMSG a 1 12 1000\r\n".to_vec();
    assert_eq!(needs(&mut decoder, &bytes), 1002);
    bytes.extend_from_slice(b"NATS/1.0\r\n\r\n");
    assert_eq!(needs(&mut decoder, &bytes), 990);
    bytes.extend([b'x'; 988]);
    assert_eq!(needs(&mut decoder, &bytes), 2);
    bytes.push(b'\r');
    assert_eq!(needs(&mut decoder, &bytes), 1);
    bytes.push(b'\n');
    assert_eq!(server(&mut decoder, &bytes), Ok(bytes.len()));
}

#[test]
fn the_largest_body_is_not_reserved_but_only_asked_for() {
    let mut decoder = Decoder::default();
    let bytes = b"MSG a 1 68157440\r\nabc";
    assert_eq!(needs(&mut decoder, bytes), 68_157_440 - 3 + 2);
}

#[test]
fn the_decoder_is_as_new_after_every_operation() {
    let mut decoder = Decoder::default();
    for end in 1..14 {
        let bytes = b"MSG a 1 2\r\nhi\r\n";
        assert!(needs(&mut decoder, &bytes[..end]) > 0);
        assert_eq!(server(&mut decoder, bytes), Ok(bytes.len()));
        assert_eq!(decoder.scanned, 0);
        assert!(decoder.body.is_none());
        assert!(needs(&mut decoder, b"PIN") > 0);
        assert!(needs(&mut decoder, b"PING ") > 0);
        assert_eq!(server(&mut decoder, b"PING \n"), Ok(6));
    }
}

#[test]
fn a_line_in_pieces_is_searched_once() {
    let mut decoder = Decoder::default();
    let mut bytes = b"INFO {".to_vec();
    for _ in 0..1000 {
        bytes.push(b'x');
        assert_eq!(needs(&mut decoder, &bytes), 1);
        assert_eq!(decoder.scanned, bytes.len());
    }
}

#[test]
fn other_bytes_than_before_are_a_mistake_but_no_panic() {
    let mut decoder = Decoder::default();
    assert_eq!(needs(&mut decoder, b"MSG subject.long 1 5\r\nhel"), 4);
    assert!(decoder.decode_server(b"M").is_ok());
    assert!(decoder.decode_server(b"").is_ok());
    let mut decoder = Decoder::default();
    assert_eq!(needs(&mut decoder, b"-ERR 'something long"), 1);
    assert!(decoder.decode_server(b"-ERR '\r\n").is_ok());
}

#[test]
fn limits_of_any_size_are_kept_without_overflow() {
    let huge = Limits { line: usize::MAX, headers: usize::MAX, total: usize::MAX };
    let bytes = b"MSG a 1 18446744073709551615\r\nx";
    assert!(Decoder::new(huge).decode_server(bytes).is_ok());
    let bytes = b"HMSG a 1 18446744073709551615 18446744073709551615\r\nx";
    assert!(Decoder::new(huge).decode_server(bytes).is_ok());
    let none = Limits { line: 0, headers: 0, total: 0 };
    let name = |bytes| server(&mut Decoder::new(none), bytes).map_err(|e| e.name());
    assert_eq!(name(b"PING\r\n"), Err("line_too_long"));
    assert_eq!(name(b"MSG a 1 0\r\n\r\n"), Err("line_too_long"));
    assert_eq!(name(b"XYZ"), Err("unknown_op"));
}

#[test]
fn a_body_over_the_limit_is_refused_on_both_paths() {
    let limits = Limits { total: 3, headers: 2, ..Limits::default() };
    for (bytes, expected) in [
        (&b"MSG a 1 3\r\nabc\r\n"[..], Ok(16)),
        (b"msg a 1 3\r\nabc\r\n", Ok(16)),
        (b"MSG a 1 4\r\nabcd\r\n", Err("too_large")),
        (b"msg a 1 4\r\nabcd\r\n", Err("too_large")),
        (b"HMSG a 1 2 3\r\nabc\r\n", Ok(19)),
        (b"HMSG a 1 3 3\r\nabc\r\n", Err("too_large")),
        (b"HMSG a 1 2 1\r\nabc\r\n", Err("headers_too_long")),
    ] {
        let found = server(&mut Decoder::new(limits), bytes).map_err(|error| error.name());
        assert_eq!(found, expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn the_fast_path_takes_what_servers_write_and_leaves_the_rest() {
    let limits = Limits::default();
    let plain = |bytes: &[u8]| plain_msg(bytes, &limits).map(|(_, len)| len);
    assert_eq!(plain(b"MSG a.b 12 3\r\nabc\r\nPING"), Some(19));
    assert_eq!(plain(b"MSG a.b 12 r.1 3\r\nabc\r\n"), Some(23));
    assert_eq!(plain(b"HMSG a 1 2 3\r\nabc\r\n"), Some(19));
    assert_eq!(plain(b"HMSG a 1 r 2 3\r\nabc\r\n"), Some(21));
    for other in [
        &b"MSG a 1 3\r\nabc\r"[..],
        b"MSG a 1 3\r\nabcd\r\n",
        b"MSG a 1 3\nabc\r\n",
        b"MSG  a 1 3\r\nabc\r\n",
        b"MSG a\t1 3\r\nabc\r\n",
        b"MSG a 1 3 \r\nabc\r\n",
        b"MSG a 00000000000000000001 3\r\nabc\r\n",
        b"HMSG a 1 4 3\r\nabc\r\n",
        b"HMSG a 1 3\r\nabc\r\n",
        b"PING\r\n",
        b"MSG ",
    ] {
        assert_eq!(plain(other), None, "{}", other.escape_ascii());
    }
}

// Fault E3
#[test]
fn a_message_over_the_limits_can_be_skipped_and_nothing_else() {
    let limits = Limits { total: 9, headers: 3, line: 64 };
    for (bytes, expected) in [
        (&b"MSG a.b 7 10\r\n0123456789\r\nPING\r\n"[..], Some((7, 10))),
        (b"msg  a.b 7 reply 10 \n", Some((7, 10))),
        (b"HMSG a.b 7 4 5\r\n", Some((7, 5))),
        (b"HMSG a.b 7 4 68157440\r\n", Some((7, 68_157_440))),
        (b"MSG a.b 7 68157441\r\n", None),
        (b"MSG a.b 7 18446744073709551615\r\n", None),
        (b"HMSG a.b 7 11 10\r\n", None),
        (b"MSG a.b 7 10", None),
        (b"PING\r\n", None),
        (b"XYZ\r\n", None),
        (b"", None),
    ] {
        let mut decoder = Decoder::new(limits);
        let _ = decoder.decode_server(bytes);
        let found = decoder.oversized(bytes).map(|skipped| {
            assert_eq!(skipped.subject, b"a.b");
            let line = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            assert_eq!(skipped.len, line + skipped.size + 2);
            (skipped.sid, skipped.size)
        });
        assert_eq!(found, expected, "{}", bytes.escape_ascii());
    }
    let mut decoder = Decoder::new(limits);
    let bytes = b"MSG a.b 7 10\r\n0123456789\r\nPING\r\n";
    // Byte by byte, up to the line's end; then the decoder goes on after the message.
    for end in 1..14 {
        assert!(decoder.decode_server(&bytes[..end]).is_ok());
    }
    assert!(decoder.decode_server(&bytes[..14]).is_err());
    let skipped = decoder.oversized(&bytes[..14]).unwrap();
    assert_eq!(server(&mut decoder, &bytes[skipped.len..]), Ok(6));
}

#[test]
fn what_was_read_before_changes_no_result() {
    // Heads of all lengths around the limits, alike at their ends, and things that only begin like a message.
    let long = "x".repeat(70);
    let mut operations: Vec<String> =
        ["a", "ab", "foo.bar", "foo.bax", "sixteen.bytes.ab", &long[..23], &long[..24], &long[..60], &long]
            .iter()
            .flat_map(|subject| {
                [
                    format!("MSG {subject} 1 2\r\nhi\r\n"),
                    format!("MSG {subject} 1 12\r\nhello, world\r\n"),
                    format!("MSG {subject} 2 0\r\n\r\n"),
                    format!("MSG {subject} 1 2 2\r\nhi\r\n"),
                    format!("MSG {subject} 1 2x 2\r\nhi\r\n"),
                    format!("HMSG {subject} 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"),
                ]
            })
            .collect();
    let broken = [
        "MSG a 1 2\r\nhi!\r\n",
        "MSG a 1 2\nhi\r\n",
        "MSG a 1 \r\nhi",
        "MSG a 1 99\r\nhi",
        "MSG a 1",
        "PING\r\n",
        "MSG a 1 2x\r\nhi\r\n",
    ];
    operations.extend(broken.map(str::to_owned));
    let limits = Limits { line: 80, ..Limits::default() };
    let mut experienced = Decoder::new(limits);
    let mut choice = 1_usize;
    for _ in 0..200_000 {
        // Runs of the same few operations, so that heads are remembered and met again.
        choice = choice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (choice >> 33) % if choice >> 60 == 0 { operations.len() } else { 4 } + (choice >> 50) % 3 * 6;
        let bytes = operations[at % operations.len()].as_bytes();
        let expected = Decoder::new(limits).decode_server(bytes);
        if let Some((message, len)) = experienced.decode_alike(bytes) {
            assert_eq!(expected, Ok(Decoded::Op { op: ServerOp::Msg(message), len }), "{}", bytes.escape_ascii());
        }
        assert_eq!(experienced.decode_server(bytes), expected, "{}", bytes.escape_ascii());
        if !matches!(expected, Ok(Decoded::Op { .. })) {
            // An unfinished operation would have to be continued, and after an error nothing may be.
            (experienced.scanned, experienced.body) = (0, None);
        }
    }
}
