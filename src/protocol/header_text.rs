//! The text inside header names and values: three places where it can be stored, and what both types share.

use bytestring::ByteString;

/// Text of a name or a value, in one of three places.
#[derive(Clone)]
pub(super) enum Text {
    /// In the program's static data.
    Static(&'static str),
    /// Inline. Nearly all names and most values are short, and copying them costs less than an allocation, or than another
    /// reference to the received block.
    Inline { len: u8, bytes: [u8; INLINE] },
    /// In an allocation of its own, or in the received block.
    Shared(ByteString),
}

/// The most bytes that are stored inline: as many as make `Text` 40 bytes, one word more than the other variants need.
const INLINE: usize = 38;

/// What [`Text::set`] writes into.
const BLANK: Text = Text::Inline { len: 0, bytes: [0; INLINE] };

impl Text {
    pub(super) const fn blank() -> Self {
        BLANK
    }

    pub(super) fn new(text: &str) -> Self {
        let mut new = BLANK;
        new.set(text);
        new
    }

    /// Copies `text` to its place.
    ///
    /// Short text is written in place and not moved there: a move reads, in wide loads, what a copy has just written in narrow
    /// stores, and waits for it. That was most of the cost of making or reading a header.
    #[inline]
    pub(super) fn set(&mut self, text: &str) {
        if !self.set_inline(text) {
            *self = Self::Shared(text.into());
        }
    }

    /// The same for text from a received block; longer text shares the block's memory.
    #[inline]
    pub(super) fn set_received(&mut self, text: ReceivedText<'_>) {
        match text {
            ReceivedText::Part { block, part } => {
                if !self.set_inline(part) {
                    *self = Self::Shared(block.slice_ref(part));
                }
            }
            ReceivedText::Made(text) => *self = text.into(),
        }
    }

    #[inline]
    fn set_inline(&mut self, text: &str) -> bool {
        if text.len() > INLINE {
            return false;
        }
        if !matches!(self, Self::Inline { .. }) {
            *self = BLANK;
        }
        let Self::Inline { len, bytes } = self else {
            return false;
        };
        // At most `INLINE`, which fits.
        *len = text.len() as u8;
        if let Some(place) = bytes.get_mut(..text.len()) {
            place.copy_from_slice(text.as_bytes());
        }
        true
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Static(text) => text.as_bytes(),
            Self::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(&[]),
            Self::Shared(text) => text.as_bytes(),
        }
    }

    #[inline]
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Static(text) => text,
            // It was text when it was copied. Without `unsafe` the check is repeated; it takes one or two vector operations for
            // so few bytes.
            Self::Inline { .. } => core::str::from_utf8(self.as_bytes()).unwrap_or(""),
            Self::Shared(text) => text,
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        if text.len() > INLINE { Self::Shared(text.into()) } else { Self::new(&text) }
    }
}

/// Text from a received block.
pub(super) enum ReceivedText<'a> {
    /// A part of the block, all of which is text.
    Part { block: &'a ByteString, part: &'a str },
    /// Put together, or made readable.
    Made(String),
}

/// A name or value on its way into a map: checked text, or the finished type.
#[doc(hidden)]
#[derive(Debug)]
#[allow(unnameable_types, reason = "only this crate implements the traits that take one")]
pub enum Given<'a, T> {
    /// Checked text.
    Text(&'a str),
    /// The finished type.
    Ready(T),
}

/// What a name and a value have in common: a tuple of one [`Text`] that was made by a rule.
///
/// `text_type!(Type, Error, rule)`: `rule` decides whether bytes may be such a text; `Error` is returned if not.
macro_rules! text_type {
    ($type:ident, $error:ident, $rule:path) => {
        impl $type {
            /// A place for one.
            #[inline]
            pub(super) const fn blank() -> Self {
                Self(Text::blank())
            }

            #[inline]
            pub(super) fn fill(&mut self, given: Given<'_, Self>) {
                match given {
                    Given::Text(text) => self.0.set(text),
                    Given::Ready(ready) => *self = ready,
                }
            }

            /// Accepts what was received unchanged.
            #[inline]
            pub(super) fn set_received(&mut self, text: ReceivedText<'_>) {
                self.0.set_received(text);
            }

            #[inline]
            pub(super) fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl Eq for $type {}

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($type)).field(&self.as_str()).finish()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self.as_str(), f)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<[u8]> for $type {
            fn as_ref(&self) -> &[u8] {
                self.as_bytes()
            }
        }

        impl FromStr for $type {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if $rule(text.as_bytes()) { Ok(Self(Text::new(text))) } else { Err($error) }
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

pub(super) use text_type;
