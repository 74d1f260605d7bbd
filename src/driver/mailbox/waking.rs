//! What the task is woken for.

use std::task::Waker;

use super::{Inner, MOST_COMMANDS};
use crate::engine::Gate;

/// What the task, when it is parked, wants to be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parked {
    /// It runs, and will look before it parks.
    No,
    /// Commands only: the transport is busy with what it has.
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

    /// Whether another call may be handed in. `frames`: it makes the server be told something, each time.
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
