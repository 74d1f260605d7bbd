//! What a consumer's owner answers to a message, as the payload that servers read.

use std::time::Duration;

use bytes::Bytes;

use super::nanos;

/// An acknowledgement, or the opposite.
///
/// A message that is not acknowledged within the consumer's `ack_wait` is delivered again, up to `max_deliver` times.
///
/// ```
/// use bytes::Bytes;
/// use nats_lifeline::jetstream::AckKind;
/// use std::time::Duration;
///
/// assert_eq!(Bytes::from(AckKind::Ack), "+ACK");
/// assert_eq!(Bytes::from(AckKind::Nak(Some(Duration::from_millis(2)))), r#"-NAK {"delay":2000000}"#);
/// ```
#[derive(Debug, Clone, Copy)]
pub enum AckKind {
    /// The message was processed: it is not delivered again.
    Ack,
    /// The message was not processed: deliver it again, after this time, or immediately.
    Nak(Option<Duration>),
    /// Work on the message goes on: the time until it is delivered again starts from the beginning.
    Progress,
    /// The message was processed, and one more message is wanted.
    Next,
    /// The message is not to be delivered again, although it was not processed.
    Term,
}

impl AckKind {
    /// Whether the message is done with: no other acknowledgement of it has any effect after this one.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            AckKind::Ack | AckKind::Nak(_) | AckKind::Next | AckKind::Term => true,
            AckKind::Progress => false,
        }
    }
}

impl From<AckKind> for Bytes {
    /// The payload. Nothing is allocated except for a delay.
    fn from(kind: AckKind) -> Bytes {
        Bytes::from_static(match kind {
            AckKind::Ack => b"+ACK",
            AckKind::Nak(None) => b"-NAK",
            AckKind::Nak(Some(delay)) => return format!("-NAK {{\"delay\":{}}}", nanos::of(delay)).into(),
            AckKind::Progress => b"+WPI",
            AckKind::Next => b"+NXT",
            AckKind::Term => b"+TERM",
        })
    }
}

/// The payload of [`AckKind::Term`] with a reason, which servers from 2.10.4 on pass on in an advisory. Line ends in the
/// reason become blanks.
#[must_use]
pub fn term_because(reason: &str) -> Bytes {
    let reason: String = reason.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let text = format!("+TERM {}", reason.trim());
    text.trim_end().to_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_payload() {
        let cases = [
            (AckKind::Ack, "+ACK", true),
            (AckKind::Nak(None), "-NAK", true),
            (AckKind::Nak(Some(Duration::from_secs(5))), r#"-NAK {"delay":5000000000}"#, true),
            (AckKind::Nak(Some(Duration::MAX)), r#"-NAK {"delay":9223372036854775807}"#, true),
            (AckKind::Progress, "+WPI", false),
            (AckKind::Next, "+NXT", true),
            (AckKind::Term, "+TERM", true),
        ];
        for (kind, payload, is_final) in cases {
            assert_eq!((Bytes::from(kind), kind.is_final()), (payload.into(), is_final), "{kind:?}");
        }
        assert_eq!(term_because("no such\r\ncustomer"), "+TERM no such  customer");
        assert_eq!(term_because(" "), "+TERM");
    }
}
