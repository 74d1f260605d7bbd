//! The end of the task with its runtime, or by a panic: all waiting calls end.

use std::io::IoSlice;

use super::{PARTS, Task, now};
use crate::driver::deliver::Sink;
use crate::driver::guard::guarded;
use crate::driver::link::Link;
use crate::driver::mailbox::task_side::abandon;
use crate::engine::{ConnectionEvent, EndReason, Flight, Status};

impl Task {
    /// Writes what can be written without waiting, and accounts for every message.
    pub(super) fn end_with_runtime(&mut self) {
        let now = now();
        self.exchange(now);
        abandon(std::mem::take(&mut self.commands), &EndReason::DriverGone, &mut self.delivered.wakers);
        if let Some(epoch) = self.engine.carrying() {
            let slices = self.engine.flight().into_iter().flat_map(Flight::slices);
            let parts: Vec<IoSlice<'_>> = slices.take(PARTS).map(IoSlice::new).collect();
            let transport = self.links.iter_mut().find(|link| link.epoch == epoch).and_then(Link::transport);
            let written = transport.map_or(0, |transport| transport.write_last(&parts));
            self.engine.handle_taken(epoch, written, now);
        }
        self.shared.note_before_the_end();
        self.engine.abandon();
        self.exchange(now);
        self.carry_out(now);
    }

    /// Ends everything without an account.
    pub(super) fn abandon_all(&mut self) {
        let reason = EndReason::DriverGone;
        abandon(std::mem::take(&mut self.commands), &reason, &mut self.delivered.wakers);
        for (_, subscription) in self.engine.subscriptions.iter() {
            if let Sink::Inbox(inbox) = &subscription.handle {
                self.delivered.wakers.extend(inbox.end(reason.clone()));
            }
        }
        self.flushes.clear();
        self.shared.note_before_the_end();
        self.shared.end(&reason, false, self.unread.messages());
        self.shared.publish_state(Status::Closed, None, self.engine.last_error().cloned());
        self.emit(&ConnectionEvent::closed(reason));
        self.shared.listeners.end();
        self.wake_all();
    }
}

impl Drop for Task {
    /// The runtime ended first, or this has panicked: all waiting calls end.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // After a panic of the task the ledger may be wrong. A second panic would end the process.
        let settled = !std::thread::panicking() && guarded("connection's task", || self.end_with_runtime()).is_ok();
        if !settled {
            let _ = guarded("connection's task", || self.abandon_all());
        }
    }
}
