//! What JetStream refuses requests with: an HTTP-like code, nats-server's error code, and a text.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: u16,
    pub(super) err_code: u16,
    pub(super) text: String,
}

impl Fault {
    pub(super) fn new(code: u16, err_code: u16, text: impl Into<String>) -> Self {
        Self { code, err_code, text: text.into() }
    }

    fn bad_json(error: &serde_json::Error) -> Self {
        Self::new(400, 10025, format!("invalid JSON: {error}"))
    }

    /// Reads a document as Go does, for which null is the same as nothing.
    pub(super) fn or_document<T: DeserializeOwned>(body: &[u8]) -> Result<T, Self> {
        let document = serde_json::from_slice(body).map(without_nulls).and_then(serde_json::from_value);
        document.map_err(|error| Self::bad_json(&error))
    }

    pub(super) fn bad_request() -> Self {
        Self::new(400, 10003, "bad request")
    }

    pub(super) fn no_stream() -> Self {
        Self::new(404, 10059, "stream not found")
    }

    pub(super) fn no_consumer() -> Self {
        Self::new(404, 10014, "consumer not found")
    }

    pub(super) fn no_message() -> Self {
        Self::new(404, 10037, "no message found")
    }

    /// A stream's configuration that no server accepts.
    pub(super) fn bad_stream(text: impl Into<String>) -> Self {
        Self::new(500, 10052, text)
    }

    /// What this model does not have.
    pub(super) fn not_here(what: &str) -> Self {
        Self::new(500, 10052, format!("the broker for tests does not support {what}"))
    }

    pub(super) fn wrong_sequence(last: u64) -> Self {
        Self::new(400, 10071, format!("wrong last sequence: {last}"))
    }

    pub(super) fn json(&self) -> Value {
        json!({ "code": self.code, "err_code": self.err_code, "description": self.text })
    }
}

fn without_nulls(document: Value) -> Value {
    match document {
        Value::Object(fields) => {
            let set = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(set.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}
