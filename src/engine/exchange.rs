//! The exchange with the outbox, and time: the one place where the gate moves and losses are settled.

use std::time::{Duration, Instant};

use super::announce::Outage;
use super::config::DeliveryMode;
use super::effect::{CloseHow, Effect};
use super::engine::{Engine, Facts};
use super::error::{Cause, EndReason, FlushFailure};
use super::event::ConnectionEvent;
use super::outbox::{Gate, Outbox};
use super::phase::{Connection, DrainStage, Intent, Link, Recovering, Stage, Waiter};
use super::pool::Loss;
use super::time::after;

/// How long reading goes on after writing failed (DECISIONS D6).
pub(super) const LAST_WORDS: Duration = Duration::from_millis(100);

/// SUBs are replayed in pieces of this size, with reads in between.
const REPLAY_PIECE: usize = 64 * 1024;

impl<H> Engine<H> {
    /// Settles everything between engine and outbox: reports what was taken, takes back what a dead connection did
    /// not take, opens and shuts the gate, and loads what waits. Called under the mailbox's lock, in the
    /// same critical section in which the commands are taken.
    pub fn exchange(&mut self, outbox: &mut Outbox, facts: Facts, now: Instant) {
        self.flight.report(outbox);
        self.tell_losses(outbox);
        self.tell_refusing();
        self.advance_move(now);
        let settles = matches!(&self.link, Link::Up(connection) if matches!(connection.stage, Stage::Lost(_)));
        if settles {
            self.settle_loss(outbox, now);
        }
        if matches!(self.link, Link::GivingUp(_)) {
            self.give_up(outbox);
        }
        if matches!(self.intent, Intent::Drain { .. }) {
            self.exchange_drain(facts);
        }
        if matches!(self.intent, Intent::End { .. }) {
            self.end(outbox, now);
        }
        // The frames of the commands that were taken just now were for the connection that is settled. A candidate that has its
        // place at once is told of them with its replay, so they are applied first.
        let unknown = settles && facts.commands_waiting;
        let opened = match self.link.connection().map(|connection| &connection.stage) {
            Some(Stage::Replaying(_)) if !unknown => self.replay(outbox, facts, now),
            _ => {
                self.announce_if_taken(now);
                false
            }
        };
        outbox.set_gate(self.gate());
        // A SUB that was taken from the mailbox just now has no frame. It is applied first, so that it goes ahead of the
        // messages that were held with it.
        let unframed = opened && facts.commands_waiting;
        if !unframed && self.link.connection().is_some_and(Connection::carries) {
            self.load(outbox, now);
        }
        self.tell_level(outbox);
        debug_assert_eq!(
            self.ledger(outbox.accepted()).waiting,
            self.count_waiting(outbox),
            "the ledger disagrees with the outbox"
        );
    }

    /// A connection is sought that was not sought before: from now on messages are held for it. So that whoever is told of
    /// it can rely on it, this comes before the state is made public.
    pub fn begin_holding(&self, outbox: &mut Outbox) {
        if outbox.gate() == Gate::Shut && self.gate() == Gate::Held {
            outbox.set_gate(Gate::Held);
        }
    }

    /// Gives unused memory back; called when nothing has moved for a while.
    pub fn shrink(&mut self) {
        self.flight.shrink();
        self.subscriptions.shrink();
    }

    fn gate(&self) -> Gate {
        match (&self.intent, &self.link) {
            (Intent::Run, Link::Idle | Link::GivingUp(_)) => Gate::Shut,
            (Intent::Drain { stage: DrainStage::Publishing { .. }, .. }, _) => Gate::Shut,
            (Intent::Run | Intent::Drain { .. }, Link::Up(connection)) if connection.carries() => Gate::Open,
            (Intent::Run | Intent::Drain { .. }, _) => Gate::Held,
            (Intent::Close { .. } | Intent::End { .. } | Intent::Closed, _) => Gate::Shut,
        }
    }

    /// Hands SUBs to the flight, and opens the gate behind the last of them. Tells whether it does.
    fn replay(&mut self, outbox: &mut Outbox, facts: Facts, now: Instant) -> bool {
        let Link::Up(connection) = &mut self.link else {
            return false;
        };
        let Connection { stage, asked, progress, .. } = &mut **connection;
        let Stage::Replaying(replay) = stage else {
            return false;
        };
        if self.flight.len() < REPLAY_PIECE && !replay.is_done() {
            if self.flight.is_empty() {
                *progress = now;
            }
            let piece = replay.piece(&self.subscriptions, asked, REPLAY_PIECE);
            if !piece.is_empty() {
                self.flight.push_wire(piece);
            }
        }
        if !replay.is_done() {
            return false;
        }
        let replayed = replay.replayed;
        self.revise(outbox, now);
        let (through, again) = (outbox.through(), outbox.given());
        let held = outbox.messages();
        let replay_left = self.flight.len();
        if let Link::Up(connection) = &mut self.link {
            let until = after(now, self.config.announce_after);
            connection.refusals.begin(through, again);
            connection.stage = Stage::Recovering(Recovering { replay_left, held, replayed, until });
        }
        if !facts.commands_waiting {
            self.announce_if_taken(now);
        }
        self.advance_drain();
        true
    }

    /// What the dead connection did not take goes back; what it took and no PONG covers is in doubt, or at least once goes
    /// back too.
    fn settle_loss(&mut self, outbox: &mut Outbox, now: Instant) {
        let Link::Up(mut connection) = std::mem::replace(&mut self.link, Link::Idle) else {
            return;
        };
        let Stage::Lost(cause) = connection.stage else {
            return;
        };
        let back = self.flight.give_back(outbox, now);
        connection.taken += back.taken;
        self.books.resent += back.resent;
        let unconfirmed = connection.taken - connection.confirmed;
        let unconfirmed = unconfirmed - self.settle_refused_at_loss(&mut connection.refusals, unconfirmed, outbox);
        let (in_doubt, again) = match self.config.delivery {
            DeliveryMode::AtMostOnce => (unconfirmed, 0),
            DeliveryMode::AtLeastOnce => (0, unconfirmed),
        };
        self.books.in_doubt += in_doubt;
        let planned = cause.is_planned();
        if !(planned && in_doubt == 0 && self.keeps_requests()) {
            self.effects.push_back(Effect::HandedOver { through: outbox.through(), in_doubt });
        }
        let server = connection.attempt.endpoint.clone();
        let (told, held) = (cause.clone(), outbox.messages());
        self.emit(ConnectionEvent::Disconnected { server, cause: told, in_doubt, held, folded: 0 });
        self.suspect(outbox, again + u64::from(back.cut), &cause);
        self.history.outage = Some(Outage { since: now, in_doubt, lost: self.books.lost });
        self.history.waiting = Some(now);
        self.history.retrying = true;
        self.history.last_error = Some(cause.clone());

        let lived = now.saturating_duration_since(connection.since);
        if lived >= self.config.policy.stable_after {
            self.history.failures = 0;
        } else if !planned {
            // Otherwise a server that accepts and closes would never be given up.
            self.history.failures += 1;
        }
        self.note_stay(connection.attempt.server, lived);
        let loss = Loss { cause: cause.clone(), lived, planned };
        let out = self.pool.lost(connection.attempt.server, loss, &self.config.policy, now, &mut self.rng);
        self.tell_removed(out);

        let waiters: Vec<Waiter> = connection.liveness.into_waiters().collect();
        // The PONG behind the last UNSUB has come, and so has all that was sent before.
        let read_to_the_end = planned && !waiters.contains(&Waiter::Move);
        self.resettle_waiters(waiters);
        self.end_drained_subscriptions();
        if matches!(self.intent, Intent::Close { .. }) {
            // No server will answer, so there is nothing to wait for; the end sees what is still held.
            self.finish(EndReason::Closed, in_doubt == 0);
        }
        if self.adopt_candidate(read_to_the_end, now) {
            return self.advance_drain();
        }
        if planned {
            self.pool.hurry();
        }
        if !self.config.reconnect || self.out_of_retries() {
            self.link = Link::GivingUp(cause);
        } else {
            self.seek(now);
        }
        self.advance_drain();
    }

    /// Who waited for a PONG of the dead connection waits for one of the next, unless something is in doubt.
    fn resettle_waiters(&mut self, mut waiting: Vec<Waiter>) {
        waiting.append(&mut self.wanted);
        for waiter in waiting {
            match waiter {
                Waiter::Flush { token, seen } if self.books.in_doubt > seen => {
                    let outcome = Err(FlushFailure::InDoubt(self.books.in_doubt - seen));
                    self.effects.push_back(Effect::Complete { token, outcome });
                }
                Waiter::Flush { .. } => self.wanted.push(waiter),
                // These are ended by the table, which knows what was draining, and by the outbox, which knows what it still has.
                Waiter::Subscription(_) | Waiter::Publisher { .. } | Waiter::Move | Waiter::Join => {}
                Waiter::Interest if matches!(self.intent, Intent::Drain { stage: DrainStage::Interest, .. }) => {
                    self.begin_delivering();
                }
                Waiter::Interest => {}
                Waiter::Last => {
                    if let Intent::Drain { stage: DrainStage::Publishing { asked }, .. } = &mut self.intent {
                        *asked = false;
                    }
                }
            }
        }
    }

    /// Reconnecting ends: what waits fails, streams end, held messages are reported lost.
    fn give_up(&mut self, outbox: &mut Outbox) {
        let Link::GivingUp(cause) = std::mem::replace(&mut self.link, Link::Idle) else {
            return;
        };
        if matches!(self.intent, Intent::End { .. } | Intent::Closed) {
            // The user's end came first, and is the reason.
            return;
        }
        self.emit(ConnectionEvent::GaveUp { cause: cause.clone(), attempts: self.history.failures });
        if matches!(self.intent, Intent::Run) {
            let reason = EndReason::GaveUp(cause);
            self.drop_held(outbox);
            self.fail_waiters(&reason);
            self.end_all_subscriptions(&reason);
        } else {
            self.finish(EndReason::GaveUp(cause), false);
        }
    }

    fn fail_waiters(&mut self, reason: &EndReason) {
        for waiter in std::mem::take(&mut self.wanted) {
            if let Waiter::Flush { token, .. } = waiter {
                let outcome = Err(FlushFailure::Ended(reason.clone()));
                self.effects.push_back(Effect::Complete { token, outcome });
            }
        }
    }

    /// Goes on with a drain whose consumers have read everything.
    fn exchange_drain(&mut self, facts: Facts) {
        let Intent::Drain { stage, .. } = &mut self.intent else {
            return;
        };
        let waiting = facts.requests_waiting || facts.commands_waiting || !self.subscriptions.all_finished();
        if !matches!(stage, DrainStage::Delivering { .. }) || waiting {
            return;
        }
        // The gate shuts in this critical section, and only then do the streams end.
        *stage = DrainStage::Publishing { asked: false };
        self.end_all_subscriptions(&EndReason::Drained);
    }

    /// Everything ends.
    fn end(&mut self, outbox: &mut Outbox, now: Instant) {
        let Intent::End { reason, completed } = std::mem::replace(&mut self.intent, Intent::Closed) else {
            return;
        };
        // If it was about to be said that there is a connection, it is said before that it ends.
        self.announce(now);
        let mut in_doubt = 0;
        self.drop_candidate();
        match std::mem::replace(&mut self.link, Link::Idle) {
            Link::Up(mut connection) => {
                let finished = completed && self.flight.is_empty();
                let how = if finished { CloseHow::Finish } else { CloseHow::Drop };
                self.effects.push_back(Effect::Close { epoch: connection.attempt.epoch, how });
                // In the middle of a move it carries nothing more, and its user was not told that it is gone.
                let was_up = connection.carries() || matches!(connection.stage, Stage::Moving { .. });
                let back = self.flight.give_back_at_the_end(outbox, now, &mut self.garbage);
                connection.taken += back.taken;
                self.books.resent += back.resent;
                in_doubt = connection.taken - connection.confirmed;
                in_doubt -= self.settle_refused_at_the_end(&mut connection.refusals, in_doubt, outbox);
                self.books.in_doubt += in_doubt;
                self.effects.push_back(Effect::HandedOver { through: outbox.through(), in_doubt });
                if was_up {
                    let server = connection.attempt.endpoint.clone();
                    let held = outbox.messages();
                    self.emit(ConnectionEvent::Disconnected {
                        server,
                        cause: Cause::ByUser,
                        in_doubt,
                        held,
                        folded: 0,
                    });
                }
                self.wanted.extend(connection.liveness.into_waiters());
            }
            Link::Dialing(attempt) => {
                self.effects.push_back(Effect::StopDialing { epoch: attempt.epoch });
            }
            Link::Idle | Link::GivingUp(_) | Link::Choosing { .. } | Link::Backoff { .. } => {}
        }
        let completed = completed && outbox.is_empty() && in_doubt == 0;
        self.drop_held(outbox);
        self.fail_waiters(&reason);
        self.end_all_subscriptions(&reason);
        self.effects.push_back(Effect::Closed { reason: reason.clone(), completed });
        self.emit(ConnectionEvent::Closed { cause: reason });
    }
}
