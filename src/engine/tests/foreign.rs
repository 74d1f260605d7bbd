//! Text from peers: how much of it is kept, and that it can't affect its readers.

use std::sync::Arc;

use super::pair::{Pair, config, eof};
use crate::engine::{Cause, ConnectionEvent, EndReason, EventQueue};
use crate::protocol::{ErrKind, FOREIGN, Info, Violation};

/// Everything that a terminal, a log or a reader could be harmed by.
const NASTY: &str = "\u{1b}[31m \u{7} \r \u{85} \u{2028} \u{2029} \u{202e} \u{200f} \u{feff} \0 \u{9b}";

#[track_caller]
fn harmless(text: &str) {
    let bad = |char: &char| {
        char.is_control() || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}')
    };
    let found: Vec<char> = text.chars().filter(bad).collect();
    assert!(found.is_empty(), "{found:?} in {text:?}");
}

// Fault H1. The tests of events counted how many there are, not how large they are.
#[test]
fn what_a_server_says_is_cut_to_a_kibibyte_wherever_it_is_kept() {
    let long = "x".repeat(100_000);
    let errors = [
        format!("-ERR 'so {long}'\r\n"),
        format!("-ERR 'Permissions Violation for Publish to \"{long}\"'\r\n"),
        format!("-ERR 'Permissions Violation for Subscription to \"a\" using queue \"{long}\"'\r\n"),
        format!("-ERR 'Permissions Violation for Subscription to \"{long}\"'\r\n"),
    ];
    for error in errors {
        let mut pair = Pair::ready();
        pair.publish("a", "1");
        pair.serve(error.as_bytes());
        let said = pair.events.iter().rev().find_map(|event| match event {
            ConnectionEvent::ServerError { error, .. } => Some(error.text()),
            _ => None,
        });
        let said = said.unwrap();
        assert!(said.len() < FOREIGN + 200, "{} bytes", said.len());
        assert!(said.contains("… (100"), "{said}");
        assert_eq!(pair.engine.ledger(1).lost.refused, 0, "no message of ours has such a subject");
    }
}

// Fault H1
#[test]
fn a_refusal_in_the_handshake_is_cut_too() {
    let mut pair = Pair::dialling(config(), &["a"]);
    pair.dialed(0);
    pair.serve(super::pair::INFO);
    pair.serve(format!("-ERR '{}'\r\n", "x".repeat(100_000)).as_bytes());
    let cause = pair.engine.last_error().unwrap().to_string();
    assert!(cause.len() < FOREIGN + 100, "{} bytes", cause.len());
}

// Fault H1
#[test]
fn infos_that_nobody_reads_are_limited_in_bytes_and_the_newest_stays() {
    let mut queue = EventQueue::new(1024);
    let info = |number: usize| {
        let connect_urls = (0..100).map(|server| format!("{:0>1000}-{number}-{server}:4222", "")).collect();
        Arc::new(Info { connect_urls, server_id: number.to_string(), ..Info::default() })
    };
    for number in 0..300 {
        queue.push(ConnectionEvent::ServerInfo { server: "a".to_owned(), info: info(number) });
        queue.push(ConnectionEvent::ServersChanged {
            added: info(number).connect_urls.clone(),
            removed: info(number.max(1) - 1).connect_urls.clone(),
        });
    }
    let (mut bytes, mut last) = (0, String::new());
    while let Some(event) = queue.pop() {
        match event {
            ConnectionEvent::ServerInfo { info, .. } => {
                bytes += info.weight();
                last = info.server_id.clone();
            }
            ConnectionEvent::ServersChanged { added, removed } => {
                bytes += added.iter().chain(&removed).map(String::len).sum::<usize>();
            }
            _ => {}
        }
    }
    assert!(bytes < 2 << 20, "{bytes} bytes");
    assert_eq!(last, "299");
}

// Fault H1
#[test]
fn texts_of_an_info_are_cut_and_what_must_be_signed_is_not() {
    let long = "x".repeat(2000);
    let json = format!("{{\"server_name\":\"{long}\",\"cluster\":\"{long}\",\"nonce\":\"{long}\"}}");
    let info = Info::parse(json.as_bytes()).unwrap();
    assert!(info.server_name.len() < FOREIGN + 32 && info.cluster.unwrap().len() < FOREIGN + 32);
    assert_eq!(info.nonce, Some(long));
}

// Fault H5. None of our test texts contained anything harmful.
#[test]
fn no_text_of_a_server_reaches_a_reader_as_it_is() {
    let kind = ErrKind::parse(NASTY.as_bytes());
    assert_eq!(kind, ErrKind::Other(NASTY.to_owned()), "what programs compare is as it came");
    assert_eq!(kind.text(), NASTY);
    let subject = || NASTY.into();
    let kinds = [
        kind,
        ErrKind::PermissionsViolation(Violation::Publish { subject: subject() }),
        ErrKind::PermissionsViolation(Violation::PublishReply { reply: subject() }),
        ErrKind::PermissionsViolation(Violation::Subscription {
            subject: subject(),
            queue: Some(NASTY.to_owned()),
            sid: None,
        }),
    ];
    for kind in kinds {
        harmless(&kind.to_string());
        harmless(&EndReason::Refused(kind.clone()).to_string());
        harmless(&Cause::Server(kind.clone()).to_string());
        // Logs use Debug.
        harmless(&format!("{:?}", ConnectionEvent::ServerError { server: NASTY.to_owned(), error: kind }));
    }
    let causes = [
        Cause::Tls(NASTY.into()),
        Cause::Credentials(NASTY.into()),
        Cause::Unsupported(NASTY.into()),
        Cause::from(std::io::Error::other(NASTY)),
        Cause::Dns(Arc::new(std::io::Error::other(NASTY))),
        Cause::BadInfo(Info::parse(format!("\"{NASTY}\"").as_bytes()).unwrap_err()),
        Cause::BadInfo(Info::parse(format!("\"{}\"", NASTY.replace(char::is_control, "")).as_bytes()).unwrap_err()),
    ];
    for cause in causes {
        harmless(&cause.to_string());
        harmless(&EndReason::GaveUp(cause.clone()).to_string());
        harmless(&format!("{cause:?}"));
    }
    let _ = eof();
}
