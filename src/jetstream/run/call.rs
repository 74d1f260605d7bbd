//! One request to the JetStream API: sent, repeated where that is safe, and its answer read.

use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::pauses::Pauses;
use crate::client::ConnectionLost;
use crate::jetstream::error::{RequestError, RequestErrorKind};
use crate::jetstream::wire::{Error, ErrorCode, InvalidName, Response};
use crate::{Client, Message, Request, Subject};

/// The body of a request that asks for nothing else; servers take it for an empty one.
#[derive(Debug, Serialize)]
pub(in crate::jetstream) struct Empty {}

/// What a request may do to the server's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jetstream) enum Effect {
    /// It only reads: if a connection is lost before the answer, it is sent again.
    Reads,
    /// It changes something: after a lost connection nobody knows whether it did, and that is reported.
    Changes,
}

/// A request that has no good answer.
#[derive(Debug)]
pub(in crate::jetstream) enum CallFailed {
    /// There was no answer, or none that can be read.
    Unanswered(RequestError),
    /// The server refused.
    Refused(Error),
}

impl CallFailed {
    /// The error of a call that has both as kinds.
    pub(in crate::jetstream) fn into_error<E: From<RequestError> + From<Error>>(self) -> E {
        match self {
            CallFailed::Unanswered(error) => error.into(),
            CallFailed::Refused(error) => error.into(),
        }
    }
}

impl From<RequestError> for CallFailed {
    fn from(error: RequestError) -> Self {
        CallFailed::Unanswered(error)
    }
}

impl From<InvalidName> for CallFailed {
    fn from(invalid: InvalidName) -> Self {
        CallFailed::Unanswered(invalid.into())
    }
}

/// An answer that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the answer to {subject} can't be read: {source}")]
pub(in crate::jetstream) struct BadAnswer {
    subject: Subject,
    source: serde_json::Error,
}

/// A request with its deadline.
#[derive(Debug)]
pub(in crate::jetstream) struct Call<'a> {
    pub(in crate::jetstream) client: &'a Client,
    pub(in crate::jetstream) subject: Subject,
    pub(in crate::jetstream) effect: Effect,
    /// `None`: never.
    pub(in crate::jetstream) deadline: Option<Instant>,
}

impl Call<'_> {
    /// Sends `body` and reads the answer. While the cluster has no leader, which it says without having done anything, the
    /// request is repeated.
    pub(in crate::jetstream) async fn json<T: DeserializeOwned>(
        &self,
        body: &(impl Serialize + ?Sized),
    ) -> Result<T, CallFailed> {
        let body = encode(body)?;
        let mut pauses = Pauses::default();
        loop {
            let answer = self.raw(body.clone()).await.map_err(RequestError::from)?;
            let error = match self.read::<Response<T>>(&answer.payload)? {
                Response::Ok(answer) => return Ok(answer),
                Response::Err { error } => error,
            };
            if !has_no_leader(&error) || !pauses.pause(self.client, self.deadline).await {
                return Err(CallFailed::Refused(error));
            }
        }
    }

    /// Sends `body` and returns the answer as it came.
    pub(in crate::jetstream) async fn raw(&self, body: Bytes) -> Result<Message, crate::RequestError> {
        loop {
            let left = self.deadline.map(|end| end.saturating_duration_since(Client::clock()));
            let request = Request::new().payload(body.clone()).timeout(left);
            let error = match self.client.send_request(self.subject.clone(), request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // The next request waits in the outbox for the next connection.
            let again = self.effect == Effect::Reads && error.source_as::<ConnectionLost>().is_some();
            if !again || left.is_some_and(|left| left.is_zero()) {
                return Err(error);
            }
        }
    }

    /// Reads an answer of any form.
    pub(in crate::jetstream) fn read<T: DeserializeOwned>(&self, answer: &[u8]) -> Result<T, RequestError> {
        serde_json::from_slice(answer).map_err(|source| {
            RequestError::with_source(RequestErrorKind::Other, BadAnswer { subject: self.subject.clone(), source })
        })
    }
}

/// The body of a request.
pub(in crate::jetstream) fn encode(body: &(impl Serialize + ?Sized)) -> Result<Bytes, RequestError> {
    match serde_json::to_vec(body) {
        Ok(body) => Ok(body.into()),
        Err(error) => Err(RequestError::with_source(RequestErrorKind::Other, error)),
    }
}

/// Whether the request was refused because nobody leads at the moment. It had no effect.
fn has_no_leader(error: &Error) -> bool {
    matches!(error.error_code(), ErrorCode::CLUSTER_NOT_AVAILABLE | ErrorCode::CLUSTER_NOT_LEADER)
}
