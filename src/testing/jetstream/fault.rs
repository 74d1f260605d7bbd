//! What JetStream refuses requests with: an HTTP-like code, nats-server's error code, and a text.

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

    pub(super) fn bad_json(error: &serde_json::Error) -> Self {
        Self::new(400, 10025, format!("invalid JSON: {error}"))
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
