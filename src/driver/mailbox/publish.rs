//! One message on its way into the mailbox, and why it may be refused.

use std::time::Duration;

use bytes::Bytes;

use crate::engine::{EndReason, Frame, Refusal};

/// A message to publish, borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publish<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) priority: Priority,
}

impl<'a> Publish<'a> {
    /// A message without a reply subject and headers, that goes out when it can.
    #[inline(always)]
    pub(crate) fn new(subject: &'a [u8], payload: &'a Bytes) -> Publish<'a> {
        Publish { frame: Frame { subject, reply: None, headers: None, payload }, priority: Priority::Usual }
    }

    #[inline(always)]
    pub(crate) fn with_reply(mut self, reply: Option<&'a [u8]>) -> Publish<'a> {
        self.frame.reply = reply;
        self
    }

    /// `block`: the encoded headers.
    #[inline(always)]
    pub(crate) fn with_headers(mut self, block: Option<&'a [u8]>) -> Publish<'a> {
        self.frame.headers = block;
        self
    }

    #[inline(always)]
    pub(crate) fn with_priority(mut self, priority: Priority) -> Publish<'a> {
        self.priority = priority;
        self
    }

    /// Headers and payload, in bytes: what `max_payload` limits.
    pub(crate) fn size(&self) -> usize {
        self.frame.headers.map_or(0, <[u8]>::len) + self.frame.payload.len()
    }
}

/// What a message is worth to its publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// It goes out when it can.
    Usual,
    /// Its publisher waits for a PONG behind it.
    Confirmed,
    /// It is not to be buffered for a connection that is not there.
    Critical,
}

/// What a publisher can do when it should not go on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFull {
    /// Let others run, and ask again.
    Yield,
    /// Nothing.
    Never,
    /// Nothing, and it was promised room: a mark that was reached since does not count.
    Insist,
}

/// Why a message was not admitted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Denied {
    /// Others must run first: yield and ask again.
    Yield,
    /// There was no room in time. Only those who wait say so.
    NotInTime { waited: Duration },
    /// The outbox says no.
    Outbox(Refusal),
    /// Headers and payload exceed the server's limit.
    MaxPayload { size: usize, limit: usize },
    /// The server can't take headers.
    NoHeaders,
    /// The message is critical, and no server is connected.
    Disconnected,
    /// The client has ended, or has given up. Boxed, so that every publish's result is small.
    Ended(Box<EndReason>),
}
