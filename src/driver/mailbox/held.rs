//! Publishing while no server is connected: the time for the age limit, what the overflow policy drops, and withdrawal.

use std::sync::MutexGuard;

use super::{Inner, Shared, YIELD_BYTES, YIELD_REFUSALS};
use crate::driver::task::now;
use crate::engine::{Gate, Segment, Status};

impl Shared {
    /// Takes a held message out again, if it is still held; tells whether it was.
    pub(crate) fn withdraw(&self, sequence: u64) -> bool {
        let mut gone = Vec::new();
        let mut guard = self.inner();
        let inner = &mut *guard;
        let held = inner.outbox.cancel(sequence, &mut gone);
        let next = if inner.outbox.has_room() { inner.room.pop() } else { None };
        drop(guard);
        // Dropped here, where no lock is held.
        drop(gone);
        if let Some(next) = next {
            next.wake();
        }
        held
    }
}

impl Shared {
    /// Whether a message would wait for a connection that is not there; in the middle of a planned move there is one.
    #[cold]
    pub(super) fn would_hold(&self, inner: &Inner) -> bool {
        inner.outbox.gate() == Gate::Held && *self.status.borrow() != Status::Connected
    }

    /// Another call is made. Whether the caller must let others run before: the task, which would have more and more to do
    /// otherwise.
    pub(crate) fn owes_a_yield(&self) -> bool {
        let mut inner = self.inner();
        inner.unyielded += YIELD_BYTES / YIELD_REFUSALS;
        inner.owes_a_yield()
    }
}

impl Inner {
    /// Whether whoever calls must let others run before; that is asked of it once.
    #[inline]
    pub(super) fn owes_a_yield(&mut self) -> bool {
        let owes = self.unyielded >= YIELD_BYTES;
        if owes {
            self.unyielded = 0;
        }
        owes
    }

    /// An age limit wants to know the time before a message is held.
    #[cold]
    pub(super) fn tick(&mut self) {
        self.outbox.tick(now());
    }

    /// What messages that were dropped have left behind, to be dropped outside. Those who publish must let others run for
    /// them as for refusals.
    #[cold]
    pub(super) fn take_dropped(&mut self) -> Vec<Segment> {
        self.unyielded += self.outbox.take_dropped() * (YIELD_BYTES / YIELD_REFUSALS);
        self.outbox.take_garbage()
    }
}

/// A message was not taken. If the policy has dropped it, the task is to tell.
#[cold]
pub(super) fn refused(mut guard: MutexGuard<'_, Inner>) {
    let inner = &mut *guard;
    inner.unyielded += YIELD_BYTES / YIELD_REFUSALS;
    let task = inner.wake_for_messages();
    let gone = inner.take_dropped();
    drop(guard);
    drop(gone);
    if let Some(task) = task {
        task.wake();
    }
}
