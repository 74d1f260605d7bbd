//! Planned moves (D15): the next connection is ready before the present one is left.
//!
//! ```text
//!   planned ──due, the present one carries──▶ dialled, handshake: an ordinary line, beside the present one
//!      ▲                                        │ PONG                        │ failed
//!      │ the next server                        ▼                             │
//!      ├──────────────────────────────── Standby(Fresh)                       │
//!      │                                        │ SUB of groups and requests  │
//!      │                                 Standby(Joining) ───────────────────▶┤
//!      │                                        │ PONG                        │
//!      │                                 Standby(Joined)                      │
//!      │                                        │ 50 ms: the cluster knows    │
//!      └──────────────────────────────────────  │ ─────────────────────────────┘
//!                                               ▼
//!   the present one: Moving ── UNSUB of all, PONG or 2 s ──▶ Lost ──settled──▶ the candidate takes its place
//! ```
//!
//! Whenever the present connection ends, for whatever reason, a living candidate replaces it.

use std::time::{Duration, Instant};

use rand::RngExt;

use super::attempt::Attempt;
use super::candidate::{Candidate, PlannedMove};
use super::connection::{Connection, MOVE_WITHIN, Readiness, Stage};
use super::effect::{CloseHow, Effect};
use super::engine::Engine;
use super::error::Cause;
use super::intent::{Intent, Waiter};
use super::line::Line;
use super::lines::Which;
use super::pool::ServerId;
use super::report::ConnectionEvent;
use super::subscriptions::Subscription;
use super::time::{after, is_due};
use crate::protocol::{self, Info};

/// How long the servers of a cluster have to learn about subscriptions at the next server before these are removed from the
/// present one. The PONG does not wait for that: without a pause, in one of thirty moves between two real servers there was a
/// moment in which a third one knew of neither and dropped what was published (2 ms were enough there; routes may be longer).
const INTEREST_PROPAGATION: Duration = Duration::from_millis(50);

/// Clients begin to leave a server in lame duck mode within this time, each at a random moment, so that the whole move takes no
/// more than a second.
const LAME_DUCK_SPREAD: Duration = Duration::from_millis(800);

/// The address of a server in lame duck mode is dialled again after this, doubled each time, because another server may answer
/// there. Arbitrary; servers keep their clients for 10 s at first.
const AGAIN: Duration = Duration::from_secs(1);

/// The longest such delay.
const AGAIN_MOST: Duration = Duration::from_secs(10);

impl<H> Engine<H> {
    /// Plans to leave the present connection at `at`.
    pub(super) fn plan_move(&mut self, cause: Cause, at: Instant) {
        // A forced move and an earlier reason stay; a better server is only a reason if there is no other.
        if self.plan.as_ref().is_none_or(PlannedMove::is_failback) {
            let alone = !self.may_prepare();
            // Other addresses are tried first.
            let has_others = self.pool.servers().len() > 1;
            let again = if has_others { after(at, AGAIN) } else { at };
            self.plan = Some(PlannedMove { cause, at, alone, again: (0, again) });
        }
    }

    /// The present connection must be left, whatever else was planned.
    pub(super) fn force_move(&mut self, cause: Cause, now: Instant) {
        match &mut self.plan {
            // A candidate that is on its way is used. If it fails, this is why the present connection is left.
            Some(plan) if self.lines.candidate.is_some() && !plan.cause.is_urgent() => plan.cause = cause,
            Some(_) if self.lines.candidate.is_some() => {}
            _ => {
                self.plan = None;
                self.plan_move(cause, now);
            }
        }
    }

    /// Whether a second connection may be made at all. Callbacks that choose the server are asked when the present one is left.
    pub(super) fn may_prepare(&self) -> bool {
        let config = &self.config;
        config.prepare_moves && config.reconnect && !config.ask_server && !config.ask_delay
    }

    /// The server is in lame duck mode.
    pub(super) fn leave_lame_duck(&mut self, now: Instant) {
        if !self.may_prepare() {
            return;
        }
        let spread = self.rng.random_range(Duration::ZERO..=LAME_DUCK_SPREAD);
        self.plan_move(Cause::LameDuck, after(now, spread));
    }

    /// Whether [`advance_move`](Engine::advance_move) would do something although no deadline has come.
    pub(super) fn may_advance_move(&self) -> bool {
        let ready = self.is_ready();
        match &self.lines.candidate {
            None => ready && self.plan.as_ref().is_some_and(|plan| plan.alone),
            Some(candidate) => {
                let fresh = matches!(candidate.readiness(), Some(Readiness::Fresh));
                ready && fresh && self.settles_at().is_none()
            }
        }
    }

    fn is_ready(&self) -> bool {
        self.lines.up().is_some_and(Connection::is_ready)
    }

    /// When a planned move is due that waits for nothing else, or its candidate has proved stable or has joined for long
    /// enough.
    pub(super) fn move_due(&self) -> Option<Instant> {
        let ripe = || self.settles_at().or_else(|| self.leaves_at()).filter(|_| self.is_ready());
        self.plan_due().or_else(ripe)
    }

    fn leaves_at(&self) -> Option<Instant> {
        match self.lines.candidate.as_ref()?.readiness()? {
            Readiness::Joined { leave_at } => Some(leave_at),
            Readiness::Fresh | Readiness::Joining => None,
        }
    }

    fn plan_due(&self) -> Option<Instant> {
        let carries = self.lines.up().is_some_and(|connection| connection.carries());
        self.plan.as_ref().filter(|plan| carries && self.lines.candidate.is_none() && !plan.alone).map(|plan| plan.at)
    }

    /// Advances a move as far as possible. Called in every exchange, so that nothing else has to remember it.
    pub(super) fn advance_move(&mut self, now: Instant) {
        if is_due(self.plan_due(), now) {
            self.begin_candidate(now);
        }
        if !self.is_ready() {
            return;
        }
        match &self.lines.candidate {
            None if self.plan.as_ref().is_some_and(|plan| plan.alone) => self.begin_leaving(now),
            None => {}
            Some(candidate) => match candidate.readiness() {
                Some(Readiness::Fresh) if self.has_settled(now) => self.join(now),
                Some(Readiness::Joined { leave_at }) if leave_at <= now => self.begin_leaving(now),
                _ => {}
            },
        }
    }

    /// Dials the next server for the plan. If there is none, a server in lame duck mode is kept, since it may be better than
    /// nothing; a forced move goes ahead without a candidate.
    fn begin_candidate(&mut self, now: Instant) {
        let Some(plan) = self.plan.clone() else { return };
        let present = self.lines.up().map(|connection| connection.attempt.server);
        let urgent = plan.cause.is_urgent();
        let next = match plan.cause {
            Cause::Failback => self.pool.next_preferred(now).filter(|_| !self.is_at_preferred()),
            Cause::LameDuck => self.next_for_lame_duck(&plan, present, now),
            _ => {
                let sound = self.pool.next_sound_but(present, now);
                sound.or_else(|| self.pool.next_but(present, now)).or_else(|| self.pool.next(now).filter(|_| urgent))
            }
        };
        let may = self.may_prepare() && matches!(self.intent, Intent::Run);
        match next.filter(|_| may) {
            Some((_, Some(due))) if due > now => self.plan = Some(PlannedMove { at: due, ..plan }),
            Some((server, _)) => {
                let Some(mut attempt) = self.dial_for(server, Which::Candidate, now) else { return };
                let own = Some(server) == present;
                if !urgent && (own || !self.pool.is_sound(server, now)) {
                    let info = self.lines.up().and_then(|connection| connection.info.as_ref());
                    attempt.leaves = info.filter(|_| own).map(|info| info.server_id.clone());
                    let wait = AGAIN.saturating_mul(2_u32.saturating_pow(plan.again.0)).min(AGAIN_MOST);
                    self.plan = Some(PlannedMove { again: (plan.again.0.saturating_add(1), after(now, wait)), ..plan });
                }
                let line = Line::Dialing(Box::new(attempt));
                self.lines.candidate = Some(Box::new(Candidate { line, joined: Vec::new() }));
            }
            None if urgent && matches!(self.intent, Intent::Run) => {
                self.plan = Some(PlannedMove { alone: true, ..plan })
            }
            None => self.plan = None,
        }
    }

    /// Where to go from a server in lame duck mode: to another that is not, if one is due. Failing that, alternately to one
    /// that recently was in lame duck mode and may have been restarted since, as in a rolling upgrade of two, and to the
    /// present server's own address, which may lead to others if it is a load balancer's.
    fn next_for_lame_duck(
        &self,
        plan: &PlannedMove,
        present: Option<ServerId>,
        now: Instant,
    ) -> Option<(ServerId, Option<Instant>)> {
        let (tries, at) = plan.again;
        let own = present.filter(|id| self.pool.get(*id).is_some()).map(|id| (id, Some(at)));
        let other = self.pool.next_but(present, now).filter(|(id, _)| !self.pool.is_sound(*id, now));
        let earliest = if tries == 0 { now } else { at };
        let other = other.map(|(id, due)| (id, Some(due.map_or(earliest, |due| due.max(earliest)))));
        let again = if tries % 2 == 0 { other.or(own) } else { own.or(other) };
        match (self.pool.next_sound_but(present, now), again) {
            (Some((_, Some(due))), Some((_, Some(at)))) if due > now && at < due => again,
            (other, again) => other.or(again),
        }
    }

    /// Whether the INFO of the candidate's server rules it out.
    pub(super) fn is_no_better(&self, info: &Info) -> bool {
        let leaves_lame = self.plan.as_ref().is_some_and(|plan| matches!(plan.cause, Cause::LameDuck));
        let attempt = self.lines.line(Which::Candidate).map(Line::attempt);
        let same = attempt.is_some_and(|attempt| attempt.leaves.as_ref() == Some(&info.server_id));
        (leaves_lame && info.lame_duck_mode) || same
    }

    /// The candidate failed.
    pub(super) fn candidate_failed(&mut self, attempt: Attempt, cause: Cause, now: Instant) {
        if attempt.leaves.is_some() {
            // This does not count against the present server.
            let retry_in =
                self.plan.as_ref().map_or(Duration::ZERO, |plan| plan.again.1.saturating_duration_since(now));
            self.emit_failed(attempt, cause, retry_in);
        } else {
            self.report_failed(attempt, cause, now);
        }
        let mut at = now;
        if self.plan.as_ref().is_some_and(PlannedMove::is_failback) {
            self.history.probes = self.history.probes.saturating_add(1);
            at = after(at, self.probe_wait());
        }
        if let Some(plan) = &mut self.plan {
            plan.at = at;
            // Only one try: the user wants to leave, more than to arrive.
            plan.alone = plan.cause.is_urgent();
        }
        // A drain may have been waiting for the candidate.
        self.advance_drain();
    }

    /// Subscriptions that were drained while the candidate's server knew them now wait for the present server alone.
    pub(super) fn wait_for_joined(&mut self) {
        let joined = self.lines.candidate.iter().flat_map(|candidate| &candidate.joined);
        let drained = joined.filter(|sid| self.subscriptions.get(**sid).is_some_and(Subscription::is_draining));
        self.waiters.extend(drained.map(|sid| Waiter::Subscription(*sid)));
    }

    /// Subscribes the queue groups and the inboxes of requests at the new server: they lose nothing by being at both. With
    /// [`Handover::Overlap`](super::Handover::Overlap) plain subscriptions too, which then get some messages twice.
    fn join(&mut self, now: Instant) {
        let joined = self.subscriptions.may_overlap(self.config.handover);
        let mut out = Vec::new();
        for sid in &joined {
            self.subscriptions.encode(*sid, &mut out);
            self.subscriptions.set_shared(*sid);
        }
        let Some(candidate) = &mut self.lines.candidate else { return };
        let Some(connection) = candidate.line.connection_mut() else { return };
        if joined.is_empty() {
            connection.stage = Stage::Standby(Readiness::Joined { leave_at: now });
            return self.begin_leaving(now);
        }
        connection.stage = Stage::Standby(Readiness::Joining);
        connection.attempt.deadline = Some(after(now, MOVE_WITHIN));
        connection.flight.push_wire(out);
        for sid in &joined {
            connection.asked.note(*sid, &self.subscriptions);
        }
        connection.ping(vec![Waiter::Join], now);
        candidate.joined = joined;
    }

    /// Nothing more is loaded. The server that is being left gets UNSUBs, and the PONG after them means that everything it sent
    /// has come.
    fn begin_leaving(&mut self, now: Instant) {
        let leaving = if self.lines.candidate.is_some() { self.subscriptions.sids() } else { Vec::new() };
        let Some(connection) = self.lines.up_mut().filter(|connection| connection.is_ready()) else { return };
        let cause = self.plan.take().map_or(Cause::Forced, |plan| plan.cause);
        connection.stage = Stage::Moving { until: after(now, MOVE_WITHIN), cause };
        let mut out = Vec::new();
        for sid in leaving {
            protocol::unsubscribe(&mut out, sid, None);
        }
        if !out.is_empty() {
            connection.flight.push_wire(out);
        }
        connection.ping(vec![Waiter::Move], now);
    }

    /// Gives up a planned move, and goes on with the present connection.
    pub(super) fn abandon_move(&mut self) {
        self.drop_candidate();
        if let Some(connection) = self.lines.up_mut().filter(|connection| connection.is_moving()) {
            connection.stage = Stage::Ready;
        }
    }

    /// Leaves the present connection in an orderly way.
    pub(super) fn finish_move(&mut self, now: Instant) {
        if let Some(Stage::Moving { cause, .. }) = self.lines.up().map(|connection| &connection.stage) {
            self.lose(Which::Present, cause.clone(), CloseHow::Finish, now);
        }
    }

    /// The new server knows the groups: from now on their messages may come from either server.
    pub(super) fn joined(&mut self, now: Instant) {
        if let Some(connection) = self.lines.connection_mut(Which::Candidate) {
            if matches!(connection.stage, Stage::Standby(Readiness::Joining)) {
                let leave_at = after(now, INTEREST_PROPAGATION);
                connection.stage = Stage::Standby(Readiness::Joined { leave_at });
            }
        }
    }

    /// Whether a drain has to wait, because messages may come over a connection that is not the present one yet.
    pub(super) fn is_between(&self) -> bool {
        let moving = self.lines.up().is_some_and(Connection::is_moving);
        moving || self.lines.candidate.as_ref().is_some_and(|candidate| !candidate.joined.is_empty())
    }

    /// Whether no pending request loses its reply by this move: the new server has the inboxes too.
    pub(super) fn keeps_requests(&self) -> bool {
        self.lines.candidate.as_ref().is_some_and(|candidate| {
            matches!(candidate.readiness(), Some(Readiness::Joined { .. }))
                && self.subscriptions.internal().all(|sid| candidate.has_joined(sid))
        })
    }

    /// Cancels the move.
    pub(super) fn drop_candidate(&mut self) {
        self.plan = None;
        self.wait_for_joined();
        let Some(line) = self.lines.take(Which::Candidate) else { return };
        let epoch = line.attempt().epoch;
        match line {
            Line::Dialing(_) => self.out.push(Effect::StopDialing { epoch }),
            Line::Up(mut connection) => {
                self.out.push(Effect::Close { epoch, how: CloseHow::Drop });
                self.out.discard(&mut connection.flight);
            }
        }
    }

    /// A server is in lame duck mode. If it is the candidate's, the present one is no worse for it.
    pub(super) fn report_lame_duck(&mut self, which: Which, server: String, now: Instant) {
        self.out.emit(ConnectionEvent::LameDuck { server });
        if which == Which::Present {
            self.leave_lame_duck(now);
        }
    }
}
