//! Atomic batches: all messages of one are stored together, or none.

use crate::client::ConnectionLost;
use crate::error::Error;
use crate::jetstream::context::Context;
use crate::jetstream::error::{BatchPublishError, BatchPublishErrorKind};
use crate::jetstream::message::PublishMessage;
use crate::jetstream::wire::{PublishAck, Response};
use crate::message::OutboundMessage;
use crate::protocol::{
    NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE, NATS_EXPECTED_LAST_MESSAGE_ID,
    NATS_EXPECTED_LAST_SEQUENCE,
};
use crate::{PublishErrorKind, Request, RequestErrorKind, ToSubject};

/// As many messages does a server take (`streamDefaultMaxAtomicBatchSize` of nats-server).
const MOST: u64 = 1_000;

/// Messages that a stream stores together, or not at all: see [`Context::atomic_batch`].
#[derive(Debug)]
#[must_use = "nothing of it is stored before it is committed"]
pub struct AtomicBatch {
    context: Context,
    id: String,
    /// Messages that were sent.
    sent: u64,
    phase: Phase,
}

/// Whether the batch can still be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Every message of it was sent.
    Whole,
    /// A message is being added, or that was given up: nobody knows whether it was sent.
    Adding,
    /// A message is missing.
    Broken,
}

impl Context {
    /// Begins a batch: messages that a stream stores together, directly after each other, or not at all. The stream must [allow
    /// it](crate::jetstream::stream::Config::allow_atomic_publish) (nats-server 2.12, ADR-50).
    ///
    /// Messages are sent when they are added, and stored when the last one is committed. A batch that is dropped, or to which
    /// nothing is added for ten seconds, is forgotten by the server. So is one whose connection is lost on the way: it is
    /// refused when it is committed.
    ///
    /// ```no_run
    /// # async fn example(context: nats_lifeline::jetstream::Context) -> Result<(), nats_lifeline::Error> {
    /// use nats_lifeline::jetstream::message::PublishMessage;
    ///
    /// let mut transfer = context.atomic_batch();
    /// transfer.add("accounts.7", PublishMessage::build().payload("-20".into())).await?;
    /// let ack = transfer.commit("accounts.9", PublishMessage::build().payload("+20".into())).await?;
    /// println!("{:?} messages up to {}", ack.batch_size, ack.sequence);
    /// # Ok(())
    /// # }
    /// ```
    pub fn atomic_batch(&self) -> AtomicBatch {
        AtomicBatch { context: self.clone(), id: crate::client::unique_name(), sent: 0, phase: Phase::Whole }
    }
}

impl AtomicBatch {
    /// How many messages were added.
    pub fn len(&self) -> u64 {
        self.sent
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sent == 0
    }

    /// Adds a message. The first one waits for the server's consent, so that a stream that takes no batches says so at the
    /// beginning; the others return when they are queued.
    ///
    /// # Errors
    ///
    /// As [`BatchPublishErrorKind`] says. After an error other than
    /// [`InvalidMessage`](BatchPublishErrorKind::InvalidMessage), or after a call that was given up, the batch can't be committed any more:
    /// a message would be missing.
    pub async fn add<S: ToSubject>(&mut self, subject: S, publish: PublishMessage) -> Result<(), BatchPublishError> {
        let message = self.part(publish.outbound_message(subject).into(), false)?;
        self.phase = Phase::Adding;
        let added = self.send(message).await;
        self.phase = match &added {
            Ok(()) => Phase::Whole,
            Err(error) if error.kind() == BatchPublishErrorKind::InvalidMessage => Phase::Whole,
            Err(_) => Phase::Broken,
        };
        self.sent += u64::from(added.is_ok());
        added
    }

    async fn send(&self, message: OutboundMessage) -> Result<(), BatchPublishError> {
        if self.sent == 0 {
            return match self.ask(message).await {
                Ok(answer) if answer.payload.is_empty() => Ok(()),
                // Only an error has a payload.
                Ok(answer) => Err(refused(&answer.payload)),
                Err(error) if is_invalid(&error) => {
                    Err(Error::with_source(BatchPublishErrorKind::InvalidMessage, error))
                }
                Err(error) => Err(Error::with_source(BatchPublishErrorKind::Refused, error)),
            };
        }
        let OutboundMessage { subject, payload, headers, .. } = message;
        let sent = self.context.inner().client.publish_with_headers(subject, headers.unwrap_or_default(), payload);
        sent.await.map_err(|error| match error.kind() {
            PublishErrorKind::InvalidSubject | PublishErrorKind::MaxPayloadExceeded => {
                Error::with_source(BatchPublishErrorKind::InvalidMessage, error)
            }
            PublishErrorKind::Send => error.of_kind(BatchPublishErrorKind::NotSent),
        })
    }

    /// Adds the last message, and stores the batch. Returns the acknowledgement, which has the number of the last message, and how
    /// many they were.
    ///
    /// # Errors
    ///
    /// As [`BatchPublishErrorKind`] says.
    pub async fn commit<S: ToSubject>(
        self,
        subject: S,
        publish: PublishMessage,
    ) -> Result<PublishAck, BatchPublishError> {
        let message = self.part(publish.outbound_message(subject).into(), true)?;
        let answer = match self.ask(message).await {
            Ok(answer) => answer,
            Err(error) if error.source_as::<ConnectionLost>().is_some() => {
                return Err(error.of_kind(BatchPublishErrorKind::InDoubt));
            }
            Err(error) if error.kind() == RequestErrorKind::NoResponders => {
                return Err(Error::with_source(BatchPublishErrorKind::Refused, error));
            }
            Err(error) if is_invalid(&error) => {
                return Err(Error::with_source(BatchPublishErrorKind::InvalidMessage, error));
            }
            Err(error) if error.is_safe_to_repeat() => return Err(error.of_kind(BatchPublishErrorKind::NotSent)),
            Err(error) => return Err(error.of_kind(BatchPublishErrorKind::InDoubt)),
        };
        match serde_json::from_slice::<Response<PublishAck>>(&answer.payload) {
            Ok(Response::Ok(ack)) if ack.names_a_stream() => Ok(ack),
            Ok(Response::Err { error }) => Err(error.into()),
            Ok(Response::Ok(_)) => Err(BatchPublishErrorKind::InDoubt.into()),
            Err(error) => Err(Error::with_source(BatchPublishErrorKind::InDoubt, error)),
        }
    }

    /// The message with its place in the batch.
    fn part(&self, mut message: OutboundMessage, last: bool) -> Result<OutboundMessage, BatchPublishError> {
        match self.phase {
            Phase::Whole => {}
            Phase::Adding => return Err(Error::with_source(BatchPublishErrorKind::NotSent, "an `add` was given up")),
            Phase::Broken => return Err(Error::with_source(BatchPublishErrorKind::NotSent, "an `add` has failed")),
        }
        if self.sent >= MOST {
            let rule = format!("at most {MOST} messages");
            return Err(Error::with_source(BatchPublishErrorKind::TooLarge, rule));
        }
        let headers = message.headers.get_or_insert_default();
        let invalid = |rule: &'static str| Err(Error::with_source(BatchPublishErrorKind::InvalidMessage, rule));
        if headers.get(NATS_EXPECTED_LAST_MESSAGE_ID).is_some() {
            return invalid("a batch takes no expected last message id");
        }
        if self.sent > 0 && headers.get(NATS_EXPECTED_LAST_SEQUENCE).is_some() {
            return invalid("only the first message may expect the last sequence of the stream");
        }
        headers.insert(NATS_BATCH_ID, self.id.as_str());
        headers.insert(NATS_BATCH_SEQUENCE, (self.sent + 1).to_string().as_str());
        if last {
            headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
        }
        Ok(message)
    }

    async fn ask(&self, message: OutboundMessage) -> Result<crate::Message, crate::RequestError> {
        let OutboundMessage { subject, payload, headers, .. } = message;
        let request =
            Request::new().payload(payload).headers(headers.unwrap_or_default()).timeout(Some(self.context.ack_wait()));
        self.context.inner().client.send_request(subject, request).await
    }
}

/// Whether the message can't be sent at all, and was not.
fn is_invalid(error: &crate::RequestError) -> bool {
    matches!(error.kind(), RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded)
}

fn refused(answer: &[u8]) -> BatchPublishError {
    match serde_json::from_slice::<Response<PublishAck>>(answer) {
        Ok(Response::Err { error }) => error.into(),
        // A stream that knows no batches has stored the message.
        Ok(Response::Ok(_)) => {
            let old = "the stream stored the message by itself: its servers are older than 2.12";
            Error::with_source(BatchPublishErrorKind::Refused, old)
        }
        Err(error) => Error::with_source(BatchPublishErrorKind::Refused, error),
    }
}
