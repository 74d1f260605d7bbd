//! `Subject`: text that is cheap to clone, or, from the wire, bytes that are not text.

use super::subject_rules::check_subscribe_subject;
use bytes::Bytes;
use bytestring::ByteString;
use core::cmp::Ordering;
use core::fmt;
use core::ops::Deref;
use core::str::Utf8Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A subject was refused by [`Subject::validated`].
///
/// [`check_subscribe_subject`] names the rule and the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectError {
    /// It is empty, contains a blank or a line end, has an empty token, or has a token after `>`.
    InvalidFormat,
}

impl fmt::Display for SubjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid subject format")
    }
}

impl core::error::Error for SubjectError {}

/// The name that messages are published and subscribed to: immutable, cheap to clone.
///
/// It is text. Servers don't check what publishers send, though, so a subject from the wire may not be UTF-8: then the text is
/// lossy, [`is_lossy`](Self::is_lossy) is true, and [`as_bytes`](Self::as_bytes) has the received bytes, which are sent again
/// when it is published to.
///
/// Constructors check nothing but UTF-8; [`is_valid`](Self::is_valid), [`validated`](Self::validated) and everything that sends
/// check the rules.
///
/// ```
/// use nats_lifeline::protocol::Subject;
///
/// const ORDERS: Subject = Subject::from_static_validated("orders.new");
/// assert_eq!(ORDERS.as_str(), "orders.new");
/// assert!(Subject::validated("two words").is_err());
/// ```
#[derive(Clone)]
pub struct Subject {
    text: ByteString,
    /// The received bytes, if they differ from `text`. Boxed because it is almost never needed, and every message has a subject
    /// or two.
    raw: Option<Box<Bytes>>,
}

impl Subject {
    /// A subject from static text, without allocation and without a check.
    #[must_use]
    pub const fn from_static(input: &'static str) -> Self {
        Self { text: ByteString::from_static(input), raw: None }
    }

    /// A subject from static text that is checked like [`Self::validated`]; in a constant, at compile time.
    ///
    /// # Panics
    ///
    /// On a subject that breaks a rule.
    #[must_use]
    pub const fn from_static_validated(subject: &'static str) -> Self {
        assert!(check_subscribe_subject(subject.as_bytes()).is_ok(), "invalid subject format");
        Self::from_static(subject)
    }

    /// A subject from bytes that must be UTF-8.
    ///
    /// # Errors
    ///
    /// When they are not.
    pub fn from_utf8<T>(input: T) -> Result<Self, Utf8Error>
    where
        T: Into<Bytes>,
    {
        let text = ByteString::try_from(input.into())?;
        Ok(Self { text, raw: None })
    }

    /// A subject from the wire. Never fails: bytes that are not UTF-8 give a lossy text, and are kept.
    ///
    /// ```
    /// use nats_lifeline::protocol::Subject;
    /// use bytes::Bytes;
    ///
    /// let subject = Subject::from_wire(Bytes::from_static(b"caf\xe9"));
    /// assert!(subject.is_lossy());
    /// assert_eq!(subject.as_str(), "caf\u{fffd}");
    /// assert_eq!(subject.as_bytes(), b"caf\xe9");
    /// ```
    #[must_use]
    #[inline]
    pub fn from_wire(bytes: Bytes) -> Self {
        // Almost every subject is ASCII, and then nothing needs to be kept for the other case: no second reference.
        let kept = if bytes.is_ascii() { Bytes::new() } else { bytes.clone() };
        match ByteString::try_from(bytes) {
            Ok(text) => Self { text, raw: None },
            Err(_) => Self { text: String::from_utf8_lossy(&kept).into_owned().into(), raw: Some(Box::new(kept)) },
        }
    }

    /// A subject from text, checked: not empty, no SP, TAB, CR or LF, no empty token, `>` only as the last token.
    ///
    /// # Errors
    ///
    /// If it breaks a rule; [`check_subscribe_subject`] returns which and where.
    pub fn validated(s: impl AsRef<str>) -> Result<Self, SubjectError> {
        let text = s.as_ref();
        match check_subscribe_subject(text.as_bytes()) {
            Ok(()) => Ok(Self::from(text)),
            Err(_) => Err(SubjectError::InvalidFormat),
        }
    }

    /// Whether its text belongs to no other handle, and is not static.
    pub(crate) fn is_unique(&self) -> bool {
        self.text.as_bytes().is_unique()
    }

    /// The text; lossy if [`Self::is_lossy`].
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The bytes for the wire: the received ones, or those of the text.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.raw {
            Some(raw) => raw,
            None => self.text.as_bytes(),
        }
    }

    /// Whether the text is a lossy rendering of bytes that are not UTF-8.
    #[must_use]
    pub fn is_lossy(&self) -> bool {
        self.raw.is_some()
    }

    /// The text as a `String`; allocates unless this is the only owner.
    #[must_use]
    pub fn into_string(self) -> String {
        self.text.into()
    }

    /// Whether it follows the rules of [`check_subscribe_subject`].
    #[must_use]
    pub fn is_valid(&self) -> bool {
        check_subscribe_subject(self.as_bytes()).is_ok()
    }
}

impl PartialEq for Subject {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Subject {}

impl PartialOrd for Subject {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Subject {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.raw {
            None => f.debug_tuple("Subject").field(&self.as_str()).finish(),
            Some(raw) => f.debug_tuple("Subject").field(raw).finish(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Deref for Subject {
    type Target = str;

    fn deref(&self) -> &Self::Target {
        &self.text
    }
}

impl AsRef<str> for Subject {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl From<&str> for Subject {
    fn from(text: &str) -> Self {
        Self { text: ByteString::from(text), raw: None }
    }
}

impl From<String> for Subject {
    fn from(text: String) -> Self {
        Self { text: ByteString::from(text), raw: None }
    }
}

impl TryFrom<Bytes> for Subject {
    type Error = Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Self::Error> {
        Self::from_utf8(bytes)
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// Types that can be given as a subject.
///
/// `&'static str` needs no allocation. Text that is not static must be a `String` or a [`Subject`]; make a `Subject` once if it
/// is used often.
pub trait ToSubject {
    /// The subject; cheap for [`Subject`] and `&'static str`, a copy for `String`.
    fn to_subject(&self) -> Subject;

    /// The bytes of [`to_subject`](Self::to_subject), if they are available without making one: publishing needs no more, and
    /// saves an allocation or a reference count. `None`: make one.
    #[inline(always)]
    fn wire_bytes(&self) -> Option<&[u8]> {
        None
    }
}

impl ToSubject for Subject {
    fn to_subject(&self) -> Subject {
        self.clone()
    }

    #[inline(always)]
    fn wire_bytes(&self) -> Option<&[u8]> {
        Some(self.as_bytes())
    }
}

impl ToSubject for &'static str {
    fn to_subject(&self) -> Subject {
        Subject::from_static(self)
    }

    #[inline(always)]
    fn wire_bytes(&self) -> Option<&[u8]> {
        Some(self.as_bytes())
    }
}

impl ToSubject for String {
    fn to_subject(&self) -> Subject {
        Subject::from(self.as_str())
    }

    #[inline(always)]
    fn wire_bytes(&self) -> Option<&[u8]> {
        Some(self.as_bytes())
    }
}
