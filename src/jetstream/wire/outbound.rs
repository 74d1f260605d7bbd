//! A message to publish to a stream, with what it expects of that stream.

use std::time::Duration;

use bytes::Bytes;

use crate::protocol::datetime::{DateTime, format_rfc3339};
use crate::protocol::{
    HeaderMap, IntoHeaderName, IntoHeaderValue, NATS_EXPECTED_LAST_MESSAGE_ID, NATS_EXPECTED_LAST_SEQUENCE,
    NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_EXPECTED_STREAM, NATS_MESSAGE_ID, NATS_MESSAGE_TTL, NATS_ROLLUP,
    NATS_SCHEDULE, NATS_SCHEDULE_SOURCE, NATS_SCHEDULE_TARGET, NATS_SCHEDULE_TIME_ZONE, NATS_SCHEDULE_TTL, Subject,
    ToSubject,
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

/// Builds a message to publish to a stream. Each setter adds a header. A payload alone is one too, by `into()`.
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
    ///
    /// # Panics
    ///
    /// If it contains a line end, as [`header`](PublishMessage::header).
    pub fn message_id<T: AsRef<str>>(self, id: T) -> Self {
        self.header(NATS_MESSAGE_ID, id.as_ref())
    }

    /// Store the message only if the id of the last stored one is this.
    ///
    /// # Panics
    ///
    /// If it contains a line end, as [`header`](PublishMessage::header).
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
    ///
    /// # Panics
    ///
    /// If it contains a line end, as [`header`](PublishMessage::header).
    pub fn expected_stream<T: AsRef<str>>(self, stream: T) -> Self {
        self.header(NATS_EXPECTED_STREAM, stream.as_ref())
    }

    /// Sets how long the stream keeps the message, if it allows that (nats-server 2.11). Servers count in whole seconds: it is
    /// rounded up, and is at least one. async-nats rounds down, and servers refuse its 0 seconds.
    pub fn ttl(self, ttl: Duration) -> Self {
        self.header(NATS_MESSAGE_TTL, ttl_seconds(ttl).to_string().as_str())
    }

    /// Store the message only if the number of the last stored one of the subjects that match `filter` is this; 0 if there must
    /// be none (nats-server 2.12).
    ///
    /// # Panics
    ///
    /// If it contains a line end, as [`header`](PublishMessage::header).
    pub fn expected_last_sequence_of<T: AsRef<str>>(self, filter: T, sequence: u64) -> Self {
        self.expected_last_subject_sequence(sequence)
            .header("Nats-Expected-Last-Subject-Sequence-Subject", filter.as_ref())
    }

    /// Removes the earlier messages when this one is stored, if the stream [allows
    /// it](crate::jetstream::stream::Config::allow_rollup).
    pub fn rollup(self, rollup: Rollup) -> Self {
        let value = match rollup {
            Rollup::Subject => "sub",
            Rollup::All => "all",
        };
        self.header(NATS_ROLLUP, value)
    }

    /// Adds to the counter that the subject is, if the stream [has counters](crate::jetstream::stream::Config) (nats-server 2.12,
    /// ADR-49). The acknowledgement has the new value. A larger number than `i128` has can be set as the header `Nats-Incr`.
    pub fn increment(self, by: i128) -> Self {
        self.header("Nats-Incr", format!("{by:+}").as_str())
    }

    /// Makes it a schedule (nats-server 2.12, ADR-51): the stream stores messages on the subject `target`, which must be its own,
    /// at the times that the schedule says, with this payload and these headers. Publishing to the same subject replaces the
    /// schedule; deleting the message ends it.
    ///
    /// # Panics
    ///
    /// If it contains a line end, as [`header`](PublishMessage::header).
    pub fn schedule<T: AsRef<str>>(self, schedule: Schedule, target: T) -> Self {
        self.header(NATS_SCHEDULE, schedule.text.as_str()).header(NATS_SCHEDULE_TARGET, target.as_ref())
    }

    /// For a [schedule](PublishMessage::schedule): repeats the last message of this subject instead of its own.
    ///
    /// # Panics
    ///
    /// If it contains a line end, as [`header`](PublishMessage::header).
    pub fn schedule_source<T: AsRef<str>>(self, subject: T) -> Self {
        self.header(NATS_SCHEDULE_SOURCE, subject.as_ref())
    }

    /// For a [schedule](PublishMessage::schedule): how long the stream keeps the messages. Rounded up to whole seconds.
    pub fn schedule_ttl(self, ttl: Duration) -> Self {
        self.header(NATS_SCHEDULE_TTL, ttl_seconds(ttl).to_string().as_str())
    }

    /// For a [schedule](PublishMessage::schedule) by [`cron`](Schedule::cron): its time zone, such as `Europe/Berlin`. Default:
    /// UTC.
    ///
    /// # Panics
    ///
    /// If it contains a line end, as [`header`](PublishMessage::header).
    pub fn schedule_time_zone<T: AsRef<str>>(self, name: T) -> Self {
        self.header(NATS_SCHEDULE_TIME_ZONE, name.as_ref())
    }

    /// The message for this subject.
    pub fn outbound_message<S: ToSubject>(self, subject: S) -> OutboundMessage {
        OutboundMessage { subject: subject.to_subject(), payload: self.payload, headers: self.headers }
    }
}

/// Which messages a [rollup](PublishMessage::rollup) removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollup {
    /// Those of the same subject.
    Subject,
    /// Those of the whole stream.
    All,
}

/// When a [schedule](PublishMessage::schedule) produces messages.
///
/// ```
/// use nats_lifeline::jetstream::message::{PublishMessage, Schedule};
/// use std::time::Duration;
///
/// let report = PublishMessage::build().schedule(Schedule::every(Duration::from_secs(90)), "reports.due");
/// let headers = report.outbound_message("schedules.report").headers.unwrap();
/// assert_eq!(headers.get("Nats-Schedule").unwrap().as_str(), "@every 90s");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
}

impl Schedule {
    /// Once, at this time. The time is written with its nanoseconds; one before the year 0 or after 9999 has no form that a
    /// server reads, and is refused by it.
    #[must_use]
    pub fn at(time: DateTime) -> Schedule {
        Schedule { text: format!("@at {}", format_rfc3339(time).unwrap_or_default()) }
    }

    /// Again and again, with this much time between. Rounded up to whole seconds, of which servers want at least one.
    #[must_use]
    pub fn every(interval: Duration) -> Schedule {
        Schedule { text: format!("@every {}s", ttl_seconds(interval)) }
    }

    /// By a cron expression with six fields, from seconds to days of the week, or a word such as `@hourly` or `@daily`. The server
    /// checks it.
    #[must_use]
    pub fn cron<T: Into<String>>(expression: T) -> Schedule {
        Schedule { text: expression.into() }
    }
}

/// A time to live in whole seconds: rounded up, at least 1.
#[must_use]
pub fn ttl_seconds(ttl: Duration) -> u64 {
    ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0)).max(1)
}

/// A message with this payload and without headers.
impl From<Bytes> for PublishMessage {
    fn from(payload: Bytes) -> Self {
        Self::build().payload(payload)
    }
}

impl From<Vec<u8>> for PublishMessage {
    fn from(payload: Vec<u8>) -> Self {
        Bytes::from(payload).into()
    }
}

impl From<String> for PublishMessage {
    fn from(payload: String) -> Self {
        Bytes::from(payload).into()
    }
}

impl From<&'static [u8]> for PublishMessage {
    fn from(payload: &'static [u8]) -> Self {
        Bytes::from_static(payload).into()
    }
}

impl From<&'static str> for PublishMessage {
    fn from(payload: &'static str) -> Self {
        Bytes::from_static(payload.as_bytes()).into()
    }
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
            .expected_last_sequence_of("b.*", 4)
            .rollup(Rollup::Subject)
            .increment(-5)
            .schedule(Schedule::cron("@hourly"), "t")
            .schedule_source("s")
            .schedule_ttl(Duration::from_secs(60))
            .schedule_time_zone("Europe/Berlin")
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
            "Nats-Expected-Last-Subject-Sequence: 4",
            "Nats-Expected-Stream: S",
            "Nats-TTL: 2",
            "Nats-Expected-Last-Subject-Sequence-Subject: b.*",
            "Nats-Rollup: sub",
            "Nats-Incr: -5",
            "Nats-Schedule: @hourly",
            "Nats-Schedule-Target: t",
            "Nats-Schedule-Source: s",
            "Nats-Schedule-TTL: 60",
            "Nats-Schedule-Time-Zone: Europe/Berlin",
        ];
        assert_eq!(all, expected);
        assert!(PublishMessage::build().outbound_message("s").headers.is_none());
    }

    #[test]
    fn a_payload_alone_is_a_message() {
        let messages: [PublishMessage; 5] =
            ["p".into(), b"p".as_slice().into(), "p".to_owned().into(), vec![b'p'].into(), Bytes::from("p").into()];
        for message in messages.map(|message| message.outbound_message("s")) {
            assert_eq!((message.payload.as_ref(), message.headers), (&b"p"[..], None));
        }
    }

    #[test]
    fn a_time_to_live_is_rounded_up_to_a_second() {
        for (ttl, seconds) in [(0, 1), (1, 1), (999_999_999, 1), (1_000_000_000, 1), (1_000_000_001, 2)] {
            assert_eq!(ttl_seconds(Duration::from_nanos(ttl)), seconds);
        }
        assert_eq!(ttl_seconds(Duration::MAX), u64::MAX);
    }
}
