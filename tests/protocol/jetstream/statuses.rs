//! Statuses of pulls, as a real server writes them, and messages whose place is in their headers.

use bytes::Bytes;
use nats_lifeline::HeaderMap;
use nats_lifeline::header::{NATS_LAST_CONSUMER, NATS_LAST_STREAM, NATS_PIN_ID};
use nats_lifeline::jetstream::message::{StoredFault, StreamMessage};
use nats_lifeline::jetstream::wire::PullStatus;
use nats_lifeline::protocol::parse_status;

use super::{lines, recorded, text};

/// The bytes between quotes.
fn unquoted(quoted: &str) -> Bytes {
    let inner = quoted.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
    serde_json::from_str::<String>(&format!("\"{inner}\"")).unwrap().into()
}

fn block(name: &str) -> Bytes {
    let file = text("statuses.txt");
    let (_, quoted) = *lines(&file).iter().find(|(found, _)| *found == name).unwrap_or_else(|| panic!("no {name}"));
    unquoted(quoted)
}

#[test]
fn every_recorded_status_means_what_caused_it() {
    use PullStatus as S;
    let expected = [
        ("no_more_messages", S::NoMessages),
        ("no_messages", S::NoMessages),
        ("request_timeout", S::RequestTimeout),
        ("bad_request_heartbeat", S::BadRequest),
        ("bad_request_json", S::BadRequest),
        ("bad_group", S::BadRequest),
        ("over_max_batch", S::OverMaxBatch),
        ("over_max_expires", S::OverMaxExpires),
        ("over_max_bytes", S::OverMaxBytes),
        ("over_max_waiting", S::OverMaxWaiting),
        ("required_api_level", S::RequiredApiLevel),
        ("idle_heartbeat", S::IdleHeartbeat),
        ("over_bytes", S::MessageTooLarge),
        ("batch_completed", S::BatchCompleted),
        ("wrong_pin", S::WrongPin),
        ("consumer_deleted", S::ConsumerDeleted),
        ("server_shutdown", S::ServerShutdown),
        ("leadership_change", S::LeadershipChange),
        ("no_responders", S::NoResponders),
    ];
    for (name, status) in expected {
        let block = block(name);
        let (code, description) = parse_status(&block).unwrap();
        let description = description.map(|text| std::str::from_utf8(text).unwrap()).unwrap_or_default();
        assert_eq!(PullStatus::of(code.unwrap(), description), status, "{name}");
    }
    let file = text("statuses.txt");
    let others = ["direct_get", "direct_get_missing", "message_with_pin"];
    for (name, _) in lines(&file) {
        assert!(others.contains(&name) || expected.iter().any(|row| row.0 == name), "{name} is not tested");
    }
}

#[test]
fn pending_headers_say_what_was_left_of_a_pull() {
    let pending = |name: &str| {
        let headers = HeaderMap::from_wire(block(name));
        let number = |header: &str| headers.get(header).map(|value| value.as_str().parse::<u64>().unwrap());
        (number("Nats-Pending-Messages"), number("Nats-Pending-Bytes"))
    };
    assert_eq!(pending("request_timeout"), (Some(3), Some(500)));
    assert_eq!(pending("over_bytes"), (Some(10), Some(20)));
    assert!(matches!(pending("batch_completed"), (Some(0), Some(left)) if left < 4_000));
    assert_eq!((pending("wrong_pin"), pending("server_shutdown")), ((Some(1), Some(0)), (Some(1), Some(0))));
    for name in ["leadership_change", "consumer_deleted", "no_messages", "over_max_waiting", "no_responders"] {
        assert_eq!(pending(name), (None, None), "{name}");
    }
}

#[test]
fn heartbeats_and_pins_are_in_headers() {
    let heartbeat = HeaderMap::from_wire(block("idle_heartbeat"));
    let number = |name| heartbeat.get(name).unwrap().as_str().parse::<u64>().unwrap();
    assert_eq!((number(NATS_LAST_CONSUMER), number(NATS_LAST_STREAM)), (0, 106));
    let pinned = HeaderMap::from_wire(block("message_with_pin"));
    assert!(pinned.get(NATS_PIN_ID).is_some_and(|pin| pin.as_str().len() > 10));
}

#[test]
fn a_replica_answers_a_message_with_its_place_in_headers() {
    let headers = HeaderMap::from_wire(block("direct_get"));
    let message = StreamMessage::from_direct(headers.clone(), "four wheels".into()).unwrap();
    assert_eq!((message.subject.as_str(), message.sequence), ("orders.eu", 100));
    assert_eq!(message.headers.get("Nats-Msg-Id").unwrap().as_str(), "1");
    recorded(message.time);
    for (header, what) in [("Nats-Subject", "subject"), ("Nats-Sequence", "sequence"), ("Nats-Time-Stamp", "timestamp")]
    {
        let mut without = headers.clone();
        without.remove(header);
        let fault = StreamMessage::from_direct(without, Bytes::new()).unwrap_err();
        assert_eq!(fault, StoredFault::Missing { what });
    }
    let mut bad = headers;
    bad.insert("Nats-Sequence", "many");
    let fault = StreamMessage::from_direct(bad, Bytes::new()).unwrap_err();
    assert_eq!(fault.to_string(), r#"could not parse sequence header: "many""#);
    let (code, text) =
        parse_status(&block("direct_get_missing")).map(|(code, text)| (code, text.map(<[u8]>::to_vec))).unwrap();
    assert_eq!((code.unwrap().as_u16(), text.as_deref()), (404, Some(&b"Message Not Found"[..])));
}
