//! Which server is next, and when.

use std::time::{Duration, Instant};

use super::{Pool, SHORTEST_GAP, Server, ServerId};
use crate::engine::time::after;
use crate::protocol::ServerAddr;

/// How promising a server is, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It was connected before.
    Known,
    /// The user named it.
    Named,
    /// Other servers named it.
    Advertised,
}

/// A due server is passed over for more promising ones this many times in a row, and then has its turn: the better ones may all
/// be gone. Arbitrary.
const PASSED_OVER: u8 = 3;

impl Server {
    fn is_sound(&self, now: Instant) -> bool {
        self.lame_until.is_none_or(|until| until <= now)
    }

    fn standing(&self) -> Standing {
        match self.discovered {
            _ if self.did_connect => Standing::Known,
            false => Standing::Named,
            true => Standing::Advertised,
        }
    }
}

/// A server that has not answered a dial for this long may be put aside. Any path answers sooner; one over satellites takes 0.6
/// s, and gets more time when no other server answers.
pub(in crate::engine) const SILENCE: Duration = Duration::from_millis(500);

/// The same where the other server is less promising.
const LONG_SILENCE: Duration = Duration::from_secs(2);

impl Pool {
    /// The dial of `id`, which had to wait, begins now.
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

    /// When an attempt on `id` that began at `began` is put aside if nothing has come back: then another server is due that
    /// answered last time or was never tried. If all are silent, the path is to blame. A server that has had half of `limit` in
    /// such pieces then gets all of it at once, because it may be slow and not dead.
    pub fn put_aside_at(&self, id: ServerId, began: Instant, limit: Duration) -> Option<Instant> {
        let own = self.get(id).filter(|own| !own.preferred && own.tried < limit / 2)?.standing();
        let others = self.servers.iter().filter(|other| other.id != id && !other.silent);
        let at = others.map(|other| {
            let silence = if other.preferred || other.standing() <= own { SILENCE } else { LONG_SILENCE };
            other.due.map_or(began, |due| due.max(began)).max(after(began, silence))
        });
        at.min()
    }

    /// Puts an attempt on `id` aside that began at `began`. Returns when the server is due again; `None`: in all such attempts
    /// it has had `limit`, the time of a whole one, so it counts as failed.
    pub fn put_aside(&mut self, id: ServerId, began: Instant, limit: Duration, now: Instant) -> Option<Duration> {
        self.take_turn(id);
        let server = self.get_mut(id)?;
        server.silent = true;
        server.tried = server.tried.saturating_add(now.saturating_duration_since(began));
        server.due = Some(after(now, SILENCE));
        (server.tried < limit).then_some(SILENCE)
    }

    /// The server to dial next, and when. Of those that are due now: first a preferred one, then one that was connected before,
    /// one that the user named, one that other servers named; among equals the one that has been due longest, then the least
    /// recently used. If none is due, the one that will be due first.
    pub fn next(&self, now: Instant) -> Option<(ServerId, Option<Instant>)> {
        self.first(now, |_| true)
    }

    /// The same for all servers but one.
    pub fn next_but(&self, id: Option<ServerId>, now: Instant) -> Option<(ServerId, Option<Instant>)> {
        self.first(now, |server| Some(server.id) != id)
    }

    /// The same for all servers but one, without those that were recently in lame duck mode.
    pub fn next_sound_but(&self, id: Option<ServerId>, now: Instant) -> Option<(ServerId, Option<Instant>)> {
        self.first(now, |server| Some(server.id) != id && server.is_sound(now))
    }

    /// Whether `id` was not recently in lame duck mode.
    pub fn is_sound(&self, id: ServerId, now: Instant) -> bool {
        self.get(id).is_none_or(|server| server.is_sound(now))
    }

    /// The same for the preferred servers.
    pub fn next_preferred(&self, now: Instant) -> Option<(ServerId, Option<Instant>)> {
        self.first(now, |server| server.preferred)
    }

    fn first(&self, now: Instant, may: impl Fn(&Server) -> bool) -> Option<(ServerId, Option<Instant>)> {
        let began = self.since.unwrap_or(now);
        let rank = |server: &&Server| {
            let since = server.due.map_or(began, |due| due.max(began));
            // The server that was just left comes after the others if we left it, and otherwise after those that the user
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

    /// The least recently used server, whenever it is due.
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

    /// When `id` may be dialled if a callback says: after `delay`.
    pub fn due_after(&self, id: ServerId, delay: Duration, now: Instant) -> Instant {
        let wanted = after(now, delay);
        self.get(id)
            .and_then(|server| server.dialled)
            .map_or(wanted, |dialled| wanted.max(after(dialled, SHORTEST_GAP)))
    }
}
