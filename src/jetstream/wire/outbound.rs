//! A message to publish to a stream, with what it expects of that stream.

use std::time::Duration;

use bytes::Bytes;

use crate::protocol::{
    HeaderMap, IntoHeaderName, IntoHeaderValue, NATS_EXPECTED_LAST_MESSAGE_ID, NATS_EXPECTED_LAST_SEQUENCE,
    NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_EXPECTED_STREAM, NATS_MESSAGE_ID, NATS_MESSAGE_TTL, Subject, ToSubject,
};

/// A message for a subject.
#[derive(Debug, Clone)]
pub struct OutboundMessage {
    /// The subject.
    pub subject: Subject,
    /// The payload.
    pub payload: Bytes,
    /// The headers.
    pub headers: Option<HeaderMap>,
}

impl OutboundMessage {
    /// A message with these parts.
    pub fn new(subject: Subject, payload: Bytes, headers: Option<HeaderMap>) -> Self {
        Self { subject, payload, headers }
    }
}

/// Builds a message to publish to a stream. Each setter adds a header.
///
/// ```
/// use nats_lifeline::jetstream::message::PublishMessage;
///
/// let message = PublishMessage::build().payload("four wheels".into()).message_id("17").expected_stream("ORDERS");
/// let message = message.outbound_message("orders.new");
/// assert_eq!(message.headers.unwrap().get("Nats-Msg-Id").unwrap().as_str(), "17");
/// ```
#[derive(Default, Clone, Debug)]
#[must_use = "it is not published yet"]
pub struct PublishMessage {
    payload: Bytes,
    headers: Option<HeaderMap>,
}

impl PublishMessage {
    /// A message without payload and headers.
    pub fn build() -> Self {
        Self::default()
    }

    /// Sets the payload.
    pub fn payload(mut self, payload: Bytes) -> Self {
        self.payload = payload;
        self
    }

    /// Sets the headers. Those that were set before are gone, so this comes first.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers = Some(headers);
        self
    }

    /// Sets a header.
    ///
    /// # Panics
    ///
    /// If the name or the value is invalid, as [`HeaderMap::insert`].
    pub fn header<N: IntoHeaderName, V: IntoHeaderValue>(mut self, name: N, value: V) -> Self {
        self.headers.get_or_insert_default().insert(name, value);
        self
    }

    /// Sets the id by which the stream stores the message once within its duplicate window (2 minutes by default).
    pub fn message_id<T: AsRef<str>>(self, id: T) -> Self {
        self.header(NATS_MESSAGE_ID, id.as_ref())
    }

    /// Store the message only if the id of the last stored one is this.
    pub fn expected_last_message_id<T: AsRef<str>>(self, last_message_id: T) -> Self {
        self.header(NATS_EXPECTED_LAST_MESSAGE_ID, last_message_id.as_ref())
    }

    /// Store the message only if the number of the last stored one is this.
    pub fn expected_last_sequence(self, last_sequence: u64) -> Self {
        self.header(NATS_EXPECTED_LAST_SEQUENCE, last_sequence.to_string().as_str())
    }

    /// Store the message only if the number of the last stored one of its subject is this; 0 if there must be none.
    pub fn expected_last_subject_sequence(self, subject_sequence: u64) -> Self {
        self.header(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, subject_sequence.to_string().as_str())
    }

    /// Store the message only in the stream with this name.
    pub fn expected_stream<T: AsRef<str>>(self, stream: T) -> Self {
        self.header(NATS_EXPECTED_STREAM, stream.as_ref())
    }

    /// Sets how long the stream keeps the message, if it allows that (nats-server 2.11). Servers count in whole seconds: it is
    /// rounded up, and is at least one. async-nats rounds down, and servers refuse its 0 seconds.
    pub fn ttl(self, ttl: Duration) -> Self {
        self.header(NATS_MESSAGE_TTL, ttl_seconds(ttl).to_string().as_str())
    }

    /// The message for this subject.
    pub fn outbound_message<S: ToSubject>(self, subject: S) -> OutboundMessage {
        OutboundMessage { subject: subject.to_subject(), payload: self.payload, headers: self.headers }
    }
}

/// A time to live in whole seconds: rounded up, at least 1.
#[must_use]
pub fn ttl_seconds(ttl: Duration) -> u64 {
    ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setter_adds_its_header() {
        let message = PublishMessage::build()
            .headers(HeaderMap::new())
            .header("X", "y")
            .message_id("a")
            .expected_last_message_id("b")
            .expected_last_sequence(3)
            .expected_last_subject_sequence(0)
            .expected_stream("S")
            .ttl(Duration::from_millis(1_001))
            .payload("p".into())
            .outbound_message("orders");
        assert_eq!((message.subject.as_str(), message.payload.as_ref()), ("orders", &b"p"[..]));
        let headers = message.headers.unwrap();
        let all: Vec<_> = headers.entries().map(|(name, value)| format!("{name}: {value}")).collect();
        let expected = [
            "X: y",
            "Nats-Msg-Id: a",
            "Nats-Expected-Last-Msg-Id: b",
            "Nats-Expected-Last-Sequence: 3",
            "Nats-Expected-Last-Subject-Sequence: 0",
            "Nats-Expected-Stream: S",
            "Nats-TTL: 2",
        ];
        assert_eq!(all, expected);
        assert!(PublishMessage::build().outbound_message("s").headers.is_none());
    }

    #[test]
    fn a_time_to_live_is_rounded_up_to_a_second() {
        for (ttl, seconds) in [(0, 1), (1, 1), (999_999_999, 1), (1_000_000_000, 1), (1_000_000_001, 2)] {
            assert_eq!(ttl_seconds(Duration::from_nanos(ttl)), seconds);
        }
        assert_eq!(ttl_seconds(Duration::MAX), u64::MAX);
    }
}
