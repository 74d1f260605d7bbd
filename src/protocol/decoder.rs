//! Bytes → one operation and its length, or "not yet", or an error. In both directions.

use super::error::{ProtocolError, Snippet};
use super::limits::{LARGEST, Limits};
use super::op::{MsgOp, ServerOp};
use super::scan::{Ends, Word, trim_blanks, word};
use args::{hmsg, msg};
use core::ops::Range;
use plain::plain_msg;
use repeated::Head;

mod args;
mod client_ops;
mod plain;
mod repeated;

#[cfg(test)]
mod tests;

/// What [`Decoder`] found at the start of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded<T> {
    /// A whole operation.
    Op {
        /// The operation.
        op: T,
        /// How many bytes it took: drop this many from the front before the next call.
        len: usize,
    },
    /// The bytes are the start of an operation. At least this many more bytes (never 0) are missing.
    NeedMore(usize),
}

/// A message that exceeds the limits, as announced by its control line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Oversized<'a> {
    /// Its subject.
    pub subject: &'a [u8],
    /// The subscription that it is for.
    pub sid: u64,
    /// Header block and payload together, in bytes.
    pub size: usize,
    /// Its length in the stream, from the first byte of its control line to the CR LF after its payload.
    pub len: usize,
}

/// Reads operations off the front of a buffer.
///
/// The contract: call it with everything that was received and not yet consumed. After [`Decoded::Op`], drop `len` bytes from
/// the front and call it again; after [`Decoded::NeedMore`], call it again with *the same bytes and more*. After an error the
/// stream can't be read any further: drop the connection, and use a new decoder for the next one. Only a message that is too
/// large can be skipped: see [`oversized`](Decoder::oversized). One decoder reads one direction of one connection.
///
/// It never allocates, and the slices of an operation point into the buffer. Between calls it remembers how far it has read: a
/// control line that arrives byte by byte is searched once, and the control line of a large body is not parsed again for each
/// piece of the body.
///
/// The result does not depend on how the bytes were split.
///
/// ```
/// use nats_lifeline::protocol::{Decoded, Decoder, MsgOp, ServerOp};
///
/// let mut decoder = Decoder::default();
/// let mut buffer = b"MSG foo 1 5\r\nhel".to_vec();
/// // "lo" and CR LF are missing.
/// assert_eq!(decoder.decode_server(&buffer), Ok(Decoded::NeedMore(4)));
///
/// buffer.extend_from_slice(b"lo\r\nPING\r\n");
/// let Ok(Decoded::Op { op: ServerOp::Msg(message), len }) = decoder.decode_server(&buffer) else {
///     panic!("a message")
/// };
/// assert_eq!((message.subject, message.payload), (&b"foo"[..], &b"hello"[..]));
///
/// buffer.drain(..len);
/// let ping = Decoded::Op { op: ServerOp::Ping, len: 6 };
/// assert_eq!(decoder.decode_server(&buffer), Ok(ping));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    limits: Limits,
    /// No LF in `buf[..scanned]`. 0 at the start of an operation.
    scanned: usize,
    /// The control line of the body that is being received.
    body: Option<Body>,
    /// The beginning of an earlier MSG.
    head: Head,
}

/// A control line that was parsed and whose body has not arrived completely.
///
/// Ranges are positions in the caller's buffer, which begins with this operation until it is consumed: `subject.end <=
/// reply.start`, and all of them are `< start`.
#[derive(Debug, Clone)]
struct Body {
    subject: Range<usize>,
    reply: Option<Range<usize>>,
    sid: u64,
    /// Length of the header block: `headers <= total`.
    headers: Option<usize>,
    total: usize,
    /// Where the header block or the payload begins.
    start: usize,
}

/// A body with its slices, which MSG, HMSG, PUB and HPUB have in common.
struct Frame<'a> {
    subject: &'a [u8],
    reply: Option<&'a [u8]>,
    sid: u64,
    headers: Option<&'a [u8]>,
    payload: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ServerWord {
    Info,
    Msg,
    Hmsg,
    Ping,
    Pong,
    Ok,
    Err,
}

const SERVER_WORDS: &[(&[u8], Ends, ServerWord)] = &[
    (b"MSG", Ends::AtBlank, ServerWord::Msg),
    (b"HMSG", Ends::AtBlank, ServerWord::Hmsg),
    (b"PING", Ends::Anywhere, ServerWord::Ping),
    (b"PONG", Ends::Anywhere, ServerWord::Pong),
    (b"INFO", Ends::AtBlank, ServerWord::Info),
    (b"+OK", Ends::Anywhere, ServerWord::Ok),
    (b"-ERR", Ends::AtBlank, ServerWord::Err),
];

type Step<T> = Result<Decoded<T>, ProtocolError>;

impl Decoder {
    /// A decoder for one direction of one new connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Reads one operation of a server. The type's doc has the contract.
    ///
    /// # Errors
    ///
    /// If the bytes are not, and can't become, an operation, or exceed a limit.
    #[inline(always)]
    pub fn decode_server<'a>(&mut self, buf: &'a [u8]) -> Step<ServerOp<'a>> {
        if self.body.is_some() {
            return self.finish_msg(buf);
        }
        // Not for a line that was examined before, which would be read from its start each time.
        if self.scanned == 0 {
            let alike = self.head.msg(buf, &self.limits);
            if let Some((message, len)) = alike.or_else(|| self.plain(buf)) {
                let op = ServerOp::Msg(message);
                return Ok(Decoded::Op { op, len });
            }
        }
        self.decode_server_slowly(buf)
    }

    #[inline(always)]
    fn plain<'a>(&mut self, buf: &'a [u8]) -> Option<(MsgOp<'a>, usize)> {
        let (message, len) = plain_msg(buf, &self.limits)?;
        self.head.missed(buf, &message);
        Some((message, len))
    }

    /// The message at the start of `buf`, if it is complete and begins like earlier ones: with the same subject and sid, and
    /// without reply subject and headers. `None`: use [`decode_server`](Self::decode_server), whose contract this shares and whose
    /// result it would be. For runs of such messages it is faster.
    ///
    /// ```
    /// use nats_lifeline::protocol::Decoder;
    ///
    /// let mut decoder = Decoder::default();
    /// decoder.decode_server(b"MSG foo 1 5\r\nhello\r\n").unwrap();
    /// let (message, len) = decoder.decode_alike(b"MSG foo 1 3\r\nyou\r\nMSG foo").unwrap();
    /// assert_eq!((message.payload, len), (&b"you"[..], 18));
    /// assert_eq!(decoder.decode_alike(b"MSG foo"), None);
    /// ```
    #[inline(always)]
    pub fn decode_alike<'a>(&self, buf: &'a [u8]) -> Option<(MsgOp<'a>, usize)> {
        if self.body.is_some() || self.scanned != 0 { None } else { self.head.msg(buf, &self.limits) }
    }

    /// Everything except a complete, canonical MSG.
    #[cold]
    fn decode_server_slowly<'a>(&mut self, buf: &'a [u8]) -> Step<ServerOp<'a>> {
        let (op, word_len) = match word(SERVER_WORDS, buf) {
            Word::Known(op, len) => (op, len),
            Word::Partial => return Ok(Decoded::NeedMore(1)),
            Word::Unknown => return Err(unknown(buf)),
        };
        let bare = match op {
            ServerWord::Ping => Some(ServerOp::Ping),
            ServerWord::Pong => Some(ServerOp::Pong),
            ServerWord::Ok => Some(ServerOp::Ok),
            _ => None,
        };
        if let Some(op) = bare {
            return Ok(match self.end_of_bare(buf, word_len)? {
                Some(len) => Decoded::Op { op, len },
                None => Decoded::NeedMore(1),
            });
        }
        let Some((line, len)) = self.line(buf, word_len)? else {
            return Ok(Decoded::NeedMore(1));
        };
        let op = match op {
            ServerWord::Info => ServerOp::Info(json("INFO", line)?),
            ServerWord::Err => ServerOp::Err(unquote(trim_blanks(line))),
            _ => {
                let parse = if op == ServerWord::Hmsg { hmsg } else { msg };
                self.body = Some(parse(buf, line, len, &self.limits)?);
                return self.finish_msg(buf);
            }
        };
        Ok(Decoded::Op { op, len })
    }

    /// After [`TooLarge`](ProtocolError::TooLarge), with the same bytes: the message that exceeds the limits. Drop its `len`
    /// bytes as they arrive, and continue with this decoder after them. `None`: it is not a message of a server, or is larger
    /// than any that servers send, and the stream can't be read any further.
    ///
    /// ```
    /// use nats_lifeline::protocol::{Decoder, Limits};
    ///
    /// let mut decoder = Decoder::new(Limits { total: 3, ..Limits::default() });
    /// let bytes = b"MSG foo 1 5\r\nhello\r\nPING\r\n";
    /// assert!(decoder.decode_server(bytes).is_err());
    /// let skipped = decoder.oversized(bytes).unwrap();
    /// assert_eq!((skipped.sid, skipped.size), (1, 5));
    /// assert!(decoder.decode_server(&bytes[skipped.len..]).is_ok());
    /// ```
    pub fn oversized<'a>(&mut self, buf: &'a [u8]) -> Option<Oversized<'a>> {
        let limits = Limits { line: self.limits.line, headers: LARGEST, total: LARGEST };
        let (word, word_len) = match word(SERVER_WORDS, buf) {
            Word::Known(ServerWord::Msg, len) => (ServerWord::Msg, len),
            Word::Known(ServerWord::Hmsg, len) => (ServerWord::Hmsg, len),
            _ => return None,
        };
        self.scanned = 0;
        let (line, start) = self.line(buf, word_len).ok()??;
        let parse = if word == ServerWord::Hmsg { hmsg } else { msg };
        let body = parse(buf, line, start, &limits).ok()?;
        self.scanned = 0;
        Some(Oversized {
            subject: buf.get(body.subject)?,
            sid: body.sid,
            size: body.total,
            len: body.start + body.total + 2,
        })
    }

    fn finish_msg<'a>(&mut self, buf: &'a [u8]) -> Step<ServerOp<'a>> {
        Ok(match self.finish(buf)? {
            Decoded::NeedMore(bytes) => Decoded::NeedMore(bytes),
            Decoded::Op { op: frame, len } => Decoded::Op {
                op: ServerOp::Msg(MsgOp {
                    subject: frame.subject,
                    sid: frame.sid,
                    reply: frame.reply,
                    headers: frame.headers,
                    payload: frame.payload,
                }),
                len,
            },
        })
    }

    /// The rest of the control line after its word, without the line end, and the length of the whole line including it; `None`
    /// if the LF has not arrived.
    fn line<'a>(&mut self, buf: &'a [u8], word_len: usize) -> Result<Option<(&'a [u8], usize)>, ProtocolError> {
        let limit = self.limits.line;
        let from = self.scanned.max(word_len);
        // The limit is for the line without its LF, so the LF is at position `limit` at the latest.
        let window = buf.get(..buf.len().min(limit.saturating_add(1)));
        let fresh = window.and_then(|window| window.get(from..)).unwrap_or(&[]);
        let Some(found) = memchr::memchr(b'\n', fresh) else {
            if buf.len() > limit {
                return Err(ProtocolError::LineTooLong { limit });
            }
            self.scanned = buf.len();
            return Ok(None);
        };
        self.scanned = 0;
        let lf = from + found;
        let line = buf.get(word_len..lf).unwrap_or(&[]);
        Ok(Some((line.strip_suffix(b"\r").unwrap_or(line), lf + 1)))
    }

    /// The length of an operation without arguments: blanks and a line end, nothing else. `None` if the LF has not arrived. The
    /// first wrong byte is an error immediately, so that garbage is not collected up to the limit.
    fn end_of_bare(&mut self, buf: &[u8], word_len: usize) -> Result<Option<usize>, ProtocolError> {
        let limit = self.limits.line;
        if word_len > limit {
            return Err(ProtocolError::LineTooLong { limit });
        }
        let from = self.scanned.max(word_len);
        for (at, byte) in buf.iter().enumerate().skip(from) {
            match byte {
                b'\n' => {
                    self.scanned = 0;
                    return Ok(Some(at + 1));
                }
                _ if at >= limit => return Err(ProtocolError::LineTooLong { limit }),
                b' ' | b'\t' => {}
                b'\r' => match buf.get(at + 1) {
                    Some(b'\n') => {}
                    None => {
                        // The CR is examined again when there is more.
                        self.scanned = at;
                        return Ok(None);
                    }
                    Some(_) => return Err(ProtocolError::TrailingJunk),
                },
                _ => return Err(ProtocolError::TrailingJunk),
            }
        }
        self.scanned = buf.len();
        Ok(None)
    }

    /// Cuts the body that `self.body` announces out of `buf`, if all of it is there.
    ///
    /// "A payload must be followed by exactly CR LF" (nats-server `parser.go`, `MSG_END_R` and
    /// `MSG_END_N`); a wrong byte there is reported as soon as it is seen.
    fn finish<'a>(&mut self, buf: &'a [u8]) -> Step<Frame<'a>> {
        let Some(body) = &self.body else {
            return Ok(Decoded::NeedMore(1));
        };
        let end = body.start.saturating_add(body.total);
        match (buf.get(end), buf.get(end.saturating_add(1))) {
            (Some(b'\r'), Some(b'\n')) => {}
            (None, _) => return Ok(Decoded::NeedMore(end.saturating_add(2) - buf.len())),
            (Some(b'\r'), None) => return Ok(Decoded::NeedMore(1)),
            _ => return Err(ProtocolError::BadPayloadEnd),
        }
        let split = body.start + body.headers.unwrap_or(0);
        let frame = Frame {
            subject: buf.get(body.subject.clone()).unwrap_or(&[]),
            reply: body.reply.clone().and_then(|reply| buf.get(reply)),
            sid: body.sid,
            headers: body.headers.and_then(|_| buf.get(body.start..split)),
            payload: buf.get(split..end).unwrap_or(&[]),
        };
        self.body = None;
        Ok(Decoded::Op { op: frame, len: end + 2 })
    }
}

fn unknown(buf: &[u8]) -> ProtocolError {
    ProtocolError::UnknownOp { start: Snippet::new(buf) }
}

/// The JSON document of INFO and CONNECT, which must not be empty.
fn json<'a>(op: &'static str, line: &'a [u8]) -> Result<&'a [u8], ProtocolError> {
    match trim_blanks(line) {
        [] => Err(ProtocolError::BadArgs { op, found: 0 }),
        json => Ok(json),
    }
}

/// `'text'` → `text`. Servers quote every text (nats-server `client.go`, `errProto`); one without quotes is kept as it is.
fn unquote(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"'").and_then(|rest| rest.strip_suffix(b"'")).unwrap_or(text)
}
