//! Names: addresses hide credentials and read back; valid subjects and queue groups cannot break a frame;
//! texts of `-ERR`, which contain subjects.

use bytes::Bytes;
use nats_lifeline::protocol::{
    ClientOp, Decoded, Decoder, ErrKind, FOREIGN, PubOp, ServerAddr, Subject, check_publish_subject, check_queue_name,
    check_subscribe_subject, matches, publish, subscribe,
};

use super::choices::Choices;

/// The kind of name, and then the name.
pub fn names(input: &[u8]) {
    let mut choices = Choices::new(input);
    match choices.below(4) {
        0 => address(&String::from_utf8_lossy(choices.rest())),
        1 => subject(choices.some_bytes(), choices.rest()),
        2 => wildcards(choices.some_bytes(), choices.rest()),
        _ => error_text(choices.rest()),
    }
}

fn address(text: &str) {
    let trimmed = text.trim();
    let addr = match text.parse::<ServerAddr>() {
        Ok(addr) => addr,
        Err(error) => {
            // The message names the value without its credentials: only the scheme, of the text before the last '@'.
            let shown = match trimmed.rsplit_once('@') {
                None => trimmed.to_owned(),
                Some((before, place)) => match before.split_once("://") {
                    Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => {
                        format!("{scheme}://***@{place}")
                    }
                    _ => format!("***@{place}"),
                },
            };
            assert!(error.to_string().starts_with(&format!("invalid server address {shown:?}: ")), "{error}");
            return;
        }
    };
    assert!(!addr.host().is_empty() && addr.port() > 0);
    let url = addr.as_url_str();
    assert_eq!(url.parse::<ServerAddr>().unwrap(), addr);
    let expected = match url.rsplit_once('@') {
        None => url.to_owned(),
        Some((before, place)) => format!("{}://***@{place}", before.split_once("://").unwrap().0),
    };
    assert_eq!(addr.to_string(), expected);
    assert_eq!(format!("{addr:?}"), format!("ServerAddr({expected:?})"));
    assert_eq!(addr.token().is_some(), addr.username().is_some() && addr.password().is_none());

    // The same place, announced by a cluster, inherits everything else from a seed.
    let seed: ServerAddr = "wss://ada:p%40ss@seed".parse().unwrap();
    let host = if addr.host().contains(':') { format!("[{}]", addr.host()) } else { addr.host().to_owned() };
    let told = ServerAddr::from_gossip(&format!("{host}:{}", addr.port()), &seed).unwrap();
    assert!(told.same_endpoint(&addr));
    assert_eq!((told.scheme(), told.username(), told.password()), ("wss", Some("ada"), Some("p@ss")));
    assert_eq!(told.as_url_str().parse::<ServerAddr>().unwrap(), told);
}

fn subject(name: &[u8], payload: &[u8]) {
    let separators = name.iter().any(|byte| b" \t\r\n".contains(byte));
    let good = !name.is_empty() && !separators;
    assert_eq!(check_publish_subject(name).is_ok(), good);
    assert_eq!(check_queue_name(name).is_ok(), good);
    let may_subscribe = check_subscribe_subject(name).is_ok();
    let tokens: Vec<&[u8]> = name.split(|byte| *byte == b'.').collect();
    let rest = tokens.iter().position(|token| token == b">").is_some_and(|at| at + 1 < tokens.len());
    assert_eq!(may_subscribe, good && !rest && tokens.iter().all(|token| !token.is_empty()));
    let subject = Subject::from_wire(Bytes::copy_from_slice(name));
    assert_eq!(subject.as_bytes(), name);
    assert_eq!(subject.as_str(), String::from_utf8_lossy(name));
    assert_eq!(subject.is_lossy(), core::str::from_utf8(name).is_err());
    assert_eq!(subject.is_valid(), may_subscribe);
    assert_eq!(Subject::validated(subject.as_str()).is_ok(), may_subscribe, "replacement characters break no rule");

    // A valid name gives one operation with this name; an invalid one would give something else.
    let mut frame = Vec::new();
    publish(&mut frame, name, Some(name), None, payload);
    let whole = ClientOp::Pub(PubOp { subject: name, reply: Some(name), headers: None, payload });
    let step = Decoder::default().decode_client(&frame);
    assert_eq!(step == Ok(Decoded::Op { op: whole, len: frame.len() }), good);
    frame.clear();
    subscribe(&mut frame, name, Some(name), 7);
    let whole = ClientOp::Sub { subject: name, queue: Some(name), sid: 7 };
    let step = Decoder::default().decode_client(&frame);
    assert_eq!(step == Ok(Decoded::Op { op: whole, len: frame.len() }), good);
}

fn wildcards(pattern: &[u8], subject: &[u8]) {
    let tokens = |bytes: &[u8]| bytes.split(|byte| *byte == b'.').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (wanted, given) = (tokens(pattern), tokens(subject));
    let rest = wanted.last().is_some_and(|token| token == b">");
    let fixed = wanted.len() - usize::from(rest);
    let long_enough = if rest { given.len() > fixed } else { given.len() == fixed };
    let same = |(want, token): (&Vec<u8>, &Vec<u8>)| want == b"*" || want == token;
    assert_eq!(matches(pattern, subject), long_enough && wanted.iter().take(fixed).zip(&given).all(same));
}

fn error_text(text: &[u8]) {
    let kind = ErrKind::parse(text);
    if !matches!(kind, ErrKind::PermissionsViolation(_)) {
        assert_eq!(ErrKind::parse(kind.text().as_bytes()), kind);
    }
    assert!(!kind.to_string().contains(char::is_control), "a person reads this: {kind}");
    assert!(kind.clone().shortened().weight() <= 2 * FOREIGN + 64);
    // A subject is quoted, so it cannot end the text early.
    let quoted = format!("Permissions Violation for Subscription to {:?} using queue \"q\"", "a.b");
    assert!(matches!(ErrKind::parse(quoted.as_bytes()), ErrKind::PermissionsViolation(_)));
    assert!(!kind.is_auth() || kind.closes(), "an authentication error ends the connection");
}
