//! Waiting for room in the outbox: in FIFO order, but a waiter never owns room (D11).

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::handle::Handle;
use super::mailbox::Inner;

/// Waiters by ticket. A woken waiter that finds no room returns with its old ticket, which is the lowest.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiters: BTreeMap<u64, Waker>,
    next: u64,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// The first waiter, to be woken.
    pub(super) fn pop(&mut self) -> Option<Waker> {
        self.waiters.pop_first().map(|(_, waker)| waker)
    }

    /// All waiters, to be woken.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.waiters).into_values()
    }

    /// Queues `waker` under `ticket`, or a new one. Returns the waker it replaces.
    fn enter(&mut self, ticket: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        let ticket = *ticket.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.waiters.insert(ticket, waker)
    }

    fn leave(&mut self, ticket: u64) -> Option<Waker> {
        self.waiters.remove(&ticket)
    }
}

/// Ready when there is room, or nothing to wait for. It may be polled again after that: it then keeps its place.
#[derive(Debug)]
pub(crate) struct Room {
    handle: Arc<Handle>,
    ticket: Option<u64>,
    wants: Wants,
}

/// What a waiter needs room for.
#[derive(Clone, Copy, Debug)]
enum Wants {
    /// A frame of this many bytes, also while no server is connected; `None`: it does not wait then.
    Frame(Option<usize>),
    /// A call. `frames`: it sends a frame to the server.
    Call { frames: bool },
}

impl Room {
    pub(crate) fn new(handle: Arc<Handle>, frame: Option<usize>) -> Room {
        Room { handle, ticket: None, wants: Wants::Frame(frame) }
    }

    /// Room for a call, after those that the task has not taken yet. `frames`: it sends a frame to the server.
    pub(crate) fn for_call(handle: Arc<Handle>, frames: bool) -> Room {
        Room { handle, ticket: None, wants: Wants::Call { frames } }
    }
}

impl Inner {
    fn has(&self, wants: Wants) -> bool {
        match wants {
            Wants::Frame(frame) => self.outbox.has_room_for(frame),
            Wants::Call { frames } => self.takes_calls(frames),
        }
    }

    fn queue(&mut self, wants: Wants) -> &mut Queue {
        match wants {
            Wants::Frame(_) => &mut self.room,
            Wants::Call { frames: false } => &mut self.calls,
            Wants::Call { frames: true } => &mut self.interest,
        }
    }

    /// The next waiter of the same kind, if there is room for it.
    fn next(&mut self, wants: Wants) -> Option<Waker> {
        let room = match wants {
            Wants::Frame(_) => self.outbox.has_room(),
            Wants::Call { frames } => self.takes_calls(frames),
        };
        if room { self.queue(wants).pop() } else { None }
    }
}

impl Future for Room {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Cloned and dropped outside of the lock: it may be the user's own.
        let waker = cx.waker().clone();
        let mut guard = this.handle.shared.inner();
        let inner = &mut *guard;
        let (outcome, old) = if inner.has(this.wants) {
            (Poll::Ready(()), this.ticket.and_then(|ticket| inner.queue(this.wants).leave(ticket)))
        } else {
            (Poll::Pending, inner.queue(this.wants).enter(&mut this.ticket, waker))
        };
        // A publisher wakes the next waiter with its message; a call may end without one, so it wakes the next one
        // here.
        let call = outcome.is_ready() && matches!(this.wants, Wants::Call { .. });
        let next = if call { inner.next(this.wants) } else { None };
        drop(guard);
        drop(old);
        if let Some(next) = next {
            next.wake();
        }
        outcome
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut guard = self.handle.shared.inner();
        let inner = &mut *guard;
        let own = inner.queue(self.wants).leave(ticket);
        // If it was woken and gives up, the next waiter must be woken.
        let next = if own.is_none() { inner.next(self.wants) } else { None };
        drop(guard);
        drop(own);
        if let Some(waker) = next {
            waker.wake();
        }
    }
}
