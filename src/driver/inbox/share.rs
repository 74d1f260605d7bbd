//! What may be put into an inbox, and what becomes of it.

use std::task::Waker;

use crate::driver::reads::Share;

/// The limits of a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InboxLimits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) when_full: WhenFull,
}

/// Which messages a subscription loses when its reader is so slow that the limits are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The newest messages: new ones are dropped until there is room. The default.
    #[default]
    DropNewest,
    /// The oldest messages: new ones take their place.
    DropOldest,
    /// The subscription: it ends after the messages that were received, with
    /// [`EndReason::SlowConsumer`](crate::connection::EndReason::SlowConsumer).
    Close,
}

/// What became of a share.
#[derive(Debug, Default)]
pub(crate) struct Offered {
    /// To be woken when no lock is held.
    pub(crate) consumer: Option<Waker>,
    /// What does not fit.
    pub(crate) rest: Option<Share>,
    /// More than half full, and the task has not waited for this consumer yet.
    pub(crate) lagging: bool,
}

/// Messages were lost because the consumer is too slow.
#[derive(Debug)]
pub(in crate::driver) struct Losing {
    /// How many so far.
    pub(in crate::driver) dropped: u64,
    /// Whether a series of losses begins.
    pub(in crate::driver) begins: bool,
    /// Whether the subscription is to end.
    pub(in crate::driver) closes: bool,
    /// To be woken when no lock is held.
    pub(in crate::driver) consumer: Option<Waker>,
    /// What was lost, to be dropped when no lock is held.
    pub(in crate::driver) gone: Vec<Share>,
}

/// What a subscriber gets.
pub(crate) enum Next {
    /// The next share.
    Share {
        share: Share,
        /// The number of its first message in the subscription.
        at: u64,
        /// The task waits for this queue to be read.
        wake_task: bool,
    },
    /// Everything was read; say so to the task, once.
    Finished,
    /// The end.
    End,
}
