//! What ordered consumers of both kinds have: gaps, and reports of outages.

use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use crate::jetstream::context::Context;
pub use crate::jetstream::decide::ordered::{Cause, Gap};
use crate::jetstream::decide::ordered::{Report, Rules};
use crate::jetstream::error::ConsumerError;
use crate::jetstream::message::Message;
use crate::jetstream::run::access::Access;
use crate::jetstream::run::ordered::maker::{Maker, created};
use crate::jetstream::run::ordered::source::Source;
use crate::jetstream::run::ordered::{Driver, Item};
use crate::jetstream::wire::{ConsumerConfig, ConsumerInfo};

/// An item of a [`WithGaps`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Delivery {
    /// The next message.
    Message(Message),
    /// The stream has lost these messages before they were delivered: by its limits, a purge, or because they were deleted.
    ///
    /// Without a filter the numbers are exact. With one, some of these messages may not have matched; and messages that the
    /// stream loses while the consumer runs are not noticed, because servers number those that match without a gap.
    Gap(Gap),
    /// Deliveries have stopped for this reason. The consumer is created again, and no message is skipped.
    Interrupted(Cause),
    /// The consumer was created again.
    Resumed,
}

/// An ordered consumer that also reports where the stream has lost messages, and when deliveries stop and go on.
///
/// ```no_run
/// # async fn example(consumer: nats_lifeline::jetstream::consumer::OrderedPushConsumer) -> Result<(), nats_lifeline::Error> {
/// use futures_util::StreamExt;
/// use nats_lifeline::jetstream::consumer::ordered::Delivery;
///
/// let mut readings = consumer.messages().await?.with_gaps();
/// while let Some(delivery) = readings.next().await {
///     match delivery? {
///         Delivery::Message(message) => println!("{}", message.subject),
///         Delivery::Gap(gap) => println!("messages {} to {} are lost", gap.first, gap.last),
///         Delivery::Interrupted(cause) => println!("no messages: {cause}"),
///         Delivery::Resumed => println!("messages again"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it deletes the consumer"]
pub struct WithGaps<T> {
    pub(super) ordered: T,
}

impl<T> WithGaps<T> {
    /// The consumer.
    pub fn get_ref(&self) -> &T {
        &self.ordered
    }
}

/// What both kinds have: the driver, and the context for messages.
#[derive(Debug)]
pub(super) struct Reading<S: Source> {
    context: Context,
    driver: Driver<S>,
    missing: u64,
}

/// How the errors of a kind are made.
pub(super) struct Errors<F, E> {
    pub(super) troubled: fn(ConsumerError) -> E,
    pub(super) failed: fn(F) -> E,
}

impl<S: Source> Reading<S> {
    /// Continues the consumer of `info`, from `source`, which watches over its silence itself if `heartbeat` is zero.
    pub(super) fn new(
        context: Context,
        access: Access,
        config: ConsumerConfig,
        info: &ConsumerInfo,
        heartbeat: Duration,
        source: S,
    ) -> Self {
        let is_all = |filter: &String| filter.is_empty() || filter == ">";
        let whole = is_all(&config.filter_subject) && config.filter_subjects.iter().all(is_all);
        let rules = Rules { policy: config.deliver_policy, whole, heartbeat, seed: rand::random() };
        let maker = Maker::new(access, config, info);
        Reading { context, driver: Driver::adopt(maker, rules, created(info, None), source), missing: 0 }
    }

    pub(super) fn missing(&self) -> u64 {
        self.missing
    }

    pub(super) fn last_sequence(&self) -> Option<u64> {
        self.driver.last()
    }

    pub(super) fn poll_delivery<E>(
        &mut self,
        cx: &mut Task<'_>,
        errors: &Errors<S::Fault, E>,
    ) -> Poll<Option<Result<Delivery, E>>> {
        loop {
            return Poll::Ready(match ready!(self.driver.poll(cx)) {
                None => None,
                Some(Item::Message(message)) => {
                    Some(Ok(Delivery::Message(Message::new(message, &self.context, false))))
                }
                Some(Item::Gap(gap)) => {
                    self.missing = self.missing.saturating_add(gap.messages());
                    Some(Ok(Delivery::Gap(gap)))
                }
                Some(Item::Report(Report::Interrupted(cause))) => Some(Ok(Delivery::Interrupted(cause))),
                Some(Item::Report(Report::Resumed)) => Some(Ok(Delivery::Resumed)),
                Some(Item::Troubled(Some(failed))) => Some(Err((errors.troubled)(failed.error))),
                Some(Item::Failed(fault)) => Some(Err((errors.failed)(fault))),
                Some(Item::Troubled(None) | Item::Report(Report::Troubled(_))) => continue,
            });
        }
    }

    pub(super) fn poll_message<E>(
        &mut self,
        cx: &mut Task<'_>,
        errors: &Errors<S::Fault, E>,
    ) -> Poll<Option<Result<Message, E>>> {
        loop {
            return Poll::Ready(match ready!(self.poll_delivery(cx, errors)) {
                Some(Ok(Delivery::Message(message))) => Some(Ok(message)),
                Some(Ok(_)) => continue,
                Some(Err(error)) => Some(Err(error)),
                None => None,
            });
        }
    }
}

/// Declares the methods and streams of `Ordered` and its [`WithGaps`], which both kinds have.
macro_rules! ordered {
    ($errors:ident) => {
        impl Ordered {
            /// Makes this stream report where messages are missing, and when deliveries stop and go on.
            pub fn with_gaps(self) -> WithGaps<Ordered> {
                WithGaps { ordered: self }
            }

            /// How many messages the stream had lost before they could be delivered: the sum of all
            /// [`Gap`](crate::jetstream::consumer::ordered::Delivery::Gap)s, which says what they mean.
            pub fn missing(&self) -> u64 {
                self.reading.missing()
            }

            /// The number in the stream of the last message that was delivered; `None` before the first one.
            pub fn last_sequence(&self) -> Option<u64> {
                self.reading.last_sequence()
            }
        }

        impl futures_core::Stream for Ordered {
            type Item = Result<crate::jetstream::Message, OrderedError>;

            fn poll_next(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Self::Item>> {
                self.reading.poll_message(cx, &$errors)
            }
        }

        impl futures_core::Stream for WithGaps<Ordered> {
            type Item = Result<crate::jetstream::consumer::ordered::Delivery, OrderedError>;

            fn poll_next(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Self::Item>> {
                self.ordered.reading.poll_delivery(cx, &$errors)
            }
        }
    };
}
pub(super) use ordered;
