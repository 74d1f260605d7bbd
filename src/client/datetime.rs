//! The clock of points in time: everything else about them is in `protocol`, which has no clock.

use crate::protocol::datetime::DateTime;

/// The current time of the system.
pub fn now() -> DateTime {
    #[cfg(feature = "chrono")]
    return chrono::Utc::now();
    #[cfg(not(feature = "chrono"))]
    return DateTime::now_utc();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::datetime::parse_rfc3339;

    #[test]
    fn the_clock_shows_a_present_time() {
        assert!(now() > parse_rfc3339("2024-01-01T00:00:00Z").unwrap());
    }
}
