//! Options of a single subscription.

use super::error::{SubscribeError, SubscribeErrorKind};
use super::options::{ConnectOptions, InvalidOption};
use crate::driver::{InboxLimits, WhenFull};
use crate::engine::Handover;

/// Options of one subscription, for [`Client::subscribe_with`](crate::Client::subscribe_with).
///
/// ```
/// use nats_lifeline::options::{SubscribeOptions, WhenFull};
///
/// let options = SubscribeOptions::new()
///     .queue_group("workers")
///     .capacity(1_000)
///     .byte_capacity(1024 * 1024)
///     .when_full(WhenFull::Close);
/// # drop(options);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until a subscription is made with them"]
pub struct SubscribeOptions {
    pub(super) queue_group: Option<String>,
    pub(super) handover: Option<Handover>,
    capacity: Option<usize>,
    byte_capacity: Option<usize>,
    when_full: WhenFull,
}

impl SubscribeOptions {
    /// No queue group, the client's limits, and the newest messages are dropped at the limits.
    pub fn new() -> SubscribeOptions {
        SubscribeOptions::default()
    }

    /// Joins a queue group: each message goes to one member.
    pub fn queue_group(mut self, name: impl Into<String>) -> SubscribeOptions {
        self.queue_group = Some(name.into());
        self
    }

    /// Limits the unread messages. Default: the client's
    /// [`subscription_capacity`](crate::ConnectOptions::subscription_capacity); must be at least 1.
    pub fn capacity(mut self, messages: usize) -> SubscribeOptions {
        self.capacity = Some(messages);
        self
    }

    /// Limits the bytes of unread messages. Default: the client's
    /// [`subscription_byte_capacity`](crate::ConnectOptions::subscription_byte_capacity); must be at least 1. A
    /// single message always fits, however large it is.
    pub fn byte_capacity(mut self, bytes: usize) -> SubscribeOptions {
        self.byte_capacity = Some(bytes);
        self
    }

    /// Sets what is dropped at the limits, if the reader does not catch up within the client's
    /// [`slow_consumer_grace`](crate::ConnectOptions::slow_consumer_grace). Default: the newest messages.
    pub fn when_full(mut self, policy: WhenFull) -> SubscribeOptions {
        self.when_full = policy;
        self
    }

    /// Sets what this subscription gets during a planned move. Default: what
    /// [`ConnectOptions::handover`](crate::ConnectOptions::handover) says.
    ///
    /// ```
    /// use nats_lifeline::options::{Handover, SubscribeOptions};
    ///
    /// // Readings with numbers: some may come twice, none may be missing.
    /// let options = SubscribeOptions::new().handover(Handover::Overlap);
    /// # drop(options);
    /// ```
    pub fn handover(mut self, handover: Handover) -> SubscribeOptions {
        self.handover = Some(handover);
        self
    }

    /// The limits of a subscription without options.
    pub(super) fn default_limits(settings: &ConnectOptions) -> InboxLimits {
        let (messages, bytes) = (settings.subscription_messages, settings.subscription_bytes);
        InboxLimits { messages, bytes, when_full: WhenFull::default() }
    }

    /// `None`: the client's.
    pub(super) fn limits(&self, settings: &ConnectOptions) -> Result<Option<InboxLimits>, SubscribeError> {
        let default = settings.driver.inbox;
        let checked = |option: &'static str, value: Option<usize>, default: usize| match value {
            Some(0) => {
                let invalid = InvalidOption { option, value: "0".to_owned(), rule: "must be at least 1" };
                Err(SubscribeError::with_source(SubscribeErrorKind::Other, invalid))
            }
            value => Ok(value.unwrap_or(default)),
        };
        let limits = InboxLimits {
            messages: checked("capacity", self.capacity, default.messages)?,
            bytes: checked("byte_capacity", self.byte_capacity, default.bytes)?,
            when_full: self.when_full,
        };
        Ok((limits != default).then_some(limits))
    }
}
