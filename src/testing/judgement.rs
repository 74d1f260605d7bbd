//! What nats-server takes from a client, and what it does about the rest.

use crate::protocol::{ClientOp, Decoder, Limits, ProtocolError, PubOp};

/// The read buffer of a client that says little, in bytes.
pub(super) const SMALL_BUFFER: usize = 4 << 10;

/// The read buffer of a client that says much, in bytes: it doubles up to here. One operation that
/// is larger makes it larger, for as long as it takes.
const LARGE_BUFFER: usize = 256 << 10;

/// The longest operation word and its blank (`CONNECT `) and a CR: what a line may have beyond
/// `max_control_line`, which counts arguments only.
const AROUND_ARGS: usize = 9;

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With `-ERR`.
    Says(&'static str),
    /// Without a word.
    Silent,
}

pub(super) fn decoder(max_control_line: usize, max_payload: usize) -> Decoder {
    Decoder::new(Limits { line: max_control_line + AROUND_ARGS, headers: max_payload, total: max_payload })
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
        // "PING, PONG: ignored up to the LF, not limited."
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
        ProtocolError::LineTooLong { .. } => Ending::Says("maximum control line exceeded"),
        // A size is 9 digits at most (`util.go`, `parseSize`).
        ProtocolError::TooLarge { size, .. } if *size < 1_000_000_000 => Ending::Says("Maximum Payload Violation"),
        _ => Ending::Silent,
    }
}

/// Makes the buffer fit what comes next.
pub(super) fn fit(buf: &mut Vec<u8>, filled: usize, missing: usize, was_full: bool) {
    let needed = filled + missing;
    if needed > buf.len() {
        buf.resize(needed.next_power_of_two().max(SMALL_BUFFER), 0);
    } else if was_full && buf.len() < LARGE_BUFFER {
        buf.resize(buf.len() * 2, 0);
    } else if buf.len() > LARGE_BUFFER && needed <= LARGE_BUFFER {
        buf.truncate(LARGE_BUFFER);
        buf.shrink_to_fit();
    }
}
