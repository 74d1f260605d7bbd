//! Points in time in JSON: text in the format of RFC 3339, where Go's zero time means none.

use serde::{Deserializer, Serialize, Serializer, de, ser};

use crate::protocol::datetime::{DateTime, format_rfc3339, parse_rfc3339, zero_time};

pub(super) fn serialize<S: Serializer>(value: &DateTime, serializer: S) -> Result<S::Ok, S::Error> {
    format_rfc3339(*value).map_err(ser::Error::custom)?.serialize(serializer)
}

/// A time that is null is the zero time.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime, D::Error> {
    Ok(deserializer.deserialize_option(Text)?.unwrap_or_else(zero_time))
}

/// Times that may be missing.
pub(super) mod option {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        value: &Option<DateTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(time) => super::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<DateTime>, D::Error> {
        Ok(deserializer.deserialize_option(Text)?.filter(|time| *time != zero_time()))
    }
}

/// Reads a text in place, without a copy of it.
struct Text;

impl<'de> de::Visitor<'de> for Text {
    type Value = Option<DateTime>;

    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("a time in the format of RFC 3339")
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }

    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        parse_rfc3339(text).map(Some).map_err(|error| E::custom(format_args!("{text:?} is not a time: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Held {
        #[serde(default = "zero_time", with = "super")]
        one: DateTime,
        #[serde(default, with = "option")]
        some: Option<DateTime>,
    }

    #[test]
    fn a_time_keeps_its_nanoseconds() {
        let json = r#"{"one":"2026-11-30T14:01:39.422753988Z","some":"1970-01-01T00:00:00Z"}"#;
        let held: Held = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&held).unwrap(), json);
    }

    #[test]
    fn the_zero_time_means_none_and_so_do_null_and_nothing() {
        let none = Held { one: zero_time(), some: None };
        for json in ["{}", r#"{"one":null,"some":null}"#, r#"{"some":"0001-01-01T00:00:00Z"}"#] {
            assert_eq!(serde_json::from_str::<Held>(json).unwrap(), none, "{json}");
        }
    }

    #[test]
    fn a_bad_time_is_named_in_the_error() {
        let error = serde_json::from_str::<Held>(r#"{"one":"soon"}"#).unwrap_err().to_string();
        assert!(error.contains("\"soon\" is not a time"), "{error}");
    }
}
