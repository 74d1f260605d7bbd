//! The iterator over a subscription's messages.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;

use super::wait::{self, Home, TimedOut};
use crate::client::SubscriberCounts;
use crate::connection::EndReason;
use crate::{Message, UnsubscribeError};

/// A subscription: an iterator over its [`Message`]s, which waits for the next one. Dropping it unsubscribes.
///
/// It survives reconnects, and behaves as the async [`Subscriber`](crate::Subscriber) does: during an outage it waits,
/// messages that were published while no server had this subscription are not received, and a reader that is too slow
/// loses messages, which [`dropped`](Subscriber::dropped) counts.
///
/// ```
/// # use nats_lifeline::testing::Broker;
/// # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
/// # let broker = runtime.block_on(Broker::start())?;
/// # let client = nats_lifeline::blocking::connect(broker.url())?;
/// use std::time::Duration;
///
/// let mut ticks = client.subscribe("ticks")?;
/// client.publish("ticks", "1".into())?;
/// while let Ok(Some(tick)) = ticks.next_timeout(Duration::from_millis(200)) {
///     println!("{} bytes", tick.payload.len());
/// }
/// # assert_eq!(ticks.delivered(), 1);
/// # Ok::<(), nats_lifeline::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping a subscriber ends its subscription"]
pub struct Subscriber {
    subscriber: crate::Subscriber,
    home: Home,
}

impl Subscriber {
    pub(super) fn new(subscriber: crate::Subscriber, home: Home) -> Subscriber {
        Subscriber { subscriber, home }
    }

    /// The next message, waiting for at most `timeout`, whatever the state of the connection; `None` if the
    /// subscription has ended.
    ///
    /// # Errors
    ///
    /// [`TimedOut`]. Nothing is lost by that.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Message>, TimedOut> {
        self.home.wait_for(timeout, next(&mut self.subscriber))
    }

    /// The next message, if there is one already. `None` also after the end: see
    /// [`end_reason`](Subscriber::end_reason).
    pub fn try_next(&mut self) -> Option<Message> {
        wait::now(next(&mut self.subscriber)).flatten()
    }

    /// Unsubscribes immediately. Messages that were already received can still be read; then the iterator ends.
    ///
    /// # Errors
    ///
    /// If the client is closed; the iterator ends in any case.
    pub fn unsubscribe(&mut self) -> Result<(), UnsubscribeError> {
        self.home.wait(self.subscriber.unsubscribe())
    }

    /// Ends the iterator when it has received `unsub_after` messages in total, over all connections; immediately if it
    /// already has. A later call replaces the number.
    ///
    /// # Errors
    ///
    /// As [`unsubscribe_after`](crate::Subscriber::unsubscribe_after) of the async subscriber.
    pub fn unsubscribe_after(&mut self, unsub_after: u64) -> Result<(), UnsubscribeError> {
        self.home.wait(self.subscriber.unsubscribe_after(unsub_after))
    }

    /// Unsubscribes, and ends the iterator after every message that the server had sent before it processed the UNSUB.
    /// While disconnected, it ends after the messages that were already received.
    ///
    /// # Errors
    ///
    /// If the client is closed.
    pub fn drain(&mut self) -> Result<(), UnsubscribeError> {
        self.home.wait(self.subscriber.drain())
    }

    /// The subscription's id, as the server knows it.
    pub fn sid(&self) -> u64 {
        self.subscriber.sid()
    }

    /// Messages that were read from this iterator.
    pub fn delivered(&self) -> u64 {
        self.subscriber.delivered()
    }

    /// Messages that were lost because this iterator was read too slowly.
    pub fn dropped(&self) -> u64 {
        self.subscriber.dropped()
    }

    /// Messages that were received and not yet read.
    pub fn pending(&self) -> usize {
        self.subscriber.pending()
    }

    /// All counters together.
    pub fn counts(&self) -> SubscriberCounts {
        self.subscriber.counts()
    }

    /// Why the subscription has ended, as soon as it is known. Messages received before can still be read.
    pub fn end_reason(&self) -> Option<EndReason> {
        self.subscriber.end_reason()
    }

    /// The async subscriber, for async code.
    pub fn into_async(self) -> crate::Subscriber {
        self.subscriber
    }
}

impl Iterator for Subscriber {
    type Item = Message;

    /// The next message, however long it takes; `None` after the end of the subscription.
    fn next(&mut self) -> Option<Message> {
        self.home.wait(next(&mut self.subscriber))
    }
}

async fn next(subscriber: &mut crate::Subscriber) -> Option<Message> {
    poll_fn(|cx| Pin::new(&mut *subscriber).poll_next(cx)).await
}
