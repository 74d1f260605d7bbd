//! Status codes in the first line of a header block: `NATS/1.0 503`.

use core::fmt;
use core::num::NonZeroU16;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The number was not a status code, which has three digits and doesn't begin with 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidStatusCode {
    // Keeps the constructor private.
    _private: (),
}

impl InvalidStatusCode {
    const fn new() -> Self {
        Self { _private: () }
    }
}

impl fmt::Display for InvalidStatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid status code")
    }
}

impl core::error::Error for InvalidStatusCode {}

/// A status that a server sets on a message: 100 to 999, in the classes of HTTP.
///
/// ```
/// use nats_lifeline::protocol::StatusCode;
///
/// assert_eq!(StatusCode::from_bytes(b"503").unwrap(), StatusCode::NO_RESPONDERS);
/// assert!(StatusCode::NO_RESPONDERS.is_server_error());
/// assert!(StatusCode::from_u16(99).is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode(NonZeroU16);

impl StatusCode {
    /// Idle heartbeat of a consumer, or a flow control request.
    pub const IDLE_HEARTBEAT: Self = Self::constant(100);
    /// Success; never sent by servers, the value of [`StatusCode::default`].
    pub const OK: Self = Self::constant(200);
    /// No messages, or no such message.
    pub const NOT_FOUND: Self = Self::constant(404);
    /// A pull request timed out or expired.
    pub const TIMEOUT: Self = Self::constant(408);
    /// A pull request was ended early; the description has the reason.
    pub const REQUEST_TERMINATED: Self = Self::constant(409);
    /// A pinned consumer got a request with another pin id.
    pub const PIN_ID_MISMATCH: Self = Self::constant(423);
    /// Nobody is subscribed to the subject of a request.
    pub const NO_RESPONDERS: Self = Self::constant(503);

    const fn constant(code: u16) -> Self {
        match NonZeroU16::new(code) {
            Some(code) => Self(code),
            None => panic!("a status code is not 0"),
        }
    }

    /// A status code from its number.
    ///
    /// # Errors
    ///
    /// Unless `src` is within 100 ..= 999.
    pub fn from_u16(src: u16) -> Result<Self, InvalidStatusCode> {
        match NonZeroU16::new(src) {
            Some(code) if (100..=999).contains(&src) => Ok(Self(code)),
            _ => Err(InvalidStatusCode::new()),
        }
    }

    /// A status code from its text.
    ///
    /// # Errors
    ///
    /// Unless `src` is exactly three ASCII digits, the first not 0.
    pub fn from_bytes(src: &[u8]) -> Result<Self, InvalidStatusCode> {
        let &[a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = src else {
            return Err(InvalidStatusCode::new());
        };
        let digit = |byte: u8| u16::from(byte - b'0');
        Self::from_u16(digit(a) * 100 + digit(b) * 10 + digit(c))
    }

    /// The number.
    #[must_use]
    pub fn as_u16(&self) -> u16 {
        self.0.get()
    }

    /// 100 to 199.
    #[must_use]
    pub fn is_informational(&self) -> bool {
        self.class() == 1
    }

    /// 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.class() == 2
    }

    /// 300 to 399.
    #[must_use]
    pub fn is_redirection(&self) -> bool {
        self.class() == 3
    }

    /// 400 to 499.
    #[must_use]
    pub fn is_client_error(&self) -> bool {
        self.class() == 4
    }

    /// 500 to 599.
    #[must_use]
    pub fn is_server_error(&self) -> bool {
        self.class() == 5
    }

    fn class(self) -> u16 {
        self.0.get() / 100
    }
}

impl fmt::Debug for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Default for StatusCode {
    fn default() -> Self {
        Self::OK
    }
}

impl PartialEq<u16> for StatusCode {
    fn eq(&self, other: &u16) -> bool {
        self.as_u16() == *other
    }
}

impl PartialEq<StatusCode> for u16 {
    fn eq(&self, other: &StatusCode) -> bool {
        *self == other.as_u16()
    }
}

impl From<StatusCode> for u16 {
    fn from(status: StatusCode) -> Self {
        status.as_u16()
    }
}

impl From<&StatusCode> for StatusCode {
    fn from(status: &StatusCode) -> Self {
        *status
    }
}

impl FromStr for StatusCode {
    type Err = InvalidStatusCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(text.as_bytes())
    }
}

impl TryFrom<&[u8]> for StatusCode {
    type Error = InvalidStatusCode;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        Self::from_bytes(bytes)
    }
}

impl TryFrom<&str> for StatusCode {
    type Error = InvalidStatusCode;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::from_bytes(text.as_bytes())
    }
}

impl TryFrom<u16> for StatusCode {
    type Error = InvalidStatusCode;

    fn try_from(code: u16) -> Result<Self, Self::Error> {
        Self::from_u16(code)
    }
}

impl Serialize for StatusCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct("StatusCode", &self.0)
    }
}

impl<'de> Deserialize<'de> for StatusCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "StatusCode")]
        struct Number(u16);

        let Number(code) = Number::deserialize(deserializer)?;
        Self::from_u16(code).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_three_digits_and_no_leading_zero() {
        for bad in ["", "1", "50", "099", "5030", "abc", "+50", " 503", "5 3"] {
            assert!(bad.parse::<StatusCode>().is_err(), "{bad:?}");
        }
        assert_eq!("100".parse(), Ok(StatusCode::IDLE_HEARTBEAT));
        assert_eq!("999".parse::<StatusCode>().map(u16::from), Ok(999));
        assert!(StatusCode::from_u16(1000).is_err());
    }

    #[test]
    fn json_is_the_number_and_a_bad_number_is_refused() {
        let json = serde_json::to_string(&StatusCode::TIMEOUT).unwrap();
        assert_eq!(json, "408");
        assert_eq!(serde_json::from_str::<StatusCode>(&json).unwrap(), 408);
        assert!(serde_json::from_str::<StatusCode>("7").is_err());
    }
}
