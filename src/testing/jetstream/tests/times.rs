//! Times.

use crate::testing::jetstream::time::{Clock, JANUARY, ZERO_TIME, nanos, parse_rfc3339, rfc3339};
use std::time::{Duration, Instant};

#[test]
fn times_are_written_as_go_does() {
    assert_eq!(rfc3339(JANUARY), "2026-01-01T00:00:00Z");
    assert_eq!(rfc3339(JANUARY + 10_000_000), "2026-01-01T00:00:00.01Z");
    assert_eq!(parse_rfc3339("2026-01-01T00:00:00.01Z"), Some(JANUARY + 10_000_000));
    assert_eq!(parse_rfc3339(ZERO_TIME), None);
}

#[test]
fn the_calendar_begins_with_the_first_instant() {
    let (mut clock, now) = (Clock::new(), Instant::now());
    let second = Duration::from_secs(1);
    assert_eq!(clock.read(now), JANUARY);
    assert_eq!(clock.read(now + second), JANUARY + nanos(second));
    assert_eq!(clock.instant(JANUARY + nanos(second)), Some(now + second));
    clock.set(now + second, second);
    assert_eq!(clock.read(now + 2 * second), nanos(2 * second));
}
