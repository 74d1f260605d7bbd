//! Which server is next, and when.

use std::time::{Duration, Instant};

use super::{Pool, SHORTEST_GAP, Server, ServerId};
use crate::engine::time::after;
use crate::protocol::ServerAddr;

/// How much speaks for a server, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It was connected before.
    Known,
    /// The user named it.
    Named,
    /// Other servers named it.
    Told,
}

/// A server that is due is passed over for those of a better standing this many times in a row, and then has its turn: the
/// better ones may all be gone. Arbitrary.
const PASSED_OVER: u8 = 3;

impl Server {
    fn is_sound(&self, now: Instant) -> bool {
        self.lame_until.is_none_or(|until| until <= now)
    }

    fn standing(&self) -> Standing {
        match self.discovered {
            _ if self.did_connect => Standing::Known,
            false => Standing::Named,
            true => Standing::Told,
        }
    }
}

/// A server that has not answered a dial for this long may be put aside. Any path answers sooner: one over satellites takes
/// 0.6 s, and is given more time when no other server answers.
pub(in crate::engine) const SILENCE: Duration = Duration::from_millis(500);

/// The same where the other server has less that speaks for it.
const LONG_SILENCE: Duration = Duration::from_secs(2);

impl Pool {
    /// A dial of `id` that had to wait begins now.
    pub fn dial_begins(&mut self, id: ServerId, now: Instant) {
        if let Some(server) = self.get_mut(id) {
            server.dialled = Some(now);
        }
    }

    /// `id` is being dialled.
    pub fn dialling(&mut self, id: ServerId, now: Instant) {
        self.left = None;
        self.dial_begins(id, now);
        let Some(server) = self.get(id) else { return };
        let (preferred, standing) = (server.preferred, server.standing());
        let passes = |other: &Server| {
            other.due.is_none_or(|due| due <= now) && preferred == other.preferred && other.standing() > standing
        };
        let passes = self.passed_over < PASSED_OVER && self.servers.iter().any(passes);
        self.passed_over = if passes { self.passed_over + 1 } else { 0 };
    }

    /// When an attempt on `id`, which began at `began`, is put aside if nothing has come back: another server is due then.
    /// It must be one that answered last time, or nothing is known of: if all are silent, the path is. One that has had half of
    /// an attempt's time in pieces gets the whole `limit` in one: it may be slow, and not dead.
    pub fn put_aside_at(&self, id: ServerId, began: Instant, limit: Duration) -> Option<Instant> {
        let own = self.get(id).filter(|own| !own.preferred && own.tried < limit / 2)?.standing();
        let others = self.servers.iter().filter(|other| other.id != id && !other.silent);
        let at = others.map(|other| {
            let patience = if other.preferred || other.standing() <= own { SILENCE } else { LONG_SILENCE };
            other.due.map_or(began, |due| due.max(began)).max(after(began, patience))
        });
        at.min()
    }

    /// An attempt on `id`, begun at `began`, is put aside, unless it has had the time of a whole attempt by now, `limit`:
    /// then it counts as failed. Returns when the server is due again.
    pub fn put_aside(&mut self, id: ServerId, began: Instant, limit: Duration, now: Instant) -> Option<Duration> {
        self.take_turn(id);
        let server = self.get_mut(id)?;
        server.silent = true;
        server.tried = server.tried.saturating_add(now.saturating_duration_since(began));
        server.due = Some(after(now, SILENCE));
        (server.tried < limit).then_some(SILENCE)
    }

    /// The server to dial next, and when. Of those that are due now a preferred one is first, then one that was connected
    /// before, one that the user named, one that other servers named; then the one that has been due for longest, and the least
    /// recently used. If none is due, the one that will be due earliest.
    pub fn next(&self, now: Instant) -> Option<(ServerId, Option<Instant>)> {
        self.first(now, |_| true)
    }

    /// The same among all servers but one.
    pub fn next_but(&self, id: Option<ServerId>, now: Instant) -> Option<(ServerId, Option<Instant>)> {
        self.first(now, |server| Some(server.id) != id)
    }

    /// The same among those that have not said lately that they will stop.
    pub fn next_sound_but(&self, id: Option<ServerId>, now: Instant) -> Option<(ServerId, Option<Instant>)> {
        self.first(now, |server| Some(server.id) != id && server.is_sound(now))
    }

    /// Whether `id` has not said lately that it will stop.
    pub fn is_sound(&self, id: ServerId, now: Instant) -> bool {
        self.get(id).is_none_or(|server| server.is_sound(now))
    }

    /// The same among the preferred ones.
    pub fn next_preferred(&self, now: Instant) -> Option<(ServerId, Option<Instant>)> {
        self.first(now, |server| server.preferred)
    }

    fn first(&self, now: Instant, may: impl Fn(&Server) -> bool) -> Option<(ServerId, Option<Instant>)> {
        let began = self.since.unwrap_or(now);
        let rank = |server: &&Server| {
            let since = server.due.map_or(began, |due| due.max(began));
            // The server that was left just now comes after the others, and if it was not our wish, after those that the user
            // knows.
            let (standing, last) = match self.left {
                Some((left, planned)) if left == server.id => (Standing::Named, planned),
                _ => (server.standing(), false),
            };
            let standing = if self.passed_over < PASSED_OVER { standing } else { Standing::Known };
            (server.due.filter(|due| *due > now), !server.preferred, last, standing, since, server.turn)
        };
        self.servers.iter().filter(|server| may(server)).min_by_key(rank).map(|server| (server.id, server.due))
    }

    /// The server that was not used for the longest time, whenever it is due.
    pub fn next_in_turn(&self) -> Option<ServerId> {
        self.servers.iter().min_by_key(|server| server.turn).map(|server| server.id)
    }

    /// Whether `id` is a preferred server.
    pub fn prefers(&self, id: ServerId) -> bool {
        self.get(id).is_some_and(|server| server.preferred)
    }

    /// Whether there are servers that are not preferred.
    pub fn has_others(&self) -> bool {
        self.servers.iter().any(|server| !server.preferred)
    }

    /// The server at that address.
    pub fn find(&self, addr: &ServerAddr) -> Option<ServerId> {
        self.servers.iter().find(|server| server.addr.same_endpoint(addr)).map(|server| server.id)
    }

    /// When `id` is due.
    pub fn due(&self, id: ServerId) -> Option<Instant> {
        self.get(id)?.due
    }

    /// When `id` may be dialled if somebody says: after `delay`.
    pub fn due_after(&self, id: ServerId, delay: Duration, now: Instant) -> Instant {
        let wished = after(now, delay);
        self.get(id)
            .and_then(|server| server.dialled)
            .map_or(wished, |dialled| wished.max(after(dialled, SHORTEST_GAP)))
    }
}
