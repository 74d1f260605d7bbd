//! A handle that publishes on one subject: the subject is checked and encoded once, and a batch takes the lock once.

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

use super::client::Client;
use super::error::{PublishError, PublishErrorKind};
use super::publish::SIZE_ARG;
use crate::driver::Publish;
use crate::engine::counted;
use crate::protocol::{HeaderMap, PublishPrefix, Subject, ToSubject};

/// Publishes on one subject, for programs that send many messages there: see [`Client::publisher`].
///
/// Messages keep their order among all that the client and its clones publish, and limits, policies and recovery are those
/// of [`Client::publish`]; only the work for each message is less. A publisher keeps the connection alive, as a clone of
/// the client does.
#[derive(Clone)]
#[must_use = "a publisher does nothing until it publishes"]
pub struct Publisher {
    client: Client,
    subject: Subject,
    prefix: PublishPrefix,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// A batch ended early: see [`Publisher::publish_batch`].
#[derive(Debug, Error)]
#[error("published {} of a batch, and then failed: {source}", counted(*published, "message"))]
#[non_exhaustive]
pub struct PublishBatchError {
    /// Messages that were accepted, from the beginning of the batch.
    pub published: u64,
    /// Payloads that were taken from the iterator and not accepted, in order. The first one is the one that failed.
    pub unpublished: Vec<Bytes>,
    /// Why.
    pub source: PublishError,
}

impl Client {
    /// Returns a handle that publishes on `subject`.
    ///
    /// # Errors
    ///
    /// [`InvalidSubject`](PublishErrorKind::InvalidSubject), with the rule as its source; also if the subject leaves no room
    /// for the size of a payload in a control line of
    /// [`max_control_line`](crate::ConnectOptions::max_control_line) bytes.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// let ticks = client.publisher("ticks.eur")?;
    /// ticks.publish(b"1.0842").await?;
    /// ticks.publish_batch(["1.0843", "1.0841"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn publisher<S: ToSubject>(&self, subject: S) -> Result<Publisher, PublishError> {
        let subject = subject.to_subject();
        self.check(&Publish::new(subject.as_bytes(), &Bytes::new()))?;
        let (len, limit) = (subject.len() + SIZE_ARG, self.core.settings.config.max_control_line);
        if len > limit {
            let text = format!("subject and size may take {len} bytes of a control line; max_control_line is {limit}");
            let text: crate::Error = text.into();
            return Err(PublishError::with_source(PublishErrorKind::InvalidSubject, text));
        }
        Ok(Publisher { client: self.clone(), prefix: PublishPrefix::new(subject.as_bytes()), subject })
    }
}

impl Publisher {
    /// The subject.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// [`Client::publish`] on this subject. The payload is copied; use [`Client::publish`] for large ones, which it shares.
    ///
    /// # Errors
    ///
    /// Those of [`Client::publish`], except for the subject's.
    ///
    /// ```no_run
    /// # async fn example(ticks: nats_lifeline::client::Publisher) -> Result<(), nats_lifeline::Error> {
    /// ticks.publish(b"1.0842").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn publish(&self, payload: impl AsRef<[u8]>) -> Result<(), PublishError> {
        let payload = payload.as_ref();
        if self.client.shared().publish_prefixed(&self.prefix, payload) {
            return Ok(());
        }
        self.publish_usually(Bytes::copy_from_slice(payload)).await
    }

    /// [`Client::publish_with_headers`] on this subject.
    ///
    /// # Errors
    ///
    /// Those of [`publish`](Self::publish); the headers count towards the size.
    pub async fn publish_with_headers(
        &self,
        headers: &HeaderMap,
        payload: impl AsRef<[u8]>,
    ) -> Result<(), PublishError> {
        let (headers, payload) = (headers.block(), Bytes::copy_from_slice(payload.as_ref()));
        let publish = Publish::new(self.subject.as_bytes(), &payload).with_headers(headers);
        self.client.publish_accepted(publish).await
    }

    /// Publishes a message for each payload, in order. Other publishers' messages may come between.
    ///
    /// Payloads are taken from the iterator as long as there is room, about 8 KiB of messages at a time, and never under a
    /// lock: the iterator may use the client. Ok means that all messages were accepted, as with
    /// [`publish`](Self::publish). While no server is connected, the batch is buffered, and fails when the buffer is full. If
    /// the future is dropped before it is ready, or the iterator panics, the messages accepted by then are published, and no
    /// others; those taken from the iterator and not accepted are lost with the future.
    ///
    /// # Errors
    ///
    /// A [`PublishBatchError`] for the first message that [`publish`](Self::publish) would refuse: it says how many were
    /// accepted, and returns what was taken from the iterator after those.
    ///
    /// ```no_run
    /// # async fn example(ticks: nats_lifeline::client::Publisher) -> Result<(), nats_lifeline::Error> {
    /// let mut payloads = ["1.0842", "1.0843", "1.0841"].into_iter();
    /// if let Err(error) = ticks.publish_batch(&mut payloads).await {
    ///     let left = error.unpublished.len() + payloads.len();
    ///     eprintln!("{} published, {left} not: {}", error.published, error.source);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn publish_batch<I>(&self, payloads: I) -> Result<(), PublishBatchError>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let mut payloads = payloads.into_iter();
        let (mut block, mut published) = (Block::default(), 0);
        loop {
            let large = block.fill(&self.prefix, &mut payloads);
            if block.is_empty() && large.is_none() {
                return Ok(());
            }
            let sent = self.publish_block(&mut block, &mut published).await;
            let sent = match (sent, &large) {
                (Ok(()), Some(large)) => self.publish_usually(large.clone()).await.map(|()| published += 1),
                (sent, _) => sent,
            };
            if let Err(source) = sent {
                let unpublished = block.payloads().chain(large).collect();
                return Err(PublishBatchError { published, unpublished, source });
            }
        }
    }

    /// Publishes what is in the block and removes it from there. When something is in the way, the first message takes the
    /// usual path, which waits, or finds out why not.
    async fn publish_block(&self, block: &mut Block, published: &mut u64) -> Result<(), PublishError> {
        while !block.is_empty() {
            let messages = block.messages();
            if self.client.shared().publish_block(block.bytes(), messages, block.longest) {
                *published += messages;
                block.clear();
            } else {
                let first = block.payloads().next().unwrap_or_default();
                self.publish_usually(first).await?;
                *published += 1;
                block.remove_first();
            }
        }
        Ok(())
    }

    async fn publish_usually(&self, payload: Bytes) -> Result<(), PublishError> {
        self.client.publish_accepted(Publish::new(self.subject.as_bytes(), &payload)).await
    }
}

/// Encoded messages on their way from the iterator to the outbox.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    /// Where each message ends, and the length of its payload.
    ends: Vec<(usize, usize)>,
    /// The first messages of these were removed.
    removed: usize,
    /// The largest payload.
    longest: usize,
}

/// A block holds this many bytes, unless it is a single message. Arbitrary: large enough that the lock costs nothing per
/// message, and small enough that copying a block under it delays no other publisher.
const BLOCK_BYTES: usize = 8 * 1024;

/// A payload of this size or more is no part of a block: copying it twice would cost more than a lock.
const LARGE: usize = 2 * 1024;

impl Block {
    /// Takes payloads until the block is full, or a large one comes, which is returned.
    fn fill<I>(&mut self, prefix: &PublishPrefix, payloads: &mut I) -> Option<Bytes>
    where
        I: Iterator,
        I::Item: AsRef<[u8]>,
    {
        self.bytes.reserve(BLOCK_BYTES + LARGE);
        while self.bytes.len() < BLOCK_BYTES {
            let payload = payloads.next()?;
            let payload = payload.as_ref();
            if payload.len() >= LARGE {
                return Some(Bytes::copy_from_slice(payload));
            }
            prefix.encode(&mut self.bytes, payload);
            self.ends.push((self.bytes.len(), payload.len()));
            self.longest = self.longest.max(payload.len());
        }
        None
    }

    fn is_empty(&self) -> bool {
        self.removed == self.ends.len()
    }

    fn messages(&self) -> u64 {
        (self.ends.len() - self.removed) as u64
    }

    /// The messages that were not removed.
    fn bytes(&self) -> &[u8] {
        let begin = self.removed.checked_sub(1).and_then(|last| self.ends.get(last)).map_or(0, |(end, _)| *end);
        self.bytes.get(begin..).unwrap_or_default()
    }

    /// The payloads of the messages that were not removed.
    fn payloads(&self) -> impl Iterator<Item = Bytes> + '_ {
        let ends = self.ends.get(self.removed..).unwrap_or_default();
        ends.iter().map(|(end, len)| {
            // The payload is followed by a line end.
            let end = end - 2;
            Bytes::copy_from_slice(self.bytes.get(end - len..end).unwrap_or_default())
        })
    }

    fn remove_first(&mut self) {
        self.removed += 1;
        if self.is_empty() {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.removed = 0;
        self.longest = 0;
    }
}
