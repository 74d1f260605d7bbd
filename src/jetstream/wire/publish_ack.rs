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
    /// Whether this is an acknowledgement at all: a reply that names no stream came from somebody else.
    #[must_use]
    pub fn names_a_stream(&self) -> bool {
        !self.stream.is_empty()
    }
}
