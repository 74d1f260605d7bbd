//! `HeaderMap` in serde: a plain map of name to values, and the older form with `inner` around it.

use super::header_name::HeaderName;
use super::header_value::HeaderValue;
use super::headers::HeaderMap;
use core::fmt;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

impl Serialize for HeaderMap {
    /// A map of name to list of values, names in the order of their first entry.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, values) in self.grouped() {
            map.serialize_entry(name, &values)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for HeaderMap {
    /// `{"Name": ["value", …], …}`, or `{"inner": {…}}` as async-nats wrote it for a while.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor)
    }
}

struct MapVisitor;

impl<'de> Visitor<'de> for MapVisitor {
    type Value = HeaderMap;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of header names to lists of values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut map = HeaderMap::new();
        while let Some(name) = access.next_key::<HeaderName>()? {
            let values = if name.as_str() == "inner" {
                access.next_value::<InnerOrValues>()?
            } else {
                InnerOrValues::Values(access.next_value()?)
            };
            match values {
                InnerOrValues::Values(values) => {
                    for value in values {
                        map.append(name.clone(), value);
                    }
                }
                InnerOrValues::Inner(inner) => {
                    for (name, value) in inner.entries() {
                        map.append(name.clone(), value.clone());
                    }
                }
            }
        }
        Ok(map)
    }
}

/// The value under the key `inner`: a header of that name has a list, the old form a map.
enum InnerOrValues {
    Values(Vec<HeaderValue>),
    Inner(HeaderMap),
}

impl<'de> Deserialize<'de> for InnerOrValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InnerVisitor)
    }
}

struct InnerVisitor;

impl<'de> Visitor<'de> for InnerVisitor {
    type Value = InnerOrValues;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of header values, or a map of header names to such lists")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = access.next_element()? {
            values.push(value);
        }
        Ok(InnerOrValues::Values(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut inner = HeaderMap::new();
        while let Some((name, values)) = access.next_entry::<HeaderName, Vec<HeaderValue>>()? {
            for value in values {
                inner.append(name.clone(), value);
            }
        }
        Ok(InnerOrValues::Inner(inner))
    }
}
