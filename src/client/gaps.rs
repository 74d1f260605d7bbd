//! A subscription's stream that reports where messages are missing, or may be.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::message::Message;
use super::subscriber::Subscriber;
use crate::driver::Gap;

/// What a [`GapStream`] yields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Delivery {
    /// A message.
    Message(Message),
    /// This many messages were dropped here: the stream was read too slowly, or they were larger than the client's
    /// [`limits`](crate::ConnectOptions::limits).
    Lagged(u64),
    /// The connection was lost here. Messages that were published before the next connection had the subscription
    /// were not received; nobody can say whether there were any.
    ///
    /// Not reported for a planned move that has missed nothing: for a queue group, or for any subscription with
    /// [`Handover::Overlap`](crate::options::Handover), if the next server had it before the current one was left, and
    /// that one was read to the end within two seconds.
    Interrupted,
}

/// A [`Subscriber`] that reports where messages are missing, or may be: see [`Subscriber::with_gaps`].
#[derive(Debug)]
#[must_use = "dropping the stream ends its subscription"]
pub struct GapStream {
    subscriber: Subscriber,
    /// A share was taken, and the gaps before it were not reported yet.
    fresh: bool,
}

impl Subscriber {
    /// Makes this stream report where messages are missing: [`Delivery::Lagged`] where some were dropped because it
    /// was read too slowly, [`Delivery::Interrupted`] where the connection was lost. Gaps from before this call are
    /// not reported.
    ///
    /// Each is reported in its place, after the messages that came before it and before the ones that came after.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// use futures_util::StreamExt;
    /// use nats_lifeline::client::Delivery;
    ///
    /// let mut prices = client.subscribe("prices.*").await?.with_gaps();
    /// while let Some(delivery) = prices.next().await {
    ///     match delivery {
    ///         Delivery::Message(message) => println!("{}", message.subject),
    ///         Delivery::Lagged(count) => println!("too slow: {count} are missing"),
    ///         Delivery::Interrupted => println!("some may be missing: fetch the whole list again"),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_gaps(self) -> GapStream {
        self.inbox().note_gaps();
        self.shared().gap_streams.fetch_add(1, Ordering::Relaxed);
        GapStream { subscriber: self, fresh: false }
    }
}

impl GapStream {
    /// The subscriber, for its counters and its end.
    pub fn subscriber(&self) -> &Subscriber {
        &self.subscriber
    }

    /// The subscriber, to be unsubscribed or drained. If messages are read from it directly, the gaps around them are
    /// reported late.
    pub fn subscriber_mut(&mut self) -> &mut Subscriber {
        &mut self.subscriber
    }

    /// The next gap that comes before the message number `next`.
    fn gap(&self, next: u64) -> Option<Delivery> {
        self.subscriber.inbox().take_gap(next).map(|gap| match gap {
            Gap::Lagged(count) => Delivery::Lagged(count),
            Gap::Interrupted => Delivery::Interrupted,
        })
    }
}

impl Stream for GapStream {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let this = &mut *self;
        loop {
            if this.subscriber.has_share() {
                if this.fresh {
                    if let Some(gap) = this.gap(this.subscriber.taken().start) {
                        return Poll::Ready(Some(gap));
                    }
                    this.fresh = false;
                }
                return Pin::new(&mut this.subscriber).poll_next(cx).map(|message| message.map(Delivery::Message));
            }
            match this.subscriber.poll_share(cx) {
                Poll::Ready(Some(())) => this.fresh = true,
                Poll::Ready(None) => return Poll::Ready(this.gap(u64::MAX)),
                // A message that has come in this moment stands behind the gaps at its place, and was announced by a wake.
                Poll::Pending => {
                    return match this.gap(this.subscriber.taken().end) {
                        Some(gap) => Poll::Ready(Some(gap)),
                        None => Poll::Pending,
                    };
                }
            }
        }
    }
}

impl Drop for GapStream {
    fn drop(&mut self) {
        self.subscriber.shared().gap_streams.fetch_sub(1, Ordering::Relaxed);
    }
}
