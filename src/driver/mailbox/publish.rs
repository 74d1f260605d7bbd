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

    /// Headers and payload, in bytes, which `max_payload` limits.
    pub(crate) fn size(&self) -> usize {
        self.frame.headers.map_or(0, <[u8]>::len) + self.frame.payload.len()
    }
}

/// The priority of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// It is sent as soon as possible.
    Usual,
    /// Its publisher waits for the PONG after it.
    Confirmed,
    /// It must not be buffered while no server is connected.
    Critical,
}

/// What the caller does if it cannot publish immediately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFull {
    /// It yields and tries again.
    Yield,
    /// It gives up.
    Never,
    /// It gives up, but it was promised room: the mark does not apply.
    Insist,
}

/// Why a message was not admitted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Denied {
    /// Other tasks must run first: yield and try again.
    Yield,
    /// There was no room in time. Only for callers that wait.
    NotInTime { waited: Duration },
    /// The outbox refused it.
    Outbox(Refusal),
    /// Headers and payload exceed the server's limit.
    MaxPayload { size: usize, limit: usize },
    /// The server does not support headers.
    NoHeaders,
    /// The message is critical, and no server is connected.
    Disconnected,
    /// The client has ended, or has given up. Boxed, so that every publish's result is small.
    Ended(Box<EndReason>),
}
