//! The subscriber: the stream of a subscription's messages.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::error::UnsubscribeError;
use super::message::Message;
use super::wait;
use crate::driver::{Command, Handle, Inbox, Next, Reading, Share, Shared};
use crate::engine::EndReason;
use crate::protocol::Subject;

/// A subscription: a stream of [`Message`]s. Dropping it unsubscribes.
///
/// It survives reconnects, unless a server refuses it: then the stream ends, [`end_reason`](Subscriber::end_reason) is
/// [`Refused`](EndReason::Refused), and the next connection does not request it again. Messages that were published
/// while no server had this subscription are not received: core NATS delivers only to current subscribers. If the
/// reader is too slow, the client briefly waits for it; then messages beyond
/// [`subscription_capacity`](crate::ConnectOptions::subscription_capacity) are dropped and counted by
/// [`dropped`](Subscriber::dropped).
#[must_use = "dropping a subscriber ends its subscription"]
pub struct Subscriber {
    handle: Arc<Handle>,
    inbox: Arc<Inbox>,
    sid: u64,
    /// The share being read. `None` while the subscription is idle.
    reading: Option<Box<Reading>>,
    delivered: u64,
    /// How many messages were taken from the inbox, or dropped before.
    taken: u64,
    asked: Asked,
}

/// What the user has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Messages,
    Drain,
    End,
}

/// The counters of a subscription: see [`Subscriber::counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriberCounts {
    /// Messages that were read from the stream.
    pub delivered: u64,
    /// Messages that were lost because the stream was read too slowly.
    pub dropped: u64,
    /// Messages that were received and not yet read.
    pub pending: usize,
    /// Bytes of the unread messages, except those that the stream has already taken from the queue to return them one by one.
    pub pending_bytes: usize,
    /// The highest number of unread messages so far, without those for which there was no room.
    pub most_pending: usize,
    /// The highest number of unread bytes so far, without those for which there was no room.
    pub most_pending_bytes: usize,
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("sid", &self.sid)
            .field("delivered", &self.delivered())
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

impl Subscriber {
    pub(super) fn new(handle: Arc<Handle>, inbox: Arc<Inbox>, sid: u64, reading: Option<Box<Reading>>) -> Subscriber {
        Subscriber { handle, inbox, sid, reading, delivered: 0, taken: 0, asked: Asked::Messages }
    }

    /// The subscription's id, as the server knows it.
    pub fn sid(&self) -> u64 {
        self.sid
    }

    /// Messages that were read from this stream.
    pub fn delivered(&self) -> u64 {
        // While a batch is borrowed nobody can ask: one that is still there was forgotten instead of dropped.
        self.delivered + self.in_batch() as u64
    }

    /// Messages that were lost because this stream was read too slowly.
    pub fn dropped(&self) -> u64 {
        self.inbox.dropped()
    }

    /// Messages that were received and not yet read.
    pub fn pending(&self) -> usize {
        self.inbox.pending().0 + self.in_hand()
    }

    /// All counters together: `delivered + dropped + pending` is everything that was received.
    pub fn counts(&self) -> SubscriberCounts {
        let (most_pending, most_pending_bytes) = self.inbox.most_pending();
        SubscriberCounts {
            delivered: self.delivered(),
            dropped: self.dropped(),
            pending: self.pending(),
            pending_bytes: self.inbox.pending().1,
            most_pending,
            most_pending_bytes,
        }
    }

    /// Why the subscription has ended, as soon as it is known. Messages received before can still be
    /// read.
    pub fn end_reason(&self) -> Option<EndReason> {
        self.inbox.end_reason()
    }

    /// Unsubscribes immediately. Messages that were already received can still be read; then the stream ends.
    ///
    /// # Errors
    ///
    /// If the client is closed; the stream ends in any case.
    pub async fn unsubscribe(&mut self) -> Result<(), UnsubscribeError> {
        self.open()?;
        // After the deadline the command is queued all the same: the task is not running.
        let _ = wait::room_for_command(&self.handle, self.handle.publish_timeout()).await;
        if std::mem::replace(&mut self.asked, Asked::End) < Asked::End {
            self.inbox.end_by_consumer();
            self.handle.shared.unsubscribe(self.sid);
        }
        Ok(())
    }

    /// Ends the stream when it has received `unsub_after` messages in total, over all connections; immediately if it
    /// already has. A later call replaces the number. If the new number is higher and the server
    /// had already reached the old one, the client subscribes again, and messages published in between are
    /// missed.
    ///
    /// # Errors
    ///
    /// If the client is closed, or if the server accepted no bytes for
    /// [`publish_timeout`](crate::ConnectOptions::publish_timeout) while too much was pending.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// let mut first_ten = client.subscribe("ticks").await?;
    /// first_ten.unsubscribe_after(10).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn unsubscribe_after(&mut self, unsub_after: u64) -> Result<(), UnsubscribeError> {
        self.open()?;
        wait::room_for_call_within(&self.handle, true, self.handle.publish_timeout())
            .await
            .map_err(|fault| UnsubscribeError::new(fault.to_string()))?;
        self.handle.shared.command(Command::UnsubscribeAfter { sid: self.sid, max: unsub_after });
        Ok(())
    }

    /// Unsubscribes, and ends the stream after every message that the server had sent before it processed the UNSUB.
    ///
    /// While disconnected, the stream ends after the messages that were already received.
    ///
    /// # Errors
    ///
    /// If the client is closed.
    pub async fn drain(&mut self) -> Result<(), UnsubscribeError> {
        self.open()?;
        // After the deadline the command is queued all the same: the task is not running.
        let _ = wait::room_for_command(&self.handle, self.handle.publish_timeout()).await;
        if self.asked < Asked::Drain {
            self.asked = Asked::Drain;
            self.handle.shared.drain_subscription(self.sid);
        }
        Ok(())
    }

    fn open(&self) -> Result<(), UnsubscribeError> {
        match self.handle.shared.ended() {
            Some(reason) => Err(UnsubscribeError::new(reason.to_string())),
            None => Ok(()),
        }
    }
}

impl Subscriber {
    /// Messages of the share being read.
    fn in_hand(&self) -> usize {
        self.reading.as_ref().map_or(0, |reading| reading.count())
    }

    /// Whether any message was received and not yet read. Cheap as long as there is one.
    #[cfg(feature = "jetstream")]
    pub(crate) fn has_unread(&self) -> bool {
        self.in_hand() > 0 || self.inbox.unread() > 0
    }

    /// Messages of the batch that is being read.
    pub(super) fn in_batch(&self) -> usize {
        self.reading.as_ref().map_or(0, |reading| reading.in_batch())
    }
}

impl Stream for Subscriber {
    type Item = Message;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let this = &mut *self;
        loop {
            if let Some(reading) = &mut this.reading {
                if let Some(share) = &mut reading.share {
                    this.delivered += 1;
                    if share.count() > 1 {
                        // Two paths, so that the usual message is made where the caller gets it: it is so large that moving
                        // it would cost a fifth of all the work for a message.
                        let raw = reading.block.next(share);
                        return match raw.headers() {
                            Some(block) => Poll::Ready(Some(Message::with_headers(&raw, &reading.subject, block))),
                            None => Poll::Ready(Some(Message::plain(&raw, &reading.subject))),
                        };
                    }
                    return Poll::Ready(this.take_last());
                }
            }
            if ready!(this.poll_share(cx)).is_none() {
                return Poll::Ready(None);
            }
        }
    }
}

impl Subscriber {
    /// The last message of the share in hand.
    #[inline(never)]
    fn take_last(&mut self) -> Option<Message> {
        let reading = self.reading.as_mut()?;
        let share = reading.share.take()?;
        let message = Message::from_raw(&reading.block.first(&share), &reading.subject);
        reading.end();
        self.done();
        Some(message)
    }

    /// Nothing is in hand any more.
    fn done(&mut self) {
        if self.inbox.share_done() {
            self.handle.shared.command(Command::LastTaken { sid: self.sid });
        }
    }

    /// Collects messages that are ready, at least one and at most `most`. `false` at the end.
    pub(super) fn poll_batch(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<bool> {
        if self.has_share() {
            // Once per batch, as once per share: shares may be left over for ever.
            ready!(tokio::task::coop::poll_proceed(cx)).made_progress();
        } else if ready!(self.poll_share(cx)).is_none() {
            return Poll::Ready(false);
        }
        let mut room = most;
        while let Some(reading) = &mut self.reading {
            room = reading.collect(room);
            if room == 0 {
                break;
            }
            let Some(Next::Share { share, at, wake_task }) = self.inbox.try_next() else { break };
            self.begin(share, at, wake_task);
        }
        Poll::Ready(true)
    }

    fn begin(&mut self, share: Share, at: u64, wake_task: bool) {
        self.taken = at + share.count() as u64;
        self.reading.get_or_insert_default().begin(share);
        if wake_task {
            self.handle.shared.wake();
        }
    }

    /// The collected messages were read.
    pub(super) fn finish_batch(&mut self) {
        let messages = self.reading.as_mut().map_or(0, |reading| reading.finish_batch());
        self.delivered += messages as u64;
        if messages > 0 && !self.has_share() {
            self.done();
        }
    }

    /// The collected messages, and the subject that most of them carry.
    pub(super) fn batch(&self) -> (&[Share], Option<&Subject>) {
        self.reading.as_ref().map_or((&[], None), |reading| (reading.batch(), Some(&reading.subject)))
    }

    /// Gets the next share; `None` at the end.
    pub(super) fn poll_share(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        // A forgotten batch, if the stream is read after it: the inbox may free what it is in.
        self.finish_batch();
        loop {
            // Once per share, not per message: a consumer that never waits must yield now and then.
            let turn = ready!(tokio::task::coop::poll_proceed(cx));
            match ready!(self.inbox.poll_next(cx, &mut self.reading)) {
                Next::Share { share, at, wake_task } => {
                    turn.made_progress();
                    self.begin(share, at, wake_task);
                    return Poll::Ready(Some(()));
                }
                Next::Finished => self.handle.shared.command(Command::Finished { sid: self.sid }),
                Next::End => return Poll::Ready(None),
            }
        }
    }
}

/// Access for the router.
impl Subscriber {
    /// Receives nothing more, and returns how many received messages were not read. After it,
    /// [`delivered`](Subscriber::delivered), these and [`dropped`](Subscriber::dropped) are all that was received.
    pub(super) fn end_unread(&mut self) -> u64 {
        self.inbox.end_by_consumer();
        self.inbox.unread() + self.in_hand() as u64
    }

    /// Counts dropped messages, also after the stream is gone.
    pub(super) fn shared_inbox(&self) -> Arc<Inbox> {
        Arc::clone(&self.inbox)
    }
}

/// Access for `GapStream`.
impl Subscriber {
    pub(super) fn has_share(&self) -> bool {
        self.reading.as_ref().is_some_and(|reading| reading.share.is_some())
    }

    /// The number of the next message to be read; earlier messages were read or dropped.
    pub(super) fn next_number(&self) -> u64 {
        self.taken - self.in_hand() as u64
    }

    pub(super) fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.handle.shared
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // Payloads and their owners are dropped here, outside of any lock.
        drop(self.inbox.abandon());
        if self.asked == Asked::End || self.inbox.ended_by_task() {
            return;
        }
        self.handle.shared.unsubscribe(self.sid);
    }
}
