//! `HeaderName`: its rule, and what converts into one.

use super::header_text::{Given, ReceivedText, Text, text_type};
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a header. Case is kept and matters (ADR-4).
///
/// A name for sending is printable ASCII without `:` and blanks, which every constructor checks. A received name is kept as it
/// was; if it is sent on in a new block, a CR in it is replaced by `_`.
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

text_type!(HeaderName, ParseHeaderNameError, is_name);

impl HeaderName {
    /// A name from static text, without allocation; in a constant it is checked at compile time.
    ///
    /// # Panics
    ///
    /// On text that is no header name.
    #[must_use]
    pub const fn from_static(value: &'static str) -> Self {
        assert!(is_name(value.as_bytes()), "invalid header name");
        Self(Text::Static(value))
    }

    #[inline]
    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Given<'_, HeaderName> {
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Ready(name) => name.as_bytes(),
        }
    }

    /// The text, if it is legal to send: a received name need not be.
    #[inline]
    pub(super) fn sendable(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Ready(name) => is_name(name.as_bytes()).then(|| name.as_str()),
        }
    }
}

/// Printable ASCII without `:` and blanks, not empty (ADR-4; the server's own check is the same).
const fn is_name(name: &[u8]) -> bool {
    // No early exit: names are short, and most are valid.
    let mut good = !name.is_empty();
    let mut at = 0;
    while at < name.len() {
        good &= name[at].is_ascii_graphic() & (name[at] != b':');
        at += 1;
    }
    good
}

impl Hash for HeaderName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
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

impl<'de> Deserialize<'de> for HeaderName {
    /// Accepts what a received name can be, so that a received message can be stored and read back: not empty, no `:`, no LF.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() || text.contains([':', '\n']) {
            return Err(D::Error::custom(ParseHeaderNameError));
        }
        Ok(Self(text.into()))
    }
}

#[cold]
#[inline(never)]
fn refuse_name() -> ! {
    panic!("{ParseHeaderNameError}")
}

/// Types that can be given as the name of a header.
pub trait IntoHeaderName {
    /// The name.
    ///
    /// # Panics
    ///
    /// For text, if it is no header name.
    fn into_header_name(self) -> HeaderName;

    /// Calls `look` with the text of the name: a look-up needs no more, and so can't panic.
    #[doc(hidden)]
    fn with_text<R>(self, look: impl FnOnce(&str) -> R) -> R
    where
        Self: Sized,
    {
        look(self.into_header_name().as_str())
    }

    /// Gives the name to a map, as text if possible, so that it need not be moved there.
    #[doc(hidden)]
    fn give<R>(self, take: impl FnOnce(Given<'_, HeaderName>) -> R) -> R
    where
        Self: Sized,
    {
        take(Given::Ready(self.into_header_name()))
    }
}

impl IntoHeaderName for &str {
    fn into_header_name(self) -> HeaderName {
        self.parse().unwrap_or_else(|_| refuse_name())
    }

    fn with_text<R>(self, look: impl FnOnce(&str) -> R) -> R {
        look(self)
    }

    #[inline]
    fn give<R>(self, take: impl FnOnce(Given<'_, HeaderName>) -> R) -> R {
        if !is_name(self.as_bytes()) {
            refuse_name();
        }
        take(Given::Text(self))
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
