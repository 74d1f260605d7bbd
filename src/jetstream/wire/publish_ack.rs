//! The acknowledgement of a published message.

use serde::{Deserialize, Serialize};

/// A stream has stored a message.
///
/// Read it as a [`Response`](crate::jetstream::response::Response), since a server answers with an error in the same place.
#[derive(Debug, Default, Serialize, Deserialize, Clone, PartialEq, Eq)]
pub struct PublishAck {
    /// The name of the stream.
    #[serde(default)]
    pub stream: String,
    /// The number of the message in it; of the last one for a batch.
    #[serde(rename = "seq", default)]
    pub sequence: u64,
    /// The domain of the stream; empty without domains.
    #[serde(default)]
    pub domain: String,
    /// Whether the stream had a message with this id already; the number is that message's.
    #[serde(default)]
    pub duplicate: bool,
    /// The counter's new value, a number of any size (nats-server 2.12, ADR-49).
    #[serde(rename = "val", default)]
    pub value: Option<String>,
    /// The id of the batch that was stored (2.12, ADR-50).
    #[serde(rename = "batch", default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
    /// How many messages the batch had (2.12).
    #[serde(rename = "count", default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u64>,
}

impl PublishAck {
    /// Reads an acknowledgement that has no more than a stream and a number, in the form in which servers write it. Most are
    /// such, and they come as often as messages are published. `None`: it may be anything.
    pub(in crate::jetstream) fn plain(json: &[u8]) -> Option<PublishAck> {
        let rest = json.strip_prefix(br#"{"stream":""#)?;
        let end = memchr::memchr(b'"', rest)?;
        let (name, rest) = rest.split_at_checked(end)?;
        let odd = name.iter().fold(false, |odd, byte| odd | !matches!(byte, b' '..=b'[' | b']'..=b'~'));
        let rest = rest.strip_prefix(br#"","#)?;
        // A blank until nats-server 2.14.
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let digits = rest.strip_prefix(br#""seq":"#)?.strip_suffix(b"}")?;
        // With a 0 in front it would not be JSON, and a number of 20 digits may be too large.
        if odd || digits.len() > 19 || !matches!(digits, [b'1'..=b'9', ..]) {
            return None;
        }
        let sequence = digits.iter().try_fold(0, |number: u64, digit| {
            digit.is_ascii_digit().then(|| number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')))
        })?;
        Some(PublishAck { stream: core::str::from_utf8(name).ok()?.to_owned(), sequence, ..PublishAck::default() })
    }

    /// Whether this is an acknowledgement at all: a reply that names no stream came from somebody else.
    #[must_use]
    pub fn names_a_stream(&self) -> bool {
        !self.stream.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jetstream::wire::Response;

    fn read_fully(json: &[u8]) -> Option<Response<PublishAck>> {
        serde_json::from_slice(json).ok()
    }

    #[test]
    fn a_plain_acknowledgement_is_read_without_a_json_parser() {
        for (json, sequence) in [
            (&br#"{"stream":"ORDERS","seq":100}"#[..], 100),
            (br#"{"stream":"ORDERS", "seq":1}"#, 1),
            (br#"{"stream":"ORDERS","seq":9999999999999999999}"#, 9_999_999_999_999_999_999),
        ] {
            let ack = PublishAck::plain(json).unwrap();
            assert_eq!((ack.stream.as_str(), ack.sequence), ("ORDERS", sequence));
            assert_eq!(read_fully(json), Some(Response::Ok(ack)));
        }
        for json in [
            &br#"{"stream":"S","domain":"hub","seq":1}"#[..],
            br#"{"stream":"S","seq":1,"duplicate": true}"#,
            br#"{"stream":"caf\u00e9","seq":1}"#,
            br#"{"stream":"S","seq":0}"#,
            br#"{"stream":"S","seq":01}"#,
            br#"{"stream":"S","seq":}"#,
            br#"{"stream":"S","seq":-1}"#,
            br#"{"stream":"S","seq":18446744073709551615}"#,
            br#"{"stream":"S","seq":1}}"#,
            br#"{"stream":"S","seq":1"#,
            br#"{"stream":"S"#,
        ] {
            assert_eq!(PublishAck::plain(json), None, "{}", json.escape_ascii());
        }
    }

    #[test]
    fn whatever_is_read_without_a_json_parser_is_what_the_parser_reads() {
        let plain = br#"{"stream":"ORDERS", "seq":1048576}"#;
        let mut read = 0;
        for place in 0..plain.len() {
            for byte in 0..=u8::MAX {
                // The byte in the place of another one, before it, and none.
                let (before, after) = (&plain[..place], &plain[place + 1..]);
                for middle in [&[byte][..], &[byte, plain[place]], &[]] {
                    let json = [before, middle, after].concat();
                    if let Some(ack) = PublishAck::plain(&json) {
                        read += 1;
                        assert_eq!(read_fully(&json), Some(Response::Ok(ack)), "{}", json.escape_ascii());
                    }
                }
            }
        }
        assert!(read > 1_000, "only {read} were plain");
    }
}
