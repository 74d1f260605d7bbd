//! Time inside the model: nanoseconds since 1970, from the caller's `Instant`s.

use std::time::{Duration, Instant, UNIX_EPOCH};

/// Nanoseconds since 1970.
pub(super) type Time = u64;

/// 2026-01-01T00:00:00Z: where the calendar of a model begins unless it is set.
pub(super) const JANUARY: Time = 1_767_225_600_000_000_000;

/// Go's zero time, which means that there is none.
pub(super) const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// Which instant is which time of the calendar.
#[derive(Debug)]
pub(super) struct Clock {
    origin: Option<Instant>,
    wall: Time,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { origin: None, wall: JANUARY }
    }

    /// From now on, `now` is this long after 1970.
    pub(super) fn set(&mut self, now: Instant, since_1970: Duration) {
        self.origin = Some(now);
        self.wall = nanos(since_1970);
    }

    /// The first instant begins the calendar. One before it counts as the first.
    pub(super) fn read(&mut self, now: Instant) -> Time {
        let origin = *self.origin.get_or_insert(now);
        self.wall.saturating_add(nanos(now.saturating_duration_since(origin)))
    }

    /// The instant of a time; `None` before the first event, and for times that are too far away.
    pub(super) fn instant(&self, time: Time) -> Option<Instant> {
        self.origin?.checked_add(Duration::from_nanos(time.saturating_sub(self.wall)))
    }
}

pub(super) fn nanos(duration: Duration) -> Time {
    Time::try_from(duration.as_nanos()).unwrap_or(Time::MAX)
}

/// In the format of RFC 3339, as Go writes it: without zeros at the end of the fraction.
pub(super) fn rfc3339(time: Time) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_nanos(time)).unwrap_or(UNIX_EPOCH);
    let text = humantime::format_rfc3339_nanos(time).to_string();
    let text = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    format!("{text}Z")
}

/// The time of such a text; `None` for Go's zero time, for other times before 1970, and for what is no time in UTC.
pub(super) fn parse_rfc3339(text: &str) -> Option<Time> {
    humantime::parse_rfc3339(text).ok()?.duration_since(UNIX_EPOCH).ok().map(nanos)
}
