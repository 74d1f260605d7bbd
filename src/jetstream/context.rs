//! The context: a client's access to JetStream.

mod batch;
mod builder;
mod judging;
mod publishing;
mod retrying;
mod streams;
pub mod traits;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::run::access::Access;
use super::run::acks::AckLimit;
use super::run::call::{self, CallFailed, Effect, Empty};
use super::run::deliveries::{Answer, Deliveries};
use super::run::publications::Publications;
use super::wire::{Account, AckKind, Call, InvalidName, Prefix};
use crate::client::Request;
use crate::error::Error;
use crate::{Client, Message, ToSubject};

pub use super::error::{
    AccountError, AccountErrorKind, BatchPublishError, BatchPublishErrorKind, ConsumerInfoError, ConsumerInfoErrorKind,
    CreateStreamError, CreateStreamErrorKind, DeleteStreamError, DeleteStreamErrorKind, GetStreamByNameError,
    GetStreamByNameErrorKind, GetStreamError, GetStreamErrorKind, PublishError, PublishErrorKind, RequestError,
    RequestErrorKind, StreamsError, StreamsErrorKind, UpdateStreamError, UpdateStreamErrorKind,
};
pub use super::run::deliveries::DeliveryCounts;
pub use super::run::publications::PublishCounts;
pub use batch::AtomicBatch;
pub use builder::{ContextBuilder, No, ToAssign, Yes};
pub use publishing::{PublishAckFuture, PublishAckReply};
pub use retrying::{PublishOutcome, RetryOptions};
pub use streams::{StreamNames, Streams};

/// The former name of [`PublishMessage`](super::message::PublishMessage).
#[deprecated(note = "renamed to message::PublishMessage")]
pub type Publish = super::message::PublishMessage;

/// A client's access to JetStream: streams, publishing, consumers and the account.
///
/// Clones share the client and the limits, and cost one reference count. A context starts no task and can be made outside of a
/// runtime.
///
/// Each call has one deadline, which covers waiting for a server, the request and its answer: the context's
/// [`timeout`](ContextBuilder::timeout), or else the client's [`request_timeout`](crate::ConnectOptions::request_timeout)
/// (10 s). While disconnected, requests wait for the next connection. If a connection is lost before the answer, a request that
/// only reads is sent again, and one that changes something fails, since nobody can tell whether it did: its source is a
/// [`ConnectionLost`](crate::client::ConnectionLost). A cluster without a leader is asked again until the deadline.
///
/// ```no_run
/// # async fn example() -> Result<(), nats_lifeline::Error> {
/// use nats_lifeline::jetstream;
///
/// let client = nats_lifeline::connect("demo.nats.io").await?;
/// let context = jetstream::new(client);
/// let orders = context.get_or_create_stream(jetstream::stream::Config {
///     name: "ORDERS".to_owned(),
///     subjects: vec!["orders.>".to_owned()],
///     ..Default::default()
/// }).await?;
/// println!("{} messages", orders.cached_info().state.messages);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Context {
    inner: Arc<Inner>,
    /// In the context of a delivered message, that message's: the message has only the fields that async-nats's has.
    answer: Answer,
}

#[derive(Clone, Debug)]
pub(super) struct Inner {
    pub(super) client: Client,
    pub(super) prefix: Result<Prefix, InvalidName>,
    /// `None`: the client's.
    pub(super) timeout: Option<Duration>,
    /// Limits how many requests wait for their answers.
    pub(super) turns: Option<Arc<Semaphore>>,
    pub(super) acks: AckLimit,
    /// Whether a publisher waits for a permit.
    pub(super) waits_for_acks: bool,
    pub(super) deliveries: Arc<Deliveries>,
    pub(super) publications: Arc<Publications>,
    /// Limits how many ordered consumers are being created again.
    pub(super) recreations: Arc<Semaphore>,
}

impl Context {
    pub(super) fn with(inner: Inner) -> Context {
        Context { inner: Arc::new(inner), answer: Answer::none() }
    }

    /// The context of a message that a consumer is about to deliver. `answered`: whether the consumer wants an acknowledgement;
    /// then the message is counted as open from now on.
    pub(super) fn of_a_delivery(&self, answered: bool) -> Context {
        let answer = match answered {
            true => Answer::open(),
            false => Answer::none(),
        };
        if answered {
            self.inner.deliveries.delivered();
        }
        Context { inner: Arc::clone(&self.inner), answer }
    }

    /// Counts this answer to the message that this is the context of, if it is final and the first one.
    pub(super) fn count_answer(&self, kind: AckKind) {
        if kind.is_final() && self.answer.close() {
            self.inner.deliveries.answered(kind);
        }
    }

    /// Sets the timeout of this context's calls. Clones that were made before keep theirs.
    pub fn set_timeout(&mut self, timeout: Duration) {
        Arc::make_mut(&mut self.inner).timeout = Some(timeout);
    }

    /// The client.
    pub fn client(&self) -> Client {
        self.inner.client.clone()
    }

    /// What the account may use, and what it uses.
    ///
    /// # Errors
    ///
    /// [`JetStreamUnavailable`](AccountErrorKind::JetStreamUnavailable) if JetStream is not enabled for the account or domain.
    ///
    /// ```no_run
    /// # async fn example(context: nats_lifeline::jetstream::Context) -> Result<(), nats_lifeline::Error> {
    /// let account = context.query_account().await?;
    /// println!("{} streams, {} bytes on disks", account.streams, account.storage);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn query_account(&self) -> Result<Account, AccountError> {
        self.call(Call::Account, &Empty {}, Effect::Reads).await.map_err(CallFailed::into_error)
    }

    /// What became of the messages that consumers of this context and its clones delivered.
    ///
    /// ```no_run
    /// # fn example(context: nats_lifeline::jetstream::Context) {
    /// let counts = context.delivery_counts();
    /// println!("{} of {} messages are being processed", counts.open(), counts.delivered);
    /// # }
    /// ```
    pub fn delivery_counts(&self) -> DeliveryCounts {
        self.inner.deliveries.counts()
    }

    /// Sends a request to the API and reads the answer. `subject` comes after the prefix, such as `STREAM.NAMES`. Nearly always
    /// `V` is a [`Response`](crate::jetstream::response::Response), since a server may refuse.
    ///
    /// # Errors
    ///
    /// As [`RequestErrorKind`] says.
    ///
    /// ```no_run
    /// # async fn example(context: nats_lifeline::jetstream::Context) -> Result<(), nats_lifeline::Error> {
    /// use nats_lifeline::jetstream::response::Response;
    ///
    /// let answer: Response<serde_json::Value> = context.request("STREAM.INFO.ORDERS", &()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn request<S, T, V>(&self, subject: S, payload: &T) -> Result<V, RequestError>
    where
        S: ToSubject,
        T: ?Sized + Serialize,
        V: DeserializeOwned,
    {
        let subject = format!("{}.{}", self.prefix()?.as_str(), subject.to_subject());
        let body = call::encode(payload)?;
        let call = self.prepare(subject, Effect::Changes);
        let _turn = self.turn(&call).await?;
        let answer = call.raw(body).await.map_err(RequestError::from)?;
        call.read(&answer.payload)
    }

    /// Sends a request to the API and doesn't wait for the answer, which goes to the request's inbox, if it has one.
    /// `subject` comes after the prefix.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`](crate::Client::publish).
    pub async fn send_request<S: ToSubject>(&self, subject: S, request: Request) -> Result<(), crate::PublishError> {
        let prefix = self.inner.prefix.as_ref();
        let prefix =
            prefix.map_err(|invalid| Error::with_source(crate::PublishErrorKind::InvalidSubject, invalid.clone()))?;
        let subject = format!("{}.{}", prefix.as_str(), subject.to_subject());
        let client = &self.inner.client;
        let inbox = request.inbox.unwrap_or_else(|| client.new_inbox());
        let (payload, headers) = (request.payload.unwrap_or_default(), request.headers);
        match headers {
            None => client.publish_with_reply(subject, inbox, payload).await,
            Some(headers) => client.publish_with_reply_and_headers(subject, inbox, headers, payload).await,
        }
    }
}

/// For the rest of JetStream.
impl Context {
    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// What a consumer's stream needs for requests.
    pub(super) fn access(&self) -> Result<Access, RequestError> {
        let Inner { client, timeout, recreations, .. } = &*self.inner;
        let (timeout, permits) = (timeout.or_else(|| client.timeout()), Arc::clone(recreations));
        Ok(Access { client: client.clone(), prefix: self.prefix()?.clone(), timeout, permits })
    }

    /// What comes before the verb of each request.
    pub(super) fn prefix(&self) -> Result<&Prefix, RequestError> {
        Ok(self.inner.prefix.as_ref().map_err(InvalidName::clone)?)
    }

    /// The subject of a request.
    pub(super) fn subject_of(&self, call: Call<'_>) -> Result<String, RequestError> {
        Ok(self.prefix()?.subject(call))
    }

    /// How long a call may take; `None`: for ever.
    pub(super) fn call_timeout(&self) -> Option<Duration> {
        self.inner.timeout.or_else(|| self.inner.client.timeout())
    }

    fn prepare(&self, subject: String, effect: Effect) -> call::Call<'_> {
        let deadline = self.call_timeout().and_then(|timeout| Client::clock().checked_add(timeout));
        call::Call { client: &self.inner.client, subject: subject.into(), effect, deadline }
    }

    /// Waits until another request may be sent.
    async fn turn(&self, call: &call::Call<'_>) -> Result<Option<impl Drop + use<>>, RequestError> {
        let Some(turns) = &self.inner.turns else { return Ok(None) };
        let turn = Arc::clone(turns).acquire_owned();
        match self.inner.client.until(call.deadline, turn).await {
            Some(Ok(turn)) => Ok(Some(turn)),
            // It is never closed.
            Some(Err(_)) | None => Err(RequestErrorKind::TimedOut.into()),
        }
    }

    /// One request of the API.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        body: &(impl Serialize + ?Sized),
        effect: Effect,
    ) -> Result<T, CallFailed> {
        let call = self.prepare(self.subject_of(call)?, effect);
        let _turn = self.turn(&call).await?;
        call.json(body).await
    }

    /// One request with an answer that is no document.
    pub(super) async fn call_raw(&self, call: Call<'_>, body: bytes::Bytes) -> Result<Message, crate::RequestError> {
        let invalid = |error: RequestError| error.of_kind(crate::RequestErrorKind::InvalidSubject);
        let call = self.prepare(self.subject_of(call).map_err(invalid)?, Effect::Reads);
        let _turn = match self.turn(&call).await {
            Ok(turn) => turn,
            Err(error) => return Err(error.of_kind(crate::RequestErrorKind::TimedOut)),
        };
        call.raw(body).await
    }
}
