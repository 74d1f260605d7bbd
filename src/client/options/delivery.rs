//! Options that say what becomes of messages around a lost connection.

use std::time::Duration;

use super::ConnectOptions;
use crate::engine::{DeliveryMode, OverflowPolicy};

impl ConnectOptions {
    /// Says what happens to a message for which there is no room while no server is connected: refused
    /// ([`OverflowPolicy::Error`], the default), accepted at the cost of the oldest or dropped itself
    /// ([`DropOldest`](OverflowPolicy::DropOldest), [`DropNewest`](OverflowPolicy::DropNewest)), or made to wait
    /// ([`Wait`](OverflowPolicy::Wait), longer than zero).
    ///
    /// Room is limited by [`reconnect_buffer_size`](ConnectOptions::reconnect_buffer_size) and
    /// [`reconnect_buffer_messages`](ConnectOptions::reconnect_buffer_messages). What is dropped is counted as
    /// [`lost.overflow`](crate::connection::Lost) and handed back by
    /// [`ConnectionEvent::Lost`](crate::connection::ConnectionEvent::Lost). While connected publishing always waits for room,
    /// whatever the policy is. With a buffer size of zero nothing is held: the first three then refuse at once, and `Wait`
    /// waits for a connection.
    ///
    /// ```
    /// use nats_lifeline::{ConnectOptions, client::OverflowPolicy};
    /// use std::time::Duration;
    ///
    /// // Positions: the latest count.
    /// let positions = ConnectOptions::new().overflow_policy(OverflowPolicy::DropOldest);
    /// // A batch job has time.
    /// let patient = ConnectOptions::new().overflow_policy(OverflowPolicy::Wait(Duration::from_secs(60)));
    /// # drop((positions, patient));
    /// ```
    pub fn overflow_policy(mut self, policy: OverflowPolicy) -> ConnectOptions {
        self.overflow_policy = policy;
        self
    }

    /// Limits how many messages are held while no server is connected, besides their bytes. Default `None`: only
    /// [`reconnect_buffer_size`](ConnectOptions::reconnect_buffer_size) counts. Must be at least 1.
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new().reconnect_buffer_messages(Some(10_000));
    /// # drop(options);
    /// ```
    pub fn reconnect_buffer_messages(mut self, messages: Option<u64>) -> ConnectOptions {
        self.reconnect_buffer_messages = messages;
        self
    }

    /// Drops what has been held for longer than this when a server is there again, instead of sending it late. Default
    /// `None`: it is sent however old it is. Must be longer than zero.
    ///
    /// The age counts from when a message was accepted while no server was connected, and of one that was accepted before
    /// and came back, from the loss of its connection. It is kept in steps of 10 ms: nothing expires before its time, and
    /// some up to 10 ms behind it. Expired messages also make room for others when the buffer is full. They are counted as
    /// [`lost.expired`](crate::connection::Lost) and handed back by
    /// [`ConnectionEvent::Lost`](crate::connection::ConnectionEvent::Lost). While connected nothing expires.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let options = nats_lifeline::ConnectOptions::new().max_message_age(Some(Duration::from_secs(60)));
    /// # drop(options);
    /// ```
    pub fn max_message_age(mut self, age: Option<Duration>) -> ConnectOptions {
        self.max_message_age = age;
        self
    }

    /// Says what becomes of messages that were written to a connection and not confirmed by a PONG when it is lost: never
    /// sent again and reported as in doubt ([`DeliveryMode::AtMostOnce`], the default), or sent again, in order, from the first
    /// unconfirmed on ([`DeliveryMode::AtLeastOnce`]).
    ///
    /// At least once, messages stay in memory until their PONG, and count for
    /// [`reconnect_buffer_size`](ConnectOptions::reconnect_buffer_size) until then; publishing waits when half of it is
    /// unconfirmed. PINGs are sent behind every 256 KiB at the latest, so that this needs more than what a round trip
    /// carries. A PONG means that one server has processed the message, not that anybody has received it: a server that
    /// dies with it loses it all the same.
    ///
    /// ```
    /// use nats_lifeline::{ConnectOptions, client::DeliveryMode};
    ///
    /// let options = ConnectOptions::new().delivery(DeliveryMode::AtLeastOnce);
    /// # drop(options);
    /// ```
    pub fn delivery(mut self, delivery: DeliveryMode) -> ConnectOptions {
        self.delivery = delivery;
        self
    }

    /// Takes a message for poison, and loses it alone, when so many connections in a row have ended with it: so that one that
    /// a server, or something on the way, answers by hanging up does not keep all others from getting through for ever.
    /// Default `Some(5)`, at least 2; `None` never does.
    ///
    /// At most once that is the message that was cut: of which the connection had taken a part. A larger one than the line
    /// carries between two losses looks the same; where messages are megabytes and lines are bad, a larger number or `None` is
    /// better. At least once it is the first that no PONG has confirmed. Others are suspected with it then, so they are sent
    /// in halves of halves, each behind the PONG of the last, until one stands alone, and only that one is lost.
    ///
    /// Only connections count that the server or the network has ended. It is counted as `lost.poison`, and handed back by
    /// [`ConnectionEvent::Lost`](crate::connection::ConnectionEvent::Lost).
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new().poison_after(None);
    /// # drop(options);
    /// ```
    pub fn poison_after(mut self, losses: Option<u32>) -> ConnectOptions {
        self.poison_after = losses;
        self
    }
}
