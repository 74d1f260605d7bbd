//! Bytes that a server does not accept, and what it does about them.

use super::{Read, Settings};
use crate::protocol::{ClientOp, Decoder, Limits, ProtocolError, PubOp};

/// The longest operation word and its blank (`CONNECT `) and a CR: what a line may have beyond
/// `max_control_line`, which counts arguments only.
const AROUND_ARGS: usize = 9;

/// How long a line that begins with `+` may be, in bytes. Arbitrary.
const LARGEST_IGNORED: usize = 4 << 10;

/// How a server ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With `-ERR` and this text.
    Says(&'static str),
    /// Without a word.
    Silent,
}

impl Ending {
    /// The client has not logged in, or may not.
    pub const UNAUTHORIZED: Ending = Ending::Says("Authorization Violation");
    /// `max_control_line` is exceeded.
    pub(super) const LINE_TOO_LONG: Ending = Ending::Says("maximum control line exceeded");
}

pub(super) fn decoder(settings: &Settings) -> Decoder {
    let Settings { max_control_line, max_payload, .. } = *settings;
    Decoder::new(Limits {
        line: max_control_line.saturating_add(AROUND_ARGS),
        headers: max_payload,
        total: max_payload,
    })
}

/// The length of what counts against `max_control_line`: neither the word nor the line end.
pub(super) fn args_len(op: &ClientOp<'_>, buf: &[u8], len: usize) -> usize {
    let (word, body) = match op {
        ClientOp::Connect(_) => (8, 0),
        ClientOp::Sub { .. } => (4, 0),
        ClientOp::Unsub { .. } => (6, 0),
        ClientOp::Pub(PubOp { headers, payload, .. }) => match headers {
            Some(block) => (5, block.len() + payload.len() + 2),
            None => (4, payload.len() + 2),
        },
        // What follows PING and PONG is ignored.
        ClientOp::Ping | ClientOp::Pong => return 0,
    };
    let line = buf.get(..len - body).unwrap_or_default();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.len().saturating_sub(word)
}

/// What nats-server does about bytes that it can't read.
pub(super) fn verdict(error: &ProtocolError) -> Ending {
    match error {
        ProtocolError::UnknownOp { start } if start.as_bytes().starts_with(b"-") => Ending::Silent,
        ProtocolError::UnknownOp { .. } | ProtocolError::BadPayloadEnd => Ending::Says("Unknown Protocol Operation"),
        ProtocolError::LineTooLong { .. } => Ending::LINE_TOO_LONG,
        // A size is 9 digits at most (`util.go`, `parseSize`).
        ProtocolError::TooLarge { size, .. } if *size < 1_000_000_000 => Ending::Says("Maximum Payload Violation"),
        _ => Ending::Silent,
    }
}

/// A line that begins with `+`, whatever it says (`parser.go`, `OP_PLUS_OK`).
pub(super) fn ignored_line(bytes: &[u8]) -> Result<Read<'_>, Ending> {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => Ok(Read::Ignored(end + 1)),
        None if bytes.len() > LARGEST_IGNORED => Err(Ending::Silent),
        None => Ok(Read::NeedMore(1)),
    }
}
