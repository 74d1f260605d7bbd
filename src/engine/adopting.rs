//! The end of a planned move, or of a loss that it bridges: the candidate replaces the connection that is gone.

use std::time::Instant;

use super::candidate::Candidate;
use super::connection::{Connection, Stage};
use super::engine::Engine;
use super::intent::Waiter;
use super::lines::Link;
use super::replay::Replay;
use super::subscriptions::Counted;
use crate::protocol;

impl<H> Engine<H> {
    /// The present connection is gone and settled: the candidate replaces it, whatever its stage. Returns whether there was
    /// one. `read_to_the_end`: the previous server had delivered everything that it sent.
    pub(super) fn adopt_candidate(&mut self, read_to_the_end: bool, now: Instant) -> bool {
        self.plan = None;
        let Some(candidate) = self.lines.candidate.take() else { return false };
        let Candidate { line, joined } = *candidate;
        self.history.waiting = None;
        self.history.attempts = 1;
        if let Some(info) = line.connection().and_then(|connection| connection.info.clone()) {
            self.history.info = Some(info);
        }
        self.lines.present = Link::Line(line);
        if self.lines.up().is_some_and(Connection::is_lame_duck) {
            self.leave_lame_duck(now);
        }
        let known = self.settle_joined(&joined, read_to_the_end);
        if let Some(connection) = self.lines.up_mut() {
            if matches!(connection.stage, Stage::Standby(_)) {
                connection.stage = Stage::Replaying(Replay::without(known));
            }
        }
        true
    }

    /// The new server already has SUBs for these subscriptions, which may have changed since. Returns those that need no
    /// further SUB.
    fn settle_joined(&mut self, joined: &[u64], read_to_the_end: bool) -> Vec<u64> {
        let mut known = Vec::new();
        let mut out = Vec::new();
        for sid in joined {
            match self.subscriptions.get(*sid) {
                Some(subscription) if subscription.is_draining() => {
                    protocol::unsubscribe(&mut out, *sid, None);
                    self.waiters.push(Waiter::Subscription(*sid));
                    known.push(*sid);
                }
                Some(subscription) if subscription.remaining().is_none() => {
                    self.subscriptions.set_counted(*sid, Counted::More);
                    self.subscriptions.set_bridged(*sid, read_to_the_end);
                    known.push(*sid);
                }
                // A limit was set since: UNSUB, then SUB with the remaining count. This is done now, because the server may
                // have sent some already and a drain then waits for a PONG after that.
                Some(_) => {
                    protocol::unsubscribe(&mut out, *sid, None);
                    self.subscriptions.encode(*sid, &mut out);
                    if let Some(connection) = self.lines.up_mut() {
                        connection.asked.depart();
                        connection.asked.note_again(*sid, false, &self.subscriptions);
                    }
                    self.subscriptions.set_counted(*sid, Counted::Fewer);
                    known.push(*sid);
                }
                None => protocol::unsubscribe(&mut out, *sid, None),
            }
        }
        if let Some(connection) = self.lines.up_mut().filter(|_| !out.is_empty()) {
            connection.flight.push_wire(out);
        }
        known
    }
}
