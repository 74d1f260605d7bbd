//! What ordered consumers of both kinds have: gaps, and reports of outages.

use std::time::Duration;

pub use crate::jetstream::decide::ordered::{Cause, Gap};
use crate::jetstream::decide::ordered::{Report, Rules};
use crate::jetstream::message::Message;
use crate::jetstream::run::ordered::Item;
use crate::jetstream::run::ordered::maker::CreateFailed;
use crate::jetstream::wire::ConsumerConfig;

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

/// What is not yet an item for the program.
pub(super) enum Raw<E> {
    Delivery(Delivery),
    Troubled(CreateFailed),
    Failed(E),
}

pub(super) fn raw<E>(item: Item<E>, context: &crate::jetstream::Context) -> Option<Raw<E>> {
    Some(match item {
        Item::Message(message) => Raw::Delivery(Delivery::Message(Message::new(message, context, false))),
        Item::Gap(gap) => Raw::Delivery(Delivery::Gap(gap)),
        Item::Report(Report::Interrupted(cause)) => Raw::Delivery(Delivery::Interrupted(cause)),
        Item::Report(Report::Resumed) => Raw::Delivery(Delivery::Resumed),
        Item::Report(Report::Troubled(_)) => return None,
        Item::Troubled(error) => Raw::Troubled(error?),
        Item::Failed(fault) => Raw::Failed(fault),
    })
}

/// What the machine has to know of a consumer.
pub(super) fn rules(config: &ConsumerConfig, heartbeat: Duration) -> Rules {
    let is_all = |filter: &String| filter.is_empty() || filter == ">";
    let whole = is_all(&config.filter_subject) && config.filter_subjects.iter().all(is_all);
    Rules { policy: config.deliver_policy, whole, heartbeat, seed: rand::random() }
}
