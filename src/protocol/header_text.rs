//! The text inside header names and values: three places it can live in, and what both types do with it.

use bytestring::ByteString;

/// Text of a name or a value, in one of three places.
#[derive(Clone)]
pub(super) enum Text {
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

    /// Copies `text` to where this text lives.
    ///
    /// Short text is written in its place and not moved there: a move reads, in wide loads, what
    /// a copy has just written in narrow stores, and waits for it. That was most of the time that
    /// making or reading a header took.
    #[inline]
    pub(super) fn set(&mut self, text: &str) {
        if !self.set_inline(text) {
            *self = Self::Shared(text.into());
        }
    }

    /// The same for text from a received block; text that is not short shares its memory.
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
            // It was text when it was copied. Without `unsafe` the check is made again; it is one
            // or two vector operations for so few bytes.
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
    /// A part of the block, which is text as a whole.
    Part { block: &'a ByteString, part: &'a str },
    /// Put together or made readable.
    Made(String),
}

/// A name or value on its way into a map: text that was checked, or the thing itself.
#[doc(hidden)]
#[derive(Debug)]
#[allow(unnameable_types, reason = "only this crate implements the traits that take one")]
pub enum Given<'a, T> {
    /// Text that was checked.
    Text(&'a str),
    /// The thing itself.
    Ready(T),
}

/// What a name and a value have in common: a tuple of one [`Text`] that was made by a rule.
///
/// `text_type!(Type, Error, rule)`: `rule` says of bytes whether they may be such a text, and `Error` that they may not.
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

            /// Takes what was received as it is.
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
