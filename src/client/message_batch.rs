//! Messages that are read together, borrowed from the bytes that were received.

use std::borrow::Cow;
use std::fmt;
use std::future::poll_fn;

use bytes::Bytes;

use super::message::Message;
use super::subscriber::Subscriber;
use crate::driver::{Messages, Raw, Share};
use crate::protocol::{HeaderMap, StatusCode, Subject, parse_status};

impl Subscriber {
    /// Waits for a message, and returns all that have been received by then, up to `max`, in order; 0 counts as 1. `None` when
    /// the stream has ended.
    ///
    /// The messages are borrowed from the bytes that were received: nothing is allocated or copied for each, and programs that
    /// read small messages faster than they can take them one by one need a fraction of the time. Messages read here and
    /// messages read from the stream are counted alike. A batch counts as [`delivered`](Subscriber::delivered) when it is
    /// dropped, whether its messages were looked at or not. If this future is dropped before it is ready, no message is lost.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// let mut ticks = client.subscribe("ticks.*").await?;
    /// let mut bytes = 0;
    /// while let Some(batch) = ticks.next_batch(1_000).await {
    ///     for message in &batch {
    ///         bytes += message.payload().len();
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next_batch(&mut self, max: usize) -> Option<MessageBatch<'_>> {
        // That of a batch that was forgotten instead of dropped.
        self.finish_batch();
        poll_fn(|cx| self.poll_batch(cx, max.max(1))).await.then_some(MessageBatch { subscriber: self })
    }
}

/// Messages that were received together: see [`Subscriber::next_batch`].
pub struct MessageBatch<'a> {
    subscriber: &'a mut Subscriber,
}

impl MessageBatch<'_> {
    /// How many messages it has, at least 1.
    #[allow(clippy::len_without_is_empty, reason = "no batch is empty")]
    pub fn len(&self) -> usize {
        self.subscriber.in_batch()
    }

    /// The messages, in order.
    pub fn iter(&self) -> MessageBatchIter<'_> {
        let (shares, own) = self.subscriber.batch();
        MessageBatchIter { shares: shares.iter(), messages: None, own }
    }
}

impl fmt::Debug for MessageBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Drop for MessageBatch<'_> {
    fn drop(&mut self) {
        self.subscriber.finish_batch();
    }
}

impl<'a> IntoIterator for &'a MessageBatch<'_> {
    type Item = MessageRef<'a>;
    type IntoIter = MessageBatchIter<'a>;

    fn into_iter(self) -> MessageBatchIter<'a> {
        self.iter()
    }
}

/// The messages of a [`MessageBatch`].
#[derive(Clone, Debug)]
pub struct MessageBatchIter<'a> {
    shares: std::slice::Iter<'a, Share>,
    messages: Option<Messages<'a>>,
    own: Option<&'a Subject>,
}

impl<'a> Iterator for MessageBatchIter<'a> {
    type Item = MessageRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<MessageRef<'a>> {
        loop {
            if let Some(raw) = self.messages.as_mut().and_then(Iterator::next) {
                return Some(MessageRef { raw, own: self.own });
            }
            self.messages = Some(self.shares.next()?.messages());
        }
    }
}

/// A message of a [`MessageBatch`], borrowed.
#[derive(Clone, Copy)]
pub struct MessageRef<'a> {
    raw: Raw<'a>,
    /// The subject that most messages of the subscription carry.
    own: Option<&'a Subject>,
}

impl<'a> MessageRef<'a> {
    /// The subject that the message was published to. Borrowed, unless it is not UTF-8 and has to be shown with replacement
    /// characters.
    pub fn subject(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.raw.subject_bytes())
    }

    /// Where the publisher expects an answer.
    pub fn reply(&self) -> Option<Cow<'a, str>> {
        self.raw.reply_bytes().map(String::from_utf8_lossy)
    }

    /// The content.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.raw.payload_bytes()
    }

    /// The headers, copied; `None` if the server sent no header block.
    pub fn headers(&self) -> Option<HeaderMap> {
        self.raw.header_bytes().map(|block| HeaderMap::from_wire(Bytes::copy_from_slice(block)))
    }

    /// The status from the first line of the header block, such as 503 for "no responders".
    pub fn status(&self) -> Option<StatusCode> {
        parse_status(self.raw.header_bytes()?).ok()?.0
    }

    /// Size of subject, reply subject, payload and header block together, in bytes.
    pub fn length(&self) -> usize {
        self.raw.len()
    }

    /// A message that can be kept. If it is short it is copied, so that it keeps little more memory alive than its own; a
    /// longer one shares its memory with others of its batch, as a [`Message`] from the stream does.
    pub fn to_message(&self) -> Message {
        let none = Subject::from_static("");
        self.raw.compact(|raw| Message::from_raw(raw, self.own.unwrap_or(&none)))
    }
}

impl fmt::Debug for MessageRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageRef")
            .field("subject", &self.subject())
            .field("reply", &self.reply())
            .field("length", &self.length())
            .finish_non_exhaustive()
    }
}
