//! The texts of `-ERR`: every known one, violations, and what is unknown or broken.

use super::*;

#[test]
fn every_text_reads_as_its_kind_in_any_case_and_with_more_behind_it() {
    for (text, kind) in TEXTS {
        for text in
            [text.to_string(), text.to_uppercase(), text.to_lowercase(), format!("{text}. Please try again later.")]
        {
            assert_eq!(ErrKind::parse(text.as_bytes()), *kind, "{text}");
        }
        assert_eq!(kind.to_string(), *text);
    }
}

#[test]
fn violations_say_of_what() {
    let subject = |text: &str| Subject::from(text);
    for (text, expected) in [
        (r#"Permissions Violation for Publish to "a.b""#, Violation::Publish { subject: subject("a.b") }),
        (r#"permissions violation for publish with reply of "r""#, Violation::PublishReply { reply: subject("r") }),
        (
            r#"Permissions Violation for Subscription to "a.>""#,
            Violation::Subscription { subject: subject("a.>"), queue: None, sid: None },
        ),
        (
            r#"Permissions Violation for Subscription to "a" using queue "q\"\\""#,
            Violation::Subscription { subject: subject("a"), queue: Some("q\"\\".to_owned()), sid: None },
        ),
        (
            r#"Permissions Violation for Subscription to "a" using queue "q" (sid "7")"#,
            Violation::Subscription { subject: subject("a"), queue: Some("q".to_owned()), sid: Some(7) },
        ),
        (
            r#"Permissions Violation for Subscription to "a" (sid "18446744073709551615")"#,
            Violation::Subscription { subject: subject("a"), queue: None, sid: Some(u64::MAX) },
        ),
        (
            r#"Permissions Violation for Subscription to "a.b.c", too many tokens"#,
            Violation::Subscription { subject: subject("a.b.c"), queue: None, sid: None },
        ),
    ] {
        let kind = ErrKind::parse(text.as_bytes());
        assert_eq!(kind, ErrKind::PermissionsViolation(expected), "{text}");
        assert!(!kind.closes() && !kind.is_auth());
        assert_eq!(ErrKind::parse(kind.to_string().as_bytes()), kind);
    }
}

#[test]
fn quoted_subjects_are_the_bytes_they_were() {
    let text = br#"Permissions Violation for Publish to "\a\b\f\n\r\t\v\x00\xff\u00e9\U0001f600\q\"""#;
    let ErrKind::PermissionsViolation(Violation::Publish { subject }) = ErrKind::parse(text) else {
        panic!("a violation")
    };
    let expected = b"\x07\x08\x0c\n\r\t\x0b\x00\xff\xc3\xa9\xf0\x9f\x98\x80\\q\"";
    assert_eq!(subject.as_bytes(), expected);
    assert!(subject.is_lossy());
}

#[test]
fn what_is_not_known_is_kept_as_text() {
    for text in [
        "",
        "x",
        "Stale",
        "Permissions Violation",
        "Permissions Violation for Something to \"a\"",
        "Permissions Violation for Publish to a",
        "Permissions Violation for Publish to \"a",
        "Permissions Violation for Publish to \"a\\",
    ] {
        let kind = ErrKind::parse(text.as_bytes());
        assert_eq!(kind, ErrKind::Other(text.to_owned()));
        assert!(!kind.closes());
    }
    assert_eq!(ErrKind::parse(b"\xff"), ErrKind::Other("\u{fffd}".to_owned()));
}

#[test]
fn broken_escapes_do_not_panic() {
    for text in [r#""\"#, r#""\x"#, r#""\x4"#, r#""\xzz""#, r#""\u12""#, r#""\Uffffffff""#] {
        let text = format!("Permissions Violation for Publish to {text}");
        let _ = ErrKind::parse(text.as_bytes());
    }
}
