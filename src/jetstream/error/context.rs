//! Errors of the context's calls.

use crate::error::Error;
use crate::jetstream::wire;

/// The kinds of different calls say only one of the reasons.
const NOBODY_ANSWERS: &str =
    "nobody answers: JetStream is not enabled for the account or domain, or what is asked about does not exist";
const NOBODY_STORES: &str =
    "nobody stores the subject: there is no such stream, or JetStream is not enabled for the account or domain";

/// Why a request to the JetStream API has no answer.
pub type RequestError = Error<RequestErrorKind>;

/// The kinds of [`RequestError`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RequestErrorKind {
    /// Nobody listens: JetStream is not enabled for the account or domain, or the stream or consumer does not exist.
    #[error("requested JetStream resource does not exist")]
    NoResponders,
    /// No answer within the timeout.
    #[error("timed out")]
    TimedOut,
    /// The subject of the request is invalid; the source names it and the rule.
    #[error("invalid subject")]
    InvalidSubject,
    /// Anything else, with its source: a lost connection, a closed client, or an answer that can't be read.
    #[error("request failed")]
    Other,
}

impl From<crate::RequestError> for RequestError {
    fn from(error: crate::RequestError) -> Self {
        use crate::RequestErrorKind as Kind;
        let kind = match error.kind() {
            Kind::TimedOut => RequestErrorKind::TimedOut,
            Kind::NoResponders => return Error::with_source(RequestErrorKind::NoResponders, NOBODY_ANSWERS),
            Kind::InvalidSubject => RequestErrorKind::InvalidSubject,
            Kind::MaxPayloadExceeded | Kind::Other => RequestErrorKind::Other,
        };
        error.of_kind(kind)
    }
}

impl From<wire::InvalidName> for RequestError {
    /// An error of kind [`InvalidSubject`](RequestErrorKind::InvalidSubject) with the name and its rule as its source.
    fn from(invalid: wire::InvalidName) -> Self {
        Error::with_source(RequestErrorKind::InvalidSubject, invalid)
    }
}

impl From<wire::Error> for RequestError {
    /// An error of kind [`Other`](RequestErrorKind::Other) with the server's error as its source.
    fn from(error: wire::Error) -> Self {
        Error::with_source(RequestErrorKind::Other, error)
    }
}

/// Why a list of streams ended early.
pub type StreamsError = RequestError;

/// The kinds of [`StreamsError`].
pub type StreamsErrorKind = RequestErrorKind;

/// Why there is no information about the account.
pub type AccountError = Error<AccountErrorKind>;

/// The kinds of [`AccountError`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AccountErrorKind {
    /// No answer within the timeout.
    #[error("timed out")]
    TimedOut,
    /// The server refused.
    #[error("JetStream error: {0}")]
    JetStream(wire::Error),
    /// Nobody answers: no server has JetStream for the domain. Of an account without JetStream, servers that have it say so:
    /// [`JetStream`](AccountErrorKind::JetStream) with
    /// [`JETSTREAM_NOT_ENABLED_FOR_ACCOUNT`](crate::jetstream::ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT).
    #[error("JetStream unavailable")]
    JetStreamUnavailable,
    /// Anything else, with its source.
    #[error("error")]
    Other,
}

impl From<RequestError> for AccountError {
    fn from(error: RequestError) -> Self {
        let kind = match error.kind() {
            RequestErrorKind::NoResponders => AccountErrorKind::JetStreamUnavailable,
            RequestErrorKind::TimedOut => AccountErrorKind::TimedOut,
            RequestErrorKind::InvalidSubject | RequestErrorKind::Other => AccountErrorKind::Other,
        };
        error.of_kind(kind)
    }
}

impl From<wire::Error> for AccountError {
    fn from(error: wire::Error) -> Self {
        AccountErrorKind::JetStream(error).into()
    }
}

/// Why a stream was not created.
pub type CreateStreamError = Error<CreateStreamErrorKind>;

/// The kinds of [`CreateStreamError`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CreateStreamErrorKind {
    /// The configuration has no name.
    #[error("stream name cannot be empty")]
    EmptyStreamName,
    /// The name would not be a token of a subject; the source names it and the rule.
    #[error("stream name cannot contain `.`, `_`")]
    InvalidStreamName,
    /// A mirror or a source has both a domain and an external API.
    #[error("domain and external are both set")]
    DomainAndExternalSet,
    /// Nobody answers: no server has JetStream for the domain. Of an account without JetStream, servers that have it say so:
    /// [`JetStream`](CreateStreamErrorKind::JetStream) with
    /// [`JETSTREAM_NOT_ENABLED_FOR_ACCOUNT`](crate::jetstream::ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT).
    #[error("jetstream unavailable")]
    JetStreamUnavailable,
    /// The server refused.
    #[error("jetstream error: {0}")]
    JetStream(wire::Error),
    /// No answer within the timeout.
    #[error("jetstream request timed out")]
    TimedOut,
    /// There is no answer for another reason, which is the source.
    #[error("response error")]
    Response,
    /// There is no stream of this name to update.
    #[error("stream not found")]
    NotFound,
    /// The server's answer can't be read.
    #[error("failed to parse server response")]
    ResponseParse,
}

impl From<wire::Error> for CreateStreamError {
    fn from(error: wire::Error) -> Self {
        match error.error_code() {
            wire::ErrorCode::STREAM_NOT_FOUND => Error::with_source(CreateStreamErrorKind::NotFound, error),
            _ => CreateStreamErrorKind::JetStream(error).into(),
        }
    }
}

impl From<RequestError> for CreateStreamError {
    fn from(error: RequestError) -> Self {
        let kind = match error.kind() {
            RequestErrorKind::NoResponders => CreateStreamErrorKind::JetStreamUnavailable,
            RequestErrorKind::TimedOut => CreateStreamErrorKind::TimedOut,
            RequestErrorKind::InvalidSubject => CreateStreamErrorKind::InvalidStreamName,
            RequestErrorKind::Other if error.source_as::<serde_json::Error>().is_some() => {
                CreateStreamErrorKind::ResponseParse
            }
            RequestErrorKind::Other => CreateStreamErrorKind::Response,
        };
        error.of_kind(kind)
    }
}

/// Why a stream was not changed.
pub type UpdateStreamError = CreateStreamError;

/// The kinds of [`UpdateStreamError`].
pub type UpdateStreamErrorKind = CreateStreamErrorKind;

/// Why a stream was not found.
pub type GetStreamError = Error<GetStreamErrorKind>;

/// The kinds of [`GetStreamError`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GetStreamErrorKind {
    /// The name is empty.
    #[error("empty name cannot be empty")]
    EmptyName,
    /// There is no answer, for the reason that is the source.
    #[error("request error")]
    Request,
    /// The name would not be a token of a subject; the source names it and the rule.
    #[error("invalid stream name")]
    InvalidStreamName,
    /// The server refused: [`STREAM_NOT_FOUND`](crate::jetstream::ErrorCode::STREAM_NOT_FOUND) if there is no such stream.
    #[error("jetstream error: {0}")]
    JetStream(wire::Error),
}

impl From<RequestError> for GetStreamError {
    fn from(error: RequestError) -> Self {
        Error::with_source(GetStreamErrorKind::Request, error)
    }
}

impl From<wire::Error> for GetStreamError {
    fn from(error: wire::Error) -> Self {
        GetStreamErrorKind::JetStream(error).into()
    }
}

/// Why a stream was not deleted.
pub type DeleteStreamError = GetStreamError;

/// The kinds of [`DeleteStreamError`].
pub type DeleteStreamErrorKind = GetStreamErrorKind;

/// Why no stream was found for a subject.
pub type GetStreamByNameError = Error<GetStreamByNameErrorKind>;

/// The kinds of [`GetStreamByNameError`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GetStreamByNameErrorKind {
    /// There is no answer, for the reason that is the source.
    #[error("request error")]
    Request,
    /// No stream stores this subject.
    #[error("stream not found")]
    NotFound,
    /// The subject is invalid; the source names it and the rule.
    #[error("invalid subject")]
    InvalidSubject,
    /// The server refused.
    #[error("jetstream error: {0}")]
    JetStream(wire::Error),
}

impl From<RequestError> for GetStreamByNameError {
    fn from(error: RequestError) -> Self {
        Error::with_source(GetStreamByNameErrorKind::Request, error)
    }
}

impl From<wire::Error> for GetStreamByNameError {
    fn from(error: wire::Error) -> Self {
        GetStreamByNameErrorKind::JetStream(error).into()
    }
}

/// Why a message was not stored, or why that is not known.
pub type PublishError = Error<PublishErrorKind>;

/// The kinds of [`PublishError`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PublishErrorKind {
    /// No stream stores the subject, its servers have no leader, or JetStream is not enabled for the account. The message was not stored.
    #[error("no stream found for given subject")]
    StreamNotFound,
    /// The last stored message has another id than the expected one. The message was not stored.
    #[error("wrong last message id")]
    WrongLastMessageId,
    /// The last stored message has another number than the expected one. The message was not stored.
    #[error("wrong last sequence")]
    WrongLastSequence,
    /// No acknowledgement in time. The message may have been stored, unless the source says that it was not sent.
    #[error("timed out: didn't receive ack in time")]
    TimedOut,
    /// The connection was lost, or the client was closed. The message may have been stored, unless the error comes from `publish`
    /// itself.
    #[error("broken pipe")]
    BrokenPipe,
    /// Too many acknowledgements are pending. The message was not sent.
    #[error("max ack pending reached")]
    MaxAckPending,
    /// The message is larger than the server accepts. It was not sent.
    #[error("max payload size exceeded")]
    MaxPayloadExceeded,
    /// Anything else, with its source. If that is a [`jetstream::Error`](crate::jetstream::Error), the message was not stored.
    #[error("publish failed")]
    Other,
}

impl From<crate::RequestError> for PublishError {
    fn from(error: crate::RequestError) -> Self {
        use crate::RequestErrorKind as Kind;
        let lost = error.source_as::<crate::client::ConnectionLost>().is_some();
        let ended = error.source_as::<crate::connection::EndReason>().is_some();
        let kind = match error.kind() {
            Kind::TimedOut => PublishErrorKind::TimedOut,
            Kind::NoResponders => return Error::with_source(PublishErrorKind::StreamNotFound, NOBODY_STORES),
            Kind::MaxPayloadExceeded => PublishErrorKind::MaxPayloadExceeded,
            Kind::Other if lost || ended => PublishErrorKind::BrokenPipe,
            // "publish failed" does not say that it is the subject.
            Kind::InvalidSubject => return Error::with_source(PublishErrorKind::Other, error),
            Kind::Other => PublishErrorKind::Other,
        };
        error.of_kind(kind)
    }
}

impl From<wire::Error> for PublishError {
    fn from(error: wire::Error) -> Self {
        let kind = match error.error_code() {
            wire::ErrorCode::STREAM_WRONG_LAST_MESSAGE_ID => PublishErrorKind::WrongLastMessageId,
            code if code.is_wrong_last_sequence() => PublishErrorKind::WrongLastSequence,
            _ => PublishErrorKind::Other,
        };
        Error::with_source(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_error_says_that_it_is_the_subject() {
        let rule = crate::Error::from("blank at byte 2");
        let error = crate::RequestError::with_source(crate::RequestErrorKind::InvalidSubject, rule);
        let error = PublishError::from(error);
        assert_eq!(error.kind(), PublishErrorKind::Other);
        assert_eq!(error.to_string(), "publish failed: invalid subject: blank at byte 2");
    }
}
