//! Planned moves (DECISIONS D15): the next connection is ready before the present one is left.
//!
//! ```text
//!   wished ──due, the present one carries──▶ dialled, handshake: an ordinary link, beside the present one
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
//! Whatever the reason for which the present connection ends, a candidate that lives takes its place. Until
//! then it is driven by the same code as any other link: [`beside`](Engine::beside) puts it in the place of the present
//! one while a stimulus of its own is handled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;

use super::effect::{CloseHow, Effect};
use super::engine::Engine;
use super::error::Cause;
use super::event::ConnectionEvent;
use super::flight::Flight;
use super::phase::{Attempt, Intent, Link, Purpose, Readiness, Stage, Waiter};
use super::pool::ServerId;
use super::time::after;
use crate::protocol::{self, Info};

/// How long a planned move waits for each of its PONGs (DECISIONS D15).
pub(super) const MOVE_WITHIN: Duration = Duration::from_secs(2);

/// How long the servers of a cluster have for telling one another of subscriptions that are at the next server, before they
/// are taken from the present one. The PONG does not wait for that: without a pause, one move in thirty of two real servers
/// had a moment in which a third knew of neither, and dropped what was published (2 ms were enough there; routes may be longer).
const HEARSAY: Duration = Duration::from_millis(50);

/// Clients of a server that is about to stop begin to leave it within this time, each at a moment of its own: all of the move is
/// done within a second then.
const LAME_DUCK_SPREAD: Duration = Duration::from_millis(800);

/// The address of a server that is about to stop is dialled again after this, doubled each time: the next try may reach
/// another one. Arbitrary; servers leave their clients alone for 10 s at first.
const AGAIN: Duration = Duration::from_secs(1);

/// And at least this often.
const AGAIN_MOST: Duration = Duration::from_secs(10);

/// Why the present connection is to be left, and when the next step towards it may be taken.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    cause: Cause,
    at: Instant,
    /// Nothing is prepared: the present connection is left as soon as it is ready.
    alone: bool,
    /// How often a server that is about to stop, or was, was dialled again, and when one may be for the next time.
    again: (u32, Instant),
}

impl Wish {
    pub(super) fn is_failback(&self) -> bool {
        matches!(self.cause, Cause::Failback)
    }
}

/// A connection that is to take the place of the present one, or the way to it. Its link is `Dialing` or `Up`, or `Idle`
/// once it has failed.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) link: Link,
    pub(super) flight: Flight,
    pub(super) info: Option<Arc<Info>>,
    /// Subscriptions of which its server was told already, in order.
    pub(super) joined: Vec<u64>,
}

impl Candidate {
    fn attempt(&self) -> Option<&Attempt> {
        match &self.link {
            Link::Dialing(attempt) => Some(attempt),
            Link::Up(connection) => Some(&connection.attempt),
            _ => None,
        }
    }

    pub(super) fn is_lame_duck(&self) -> bool {
        self.info.as_ref().is_some_and(|info| info.lame_duck_mode)
    }

    fn readiness(&self) -> Option<Readiness> {
        match self.link.connection()?.stage {
            Stage::Standby(readiness) => Some(readiness),
            _ => None,
        }
    }
}

impl<H> Engine<H> {
    /// Whether `epoch` names the candidate.
    pub(super) fn is_beside(&self, epoch: u64) -> bool {
        let attempt = self.candidate.as_ref().and_then(|candidate| candidate.attempt());
        attempt.is_some_and(|attempt| attempt.epoch == epoch)
    }

    /// Has `f` see the link of `epoch` as the present one, if it is the candidate's.
    pub(super) fn at(&mut self, epoch: u64, f: impl FnOnce(&mut Self)) {
        if self.is_beside(epoch) { self.beside(f) } else { f(self) }
    }

    /// Has `f` see the candidate as if it were the present link.
    pub(super) fn beside(&mut self, f: impl FnOnce(&mut Self)) {
        let Some(mut candidate) = self.candidate.take() else {
            return;
        };
        self.change_places(&mut candidate);
        f(self);
        self.change_places(&mut candidate);
        self.candidate = Some(candidate);
    }

    fn change_places(&mut self, candidate: &mut Candidate) {
        std::mem::swap(&mut self.link, &mut candidate.link);
        std::mem::swap(&mut self.flight, &mut candidate.flight);
        std::mem::swap(&mut self.info, &mut candidate.info);
    }

    /// The present connection is to be left, soon.
    pub(super) fn wish_to_move(&mut self, cause: Cause, at: Instant) {
        // What the user wants, or an earlier reason, stays; only what would be better is no reason against what must be.
        if self.wish.as_ref().is_none_or(Wish::is_failback) {
            let alone = !self.may_prepare();
            // Other addresses first.
            let has_others = self.pool.servers().len() > 1;
            let again = if has_others { after(at, AGAIN) } else { at };
            self.wish = Some(Wish { cause, at, alone, again: (0, again) });
        }
    }

    /// This connection has to be left, whatever else was planned.
    pub(super) fn force_move(&mut self, cause: Cause, now: Instant) {
        match &mut self.wish {
            // A candidate that is on its way will do. If it comes to nothing, this is why the present connection is left.
            Some(wish) if self.candidate.is_some() && !wish.cause.is_urgent() => wish.cause = cause,
            Some(_) if self.candidate.is_some() => {}
            _ => {
                self.wish = None;
                self.wish_to_move(cause, now);
            }
        }
    }

    /// Whether a second connection may be made at all. Where callbacks choose the server they are asked when the
    /// present one is left.
    pub(super) fn may_prepare(&self) -> bool {
        let config = &self.config;
        config.prepare_moves && config.reconnect && !config.ask_server && !config.ask_delay
    }

    /// The server says that it will stop.
    pub(super) fn leave_lame_duck(&mut self, now: Instant) {
        if !self.may_prepare() {
            return;
        }
        let spread = self.rng.random_range(Duration::ZERO..=LAME_DUCK_SPREAD);
        self.wish_to_move(Cause::LameDuck, after(now, spread));
    }

    /// Whether [`advance_move`](Engine::advance_move) would do something, though no time has come.
    pub(super) fn may_advance_move(&self) -> bool {
        let ready = self.is_ready();
        let Some(candidate) = &self.candidate else {
            return ready && self.wish.as_ref().is_some_and(|wish| wish.alone);
        };
        let fresh = matches!(candidate.readiness(), Some(Readiness::Fresh));
        matches!(candidate.link, Link::Idle) || (ready && fresh && self.settles_at().is_none())
    }

    fn is_ready(&self) -> bool {
        self.link.connection().is_some_and(|connection| matches!(connection.stage, Stage::Ready))
    }

    /// When a wish is due that waits for nothing else, or its candidate has proved stable, or has joined for long enough.
    pub(super) fn move_due(&self) -> Option<Instant> {
        let ripe = || self.settles_at().or_else(|| self.leaves_at()).filter(|_| self.is_ready());
        self.wish_due().or_else(ripe)
    }

    fn leaves_at(&self) -> Option<Instant> {
        match self.candidate.as_ref()?.readiness()? {
            Readiness::Joined { leave_at } => Some(leave_at),
            Readiness::Fresh | Readiness::Joining => None,
        }
    }

    fn wish_due(&self) -> Option<Instant> {
        let carries = self.link.connection().is_some_and(|connection| connection.carries());
        self.wish.as_ref().filter(|wish| carries && self.candidate.is_none() && !wish.alone).map(|wish| wish.at)
    }

    /// Takes a move as far as it can go. Called in every exchange, so that nothing has to remember to.
    pub(super) fn advance_move(&mut self, now: Instant) {
        if self.candidate.as_ref().is_some_and(|candidate| matches!(candidate.link, Link::Idle)) {
            self.candidate = None;
            self.candidate_failed(now);
        }
        if self.wish_due().is_some_and(|due| due <= now) {
            self.begin_candidate(now);
        }
        if !self.is_ready() {
            return;
        }
        match &self.candidate {
            None if self.wish.as_ref().is_some_and(|wish| wish.alone) => self.begin_leaving(now),
            None => {}
            Some(candidate) => match candidate.readiness() {
                Some(Readiness::Fresh) if self.has_settled(now) => self.join(now),
                Some(Readiness::Joined { leave_at }) if leave_at <= now => self.begin_leaving(now),
                _ => {}
            },
        }
    }

    /// Dials the next server for the wish. Where there is none, a server that is about to stop is kept: it may be better
    /// than nothing; and what the user wants is done without.
    fn begin_candidate(&mut self, now: Instant) {
        let Some(wish) = self.wish.clone() else {
            return;
        };
        let present = self.link.connection().map(|connection| connection.attempt.server);
        let urgent = wish.cause.is_urgent();
        let next = match wish.cause {
            Cause::Failback => self.pool.next_preferred(now).filter(|_| !self.is_at_preferred()),
            Cause::LameDuck => self.next_for_lame_duck(&wish, present, now),
            _ => {
                let sound = self.pool.next_sound_but(present, now);
                sound.or_else(|| self.pool.next_but(present, now)).or_else(|| self.pool.next(now).filter(|_| urgent))
            }
        };
        let may = self.may_prepare() && matches!(self.intent, Intent::Run);
        match next.filter(|_| may) {
            Some((_, Some(due))) if due > now => self.wish = Some(Wish { at: due, ..wish }),
            Some((server, _)) => {
                let Some(mut attempt) = self.dial_for(server, Purpose::Move, now) else {
                    return;
                };
                let own = Some(server) == present;
                if !urgent && (own || !self.pool.is_sound(server, now)) {
                    attempt.leaves = self.info.as_ref().filter(|_| own).map(|info| info.server_id.clone());
                    let wait = AGAIN.saturating_mul(2_u32.saturating_pow(wish.again.0)).min(AGAIN_MOST);
                    self.wish = Some(Wish { again: (wish.again.0.saturating_add(1), after(now, wait)), ..wish });
                }
                self.candidate = Some(Box::new(Candidate {
                    link: Link::Dialing(Box::new(attempt)),
                    flight: Flight::new(self.config.delivery),
                    info: None,
                    joined: Vec::new(),
                }));
            }
            None if urgent && matches!(self.intent, Intent::Run) => self.wish = Some(Wish { alone: true, ..wish }),
            None => self.wish = None,
        }
    }

    /// Where to go from a server that is about to stop: to another one that is not, if one is due. Failing that, in turn, to one that
    /// said lately that it would stop, and may have been restarted since, as in a rolling upgrade of two; and to the address of
    /// the present one, which may lead to others too, as that of a load balancer does.
    fn next_for_lame_duck(
        &self,
        wish: &Wish,
        present: Option<ServerId>,
        now: Instant,
    ) -> Option<(ServerId, Option<Instant>)> {
        let (tries, at) = wish.again;
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

    /// Why a server that was dialled for a move and has said INFO is none to move to, if so.
    pub(super) fn is_no_better(&self, attempt: &Attempt, info: &Info) -> bool {
        let lame = self.wish.as_ref().is_some_and(|wish| matches!(wish.cause, Cause::LameDuck)) && info.lame_duck_mode;
        let same = attempt.leaves.as_ref() == Some(&info.server_id);
        attempt.purpose == Purpose::Move && (lame || same)
    }

    /// The candidate came to nothing, and that was told.
    fn candidate_failed(&mut self, now: Instant) {
        let mut at = now;
        if self.wish.as_ref().is_some_and(Wish::is_failback) {
            self.history.probes = self.history.probes.saturating_add(1);
            at = after(at, self.probe_wait());
        }
        if let Some(wish) = &mut self.wish {
            wish.at = at;
            // One try: the user wants to be gone from here more than to be there already.
            wish.alone = wish.cause.is_urgent();
        }
        // A drain may have waited for it.
        self.advance_drain();
    }

    /// An attempt for a move has failed, or its connection was lost.
    pub(super) fn move_failed(&mut self, attempt: Attempt, cause: Cause, now: Instant) {
        self.garbage.extend(self.flight.clear());
        self.link = Link::Idle;
        if attempt.leaves.is_some() {
            // The present server is none the worse for it.
            let retry_in =
                self.wish.as_ref().map_or(Duration::ZERO, |wish| wish.again.1.saturating_duration_since(now));
            let (server, attempt) = (attempt.endpoint, attempt.number);
            self.emit(ConnectionEvent::AttemptFailed { server, attempt, cause, retry_in });
        } else {
            self.tell_failed(attempt, cause, now);
        }
    }

    /// Tells the new server of the queue groups and of the inbox of requests, which lose nothing by being at both.
    /// Plain subscriptions get what is published now twice, where the user wants that.
    fn join(&mut self, now: Instant) {
        let joined = self.subscriptions.may_overlap(self.config.handover);
        let mut out = Vec::new();
        for sid in &joined {
            self.subscriptions.encode(*sid, &mut out);
            self.subscriptions.set_shared(*sid);
        }
        let Some(candidate) = &mut self.candidate else {
            return;
        };
        let Link::Up(connection) = &mut candidate.link else {
            return;
        };
        if joined.is_empty() {
            connection.stage = Stage::Standby(Readiness::Joined { leave_at: now });
            return self.begin_leaving(now);
        }
        connection.stage = Stage::Standby(Readiness::Joining);
        connection.attempt.deadline = Some(after(now, MOVE_WITHIN));
        candidate.flight.push_wire(out);
        candidate.flight.push_ping();
        for sid in &joined {
            self.subscriptions.note_asked(*sid, &mut connection.asked);
        }
        connection.liveness.sent(connection.covers(0), vec![Waiter::Join], now);
        candidate.joined = joined;
    }

    /// Nothing more is loaded. The server that is left is told to send nothing more either, and its PONG says that
    /// everything has come, there and here.
    fn begin_leaving(&mut self, now: Instant) {
        let told = if self.candidate.is_some() { self.subscriptions.sids() } else { Vec::new() };
        let Link::Up(connection) = &mut self.link else { return };
        if !matches!(connection.stage, Stage::Ready) {
            return;
        }
        let cause = self.wish.take().map_or(Cause::Forced, |wish| wish.cause);
        connection.stage = Stage::Moving { until: after(now, MOVE_WITHIN), cause };
        let mut out = Vec::new();
        for sid in told {
            protocol::unsubscribe(&mut out, sid, None);
        }
        if !out.is_empty() {
            self.flight.push_wire(out);
        }
        self.flight.push_ping();
        let messages = connection.taken + self.flight.messages();
        let covers = connection.covers(messages);
        connection.liveness.sent(covers, vec![Waiter::Move], now);
    }

    /// What the user wants now goes before a move, unless there is a server that knows of our queue groups already.
    pub(super) fn abandon_move(&mut self) {
        self.drop_candidate();
        if let Link::Up(connection) = &mut self.link {
            if matches!(connection.stage, Stage::Moving { .. }) {
                connection.stage = Stage::Ready;
            }
        }
    }

    /// The present connection is left, in order.
    pub(super) fn finish_move(&mut self, now: Instant) {
        if let Some(Stage::Moving { cause, .. }) = self.link.connection().map(|connection| &connection.stage) {
            self.lose(cause.clone(), CloseHow::Finish, now);
        }
    }

    /// The new server knows the groups: what is sent to them from now on may come from either.
    pub(super) fn joined(&mut self, now: Instant) {
        if let Link::Up(connection) = &mut self.link {
            if matches!(connection.stage, Stage::Standby(Readiness::Joining)) {
                connection.stage = Stage::Standby(Readiness::Joined { leave_at: after(now, HEARSAY) });
            }
        }
    }

    /// Whether the candidate's server was told of `sid`.
    pub(super) fn has_joined(&self, sid: u64) -> bool {
        self.candidate.as_ref().is_some_and(|candidate| candidate.joined.binary_search(&sid).is_ok())
    }

    /// Whether a drain has to wait: messages may come over a connection that is not the present one yet.
    pub(super) fn is_between(&self) -> bool {
        let moving = self.link.connection().is_some_and(|at| matches!(at.stage, Stage::Moving { .. }));
        moving || self.candidate.as_ref().is_some_and(|candidate| !candidate.joined.is_empty())
    }

    /// Whether nobody who waits for a reply loses it by this move: the inbox of requests is at the new server too.
    pub(super) fn keeps_requests(&self) -> bool {
        self.candidate.as_ref().is_some_and(|candidate| {
            matches!(candidate.readiness(), Some(Readiness::Joined { .. }))
                && self.subscriptions.internal().all(|sid| candidate.joined.binary_search(&sid).is_ok())
        })
    }

    /// No move any more.
    pub(super) fn drop_candidate(&mut self) {
        self.wish = None;
        let Some(candidate) = self.candidate.take() else {
            return;
        };
        match candidate.link {
            Link::Dialing(attempt) => self.effects.push_back(Effect::StopDialing { epoch: attempt.epoch }),
            Link::Up(connection) => {
                self.effects.push_back(Effect::Close { epoch: connection.attempt.epoch, how: CloseHow::Drop });
            }
            _ => {}
        }
        let mut flight = candidate.flight;
        self.garbage.extend(flight.clear());
    }

    /// A server says that it will stop. If it is the candidate's, the present one is no worse for it.
    pub(super) fn tell_lame_duck(&mut self, server: String, now: Instant) {
        self.emit(ConnectionEvent::LameDuck { server });
        if self.link.connection().is_some_and(|connection| connection.attempt.purpose == Purpose::Link) {
            self.leave_lame_duck(now);
        }
    }
}
