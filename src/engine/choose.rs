//! The way to a connection: which server is next, when it is dialled, and what happens after a failed attempt.

use std::time::{Duration, Instant};

use super::attempt::Attempt;
use super::effect::{Choice, CloseHow, Effect};
use super::engine::Engine;
use super::error::Cause;
use super::intent::Intent;
use super::line::Line;
use super::lines::{Link, Which};
use super::pool::{self, SILENCE, ServerId};
use super::report::ConnectionEvent;
use super::time::after;

impl<H> Engine<H> {
    /// Goes on to the next server: dials it if it is due, waits if it is not, gives up if nothing is left to try. The user's
    /// callbacks are asked first, if there are any.
    pub(super) fn connect_next(&mut self, now: Instant) {
        let server = self.config.ask_server;
        if (server || self.config.ask_delay) && self.may_connect() {
            self.history.last_ask += 1;
            let ask = self.history.last_ask;
            let attempt = self.history.attempts + 1;
            self.out.push(Effect::Choose { ask, attempt, server });
            self.lines.present = Link::Choosing { ask, until: after(now, self.config.connect_timeout) };
        } else {
            self.apply_choice(Choice::default(), now);
        }
    }

    /// The user's callbacks have answered.
    pub fn handle_choice(&mut self, ask: u64, choice: Choice, now: Instant) {
        if matches!(self.lines.present, Link::Choosing { ask: open, .. } if open == ask) {
            self.apply_choice(choice, now);
        }
    }

    /// Applies the callbacks' choice, or the pool's own rule where they made none.
    pub(super) fn apply_choice(&mut self, choice: Choice, now: Instant) {
        if !self.may_connect() {
            self.lines.present = Link::Idle;
            return;
        }
        let mut chosen = None;
        if let Some(addr) = &choice.server {
            chosen = self.pool.find(addr);
            if chosen.is_none() {
                self.out.emit(ConnectionEvent::ServerNotInPool { server: pool::endpoint(addr) });
            }
        }
        // A callback that chooses the delay chooses it for the server whose turn it is.
        let own = if choice.delay.is_some() { self.pool.next_in_turn() } else { self.pool.next(now).map(|(id, _)| id) };
        let Some(server) = chosen.or(own) else {
            let cause = self.history.last_error.clone().filter(|_| self.pool.has_banned()).unwrap_or(Cause::NoServers);
            self.lines.present = Link::GivingUp(cause);
            return;
        };
        let due = match choice.delay {
            Some(delay) => Some(self.pool.due_after(server, delay, now)),
            None => self.pool.due(server),
        };
        match due {
            Some(until) if until > now => {
                // The pool chooses again when the wait is over.
                let chosen = if choice.delay.is_some() { Some(server) } else { chosen };
                self.lines.present = Link::Backoff { until, chosen };
            }
            _ => self.dial(server, now),
        }
    }

    /// The wait is over.
    pub(super) fn backoff_over(&mut self, chosen: Option<ServerId>, now: Instant) {
        match chosen.filter(|id| self.pool.get(*id).is_some()) {
            Some(server) => self.dial(server, now),
            None => self.apply_choice(Choice::default(), now),
        }
    }

    fn may_connect(&self) -> bool {
        matches!(self.intent, Intent::Run | Intent::Drain { .. })
    }

    fn dial(&mut self, server: ServerId, now: Instant) {
        self.history.attempts += 1;
        if let Some(attempt) = self.dial_for(server, Which::Present, now) {
            self.lines.present = Link::Line(Line::Dialing(Box::new(attempt)));
        }
    }

    /// Begins an attempt.
    pub(super) fn dial_for(&mut self, server: ServerId, which: Which, now: Instant) -> Option<Attempt> {
        let addr = self.pool.get(server).map(|server| server.addr.clone())?;
        self.pool.dialling(server, now);
        let limit = self.attempt_limit(server);
        let attempt = Attempt {
            epoch: self.lines.next_epoch(),
            server,
            endpoint: pool::endpoint(&addr),
            addr: addr.clone(),
            number: match which {
                Which::Present => self.history.attempts,
                Which::Candidate => 1,
            },
            limit,
            deadline: Some(after(now, limit)),
            aside_at: self.aside_at(server, which, now),
            others: 0,
            leaves: None,
            failure: None,
        };
        let waited = self.history.waiting.take().map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let server = attempt.endpoint.clone();
        self.out.emit(ConnectionEvent::Connecting { server, attempt: attempt.number, waited });
        self.out.push(Effect::Dial { epoch: attempt.epoch, addr });
        Some(attempt)
    }

    /// When a dial that begins now gives way to another server; `None`: never, because it is a candidate's or because callbacks
    /// choose the server or the delay.
    fn aside_at(&self, server: ServerId, which: Which, now: Instant) -> Option<Instant> {
        let asks = self.config.ask_server || self.config.ask_delay;
        if asks || which == Which::Candidate {
            return None;
        }
        self.pool.put_aside_at(server, now, self.attempt_limit(server))
    }

    /// The handshake failed at one address of a name: the same attempt goes on at the next address, since what accepted the
    /// connection may not be a server at all. Returns whether there is one. A server that refuses the credentials has answered
    /// for all addresses.
    pub(super) fn try_next_address(&mut self, which: Which, cause: &Cause, how: CloseHow, now: Instant) -> bool {
        let ours = cause.is_auth() || matches!(cause, Cause::Credentials(_) | Cause::ByUser);
        let Some(connection) = self.lines.connection_mut(which) else { return false };
        let in_time = connection.attempt.deadline.is_some_and(|deadline| now < deadline);
        if !connection.is_handshake() || connection.attempt.others == 0 || ours || !in_time {
            return false;
        }
        let mut attempt = connection.attempt.clone();
        self.out.discard(&mut connection.flight);
        let after = std::mem::replace(&mut attempt.epoch, self.lines.next_epoch());
        attempt.note_failure(cause.clone(), now);
        attempt.others = 0;
        attempt.aside_at = attempt.aside_at.map(|at| at.max(super::time::after(now, SILENCE)));
        self.out.push(Effect::DialNext { epoch: attempt.epoch, after, how, addr: attempt.addr.clone() });
        if let Some(line) = self.lines.line_mut(which) {
            *line = Line::Dialing(Box::new(attempt));
        }
        true
    }

    /// Nothing has come back from the present server and another one is due. This one is tried again after that.
    pub(super) fn put_aside(&mut self, stage: &'static str, now: Instant) {
        let Some(line) = self.lines.present.line() else { return };
        let attempt = line.attempt();
        let (server, epoch, began, limit) =
            (attempt.server, attempt.epoch, attempt.began().unwrap_or(now), attempt.limit);
        self.out.push(match line {
            Line::Dialing(_) => Effect::StopDialing { epoch },
            Line::Up(_) => Effect::Close { epoch, how: CloseHow::Reset },
        });
        let Some(retry_in) = self.pool.put_aside(server, began, limit, now) else {
            let cause = Cause::TimedOut { limit, stage: "looking up and dialling" };
            return self.attempt_failed(Which::Present, cause, now);
        };
        let Some(attempt) = self.take_line(Which::Present) else { return };
        let limit = now.saturating_duration_since(began);
        let cause = Cause::TimedOut { limit, stage };
        self.history.note_failure(&cause, now);
        self.emit_failed(attempt, cause, retry_in);
        self.connect_next(now);
    }

    /// The dial of `epoch` waits for a permit, because too many are in progress in this process. Its time does not run until
    /// [`handle_dial_begins`](Engine::handle_dial_begins).
    pub fn handle_dial_waits(&mut self, epoch: u64) {
        if let Some((_, attempt)) = self.lines.dialing(epoch) {
            (attempt.deadline, attempt.aside_at) = (None, None);
        }
    }

    /// The dial of `epoch` got its permit and begins now.
    pub fn handle_dial_begins(&mut self, epoch: u64, now: Instant) {
        let Some((which, attempt)) = self.lines.dialing(epoch) else { return };
        let server = attempt.server;
        let aside_at = self.aside_at(server, which, now);
        if let Some((_, attempt)) = self.lines.dialing(epoch) {
            attempt.deadline = Some(after(now, attempt.limit));
            attempt.aside_at = aside_at;
            self.pool.dial_begins(server, now);
        }
    }

    /// The server was not reached in time.
    pub(super) fn stop_dialing(&mut self, which: Which, cause: Cause, now: Instant) {
        if let Some(line) = self.lines.line(which) {
            self.out.push(Effect::StopDialing { epoch: line.attempt().epoch });
            self.attempt_failed(which, cause, now);
        }
    }

    /// Removes a line that never carried messages. Returns its attempt.
    fn take_line(&mut self, which: Which) -> Option<Attempt> {
        match self.lines.take(which)? {
            Line::Dialing(attempt) => Some(*attempt),
            Line::Up(mut connection) => {
                self.out.discard(&mut connection.flight);
                Some(connection.attempt)
            }
        }
    }

    /// An attempt failed before any message was at stake.
    pub(super) fn attempt_failed(&mut self, which: Which, cause: Cause, now: Instant) {
        if which == Which::Candidate {
            self.wait_for_joined();
        }
        let Some(attempt) = self.take_line(which) else { return };
        if which == Which::Candidate {
            return self.candidate_failed(attempt, cause, now);
        }
        // There is no connection left to move from.
        self.plan = None;
        self.history.failures += 1;
        self.history.note_failure(&cause, now);
        self.report_failed(attempt, cause.clone(), now);
        let never = self.history.previous.is_none();
        let first_round_over = never && !self.config.retry_on_initial_connect && self.first_attempts_are_over();
        let nobody_left = self.pool.is_empty();
        if nobody_left || first_round_over || self.out_of_retries() || (!never && !self.config.reconnect) {
            self.lines.present = Link::GivingUp(cause);
        } else {
            self.connect_next(now);
        }
    }

    /// Whether the first connection has had its attempts: as many as are configured; or one on each server that the user named;
    /// or, where a callback may skip some of them, as many as there are servers.
    fn first_attempts_are_over(&self) -> bool {
        if let Some(max) = self.config.first_attempts {
            return self.history.failures >= max;
        }
        let chosen = self.config.ask_server && self.history.failures >= self.pool.named() as u64;
        chosen || self.pool.all_named_failed()
    }

    /// Records that an attempt failed, and reports it.
    pub(super) fn report_failed(&mut self, attempt: Attempt, cause: Cause, now: Instant) {
        let failed = self.pool.failed(attempt.server, cause.clone(), &self.config.policy, now, &mut self.rng);
        self.emit_failed(attempt, cause, failed.wait);
        self.report_removed(failed.out);
    }

    pub(super) fn emit_failed(&mut self, attempt: Attempt, cause: Cause, retry_in: Duration) {
        let (server, attempt) = (attempt.endpoint, attempt.number);
        self.out.emit(ConnectionEvent::AttemptFailed { server, attempt, cause, retry_in });
    }

    pub(super) fn report_removed(&mut self, out: Option<String>) {
        if let Some(out) = out {
            self.out.emit(ConnectionEvent::ServersChanged { added: Vec::new(), removed: vec![out] });
        }
    }

    pub(super) fn out_of_retries(&self) -> bool {
        self.config.max_reconnects.is_some_and(|max| self.history.failures >= max) && self.is_retrying()
    }

    /// The first round over the pool is no retry: each server is tried once, whatever the limit.
    fn is_retrying(&self) -> bool {
        self.history.previous.is_some() || self.config.retry_on_initial_connect
    }
}
