//! Messages that a subscriber receives and messages that a publisher sends.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::driver::Raw;
use crate::engine::LostMessage;
use crate::protocol::{HeaderMap, StatusCode, Subject, parse_status};

/// A message from the server.
///
/// The payload is a slice of the bytes that were read from the connection, or of a copy that neighbouring messages
/// share. Keeping a message therefore keeps more memory alive than its own bytes: up to 8 KiB for a message of at
/// most 1 KiB, and up to 256 KiB for a longer one. If that matters, see [`shrink_to_fit`](Message::shrink_to_fit).
///
/// It implements `serde`'s traits, headers and status included.
///
/// ```
/// use nats_lifeline::Message;
///
/// fn describe(message: &Message) -> String {
///     match &message.reply {
///         Some(reply) => format!("{} wants an answer at {reply}", message.subject),
///         None => format!("{}: {} bytes", message.subject, message.payload.len()),
///     }
/// }
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// The subject that the message was published to; with a wildcard subscription it differs from the subscribed one.
    pub subject: Subject,
    /// Where the publisher expects an answer.
    pub reply: Option<Subject>,
    /// The content.
    pub payload: Bytes,
    /// The headers: `Some`, and possibly empty, if the server sent a header block.
    pub headers: Option<HeaderMap>,
    /// The status from the first line of the header block, such as 503 for "no responders". Messages from other clients
    /// have none.
    pub status: Option<StatusCode>,
    /// The text after the status.
    pub description: Option<String>,
    /// Size of subject, reply subject, payload and header block together, in bytes.
    pub length: usize,
}

impl Message {
    /// Copies the message into memory of its own, so that keeping the message keeps only its own bytes alive. For
    /// programs that keep a few of many messages for a long time.
    ///
    /// ```
    /// # use nats_lifeline::Message;
    /// fn keep(mut message: Message, kept: &mut Vec<Message>) {
    ///     message.shrink_to_fit();
    ///     kept.push(message);
    /// }
    /// ```
    pub fn shrink_to_fit(&mut self) {
        fn own(subject: &Subject) -> Subject {
            Subject::from_wire(Bytes::copy_from_slice(subject.as_bytes()))
        }
        self.subject = own(&self.subject);
        self.reply = self.reply.as_ref().map(own);
        self.payload = Bytes::copy_from_slice(&self.payload);
        // A map that was changed already has its own memory.
        if let Some(block) = self.headers.as_ref().and_then(HeaderMap::raw) {
            self.headers = Some(HeaderMap::from_wire(Bytes::copy_from_slice(block)));
        }
    }

    /// Makes a message from received bytes. `own`: the subject of the subscription, which most messages carry; cloning
    /// it is cheaper than making a handle of the received one. If a header block cannot be parsed, only the status is
    /// lost: the headers have what could be parsed, see [`HeaderMap::is_malformed`].
    pub(crate) fn from_raw(raw: &Raw<'_>, own: &Subject) -> Message {
        match raw.headers() {
            Some(block) => Message::with_headers(raw, own, block),
            None => Message::plain(raw, own),
        }
    }

    /// The same for a message without a header block.
    #[inline(always)]
    pub(crate) fn plain(raw: &Raw<'_>, own: &Subject) -> Message {
        let subject =
            if raw.subject_bytes() == own.as_bytes() { own.clone() } else { Subject::from_wire(raw.subject()) };
        Message {
            subject,
            reply: raw.reply().map(Subject::from_wire),
            payload: raw.payload(),
            headers: None,
            status: None,
            description: None,
            length: raw.len(),
        }
    }

    #[inline(never)]
    pub(crate) fn with_headers(raw: &Raw<'_>, own: &Subject, block: Bytes) -> Message {
        let (status, text) = parse_status(&block).unwrap_or_default();
        let description = text.map(|text| String::from_utf8_lossy(text).into_owned());
        Message { headers: Some(HeaderMap::from_wire(block)), status, description, ..Message::plain(raw, own) }
    }
}

/// A message to be published, as a value: for [`Sink`](futures_sink::Sink) and the trait
/// [`Publisher`](crate::client::traits::Publisher), and as returned by a refused publish.
///
/// ```
/// use nats_lifeline::message::OutboundMessage;
///
/// let message = OutboundMessage {
///     subject: "orders.new".into(),
///     reply: None,
///     payload: "four wheels".into(),
///     headers: None,
/// };
/// assert_eq!(message.subject.as_str(), "orders.new");
/// ```
#[derive(Clone, Debug)]
pub struct OutboundMessage {
    /// The subject.
    pub subject: Subject,
    /// The reply subject.
    pub reply: Option<Subject>,
    /// The content.
    pub payload: Bytes,
    /// The headers; an empty map is sent as no headers.
    pub headers: Option<HeaderMap>,
}

impl From<LostMessage> for OutboundMessage {
    /// A lost message, ready to be published again.
    fn from(lost: LostMessage) -> Self {
        let LostMessage { reason: _, subject, reply, payload, headers, .. } = lost;
        OutboundMessage { subject, reply, payload, headers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Share;

    fn message(subject: Subject, reply: Option<Subject>, payload: Bytes, headers: Option<Bytes>) -> Message {
        let reply = reply.as_ref().map(Subject::as_bytes);
        let share = Share::of(subject.as_bytes(), reply, headers.as_deref(), &payload);
        Message::from_raw(&share.first(), &Subject::from_static("own"))
    }

    fn block(text: &'static str) -> Option<Bytes> {
        Some(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn length_counts_subject_reply_payload_and_header_block() {
        let reply = Some(Subject::from_static("r"));
        let plain = message(Subject::from_static("foo"), reply, Bytes::from_static(b"12345"), None);
        assert_eq!(plain.length, 3 + 1 + 5);
        assert!(plain.headers.is_none() && plain.status.is_none() && plain.description.is_none());

        let status = message(Subject::from_static("foo"), None, Bytes::new(), block("NATS/1.0 503\r\n\r\n"));
        assert_eq!(status.length, 3 + 16);
        assert_eq!(status.status, Some(StatusCode::NO_RESPONDERS));
        assert_eq!(status.description, None);
        assert_eq!(status.headers, Some(HeaderMap::new()), "a header block without headers gives an empty map");

        let lossy = message(Subject::from_wire(Bytes::from_static(b"\xff")), None, Bytes::new(), None);
        assert_eq!(lossy.length, 1, "bytes on the wire, not of the text that stands for them");
    }

    #[test]
    fn an_invalid_header_block_loses_only_its_status() {
        let message =
            message(Subject::from_static("foo"), None, Bytes::from_static(b"x"), block("HTTP/1.1 200\r\n\r\n"));
        assert_eq!((message.status, message.description), (None, None));
        assert!(message.headers.is_some_and(|headers| headers.is_malformed()));
        assert_eq!(&message.payload[..], b"x");
    }

    // Fault E4
    #[test]
    fn shrink_to_fit_copies_a_message_out_of_shared_memory_and_changes_nothing() {
        let (reply, head) = (Some(Subject::from_static("r")), block("NATS/1.0\r\nTrace: 17\r\n\r\n"));
        let mut shrunk = message(Subject::from_static("foo"), reply, Bytes::from_static(b"12345"), head);
        let places = |message: &Message| {
            let block = message.headers.as_ref().and_then(HeaderMap::raw).unwrap();
            let reply = message.reply.as_ref().unwrap();
            [message.payload.as_ptr(), message.subject.as_ptr(), reply.as_ptr(), block.as_ptr()]
        };
        let before = shrunk.clone();
        shrunk.shrink_to_fit();
        assert!(places(&before).iter().zip(places(&shrunk)).all(|(one, other)| *one != other));
        assert!(shrunk.payload.is_unique() && !before.payload.is_unique());
        assert_eq!(
            (&shrunk.subject, &shrunk.reply, &shrunk.payload),
            (&before.subject, &before.reply, &before.payload)
        );
        assert_eq!((&shrunk.headers, shrunk.length), (&before.headers, before.length));
    }

    #[test]
    fn a_message_survives_json() {
        let head = block("NATS/1.0 408 Request Timeout\r\nTrace: 17\r\n\r\n");
        let message = message(Subject::from_static("a.b"), None, Bytes::from_static(b"\x00\xff"), head);
        assert_eq!(message.description.as_deref(), Some("Request Timeout"));

        let text = serde_json::to_string(&message).unwrap();
        let back: Message = serde_json::from_str(&text).unwrap();
        assert_eq!(back.subject, message.subject);
        assert_eq!(back.payload, message.payload);
        assert_eq!(
            back.headers.as_ref().and_then(|headers| headers.get("Trace")).map(|value| value.as_str()),
            Some("17")
        );
        assert_eq!(back.headers, message.headers);
        assert_eq!((back.status, back.description), (message.status, message.description));
        assert_eq!(back.length, message.length);
    }
}
