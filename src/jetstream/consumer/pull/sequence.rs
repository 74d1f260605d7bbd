//! Batches, one after the other.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Cx, Poll};
use std::time::Duration;

use super::options::PullRefused;
use super::{Batch, BatchError, BatchErrorKind, Config, MessagesError, MessagesErrorKind};
use crate::error::Error;
use crate::jetstream::consumer::Consumer;
use crate::jetstream::wire::PullFault;

/// How long each batch waits.
const EXPIRES: Duration = Duration::from_secs(60);

type Next = Pin<Box<dyn Future<Output = Result<Batch, BatchError>> + Send>>;

/// Batches of a pull consumer, one after the other: see [`Consumer::sequence`]. It never ends by itself; each batch does.
#[must_use = "it asks for nothing until it is polled"]
pub struct Sequence {
    consumer: Consumer<Config>,
    messages: usize,
    next: Option<Next>,
}

impl Sequence {
    pub(super) fn new(consumer: &Consumer<Config>, messages: usize) -> Result<Sequence, BatchError> {
        if consumer.is_pinned() {
            return Err(BatchErrorKind::PinnedClient.into());
        }
        if messages == 0 {
            return Err(Error::with_source(BatchErrorKind::Pull, PullRefused::from(PullFault::EmptyBatch)));
        }
        Ok(Sequence { consumer: consumer.clone(), messages, next: None })
    }
}

impl futures_core::Stream for Sequence {
    type Item = Result<Batch, MessagesError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let next = this.next.get_or_insert_with(|| Box::pin(this.consumer.clone().batch_of(this.messages, EXPIRES)));
        let batch = std::task::ready!(next.as_mut().poll(cx));
        this.next = None;
        Poll::Ready(Some(batch.map_err(|error| Error::with_source(MessagesErrorKind::Pull, error))))
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequence")
            .field("consumer", &self.consumer.info.name)
            .field("messages", &self.messages)
            .finish()
    }
}
