//! One turn of the model: what happens at one moment, and what is published because of it.

use super::faults::Faults;
use super::time::Time;
use crate::protocol::PubOp;
use bytes::Bytes;
use std::fmt::Write;

/// A message that the server publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Out {
    /// Whose subscribers get it. For a delivered message this is the inbox of the pull, or the consumer's deliver subject.
    pub to: String,
    /// The subject that it arrives with. For a delivered message this is the one that it was stored under.
    pub subject: String,
    /// The reply subject.
    pub reply: Option<String>,
    /// The raw header block; empty without headers.
    pub headers: Bytes,
    /// The payload.
    pub payload: Bytes,
}

impl Out {
    /// As a message for a subscriber of [`to`](Self::to).
    #[must_use]
    pub fn as_op(&self) -> PubOp<'_> {
        PubOp {
            subject: self.subject.as_bytes(),
            reply: self.reply.as_deref().map(str::as_bytes),
            headers: Some(self.headers.as_ref()).filter(|block| !block.is_empty()),
            payload: &self.payload,
        }
    }
}

/// A moment, and what is published in it.
pub(super) struct Turn<'a> {
    pub(super) now: Time,
    /// Whether somebody subscribes to a subject.
    pub(super) interest: &'a dyn Fn(&str) -> bool,
    pub(super) out: &'a mut Vec<Out>,
    pub(super) faults: &'a mut Faults,
}

impl Turn<'_> {
    pub(super) fn wanted(&self, subject: &str) -> bool {
        (self.interest)(subject)
    }

    /// Publishes an answer.
    pub(super) fn answer(&mut self, to: &str, payload: impl Into<Bytes>) {
        self.say(to, Bytes::new(), payload);
    }

    /// Publishes a status.
    pub(super) fn status(&mut self, to: &str, headers: Bytes) {
        self.say(to, headers, Bytes::new());
    }

    pub(super) fn say(&mut self, to: &str, headers: Bytes, payload: impl Into<Bytes>) {
        let to = to.to_owned();
        self.out.push(Out { subject: to.clone(), to, reply: None, headers, payload: payload.into() });
    }
}

/// The header block of a status, with these fields.
pub(super) fn status(code: u16, text: &str, fields: &[(&str, &str)]) -> Bytes {
    let mut block = format!("NATS/1.0 {code}");
    if !text.is_empty() {
        block.push(' ');
        block.push_str(text);
    }
    block.push_str("\r\n");
    push_fields(&mut block, fields);
    block.into()
}

/// A header block with the fields of another one, which may be empty, and these.
pub(super) fn with_fields(block: &[u8], fields: &[(&str, &str)]) -> Bytes {
    let own = block.strip_suffix(b"\r\n\r\n").unwrap_or(b"NATS/1.0");
    let mut added = String::from("\r\n");
    push_fields(&mut added, fields);
    [own, added.as_bytes()].concat().into()
}

fn push_fields(block: &mut String, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        // Writing to a string doesn't fail.
        let _ = write!(block, "{name}: {value}\r\n");
    }
    block.push_str("\r\n");
}

/// The value of the first field of this name in a raw header block, whatever its case.
pub(super) fn field<'a>(block: &'a [u8], name: &str) -> Option<&'a str> {
    if block.is_empty() {
        return None;
    }
    let text = std::str::from_utf8(block).ok()?;
    let mut lines = text.split("\r\n").skip(1);
    lines.find_map(|line| {
        let (found, value) = line.split_once(':')?;
        // Servers compare them exactly.
        (found == name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_written_and_read() {
        let block = status(408, "Request Timeout", &[("Nats-Pending-Messages", "3")]);
        assert_eq!(block, "NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 3\r\n\r\n");
        assert_eq!(status(503, "", &[]), "NATS/1.0 503\r\n\r\n");
        let more = with_fields(b"NATS/1.0\r\nA: 1\r\n\r\n", &[("B", "2")]);
        assert_eq!(more, "NATS/1.0\r\nA: 1\r\nB: 2\r\n\r\n");
        assert_eq!(with_fields(b"", &[("B", "2")]), "NATS/1.0\r\nB: 2\r\n\r\n");
        assert_eq!((field(&more, "B"), field(&more, "b")), (Some("2"), None));
    }
}
