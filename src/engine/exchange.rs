//! The exchange with the outbox: the one place where the gate moves and losses are settled.

use std::time::Instant;

use super::config::DeliveryMode;
use super::connection::{Connection, Stage};
use super::effect::{CloseHow, Effect};
use super::engine::{Engine, ExchangeInput};
use super::error::{Cause, EndReason, FlushFailure};
use super::history::Outage;
use super::intent::{DrainStage, Intent, Waiter};
use super::line::Line;
use super::lines::Link;
use super::outbox::{Gate, Outbox};
use super::pool::Loss;
use super::recovery::Recovering;
use super::report::ConnectionEvent;
use super::time::after;

/// SUBs are replayed in pieces of this size, with reads in between.
const REPLAY_PIECE: usize = 64 * 1024;

impl<H> Engine<H> {
    /// Settles everything between engine and outbox: reports what was taken, takes back what a dead connection did not take,
    /// moves the gate, and loads what is waiting. Called under the mailbox's lock, in the same critical section in which the
    /// commands are taken.
    pub fn exchange(&mut self, outbox: &mut Outbox, input: ExchangeInput, now: Instant) {
        if let Some(connection) = self.lines.up_mut() {
            outbox.settle_taken(&mut connection.flight);
        }
        self.report_losses(outbox);
        self.report_refusing();
        self.advance_move(now);
        let lost = self.lines.present.take_lost();
        let settles = lost.is_some();
        if let Some((connection, cause)) = lost {
            self.settle_loss(*connection, cause, outbox, now);
        }
        if matches!(self.lines.present, Link::GivingUp(_)) {
            self.give_up(outbox);
        }
        if matches!(self.intent, Intent::Drain { .. }) {
            self.exchange_drain(input);
            self.end_drain_without_server(outbox);
        }
        if matches!(self.intent, Intent::End { .. }) {
            self.end(outbox, now);
        }
        // The frames of the commands that were taken just now were meant for the connection that is being settled. A candidate
        // that replaces it immediately gets them in its replay, so they are applied first.
        let unknown = settles && input.commands_waiting;
        let opened = match self.lines.up().map(|connection| &connection.stage) {
            Some(Stage::Replaying(_)) if !unknown => self.replay(outbox, input, now),
            _ => {
                self.announce_if_taken(now);
                false
            }
        };
        outbox.set_gate(self.gate());
        // A SUB that was taken from the mailbox just now has no frame. It is applied first, so that it goes ahead of the
        // messages that were buffered with it.
        let unframed = opened && input.commands_waiting;
        if !unframed && self.lines.up().is_some_and(Connection::carries) {
            self.load(outbox, now);
        }
        self.report_level(outbox);
        debug_assert_eq!(
            self.ledger(outbox.accepted()).waiting,
            self.count_waiting(outbox),
            "the ledger disagrees with the outbox"
        );
    }

    /// Connecting starts: from now on messages are buffered. This is called before the new state is published, so that whoever
    /// sees the state can rely on it.
    pub fn begin_buffering(&self, outbox: &mut Outbox) {
        if outbox.gate() == Gate::Shut && self.gate() == Gate::Buffering {
            outbox.set_gate(Gate::Buffering);
        }
    }

    /// Gives unused memory back; called when nothing has moved for a while.
    pub fn shrink(&mut self) {
        if let Some(connection) = self.lines.up_mut() {
            connection.flight.shrink();
        }
        self.subscriptions.shrink();
        self.out.shrink();
    }

    fn gate(&self) -> Gate {
        match (&self.intent, &self.lines.present) {
            (Intent::Run, Link::Idle | Link::GivingUp(_)) => Gate::Shut,
            (Intent::Drain { stage: DrainStage::Publishing { .. }, .. }, _) => Gate::Shut,
            (Intent::Run | Intent::Drain { .. }, Link::Line(Line::Up(connection))) if connection.carries() => {
                Gate::Open
            }
            (Intent::Run | Intent::Drain { .. }, _) => Gate::Buffering,
            (Intent::Close { .. } | Intent::End { .. } | Intent::Closed, _) => Gate::Shut,
        }
    }

    /// Gives SUBs to the flight, and opens the gate after the last of them. Returns whether it did.
    fn replay(&mut self, outbox: &mut Outbox, input: ExchangeInput, now: Instant) -> bool {
        let Some(connection) = self.lines.up_mut() else { return false };
        let Connection { stage: Stage::Replaying(replay), asked, flight, progress, .. } = connection else {
            return false;
        };
        if flight.len() < REPLAY_PIECE && !replay.is_done(&self.subscriptions) {
            if flight.is_empty() {
                *progress = now;
            }
            let piece = replay.piece(&self.subscriptions, asked, REPLAY_PIECE);
            if !piece.is_empty() {
                flight.push_wire(piece);
            }
        }
        if !replay.is_done(&self.subscriptions) {
            return false;
        }
        let replayed = replay.replayed;
        self.revise(outbox, now);
        let (through, again) = (outbox.through(), outbox.given());
        let buffered = outbox.messages();
        if let Some(connection) = self.lines.up_mut() {
            let until = after(now, self.config.announce_after);
            let replay_left = connection.flight.len();
            connection.refusals.begin(through, again);
            connection.stage = Stage::Recovering(Recovering { replay_left, buffered, replayed, until });
        }
        if !input.commands_waiting {
            self.announce_if_taken(now);
        }
        self.advance_drain();
        true
    }

    /// What the dead connection did not take goes back to the outbox. What it took and no PONG covers is in doubt, or, at least
    /// once, goes back too.
    fn settle_loss(&mut self, mut connection: Connection, cause: Cause, outbox: &mut Outbox, now: Instant) {
        let back = outbox.take_back_from(&mut connection.flight, now);
        connection.taken += back.taken;
        self.totals.resent += back.resent;
        let (unconfirmed, after) = (connection.unconfirmed(), connection.refusals.after());
        let unconfirmed = unconfirmed - self.settle_refused_at_loss(&mut connection.refusals, unconfirmed, outbox);
        let (in_doubt, again) = match self.config.outbox.delivery {
            DeliveryMode::AtMostOnce => (unconfirmed, 0),
            DeliveryMode::AtLeastOnce => (0, unconfirmed),
        };
        self.totals.in_doubt += in_doubt;
        let planned = cause.is_planned();
        if !(planned && in_doubt == 0 && self.keeps_requests()) {
            self.out.push(Effect::HandedOver { after, through: outbox.through(), in_doubt });
        }
        let server = connection.attempt.endpoint.clone();
        let (reason, buffered) = (cause.clone(), outbox.messages());
        self.out.emit(ConnectionEvent::Disconnected { server, cause: reason, in_doubt, buffered, folded: 0 });
        self.suspect(outbox, again + u64::from(back.cut), &cause);
        self.history.outage = Some(Outage { since: now, in_doubt, lost: self.totals.lost });
        self.history.note_failure(&cause, now);

        let lived = now.saturating_duration_since(connection.since);
        if lived >= self.config.policy.stable_after {
            self.history.failures = 0;
        } else if !planned {
            // Without this, a server that accepts and then closes would never be given up.
            self.history.failures += 1;
        }
        self.note_stay(connection.attempt.server, lived);
        let loss = Loss { cause: cause.clone(), lived, planned };
        let out = self.pool.lost(connection.attempt.server, loss, &self.config.policy, now, &mut self.rng);
        self.report_removed(out);

        let waiters: Vec<Waiter> = connection.liveness.into_waiters().collect();
        // The PONG after the last UNSUB has come, and with it everything that was sent before.
        let read_to_the_end = planned && !waiters.contains(&Waiter::Move);
        self.resettle_waiters(waiters);
        self.end_drained_subscriptions();
        if matches!(self.intent, Intent::Close { .. }) {
            // No server will answer, so there is nothing to wait for; the end counts what is still buffered.
            self.finish(EndReason::Closed, in_doubt == 0);
        }
        if self.adopt_candidate(read_to_the_end, now) {
            return self.advance_drain();
        }
        if planned {
            self.pool.hurry();
        }
        if !self.config.reconnect || self.out_of_retries() {
            self.lines.present = Link::GivingUp(cause);
        } else {
            self.connect_next(now);
        }
        self.advance_drain();
    }

    /// Waiters for a PONG of the dead connection wait for one of the next, unless something is in doubt.
    fn resettle_waiters(&mut self, mut waiting: Vec<Waiter>) {
        waiting.append(&mut self.waiters);
        for waiter in waiting {
            match waiter {
                Waiter::Flush { token, seen } if self.totals.in_doubt > seen => {
                    let outcome = Err(FlushFailure::InDoubt(self.totals.in_doubt - seen));
                    self.out.push(Effect::Complete { token, outcome });
                }
                Waiter::Flush { .. } => self.waiters.push(waiter),
                // The table, which knows what was draining, and the outbox, which knows what it still has, take care of these.
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

    /// The client gives up: waiters fail, streams end, buffered messages are reported lost.
    fn give_up(&mut self, outbox: &mut Outbox) {
        let Link::GivingUp(cause) = std::mem::replace(&mut self.lines.present, Link::Idle) else { return };
        if matches!(self.intent, Intent::End { .. } | Intent::Closed) {
            // The user's end came first, and is the reason.
            return;
        }
        let (attempts, servers) = (self.history.failures, self.pool.failures());
        self.out.emit(ConnectionEvent::GaveUp { cause: cause.clone(), attempts, servers });
        if matches!(self.intent, Intent::Run) {
            let reason = EndReason::GaveUp(cause);
            self.drop_buffered(outbox);
            self.fail_waiters(&reason);
            self.end_all_subscriptions(&reason);
        } else {
            self.finish(EndReason::GaveUp(cause), false);
        }
    }

    fn fail_waiters(&mut self, reason: &EndReason) {
        for waiter in std::mem::take(&mut self.waiters) {
            if let Waiter::Flush { token, .. } = waiter {
                let outcome = Err(FlushFailure::Ended(reason.clone()));
                self.out.push(Effect::Complete { token, outcome });
            }
        }
    }

    /// Continues a drain whose consumers have read everything.
    fn exchange_drain(&mut self, input: ExchangeInput) {
        let Intent::Drain { stage, .. } = &mut self.intent else { return };
        let waiting = input.requests_waiting || input.commands_waiting || !self.subscriptions.all_finished();
        if !matches!(stage, DrainStage::Delivering { .. }) || waiting {
            return;
        }
        // The gate shuts in this critical section, and only then do the streams end.
        *stage = DrainStage::Publishing { asked: false };
        self.end_all_subscriptions(&EndReason::Drained);
    }

    /// A drain with nothing left to send needs no server, so it does not wait for one.
    fn end_drain_without_server(&mut self, outbox: &Outbox) {
        let publishing = matches!(self.intent, Intent::Drain { stage: DrainStage::Publishing { .. }, .. });
        if publishing && outbox.messages() == 0 && !self.lines.up().is_some_and(Connection::carries) {
            self.finish(EndReason::Drained, true);
        }
    }

    /// Everything ends.
    fn end(&mut self, outbox: &mut Outbox, now: Instant) {
        let Intent::End { reason, completed } = std::mem::replace(&mut self.intent, Intent::Closed) else { return };
        // A connection that was about to be announced is announced before its end.
        self.announce(now);
        let mut in_doubt = 0;
        self.drop_candidate();
        match std::mem::replace(&mut self.lines.present, Link::Idle) {
            Link::Line(Line::Up(connection)) => {
                in_doubt = self.end_connection(*connection, (&reason, completed), outbox, now)
            }
            Link::Line(Line::Dialing(attempt)) => self.out.push(Effect::StopDialing { epoch: attempt.epoch }),
            Link::Idle | Link::GivingUp(_) | Link::Choosing { .. } | Link::Backoff { .. } => {}
        }
        let completed = completed && outbox.is_empty() && in_doubt == 0;
        self.drop_buffered(outbox);
        self.fail_waiters(&reason);
        self.end_all_subscriptions(&reason);
        self.out.push(Effect::Closed { reason: reason.clone(), completed });
        self.out.emit(ConnectionEvent::Closed { cause: reason });
    }
    /// The last connection ends. Returns how many messages that leaves in doubt.
    fn end_connection(
        &mut self,
        mut connection: Connection,
        (reason, completed): (&EndReason, bool),
        outbox: &mut Outbox,
        now: Instant,
    ) -> u64 {
        let finished = completed && connection.flight.is_empty();
        let how = if finished { CloseHow::Finish } else { CloseHow::Drop };
        self.out.push(Effect::Close { epoch: connection.attempt.epoch, how });
        // In the middle of a move it carried nothing more, and its end has not been reported yet.
        let was_up = connection.carries() || connection.is_moving();
        let back = outbox.take_back_at_the_end(&mut connection.flight, now, self.out.garbage());
        connection.taken += back.taken;
        self.totals.resent += back.resent;
        let (mut in_doubt, after) = (connection.unconfirmed(), connection.refusals.after());
        in_doubt -= self.settle_refused_at_the_end(&mut connection.refusals, in_doubt, outbox);
        self.totals.in_doubt += in_doubt;
        self.out.push(Effect::HandedOver { after, through: outbox.through(), in_doubt });
        if was_up {
            let (server, buffered) = (connection.attempt.endpoint.clone(), outbox.messages());
            let cause = if *reason == EndReason::DriverGone { Cause::RuntimeGone } else { Cause::ByUser };
            self.out.emit(ConnectionEvent::Disconnected { server, cause, in_doubt, buffered, folded: 0 });
        }
        self.waiters.extend(connection.liveness.into_waiters());
        in_doubt
    }
}
