//! Time: when something is due next, and what is done when it has come.

use std::time::{Duration, Instant};

use super::effect::{Choice, CloseHow, Effect};
use super::engine::Engine;
use super::error::{Cause, EndReason};
use super::flight::Flight;
use super::liveness::MOMENT;
use super::moving::MOVE_WITHIN;
use super::phase::{Attempt, Connection, DrainStage, Intent, Link, Stage};
use super::pool::SILENCE;
use super::time::after;

/// A deadline of the peer's that is noticed so late was slept through: the runtime was busy, or the process or the machine was
/// stopped. The time in which nobody listened does not count against the peer.
const OVERSLEPT: Duration = Duration::from_secs(1);

/// The short waits for an answer, behind which the next address or server is tried: noticed so late, the answer may be there and
/// unread. Nobody is put aside for it; the wait begins again.
const MISSED: Duration = Duration::from_millis(100);

fn missed(at: Option<Instant>, now: Instant) -> bool {
    at.is_some_and(|at| after(at, MISSED) <= now)
}

fn overslept(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|deadline| after(deadline, OVERSLEPT) <= now)
}

impl Attempt {
    /// Whether its deadline was slept through. Then it gets a moment more.
    fn has_overslept(&mut self, now: Instant) -> bool {
        let overslept = overslept(self.deadline, now);
        if overslept {
            self.deadline = Some(after(now, self.limit.min(MOMENT)));
        }
        overslept
    }
}

impl<H> Engine<H> {
    /// The next time at which [`handle_timeout`](Engine::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let link = self.link_due(&self.link, &self.flight);
        let beside = self.candidate.as_ref().and_then(|candidate| self.link_due(&candidate.link, &candidate.flight));
        let intent = match &self.intent {
            Intent::Drain { deadline, stage: DrainStage::Delivering { rest_until: Some(until) }, .. } => {
                Some(*deadline.min(until))
            }
            Intent::Drain { deadline, .. } | Intent::Close { deadline, .. } => Some(*deadline),
            Intent::Run | Intent::End { .. } | Intent::Closed => None,
        };
        link.into_iter().chain(beside).chain(self.move_due()).chain(intent).min()
    }

    /// When a link is due, the present one or the candidate's.
    fn link_due(&self, link: &Link, flight: &Flight) -> Option<Instant> {
        match link {
            Link::Idle | Link::GivingUp(_) => None,
            Link::Choosing { until, .. } | Link::Backoff { until, .. } => Some(*until),
            Link::Dialing(attempt) => attempt.deadline.into_iter().chain(attempt.aside_at).min(),
            Link::Up(connection) => self.connection_timers(connection, flight).into_iter().flatten().min(),
        }
    }

    /// The timers of a connection, by name.
    fn connection_timers(&self, connection: &Connection, flight: &Flight) -> [Option<Instant>; 6] {
        let handshake = connection.attempt.deadline.filter(|_| connection.is_prepared());
        let handshake = handshake.into_iter().chain(connection.next_address_at()).chain(connection.aside_at()).min();
        let announce = match connection.stage {
            Stage::Recovering(recovering) if recovering.replay_left == 0 => Some(recovering.until),
            Stage::Moving { until, .. } => Some(until),
            _ => None,
        };
        let last_words = connection.broken.as_ref().map(|(until, _)| *until);
        let stall = (!flight.is_empty()).then(|| after(connection.progress, self.config.write_timeout));
        let liveness = connection.liveness.dead_at().or_else(|| {
            let unconfirmed = connection.taken + flight.messages() > connection.confirmed;
            connection.carries().then(|| connection.liveness.ping_due(unconfirmed)).flatten()
        });
        let renew = connection.renew_at.filter(|_| connection.carries());
        [handshake, announce, last_words, stall, liveness, renew]
    }

    /// A deadline may have come; those that have not are left alone.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.intent {
            Intent::Drain { deadline, .. } if deadline <= now => self.finish(EndReason::Drained, false),
            Intent::Close { deadline, .. } if deadline <= now => self.finish(EndReason::Closed, false),
            Intent::Drain { stage: DrainStage::Delivering { rest_until: Some(until) }, .. } if until <= now => {
                self.give_up_readers();
            }
            _ => {}
        }
        self.handle_link_timeout(now);
        // Whatever has become of it, its own deadlines are handled once.
        self.beside(|engine| engine.handle_link_timeout(now));
    }

    /// Consumers that have taken their last message of a drain, and have not come back.
    fn give_up_readers(&mut self) {
        if let Intent::Drain { stage: DrainStage::Delivering { rest_until }, .. } = &mut self.intent {
            *rest_until = None;
        }
        for sid in self.subscriptions.at_last() {
            self.handle_finished(sid);
        }
    }

    fn handle_link_timeout(&mut self, now: Instant) {
        if let Link::Dialing(attempt) = &mut self.link {
            if attempt.has_overslept(now) {
                return;
            }
            if missed(attempt.aside_at, now) {
                attempt.aside_at = Some(after(now, SILENCE));
            }
        }
        match &self.link {
            // Who does not answer leaves it to the pool.
            Link::Choosing { until, .. } if *until <= now => self.follow(Choice::default(), now),
            Link::Backoff { until, chosen } if *until <= now => self.backoff_over(*chosen, now),
            Link::Dialing(attempt) if attempt.deadline.is_some_and(|deadline| deadline <= now) => {
                let mut attempt = Attempt::clone(attempt);
                self.effects.push_back(Effect::StopDialing { epoch: attempt.epoch });
                let late = Cause::TimedOut { limit: attempt.limit, stage: "looking up and dialling" };
                let cause = attempt.failure.take().unwrap_or(late);
                self.attempt_failed(attempt, cause, now);
            }
            Link::Dialing(attempt) if attempt.aside_at.is_some_and(|at| at <= now) => {
                let attempt = Attempt::clone(attempt);
                self.effects.push_back(Effect::StopDialing { epoch: attempt.epoch });
                self.put_aside(attempt, "looking up and dialling, and another server is due", now);
            }
            Link::Up(_) => self.handle_connection_timeout(now),
            _ => {}
        }
    }

    fn handle_connection_timeout(&mut self, now: Instant) {
        let Link::Up(connection) = &mut self.link else {
            return;
        };
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if connection.is_prepared() && connection.attempt.has_overslept(now) {
            return;
        }
        let late = due(connection.attempt.deadline);
        if !late && (missed(connection.aside_at(), now) || missed(connection.next_address_at(), now)) {
            connection.progress = now;
            return;
        }
        if due(connection.aside_at()) && !late {
            let attempt = connection.attempt.clone();
            self.effects.push_back(Effect::Close { epoch: attempt.epoch, how: CloseHow::Reset });
            return self.put_aside(attempt, "waiting for INFO, and another server is due", now);
        }
        if (connection.is_prepared() && late) || due(connection.next_address_at()) {
            let joins = matches!(connection.stage, Stage::Standby(_));
            let limit = match joins {
                true => MOVE_WITHIN,
                false if late => connection.attempt.limit,
                false => now.saturating_duration_since(connection.progress),
            };
            let stage = match connection.stage {
                Stage::AwaitInfo => "waiting for INFO (a server that wants TLS first says nothing: tls_first)",
                Stage::Standby(_) => "waiting for the PONG behind the queue groups",
                Stage::Securing(_) => "in the TLS handshake",
                Stage::Authenticating(_) => "waiting for credentials",
                _ => "waiting for the PONG to CONNECT and PING",
            };
            return self.lose(Cause::TimedOut { limit, stage }, CloseHow::Reset, now);
        }
        if due(connection.broken.as_ref().map(|(until, _)| *until)) {
            let (_, cause) = connection.broken.take().unwrap_or((now, Cause::ClosedByServer));
            let cause = connection.said.take().map_or(cause, Cause::Server);
            return self.lose(cause, CloseHow::Reset, now);
        }
        if overslept(connection.liveness.dead_at(), now) {
            return connection.liveness.overslept(now);
        }
        let stalls = (!self.flight.is_empty()).then(|| after(connection.progress, self.config.write_timeout));
        if overslept(stalls, now) {
            // As if it had stalled just now, but for a moment in which the transport can be asked.
            let asked = after(now, OVERSLEPT);
            connection.progress = asked.checked_sub(self.config.write_timeout).unwrap_or(now).max(connection.progress);
            return;
        }
        if due(connection.liveness.dead_at()) {
            let cause = connection.liveness.verdict(now);
            return self.lose(cause, CloseHow::Reset, now);
        }
        if due(stalls) {
            let stalled = now.saturating_duration_since(connection.progress);
            return self.lose(Cause::WriteStalled { stalled }, CloseHow::Reset, now);
        }
        if matches!(connection.stage, Stage::Moving { until, .. } if until <= now) {
            return self.finish_move(now);
        }
        if connection.carries() && due(connection.renew_at) {
            return self.renew(now);
        }
        if matches!(&connection.stage, Stage::Recovering(it) if it.replay_left == 0 && it.until <= now) {
            self.announce(now);
        }
        // A PING that is due goes out with the next exchange.
    }
}
