//! A stored message: as the stream's leader answers it, in JSON, and as any replica does, in headers.

use bytes::Bytes;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::rfc3339;
use crate::protocol::datetime::{DateTime, parse_rfc3339, zero_time};
use crate::protocol::{HeaderError, HeaderMap, HeaderName, NATS_SEQUENCE, NATS_SUBJECT, NATS_TIME_STAMP, Subject, cut};

/// A message of a stream.
#[derive(Debug, Clone)]
pub struct StreamMessage {
    /// The subject that it is stored under.
    pub subject: Subject,
    /// Its number in the stream.
    pub sequence: u64,
    /// The headers.
    pub headers: HeaderMap,
    /// The payload.
    pub payload: Bytes,
    /// When it was stored.
    pub time: DateTime,
}

impl StreamMessage {
    /// The message that a replica answers: what it is and when it was stored is in its headers.
    ///
    /// # Errors
    ///
    /// If a header is missing or bad.
    pub fn from_direct(headers: HeaderMap, payload: Bytes) -> Result<Self, StoredFault> {
        let text = |name: HeaderName, what| {
            headers.get_last(name).map(|value| value.as_str()).ok_or(StoredFault::Missing { what })
        };
        let bad = |what, value: &str| StoredFault::Bad { what, value: cut(value).into_owned() };
        let sequence = text(NATS_SEQUENCE, "sequence")?;
        let time = text(NATS_TIME_STAMP, "timestamp")?;
        Ok(Self {
            subject: Subject::from_wire(Bytes::copy_from_slice(text(NATS_SUBJECT, "subject")?.as_bytes())),
            sequence: sequence.parse().map_err(|_| bad("sequence", sequence))?,
            time: parse_rfc3339(time).map_err(|_| bad("timestamp", time))?,
            headers,
            payload,
        })
    }
}

/// Why an answer is not a stored message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoredFault {
    /// There is no header with this.
    #[error("{what}")]
    Missing {
        /// Its meaning.
        what: &'static str,
    },
    /// The header with this has a value that can't be read.
    #[error("could not parse {what} header: {value:?}")]
    Bad {
        /// Its meaning.
        what: &'static str,
        /// Its value, of which the beginning is kept.
        value: String,
    },
    /// Bytes that should be base64 are not.
    #[error("the {what} of a stored message are not base64")]
    NotBase64 {
        /// Which ones.
        what: &'static str,
    },
    /// The headers are no header block.
    #[error("the headers of a stored message are malformed: {0}")]
    Headers(HeaderError),
}

/// A message as the stream's leader answers it.
#[derive(Debug, Serialize, Deserialize, Clone, PartialEq, Eq)]
pub struct RawMessage {
    /// The subject that it is stored under.
    #[serde(default)]
    pub subject: String,
    /// Its number in the stream.
    #[serde(rename = "seq", default)]
    pub sequence: u64,
    /// The payload in base64.
    #[serde(rename = "data", default)]
    pub payload: String,
    /// The header block in base64.
    #[serde(rename = "hdrs", default)]
    pub headers: Option<String>,
    /// When it was stored.
    #[serde(default = "zero_time", with = "rfc3339")]
    pub time: DateTime,
}

/// The answer that contains it.
#[derive(Debug, Serialize, Deserialize, Clone, PartialEq, Eq)]
pub struct RawMessageAnswer {
    /// The message.
    pub message: RawMessage,
}

impl TryFrom<RawMessage> for StreamMessage {
    type Error = Box<dyn std::error::Error + Send + Sync + 'static>;

    fn try_from(raw: RawMessage) -> Result<Self, Self::Error> {
        let bytes = |text: &str, what| BASE64.decode(text.as_bytes()).map_err(|_| StoredFault::NotBase64 { what });
        let payload = bytes(&raw.payload, "payload bytes")?;
        let headers = HeaderMap::from_wire(match &raw.headers {
            Some(block) => bytes(block, "header bytes")?.into(),
            None => Bytes::new(),
        });
        if raw.headers.is_some() {
            if let Some(fault) = headers.malformed() {
                return Err(StoredFault::Headers(fault).into());
            }
        }
        Ok(Self {
            subject: Subject::from_wire(raw.subject.into()),
            sequence: raw.sequence,
            headers,
            payload: payload.into(),
            time: raw.time,
        })
    }
}
