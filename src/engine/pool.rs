//! The servers: order, failures, due times and gossip.

use std::time::{Duration, Instant};

use rand::Rng;
use rand::seq::SliceRandom;

use super::backoff::{self, Backoff};
use super::error::Cause;
use crate::protocol::ServerAddr;

/// Names a server of the pool for as long as it is there; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(u64);

/// A server and what we remember of it.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name in the pool.
    pub id: ServerId,
    /// Where it is.
    pub addr: ServerAddr,
    /// Told by the cluster, not by the user.
    pub discovered: bool,
    /// Whether it was ever connected.
    pub did_connect: bool,
    /// Failed attempts since its last success.
    pub failures: u64,
    /// What steers its backoff: grows when a dial fails or a connection was short, cleared by a stable one.
    penalty: u64,
    /// Not to be dialled before; `None`: now.
    due: Option<Instant>,
    /// Position in the rotation: the least recently used is first among those that are equally due.
    turn: u64,
    /// Why it failed last.
    pub last_error: Option<Cause>,
}

/// The pool. Never larger than [`MAX_SERVERS`].
#[derive(Debug, Default)]
pub struct Pool {
    servers: Vec<Server>,
    next_id: u64,
    next_turn: u64,
}

/// Gossip can't grow the pool beyond this. Arbitrary; the largest clusters known have some hundred nodes.
pub const MAX_SERVERS: usize = 4096;

impl Pool {
    /// The user's servers, shuffled unless `retain_order`.
    pub fn new<R: Rng>(mut addrs: Vec<ServerAddr>, retain_order: bool, rng: &mut R) -> Pool {
        if !retain_order {
            addrs.shuffle(rng);
        }
        let mut pool = Pool::default();
        for addr in addrs {
            if !pool.contains(&addr) {
                pool.add(addr, false);
            }
        }
        pool
    }

    /// All servers, in the order in which they were added.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The server of that name, if it is still there.
    pub fn get(&self, id: ServerId) -> Option<&Server> {
        self.servers.iter().find(|server| server.id == id)
    }

    fn get_mut(&mut self, id: ServerId) -> Option<&mut Server> {
        self.servers.iter_mut().find(|server| server.id == id)
    }

    fn contains(&self, addr: &ServerAddr) -> bool {
        self.servers.iter().any(|server| server.addr.same_endpoint(addr))
    }

    fn add(&mut self, addr: ServerAddr, discovered: bool) {
        let (id, turn) = (ServerId(self.next_id), self.next_turn);
        self.next_id += 1;
        self.next_turn += 1;
        self.servers.push(Server {
            id,
            addr,
            discovered,
            did_connect: false,
            failures: 0,
            penalty: 0,
            due: None,
            turn,
            last_error: None,
        });
    }

    /// The server to dial next, and when: the one that is due earliest, the least recently used among equals.
    pub fn next(&self) -> Option<(ServerId, Option<Instant>)> {
        self.servers.iter().min_by_key(|server| (server.due, server.turn)).map(|server| (server.id, server.due))
    }

    /// Whether every server has failed at least once since it was last connected.
    pub fn all_failed(&self) -> bool {
        self.servers.iter().all(|server| server.failures > 0)
    }

    /// An attempt on `id` failed. Returns how long it now has to wait.
    pub fn failed<R: Rng>(
        &mut self,
        id: ServerId,
        cause: Cause,
        backoff: &Backoff,
        now: Instant,
        rng: &mut R,
    ) -> Duration {
        self.take_turn(id);
        let Some(server) = self.get_mut(id) else {
            return Duration::ZERO;
        };
        server.failures += 1;
        server.penalty += 1;
        server.last_error = Some(cause);
        let delay = backoff.delay(server.penalty, rng);
        server.due = Some(now + delay);
        delay
    }

    /// A connection to `id` was made.
    pub fn connected(&mut self, id: ServerId) {
        self.take_turn(id);
        if let Some(server) = self.get_mut(id) {
            server.did_connect = true;
            server.failures = 0;
        }
    }

    /// A connection to `id` was lost. A stable one clears the penalty, and the redial is spread over `spread`;
    /// a short one counts like a failed attempt, so that a server that accepts and closes for ever is not
    /// hammered.
    pub fn lost<R: Rng>(
        &mut self,
        id: ServerId,
        loss: Loss,
        backoff: &Backoff,
        spread: Duration,
        now: Instant,
        rng: &mut R,
    ) {
        let Some(server) = self.get_mut(id) else {
            return;
        };
        server.last_error = Some(loss.cause);
        let delay = if loss.stable {
            server.penalty = 0;
            backoff::between(Duration::ZERO, spread, rng)
        } else {
            server.penalty += 1;
            backoff.delay(server.penalty, rng)
        };
        server.due = Some(now + delay);
    }

    /// Makes every server due at once: the user does not want to wait.
    pub fn hurry(&mut self) {
        for server in &mut self.servers {
            server.due = None;
        }
    }

    fn take_turn(&mut self, id: ServerId) {
        let turn = self.next_turn;
        self.next_turn += 1;
        if let Some(server) = self.get_mut(id) {
            server.turn = turn;
        }
    }

    /// Takes in the complete list of the cluster's servers from INFO. What vanished leaves the pool unless the
    /// user named it or it is `current`. An entry that can't be read is skipped. Returns what was added
    /// and removed, as `host:port`.
    ///
    /// Source: PROTOCOL §1.4; the list is complete each time, an empty one says nothing.
    pub fn gossip<R: Rng>(
        &mut self,
        urls: &[String],
        seed: &ServerAddr,
        current: Option<ServerId>,
        retain_order: bool,
        rng: &mut R,
    ) -> (Vec<String>, Vec<String>) {
        let told: Vec<ServerAddr> =
            urls.iter().filter_map(|url| ServerAddr::from_gossip(url, seed).ok()).take(MAX_SERVERS).collect();
        if told.is_empty() {
            return Default::default();
        }
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        self.servers.retain(|server| {
            let stays = !server.discovered
                || Some(server.id) == current
                || told.iter().any(|addr| addr.same_endpoint(&server.addr));
            if !stays {
                removed.push(endpoint(&server.addr));
            }
            stays
        });
        let mut fresh: Vec<ServerAddr> = told.into_iter().filter(|addr| !self.contains(addr)).collect();
        if !retain_order {
            fresh.shuffle(rng);
        }
        for addr in fresh {
            if self.servers.len() < MAX_SERVERS && !self.contains(&addr) {
                added.push(endpoint(&addr));
                self.add(addr, true);
            }
        }
        (added, removed)
    }

    /// Replaces the user's list. What is in both keeps its memory; nothing counts as discovered any more.
    pub fn replace(&mut self, addrs: Vec<ServerAddr>) {
        let old = std::mem::take(&mut self.servers);
        for addr in addrs {
            if self.contains(&addr) {
                continue;
            }
            match old.iter().find(|server| server.addr.same_endpoint(&addr)) {
                Some(server) => {
                    self.servers.push(Server { addr, discovered: false, failures: 0, ..server.clone() });
                }
                None => self.add(addr, false),
            }
        }
    }
}

/// How a connection ended, for the pool.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Why.
    pub cause: Cause,
    /// Whether it had lived long enough to trust the server again.
    pub stable: bool,
}

/// `host:port`, with brackets where the host needs them. No scheme, no credentials: this is what events and logs
/// show.
pub fn endpoint(addr: &ServerAddr) -> String {
    let (host, port) = (addr.host(), addr.port());
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
