//! A subscription's stream that reports where messages are missing, or may be.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::message::Message;
use super::subscriber::Subscriber;
use crate::driver::Gap;

/// An item of a [`GapStream`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Delivery {
    /// A message.
    Message(Message),
    /// This many messages were dropped here, because the stream was read too slowly or they were larger than the
    /// client's [`limits`](crate::ConnectOptions::limits).
    Lagged(u64),
    /// The connection was lost here. Messages that were published before the next connection had the subscription
    /// were not received; it is unknown whether there were any.
    ///
    /// Not reported for a planned move that missed nothing: that of a queue group, or of any subscription with
    /// [`Handover::Overlap`](crate::options::Handover), if the next server had the subscription before the client left
    /// the current server, and that server's messages were read to the end within two seconds.
    Interrupted,
}

/// A [`Subscriber`] that reports where messages are or may be missing: see [`Subscriber::with_gaps`].
#[derive(Debug)]
#[must_use = "dropping the stream ends its subscription"]
pub struct GapStream {
    subscriber: Subscriber,
    /// A share was taken, and the gaps before it have not been reported yet.
    fresh: bool,
}

impl Subscriber {
    /// Makes this stream report where messages are missing: [`Delivery::Lagged`] where some were dropped because the
    /// stream was read too slowly, [`Delivery::Interrupted`] where the connection was lost. Gaps from before this call
    /// are not reported.
    ///
    /// Each gap is reported in its place, between the messages before and after it.
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

    /// The subscriber, for unsubscribing or draining. If messages are read from it directly, the gaps around them are
    /// reported late.
    pub fn subscriber_mut(&mut self) -> &mut Subscriber {
        &mut self.subscriber
    }

    /// The next gap before message number `next`.
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
                    if let Some(gap) = this.gap(this.subscriber.next_number()) {
                        return Poll::Ready(Some(gap));
                    }
                    this.fresh = false;
                }
                return Pin::new(&mut this.subscriber).poll_next(cx).map(|message| message.map(Delivery::Message));
            }
            match this.subscriber.poll_share(cx) {
                Poll::Ready(Some(())) => this.fresh = true,
                Poll::Ready(None) => return Poll::Ready(this.gap(u64::MAX)),
                // A message that arrives at this moment comes after the gaps here, and its wake has been sent.
                Poll::Pending => {
                    return match this.gap(this.subscriber.next_number()) {
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
