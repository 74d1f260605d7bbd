//! Creates and deletes the incarnations of an ordered consumer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::source::Source;
use crate::client::{ConnectionLost, unique_name};
use crate::connection::Status;
use crate::datetime::{DateTime, add_std_duration};
use crate::jetstream::decide::ordered::{CreateFault, Created, StreamSeen};
use crate::jetstream::error::{ConsumerError, ConsumerErrorKind, RequestErrorKind};
use crate::jetstream::run::access::Access;
use crate::jetstream::run::call::{CallFailed, Effect, Empty};
use crate::jetstream::wire::{
    Call, ConsumerConfig, ConsumerInfo, CreateAction, CreateRequest, DeliverPolicy, ErrorCode, Filter, Name, StreamInfo,
};
use crate::message::OutboundMessage;
use crate::{Client, SubscribeError};

/// The first attempts are given up early: what they have created after all is deleted once another one is there.
const ATTEMPT: Duration = Duration::from_secs(2);

/// How long the state of the stream is waited for.
const STATE: Duration = Duration::from_secs(1);

/// How far the clocks of servers may differ, while nothing better is known of a stream than when a consumer was created.
const CLOCKS: Duration = Duration::from_secs(2);

/// Creates and deletes the incarnations of an ordered consumer.
#[derive(Debug)]
pub(in crate::jetstream) struct Maker {
    access: Access,
    /// The first incarnation, which existed before.
    first: String,
    /// What the names of the others begin with.
    base: String,
    stream: String,
    /// But for the name, the start, and what the source configures.
    config: ConsumerConfig,
    age: Mutex<Age>,
}

/// What is known of when the stream was created.
#[derive(Debug, Clone, Copy)]
enum Age {
    /// Before then.
    AtLeast(DateTime),
    /// Then.
    Exactly(DateTime),
    /// The first question had no answer: perhaps the user may not ask it.
    Unknown,
}

/// The outcome of an attempt.
pub(in crate::jetstream) struct Made<S> {
    pub(in crate::jetstream) incarnation: u64,
    pub(in crate::jetstream) outcome: Result<(S, Created), (Option<S>, CreateFailed)>,
}

/// Why an attempt has failed: for the machine, and for people.
#[derive(Debug)]
pub(in crate::jetstream) struct CreateFailed {
    pub(in crate::jetstream) fault: CreateFault,
    pub(in crate::jetstream) error: ConsumerError,
}

impl Maker {
    /// Continues the consumer that `info` describes.
    pub(in crate::jetstream) fn new(access: Access, config: ConsumerConfig, info: &ConsumerInfo) -> Maker {
        // Nobody else has these names, even if two programs give their consumers the same one.
        let base = format!("{}_{}", info.name, unique_name());
        let age = add_std_duration(info.created, CLOCKS).map_or(Age::Unknown, Age::AtLeast);
        Maker { access, first: info.name.clone(), base, stream: info.stream_name.clone(), config, age: Mutex::new(age) }
    }

    pub(in crate::jetstream) fn client(&self) -> &Client {
        &self.access.client
    }

    pub(in crate::jetstream) fn stream(&self) -> &str {
        &self.stream
    }

    pub(in crate::jetstream) fn config(&self) -> &ConsumerConfig {
        &self.config
    }

    pub(in crate::jetstream) fn access(&self) -> &Access {
        &self.access
    }

    /// The name of an incarnation.
    pub(in crate::jetstream) fn name(&self, incarnation: u64) -> String {
        match incarnation {
            0 => self.first.clone(),
            _ => format!("{}_{incarnation}", self.base),
        }
    }

    /// Creates an incarnation once there is a connection. `prepared` is what a former attempt on the same one has left.
    pub(in crate::jetstream) async fn make<S: Source>(
        self: Arc<Self>,
        incarnation: u64,
        from: DeliverPolicy,
        attempt: u32,
        prepared: Option<S>,
    ) -> Made<S> {
        let outcome = self.attempt(incarnation, from, attempt, prepared).await;
        Made { incarnation, outcome }
    }

    async fn attempt<S: Source>(
        &self,
        incarnation: u64,
        from: DeliverPolicy,
        attempt: u32,
        prepared: Option<S>,
    ) -> Result<(S, Created), (Option<S>, CreateFailed)> {
        if !self.connected().await {
            return Err((prepared, ConsumerError::from(ConsumerErrorKind::Request).into()));
        }
        // It is never closed.
        let _permit = self.access.permits.acquire().await.ok();
        let source = match prepared {
            Some(source) => source,
            None => S::open(self, incarnation).await.map_err(|error| (None, error.into()))?,
        };
        let name = self.name(incarnation);
        let mut config = ConsumerConfig { name: Some(name), deliver_policy: from, ..self.config.clone() };
        source.configure(&mut config);
        match self.create(&config, ATTEMPT.saturating_mul(1 << attempt.min(8))).await {
            Ok(info) => match self.stream_seen().await {
                Ok(seen) => Ok((source, created(&info, seen))),
                Err(failed) => Err((Some(source), failed.after_creation())),
            },
            Err(failed) => Err((Some(source), failed)),
        }
    }

    /// Waits for a connection. `false`: there will be none.
    async fn connected(&self) -> bool {
        let client = &self.access.client;
        let mut status = client.status_watch();
        client.connected_since().is_some() || status.wait_for(Status::Connected).await
    }

    async fn create(&self, config: &ConsumerConfig, patience: Duration) -> Result<ConsumerInfo, CreateFailed> {
        let invalid = |invalid| CreateFailed::from(CallFailed::from(invalid));
        let name = config.name.as_deref().unwrap_or_default();
        let filter = match config.filter_subject.as_str() {
            "" => None,
            filter => Some(Filter::new(filter).map_err(invalid)?),
        };
        let stream = Name::stream(&self.stream).map_err(invalid)?;
        let call = Call::ConsumerCreate { stream, consumer: Name::consumer(name).map_err(invalid)?, filter };
        let request = CreateRequest { stream_name: &self.stream, config, action: CreateAction::Create };
        Ok(self.access.ask(call, &request, Effect::Changes, patience).await?)
    }

    /// What the stream has now: whether it is still the same one, and what it has lost. If the first question has no answer, the
    /// user may not ask it, and it is not asked again.
    async fn stream_seen(&self) -> Result<Option<StreamSeen>, CreateFailed> {
        let known = *self.age.lock().unwrap_or_else(PoisonError::into_inner);
        let (Age::AtLeast(_) | Age::Exactly(_), Ok(stream)) = (known, Name::stream(&self.stream)) else {
            return Ok(None);
        };
        let call = Call::StreamInfo { stream };
        let info: Result<StreamInfo, _> = self.access.ask(call, &Empty {}, Effect::Changes, STATE).await;
        let (age, seen) = match (info.map_err(CreateFailed::from), known) {
            (Ok(info), known) => {
                let replaced = match known {
                    Age::AtLeast(time) => info.created > time,
                    Age::Exactly(time) => info.created != time,
                    Age::Unknown => false,
                };
                let (first, last) = (info.state.first_sequence, info.state.last_sequence);
                (Age::Exactly(info.created), Some(StreamSeen { first, last, replaced }))
            }
            (Err(CreateFailed { fault: CreateFault::NoResponders | CreateFault::Unanswered, .. }), Age::AtLeast(_)) => {
                (Age::Unknown, None)
            }
            (Err(failed), _) => return Err(failed),
        };
        *self.age.lock().unwrap_or_else(PoisonError::into_inner) = age;
        Ok(seen)
    }

    /// Deletes an incarnation: one attempt, which nobody waits for. What is left over, the server deletes after the consumer's
    /// inactive threshold.
    pub(in crate::jetstream) fn delete(&self, incarnation: u64) {
        let name = self.name(incarnation);
        let (Ok(stream), Ok(consumer)) = (Name::stream(&self.stream), Name::consumer(&name)) else { return };
        let subject = self.access.prefix.subject(Call::ConsumerDelete { stream, consumer }).into();
        let request = OutboundMessage { subject, reply: None, payload: Bytes::new(), headers: None };
        let _ = self.access.client.try_publish_message(request);
    }
}

/// What the machine needs to know of an incarnation.
pub(in crate::jetstream) fn created(info: &ConsumerInfo, stream: Option<StreamSeen>) -> Created {
    let delivered = info.delivered;
    Created {
        before: delivered.stream_sequence,
        delivered: delivered.consumer_sequence,
        pending: info.num_pending,
        stream,
    }
}

impl CreateFailed {
    /// The consumer was created before that.
    fn after_creation(self) -> CreateFailed {
        match self.fault {
            CreateFault::Interrupted => self,
            _ => CreateFailed { fault: CreateFault::Unanswered, ..self },
        }
    }
}

impl From<ConsumerError> for CreateFailed {
    fn from(error: ConsumerError) -> CreateFailed {
        CreateFailed { fault: CreateFault::Unanswered, error }
    }
}

impl From<SubscribeError> for CreateFailed {
    fn from(error: SubscribeError) -> CreateFailed {
        error.of_kind(ConsumerErrorKind::Request).into()
    }
}

impl From<CallFailed> for CreateFailed {
    fn from(failed: CallFailed) -> CreateFailed {
        let fault = match &failed {
            CallFailed::Unanswered(error) if error.source_as::<ConnectionLost>().is_some() => CreateFault::Interrupted,
            CallFailed::Unanswered(error) if error.kind() == RequestErrorKind::NoResponders => {
                CreateFault::NoResponders
            }
            CallFailed::Unanswered(_) => CreateFault::Unanswered,
            CallFailed::Refused(error) => match error.error_code() {
                ErrorCode::CONSUMER_NAME_EXIST | ErrorCode::CONSUMER_ALREADY_EXISTS => CreateFault::NameTaken,
                ErrorCode::STREAM_NOT_FOUND => CreateFault::NoStream,
                code if code.is_temporary() => CreateFault::NotNow,
                _ => CreateFault::Refused,
            },
        };
        CreateFailed { fault, error: failed.into_error() }
    }
}
