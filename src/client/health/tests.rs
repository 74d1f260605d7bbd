//! The JSON of health, field by field.

use std::time::{Duration, SystemTime};

use serde_json::json;

use super::{Health, HealthSnapshot};
use crate::client::connection::{Stats, Status};
use crate::engine::Lost;

fn failed_check() -> Health {
    let connected = SystemTime::UNIX_EPOCH + Duration::from_millis(1_740_787_199_123);
    let snapshot = HealthSnapshot {
        connected: true,
        status: Status::Connected,
        server: Some("one.example:4222".to_owned()),
        cluster: Some("west".to_owned()),
        reconnect_attempts: 0,
        last_connected_at: Some(connected),
        last_disconnected_at: Some(connected - Duration::from_millis(2123)),
        last_error: Some("no PONG within 5s".to_owned()),
    };
    let stats = Stats {
        accepted: 21,
        waiting: 1,
        unconfirmed: 2,
        confirmed: 3,
        in_doubt: 4,
        lost: Lost { overflow: 5, expired: 6, ..Lost::default() },
        resent: 7,
        refused: 8,
        pending_bytes: 9,
        in_messages: 10,
        out_messages: 21,
        in_bytes: 11,
        out_bytes: 12,
        connects: 14,
        reconnects: 13,
        disconnects: 13,
        errors: 15,
    };
    assert!(stats.balances());
    Health { healthy: false, error: Some("no PONG within 5s".to_owned()), round_trip: None, snapshot, stats }
}

/// The JSON in the documentation of [`Health`].
fn documented() -> String {
    let source = include_str!("../health.rs");
    let (_, rest) = source.split_once("/// ```json\n").expect("it is documented");
    let (sample, _) = rest.split_once("/// ```").expect("it has an end");
    let lines: Vec<&str> = sample.lines().map(|line| line.strip_prefix("/// ").unwrap_or(line)).collect();
    lines.join("\n")
}

// S14, S15
#[test]
fn the_json_is_the_documented_one() {
    assert_eq!(serde_json::to_string_pretty(&failed_check()).unwrap(), documented());
}

// S15
#[test]
fn a_round_trip_is_in_seconds() {
    let health = Health { healthy: true, error: None, round_trip: Some(Duration::from_micros(250)), ..failed_check() };
    let value = serde_json::to_value(&health).unwrap();
    assert_eq!(value["round_trip_seconds"], json!(0.00025));
    assert_eq!((&value["healthy"], &value["error"]), (&json!(true), &json!(null)));
}

// S14
#[test]
fn a_snapshot_without_a_connection_has_nulls_for_what_is_absent() {
    let snapshot = HealthSnapshot {
        connected: false,
        status: Status::Connecting,
        server: None,
        cluster: None,
        reconnect_attempts: 1,
        last_connected_at: None,
        last_disconnected_at: None,
        last_error: None,
    };
    let text = serde_json::to_string(&snapshot).unwrap();
    let expected = r#"{"connected":false,"status":"connecting","server":null,"cluster":null,"reconnect_attempts":1,"last_connected_at":null,"last_disconnected_at":null,"last_error":null}"#;
    assert_eq!(text, expected);
}

// S14
#[test]
fn a_status_is_serialised_as_it_is_displayed() {
    use Status::{Closed, Connected, Connecting, Disconnected, Draining, Reconnecting};
    for status in [Disconnected, Connecting, Connected, Reconnecting, Draining, Closed] {
        assert_eq!(serde_json::to_value(status).unwrap(), json!(status.to_string()));
    }
}

#[test]
fn a_servers_text_has_no_control_characters_in_json() {
    // A line end, the control character NEL, a right-to-left override, an escape sequence.
    let raw = "a\nb\u{85}c\u{202e}d\u{1b}[31m";
    let mut health = failed_check();
    health.error = Some(raw.to_owned());
    health.snapshot.server = Some(raw.to_owned());
    health.snapshot.cluster = Some(raw.to_owned());
    health.snapshot.last_error = Some(raw.to_owned());
    let text = serde_json::to_string(&health).unwrap();
    assert!(!text.contains(|char: char| char.is_control() || char == '\u{202e}'), "{text:?}");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    // Readers of the JSON do not get them back either.
    for field in [&value["error"], &value["snapshot"]["server"], &value["snapshot"]["last_error"]] {
        assert_eq!(field, &json!(r"a\nb\u{85}c\u{202e}d\u{1b}[31m"));
    }
}
