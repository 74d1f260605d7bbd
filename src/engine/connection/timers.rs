//! When something is due on a connection, and what then happens.

use std::time::{Duration, Instant};

use super::{Connection, Readiness, Stage};
use crate::engine::attempt::missed;
use crate::engine::config::Config;
use crate::engine::effect::CloseHow;
use crate::engine::error::Cause;
use crate::engine::happened::Happened;
use crate::engine::liveness::{OVERSLEPT, overslept};
use crate::engine::time::{after, is_due};

/// How long a planned move waits for each of its PONGs (D15).
pub(in crate::engine) const MOVE_WITHIN: Duration = Duration::from_secs(2);

/// An address that accepted the connection and stays silent is given at most this long while there are others. Arbitrary; a
/// server sends INFO as soon as it has accepted.
const SILENT_ADDRESS: Duration = Duration::from_secs(1);

impl Connection {
    /// The next time at which [`handle_timeout`](Connection::handle_timeout) has something to do, or a PING is due.
    pub(in crate::engine) fn due(&self, config: &Config) -> Option<Instant> {
        let handshake = self.attempt.deadline.filter(|_| self.is_prepared());
        let stage = match &self.stage {
            Stage::Recovering(recovering) => recovering.due(),
            Stage::Moving { until, .. } => Some(*until),
            _ => None,
        };
        let last_words = self.broken.as_ref().map(|(until, _)| *until);
        let liveness = self.liveness.dead_at().or_else(|| self.ping_due());
        let renew = self.renew_at.filter(|_| self.carries());
        let all = [handshake, self.next_address_at(), self.aside_at(), stage, last_words, liveness, renew];
        all.into_iter().chain([self.stalls_at(config)]).flatten().min()
    }

    /// When a PING goes out without being asked for.
    pub(in crate::engine) fn ping_due(&self) -> Option<Instant> {
        if self.carries() { self.liveness.ping_due(self.is_owed()) } else { None }
    }

    /// When a transport that takes nothing is given up.
    fn stalls_at(&self, config: &Config) -> Option<Instant> {
        (!self.flight.is_empty()).then(|| after(self.progress, config.write_timeout))
    }

    /// When the handshake moves to the next address of the name because this one is silent. The remaining time is shared
    /// evenly; an address that has not even sent INFO may not be a server, and gets less.
    fn next_address_at(&self) -> Option<Instant> {
        let deadline = self.attempt.deadline.filter(|_| self.attempt.others > 0)?;
        let others = u32::try_from(self.attempt.others).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(self.progress) / others.saturating_add(1);
        match self.stage {
            Stage::AwaitInfo => Some(after(self.progress, share.min(SILENT_ADDRESS))),
            Stage::Securing(_) | Stage::AwaitPong => Some(after(self.progress, share)),
            _ => None,
        }
    }

    /// When a server that accepted the connection and stays silent gives way to another one.
    fn aside_at(&self) -> Option<Instant> {
        let at =
            self.attempt.aside_at.filter(|_| matches!(self.stage, Stage::AwaitInfo) && self.attempt.others == 0)?;
        Some(at.max(after(self.progress, SILENT_ADDRESS)))
    }

    /// Whether the attempt's deadline still applies: in the handshake, and in the steps before a planned move.
    fn is_prepared(&self) -> bool {
        self.is_handshake() || matches!(self.stage, Stage::Standby(Readiness::Joining))
    }

    /// Handles the deadlines that have come.
    pub(in crate::engine) fn handle_timeout(&mut self, config: &Config, now: Instant) -> Happened {
        let happened = self.handle_attempt_timeout(now);
        let happened = happened.or_else(|| self.handle_dead_transport(config, now));
        // A PING that is due is sent in the next exchange.
        happened.unwrap_or_else(|| self.handle_stage_timeout(now))
    }

    /// The deadlines of the handshake, and of the steps before a planned move.
    fn handle_attempt_timeout(&mut self, now: Instant) -> Option<Happened> {
        if self.is_prepared() && self.attempt.has_overslept(now) {
            return Some(Happened::Nothing);
        }
        let late = is_due(self.attempt.deadline, now);
        if !late && (missed(self.aside_at(), now) || missed(self.next_address_at(), now)) {
            self.progress = now;
            return Some(Happened::Nothing);
        }
        if is_due(self.aside_at(), now) && !late {
            return Some(Happened::PutAside("waiting for INFO, and another server is due"));
        }
        if !((self.is_prepared() && late) || is_due(self.next_address_at(), now)) {
            return None;
        }
        let (limit, stage) = match self.stage {
            Stage::Standby(_) => (MOVE_WITHIN, "waiting for the PONG after the queue groups"),
            _ if late => (self.attempt.limit, self.what_it_waits_for()),
            _ => (now.saturating_duration_since(self.progress), self.what_it_waits_for()),
        };
        Some(Happened::Lost(Cause::TimedOut { limit, stage }, CloseHow::Reset))
    }

    fn what_it_waits_for(&self) -> &'static str {
        match self.stage {
            Stage::AwaitInfo => "waiting for INFO (a server that wants TLS first says nothing: tls_first)",
            Stage::Securing(_) => "in the TLS handshake",
            Stage::Authenticating(_) => "waiting for credentials",
            _ => "waiting for the PONG to CONNECT and PING",
        }
    }

    /// The deadlines of a transport that failed or takes nothing, and of a silent server.
    fn handle_dead_transport(&mut self, config: &Config, now: Instant) -> Option<Happened> {
        let lost = |cause| Some(Happened::Lost(cause, CloseHow::Reset));
        if let Some((_, cause)) = self.broken.take_if(|(until, _)| *until <= now) {
            return lost(self.server_error.take().map_or(cause, Cause::Server));
        }
        if overslept(self.liveness.dead_at(), now) {
            self.liveness.overslept(now);
            return Some(Happened::Nothing);
        }
        let stalls = self.stalls_at(config);
        if overslept(stalls, now) {
            // As if it had stalled only now, with a moment in which the transport can be tried.
            let asked = after(now, OVERSLEPT);
            self.progress = asked.checked_sub(config.write_timeout).unwrap_or(now).max(self.progress);
            return Some(Happened::Nothing);
        }
        if is_due(self.liveness.dead_at(), now) {
            return lost(self.liveness.verdict(now));
        }
        if is_due(stalls, now) {
            return lost(Cause::WriteStalled { stalled: now.saturating_duration_since(self.progress) });
        }
        None
    }

    /// What the engine does at times that it chose itself.
    fn handle_stage_timeout(&mut self, now: Instant) -> Happened {
        match &self.stage {
            Stage::Moving { until, .. } if *until <= now => Happened::MoveTimedOut,
            _ if self.carries() && is_due(self.renew_at, now) => {
                self.renew_at = None;
                Happened::Expiring
            }
            Stage::Recovering(recovering) if is_due(recovering.due(), now) => Happened::RecoveryTimedOut,
            _ => Happened::Nothing,
        }
    }
}
