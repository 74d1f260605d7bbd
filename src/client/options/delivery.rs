//! Options for messages when a connection is lost.

use std::time::Duration;

use super::ConnectOptions;
use crate::engine::time::within_reach;
use crate::engine::{DeliveryMode, OverflowPolicy};

impl ConnectOptions {
    /// Decides what happens to a message when the buffer is full while no server is connected: the message is refused
    /// ([`OverflowPolicy::Error`], the default), the oldest messages are dropped
    /// ([`DropOldest`](OverflowPolicy::DropOldest)), the message itself is dropped
    /// ([`DropNewest`](OverflowPolicy::DropNewest)), or publishing waits ([`Wait`](OverflowPolicy::Wait), longer than
    /// zero).
    ///
    /// The buffer is limited by [`reconnect_buffer_size`](ConnectOptions::reconnect_buffer_size) and
    /// [`reconnect_buffer_messages`](ConnectOptions::reconnect_buffer_messages). Dropped messages are counted as
    /// [`lost.overflow`](crate::connection::Lost) and returned by
    /// [`ConnectionEvent::Lost`](crate::connection::ConnectionEvent::Lost). While connected, publishing always waits
    /// for room, whatever the policy is. With a buffer size of zero nothing is buffered: the first three policies
    /// then refuse immediately, and `Wait` waits for a connection.
    ///
    /// ```
    /// use nats_lifeline::{ConnectOptions, options::OverflowPolicy};
    /// use std::time::Duration;
    ///
    /// // Positions: only the latest matter.
    /// let positions = ConnectOptions::new().overflow_policy(OverflowPolicy::DropOldest);
    /// // A batch job has time.
    /// let patient = ConnectOptions::new().overflow_policy(OverflowPolicy::Wait(Duration::from_secs(60)));
    /// # drop((positions, patient));
    /// ```
    pub fn overflow_policy(mut self, policy: OverflowPolicy) -> ConnectOptions {
        self.config.outbox.overflow = match policy {
            OverflowPolicy::Wait(limit) => OverflowPolicy::Wait(within_reach(limit)),
            other => other,
        };
        self
    }

    /// Limits the number of messages that are buffered while no server is connected, in addition to their bytes.
    /// Default `None`: only [`reconnect_buffer_size`](ConnectOptions::reconnect_buffer_size) counts. Must be at least
    /// 1.
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new().reconnect_buffer_messages(10_000);
    /// # drop(options);
    /// ```
    pub fn reconnect_buffer_messages<T: Into<Option<u64>>>(mut self, messages: T) -> ConnectOptions {
        self.config.outbox.messages = messages.into();
        self
    }

    /// Drops messages that have been buffered for longer than this when a server is connected again, instead of
    /// sending them late. Default `None`: they are sent whatever their age. Must be longer than zero.
    ///
    /// The age of a message counts from when it was accepted while no server was connected; or, if it had been
    /// accepted before and was not sent, from the loss of the connection. It is measured in steps of 10 ms: no
    /// message expires too early, and some expire up to 10 ms late. Expired messages also make room for others when
    /// the buffer is full. They are counted as [`lost.expired`](crate::connection::Lost) and returned by
    /// [`ConnectionEvent::Lost`](crate::connection::ConnectionEvent::Lost). While connected nothing expires.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let options = nats_lifeline::ConnectOptions::new().max_message_age(Duration::from_secs(60));
    /// # drop(options);
    /// ```
    pub fn max_message_age<T: Into<Option<Duration>>>(mut self, age: T) -> ConnectOptions {
        self.config.outbox.max_age = age.into().map(within_reach);
        self
    }

    /// Decides what happens to messages that were written to a lost connection and not confirmed by a PONG: they are
    /// reported as in doubt and never sent again ([`DeliveryMode::AtMostOnce`], the default), or sent again, in
    /// order, from the first unconfirmed one on ([`DeliveryMode::AtLeastOnce`]).
    ///
    /// With at-least-once delivery, messages stay in memory until their PONG, and count towards
    /// [`reconnect_buffer_size`](ConnectOptions::reconnect_buffer_size) until then; publishing waits when half of it is
    /// unconfirmed. A PING is sent at least every 256 KiB, so this matters only if more than that is in flight per
    /// round trip. A PONG means that one server has processed the message, not that anybody has received it: if that
    /// server dies, the message can still be lost.
    ///
    /// ```
    /// use nats_lifeline::{ConnectOptions, options::DeliveryMode};
    ///
    /// let options = ConnectOptions::new().delivery(DeliveryMode::AtLeastOnce);
    /// # drop(options);
    /// ```
    pub fn delivery(mut self, delivery: DeliveryMode) -> ConnectOptions {
        self.config.outbox.delivery = delivery;
        self
    }

    /// Treats a message as poison when this many connections in a row have ended with it, and drops only that message.
    /// Without this, a message that makes a server or a middlebox close the connection would block all others forever.
    /// Default 5, at least 2; `None` never does.
    ///
    /// With at-most-once delivery it is the message that was cut off. A message that is too large to get through
    /// between two losses on a bad line looks the same; for messages of megabytes over bad lines, use a larger number
    /// or `None`. With at-least-once delivery it is the first message without a PONG. The messages that were sent with
    /// it are suspected too, so they are sent in smaller and smaller batches, each after the PONG of the previous one,
    /// until one message is isolated, and only that one is dropped.
    ///
    /// Only connections that the server or the network ended count. The message is counted as `lost.poison`, and
    /// returned by [`ConnectionEvent::Lost`](crate::connection::ConnectionEvent::Lost).
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new().poison_after(None);
    /// # drop(options);
    /// ```
    pub fn poison_after<T: Into<Option<u32>>>(mut self, losses: T) -> ConnectOptions {
        self.config.poison_after = losses.into();
        self
    }
}
