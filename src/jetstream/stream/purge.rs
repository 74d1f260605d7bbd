//! Removes messages of a stream.

use std::fmt::Debug;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;

use crate::jetstream::context::Context;
use crate::jetstream::error::{PurgeError, RequestError};
use crate::jetstream::run::call::{CallFailed, Effect};
use crate::jetstream::wire::{Call, Filter, Name, PurgeRequest, PurgeResponse};

/// It was set.
#[derive(Debug, Default)]
pub struct Yes;

/// It was not set.
#[derive(Debug, Default)]
pub struct No;

/// Whether something was set.
pub trait ToAssign: Debug {}

impl ToAssign for Yes {}
impl ToAssign for No {}

/// Which messages to remove, from [`Stream::purge`](crate::jetstream::stream::Stream::purge): await it to remove them. Nothing is removed
/// if it is dropped.
///
/// # Errors
///
/// [`PurgeErrorKind::JetStream`](crate::jetstream::stream::PurgeErrorKind::JetStream) if the server refuses; and if the connection is lost
/// before the answer, [`Request`](crate::jetstream::stream::PurgeErrorKind::Request): purging again does no harm.
#[derive(Debug)]
#[must_use = "nothing is removed before it is awaited"]
pub struct Purge<SEQUENCE, KEEP> {
    context: Context,
    stream: String,
    request: PurgeRequest,
    state: PhantomData<(SEQUENCE, KEEP)>,
}

impl Purge<No, No> {
    pub(in crate::jetstream) fn of(context: Context, stream: String) -> Purge<No, No> {
        Purge { context, stream, request: PurgeRequest::default(), state: PhantomData }
    }
}

impl<SEQUENCE: ToAssign, KEEP: ToAssign> Purge<SEQUENCE, KEEP> {
    /// Removes only messages with this subject, or with subjects that match it.
    pub fn filter<T: Into<String>>(mut self, filter: T) -> Purge<SEQUENCE, KEEP> {
        self.request.filter = Some(filter.into());
        self
    }

    fn becomes<S, K>(self) -> Purge<S, K> {
        let Purge { context, stream, request, state: _ } = self;
        Purge { context, stream, request, state: PhantomData }
    }
}

impl<KEEP: ToAssign> Purge<No, KEEP> {
    /// Keeps the last messages, this many.
    pub fn keep(mut self, keep: u64) -> Purge<No, Yes> {
        self.request.keep = Some(keep);
        self.becomes()
    }
}

impl<SEQUENCE: ToAssign> Purge<SEQUENCE, No> {
    /// Removes only messages before this one. There are none before the first one, so 0 and 1 remove nothing, and nothing is sent.
    pub fn sequence(mut self, sequence: u64) -> Purge<Yes, No> {
        self.request.sequence = Some(sequence);
        self.becomes()
    }
}

impl<SEQUENCE, KEEP> IntoFuture for Purge<SEQUENCE, KEEP>
where
    SEQUENCE: ToAssign + Send,
    KEEP: ToAssign + Send,
{
    type Output = Result<PurgeResponse, PurgeError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Purge { context, stream, request, state: _ } = self;
        Box::pin(async move {
            let stream = Name::stream(&stream).map_err(RequestError::from)?;
            if let Some(filter) = &request.filter {
                Filter::new(filter).map_err(RequestError::from)?;
            }
            // Servers take 0 for no limit, and those before 2.12.10 take 1 for it too: they would remove everything.
            if request.sequence.is_some_and(|sequence| sequence <= 1) {
                return Ok(PurgeResponse { success: true, purged: 0 });
            }
            let call = Call::StreamPurge { stream };
            context.call(call, &request, Effect::Changes).await.map_err(CallFailed::into_error)
        })
    }
}
