//! Which server is next, and when.

use std::time::{Duration, Instant};

use super::{Pool, SHORTEST_GAP, Server, ServerId};
use crate::engine::time::after;
use crate::protocol::ServerAddr;

impl Pool {
    /// The server to dial next, and when: the one that is due earliest, a preferred one among those that are due, then the
    /// least recently used among equals.
    pub fn next(&self, now: Instant) -> Option<(ServerId, Option<Instant>)> {
        self.first(now, |_| true)
    }

    /// The same among all servers but one.
    pub fn next_but(&self, id: Option<ServerId>, now: Instant) -> Option<(ServerId, Option<Instant>)> {
        self.first(now, |server| Some(server.id) != id)
    }

    /// The same among the preferred ones.
    pub fn next_preferred(&self, now: Instant) -> Option<(ServerId, Option<Instant>)> {
        self.first(now, |server| server.preferred)
    }

    fn first(&self, now: Instant, may: impl Fn(&Server) -> bool) -> Option<(ServerId, Option<Instant>)> {
        let rank = |server: &&Server| (server.due.filter(|due| *due > now), !server.preferred, server.due, server.turn);
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
