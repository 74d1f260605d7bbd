//! Options for buffers and limits.

use super::ConnectOptions;
use crate::protocol::Limits;

impl ConnectOptions {
    /// Limits the reconnect buffer, in bytes with control lines and headers. Default 8 MiB.
    ///
    /// While disconnected, messages are buffered up to this limit; [`overflow_policy`](ConnectOptions::overflow_policy)
    /// decides what happens to further messages: by default they are refused with
    /// [`SendFault::BufferFull`](crate::client::SendFault::BufferFull). With messages of 1 KiB, 8 MiB are about 8,000
    /// messages. Zero refuses every message while disconnected. Memory grows with the pending bytes, not with the
    /// limit.
    ///
    /// While connected, publishing waits at 1 MiB of pending bytes, or at half of the limit if that is less, and a
    /// single message may be larger than the limit. Accepted messages are kept when the connection is lost: with
    /// messages larger than a quarter of the limit, pending bytes can then exceed the limit, by less than two
    /// messages. Nothing more is accepted until they fall below it.
    ///
    /// ```
    /// let big = nats_lifeline::ConnectOptions::new().reconnect_buffer_size(256 * 1024 * 1024);
    /// let fail_fast = nats_lifeline::ConnectOptions::new().reconnect_buffer_size(0);
    /// # drop((big, fail_fast));
    /// ```
    pub fn reconnect_buffer_size(mut self, bytes: usize) -> ConnectOptions {
        self.config.outbox.cap = bytes;
        self
    }

    /// Limits the unread messages of one subscription. Default 65,536; must be at
    /// least 1.
    ///
    /// At this limit, or at [`subscription_byte_capacity`](ConnectOptions::subscription_byte_capacity), whichever
    /// comes first, the subscription loses messages, with an [`Event::SlowConsumer`](crate::Event::SlowConsumer);
    /// other subscriptions are not affected. This does not happen before
    /// [`slow_consumer_grace`](ConnectOptions::slow_consumer_grace) has passed.
    pub fn subscription_capacity(mut self, capacity: usize) -> ConnectOptions {
        self.subscription_messages = capacity;
        self
    }

    /// Limits the bytes of unread messages in one subscription. Default 64 MiB; must be at least 1.
    ///
    /// A single message always fits into an empty subscription, however large it is, so a small limit never keeps a
    /// message from a reader that keeps up. See [`subscription_capacity`](ConnectOptions::subscription_capacity).
    pub fn subscription_byte_capacity(mut self, bytes: usize) -> ConnectOptions {
        self.subscription_bytes = bytes;
        self
    }

    /// Sets the size below which the read buffer never shrinks, in bytes. Default 4,096; less counts as 4,096.
    ///
    /// The buffer grows under load and shrinks when idle. A higher minimum avoids growing again after each pause, and
    /// costs that memory for each idle connection.
    pub fn read_buffer_capacity(mut self, size: u16) -> ConnectOptions {
        self.driver.read_buffer = usize::from(size);
        self
    }

    /// Has no effect. For compatibility: async-nats has it.
    ///
    /// In async-nats it is the length of a queue of commands. This crate has no such queue: pending data is limited
    /// in bytes, by [`reconnect_buffer_size`](ConnectOptions::reconnect_buffer_size).
    pub fn client_capacity(self, _capacity: usize) -> ConnectOptions {
        self
    }

    /// Sets the longest control line that the servers accept, in bytes: subject, reply, queue group and numbers
    /// together. Default 4,096, the servers' own default (`max_control_line` in their configuration); must be at
    /// least 128.
    ///
    /// A publish or subscribe with a longer control line is refused here, because a server would close the connection.
    /// CONNECT is such a line too: a JWT of several kilobytes needs a server with a higher limit. CONNECT is sent
    /// regardless of this option; if it is too long for a server, that answers `maximum control line exceeded`, and the
    /// attempt fails with that error.
    pub fn max_control_line(mut self, bytes: usize) -> ConnectOptions {
        self.config.max_control_line = bytes;
        self
    }

    /// Limits what is accepted from a server: control line, header block, and message with its headers, in bytes.
    /// Default 128 KiB, 65 MiB and 65 MiB, which is more than servers send; each from 1 byte to 1 GiB, the line at
    /// least 4,096.
    ///
    /// A message over these limits is skipped before any memory is reserved for it:
    /// [`ConnectionEvent::MessageTooLarge`](crate::connection::ConnectionEvent::MessageTooLarge) reports it, and it
    /// counts as dropped for its subscription. A longer control line, or a message larger than any that servers send,
    /// ends the connection.
    ///
    /// ```
    /// use nats_lifeline::{ConnectOptions, protocol::Limits};
    ///
    /// let options = ConnectOptions::new().limits(Limits { line: 1024 * 1024, ..Limits::default() });
    /// # drop(options);
    /// ```
    pub fn limits(mut self, limits: Limits) -> ConnectOptions {
        self.driver.limits = limits;
        self
    }

    /// Has no effect. For compatibility: async-nats has it.
    ///
    /// Publishing checks only what would break the protocol: that a subject is not empty and contains no blank and no
    /// line end. This costs about a nanosecond, so it is never skipped.
    pub fn skip_subject_validation(self, _skip: bool) -> ConnectOptions {
        self
    }
}
