//! The `NATS/1.0` block: from bytes to entries, and back.
//!
//! `NATS/1.0[ SP code[ SP text]] CRLF (name ":" value CRLF)* CRLF` (ADR-4). Servers never look into the block, so anything may
//! arrive; reading is lenient, never fails as a whole, and reports what was wrong. Writing is strict.

use super::header_name::HeaderName;
use super::header_text::ReceivedText;
use super::header_value::HeaderValue;
use super::scan::{is_blank, trim_blanks};
use super::status::StatusCode;
use bytes::Bytes;
use bytestring::ByteString;

/// The version, the first bytes of every block.
const VERSION: &[u8] = b"NATS/1.0";

/// What is wrong with a received header block. The message is delivered anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It doesn't begin with `NATS/1.0`. No entry was read.
    #[error("header block does not begin with NATS/1.0")]
    NoVersion,
    /// Something other than a status code follows the version. The entries were read.
    #[error("header block has a bad status code")]
    BadStatus,
    /// A line without a colon. It was skipped.
    #[error("header line at byte {at} has no colon")]
    NoColon {
        /// Where the line begins, counted in bytes from the start of the block.
        at: usize,
    },
    /// Something follows the empty line that ends the block. It was skipped.
    #[error("header block goes on after its end at byte {at}")]
    TrailingBytes {
        /// Where that begins, counted in bytes from the start of the block.
        at: usize,
    },
}

impl HeaderError {
    /// A short name for logs, metrics and fixtures, the same in every version.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoVersion => "no_version",
            Self::BadStatus => "bad_status",
            Self::NoColon { .. } => "no_colon",
            Self::TrailingBytes { .. } => "trailing_bytes",
        }
    }
}

/// Reads the first line of a header block: the status code and its description, if there are any. An empty block has neither.
/// Nothing is allocated.
///
/// Never compare whole blocks: "no responders" is `NATS/1.0 503` and an empty line up to 2.10, and has a `Nats-Subject` header
/// from then on.
///
/// # Errors
///
/// [`HeaderError::NoVersion`] or [`HeaderError::BadStatus`].
///
/// ```
/// use nats_lifeline::protocol::{StatusCode, parse_status};
///
/// let (status, description) = parse_status(b"NATS/1.0 408 Request Timeout\r\n\r\n")?;
/// assert_eq!(status, Some(StatusCode::TIMEOUT));
/// assert_eq!(description, Some(&b"Request Timeout"[..]));
/// assert_eq!(parse_status(b"NATS/1.0\r\nA: b\r\n\r\n")?, (None, None));
/// # Ok::<(), nats_lifeline::protocol::HeaderError>(())
/// ```
pub fn parse_status(block: &[u8]) -> Result<(Option<StatusCode>, Option<&[u8]>), HeaderError> {
    if block.is_empty() {
        return Ok((None, None));
    }
    let (line, _) = first_line(block);
    let rest = line.strip_prefix(VERSION).ok_or(HeaderError::NoVersion)?;
    if rest.first().is_some_and(|byte| !is_blank(*byte)) {
        return Err(HeaderError::NoVersion);
    }
    let rest = trim_blanks(rest);
    if rest.is_empty() {
        return Ok((None, None));
    }
    let end = rest.iter().position(|byte| is_blank(*byte)).unwrap_or(rest.len());
    let (code, description) = rest.split_at_checked(end).unwrap_or((rest, &[]));
    let code = StatusCode::from_bytes(code).map_err(|_| HeaderError::BadStatus)?;
    let description = trim_blanks(description);
    Ok((Some(code), (!description.is_empty()).then_some(description)))
}

/// The first line without its end (LF, or CR LF), and the rest.
fn first_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match memchr::memchr(b'\n', bytes) {
        None => (bytes, &[][..]),
        Some(lf) => {
            let (line, rest) = bytes.split_at_checked(lf).unwrap_or((bytes, &[]));
            (line, rest.get(1..).unwrap_or(&[]))
        }
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

/// The entries of a block in order, and the first thing that was wrong with it.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) entries: Vec<(HeaderName, HeaderValue)>,
    pub(super) fault: Option<HeaderError>,
    /// Whether there is a status line. It is not one of the entries, so the block can't be sent on unchanged.
    pub(super) status: bool,
}

/// Reads a block. Names and values share its memory, unless they are not UTF-8 or folded.
///
/// Accepted on receipt although not legal to send: names with blanks, LF as a line end, CR in a value, no empty line at the
/// end. A line without a name is skipped. A line that begins with a blank continues the previous value.
pub(super) fn read(block: &Bytes) -> Block {
    let mut read = Block { entries: Vec::new(), fault: None, status: false };
    match parse_status(block) {
        Ok((status, _)) => read.status = status.is_some(),
        Err(fault) => {
            read.fault = Some(fault);
            if fault == HeaderError::NoVersion {
                return read;
            }
        }
    }
    let pieces = Pieces::new(block);
    // The last value, while continuation lines are added to it. Copying it for each line would take minutes for a block that
    // has nothing else.
    let mut folded = None;
    let (_, mut rest) = first_line(block);
    while !rest.is_empty() {
        let at = block.len() - rest.len();
        let (line, behind) = first_line(rest);
        rest = behind;
        if line.is_empty() {
            if !rest.is_empty() {
                let at = block.len() - rest.len();
                read.fault.get_or_insert(HeaderError::TrailingBytes { at });
            }
            break;
        }
        if line.first().is_some_and(|byte| is_blank(*byte)) {
            if let Some((_, value)) = read.entries.last() {
                let folded = folded.get_or_insert_with(|| value.as_str().to_owned());
                folded.push(' ');
                folded.push_str(&String::from_utf8_lossy(trim_blanks(line)));
                continue;
            }
        }
        read.unfold(&mut folded);
        let Some(colon) = memchr::memchr(b':', line) else {
            read.fault.get_or_insert(HeaderError::NoColon { at });
            continue;
        };
        let (name, value) = line.split_at_checked(colon).unwrap_or((line, &[]));
        let name = trim_blanks(name);
        let value = trim_blanks(value.get(1..).unwrap_or(&[]));
        if !name.is_empty() {
            read.entries.push((HeaderName::blank(), HeaderValue::blank()));
            if let Some(entry) = read.entries.last_mut() {
                entry.0.set_received(pieces.text(name));
                entry.1.set_received(pieces.text(value));
            }
        }
    }
    read.unfold(&mut folded);
    read
}

impl Block {
    /// Ends a folded value.
    fn unfold(&mut self, folded: &mut Option<String>) {
        if let (Some(text), Some((_, value))) = (folded.take(), self.entries.last_mut()) {
            value.set_received(ReceivedText::Made(text));
        }
    }
}

/// Cuts text out of a block: shared if it is UTF-8, lossy copies if not.
struct Pieces<'a> {
    block: &'a Bytes,
    /// The whole block as text, checked once for all pieces.
    text: Option<ByteString>,
}

impl<'a> Pieces<'a> {
    fn new(block: &'a Bytes) -> Self {
        let text = ByteString::try_from(block.clone()).ok();
        Self { block, text }
    }

    fn text(&self, piece: &[u8]) -> ReceivedText<'_> {
        let start = (piece.as_ptr() as usize).wrapping_sub(self.block.as_ptr() as usize);
        let place = start..start.wrapping_add(piece.len());
        let text = self.text.as_ref();
        match text.and_then(|block| Some((block, block.get(place)?))) {
            Some((block, part)) => ReceivedText::Part { block, part },
            None => ReceivedText::Made(String::from_utf8_lossy(piece).into_owned()),
        }
    }
}

/// Length of what [`write`] appends.
pub(super) fn written_len(entries: &[(HeaderName, HeaderValue)]) -> usize {
    let lines: usize = entries.iter().map(|(name, value)| name.as_bytes().len() + value.as_bytes().len() + 4).sum();
    VERSION.len() + 2 + lines + 2
}

/// Appends the block of these entries, without a status.
pub(super) fn write(out: &mut Vec<u8>, entries: &[(HeaderName, HeaderValue)]) {
    out.extend_from_slice(b"NATS/1.0\r\n");
    for (name, value) in entries {
        // A blank at the start would make the line a continuation of the previous one.
        write_text(out, name.as_bytes(), b'_');
        out.extend_from_slice(b": ");
        write_text(out, value.as_bytes(), b' ');
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Names and values made by a program contain no line end; a received one may contain CR, which must not become a line end for
/// another reader.
fn write_text(out: &mut Vec<u8>, text: &[u8], instead: u8) {
    let start = out.len();
    out.extend_from_slice(text);
    if memchr::memchr2(b'\r', b'\n', text).is_some() {
        for byte in out.iter_mut().skip(start) {
            if matches!(byte, b'\r' | b'\n') {
                *byte = instead;
            }
        }
    }
}
