//! Messages: to publish, stored, and delivered.

mod delivered;

use std::fmt;

pub use super::error::{AckError, AckErrorKind};
use super::error::{DirectGetError, DirectGetErrorKind};
pub use super::wire::{
    AckKind, AckSubjectFault, MessageInfo as Info, OutboundMessage, OwnedInfo, PublishMessage, Rollup, Schedule,
    StoredFault, StreamMessage,
};

pub use delivered::{Acker, Message};

impl From<OutboundMessage> for crate::message::OutboundMessage {
    fn from(message: OutboundMessage) -> Self {
        let OutboundMessage { subject, payload, headers } = message;
        Self { subject, reply: None, payload, headers }
    }
}

/// Why a message is not a stored one that a replica has answered. The source is a [`StoredFault`].
pub type StreamMessageError = crate::error::Error<StreamMessageErrorKind>;

/// The kinds of [`StreamMessageError`].
#[derive(Debug, Clone, PartialEq)]
pub enum StreamMessageErrorKind {
    /// A header is missing that says what the message is or when it was stored.
    MissingHeader,
    /// Such a header has a value that can't be read.
    ParseError,
}

impl fmt::Display for StreamMessageErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StreamMessageErrorKind::MissingHeader => "missing message header",
            StreamMessageErrorKind::ParseError => "parse error",
        })
    }
}

impl TryFrom<crate::Message> for StreamMessage {
    type Error = StreamMessageError;

    /// The stored message that a replica has answered: what it is and when it was stored is in its headers.
    fn try_from(message: crate::Message) -> Result<Self, StreamMessageError> {
        StreamMessage::from_direct(message.headers.unwrap_or_default(), message.payload).map_err(|fault| {
            let kind = match fault {
                StoredFault::Missing { .. } => StreamMessageErrorKind::MissingHeader,
                StoredFault::Bad { .. } | StoredFault::NotBase64 { .. } | StoredFault::Headers(_) => {
                    StreamMessageErrorKind::ParseError
                }
            };
            StreamMessageError::with_source(kind, fault)
        })
    }
}

impl From<StreamMessageError> for DirectGetError {
    fn from(error: StreamMessageError) -> Self {
        DirectGetError::with_source(DirectGetErrorKind::Other, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HeaderMap;

    fn answered(headers: &[(&'static str, &'static str)]) -> crate::Message {
        let mut map = HeaderMap::new();
        headers.iter().for_each(|(name, value)| map.insert(*name, *value));
        crate::Message {
            subject: "_INBOX.1".into(),
            reply: None,
            payload: "four wheels".into(),
            headers: Some(map),
            status: None,
            description: None,
            length: 0,
        }
    }

    #[test]
    fn an_answer_is_a_stored_message_if_its_headers_say_so() {
        let time = ("Nats-Time-Stamp", "2026-11-30T14:03:14.038454409Z");
        let message = answered(&[("Nats-Subject", "orders.eu"), ("Nats-Sequence", "100"), time]);
        let stored = StreamMessage::try_from(message).unwrap();
        assert_eq!(
            (stored.subject.as_str(), stored.sequence, stored.payload.as_ref()),
            ("orders.eu", 100, &b"four wheels"[..])
        );

        let error = StreamMessage::try_from(answered(&[("Nats-Sequence", "100"), time])).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (StreamMessageErrorKind::MissingHeader, "missing message header: subject")
        );
        let bad = answered(&[("Nats-Subject", "orders.eu"), ("Nats-Sequence", "ten"), time]);
        let error = StreamMessage::try_from(bad).unwrap_err();
        assert_eq!(error.to_string(), r#"parse error: could not parse sequence header: "ten""#);
        assert_eq!(error.kind(), StreamMessageErrorKind::ParseError);
        let bare = crate::Message { headers: None, ..answered(&[]) };
        assert_eq!(StreamMessage::try_from(bare).unwrap_err().kind(), StreamMessageErrorKind::MissingHeader);
    }
}
