//! The text inside header names and values: three places it can live in.

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

impl Text {
    #[inline]
    pub(super) fn new(text: &str) -> Self {
        Self::inline(text).unwrap_or_else(|| Self::Shared(text.into()))
    }

    #[inline]
    fn inline(text: &str) -> Option<Self> {
        let mut bytes = [0; INLINE];
        bytes
            .get_mut(..text.len())?
            .copy_from_slice(text.as_bytes());
        let len = u8::try_from(text.len()).ok()?;
        Some(Self::Inline { len, bytes })
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

/// Text from a received block.
pub(super) enum ReceivedText<'a> {
    /// A part of the block, which is text as a whole.
    Part {
        block: &'a ByteString,
        part: &'a str,
    },
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
