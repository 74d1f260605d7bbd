//! Ordered pull consumers.

use std::time::Duration;

use super::stream::ended;
use super::{OrderedConfig, OrderedError, OrderedErrorKind, StreamError};
use crate::error::Error;
use crate::jetstream::consumer::ordered::{Errors, Reading, WithGaps, ordered};
use crate::jetstream::consumer::{Consumer, not_begun};
use crate::jetstream::run::ordered::pull_source::{PullFailed, PullSource};
use crate::jetstream::wire::IntoConsumerConfig;

impl Consumer<OrderedConfig> {
    /// The messages, in order. They are pulled, up to 500 at a time.
    ///
    /// # Errors
    ///
    /// If the subscription fails.
    ///
    /// ```no_run
    /// # async fn example(readings: nats_lifeline::jetstream::stream::Stream) -> Result<(), nats_lifeline::Error> {
    /// use futures_util::TryStreamExt;
    /// use nats_lifeline::jetstream::consumer::pull::OrderedConfig;
    ///
    /// let config = OrderedConfig { filter_subject: "readings.eu".to_owned(), ..Default::default() };
    /// let mut messages = readings.create_consumer(config).await?.messages().await?;
    /// while let Some(message) = messages.try_next().await? {
    ///     println!("{}: {}", message.info()?.stream_sequence, message.subject);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn messages(self) -> Result<Ordered, StreamError> {
        let Consumer { context, config, info } = self;
        let access = context.access().map_err(not_begun)?;
        let config = config.into_consumer_config();
        let source = PullSource::subscribe(&access, &info.stream_name, &info.name, &config).await.map_err(not_begun)?;
        // Pulls have heartbeats of their own.
        Ok(Ordered { reading: Reading::new(context, access, config, &info, Duration::ZERO, source) })
    }
}

/// The messages of an ordered pull consumer: each once, in the order of the stream.
///
/// It survives outages, restarts and lost consumers, and reports gaps of the stream, as an ordered push consumer does, whose
/// [page](crate::jetstream::consumer::push::Ordered) says how. At most 500 messages are on their way to it, however slowly it is
/// read.
///
/// Dropping it deletes the consumer, in the background.
#[derive(Debug)]
#[must_use = "dropping it deletes the consumer"]
pub struct Ordered {
    reading: Reading<PullSource>,
}

ordered!(ERRORS);

const ERRORS: Errors<PullFailed, OrderedError> = Errors {
    troubled: |error| Error::with_source(OrderedErrorKind::Recreate, error),
    failed: |failed| match failed {
        PullFailed::Ended(end) => ended(end).into(),
        PullFailed::Subscription(reason) => Error::with_source(OrderedErrorKind::Other, reason),
    },
};
