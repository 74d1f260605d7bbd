//! Values that are read more generously than their types say, because servers write them in several ways.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Deserializer, Serializer};

/// Whether a field has the value that it has when it is left out.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Null is the default: Go writes empty lists and maps as null.
pub(super) fn null_is_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Limits, where a negative number means that there is none.
pub(super) fn negative_is_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(Option::deserialize(deserializer)?.filter(|limit| *limit >= 0))
}

/// Numbers of which servers allow more bits than async-nats has for them.
pub(super) fn nearest_i32<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    let number: i64 = Option::deserialize(deserializer)?.unwrap_or_default();
    let nearest = number.clamp(i32::MIN.into(), i32::MAX.into());
    Ok(i32::try_from(nearest).unwrap_or_default())
}

/// A value that servers leave empty, `{}`, instead of leaving it out.
pub(super) fn empty_is_none<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Default + PartialEq + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.filter(|value| *value != T::default()))
}

/// Writes a map in the order of its keys, so that equal maps are equal bytes.
pub(super) fn sorted<S: Serializer>(map: &HashMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(map.iter().collect::<BTreeMap<_, _>>())
}

/// A percentage that is written as text, `"50"` or `"50%"`.
pub(super) mod percentage {
    use serde::{Deserializer, Serializer, de};

    pub(in super::super) fn serialize<S: Serializer>(percent: &u8, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(percent)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
        deserializer.deserialize_any(Percentage)
    }

    struct Percentage;

    impl<'de> de::Visitor<'de> for Percentage {
        type Value = u8;

        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("a percentage as text, such as \"50%\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<u8, E> {
            let digits = text.trim().trim_end_matches('%').trim_end();
            if digits.is_empty() {
                return Ok(0);
            }
            let number: u64 = digits.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))?;
            self.visit_u64(number)
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<u8, E> {
            // Servers accept any number.
            Ok(u8::try_from(number).unwrap_or(u8::MAX))
        }

        fn visit_unit<E: de::Error>(self) -> Result<u8, E> {
            Ok(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Held {
        #[serde(deserialize_with = "null_is_default")]
        list: Vec<u8>,
        #[serde(deserialize_with = "negative_is_none")]
        limit: Option<i64>,
        #[serde(deserialize_with = "nearest_i32")]
        small: i32,
        #[serde(deserialize_with = "percentage::deserialize")]
        percent: u8,
    }

    fn read(json: &str) -> Result<Held, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn what_servers_write_for_nothing_reads_as_nothing() {
        let nothing = r#"{"list":null,"limit":-1,"small":null,"percent":null}"#;
        assert_eq!(read(nothing).unwrap(), Held::default());
        assert_eq!(read(r#"{"percent":""}"#).unwrap(), Held::default());
    }

    #[test]
    fn numbers_are_the_nearest_and_percentages_have_any_form() {
        assert_eq!(read(r#"{"small":9999999999}"#).unwrap().small, i32::MAX);
        assert_eq!(read(r#"{"small":-9999999999}"#).unwrap().small, i32::MIN);
        for json in [r#"{"percent":"50"}"#, r#"{"percent":"50%"}"#, r#"{"percent":" 50 % "}"#, r#"{"percent":50}"#] {
            assert_eq!(read(json).unwrap().percent, 50, "{json}");
        }
        assert_eq!(read(r#"{"percent":"300%"}"#).unwrap().percent, u8::MAX, "servers accept it");
        assert!(read(r#"{"percent":"half"}"#).is_err() && read(r#"{"percent":"12.5"}"#).is_err(), "and refuse these");
    }
}
