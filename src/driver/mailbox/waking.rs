//! When the task is woken.

use std::task::Waker;

use super::{Inner, MOST_COMMANDS};
use crate::engine::Gate;

/// What wakes the parked task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parked {
    /// It is running, and will check before it parks.
    No,
    /// Commands only: the transport is still busy.
    ForCommands,
    /// Commands and messages.
    ForAll,
}

impl Inner {
    #[inline(always)]
    pub(super) fn wake_for_messages(&mut self) -> Option<Waker> {
        match self.parked {
            Parked::No => None,
            Parked::ForAll if self.outbox.gate() == Gate::Open => self.unpark(),
            _ if self.outbox.has_news() => self.unpark(),
            _ => None,
        }
    }

    /// Whether another call may be submitted. `frames`: it sends a frame to the server.
    pub(in crate::driver) fn takes_calls(&self, frames: bool) -> bool {
        let waiting = self.outbox.pending() + self.backlog;
        let clear = !frames || self.outbox.gate() != Gate::Open || waiting < self.outbox.mark();
        self.completed.is_some() || (clear && self.command_bytes < MOST_COMMANDS)
    }

    pub(super) fn wake_for_commands(&mut self) -> Option<Waker> {
        if self.parked == Parked::No { None } else { self.unpark() }
    }

    pub(super) fn unpark(&mut self) -> Option<Waker> {
        self.parked = Parked::No;
        self.task.clone()
    }
}
