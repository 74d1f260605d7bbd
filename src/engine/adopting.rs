//! The end of a planned move, or of a loss that it bridges: the candidate takes the place of the connection that is gone.

use std::time::Instant;

use super::engine::Engine;
use super::moving::Candidate;
use super::phase::{Link, Purpose, Stage, Waiter};
use super::replay::Replay;
use super::subscriptions::Counted;
use crate::protocol;

impl<H> Engine<H> {
    /// The present connection is gone and settled: the candidate takes its place, wherever it stands. Tells whether there
    /// was one. `read_to_the_end`: nothing that the server of the connection before had sent is missing.
    pub(super) fn adopt_candidate(&mut self, read_to_the_end: bool, now: Instant) -> bool {
        self.wish = None;
        let Some(candidate) = self.candidate.take() else {
            return false;
        };
        let Candidate { mut link, flight, info, joined } = *candidate;
        match &mut link {
            Link::Dialing(attempt) => attempt.purpose = Purpose::Link,
            Link::Up(connection) => connection.attempt.purpose = Purpose::Link,
            _ => return false,
        }
        self.history.waiting = None;
        self.history.attempts = 1;
        self.link = link;
        self.flight = flight;
        self.info = info.or(self.info.take());
        if self.info.as_ref().is_some_and(|info| info.lame_duck_mode) {
            self.leave_lame_duck(now);
        }
        let told = self.settle_joined(&joined, read_to_the_end);
        if let Link::Up(connection) = &mut self.link {
            if matches!(connection.stage, Stage::Standby(_)) {
                connection.stage = Stage::Replaying(Replay::without(&self.subscriptions, told));
            }
        }
        true
    }

    /// The new server was told of these when they were otherwise than now, perhaps. Returns those that it needs not be told of
    /// again.
    fn settle_joined(&mut self, joined: &[u64], read_to_the_end: bool) -> Vec<u64> {
        let mut told = Vec::new();
        let mut out = Vec::new();
        for sid in joined {
            match self.subscriptions.get(*sid) {
                Some(subscription) if subscription.is_draining() => {
                    protocol::unsubscribe(&mut out, *sid, None);
                    self.wanted.push(Waiter::Subscription(*sid));
                    told.push(*sid);
                }
                Some(subscription) if subscription.remaining().is_none() => {
                    self.subscriptions.set_counted(*sid, Counted::More);
                    self.subscriptions.set_bridged(*sid, read_to_the_end);
                    told.push(*sid);
                }
                // Limited since: it is told anew, with what remains. At once, since it has sent some of it, perhaps: who drains
                // it now waits for a PONG behind that.
                Some(_) => {
                    protocol::unsubscribe(&mut out, *sid, None);
                    self.subscriptions.encode(*sid, &mut out);
                    if let Link::Up(connection) = &mut self.link {
                        self.subscriptions.note_asked(*sid, &mut connection.asked);
                    }
                    self.subscriptions.set_counted(*sid, Counted::Fewer);
                    told.push(*sid);
                }
                None => protocol::unsubscribe(&mut out, *sid, None),
            }
        }
        if !out.is_empty() {
            self.flight.push_wire(out);
        }
        told
    }
}
