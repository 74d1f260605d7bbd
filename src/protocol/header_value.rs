//! `HeaderValue`: its rule, and what converts into one.

use super::header_text::{Given, ReceivedText, Text, text_type};
use core::fmt;
use core::str::FromStr;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The value of a header: text without CR and LF.
///
/// A received value may contain CR, because servers don't check; it is replaced by a blank if the value is sent on in a new
/// block. For a value that is not UTF-8 this is a lossy rendering; [`HeaderMap::raw`](super::HeaderMap::raw) has the bytes.
#[derive(Clone)]
pub struct HeaderValue(Text);

/// The text is not a header value: it contains CR or LF.
#[derive(Debug, Clone)]
pub struct ParseHeaderValueError;

impl fmt::Display for ParseHeaderValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r"invalid character found in header value (value cannot contain '\r' or '\n')")
    }
}

impl core::error::Error for ParseHeaderValueError {}

text_type!(HeaderValue, ParseHeaderValueError, is_value);

impl HeaderValue {
    /// The empty value.
    #[must_use]
    pub fn new() -> Self {
        Self(Text::Static(""))
    }

    /// The text.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Given<'_, HeaderValue> {
    /// The text, if it is legal to send: a received value need not be.
    #[inline]
    pub(super) fn sendable(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Ready(value) => is_value(value.as_bytes()).then(|| value.as_str()),
        }
    }
}

/// Shorter values are checked in place: calling a search costs more.
const SEARCHED: usize = 64;

#[inline]
fn is_value(value: &[u8]) -> bool {
    if value.len() >= SEARCHED {
        return memchr::memchr2(b'\r', b'\n', value).is_none();
    }
    // No early exit: nearly all are valid.
    value.iter().fold(true, |good, byte| good & !matches!(byte, b'\r' | b'\n'))
}

#[cold]
#[inline(never)]
fn refuse_value() -> ! {
    panic!("{ParseHeaderValueError}")
}

impl Default for HeaderValue {
    fn default() -> Self {
        Self::new()
    }
}

impl From<&str> for HeaderValue {
    /// # Panics
    ///
    /// On a CR or LF; [`str::parse`] gives an error instead.
    fn from(text: &str) -> Self {
        text.parse().unwrap_or_else(|_| refuse_value())
    }
}

impl From<String> for HeaderValue {
    /// # Panics
    ///
    /// On a CR or LF; [`str::parse`] gives an error instead.
    fn from(text: String) -> Self {
        if !is_value(text.as_bytes()) {
            refuse_value();
        }
        Self(text.into())
    }
}

macro_rules! value_from_number {
    ($($number:ty),*) => {$(
        impl From<$number> for HeaderValue {
            fn from(number: $number) -> Self {
                Self(number.to_string().into())
            }
        }
    )*};
}

value_from_number!(i16, i32, i64, isize, u16, u32, u64, usize);

impl<'de> Deserialize<'de> for HeaderValue {
    /// Accepts what a received value can be, so that a received message can be stored and read back: no LF.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.contains('\n') {
            return Err(D::Error::custom(ParseHeaderValueError));
        }
        Ok(Self(text.into()))
    }
}

/// Types that can be given as the value of a header.
pub trait IntoHeaderValue {
    /// The value.
    ///
    /// # Panics
    ///
    /// For text with a CR or LF in it.
    fn into_header_value(self) -> HeaderValue;

    /// Gives the value to a map, as text if possible, so that it need not be moved there.
    #[doc(hidden)]
    fn give<R>(self, take: impl FnOnce(Given<'_, HeaderValue>) -> R) -> R
    where
        Self: Sized,
    {
        take(Given::Ready(self.into_header_value()))
    }
}

impl IntoHeaderValue for &str {
    fn into_header_value(self) -> HeaderValue {
        HeaderValue::from(self)
    }

    #[inline]
    fn give<R>(self, take: impl FnOnce(Given<'_, HeaderValue>) -> R) -> R {
        if !is_value(self.as_bytes()) {
            refuse_value();
        }
        take(Given::Text(self))
    }
}

impl IntoHeaderValue for String {
    fn into_header_value(self) -> HeaderValue {
        HeaderValue::from(self)
    }
}

impl IntoHeaderValue for HeaderValue {
    fn into_header_value(self) -> HeaderValue {
        self
    }
}
