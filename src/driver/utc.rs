//! Formats the wall clock, for lines of text and for JSON.

use std::time::{Duration, SystemTime};

/// The last second of the year 9999, after 1970. Later years don't fit into RFC 3339.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// `2025-02-28T23:59:59.123Z`. Times before 1970 are shown as 1970, and times after the year 9999 as its end.
pub(crate) fn utc(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().min(LAST);
    let shown = SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_millis(shown).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799, "9999-12-31T23:59:59.000Z"),
            (253_402_300_800, "9999-12-31T23:59:59.000Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(utc(at(seconds)), text);
        }
        assert_eq!(utc(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), utc(at(0)));
        assert_eq!(utc(at(1) + Duration::from_millis(7)), "1970-01-01T00:00:01.007Z");
    }
}
