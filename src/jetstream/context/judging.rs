//! What the answer to a published message means.

use crate::client::Answer;
use crate::error::Error;
use crate::jetstream;
use crate::jetstream::error::{PublishError, PublishErrorKind};
use crate::jetstream::run::publications::Known;
use crate::jetstream::wire::{ErrorCode, PublishAck, Response};
use crate::message;
use crate::protocol::{SubjectFault, check_subscribe_subject, shown};

/// What an answer means for the message.
pub(super) enum Judged {
    Final(Known, Result<PublishAck, PublishError>),
    /// Nobody had it, and it may be stored later.
    NotStoredYet(PublishError),
}

impl Judged {
    /// What is known if it is not sent again.
    pub(super) fn known(&self) -> Known {
        match self {
            Judged::Final(known, _) => *known,
            Judged::NotStoredYet(error) => unstored(error),
        }
    }
}

/// What is known of a message that was not stored, and is not sent again.
pub(super) fn unstored(error: &PublishError) -> Known {
    if error.source_as::<jetstream::Error>().is_some() { Known::Refused } else { Known::NotSent }
}

pub(super) fn judged(outcome: Result<Answer, crate::RequestError>) -> Judged {
    let answer = match outcome {
        Ok(answer) => answer,
        Err(error) if !error.is_safe_to_repeat() => return Judged::Final(Known::InDoubt, Err(error.into())),
        Err(error) if error.kind() == crate::RequestErrorKind::NoResponders => {
            return Judged::NotStoredYet(error.into());
        }
        Err(error) => return Judged::Final(Known::NotSent, Err(error.into())),
    };
    let other =
        |reason: crate::Error| Judged::Final(Known::InDoubt, Err(Error::with_source(PublishErrorKind::Other, reason)));
    if let Some(ack) = PublishAck::plain(answer.payload()).filter(PublishAck::names_a_stream) {
        return Judged::Final(Known::Stored { duplicate: false }, Ok(ack));
    }
    match serde_json::from_slice::<Response<PublishAck>>(answer.payload()) {
        Ok(Response::Ok(ack)) if !ack.names_a_stream() => other(NotAnAck.into()),
        Ok(Response::Ok(ack)) => Judged::Final(Known::Stored { duplicate: ack.duplicate }, Ok(ack)),
        Ok(Response::Err { error }) if may_be_stored_later(error.error_code()) => Judged::NotStoredYet(error.into()),
        Ok(Response::Err { error }) => Judged::Final(Known::Refused, Err(PublishError::from(error))),
        Err(error) => other(error.into()),
    }
}

/// Whether a refusal means that the stream's servers are busy with something else for a moment. A full stream is not among them,
/// although it has a code of its own class: it stays full.
fn may_be_stored_later(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CLUSTER_NOT_AVAILABLE
            | ErrorCode::CLUSTER_NOT_LEADER
            | ErrorCode::STREAM_OFFLINE
            | ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT
            | ErrorCode::STREAM_EXPECTED_LAST_SEQ_PER_SUBJECT_NOT_READY
            | ErrorCode::STREAM_TOO_MANY_REQUESTS
    )
}

/// Why no stream will ever have the message, if its subject is one that none can have. Servers accept it, and say only that nobody
/// listens.
pub(super) fn never_stored(message: &message::OutboundMessage) -> Option<PublishError> {
    let fault = check_subscribe_subject(message.subject.as_bytes()).err()?;
    let subject = shown(message.subject.as_str()).to_string();
    Some(PublishError::with_source(PublishErrorKind::StreamNotFound, NoSubject { subject, fault }))
}

#[derive(Debug, thiserror::Error)]
#[error("{subject:?}")]
struct NoSubject {
    subject: String,
    #[source]
    fault: SubjectFault,
}

/// Another program has answered, which stores nothing.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not the acknowledgement of a stream")]
struct NotAnAck;

/// "not sent" alone would contradict that it was.
#[derive(Debug, thiserror::Error)]
#[error("it was not stored when it was sent ({first}), and could not be sent again{}", reason(.last))]
pub(super) struct NotSentAgain {
    first: PublishError,
    #[source]
    last: Option<crate::Error>,
}

fn reason(last: &Option<crate::Error>) -> String {
    last.as_ref().map(|last| format!(": {last}")).unwrap_or_default()
}

impl NotSentAgain {
    /// The error of a message that was not stored for the reason `first`, and could not be sent again for the reason `last`.
    pub(super) fn after(first: PublishError, last: PublishError) -> PublishError {
        let kind = last.kind();
        Error::with_source(kind, NotSentAgain { first, last: last.into_source() })
    }
}
