//! Errors of the JetStream API: a number by which programs decide, and a text for people.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::protocol::{cut, shown};

/// The `err_code` of an error, which says exactly what went wrong; texts may change, this number doesn't.
///
/// Servers may know more codes than there are constants here: they are kept as numbers. 0 means that the server gave none.
///
/// ```
/// use nats_lifeline::jetstream::ErrorCode;
///
/// assert_eq!(ErrorCode::STREAM_NOT_FOUND, ErrorCode(10059));
/// assert_eq!(ErrorCode::STREAM_NOT_FOUND.name(), Some("STREAM_NOT_FOUND"));
/// assert!(ErrorCode::CLUSTER_NOT_AVAILABLE.is_temporary() && !ErrorCode::STREAM_NOT_FOUND.is_temporary());
/// ```
#[derive(Debug, PartialEq, Eq, Clone, Copy, Hash, Deserialize, Serialize, Default)]
pub struct ErrorCode(pub u64);

impl ErrorCode {
    /// The name of the constant for this code, for logs and metrics; `None` for a code that this version does not know.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        self.constant()
    }

    /// Whether the same request may succeed a little later although nothing about it has changed: a cluster that has no
    /// leader yet, a stream or consumer that is offline, a server that is out of resources or behind, or an earlier
    /// message with the same id that is just being stored.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(
            self,
            ErrorCode::CLUSTER_INCOMPLETE
                | ErrorCode::CLUSTER_NOT_AVAILABLE
                | ErrorCode::CLUSTER_NOT_LEADER
                | ErrorCode::INSUFFICIENT_RESOURCES
                | ErrorCode::STREAM_OFFLINE
                | ErrorCode::CONSUMER_OFFLINE
                | ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT
                | ErrorCode::STREAM_EXPECTED_LAST_SEQ_PER_SUBJECT_NOT_READY
                | ErrorCode::STREAM_TOO_MANY_REQUESTS
                | ErrorCode::ATOMIC_PUBLISH_TOO_MANY_INFLIGHT
                | ErrorCode::BATCH_PUBLISH_TOO_MANY_INFLIGHT
        )
    }

    /// Whether a publish was refused because a sequence number was not the expected one. Servers use two codes for it,
    /// depending on the stream's replicas.
    #[must_use]
    pub const fn is_wrong_last_sequence(self) -> bool {
        matches!(self, ErrorCode::STREAM_WRONG_LAST_SEQUENCE | ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT)
    }
}

/// An error that a server answered with.
#[derive(Debug, Serialize, Deserialize, Clone, PartialEq, Default)]
pub struct Error {
    #[serde(default)]
    code: usize,
    #[serde(default)]
    err_code: ErrorCode,
    #[serde(default)]
    description: Option<String>,
}

impl Error {
    /// The class of the error, with the meanings of HTTP: 404 is "not found", 503 "not available". Decide by
    /// [`error_code`](Error::error_code) instead where you can.
    #[must_use]
    pub fn code(&self) -> usize {
        self.code
    }

    /// What exactly went wrong.
    #[must_use]
    pub fn error_code(&self) -> ErrorCode {
        self.err_code
    }

    /// The same as [`error_code`](Error::error_code).
    #[must_use]
    pub fn kind(&self) -> ErrorCode {
        self.err_code
    }

    /// The server's text, unchanged; `None` if it gave none. [`Display`](fmt::Display) escapes and shortens it.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = cut(self.description.as_deref().unwrap_or("unknown"));
        write!(f, "{} (code {}, error code {})", shown(&text), self.code, self.err_code.0)
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Error {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_error_keeps_code_number_and_text() {
        let error = read(r#"{"code":404,"err_code":10059,"description":"stream not found"}"#);
        assert_eq!((error.code(), error.kind()), (404, ErrorCode::STREAM_NOT_FOUND));
        assert_eq!(error.to_string(), "stream not found (code 404, error code 10059)");
        let back = serde_json::to_string(&error).unwrap();
        assert_eq!(read(&back), error);
    }

    #[test]
    fn whatever_is_missing_is_unknown() {
        assert_eq!(read("{}").to_string(), "unknown (code 0, error code 0)");
        assert_eq!(read(r#"{"code":500,"description":null}"#).description(), None);
    }

    #[test]
    fn a_text_cannot_forge_a_line() {
        let error = read(r#"{"code":400,"err_code":10003,"description":"a\r\nb"}"#);
        assert_eq!(error.to_string(), "a\\r\\nb (code 400, error code 10003)");
        assert_eq!(error.description(), Some("a\r\nb"));
    }

    #[test]
    fn there_are_226_codes_without_a_gap() {
        let known = (0..20_000).filter(|code| ErrorCode(*code).name().is_some()).collect::<Vec<_>>();
        assert_eq!(known, (10_002..=10_227).collect::<Vec<_>>());
        assert_eq!(known.len(), 226);
        let temporary = known.iter().filter(|code| ErrorCode(**code).is_temporary()).collect::<Vec<_>>();
        let listed = [10_004, 10_008, 10_009, 10_023, 10_118, 10_119, 10_158, 10_163, 10_167, 10_210, 10_211];
        assert_eq!(temporary, listed.iter().collect::<Vec<_>>());
    }

    #[test]
    fn both_codes_of_a_wrong_last_sequence_are_known() {
        let wrong = (0..20_000).filter(|code| ErrorCode(*code).is_wrong_last_sequence()).collect::<Vec<_>>();
        assert_eq!(wrong, [10_071, 10_164]);
    }
}
