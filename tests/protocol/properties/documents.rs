//! The operations that carry text in one line: INFO, CONNECT and `-ERR`.

use crate::generated::{any_text, config};
use crate::wire::{End, Op, Side, feed};
use core::fmt::Write as _;
use nats_lifeline::protocol::{ConnectInfo, ErrKind, Info, Limits, Subject, Violation, connect, info};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// In the format of Go's `%q`, in which servers quote a client's input.
fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' | '\\' => out.extend(['\\', char]),
                '\x07' => out.push_str("\\a"),
                '\x08' => out.push_str("\\b"),
                '\x0c' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\x0b' => out.push_str("\\v"),
                '\0'..' ' | '\x7f' => write!(out, "\\x{:02x}", char as u32).unwrap(),
                ' '..='~' => out.push(char),
                // Printable characters are kept, others are not; both forms must be parsed.
                char if char.is_alphanumeric() => out.push(char),
                char if (char as u32) < 0x1_0000 => write!(out, "\\u{:04x}", char as u32).unwrap(),
                char => write!(out, "\\U{:08x}", char as u32).unwrap(),
            }
        }
        chunk.invalid().iter().for_each(|byte| write!(out, "\\x{byte:02x}").unwrap());
    }
    out.push('"');
    out
}

proptest! {
    #![proptest_config(config())]

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
    fn any_err_text_is_a_kind(
        text in vec(any::<u8>(), 0..40),
        quoted in "[\"\\\\a-z0-9 ]{0,20}",
    ) {
        let _ = ErrKind::parse(&text).to_string();
        let text = format!("Permissions Violation for Subscription to \"{quoted}");
        let _ = ErrKind::parse(text.as_bytes()).to_string();
    }

    #[test]
    fn server_info_reads_back(
        texts in vec(any_text(), 12),
        numbers in (any::<u16>(), any::<u64>(), any::<u64>(), any::<i64>()),
        flags in vec(any::<bool>(), 6),
        urls in (vec(any_text(), 0..4), vec(any_text(), 0..4)),
    ) {
        let (port, max_payload, client_id, proto) = numbers;
        let json = serde_json::json!({
            "server_id": texts[0], "server_name": texts[1], "version": texts[2], "go": texts[3], "host": texts[4],
            "git_commit": texts[5], "ip": texts[6], "client_ip": texts[7], "nonce": texts[8], "cluster": texts[9],
            "domain": texts[10], "xkey": texts[11], "port": port, "max_payload": max_payload,
            "client_id": client_id, "proto": proto, "headers": flags[0], "auth_required": flags[1],
            "tls_required": flags[2], "tls_available": flags[3], "jetstream": flags[4], "ldm": flags[5],
            "connect_urls": urls.0, "ws_connect_urls": urls.1,
        });
        // Also within the frame.
        let mut bytes = Vec::new();
        info(&mut bytes, json.to_string().as_bytes());
        let (ops, end) = feed(Side::Server, Limits::default(), &bytes, []);
        prop_assert_eq!((ops.len(), end), (1, End::Clean));
        let Op::Info(document) = &ops[0] else { panic!("{ops:?}") };
        let read = Info::parse(document).unwrap();
        // Servers omit empty fields.
        let some = |at: usize| Some(texts[at].clone()).filter(|text| !text.is_empty());
        let expected = Info {
            server_id: texts[0].clone(),
            server_name: texts[1].clone(),
            version: texts[2].clone(),
            go: texts[3].clone(),
            host: texts[4].clone(),
            git_commit: some(5),
            ip: some(6),
            client_ip: some(7),
            nonce: some(8),
            cluster: some(9),
            domain: some(10),
            xkey: some(11),
            port,
            max_payload: Some(max_payload),
            client_id: Some(client_id),
            proto,
            headers: flags[0],
            auth_required: flags[1],
            tls_required: flags[2],
            tls_available: flags[3],
            jetstream: flags[4],
            lame_duck_mode: flags[5],
            connect_urls: urls.0,
            ws_connect_urls: urls.1,
            ..Info::default()
        };
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn a_subject_in_an_error_reads_back(
        subject in prop_oneof![vec(any::<u8>(), 0..20), any_text().prop_map(String::into_bytes)],
        queue in option::of(any_text()),
        sid in option::of(any::<u64>()),
    ) {
        let name = Subject::from_wire(subject.clone().into());
        for (text, violation) in [
            (format!("Publish to {}", quoted(&subject)), Violation::Publish { subject: name.clone() }),
            (format!("Publish with Reply of {}", quoted(&subject)), Violation::PublishReply { reply: name.clone() }),
            (
                format!(
                    "Subscription to {}{}{}",
                    quoted(&subject),
                    queue.as_ref().map(|queue| format!(" using queue {}", quoted(queue.as_bytes()))).unwrap_or_default(),
                    sid.map(|sid| format!(" (sid \"{sid}\")")).unwrap_or_default(),
                ),
                Violation::Subscription { subject: name.clone(), queue: queue.clone(), sid },
            ),
        ] {
            let text = format!("Permissions Violation for {text}");
            prop_assert!(!text.contains(['\r', '\n']));
            prop_assert_eq!(ErrKind::parse(text.as_bytes()), ErrKind::PermissionsViolation(violation));
        }
    }
}
