//! Server addresses, subjects and patterns.

use crate::generated::{config, written};
use crate::wire::{Body, End, Op, Side, feed};
use bytes::Bytes;
use nats_lifeline::protocol::{Limits, ServerAddr, Subject, check_publish_subject, check_subscribe_subject, matches};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn addresses_read_back(
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
        let reported = ServerAddr::from_gossip(&format!("{host}{port_text}"), &addr).unwrap();
        prop_assert_eq!(reported, addr);
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
    fn a_valid_subject_cannot_break_the_frame(
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
    fn matching_agrees_with_a_naive_implementation(
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
}
