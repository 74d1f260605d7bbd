//! Inputs and results of an inbox.

use std::task::Waker;

use crate::driver::reads::Share;

/// The limits of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InboxLimits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) when_full: WhenFull,
}

/// What a subscription drops when its reader is so slow that the limits are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The newest messages: new messages are dropped until there is room. The default.
    #[default]
    DropNewest,
    /// The oldest messages: new messages replace them.
    DropOldest,
    /// The subscription: it ends after the messages that were already received, with
    /// [`EndReason::SlowConsumer`](crate::connection::EndReason::SlowConsumer).
    Close,
}

/// The result of offering a share.
#[derive(Debug, Default)]
pub(crate) struct Offered {
    /// To be woken outside of the lock.
    pub(crate) consumer: Option<Waker>,
    /// What does not fit, and is to be dropped by the policy.
    pub(crate) lost: Option<Share>,
    /// From now on the task has to wait for this consumer.
    pub(crate) lagging: bool,
}

/// Messages were lost because the consumer is too slow.
#[derive(Debug)]
pub(in crate::driver) struct Losing {
    /// Messages lost so far.
    pub(in crate::driver) dropped: u64,
    /// Whether this is the first loss of a series.
    pub(in crate::driver) begins: bool,
    /// Whether the subscription is to end.
    pub(in crate::driver) closes: bool,
    /// To be woken outside of any lock.
    pub(in crate::driver) consumer: Option<Waker>,
    /// The lost messages, to be dropped outside of any lock.
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
    /// Everything was read; to be reported to the task, once.
    Finished,
    /// The end.
    End,
}
