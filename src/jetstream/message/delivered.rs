//! A delivered message and its acknowledgement.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

use super::super::context::Context;
use super::super::error::{AckError, AckErrorKind};
use super::super::run::confirm::confirm;
use super::super::wire::{AckKind, AckSubject, MessageInfo, term_because};
use crate::{Client, Error, Subject};

/// A message that a consumer delivered. It derefs to the [`Message`](crate::Message) of the client.
///
/// A message of a consumer with an [`AckPolicy`](crate::jetstream::consumer::AckPolicy) other than `None` is delivered again if
/// it is not acknowledged within the consumer's `ack_wait` (30 s by default). [`ack`](Message::ack) returns when the
/// acknowledgement is queued; [`double_ack`](Message::double_ack) when the server has stored it.
///
/// While disconnected, acknowledgements are buffered and leave with the next connection. One that was on its way when the
/// connection was lost may not have been received. [`AckKind::Ack`] is then sent again: that the message was processed stays true.
/// With any other answer the message is delivered again after `ack_wait`, and its [`info`](Message::info) says `delivered` > 1.
///
/// ```no_run
/// # async fn example(message: nats_lifeline::jetstream::Message) -> Result<(), nats_lifeline::Error> {
/// use nats_lifeline::jetstream::AckKind;
/// use std::time::Duration;
///
/// match std::str::from_utf8(&message.payload) {
///     Ok(order) if order.is_empty() => message.ack_with(AckKind::Nak(Some(Duration::from_secs(5)))).await?,
///     Ok(order) => {
///         println!("{order}");
///         message.double_ack().await?;
///     }
///     Err(_) => message.ack_with(AckKind::Term).await?,
/// }
/// # Ok(())
/// # }
/// ```
///
/// A program can make one of a message that it received by a subscription, with any context. Its acknowledgements are sent as those
/// of a delivered message, but not [counted](Context::delivery_counts). Acknowledgements of a clone are counted as well, as if it was another
/// delivery; servers heed only the first.
#[derive(Clone, Debug)]
pub struct Message {
    /// The message as the client received it.
    pub message: crate::Message,
    /// The context of the consumer.
    pub context: Context,
}

/// The acknowledgement of a message, for a part of the program that does not need the message: see [`Message::split`].
pub struct Acker {
    context: Context,
    reply: Option<Subject>,
}

impl Deref for Message {
    type Target = crate::Message;

    fn deref(&self) -> &crate::Message {
        &self.message
    }
}

impl From<Message> for crate::Message {
    fn from(message: Message) -> crate::Message {
        message.message
    }
}

impl Message {
    /// A message that a consumer is about to deliver. `answered`: whether the consumer wants an acknowledgement; then the
    /// message is counted as open from now on.
    pub(in crate::jetstream) fn new(message: crate::Message, context: &Context, answered: bool) -> Message {
        Message { message, context: context.of_a_delivery(answered) }
    }

    /// Separates the acknowledgement from the message, whose `reply` is `None` then.
    pub fn split(mut self) -> (crate::Message, Acker) {
        let reply = self.message.reply.take();
        (self.message, Acker { context: self.context, reply })
    }

    /// Acknowledges the message: it is not delivered again. Returns when the acknowledgement is queued.
    ///
    /// # Errors
    ///
    /// An [`AckError`] in a box, if it is not a message of a consumer or the client accepts no messages.
    pub async fn ack(&self) -> Result<(), Error> {
        self.handle().send(Bytes::new(), AckKind::Ack).await
    }

    /// Answers with any kind of acknowledgement. Returns when it is queued.
    ///
    /// # Errors
    ///
    /// As [`ack`](Message::ack).
    pub async fn ack_with(&self, kind: AckKind) -> Result<(), Error> {
        self.handle().send(kind.into(), kind).await
    }

    /// Answers that the message is never to be delivered again, and why. Servers from 2.10.4 on tell the reason in an advisory.
    ///
    /// # Errors
    ///
    /// As [`ack`](Message::ack).
    pub async fn term_because(&self, reason: &str) -> Result<(), Error> {
        self.handle().send(term_because(reason), AckKind::Term).await
    }

    /// Acknowledges the message, and returns when the server has stored that: the message is certainly not delivered again. The
    /// context's timeout (5 s by default) covers everything. While the consumer has no leader, and after a lost connection, the
    /// acknowledgement is sent again.
    ///
    /// # Errors
    ///
    /// An [`AckError`] in a box, whose kind says what is known.
    pub async fn double_ack(&self) -> Result<(), Error> {
        self.double_ack_with(AckKind::Ack).await
    }

    /// [`double_ack`](Message::double_ack) with another kind. [`AckKind::Nak`] is not sent again after a lost connection, since
    /// the second one could concern the next delivery. [`AckKind::Next`] is refused: the server answers it with the next
    /// message.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn double_ack_with(&self, ack_kind: AckKind) -> Result<(), Error> {
        self.handle().confirm(ack_kind).await
    }

    /// Where the message stands in its stream and its consumer.
    ///
    /// # Errors
    ///
    /// If it has no reply subject, or one that is not that of a message of a consumer: the error says what is wrong with it.
    ///
    /// ```no_run
    /// # fn example(message: nats_lifeline::jetstream::Message) -> Result<(), nats_lifeline::Error> {
    /// let info = message.info()?;
    /// println!("message {} of {}, delivery {}", info.stream_sequence, info.stream, info.delivered);
    /// # Ok(())
    /// # }
    /// ```
    pub fn info(&self) -> Result<MessageInfo<'_>, Error> {
        let Some(reply) = &self.message.reply else { return Err(AckError::from(AckErrorKind::NotFromConsumer).into()) };
        Ok(AckSubject::parse(reply).and_then(|subject| subject.info())?)
    }

    fn handle(&self) -> Handle<'_> {
        Handle { context: &self.context, reply: self.message.reply.as_ref() }
    }
}

impl Acker {
    /// Acknowledges to this subject, which is the reply subject of a delivered message. The acknowledgement is
    /// [counted](Context::delivery_counts) if the context is that message's.
    pub fn new(context: Context, reply: Option<Subject>) -> Self {
        Acker { context, reply }
    }

    /// As [`Message::ack`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn ack(&self) -> Result<(), Error> {
        self.handle().send(Bytes::new(), AckKind::Ack).await
    }

    /// As [`Message::ack_with`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn ack_with(&self, kind: AckKind) -> Result<(), Error> {
        self.handle().send(kind.into(), kind).await
    }

    /// As [`Message::double_ack`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn double_ack(&self) -> Result<(), Error> {
        self.double_ack_with(AckKind::Ack).await
    }

    /// As [`Message::double_ack_with`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn double_ack_with(&self, ack_kind: AckKind) -> Result<(), Error> {
        self.handle().confirm(ack_kind).await
    }

    fn handle(&self) -> Handle<'_> {
        Handle { context: &self.context, reply: self.reply.as_ref() }
    }
}

impl fmt::Debug for Acker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acker").field("reply", &self.reply).finish_non_exhaustive()
    }
}

/// What both ways to acknowledge have.
struct Handle<'a> {
    context: &'a Context,
    reply: Option<&'a Subject>,
}

impl Handle<'_> {
    fn reply(&self) -> Result<&Subject, AckError> {
        self.reply.ok_or_else(|| AckErrorKind::NotFromConsumer.into())
    }

    async fn send(&self, payload: Bytes, kind: AckKind) -> Result<(), Error> {
        let reply = self.reply()?;
        let client = &self.context.inner().client;
        let published = match kind {
            AckKind::Ack => client.publish_repeatable(reply).await,
            _ => client.publish(reply.clone(), payload).await,
        };
        published.map_err(|error| error.of_kind(AckErrorKind::NotSent))?;
        self.context.count_answer(kind);
        Ok(())
    }

    async fn confirm(&self, kind: AckKind) -> Result<(), Error> {
        let reply = self.reply()?;
        let repeatable = match kind {
            AckKind::Ack | AckKind::Term | AckKind::Progress => true,
            AckKind::Nak(_) => false,
            AckKind::Next => return Err(AckError::from(AckErrorKind::NoConfirmation).into()),
        };
        let deadline = Client::clock().checked_add(self.context.ack_wait());
        confirm(&self.context.inner().client, reply, kind.into(), repeatable, deadline).await?;
        self.context.count_answer(kind);
        Ok(())
    }
}
