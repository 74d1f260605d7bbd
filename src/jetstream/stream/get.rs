//! Single messages of a stream: from its leader, or from any replica.

use std::marker::PhantomData;

use bytes::Bytes;

use crate::error::Error;
use crate::jetstream::context::Context;
use crate::jetstream::error::{DirectGetError, DirectGetErrorKind, LastRawMessageErrorKind, RawMessageError};
use crate::jetstream::run::call::{self, CallFailed, Effect};
use crate::jetstream::stream::Stream;
use crate::jetstream::wire::{
    Call, DirectGetRequest, Filter, InvalidName, Name, RawMessageAnswer, RawMessageRequest, StreamMessage,
};
use crate::{Message, StatusCode};

/// The answer has the message's headers.
#[derive(Debug)]
pub struct WithHeaders;

/// The answer has no headers.
#[derive(Debug)]
pub struct WithoutHeaders;

/// The payload of a stored message.
#[derive(Debug, Clone)]
pub struct StreamValue {
    /// The payload.
    pub data: Bytes,
}

impl<I> Stream<I> {
    /// Asks any replica for a message. The stream must [allow it](crate::jetstream::stream::Config::allow_direct).
    ///
    /// A replica may be behind the leader: a message that was just stored may not be there yet (ADR-31).
    ///
    /// ```no_run
    /// # async fn example(orders: nats_lifeline::jetstream::stream::Stream) -> Result<(), nats_lifeline::Error> {
    /// let next = orders.direct_get_builder().sequence(100).next_by_subject("orders.new").send().await?;
    /// println!("{}: {} bytes", next.sequence, next.payload.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn direct_get_builder(&self) -> DirectGetBuilder<WithHeaders> {
        DirectGetBuilder {
            context: self.context().clone(),
            stream: self.name().to_owned(),
            request: DirectGetRequest::default(),
            state: PhantomData,
        }
    }

    /// The first message with this subject from `sequence` on, from any replica; `None`: from the beginning. Wildcards are
    /// allowed.
    ///
    /// # Errors
    ///
    /// [`NotFound`](DirectGetErrorKind::NotFound) if there is none.
    pub async fn direct_get_next_for_subject<T: Into<String>>(
        &self,
        subject: T,
        sequence: Option<u64>,
    ) -> Result<StreamMessage, DirectGetError> {
        let builder = self.direct_get_builder().next_by_subject(subject);
        match sequence {
            Some(sequence) => builder.sequence(sequence).send().await,
            None => builder.send().await,
        }
    }

    /// The first message with this subject, from any replica. Wildcards are allowed.
    ///
    /// # Errors
    ///
    /// [`NotFound`](DirectGetErrorKind::NotFound) if there is none.
    pub async fn direct_get_first_for_subject<T: Into<String>>(
        &self,
        subject: T,
    ) -> Result<StreamMessage, DirectGetError> {
        self.direct_get_next_for_subject(subject, None).await
    }

    /// The message with this number, from any replica.
    ///
    /// # Errors
    ///
    /// [`NotFound`](DirectGetErrorKind::NotFound) if there is none, and [`Request`](DirectGetErrorKind::Request) for 0, which no message
    /// has.
    pub async fn direct_get(&self, sequence: u64) -> Result<StreamMessage, DirectGetError> {
        self.direct_get_builder().sequence(sequence).send().await
    }

    /// The last message with this subject, from any replica.
    ///
    /// # Errors
    ///
    /// [`NotFound`](DirectGetErrorKind::NotFound) if there is none.
    pub async fn direct_get_last_for_subject<T: Into<String>>(
        &self,
        subject: T,
    ) -> Result<StreamMessage, DirectGetError> {
        self.direct_get_builder().last_by_subject(subject).send().await
    }

    /// Asks the leader for a message.
    pub fn raw_message_builder(&self) -> RawMessageBuilder<WithHeaders> {
        RawMessageBuilder {
            context: self.context().clone(),
            stream: self.name().to_owned(),
            request: RawMessageRequest::default(),
            state: PhantomData,
        }
    }

    /// The message with this number, from the leader.
    ///
    /// # Errors
    ///
    /// [`NoMessageFound`](LastRawMessageErrorKind::NoMessageFound) if there is none, and [`Other`](LastRawMessageErrorKind::Other) for 0,
    /// which no message has.
    pub async fn get_raw_message(&self, sequence: u64) -> Result<StreamMessage, RawMessageError> {
        self.raw_message_builder().sequence(sequence).send().await
    }

    /// The first message with this subject from `sequence` on, from the leader. Wildcards are allowed.
    ///
    /// # Errors
    ///
    /// As [`get_raw_message`](Stream::get_raw_message).
    pub async fn get_first_raw_message_by_subject<T: AsRef<str>>(
        &self,
        subject: T,
        sequence: u64,
    ) -> Result<StreamMessage, RawMessageError> {
        self.raw_message_builder().sequence(sequence).next_by_subject(subject.as_ref()).send().await
    }

    /// The first message with this subject, from the leader. Wildcards are allowed.
    ///
    /// # Errors
    ///
    /// As [`get_raw_message`](Stream::get_raw_message).
    pub async fn get_next_raw_message_by_subject<T: AsRef<str>>(
        &self,
        subject: T,
    ) -> Result<StreamMessage, RawMessageError> {
        self.raw_message_builder().next_by_subject(subject.as_ref()).send().await
    }

    /// The last message with this subject, from the leader. Wildcards are allowed.
    ///
    /// # Errors
    ///
    /// As [`get_raw_message`](Stream::get_raw_message).
    pub async fn get_last_raw_message_by_subject(
        &self,
        stream_subject: &str,
    ) -> Result<StreamMessage, RawMessageError> {
        self.raw_message_builder().last_by_subject(stream_subject).send().await
    }
}

/// Declares how to say which message a builder asks for.
macro_rules! which_message {
    ($builder:ident) => {
        impl<T> $builder<T> {
            /// Sets the number of the message, or of the first one that may be the [next by subject](Self::next_by_subject).
            pub fn sequence(mut self, seq: u64) -> Self {
                self.request.sequence = Some(seq);
                self
            }

            /// Asks for the last message with this subject.
            pub fn last_by_subject<S: Into<String>>(mut self, subject: S) -> Self {
                self.request.last_by_subject = Some(subject.into());
                self
            }

            /// Asks for the next message with this subject. Wildcards are allowed.
            pub fn next_by_subject<S: Into<String>>(mut self, subject: S) -> Self {
                self.request.next_by_subject = Some(subject.into());
                self
            }
        }
    };
}

/// The rule that a choice of a message breaks.
fn broken_rule(sequence: Option<u64>, last: &Option<String>, next: &Option<String>) -> Option<&'static str> {
    match (sequence, last, next) {
        (Some(_), Some(_), _) | (_, Some(_), Some(_)) => Some("last_by_subject excludes sequence and next_by_subject"),
        (None, None, None) => Some("nothing says which message: sequence, last_by_subject or next_by_subject"),
        // With the next of a subject it is the beginning.
        (Some(0), None, None) => Some("sequence 0; messages are numbered from 1"),
        _ => None,
    }
}

which_message!(DirectGetBuilder);
which_message!(RawMessageBuilder);

/// Which message to get from any replica, from [`Stream::direct_get_builder`].
#[derive(Debug)]
#[must_use = "it asks for nothing until it is sent"]
pub struct DirectGetBuilder<T = WithHeaders> {
    context: Context,
    stream: String,
    request: DirectGetRequest,
    state: PhantomData<T>,
}

impl<T> DirectGetBuilder<T> {
    async fn ask(self) -> Result<Message, DirectGetError> {
        let DirectGetBuilder { context, stream, request, .. } = self;
        let invalid = |invalid: InvalidName| Error::with_source(DirectGetErrorKind::InvalidSubject, invalid);
        let stream = Name::stream(&stream).map_err(invalid)?;
        let subjects = [&request.last_by_subject, &request.next_by_subject];
        for subject in subjects.into_iter().flatten() {
            Filter::new(subject).map_err(invalid)?;
        }
        if let Some(rule) = broken_rule(request.sequence, &request.last_by_subject, &request.next_by_subject) {
            return Err(Error::with_source(DirectGetErrorKind::Request, rule));
        }
        let answer = match &request.last_by_subject {
            // A body there would be refused (ADR-31).
            Some(subject) => {
                let subject = Filter::new(subject).map_err(invalid)?;
                context.call_raw(Call::DirectGetLast { stream, subject }, Bytes::new()).await?
            }
            None => context.call_raw(Call::DirectGet { stream }, call::encode(&request)?).await?,
        };
        checked(answer)
    }
}

impl DirectGetBuilder<WithHeaders> {
    /// Asks for the message.
    ///
    /// # Errors
    ///
    /// [`NotFound`](DirectGetErrorKind::NotFound) if there is none;
    /// [`ErrorResponse`](DirectGetErrorKind::ErrorResponse) with 503 if the stream does not exist, or does not allow this;
    /// [`Request`](DirectGetErrorKind::Request) if nothing, or too much, says which message; the source names the rule.
    pub async fn send(self) -> Result<StreamMessage, DirectGetError> {
        let Message { headers, payload, .. } = self.ask().await?;
        Ok(StreamMessage::from_direct(headers.unwrap_or_default(), payload)?)
    }
}

impl DirectGetBuilder<WithoutHeaders> {
    /// Asks for the payload.
    ///
    /// # Errors
    ///
    /// As with headers.
    pub async fn send(self) -> Result<StreamValue, DirectGetError> {
        self.ask().await.map(|answer| StreamValue { data: answer.payload })
    }
}

/// A message is an answer without a status.
pub(super) fn checked(answer: Message) -> Result<Message, DirectGetError> {
    let Some(status) = answer.status.filter(|status| *status != StatusCode::OK) else { return Ok(answer) };
    let text = answer.description.unwrap_or_default();
    let kind = match status {
        StatusCode::NOT_FOUND => DirectGetErrorKind::NotFound,
        StatusCode::TIMEOUT => DirectGetErrorKind::InvalidSubject,
        _ => return Err(DirectGetErrorKind::ErrorResponse(status, text).into()),
    };
    Err(Error::with_source(kind, format!("{status} {text}")))
}

/// Which message to get from the leader, from [`Stream::raw_message_builder`].
#[derive(Debug)]
#[must_use = "it asks for nothing until it is sent"]
pub struct RawMessageBuilder<T = WithHeaders> {
    context: Context,
    stream: String,
    request: RawMessageRequest,
    state: PhantomData<T>,
}

impl<T> RawMessageBuilder<T> {
    async fn ask(self) -> Result<StreamMessage, RawMessageError> {
        let RawMessageBuilder { context, stream, request, .. } = self;
        let invalid = |invalid: InvalidName| Error::with_source(LastRawMessageErrorKind::InvalidSubject, invalid);
        let stream = Name::stream(&stream).map_err(invalid)?;
        for subject in [&request.last_by_subject, &request.next_by_subject].into_iter().flatten() {
            Filter::new(subject).map_err(invalid)?;
        }
        // "bad request" is all that a server says.
        if let Some(rule) = broken_rule(request.sequence, &request.last_by_subject, &request.next_by_subject) {
            return Err(Error::with_source(LastRawMessageErrorKind::Other, rule));
        }
        let answer: RawMessageAnswer = context
            .call(Call::StreamMessageGet { stream }, &request, Effect::Reads)
            .await
            .map_err(CallFailed::into_error::<RawMessageError>)?;
        answer
            .message
            .try_into()
            .map_err(|fault: crate::Error| Error::with_source(LastRawMessageErrorKind::Other, fault))
    }
}

impl RawMessageBuilder<WithHeaders> {
    /// Asks for the message.
    ///
    /// # Errors
    ///
    /// [`NoMessageFound`](LastRawMessageErrorKind::NoMessageFound) if there is none; [`Other`](LastRawMessageErrorKind::Other) if nothing,
    /// or too much, says which message; the source names the rule.
    pub async fn send(self) -> Result<StreamMessage, RawMessageError> {
        self.ask().await
    }
}

impl RawMessageBuilder<WithoutHeaders> {
    /// Asks for the payload.
    ///
    /// # Errors
    ///
    /// As with headers.
    pub async fn send(self) -> Result<StreamValue, RawMessageError> {
        self.ask().await.map(|message| StreamValue { data: message.payload })
    }
}
