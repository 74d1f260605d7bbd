//! Durations in JSON: whole nanoseconds, as Go writes them.
//!
//! A negative number reads as zero. Go's durations have 63 bits, so a duration of more than 292 years is written as the
//! longest one that Go can read.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The nanoseconds of a duration, at most those that Go can read.
pub(super) fn of(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    of(*value).serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Ok(duration(Option::deserialize(deserializer)?.unwrap_or(0)))
}

/// Durations that may be missing.
pub(super) mod option {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(of).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::deserialize(deserializer)?.map(duration))
    }

    /// Where a negative number means that nothing has happened yet.
    pub(in super::super) fn unless_negative<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::deserialize(deserializer)?.filter(|nanos| *nanos >= 0).map(duration))
    }
}

/// Lists of durations.
pub(super) mod list {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(value: &[Duration], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(value.iter().map(|duration| of(*duration)))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
        let nanos: Option<Vec<i64>> = Option::deserialize(deserializer)?;
        Ok(nanos.unwrap_or_default().into_iter().map(duration).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Held {
        #[serde(with = "super")]
        one: Duration,
        #[serde(default, with = "option")]
        some: Option<Duration>,
        #[serde(default, with = "list")]
        list: Vec<Duration>,
    }

    #[test]
    fn durations_are_whole_nanoseconds() {
        let second = Duration::from_secs(1);
        let held = Held { one: Duration::from_nanos(7), some: Some(second), list: vec![second, Duration::ZERO] };
        let json = serde_json::to_string(&held).unwrap();
        assert_eq!(json, r#"{"one":7,"some":1000000000,"list":[1000000000,0]}"#);
        assert_eq!(serde_json::from_str::<Held>(&json).unwrap(), held);
    }

    #[test]
    fn negative_null_and_missing_ones_are_zero_and_endless_ones_are_the_longest() {
        let read = |json: &str| serde_json::from_str::<Held>(json).unwrap();
        let zero = Held { one: Duration::ZERO, some: None, list: Vec::new() };
        assert_eq!(read(r#"{"one":-1,"list":null}"#), zero);
        assert_eq!(read(r#"{"one":null,"some":null}"#), zero);
        let endless = Held { one: Duration::MAX, some: None, list: Vec::new() };
        assert!(serde_json::to_string(&endless).unwrap().contains(&i64::MAX.to_string()));
    }
}
