//! Points in time, as async-nats has them: of the crate `chrono` by that feature, otherwise of the crate `time`.

use std::time::Duration;

/// Any error, as at the crate's root.
type Error = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A point in time, in UTC.
#[cfg(feature = "chrono")]
pub type DateTime = chrono::DateTime<chrono::Utc>;

/// A point in time, in UTC.
#[cfg(not(feature = "chrono"))]
pub type DateTime = time::OffsetDateTime;

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
pub fn parse_rfc3339(s: &str) -> Result<DateTime, Error> {
    #[cfg(feature = "chrono")]
    return Ok(chrono::DateTime::parse_from_rfc3339(s)?.with_timezone(&chrono::Utc));
    #[cfg(not(feature = "chrono"))]
    {
        let time = DateTime::parse(s, &time::format_description::well_known::Rfc3339)?;
        Ok(time.checked_to_offset(time::UtcOffset::UTC).ok_or(OutOfRange)?)
    }
}

/// The time this many nanoseconds after the beginning of 1970; before it if negative.
///
/// # Errors
///
/// If the year is not within ±9999; with the feature `chrono`, if the number does not fit into 64 bits: before the year 1678 and
/// after 2262.
pub fn from_nanos(nanos: i128) -> Result<DateTime, Error> {
    #[cfg(feature = "chrono")]
    return Ok(DateTime::from_timestamp_nanos(i64::try_from(nanos).map_err(|_| OutOfRange)?));
    #[cfg(not(feature = "chrono"))]
    return Ok(DateTime::from_unix_timestamp_nanos(nanos)?);
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
pub fn add_std_duration(dt: DateTime, duration: Duration) -> Result<DateTime, Error> {
    #[cfg(feature = "chrono")]
    let sum = dt.checked_add_signed(chrono::TimeDelta::from_std(duration)?);
    #[cfg(not(feature = "chrono"))]
    let sum = dt.checked_add(time::Duration::try_from(duration)?);
    Ok(sum.ok_or(OutOfRange)?)
}

/// The time in the format that servers read, in UTC, with as many digits as are needed: `2026-11-28T10:59:41.5Z`.
///
/// # Errors
///
/// If the year is not within 0 to 9999, which the format can't express.
#[cfg(feature = "jetstream")]
pub(crate) fn format_rfc3339(dt: DateTime) -> Result<String, Error> {
    #[cfg(feature = "chrono")]
    {
        if !(0..=9999).contains(&chrono::Datelike::year(&dt)) {
            return Err(OutOfRange.into());
        }
        Ok(dt.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    }
    #[cfg(not(feature = "chrono"))]
    {
        let utc = dt.checked_to_offset(time::UtcOffset::UTC).ok_or(OutOfRange)?;
        Ok(utc.format(&time::format_description::well_known::Rfc3339)?)
    }
}

/// Go's zero time, `0001-01-01T00:00:00Z`: servers write it for "none".
#[cfg(feature = "jetstream")]
pub(crate) fn zero_time() -> DateTime {
    const SECONDS: i64 = -62_135_596_800;
    #[cfg(feature = "chrono")]
    return DateTime::from_timestamp(SECONDS, 0).unwrap_or_default();
    #[cfg(not(feature = "chrono"))]
    return DateTime::from_unix_timestamp(SECONDS).unwrap_or(DateTime::UNIX_EPOCH);
}

#[derive(Debug, thiserror::Error)]
#[error("the time is out of the range that can be represented")]
struct OutOfRange;

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
        assert!(from_nanos(i128::MAX).is_err() && from_nanos(i128::from(i64::MIN) * 1_000).is_err());
        let begin = from_nanos(0).unwrap();
        assert!(add_std_duration(begin, Duration::MAX).is_err());
        let last = parse_rfc3339("9999-12-31T23:59:59Z").unwrap();
        let century = Duration::from_secs(100 * 366 * 86_400);
        assert!((0..4_000).try_fold(last, |time, _| add_std_duration(time, century)).is_err());
        assert!(parse_rfc3339("yesterday").is_err() && parse_rfc3339("").is_err());
    }

    #[cfg(feature = "jetstream")]
    #[test]
    fn a_time_is_written_as_a_server_writes_it() {
        for text in ["0001-01-01T00:00:00Z", "2026-11-28T10:59:41.5Z", "2026-11-28T10:59:41.000000001Z"] {
            let time = parse_rfc3339(text).unwrap();
            assert_eq!(parse_rfc3339(&format_rfc3339(time).unwrap()).unwrap(), time);
        }
        assert_eq!(
            format_rfc3339(parse_rfc3339("1970-01-01T02:00:00+02:00").unwrap()).unwrap(),
            "1970-01-01T00:00:00Z"
        );
        assert_eq!(format_rfc3339(zero_time()).unwrap(), "0001-01-01T00:00:00Z");
        let late = add_std_duration(parse_rfc3339("9999-12-31T23:59:59Z").unwrap(), Duration::from_secs(1));
        assert!(late.is_err() || format_rfc3339(late.unwrap()).is_err(), "the year has five digits");
    }
}
