//! Waiting for room in the outbox: first come, first woken, but a waiter never owns room (DECISIONS D11).

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::handle::Handle;

/// Waiters by ticket. A woken waiter that finds no room comes back under its old ticket, which is the lowest.
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
    /// Bytes of the frame for which there must be room while no server is connected; `None`: it does not wait then.
    frame: Option<usize>,
}

impl Room {
    pub(crate) fn new(handle: Arc<Handle>, frame: Option<usize>) -> Room {
        Room { handle, ticket: None, frame }
    }
}

impl Future for Room {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Cloned and dropped where no lock is held: it may be a user's own.
        let waker = cx.waker().clone();
        let mut guard = this.handle.shared.inner();
        let inner = &mut *guard;
        let (outcome, old) = if inner.outbox.has_room_for(this.frame) {
            (Poll::Ready(()), this.ticket.and_then(|ticket| inner.room.leave(ticket)))
        } else {
            (Poll::Pending, inner.room.enter(&mut this.ticket, waker))
        };
        drop(guard);
        drop(old);
        outcome
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut guard = self.handle.shared.inner();
        let inner = &mut *guard;
        let own = inner.room.leave(ticket);
        // If it was woken and gives up, the next one must be told.
        let next = if own.is_none() && inner.outbox.has_room() { inner.room.pop() } else { None };
        drop(guard);
        drop(own);
        if let Some(waker) = next {
            waker.wake();
        }
    }
}
