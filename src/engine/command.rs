//! Commands: what the user wants. Each is legal in every phase.

use std::time::{Duration, Instant};

use super::connection::{Connection, Stage};
use super::effect::{Choice, Effect};
use super::engine::Engine;
use super::error::{Cause, EndReason, FlushFailure};
use super::intent::{DrainStage, Intent, Waiter};
use super::line::Line;
use super::lines::Link;
use super::report::ConnectionEvent;
use super::subscriptions::{Counted, Interest, NewLimit};
use super::time::after;
use crate::protocol::{self, ServerAddr};

/// During a drain, a consumer that has taken its last message has this long to come back, because it may be answering it.
/// Longer than most handlers take, and short enough for a consumer that has stopped reading. A shorter drain allows a quarter
/// of its own time.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

impl<H> Engine<H> {
    /// Starts connecting, unless a connection exists or is being made.
    pub fn connect(&mut self, now: Instant) {
        if matches!(self.lines.present, Link::Idle) && matches!(self.intent, Intent::Run) {
            self.history.failures = 0;
            self.history.retrying = false;
            self.connect_next(now);
        }
    }

    /// Adds a subscription. `framed`: its SUB is in the outbox already, because the gate was open.
    pub fn subscribe(&mut self, sid: u64, interest: Interest<'_>, handle: H, framed: bool) {
        self.subscriptions.insert(sid, interest, handle);
        if matches!(self.intent, Intent::Drain { .. } | Intent::Closed | Intent::End { .. }) {
            // Another thread subscribed before the drain began: it ends with the others.
            return self.end_subscription(sid, EndReason::Closed);
        }
        let framed = self.is_framed(framed);
        let Some(connection) = self.lines.up_mut() else { return };
        match &mut connection.stage {
            _ if framed => connection.asked.add(sid, &self.subscriptions),
            // The replay comes to it last.
            Stage::Replaying(_) => {}
            // The gate was opened after this was taken from the mailbox, and no message was loaded since.
            Stage::Recovering(recovering) => {
                let mut out = Vec::new();
                self.subscriptions.encode(sid, &mut out);
                connection.flight.push_interest(out);
                recovering.replay_left = connection.flight.len();
                recovering.replayed += 1;
                connection.asked.add(sid, &self.subscriptions);
            }
            _ => {}
        }
    }

    /// Removes a subscription. `framed`: its UNSUB is in the outbox already.
    pub fn unsubscribe(&mut self, sid: u64, framed: bool) {
        if self.subscriptions.get(sid).is_none() {
            return;
        }
        let suffices = self.frame_suffices(sid, framed);
        self.end_subscription(sid, EndReason::Unsubscribed);
        if !suffices {
            self.send_unsub(sid, None);
        }
    }

    /// Ends a subscription when it has received `max` messages in total, over all connections.
    pub fn unsubscribe_after(&mut self, sid: u64, max: u64) {
        match self.subscriptions.limit(sid, max) {
            Some(NewLimit::Nothing) => {}
            Some(NewLimit::Number(here)) => self.send_unsub(sid, Some(here)),
            Some(limit) => self.resubscribe(sid, limit),
            None if self.subscriptions.get(sid).is_some() => {
                self.end_subscription(sid, EndReason::Complete { max });
                self.send_unsub(sid, None);
            }
            None => {}
        }
    }

    /// Ends a subscription after everything that the server sent before it received UNSUB. `framed`: that UNSUB is in the
    /// outbox already.
    pub fn drain_subscription(&mut self, sid: u64, framed: bool) {
        if self.subscriptions.get(sid).is_none() {
            return;
        }
        let present = self.lines.up().is_some_and(|connection| match &connection.stage {
            Stage::Replaying(replay) => replay.passed(sid),
            // It lasts until the move, which ends it.
            Stage::Moving { .. } => true,
            _ => connection.carries(),
        });
        // A candidate's server keeps sending although the present connection is lost, so the end waits for whichever connection
        // replaces it.
        let sending = present || self.lines.has_joined(sid);
        if sending {
            if !self.frame_suffices(sid, framed) {
                self.send_unsub(sid, None);
            }
            self.subscriptions.set_draining(sid);
            self.lines.connections_mut().for_each(|connection| connection.asked.depart());
            self.waiters.push(Waiter::Subscription(sid));
        } else {
            // No server is sending.
            self.end_subscription(sid, EndReason::Drained);
            self.send_unsub(sid, None);
        }
    }

    /// Whether an UNSUB that was admitted as a frame is final: no SUB was sent again after it.
    fn frame_suffices(&self, sid: u64, framed: bool) -> bool {
        self.is_framed(framed) && !self.subscriptions.was_renewed(sid)
    }

    /// Whether a SUB or UNSUB that was admitted as a frame still is one. During a replay the gate is buffering: the frame was
    /// for the previous connection and was dropped with it.
    fn is_framed(&self, framed: bool) -> bool {
        framed && !self.lines.up().is_some_and(Connection::is_replaying)
    }

    /// Sends UNSUB, if this connection's server knows the subscription. Its position among the messages does not matter:
    /// surplus messages are not delivered.
    pub(super) fn send_unsub(&mut self, sid: u64, max: Option<u64>) {
        if let Some(connection) = self.knowing(sid) {
            let mut out = Vec::with_capacity(32);
            protocol::unsubscribe(&mut out, sid, max);
            connection.flight.push_interest(out);
        }
    }

    /// The present connection, if its server has had SUB for the subscription and is not being left.
    fn knowing(&mut self, sid: u64) -> Option<&mut Connection> {
        self.lines.up_mut().filter(|connection| match &connection.stage {
            Stage::Replaying(replay) => replay.passed(sid),
            _ => connection.carries(),
        })
    }

    /// Sends SUB once more, if this connection's server has had one. From here on the client counts.
    pub(super) fn resubscribe(&mut self, sid: u64, limit: NewLimit) {
        let mut out = Vec::with_capacity(64);
        if let NewLimit::Again(here) = limit {
            protocol::unsubscribe(&mut out, sid, Some(here));
            self.subscriptions.encode_plainly(sid, &mut out);
        } else {
            protocol::unsubscribe(&mut out, sid, None);
            self.subscriptions.encode(sid, &mut out);
        }
        let Some(connection) = self.knowing(sid) else { return };
        connection.flight.push_interest(out);
        if let Some(connection) = self.lines.up_mut() {
            // Another subscription may find room between the two.
            connection.asked.depart();
            connection.asked.note_again(sid, matches!(limit, NewLimit::Again(_)), &self.subscriptions);
        }
        self.subscriptions.set_counted(sid, Counted::Fewer);
    }

    /// Asks for a PONG after everything admitted so far. `seen`: the in-doubt total that the asking handle has reported. The
    /// answer is [`Effect::Complete`].
    pub fn flush(&mut self, token: u64, seen: u64) {
        let over = match (&self.intent, &self.lines.present) {
            (Intent::Closed | Intent::End { .. }, _) => Some(EndReason::Closed),
            (_, Link::Idle | Link::GivingUp(_)) => {
                Some(EndReason::GaveUp(self.history.last_error.clone().unwrap_or(Cause::NoServers)))
            }
            _ => None,
        };
        if let Some(reason) = over {
            self.out.push(Effect::Complete { token, outcome: Err(FlushFailure::Ended(reason)) });
        } else if self.totals.in_doubt > seen {
            let outcome = Err(FlushFailure::InDoubt(self.totals.in_doubt - seen));
            self.out.push(Effect::Complete { token, outcome });
        } else {
            self.waiters.push(Waiter::Flush { token, seen });
        }
    }

    /// Forgets the flushes that were not sent yet and for which `waits` is false: their callers have gone.
    pub fn keep_flushes(&mut self, waits: impl Fn(u64) -> bool) {
        self.waiters.retain(|waiter| match waiter {
            Waiter::Flush { token, .. } => waits(*token),
            _ => true,
        });
    }

    /// Leaves the present server for another connection without waiting for any backoff; revives a client that had given up.
    /// What the present server was sent is confirmed first if that takes no more than two seconds, because a move that the user
    /// asked for should leave nothing in doubt.
    pub fn force_reconnect(&mut self, now: Instant) {
        if !matches!(self.intent, Intent::Run) {
            return;
        }
        self.pool.forgive();
        self.pool.hurry();
        match &self.lines.present {
            Link::Line(Line::Up(connection)) if connection.carries() => self.force_move(Cause::Forced, now),
            // The callbacks are not asked: the user wants a connection now.
            Link::Choosing { .. } | Link::Backoff { .. } => self.apply_choice(Choice::default(), now),
            Link::Idle => self.connect(now),
            // What the user wants is in progress already: an attempt, a move, or the settling of a loss.
            Link::Line(_) | Link::GivingUp(_) => {}
        }
    }

    /// Replaces the user's servers; the next attempt uses the new list.
    pub fn set_server_pool(&mut self, servers: Vec<ServerAddr>, now: Instant) {
        self.pool.replace(servers);
        self.history.failures = 0;
        if matches!(self.lines.present, Link::Backoff { .. } | Link::Choosing { .. }) {
            self.connect_next(now);
        } else if self.lines.up().is_some_and(Connection::carries) {
            self.plan_failback(now);
        }
    }

    /// Ends in order: no new subscriptions, everything that arrived is delivered, what consumers publish in the meantime is
    /// sent, and a last PONG confirms it. After `within` it ends anyway, and reports so.
    pub fn drain(&mut self, within: Duration, now: Instant) {
        if !matches!(self.intent, Intent::Run) {
            return;
        }
        if self.lines.candidate.is_none() || !self.is_between() {
            self.abandon_move();
        }
        let answer_within = (within / 4).min(ANSWER_WITHIN);
        let (deadline, in_doubt) = (after(now, within), self.totals.in_doubt);
        self.intent = Intent::Drain { deadline, answer_within, in_doubt, stage: DrainStage::Begin };
        self.out.emit(ConnectionEvent::Draining);
        if matches!(self.lines.present, Link::Idle | Link::GivingUp(_)) {
            self.finish(EndReason::Drained, true);
        } else if !self.begins_drain() {
            self.advance_drain();
        }
    }

    /// Whether UNSUBs have to wait for what the next exchange loads: the SUBs of a move that the drain abandoned may still be
    /// buffered.
    pub(super) fn begins_drain(&self) -> bool {
        let begun = matches!(self.intent, Intent::Drain { stage: DrainStage::Begin, .. });
        begun && !self.is_between() && self.lines.up().is_some_and(Connection::carries)
    }

    /// Ends soon: accepted messages are sent and confirmed if that takes no longer than the grace period. Without a connection
    /// nothing is waited for.
    pub fn close(&mut self, now: Instant) {
        if matches!(self.intent, Intent::Closed | Intent::End { .. } | Intent::Close { .. }) {
            return;
        }
        self.abandon_move();
        if self.lines.up().is_some_and(Connection::carries) {
            let drained = matches!(self.intent, Intent::Drain { .. });
            self.intent = Intent::Close { deadline: after(now, self.config.close_grace), asked: false, drained };
        } else {
            // It is complete if nothing is buffered, which the end will find out.
            self.finish(EndReason::Closed, true);
        }
    }

    /// The driver is gone: everything ends in the next exchange.
    pub fn abandon(&mut self) {
        if !matches!(self.intent, Intent::Closed) {
            self.finish(EndReason::DriverGone, false);
        }
    }

    /// Everything ends in the next exchange. A drain that left messages in doubt is not complete.
    pub(super) fn finish(&mut self, reason: EndReason, completed: bool) {
        let doubtful = matches!(self.intent, Intent::Drain { in_doubt, .. } if in_doubt < self.totals.in_doubt);
        let completed = completed && !doubtful;
        self.intent = Intent::End { reason, completed };
    }

    /// Advances the drain as far as possible without waiting.
    pub(super) fn advance_drain(&mut self) {
        let Intent::Drain { stage, .. } = &self.intent else { return };
        // A server that is being sent SUBs gets all of them first, and then the UNSUBs. So does a candidate's server, if it has
        // had some.
        let replaying = self.lines.up().is_some_and(Connection::is_replaying);
        if *stage != DrainStage::Begin || replaying || self.is_between() {
            return;
        }
        let sids = self.subscriptions.unfinished();
        for sid in &sids {
            self.subscriptions.set_draining(*sid);
        }
        let Some(connection) = self.lines.up_mut().filter(|connection| connection.carries()) else {
            return self.begin_delivering();
        };
        let mut out = Vec::new();
        for sid in sids {
            protocol::unsubscribe(&mut out, sid, None);
        }
        if !out.is_empty() {
            connection.flight.push_wire(out);
        }
        if let Intent::Drain { stage, .. } = &mut self.intent {
            *stage = DrainStage::Interest;
        }
        self.waiters.push(Waiter::Interest);
    }

    /// No server sends any more: consumers read what has arrived.
    pub(super) fn begin_delivering(&mut self) {
        if let Intent::Drain { stage, .. } = &mut self.intent {
            *stage = DrainStage::Delivering { rest_until: None };
            for sid in self.subscriptions.unfinished() {
                self.out.push(Effect::Draining { sid });
            }
        }
    }
}
