//! Points in time, as in async-nats with its feature `chrono`.

use std::io;
use std::time::Duration;

use chrono::{TimeDelta, Utc};

/// A point in time, in UTC.
pub type DateTime = chrono::DateTime<Utc>;

/// Parses a time in the format that servers write, such as `2026-11-28T10:59:41.5Z`. Times with an offset are converted
/// to UTC.
///
/// # Errors
///
/// If the text is not a time in the format of RFC 3339.
///
/// ```
/// let time = nats_lifeline::datetime::parse_rfc3339("1970-01-01T02:00:00.5+02:00")?;
/// assert_eq!(time, nats_lifeline::datetime::from_nanos(500_000_000)?);
/// # Ok::<(), nats_lifeline::Error>(())
/// ```
pub fn parse_rfc3339(s: &str) -> Result<DateTime, crate::Error> {
    Ok(chrono::DateTime::parse_from_rfc3339(s)?.with_timezone(&Utc))
}

/// The time this many nanoseconds after the beginning of 1970; before it if negative.
///
/// # Errors
///
/// If the number does not fit into 64 bits: before the year 1678 and after 2262.
pub fn from_nanos(nanos: i128) -> Result<DateTime, crate::Error> {
    let nanos = i64::try_from(nanos).map_err(|_| out_of_range("nanoseconds since 1970 must fit into 64 bits"))?;
    Ok(DateTime::from_timestamp_nanos(nanos))
}

/// The current time of the system.
pub fn now() -> DateTime {
    Utc::now()
}

/// The time that is `duration` after `dt`.
///
/// # Errors
///
/// If the result is later than the latest representable time.
///
/// ```
/// use nats_lifeline::datetime;
/// use std::time::Duration;
///
/// let begin = datetime::parse_rfc3339("2026-02-28T23:59:59Z")?;
/// let later = datetime::add_std_duration(begin, Duration::from_secs(1))?;
/// assert_eq!(later, datetime::parse_rfc3339("2026-03-01T00:00:00Z")?);
/// # Ok::<(), nats_lifeline::Error>(())
/// ```
pub fn add_std_duration(dt: DateTime, duration: Duration) -> Result<DateTime, crate::Error> {
    let delta = TimeDelta::from_std(duration)?;
    Ok(dt
        .checked_add_signed(delta)
        .ok_or_else(|| out_of_range("the sum is later than the latest representable time"))?)
}

fn out_of_range(rule: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_keep_their_fraction() {
        let time = from_nanos(-1_500_000_000).unwrap();
        assert_eq!(time, parse_rfc3339("1969-12-31T23:59:58.5Z").unwrap());
    }

    #[test]
    fn times_out_of_range_are_refused() {
        assert!(from_nanos(i128::MAX).is_err() && from_nanos(i128::from(i64::MIN) - 1).is_err());
        assert!(add_std_duration(now(), Duration::MAX).is_err());
        assert!(add_std_duration(DateTime::MAX_UTC, Duration::from_secs(1)).is_err());
        assert!(parse_rfc3339("yesterday").is_err());
    }
}
