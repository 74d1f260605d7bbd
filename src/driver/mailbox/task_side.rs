//! The task's side of the mailbox: take, settle, park, publish the state, end.

use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Instant;

use super::{Parked, Shared, WAKE_AT_ONCE};
use crate::driver::command::Command;
use crate::driver::deliver::Sink;
use crate::driver::guard::{guarded, wake};
use crate::driver::statistics::Statistics;
use crate::engine::{Cause, EndReason, Engine, ExchangeInput, Flight, Status};

/// These commands will not be carried out: ends the streams that they would have started, and drops the others, which
/// reports the end to their callers.
pub(in crate::driver) fn abandon(commands: Vec<Command>, reason: &EndReason, wakers: &mut Vec<Waker>) {
    for command in commands {
        if let Command::Subscribe { sink: Sink::Inbox(inbox), .. } = &command {
            wakers.extend(inbox.end(reason.clone()));
        }
        let _ = guarded("waker", || drop(command));
    }
}

impl Shared {
    pub(in crate::driver) fn counters(&self) -> &Statistics {
        &self.statistics
    }

    /// Takes the commands, and lets the engine settle with the outbox, in one critical section.
    pub(in crate::driver) fn exchange(
        &self,
        engine: &mut Engine<Sink>,
        commands: &mut Vec<Command>,
        wakers: &mut Vec<Waker>,
        now: Instant,
    ) {
        let requests_waiting = engine.status() == Status::Draining && self.requests.waiting() > 0;
        let mut guard = self.inner();
        let inner = &mut *guard;
        inner.parked = Parked::No;
        std::mem::swap(commands, &mut inner.commands);
        inner.command_bytes = 0;
        let gate = inner.outbox.gate();
        let input = ExchangeInput { commands_waiting: !commands.is_empty(), requests_waiting };
        engine.exchange(&mut inner.outbox, input, now);
        if inner.outbox.gate() != gate {
            wakers.extend(inner.room.take());
        } else if !inner.room.is_empty() && inner.outbox.has_room() {
            wakers.extend(std::iter::from_fn(|| inner.room.pop()).take(WAKE_AT_ONCE));
        }
        inner.backlog = engine.flight().map_or(0, Flight::interest);
        if inner.takes_calls(false) {
            wakers.extend(std::iter::from_fn(|| inner.calls.pop()).take(WAKE_AT_ONCE));
        }
        if inner.takes_calls(true) {
            wakers.extend(std::iter::from_fn(|| inner.interest.pop()).take(WAKE_AT_ONCE));
        }
        inner.learn(engine);
        self.count_accepted(inner);
    }

    /// Accepts messages again when the client is reconnecting.
    pub(in crate::driver) fn begin_buffering(&self, engine: &Engine<Sink>) {
        engine.begin_buffering(&mut self.inner().outbox);
    }

    /// Makes the engine's state public, before the events that report it.
    pub(in crate::driver) fn learn(&self, engine: &Engine<Sink>) {
        self.inner().learn(engine);
    }

    /// Parks the task unless there is work for it. `busy`: the transport has not taken everything yet, so
    /// more messages need not wake the task. Returns the previous waker, to be dropped outside of the lock.
    pub(in crate::driver) fn park(&self, waker: &Waker, busy: bool, carries: bool) -> Result<Option<Waker>, ()> {
        let mut inner = self.inner();
        let work =
            !inner.commands.is_empty() || inner.outbox.has_news() || (carries && !busy && !inner.outbox.is_empty());
        if work || std::mem::take(&mut inner.nudged) {
            return Err(());
        }
        inner.parked = if busy { Parked::ForCommands } else { Parked::ForAll };
        Ok(match &inner.task {
            Some(known) if known.will_wake(waker) => None,
            _ => inner.task.replace(waker.clone()),
        })
    }

    /// The client is connected from now on, or it has lost its connection (`None`).
    pub(in crate::driver) fn set_connected(&self, since: Option<Instant>) {
        self.inner().connected_since = since;
    }

    /// Makes the state public.
    pub(in crate::driver) fn publish_state(&self, status: Status, server: Option<String>, last_error: Option<Cause>) {
        {
            let mut inner = self.inner();
            inner.server = server;
            inner.last_error = last_error;
        }
        // Sending wakes the watchers.
        let _ = guarded("waker", || self.status.send_if_modified(|known| std::mem::replace(known, status) != status));
    }

    /// The subscription for replies is gone; the next request makes another.
    pub(in crate::driver) fn forget_replies(&self) {
        let _inner = self.inner();
        self.replies.store(0, Ordering::Release);
    }

    /// The runtime is gone: messages that are unconfirmed now will not be confirmed.
    pub(in crate::driver) fn note_before_the_end(&self) {
        let mut inner = self.inner();
        let before = inner.ledger_now();
        inner.before_the_end.get_or_insert(before);
    }

    /// The task ends: nothing is admitted any more, and all waiting calls end.
    pub(in crate::driver) fn end(&self, reason: &EndReason, completed: bool, undelivered: u64) {
        let mut guard = self.inner();
        let inner = &mut *guard;
        inner.closed_reason.get_or_insert(reason.clone());
        inner.completed.get_or_insert(completed);
        inner.undelivered = undelivered;
        let mut wakers: Vec<Waker> = inner.room.take().chain(inner.calls.take()).chain(inner.interest.take()).collect();
        let commands = std::mem::take(&mut inner.commands);
        let task = inner.task.take();
        inner.outbox.shut();
        self.count_accepted(inner);
        drop(guard);
        abandon(commands, reason, &mut wakers);
        drop(task);
        self.timers.clear();
        self.requests.end(reason, &mut wakers);
        self.confirmations.end(&mut wakers);
        wakers.into_iter().for_each(wake);
    }

    /// Frees unused memory.
    pub(in crate::driver) fn shrink(&self) {
        self.timers.clear();
        let mut inner = self.inner();
        inner.outbox.shrink();
        inner.commands.shrink_to(4);
    }
}
