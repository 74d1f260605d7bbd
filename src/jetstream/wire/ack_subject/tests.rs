//! Reply subjects of delivered messages, of both forms.

use super::*;
use crate::protocol::datetime::parse_rfc3339;

const V1: &str = "$JS.ACK.S.c.3.41.17.1796047299422753988.5";
const V2: &str = "$JS.ACK.hub.hash.S.c.3.41.17.1796047299422753988.5";

#[test]
fn both_forms_say_the_same() {
    let (one, two) = (AckSubject::parse(V1).unwrap(), AckSubject::parse(V2).unwrap());
    assert_eq!((one.domain, one.acc_hash, two.domain, two.acc_hash), (None, None, Some("hub"), Some("hash")));
    assert_eq!(AckSubject { domain: None, acc_hash: None, ..two }, one);
    let info = one.info().unwrap();
    assert_eq!((info.stream, info.consumer, info.delivered, info.pending), ("S", "c", 3, 5));
    assert_eq!((info.stream_sequence, info.consumer_sequence), (41, 17));
    assert_eq!(info.published, parse_rfc3339("2026-11-30T14:01:39.422753988Z").unwrap());
    let owned = two.info().unwrap().to_owned_info();
    assert_eq!((owned.domain.as_deref(), owned.stream.as_str(), owned.delivered), (Some("hub"), "S", 3));
}

#[test]
fn no_domain_is_an_underscore_and_more_tokens_may_follow() {
    let ack = AckSubject::parse("$JS.ACK._.hash.S.c.1.2.3.4.5.extra.more").unwrap();
    assert_eq!((ack.domain, ack.acc_hash, ack.token, ack.pending), (None, Some("hash"), Some("extra"), 5));
}

#[test]
fn numbers_of_any_length_are_read_up_to_what_is_no_digit() {
    let digits = "98765432109876543210";
    for length in 0..=19 {
        for end in ["", ".", "/", ":", "x", " ", "\0", "\u{ff}", "\u{fa}1", ".12345678"] {
            let text = format!("{}{end}", &digits[..length]);
            let number = digits[..length].parse().unwrap_or(0);
            assert_eq!(leading_number(text.as_bytes()), (number, length), "{text:?}");
            assert_eq!(leading_long_number(text.as_bytes()), (number, length), "{text:?}");
        }
    }
    let ack = AckSubject::parse("$JS.ACK.S.c.1.18446744073709551615.00000000000000000000007.3.4").unwrap();
    assert_eq!((ack.stream_sequence, ack.consumer_sequence), (u64::MAX, 7));
}

#[test]
fn a_time_before_1970_is_one_too() {
    let ack = AckSubject::parse("$JS.ACK.S.c.1.2.3.-4.5").unwrap();
    assert_eq!((ack.published, ack.pending), (-4, 5));
    let late = AckSubject::parse("$JS.ACK.S.c.1.2.3.9223372036854775808.5");
    assert_eq!(late, Err(AckSubjectFault::Number { field: "time" }));
}

#[test]
fn anything_else_is_refused_with_a_reason() {
    assert_eq!(AckSubject::parse("_INBOX.x"), Err(AckSubjectFault::Foreign));
    assert_eq!(AckSubject::parse(""), Err(AckSubjectFault::Foreign));
    assert_eq!(AckSubject::parse("$JS.ACK."), Err(AckSubjectFault::Tokens { found: 3 }));
    // Ten tokens are neither form.
    assert_eq!(AckSubject::parse("$JS.ACK.h.S.c.1.2.3.4.5"), Err(AckSubjectFault::Tokens { found: 10 }));
    assert_eq!(AckSubject::parse("$JS.ACK.S.c.1.2.3.4"), Err(AckSubjectFault::Tokens { found: 8 }));
    for (subject, field) in [
        ("$JS.ACK.S.c.1.2x.3.4.5", "stream sequence"),
        ("$JS.ACK.S.c.1.2.3.-.5", "time"),
        ("$JS.ACK.S.c.1.2.3.4.", "pending"),
        ("$JS.ACK.S.c.1.2.3.4.5\u{e9}", "pending"),
        ("$JS.ACK.S.c.x.2.3.4.5", "delivered"),
        ("$JS.ACK.S.c.18446744073709551615.2.3.4.5", "delivered"),
        ("$JS.ACK.S.c.1.-2.3.4.5", "stream sequence"),
        ("$JS.ACK.S.c.1.2.+3.4.5", "consumer sequence"),
        ("$JS.ACK.S.c.1.2.3..5", "time"),
        ("$JS.ACK.S.c.1.2.3.4.18446744073709551616", "pending"),
    ] {
        assert_eq!(AckSubject::parse(subject), Err(AckSubjectFault::Number { field }), "{subject}");
    }
}
