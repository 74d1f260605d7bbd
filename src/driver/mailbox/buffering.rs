//! Publishing while no server is connected: the time for the age limit, messages dropped by the overflow policy, and
//! withdrawal.

use std::sync::MutexGuard;

use super::{Inner, Shared, YIELD_BYTES, YIELD_REFUSALS};
use crate::driver::task::now;
use crate::engine::{Gate, Segment, Status};

impl Shared {
    /// Withdraws a message if it is still buffered; returns whether it was.
    pub(crate) fn withdraw(&self, sequence: u64) -> bool {
        let mut gone = Vec::new();
        let mut guard = self.inner();
        let inner = &mut *guard;
        let buffered = inner.outbox.cancel(sequence, &mut gone);
        let next = if inner.outbox.has_room() { inner.room.pop() } else { None };
        drop(guard);
        // Dropped here, outside of the lock.
        drop(gone);
        if let Some(next) = next {
            next.wake();
        }
        buffered
    }
}

impl Shared {
    /// Whether a message would be buffered for lack of a connection; during a planned move there is one.
    #[cold]
    pub(super) fn would_buffer(&self, inner: &Inner) -> bool {
        inner.outbox.gate() == Gate::Buffering && *self.status.borrow() != Status::Connected
    }

    /// Counts a call. Returns whether the caller must yield first, so that the task can run and does not
    /// fall further and further behind.
    pub(crate) fn must_yield(&self) -> bool {
        let mut inner = self.inner();
        inner.unyielded += YIELD_BYTES / YIELD_REFUSALS;
        inner.must_yield()
    }
}

impl Inner {
    /// Whether the caller must yield first; returns `true` once.
    #[inline]
    pub(super) fn must_yield(&mut self) -> bool {
        let must_yield = self.unyielded >= YIELD_BYTES;
        if must_yield {
            self.unyielded = 0;
        }
        must_yield
    }

    /// With an age limit, the time is needed before a message is buffered.
    #[cold]
    pub(super) fn tick(&mut self) {
        self.outbox.tick(now());
    }

    /// The memory of dropped messages, to be dropped outside of the lock. Publishers must yield for
    /// them as for refusals.
    #[cold]
    pub(super) fn take_dropped(&mut self) -> Vec<Segment> {
        self.unyielded += self.outbox.take_dropped() * (YIELD_BYTES / YIELD_REFUSALS);
        self.outbox.take_garbage()
    }
}

/// A message was not accepted. If the policy has dropped it, the task is woken to report it.
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
