//! The subscriber: the stream of a subscription's messages.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;

use super::error::UnsubscribeError;
use super::message::Message;
use super::wait;
use crate::driver::{Block, Command, Handle, Inbox, Next, Share, Shared};
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
    subject: Subject,
    /// The share being read.
    current: Option<Share>,
    /// Small messages of the current share are taken from it.
    block: Block,
    /// The messages of the last batch; empty between batches.
    pub(super) batch: Vec<Share>,
    delivered: u64,
    asked: Asked,
    /// How long a call waits for room.
    publish_timeout: Duration,
    /// The numbers of the messages in the last share; earlier messages were read or dropped.
    taken: Range<u64>,
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
    /// Bytes of the unread messages, except those of the batch being read.
    pub pending_bytes: usize,
    /// The highest number of unread messages so far.
    pub most_pending: usize,
    /// The highest number of unread bytes so far.
    pub most_pending_bytes: usize,
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("sid", &self.sid)
            .field("delivered", &self.delivered)
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

impl Subscriber {
    pub(super) fn new(
        handle: Arc<Handle>,
        inbox: Arc<Inbox>,
        sid: u64,
        subject: Subject,
        publish_timeout: Duration,
    ) -> Subscriber {
        let asked = Asked::Messages;
        let block = Block::default();
        Subscriber {
            handle,
            inbox,
            sid,
            subject,
            current: None,
            block,
            batch: Vec::new(),
            delivered: 0,
            asked,
            publish_timeout,
            taken: 0..0,
        }
    }

    /// The subscription's id, as the server knows it.
    pub fn sid(&self) -> u64 {
        self.sid
    }

    /// Messages that were read from this stream.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Messages that were lost because this stream was read too slowly.
    pub fn dropped(&self) -> u64 {
        self.inbox.dropped()
    }

    /// Messages that were received and not yet read.
    pub fn pending(&self) -> usize {
        self.inbox.pending().0 + self.current.as_ref().map_or(0, Share::count)
    }

    /// All counters together: `delivered + dropped + pending` is everything that was received.
    pub fn counts(&self) -> SubscriberCounts {
        let (most_pending, most_pending_bytes) = self.inbox.most_pending();
        SubscriberCounts {
            delivered: self.delivered,
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
        let _ = wait::room_for_command(&self.handle, self.publish_timeout).await;
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
        wait::room_for_call_within(&self.handle, true, self.publish_timeout)
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
        let _ = wait::room_for_command(&self.handle, self.publish_timeout).await;
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

impl Stream for Subscriber {
    type Item = Message;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let this = &mut *self;
        loop {
            if let Some(share) = &mut this.current {
                this.delivered += 1;
                if share.count() > 1 {
                    // Two paths, so that the usual message is made where the caller gets it: it is so large that moving it
                    // would cost a fifth of all the work for a message.
                    let raw = this.block.next(share);
                    return match raw.headers() {
                        Some(block) => Poll::Ready(Some(Message::with_headers(&raw, &this.subject, block))),
                        None => Poll::Ready(Some(Message::plain(&raw, &this.subject))),
                    };
                }
                return Poll::Ready(this.take_last());
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
        let share = self.current.take()?;
        let message = Message::from_raw(&self.block.first(&share), &self.subject);
        self.block.clear();
        self.done();
        Some(message)
    }

    /// Nothing is in hand any more.
    fn done(&mut self) {
        if self.inbox.share_done() {
            self.handle.shared.command(Command::LastTaken { sid: self.sid });
        }
    }

    /// Moves messages that are ready, at least one and at most `most`, into `batch`. `false` at the end.
    pub(super) fn poll_batch(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<bool> {
        if self.current.is_none() && ready!(self.poll_share(cx)).is_none() {
            return Poll::Ready(false);
        }
        self.block.clear();
        let mut room = most;
        while room > 0 {
            let Some(mut share) = self.current.take().or_else(|| self.ready_share()) else { break };
            if let Some(taken) = share.cut(room) {
                self.batch.push(taken);
                self.current = Some(share);
                break;
            }
            room -= share.count();
            self.batch.push(share);
        }
        Poll::Ready(true)
    }

    fn ready_share(&mut self) -> Option<Share> {
        match self.inbox.try_next()? {
            Next::Share { share, at, wake_task } => Some(self.receive(share, at, wake_task)),
            Next::Finished | Next::End => None,
        }
    }

    fn receive(&mut self, share: Share, at: u64, wake_task: bool) -> Share {
        self.taken = at..at + share.count() as u64;
        if wake_task {
            self.handle.shared.wake();
        }
        share
    }

    /// The subject of the subscription.
    pub(super) fn own_subject(&self) -> &Subject {
        &self.subject
    }

    /// The batch was read.
    pub(super) fn finish_batch(&mut self) {
        let messages: usize = self.batch.iter().map(Share::count).sum();
        self.batch.clear();
        self.delivered += messages as u64;
        if messages > 0 && self.current.is_none() {
            self.done();
        }
    }

    /// Gets the next share; `None` at the end.
    pub(super) fn poll_share(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        loop {
            // Once per share, not per message: a consumer that never waits must yield now and then.
            let turn = ready!(tokio::task::coop::poll_proceed(cx));
            match ready!(self.inbox.poll_next(cx)) {
                Next::Share { share, at, wake_task } => {
                    turn.made_progress();
                    self.current = Some(self.receive(share, at, wake_task));
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
        self.inbox.unread() + self.current.as_ref().map_or(0, |share| share.count() as u64)
    }

    /// Counts dropped messages, also after the stream is gone.
    pub(super) fn shared_inbox(&self) -> Arc<Inbox> {
        Arc::clone(&self.inbox)
    }
}

/// Access for `GapStream`.
impl Subscriber {
    pub(super) fn has_share(&self) -> bool {
        self.current.is_some()
    }

    pub(super) fn taken(&self) -> Range<u64> {
        self.taken.clone()
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
