//! Laws of the protocol layer over generated input: what is written is read back, in any cut; and
//! arbitrary bytes neither panic nor read differently when they arrive in pieces.
#![allow(clippy::unwrap_used)] // a test may

mod wire;

use bytes::Bytes;
use nats_lifeline::protocol::{
    ConnectInfo, Decoded, Decoder, ErrKind, HeaderMap, HeaderName, HeaderValue, Info, Limits, ServerAddr, StatusCode,
    Subject, check_publish_subject, check_subscribe_subject, connect, matches, parse_status, publish_args_len,
    publish_head, publish_len,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wire::{Body, End, Op, Side, feed};

/// A token: no blank, no control character (a server would take some of those; see fixtures).
fn token() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-z0-9.*>_-]{1,40}".prop_map(String::into_bytes),
        1 => "[0-9]{1,25}".prop_map(String::into_bytes),
        1 => vec(0x21..=0xff_u8, 1..30),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    let payload = prop_oneof![
        8 => vec(any::<u8>(), 0..60),
        1 => vec(any::<u8>(), 60..3000),
    ];
    (token(), option::of(token()), option::of(vec(any::<u8>(), 0..60)), payload)
        .prop_map(|(subject, reply, headers, payload)| Body { subject, reply, headers, payload })
}

/// Text for INFO, CONNECT and -ERR: one line, not empty, no blank at its ends.
fn line() -> impl Strategy<Value = Vec<u8>> {
    "[!-~]([ -~]{0,60}[!-~])?".prop_map(String::into_bytes)
}

fn server_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (any::<u64>(), body()).prop_map(|(sid, body)| Op::Msg(sid, body)),
        1 => Just(Op::Ping),
        1 => Just(Op::Pong),
        1 => Just(Op::Ok),
        1 => line().prop_map(Op::Err),
        1 => line().prop_map(Op::Info),
    ]
}

fn client_op() -> impl Strategy<Value = Op> {
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

/// Bytes that look like the protocol often enough to get deep into the decoder.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
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

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![vec(1..4_usize, 0..400), vec(1..100_usize, 0..100)]
}

fn written(ops: &[Op]) -> Vec<u8> {
    let mut out = Vec::new();
    ops.iter().for_each(|op| op.encode(&mut out));
    out
}

fn header_map() -> impl Strategy<Value = HeaderMap> {
    let name = "[!-9;-~]{1,50}".prop_map(|text| text.parse::<HeaderName>().unwrap());
    let value = "[^\r\n]{0,50}"
        // Blanks at the ends of a value are not kept by the wire form.
        .prop_map(|text| text.trim_matches([' ', '\t']).parse::<HeaderValue>().unwrap());
    vec((name, value), 0..8).prop_map(|entries| {
        let mut map = HeaderMap::new();
        for (name, value) in entries {
            map.append(name, value);
        }
        map
    })
}

fn entries(map: &HeaderMap) -> Vec<(String, String)> {
    let texts = map.entries().map(|(name, value)| (name.to_string(), value.to_string()));
    texts.collect()
}

/// 1,500 cases for each law, or as many as `PROPTEST_CASES` asks for.
fn config() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    let cases = asked.and_then(|cases| cases.parse().ok()).unwrap_or(1500);
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_a_server_writes_is_read_back_in_any_cut(
        ops in vec(server_op(), 0..8),
        sizes in sizes(),
    ) {
        let bytes = written(&ops);
        let (read, end) = feed(Side::Server, Limits::default(), &bytes, sizes);
        prop_assert_eq!(end, End::Clean);
        prop_assert_eq!(read, ops);
    }

    #[test]
    fn what_a_client_writes_is_read_back_in_any_cut(
        ops in vec(client_op(), 0..8),
        sizes in sizes(),
    ) {
        let bytes = written(&ops);
        let (read, end) = feed(Side::Client, Limits::default(), &bytes, sizes);
        prop_assert_eq!(end, End::Clean);
        prop_assert_eq!(read, ops);
    }

    #[test]
    fn half_of_the_last_operation_is_never_an_operation(
        ops in vec(server_op(), 1..4),
        cut in any::<prop::sample::Index>(),
        sizes in sizes(),
    ) {
        let before = written(&ops[..ops.len() - 1]);
        let all = written(&ops);
        let cut = before.len() + cut.index(all.len() - before.len());
        let (read, end) = feed(Side::Server, Limits::default(), &all[..cut], sizes);
        prop_assert_eq!(read, &ops[..ops.len() - 1]);
        let expected = if cut == before.len() { End::Clean } else { End::NeedMore };
        prop_assert_eq!(end, expected);
    }

    #[test]
    fn any_bytes_read_the_same_in_any_cut(
        bytes in prop_oneof![nearly(), vec(any::<u8>(), 0..60)],
        sizes in sizes(),
        line in prop_oneof![Just(131_072_usize), 0..40_usize],
    ) {
        let limits = Limits { line, headers: 50, total: 500 };
        for side in [Side::Server, Side::Client] {
            let whole = feed(side, limits, &bytes, []);
            prop_assert_eq!(&feed(side, limits, &bytes, sizes.clone()), &whole);
            prop_assert_eq!(&feed(side, limits, &bytes, std::iter::repeat(1)), &whole);
        }
    }

    #[test]
    fn lengths_are_known_before_writing(body in body()) {
        let (reply, headers) = (body.reply.as_deref(), body.headers.as_deref());
        let lens = (
            body.subject.len(),
            reply.map(<[u8]>::len),
            headers.map(<[u8]>::len),
            body.payload.len(),
        );
        let all = written(&[Op::Pub(body.clone())]);
        prop_assert_eq!(publish_len(lens.0, lens.1, lens.2, lens.3), all.len());
        let line = all.iter().position(|byte| *byte == b'\n').unwrap();
        let word = if headers.is_some() { 5 } else { 4 };
        prop_assert_eq!(publish_args_len(lens.0, lens.1, lens.2, lens.3), line - 1 - word);
        let mut head = Vec::new();
        publish_head(&mut head, &body.subject, reply, headers, body.payload.len());
        head.extend_from_slice(&body.payload);
        head.extend_from_slice(b"\r\n");
        prop_assert_eq!(head, all);
    }

    #[test]
    fn headers_are_read_back_in_order(map in header_map()) {
        let wire = map.wire();
        prop_assert_eq!(wire.len(), map.wire_len());
        let mut appended = Vec::new();
        map.write_wire(&mut appended);
        prop_assert_eq!(&appended, &wire);
        let read = HeaderMap::from_wire(wire.clone());
        prop_assert!(!read.is_malformed());
        prop_assert_eq!(entries(&read), entries(&map));
        prop_assert_eq!(&read, &map);
        prop_assert_eq!(read.len(), map.iter().count());
        prop_assert_eq!(read.wire(), wire);
        let json = serde_json::to_string(&map).unwrap();
        prop_assert_eq!(serde_json::from_str::<HeaderMap>(&json).unwrap(), map);
    }

    #[test]
    fn any_block_is_a_map_and_what_it_writes_is_well_formed(
        start in prop_oneof![Just("NATS/1.0\r\n"), Just("NATS/1.0 "), Just("")],
        lines in vec(prop_oneof![
            "[A-Z a:]{0,8}(\r\n|\n)".prop_map(String::into_bytes),
            vec(any::<u8>(), 0..12),
        ], 0..6),
    ) {
        let block = [start.as_bytes(), &lines.concat()].concat();
        let map = HeaderMap::from_wire(Bytes::from(block.clone()));
        prop_assert_eq!(map.raw().map_or(&[][..], |raw| raw), &block[..]);
        let _ = (parse_status(&block), map.len(), map.iter().count(), map.malformed());
        prop_assert_eq!(map.wire().len(), map.wire_len());
        // A change makes it one of ours, which others must be able to read.
        let mut ours = map.clone();
        ours.append("Ours", "1");
        let again = HeaderMap::from_wire(ours.wire());
        prop_assert!(!again.is_malformed());
        prop_assert_eq!(again.get("Ours").map(HeaderValue::as_str), Some("1"));
        prop_assert_eq!(again.entries().count(), map.entries().count() + 1);
    }

    #[test]
    fn a_status_line_is_read_back(code in 100..=999_u16, text in "([!-~][ -~]{0,30}[!-~])?") {
        let block = format!("NATS/1.0 {code} {text}\r\n\r\n");
        let (status, description) = parse_status(block.as_bytes()).unwrap();
        prop_assert_eq!(status, Some(StatusCode::from_u16(code).unwrap()));
        prop_assert_eq!(description.unwrap_or_default(), text.as_bytes());
    }

    #[test]
    fn info_takes_any_object_and_refuses_the_rest(
        host in "[^\u{0}]{0,10}",
        port in any::<u16>(),
        max_payload in any::<u32>(),
        urls in vec("[a-z]{1,5}:[0-9]{1,4}", 0..4),
        junk in vec(any::<u8>(), 0..40),
    ) {
        let json = serde_json::json!({
            "host": host, "port": port, "max_payload": max_payload, "connect_urls": urls,
            "ldm": null, "what": [{"is": "this"}],
        });
        let info = Info::parse(json.to_string().as_bytes()).unwrap();
        prop_assert_eq!((info.host.as_str(), info.port), (host.as_str(), port));
        prop_assert_eq!(info.max_payload, Some(u64::from(max_payload)));
        prop_assert!(info.max_payload() > 0 && !info.lame_duck_mode);
        prop_assert_eq!(info.connect_urls, urls);
        prop_assert!(Info::parse(&junk).is_err() || junk.contains(&0x7b), "{junk:?}");
    }

    #[test]
    fn connect_is_one_line_and_one_operation(
        name in option::of(any::<String>()),
        pass in option::of(any::<String>()),
    ) {
        let info = ConnectInfo { name: name.clone(), pass: pass.clone(), ..ConnectInfo::default() };
        let mut bytes = Vec::new();
        connect(&mut bytes, &info);
        let (ops, end) = feed(Side::Client, Limits::default(), &bytes, []);
        prop_assert_eq!(end, End::Clean);
        prop_assert_eq!(ops.len(), 1);
        let Op::Connect(json) = &ops[0] else { panic!("{ops:?}") };
        let json: serde_json::Value = serde_json::from_slice(json).unwrap();
        prop_assert_eq!(json.get("name").and_then(|v| v.as_str()), name.as_deref());
        prop_assert_eq!(json.get("pass").and_then(|v| v.as_str()), pass.as_deref());
    }

    #[test]
    fn addresses_are_read_back(
        scheme in "(nats|tls|ws|wss)",
        user in option::of("[a-zA-Z0-9:/@%?# é-]{1,12}"),
        password in option::of("[a-zA-Z0-9:/@%?# é-]{0,12}"),
        host in prop_oneof![
            "[a-z][a-z0-9.-]{0,12}",
            any::<[u8; 4]>().prop_map(|ip| core::net::Ipv4Addr::from(ip).to_string()),
            any::<u128>().prop_map(|ip| format!("[{}]", core::net::Ipv6Addr::from(ip))),
        ],
        port in option::of(1..=u16::MAX),
    ) {
        let encode = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
        let info = match (&user, &password) {
            (Some(user), Some(password)) => format!("{}:{}@", encode(user), encode(password)),
            (Some(user), None) => format!("{}@", encode(user)),
            _ => String::new(),
        };
        let port_text = port.map(|port| format!(":{port}")).unwrap_or_default();
        let text = format!("{scheme}://{info}{host}{port_text}");
        let addr: ServerAddr = text.parse().unwrap();
        prop_assert_eq!(addr.as_url_str(), &text);
        prop_assert_eq!(addr.scheme(), &scheme);
        prop_assert_eq!(addr.host(), host.trim_matches(['[', ']']));
        prop_assert_eq!(addr.username(), user.as_deref());
        let password = user.as_ref().and(password.as_deref());
        prop_assert_eq!(addr.password(), password);
        prop_assert_eq!(addr.token(), if password.is_none() { user.as_deref() } else { None });
        if let Some(port) = port {
            prop_assert_eq!(addr.port(), port);
        }
        let shown = format!("{addr:?}");
        prop_assert!(info.is_empty() || (!shown.contains(&info) && shown.contains("***@")));
        let told = ServerAddr::from_gossip(&format!("{host}{port_text}"), &addr).unwrap();
        prop_assert_eq!(told, addr);
    }

    #[test]
    fn no_text_panics_as_an_address(text in any::<String>(), ascii in "[ -~]{0,20}") {
        for text in [text, ascii] {
            if let Ok(addr) = text.parse::<ServerAddr>() {
                prop_assert!(!addr.host().is_empty() && addr.port() > 0);
                prop_assert_eq!(addr.as_url_str().parse::<ServerAddr>().unwrap(), addr);
            }
        }
    }

    #[test]
    fn a_subject_keeps_its_bytes(bytes in vec(any::<u8>(), 0..50)) {
        let subject = Subject::from_wire(Bytes::from(bytes.clone()));
        prop_assert_eq!(subject.as_bytes(), &bytes[..]);
        prop_assert_eq!(subject.is_lossy(), std::str::from_utf8(&bytes).is_err());
        let text = String::from_utf8_lossy(&bytes).into_owned();
        prop_assert_eq!(subject.as_str(), &text);
        prop_assert_eq!(subject.is_valid(), check_subscribe_subject(&bytes).is_ok());
    }

    #[test]
    fn a_subject_that_passes_can_not_break_the_frame(
        subject in vec(any::<u8>(), 0..30),
        payload in vec(any::<u8>(), 0..30),
    ) {
        let passes = check_publish_subject(&subject).is_ok();
        let body = Body { subject, reply: None, headers: None, payload };
        let op = Op::Pub(body);
        let (read, end) = feed(Side::Client, Limits::default(), &written(std::slice::from_ref(&op)), []);
        if passes {
            prop_assert_eq!((read, end), (vec![op], End::Clean));
        } else {
            prop_assert_ne!(read, vec![op]);
        }
    }

    #[test]
    fn matching_is_what_the_slow_way_says(
        pattern in "[ab*>]{1,2}(\\.[ab*>]{1,2}){0,3}",
        subject in "[ab]{1,2}(\\.[ab]{1,2}){0,3}",
    ) {
        fn slow(pattern: &[&str], subject: &[&str]) -> bool {
            match (pattern, subject) {
                ([">"], [_, ..]) => true,
                (["*", pattern @ ..], [_, subject @ ..]) => slow(pattern, subject),
                ([want, pattern @ ..], [token, subject @ ..]) => {
                    want == token && slow(pattern, subject)
                }
                (pattern, subject) => pattern.is_empty() && subject.is_empty(),
            }
        }
        let (p, s): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), subject.split('.').collect());
        prop_assert_eq!(matches(pattern.as_bytes(), subject.as_bytes()), slow(&p, &s));
    }

    #[test]
    fn any_err_text_is_a_kind(
        text in vec(any::<u8>(), 0..40),
        quoted in "[\"\\\\a-z0-9 ]{0,20}",
    ) {
        let _ = ErrKind::parse(&text).to_string();
        let text = format!("Permissions Violation for Subscription to \"{quoted}");
        let _ = ErrKind::parse(text.as_bytes()).to_string();
    }

    #[test]
    fn slices_point_into_the_buffer(op in server_op()) {
        use nats_lifeline::protocol::ServerOp;
        let bytes = written(&[op]);
        if let Ok(Decoded::Op { op: ServerOp::Msg(msg), .. }) = Decoder::default().decode_server(&bytes) {
            let range = bytes.as_ptr_range();
            for slice in [Some(msg.subject), msg.reply, msg.headers, Some(msg.payload)] {
                if let Some(slice) = slice.filter(|slice| !slice.is_empty()) {
                    prop_assert!(range.contains(&slice.as_ptr()));
                }
            }
        }
    }
}
