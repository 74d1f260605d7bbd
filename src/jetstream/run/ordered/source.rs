//! Where the messages of an incarnation come from.

use std::task::{Context, Poll};

use crate::jetstream::decide::ordered::Cause;
use crate::jetstream::run::ordered::maker::Maker;
use crate::jetstream::wire::ConsumerConfig;

/// What has arrived for an incarnation.
pub(in crate::jetstream) enum Signal<E> {
    Message(crate::Message),
    /// A heartbeat; `sent`: how many messages the consumer has sent.
    Heartbeat {
        sent: Option<u64>,
    },
    /// Messages are missing from here on, or may be.
    Lost(Cause),
    /// A sign of life.
    Nothing,
    /// The user has to know, and nothing more will come.
    Failed(E),
    /// Nothing more will come.
    End,
}

/// A subscription, and what keeps messages coming.
pub(in crate::jetstream) trait Source: Sized + Unpin + Send + 'static {
    /// Why it can end for good.
    type Fault;

    /// Prepares for an incarnation that is about to be created: it is subscribed to before.
    fn open(maker: &Maker, incarnation: u64) -> impl Future<Output = Result<Self, crate::SubscribeError>> + Send;

    /// Enters into the configuration where messages go.
    fn configure(&self, config: &mut ConsumerConfig);

    /// The next thing that has arrived.
    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<Signal<Self::Fault>>;
}
