//! Header names and values: the text types, their rules, and what converts into them.

use bytestring::ByteString;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Text of a name or a value, in one of three places.
#[derive(Clone)]
enum Text {
    /// In the program.
    Static(&'static str),
    /// Here. Nearly all names and most values are short, and copying them costs less than an
    /// allocation, or than counting one more owner of the received block.
    Inline { len: u8, bytes: [u8; INLINE] },
    /// In an allocation of its own, or in the received block.
    Shared(ByteString),
}

/// The most bytes that are kept in place: as many as make `Text` 40 bytes, one word more than the
/// other variants need.
const INLINE: usize = 38;

impl Text {
    #[inline]
    fn new(text: &str) -> Self {
        Self::inline(text).unwrap_or_else(|| Self::Shared(text.into()))
    }

    #[inline]
    fn inline(text: &str) -> Option<Self> {
        let mut bytes = [0; INLINE];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        let len = u8::try_from(text.len()).ok()?;
        Some(Self::Inline { len, bytes })
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Static(text) => text.as_bytes(),
            Self::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(&[]),
            Self::Shared(text) => text.as_bytes(),
        }
    }

    #[inline]
    fn as_str(&self) -> &str {
        match self {
            Self::Static(text) => text,
            // It was text when it was copied. Without `unsafe` the check is made again; it is one
            // or two vector operations for so few bytes.
            Self::Inline { .. } => core::str::from_utf8(self.as_bytes()).unwrap_or(""),
            Self::Shared(text) => text,
        }
    }
}

/// Text from a received block.
pub(super) enum ReceivedText<'a> {
    /// A part of the block, which is text as a whole.
    Part { block: &'a ByteString, part: &'a str },
    /// Put together or made readable.
    Made(String),
}

impl From<ReceivedText<'_>> for Text {
    #[inline]
    fn from(text: ReceivedText<'_>) -> Self {
        match text {
            ReceivedText::Part { block, part } => {
                Self::inline(part).unwrap_or_else(|| Self::Shared(block.slice_ref(part)))
            }
            ReceivedText::Made(text) => text.into(),
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::inline(&text).unwrap_or_else(|| Self::Shared(text.into()))
    }
}

/// The name of a header. Case is kept, and matters (ADR-4).
///
/// A name for sending is printable ASCII without `:` and blanks, and every way to make one asks
/// for that. A name that was received is what stood there.
#[derive(Clone)]
pub struct HeaderName(Text);

/// The text is no header name: printable ASCII without `:` and blanks, not empty.
#[derive(Debug, Clone)]
pub struct ParseHeaderNameError;

impl fmt::Display for ParseHeaderNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid header name (a name is printable ASCII without ':' and blanks, not empty)")
    }
}

impl core::error::Error for ParseHeaderNameError {}

impl HeaderName {
    /// A name from text in the program, without allocation; in a constant it is checked when the
    /// program is compiled.
    ///
    /// # Panics
    ///
    /// On text that is no header name.
    #[must_use]
    pub const fn from_static(value: &'static str) -> Self {
        assert!(is_name(value.as_bytes()), "invalid header name");
        Self(Text::Static(value))
    }

    /// A name that was received, taken as it is.
    pub(super) fn received(text: ReceivedText<'_>) -> Self {
        Self(text.into())
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    #[inline]
    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Printable ASCII without `:` and blanks, not empty (ADR-4; the server's own check is the same).
const fn is_name(name: &[u8]) -> bool {
    let mut at = 0;
    while at < name.len() {
        if !name[at].is_ascii_graphic() || name[at] == b':' {
            return false;
        }
        at += 1;
    }
    !name.is_empty()
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for HeaderName {}

impl Hash for HeaderName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeaderName").field(&self.as_str()).finish()
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AsRef<str> for HeaderName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<[u8]> for HeaderName {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl FromStr for HeaderName {
    type Err = ParseHeaderNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_name(text.as_bytes()) { Ok(Self(Text::new(text))) } else { Err(ParseHeaderNameError) }
    }
}

impl TryFrom<&str> for HeaderName {
    type Error = ParseHeaderNameError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for HeaderName {
    type Error = ParseHeaderNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_name(text.as_bytes()) { Ok(Self(text.into())) } else { Err(ParseHeaderNameError) }
    }
}

impl Serialize for HeaderName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for HeaderName {
    /// Takes what a received name can be, so that a received message can be stored and read back:
    /// not empty, no `:`, no line end.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() || text.contains([':', '\r', '\n']) {
            return Err(D::Error::custom(ParseHeaderNameError));
        }
        Ok(Self(text.into()))
    }
}

/// The value of a header: text without CR and LF.
///
/// A value that was received may hold a bare CR, since servers don't check; it is replaced by a
/// blank should the value be sent on in a new block. Of a value that is not UTF-8 this is a lossy
/// rendering; [`HeaderMap::raw`](super::HeaderMap::raw) has the bytes.
#[derive(Clone)]
pub struct HeaderValue(Text);

/// The text is no header value: there is a CR or LF in it.
#[derive(Debug, Clone)]
pub struct ParseHeaderValueError;

impl fmt::Display for ParseHeaderValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r"invalid character found in header value (value cannot contain '\r' or '\n')")
    }
}

impl core::error::Error for ParseHeaderValueError {}

impl HeaderValue {
    /// The empty value.
    #[must_use]
    pub fn new() -> Self {
        Self(Text::Static(""))
    }

    /// A value that was received, taken as it is.
    pub(super) fn received(text: ReceivedText<'_>) -> Self {
        Self(text.into())
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The text.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

fn is_value(value: &[u8]) -> bool {
    memchr::memchr2(b'\r', b'\n', value).is_none()
}

#[cold]
#[inline(never)]
fn refuse_value() -> ! {
    panic!("{ParseHeaderValueError}")
}

#[cold]
#[inline(never)]
fn refuse_name() -> ! {
    panic!("{ParseHeaderNameError}")
}

impl Default for HeaderValue {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for HeaderValue {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for HeaderValue {}

impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeaderValue").field(&self.as_str()).finish()
    }
}

impl fmt::Display for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl AsRef<str> for HeaderValue {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<[u8]> for HeaderValue {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl FromStr for HeaderValue {
    type Err = ParseHeaderValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_value(text.as_bytes()) { Ok(Self(Text::new(text))) } else { Err(ParseHeaderValueError) }
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

impl Serialize for HeaderValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for HeaderValue {
    /// Takes what a received value can be, so that a received message can be stored and read back:
    /// no LF.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.contains('\n') {
            return Err(D::Error::custom(ParseHeaderValueError));
        }
        Ok(Self(text.into()))
    }
}

/// What can be given as the name of a header.
pub trait IntoHeaderName {
    /// The name.
    ///
    /// # Panics
    ///
    /// For text, if it is no header name.
    fn into_header_name(self) -> HeaderName;

    /// Looks at the text of the name; a look-up needs no more, and so can't panic.
    #[doc(hidden)]
    fn with_text<R>(self, look: impl FnOnce(&str) -> R) -> R
    where
        Self: Sized,
    {
        look(self.into_header_name().as_str())
    }
}

impl IntoHeaderName for &str {
    fn into_header_name(self) -> HeaderName {
        self.parse().unwrap_or_else(|_| refuse_name())
    }

    fn with_text<R>(self, look: impl FnOnce(&str) -> R) -> R {
        look(self)
    }
}

impl IntoHeaderName for String {
    fn into_header_name(self) -> HeaderName {
        HeaderName::try_from(self).unwrap_or_else(|_| refuse_name())
    }

    fn with_text<R>(self, look: impl FnOnce(&str) -> R) -> R {
        look(&self)
    }
}

impl IntoHeaderName for HeaderName {
    fn into_header_name(self) -> HeaderName {
        self
    }
}

/// What can be given as the value of a header.
pub trait IntoHeaderValue {
    /// The value.
    ///
    /// # Panics
    ///
    /// For text with a CR or LF in it.
    fn into_header_value(self) -> HeaderValue;
}

impl IntoHeaderValue for &str {
    fn into_header_value(self) -> HeaderValue {
        HeaderValue::from(self)
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
