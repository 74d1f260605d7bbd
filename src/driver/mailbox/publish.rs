//! One message on its way into the mailbox, and why it may be refused.

use std::time::Duration;

use crate::engine::{EndReason, Frame, Refusal};

/// A message to publish, with what is checked under the lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publish<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) on_full: OnFull,
    pub(crate) priority: Priority,
}

/// What a message is worth to its publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// It goes out when it can.
    Usual,
    /// Its publisher waits for a PONG behind it.
    Confirmed,
    /// It is not to be held for a connection that is not there.
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
