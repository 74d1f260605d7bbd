//! How the fields of health are serialised: times, durations, and text that servers may have sent.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::driver::utc;
use crate::protocol::shown;

/// Text without control characters, which are escaped: JSON itself escapes only some of them.
pub(super) fn text<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_deref().map(|text| shown(text).to_string()).serialize(serializer)
}

/// A time by RFC 3339, in UTC, with milliseconds.
pub(super) fn time<S: Serializer>(at: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(utc).serialize(serializer)
}

/// A duration in seconds.
pub(super) fn seconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs_f64()).serialize(serializer)
}
