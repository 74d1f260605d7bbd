//! Answers of the JetStream API: a document, or an error in its place. Both are read in one pass.
//!
//! An object is read entry by entry. [`Watched`] takes the entry `error` out on the way, and [`Known`] leaves out
//! enumerations with a value that this version does not know, so that one new value costs one field, not the document.

use core::fmt;
use core::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, StrDeserializer, StringDeserializer};
use serde::de::{self, DeserializeSeed, IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::Error;

/// What a server answers to an API request, or to a published message.
///
/// It is read from a JSON object: one with an `error` that is not null is [`Err`](Response::Err), whatever else it contains
/// (nats-server adds `total`, `seq` and others there); any other one is a `T`.
///
/// ```
/// use nats_lifeline::jetstream::publish::PublishAck;
/// use nats_lifeline::jetstream::response::Response;
///
/// let stored: Response<PublishAck> = serde_json::from_str(r#"{"stream":"ORDERS","seq":7}"#)?;
/// assert!(matches!(stored, Response::Ok(ack) if ack.sequence == 7));
///
/// let refused = r#"{"error":{"code":404,"err_code":10059,"description":"stream not found"},"seq":0}"#;
/// let Response::Err { error } = serde_json::from_str::<Response<PublishAck>>(refused)? else { panic!("an error") };
/// assert_eq!(error.error_code(), nats_lifeline::jetstream::ErrorCode::STREAM_NOT_FOUND);
/// # Ok::<(), nats_lifeline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Response<T> {
    /// The server refused or failed.
    Err {
        /// Its error.
        error: Error,
    },
    /// The answer.
    Ok(T),
}

impl<T> Response<T> {
    /// The same as a `Result`.
    ///
    /// # Errors
    ///
    /// The server's error.
    pub fn into_result(self) -> Result<T, Error> {
        match self {
            Response::Ok(answer) => Ok(answer),
            Response::Err { error } => Err(error),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Response<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Answer(PhantomData))
    }
}

struct Answer<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Answer<T> {
    type Value = Response<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let mut watched = Watched { map, error: None };
        let read = T::deserialize(MapAccessDeserializer::new(&mut watched));
        if watched.error.is_none() {
            let answer = read?;
            // A `T` may stop reading before the end.
            while (&mut watched).next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            if watched.error.is_none() {
                return Ok(Response::Ok(answer));
            }
        }
        while watched.map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Response::Err { error: watched.error.unwrap_or_default() })
    }
}

/// The entries of an object up to its `error`, which is kept here: after that, what the rest would be doesn't matter.
struct Watched<A> {
    map: A,
    error: Option<Error>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for &mut Watched<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let mut seed = Some(seed);
        while self.error.is_none() {
            match self.map.next_key_seed(KeyUnlessError(&mut seed))? {
                None => break,
                Some(Some(key)) => return Ok(Some(key)),
                // An error that is null is none.
                Some(None) => self.error = self.map.next_value()?,
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// Reads a key, unless it is `error`: then the seed stays for the next one.
struct KeyUnlessError<'a, K>(&'a mut Option<K>);

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for KeyUnlessError<'_, K> {
    type Value = Option<K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'de, K: DeserializeSeed<'de>> Visitor<'de> for KeyUnlessError<'_, K> {
    type Value = Option<K::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        if key == "error" {
            return Ok(None);
        }
        let key: StrDeserializer<'_, E> = key.into_deserializer();
        self.0.take().map(|seed| seed.deserialize(key)).transpose()
    }
}

/// A document with enumerations, of which later servers may know more values.
pub(super) trait Enumerations {
    /// The fields, each with the values that this version knows.
    const FIELDS: &'static [(&'static str, &'static [&'static str])];
}

/// Reads a document of a server: an enumeration with an unknown value reads as if it were absent.
pub(super) fn known<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Enumerations,
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(KnownDocument(PhantomData))
}

struct KnownDocument<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Enumerations> Visitor<'de> for KnownDocument<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(Known { map, fields: T::FIELDS, value: None }))
    }
}

/// The entries of an object without unknown enumeration values.
struct Known<A> {
    map: A,
    fields: &'static [(&'static str, &'static [&'static str])],
    /// The value of the present entry, if it is an enumeration.
    value: Option<&'static str>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Known<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            if let Some((_, known)) = self.fields.iter().find(|(field, _)| *field == key) {
                let value = self.map.next_value::<serde_json::Value>()?;
                self.value = known.iter().find(|known| value.as_str() == Some(**known)).copied();
                if self.value.is_none() {
                    continue;
                }
            }
            let key: StringDeserializer<A::Error> = key.into_deserializer();
            return seed.deserialize(key).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(KnownValue(value, PhantomData)),
            None => self.map.next_value_seed(seed),
        }
    }
}

/// The value of an enumeration, which may be optional.
struct KnownValue<E>(&'static str, PhantomData<E>);

impl<'de, E: de::Error> Deserializer<'de> for KnownValue<E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, E> {
        let text: StrDeserializer<'_, E> = self.0.into_deserializer();
        text.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jetstream::wire::{ErrorCode, Page, PublishAck};

    fn read<T: for<'de> Deserialize<'de>>(json: &str) -> Result<Response<T>, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[track_caller]
    fn refused<T: for<'de> Deserialize<'de> + fmt::Debug>(json: &str) {
        let Ok(Response::Err { error }) = read::<T>(json) else { panic!("{json} is {:?}", read::<T>(json)) };
        assert_eq!((error.code(), error.error_code()), (404, ErrorCode(10059)), "{json}");
    }

    #[test]
    fn an_error_is_found_wherever_it_stands_and_whatever_else_there_is() {
        let error = r#""error":{"code":404,"err_code":10059,"description":"stream not found"}"#;
        for json in [
            format!("{{{error}}}"),
            format!(r#"{{"type":"t",{error},"total":0}}"#),
            format!(r#"{{"stream":"S","seq":0,{error}}}"#),
            format!(r#"{{"error":null,{error}}}"#),
            // What would be no acknowledgement at all.
            format!(r#"{{{error},"seq":[1,{{"a":"b"}}],"stream":{{}},"error":null}}"#),
        ] {
            refused::<PublishAck>(&json);
            refused::<Page<String>>(&json);
            refused::<serde_json::Value>(&json);
            // A type that has no field with a default.
            refused::<Needy>(&json);
        }
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Needy {
        needed: u8,
    }

    #[test]
    fn without_an_error_it_is_the_answer() {
        let null = r#"{"needed":7,"error":null,"more":[{}]}"#;
        assert_eq!(read::<Needy>(null).unwrap().into_result().unwrap(), Needy { needed: 7 });
        let value = read::<serde_json::Value>(r#"{"a":{"error":1}}"#).unwrap().into_result().unwrap();
        assert_eq!(value, serde_json::json!({ "a": { "error": 1 } }), "only the answer's own error counts");
    }

    #[test]
    fn what_is_neither_is_an_error_of_its_own() {
        for json in ["", "{", "[]", "7", "null", r#""text""#, r#"{"needed":"x"}"#, r#"{"error":"x"}"#, "{}", "{]"] {
            assert!(read::<Needy>(json).is_err(), "{json}");
        }
    }
}
