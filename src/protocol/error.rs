//! Why bytes from a peer were refused.

use core::fmt;

/// The bytes are not the NATS protocol. The stream can't be read any further: only a new connection, with a new
/// [`Decoder`](super::Decoder), can help.
///
/// "Not yet" is not an error; see [`Decoded::NeedMore`](super::Decoded::NeedMore).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// No operation begins like this. Reported at the first byte that rules out every operation, not at the end of the line.
    #[error("unknown protocol operation {start}")]
    UnknownOp {
        /// The first bytes, as many as had arrived; the only part of an error that depends on how the bytes were split.
        start: Snippet,
    },
    /// A control line is longer than [`Limits::line`](super::Limits::line).
    #[error("control line longer than {limit} bytes")]
    LineTooLong {
        /// The limit, in bytes without the LF.
        limit: usize,
    },
    /// The wrong number of arguments, or a bare CR among them.
    #[error("{op} with {found} arguments, or a carriage return among them")]
    BadArgs {
        /// The operation.
        op: &'static str,
        /// How many arguments there were.
        found: usize,
    },
    /// Something other than digits where a number is required.
    #[error("{op} with {token} where a number was expected")]
    BadNumber {
        /// The operation.
        op: &'static str,
        /// What was there.
        token: Snippet,
    },
    /// A number over 2⁶⁴ − 1.
    #[error("number over 64 bits")]
    NumberOverflow,
    /// The announced body is larger than [`Limits::total`](super::Limits::total), or its header block is larger than
    /// [`Limits::headers`](super::Limits::headers). Reported at the control line.
    #[error("announced size {size} over the limit of {limit} bytes")]
    TooLarge {
        /// The announced size, in bytes.
        size: u64,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The announced header block is larger than the whole body.
    #[error("header block of {headers} bytes in a body of {total}")]
    HeadersTooLong {
        /// The announced size of the header block, in bytes.
        headers: usize,
        /// The announced size of the body, in bytes.
        total: usize,
    },
    /// No CR LF after the payload: the peer and the client disagree about where it ends.
    #[error("no CR LF after the payload")]
    BadPayloadEnd,
    /// Something after `PING`, `PONG` or `+OK`.
    #[error("trailing bytes after an operation without arguments")]
    TrailingJunk,
}

impl ProtocolError {
    /// A short name for logs, metrics and fixtures, the same in every version.
    ///
    /// ```
    /// use nats_lifeline::protocol::{Decoder, ProtocolError};
    ///
    /// let error = Decoder::default().decode_server(b"HTTP/1.1 400").unwrap_err();
    /// assert_eq!(error.name(), "unknown_op");
    /// ```
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::UnknownOp { .. } => "unknown_op",
            Self::LineTooLong { .. } => "line_too_long",
            Self::BadArgs { .. } => "bad_args",
            Self::BadNumber { .. } => "bad_number",
            Self::NumberOverflow => "number_overflow",
            Self::TooLarge { .. } => "too_large",
            Self::HeadersTooLong { .. } => "headers_too_long",
            Self::BadPayloadEnd => "bad_payload_end",
            Self::TrailingJunk => "trailing_junk",
        }
    }
}

/// The first few bytes of something that was refused, kept inline so that an error can show them and still be `Copy`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Snippet {
    // Unused bytes are 0, so that the derived equality is that of the text.
    bytes: [u8; Self::MAX],
    len: u8,
}

impl Snippet {
    /// How many bytes are kept. Arbitrary: enough for an operation word and a number.
    pub const MAX: usize = 22;

    /// Keeps the first bytes of `bytes`.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut kept = [0; Self::MAX];
        let mut len = 0;
        for (to, from) in kept.iter_mut().zip(bytes) {
            *to = *from;
            len += 1;
        }
        Self { bytes: kept, len }
    }

    /// The bytes that were kept.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl fmt::Debug for Snippet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

impl fmt::Display for Snippet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
