//! Messages, subjects, headers, status codes and times: fields, constants and behaviour.

use std::str::FromStr;
use std::time::Duration;

use async_nats::header::{self, IntoHeaderName, IntoHeaderValue};
use async_nats::message::OutboundMessage;
use async_nats::status::InvalidStatusCode;
use async_nats::subject::ToSubject;
use async_nats::{
    ConnectInfo, HeaderMap, HeaderName, HeaderValue, Message, Protocol, Request, ServerInfo, StatusCode, Subject,
    datetime,
};
use bytes::Bytes;

#[test]
fn structs_can_be_constructed_and_destructured() {
    let message = Message {
        subject: "a".into(),
        reply: Some(Subject::from("b".to_owned())),
        payload: Bytes::new(),
        headers: None,
        status: StatusCode::from_u16(503).ok(),
        description: None,
        length: 2,
    };
    let Message { subject, reply, payload, headers, status, description: _, length: _ } = message;
    assert_eq!(status, Some(StatusCode::NO_RESPONDERS));
    let OutboundMessage { .. } = OutboundMessage { subject, reply, payload, headers };
    let request = Request { payload: None, headers: Some(HeaderMap::new()), timeout: Some(None), inbox: None };
    assert!(request.timeout == Some(None));
    let info = ServerInfo { server_id: "x".to_owned(), lame_duck_mode: true, jetstream: false, ..Default::default() };
    assert_eq!((info.max_payload, info.client_id, info.connect_urls.len()), (0, 0, 0));
    let connect = ConnectInfo {
        verbose: false,
        pedantic: false,
        user_jwt: None,
        nkey: None,
        signature: None,
        name: None,
        echo: true,
        lang: "rust".to_owned(),
        version: "0".to_owned(),
        protocol: Protocol::Dynamic,
        tls_required: false,
        user: None,
        pass: Some("hunter2".to_owned()),
        auth_token: None,
        headers: true,
        no_responders: true,
    };
    assert!(!format!("{connect:?}").contains("hunter2"));
}

#[test]
fn a_header_map_does_what_a_map_does() {
    let mut headers = HeaderMap::new();
    headers.insert(header::NATS_MESSAGE_ID, "1".into_header_value());
    headers.append("A".into_header_name(), String::from("b"));
    assert_eq!((headers.len(), headers.is_empty(), headers.iter().count()), (2, false, 2));
    assert_eq!(headers.get("A").map(HeaderValue::as_str), Some("b"));
    assert_eq!(headers.get_last("A").map(ToString::to_string).as_deref(), Some("b"));
    let collected: HeaderMap = [(HeaderName::from_static("A"), HeaderValue::from(1u64))].into_iter().collect();
    assert_eq!(collected.get_all("A").count(), 1);
    assert!(HeaderValue::from_str("a\r\nb").is_err() && HeaderName::from_str("a:b").is_err());
}

#[test]
fn subjects_and_codes() {
    const SUBJECT: Subject = Subject::from_static_validated("a.b");
    assert_eq!(SUBJECT.to_subject().into_string(), "a.b");
    assert!(SUBJECT.starts_with("a.") && SUBJECT.is_valid());
    assert!(Subject::validated("a b").is_err() && Subject::from_utf8(vec![0xff]).is_err());
    assert!(Subject::try_from(Bytes::from_static(b"a")).is_ok_and(|subject| subject.as_str() == "a"));
    let codes = [StatusCode::IDLE_HEARTBEAT, StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::TIMEOUT];
    assert_eq!(codes.map(|code| code.as_u16()), [100, 200, 404, 408]);
    assert!(StatusCode::TIMEOUT.is_client_error() && StatusCode::default() == 200u16);
    let bad: Result<StatusCode, InvalidStatusCode> = "99".parse();
    assert!(bad.is_err());
}

#[test]
fn header_constants_have_the_names_of_nats() {
    let names: [(HeaderName, &str); 28] = [
        (header::NATS_STREAM, "Nats-Stream"),
        (header::NATS_SEQUENCE, "Nats-Sequence"),
        (header::NATS_TIME_STAMP, "Nats-Time-Stamp"),
        (header::NATS_SUBJECT, "Nats-Subject"),
        (header::NATS_MESSAGE_ID, "Nats-Msg-Id"),
        (header::NATS_LAST_STREAM, "Nats-Last-Stream"),
        (header::NATS_LAST_CONSUMER, "Nats-Last-Consumer"),
        (header::NATS_LAST_SEQUENCE, "Nats-Last-Sequence"),
        (header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "Nats-Expected-Last-Subject-Sequence"),
        (header::NATS_EXPECTED_LAST_MESSAGE_ID, "Nats-Expected-Last-Msg-Id"),
        (header::NATS_EXPECTED_LAST_SEQUENCE, "Nats-Expected-Last-Sequence"),
        (header::NATS_EXPECTED_STREAM, "Nats-Expected-Stream"),
        (header::NATS_MESSAGE_TTL, "Nats-TTL"),
        (header::NATS_MARKER_REASON, "Nats-Marker-Reason"),
        (header::NATS_ROLLUP, "Nats-Rollup"),
        (header::NATS_SCHEDULE, "Nats-Schedule"),
        (header::NATS_SCHEDULE_TARGET, "Nats-Schedule-Target"),
        (header::NATS_SCHEDULE_TTL, "Nats-Schedule-TTL"),
        (header::NATS_SCHEDULE_SOURCE, "Nats-Schedule-Source"),
        (header::NATS_SCHEDULE_TIME_ZONE, "Nats-Schedule-Time-Zone"),
        (header::NATS_SCHEDULE_ROLLUP, "Nats-Schedule-Rollup"),
        (header::NATS_SCHEDULER, "Nats-Scheduler"),
        (header::NATS_SCHEDULE_NEXT, "Nats-Schedule-Next"),
        (header::NATS_BATCH_ID, "Nats-Batch-Id"),
        (header::NATS_BATCH_SEQUENCE, "Nats-Batch-Sequence"),
        (header::NATS_BATCH_COMMIT, "Nats-Batch-Commit"),
        (header::NATS_REQUIRED_API_LEVEL, "Nats-Required-Api-Level"),
        (header::NATS_PIN_ID, "Nats-Pin-Id"),
    ];
    for (name, text) in names {
        assert_eq!(name.to_string(), text);
    }
    let texts: [(&str, &str); 8] = [
        (header::NATS_BATCH_COMMIT_FINAL, "1"),
        (header::NATS_BATCH_COMMIT_EOB, "eob"),
        (header::NATS_SCHEDULE_ROLLUP_SUB, "sub"),
        (header::NATS_SCHEDULE_YEARLY, "@yearly"),
        (header::NATS_SCHEDULE_MONTHLY, "@monthly"),
        (header::NATS_SCHEDULE_WEEKLY, "@weekly"),
        (header::NATS_SCHEDULE_DAILY, "@daily"),
        (header::NATS_SCHEDULE_HOURLY, "@hourly"),
    ];
    for (text, expected) in texts {
        assert_eq!(text, expected);
    }
}

#[test]
fn the_same_values_are_refused() {
    assert!("a:b".parse::<HeaderName>().is_err() && HeaderName::try_from("a b".to_owned()).is_err());
    assert_eq!(
        HeaderValue::from_str("a\r\nb").unwrap_err().to_string(),
        r"invalid character found in header value (value cannot contain '\r' or '\n')"
    );
    for text in ["a\nb", "a\rb"] {
        assert!(std::panic::catch_unwind(|| HeaderValue::from(text)).is_err(), "{text:?}");
        assert!(std::panic::catch_unwind(|| text.into_header_value()).is_err(), "{text:?}");
        assert!(std::panic::catch_unwind(|| text.into_header_name()).is_err(), "{text:?}");
    }
    assert_eq!(StatusCode::from_u16(99).unwrap_err().to_string(), "invalid status code");
}

#[test]
fn values_are_json() {
    let headers: HeaderMap = serde_json::from_str(r#"{"A":["1","2"]}"#).unwrap();
    assert_eq!(headers.get_all("A").count(), 2);
    let older: HeaderMap = serde_json::from_str(r#"{"inner":{"A":["1","2"]}}"#).unwrap();
    assert_eq!(older, headers);
    assert_eq!(serde_json::to_string(&headers).unwrap(), r#"{"A":["1","2"]}"#);
    assert_eq!(serde_json::to_string(&Subject::from("a.b")).unwrap(), r#""a.b""#);
    assert_eq!(serde_json::to_string(&StatusCode::OK).unwrap(), "200");
    assert_eq!(serde_json::to_string(&Protocol::Dynamic).unwrap(), "1");
    let info: ServerInfo = serde_json::from_str(r#"{"ldm":true,"max_payload":7,"unknown":[1]}"#).unwrap();
    assert!(info.lame_duck_mode && info.max_payload == 7);
}

#[test]
fn times() {
    let time: datetime::DateTime = datetime::from_nanos(1_500_000_000).unwrap();
    let _: chrono::DateTime<chrono::Utc> = time;
    assert_eq!(datetime::parse_rfc3339("1970-01-01T00:00:01.5Z").unwrap(), time);
    let later = datetime::add_std_duration(time, Duration::from_millis(500)).unwrap();
    assert_eq!(later, datetime::from_nanos(2_000_000_000).unwrap());
    assert!(datetime::now() > later && datetime::parse_rfc3339("x").is_err());
}
