//! Lost messages that are returned: kept as frames, and parsed only when somebody looks at them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::payload::Payload;
use super::segment::{Segment, large_names};
use crate::engine::ledger::LossReason;
use crate::protocol::{ClientOp, Decoded, Decoder, HeaderMap, Limits, Subject};

/// An accepted message that was lost on our side.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LostMessage {
    /// Why.
    pub reason: LossReason,
    /// Its subject.
    pub subject: Subject,
    /// Its reply subject.
    pub reply: Option<Subject>,
    /// Its payload.
    pub payload: Bytes,
    /// Its headers.
    pub headers: Option<HeaderMap>,
}

/// Accepted messages that were lost on our side, in the order of their admission. Cloning it costs a reference count.
///
/// ```
/// use nats_lifeline::connection::ConnectionEvent;
///
/// fn keep(event: &ConnectionEvent) -> Vec<String> {
///     let ConnectionEvent::Lost { messages, .. } = event else { return Vec::new() };
///     messages.iter().map(|lost| format!("{} to {}", lost.reason, lost.subject)).collect()
/// }
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct LostMessages {
    runs: Arc<[Run]>,
    count: u64,
    bytes: usize,
}

/// Frames that were lost for one reason.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    reason: LossReason,
    /// Whole frames; if there is a body, one frame without its payload.
    head: Bytes,
    body: Option<Payload>,
}

impl LostMessages {
    pub(in crate::engine) fn new(runs: Vec<(LossReason, Segment)>) -> LostMessages {
        let count = runs.iter().map(|(_, segment)| segment.messages).sum();
        let bytes = runs.iter().map(|(_, segment)| segment.len()).sum();
        let run = |(reason, segment): (LossReason, Segment)| Run {
            reason,
            head: Bytes::from(segment.head),
            body: segment.body,
        };
        LostMessages { runs: runs.into_iter().map(run).collect(), count, bytes }
    }

    /// Both lists, one after the other.
    pub(in crate::engine) fn followed_by(&self, those: &LostMessages) -> LostMessages {
        LostMessages {
            runs: self.runs.iter().chain(those.runs.iter()).cloned().collect(),
            count: self.count + those.count,
            bytes: self.bytes + those.bytes,
        }
    }

    /// How many there are. More may have been lost than are returned: see the counts beside this.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Their bytes on the wire, including control lines and headers.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The messages in order. Each call parses them again.
    pub fn iter(&self) -> impl Iterator<Item = LostMessage> + '_ {
        self.runs.iter().flat_map(Run::messages)
    }
}

impl fmt::Debug for LostMessages {
    /// Only numbers: payloads do not belong in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LostMessages { runs: _, count, bytes } = self;
        f.debug_struct("LostMessages").field("count", count).field("bytes", bytes).finish_non_exhaustive()
    }
}

impl Run {
    fn messages(&self) -> Box<dyn Iterator<Item = LostMessage> + '_> {
        match &self.body {
            Some(body) => Box::new(self.large(body).into_iter()),
            None => Box::new(self.small()),
        }
    }

    /// A frame whose payload is separate.
    fn large(&self, body: &Payload) -> Option<LostMessage> {
        let (subject, reply) = large_names(&self.head)?;
        let end = memchr::memchr(b'\n', &self.head)?;
        let headers = self.head.starts_with(b"HPUB").then(|| self.head.get(end + 1..)).flatten();
        Some(self.message(subject, reply, headers, Bytes::clone(body)))
    }

    fn small(&self) -> impl Iterator<Item = LostMessage> + '_ {
        // What was admitted can't exceed a limit.
        let mut decoder = Decoder::new(Limits { line: usize::MAX, headers: usize::MAX, total: usize::MAX });
        let mut at = 0;
        std::iter::from_fn(move || {
            loop {
                let Ok(Decoded::Op { op, len }) = decoder.decode_client(self.head.get(at..)?) else { return None };
                at += len;
                if let ClientOp::Pub(op) = op {
                    return Some(self.message(op.subject, op.reply, op.headers, self.head.slice_ref(op.payload)));
                }
            }
        })
    }

    fn message(&self, subject: &[u8], reply: Option<&[u8]>, headers: Option<&[u8]>, payload: Bytes) -> LostMessage {
        let part = |bytes: &[u8]| self.head.slice_ref(bytes);
        LostMessage {
            reason: self.reason,
            subject: Subject::from_wire(part(subject)),
            reply: reply.map(part).map(Subject::from_wire),
            payload,
            headers: headers.map(part).map(HeaderMap::from_wire),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol;

    #[test]
    fn messages_come_back_as_they_were() {
        let block = b"NATS/1.0\r\nTrace: 17\r\n\r\n";
        let mut head = Vec::new();
        protocol::publish(&mut head, b"a", None, None, b"1");
        protocol::publish(&mut head, b"b.c", Some(b"r.1"), Some(block), b"22");
        let small = Segment { head, messages: 2, ..Segment::default() };
        let large = |reply: Option<&[u8]>, headers: Option<&[u8]>| {
            let mut head = Vec::new();
            protocol::publish_head(&mut head, b"big", reply, headers, 40_000);
            Segment {
                head,
                body: Some(Payload::new(Bytes::from(vec![b'x'; 40_000]))),
                messages: 1,
                ..Segment::default()
            }
        };
        let runs = vec![
            (LossReason::Overflow, small),
            (LossReason::Closed, large(None, None)),
            (LossReason::Closed, large(Some(b"r.2"), Some(block))),
        ];
        let lost = LostMessages::new(runs);
        assert_eq!((lost.len(), lost.iter().count()), (4, 4));
        let all: Vec<_> = lost
            .iter()
            .map(|message| {
                let trace = message.headers.as_ref().and_then(|headers| headers.get("Trace")).map(|it| it.to_string());
                let reply = message.reply.map(|reply| reply.to_string());
                (message.reason, message.subject.to_string(), reply, trace, message.payload.len())
            })
            .collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            all,
            [
                (LossReason::Overflow, "a".to_owned(), None, None, 1),
                (LossReason::Overflow, "b.c".to_owned(), text("r.1"), text("17"), 2),
                (LossReason::Closed, "big".to_owned(), None, None, 40_000),
                (LossReason::Closed, "big".to_owned(), text("r.2"), text("17"), 40_000),
            ]
        );
        assert!(!format!("{lost:?}").contains("xxx"), "no payload in logs");
    }
}
