//! One message on its way into the mailbox, the short way in, and why it may be refused.

use std::time::Duration;

use bytes::Bytes;

use super::waking::Parked;
use super::{Shared, YIELD_BYTES};
use crate::engine::{EndReason, Frame, Outbox, Refusal};
use crate::protocol::PublishPrefix;

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

impl Shared {
    /// Admits a short message without headers and reply subject in the simplest case. `false`: nothing was done; call
    /// [`publish`](Self::publish).
    #[inline(always)]
    pub(crate) fn publish_short(&self, subject: &[u8], payload: &[u8]) -> bool {
        self.admit_simply(payload.len(), |outbox| outbox.admit_short(subject, payload))
    }

    /// The same for a message that is sent again if a lost connection leaves it in doubt: a second copy has no effect. It has no
    /// payload.
    #[cfg(feature = "jetstream")]
    pub(crate) fn publish_repeatable(&self, subject: &[u8]) -> bool {
        self.admit_simply(0, |outbox| {
            let len = outbox.admit_short(subject, &[])?;
            self.repeats.add(outbox.last(), subject);
            Some(len)
        })
    }

    /// The same for one that was admitted with this number, in this critical section.
    #[cfg(feature = "jetstream")]
    pub(crate) fn admitted_repeatable(&self, number: u64, subject: &[u8]) {
        self.repeats.add(number, subject);
    }

    /// Sends the messages after number `after` up to `through` again that may be repeated. They wait for the next connection, if need
    /// be beyond the mark; what the outbox refuses because it is full is left in doubt.
    pub(in crate::driver) fn repeat(&self, after: u64, through: u64) {
        let taken = self.repeats.take(after, through);
        if taken.is_empty() {
            return;
        }
        let (mut guard, payload) = (self.inner(), Bytes::new());
        let inner = &mut *guard;
        for subject in taken {
            let frame = Frame { subject: &subject, reply: None, headers: None, payload: &payload };
            if let Ok(number) = inner.admit(&frame, true) {
                self.repeats.add(number, &subject);
            }
        }
        let task = inner.wake_for_messages();
        let gone = if inner.outbox.has_news() { inner.take_dropped() } else { Vec::new() };
        drop(guard);
        drop(gone);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// The same for a message on a subject that was encoded before.
    #[inline(always)]
    pub(crate) fn publish_prefixed(&self, prefix: &PublishPrefix, payload: &[u8]) -> bool {
        self.admit_simply(payload.len(), |outbox| outbox.admit_prefixed(prefix, payload))
    }

    /// The same for encoded messages, all or none. `longest` is the largest payload.
    pub(crate) fn publish_block(&self, block: &[u8], messages: u64, longest: usize) -> bool {
        self.admit_simply(longest, |outbox| outbox.admit_block(block, messages))
    }

    /// Admits messages if nothing is in the way: no limit of the server, nobody in line, and no reason to yield.
    #[inline(always)]
    fn admit_simply(&self, payload: usize, admit: impl FnOnce(&mut Outbox) -> Option<usize>) -> bool {
        let mut guard = self.inner();
        let inner = &mut *guard;
        let clear = payload <= inner.max_payload && inner.unyielded < YIELD_BYTES && inner.room.is_empty();
        if !clear {
            return false;
        }
        let Some(len) = admit(&mut inner.outbox) else {
            return false;
        };
        inner.unyielded += len;
        if inner.parked == Parked::ForAll {
            let task = inner.unpark();
            drop(guard);
            if let Some(task) = task {
                task.wake();
            }
        }
        true
    }
}
