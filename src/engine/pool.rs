//! The servers: order, failures, due times and gossip.

pub mod backoff;
mod gossip;
mod order;
mod policy;

use gossip::{Place, place};
pub(super) use order::SILENCE;
pub use policy::Policy;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::seq::SliceRandom;

use super::error::Cause;
use super::time::after;
use crate::protocol::ServerAddr;

/// Identifies a server of the pool for as long as it is there; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(u64);

/// A server and what we remember of it.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its id in the pool.
    pub id: ServerId,
    /// Its address.
    pub addr: ServerAddr,
    /// Learnt from the cluster, not given by the user.
    pub discovered: bool,
    /// Dialled before others that are due, and returned to.
    pub preferred: bool,
    /// Whether it was ever connected.
    pub did_connect: bool,
    /// Failed attempts since its last success.
    pub failures: u64,
    /// Failed attempts and short connections since its last stable connection.
    streak: u64,
    /// Steers its backoff: grows with failed dials and short connections, cleared by a stable connection.
    penalty: u64,
    /// Not dialled before; `None`: due now.
    due: Option<Instant>,
    /// When it was dialled last.
    dialled: Option<Instant>,
    /// How it refused our credentials on its last attempt, if it did, and since when it has said the same.
    refused: Option<(Cause, Instant)>,
    /// It is in lame duck mode, and counts as such until then.
    lame_until: Option<Instant>,
    /// Nothing came back when it was dialled last.
    silent: bool,
    /// How long it has been dialled in attempts that gave way to other servers, since the last one that was completed.
    tried: Duration,
    /// Position in the rotation: of servers that are equally due, the least recently used is first.
    turn: u64,
    /// Why it failed last.
    pub last_error: Option<Cause>,
}

/// How many failed servers an event names. Arbitrary: more than a person reads.
const NAMED: usize = 64;

/// The pool. Never larger than [`MAX_SERVERS`].
#[derive(Debug, Default)]
pub struct Pool {
    servers: Vec<Server>,
    /// Removed because of what they did: gossip does not bring them back.
    banned: Vec<Server>,
    /// The addresses that are preferred, wherever they occur.
    preferred: BTreeSet<Place>,
    next_id: u64,
    next_turn: u64,
    /// When the last connection was lost and the search for another began.
    since: Option<Instant>,
    /// The server of that connection until the next dial, and whether it was left on purpose.
    left: Option<(ServerId, bool)>,
    /// How often in a row a due server has been passed over for a better one.
    passed_over: u8,
}

/// Gossip can't grow the pool beyond this. Arbitrary; the largest known clusters have a few hundred nodes.
pub const MAX_SERVERS: usize = 4096;

/// At most this many addresses are taken from one INFO. Arbitrary, as above.
pub const MAX_ADVERTISED: usize = 1024;

/// No server is dialled more often than this, whatever backoff or callbacks say: ten times a second (D14).
pub const SHORTEST_GAP: Duration = Duration::from_millis(100);

/// A server in lame duck mode comes after all others for this long: within its `lame_duck_duration`, 2 min by default, it ends
/// its last connection. One that accepts the client again without lame duck mode counts as restarted.
const LAME_FOR: Duration = Duration::from_secs(120);

/// What a failed attempt led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Failed {
    /// When the server is due again.
    pub wait: Duration,
    /// The `host:port` of the server, if it was removed from the pool.
    pub out: Option<String>,
}

impl Pool {
    /// The pool of these servers, shuffled unless `retain_order`. An address may be in both lists.
    pub fn new<R: Rng>(
        mut preferred: Vec<ServerAddr>,
        mut addrs: Vec<ServerAddr>,
        retain_order: bool,
        rng: &mut R,
    ) -> Pool {
        if !retain_order {
            preferred.shuffle(rng);
            addrs.shuffle(rng);
        }
        let mut pool = Pool { preferred: preferred.iter().map(place).collect(), ..Pool::default() };
        let mut known = BTreeSet::new();
        for addr in preferred.into_iter().chain(addrs) {
            if known.insert(place(&addr)) {
                pool.add(addr, false);
            }
        }
        pool
    }

    /// All servers, in the order in which they were added.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The server with that id, if it is still there.
    pub fn get(&self, id: ServerId) -> Option<&Server> {
        self.servers.get(self.position(id)?)
    }

    pub(super) fn get_mut(&mut self, id: ServerId) -> Option<&mut Server> {
        let at = self.position(id)?;
        self.servers.get_mut(at)
    }

    /// The position of `id`. Servers are in the order of their ids unless some were replaced or came back.
    fn position(&self, id: ServerId) -> Option<usize> {
        let found = self.servers.binary_search_by_key(&id, |server| server.id).ok();
        found.or_else(|| self.servers.iter().position(|server| server.id == id))
    }

    fn add(&mut self, addr: ServerAddr, discovered: bool) {
        let (id, turn) = (ServerId(self.next_id), self.next_turn);
        let preferred = !self.preferred.is_empty() && self.preferred.contains(&place(&addr));
        self.next_id += 1;
        self.next_turn += 1;
        self.servers.push(Server {
            id,
            addr,
            discovered,
            preferred,
            did_connect: false,
            failures: 0,
            streak: 0,
            penalty: 0,
            due: None,
            dialled: None,
            refused: None,
            lame_until: None,
            silent: false,
            tried: Duration::ZERO,
            turn,
            last_error: None,
        });
    }

    /// Whether there is no server.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// The servers that have failed since their last stable connection, removed ones included, each with its last error.
    pub(super) fn failures(&self) -> Vec<(String, Cause)> {
        let failed = self.servers.iter().chain(&self.banned).filter(|server| server.streak > 0);
        failed.filter_map(|server| Some((endpoint(&server.addr), server.last_error.clone()?))).take(NAMED).collect()
    }

    /// Whether servers were removed.
    pub fn has_banned(&self) -> bool {
        !self.banned.is_empty()
    }

    /// Whether an address asks for TLS, including those that were removed.
    pub fn asks_for_tls(&self) -> bool {
        self.servers.iter().chain(&self.banned).any(|server| server.addr.tls_required())
    }

    /// Whether every server that the user named has failed at least once since it was last connected.
    pub fn all_named_failed(&self) -> bool {
        self.servers.iter().all(|server| server.discovered || server.failures > 0)
    }

    /// How many servers the user named.
    pub fn named(&self) -> usize {
        self.servers.iter().filter(|server| !server.discovered).count()
    }

    /// An attempt on `id` failed.
    pub fn failed<R: Rng>(&mut self, id: ServerId, cause: Cause, policy: &Policy, now: Instant, rng: &mut R) -> Failed {
        self.take_turn(id);
        let Some(server) = self.get_mut(id) else {
            return Failed { wait: Duration::ZERO, out: None };
        };
        server.failures += 1;
        server.silent = matches!(cause, Cause::TimedOut { .. });
        server.tried = Duration::ZERO;
        let refused_for = server.note_refusal(&cause, now);
        let wait = server.punish(cause, policy, now, rng);
        let spent = policy.max_per_server.is_some_and(|max| server.streak >= max);
        let refused_long =
            policy.give_up_on_auth_after.is_some_and(|limit| refused_for.is_some_and(|since| since >= limit));
        let out = if spent || refused_long { self.ban(id) } else { None };
        Failed { wait, out }
    }

    /// A connection to `id` was made.
    pub fn connected(&mut self, id: ServerId) {
        self.take_turn(id);
        if let Some(server) = self.get_mut(id) {
            server.did_connect = true;
            server.failures = 0;
            server.refused = None;
            (server.silent, server.tried) = (false, Duration::ZERO);
            server.lame_until = None;
        }
    }

    /// The server `id` is in lame duck mode.
    pub fn set_lame(&mut self, id: ServerId, now: Instant) {
        if let Some(server) = self.get_mut(id) {
            server.lame_until = Some(after(now, LAME_FOR));
        }
    }

    /// A connection to `id` was lost. If it was stable, the penalty is cleared and the redial is spread; otherwise it counts
    /// like a failed attempt, so that a server that accepts and closes is not hammered. The longer it lived, the more of the
    /// earlier penalty it clears: a server that keeps its connections for most of a second is not avoided like one that is
    /// dead.
    pub fn lost<R: Rng>(
        &mut self,
        id: ServerId,
        loss: Loss,
        policy: &Policy,
        now: Instant,
        rng: &mut R,
    ) -> Option<String> {
        (self.since, self.left) = (Some(now), Some((id, loss.planned)));
        let server = self.get_mut(id)?;
        if loss.lived >= policy.stable_after || loss.planned {
            server.penalty = 0;
            server.streak = 0;
            server.last_error = Some(loss.cause);
            server.due = Some(after(now, policy.redial_jitter.apply(policy.redial, rng)));
            return None;
        }
        let left = 1.0 - loss.lived.as_secs_f64() / policy.stable_after.as_secs_f64();
        // Rounded up: otherwise a life of some milliseconds would clear a whole failure, and the delays would never grow.
        server.penalty = (server.penalty as f64 * left).ceil() as u64;
        server.punish(loss.cause, policy, now, rng);
        let spent = policy.max_per_server.is_some_and(|max| server.streak >= max);
        if spent { self.ban(id) } else { None }
    }

    /// Removes `id` for good. Returns its `host:port`.
    fn ban(&mut self, id: ServerId) -> Option<String> {
        let at = self.position(id)?;
        let server = self.servers.remove(at);
        let name = endpoint(&server.addr);
        if self.banned.len() < MAX_SERVERS {
            self.banned.push(server);
        }
        Some(name)
    }

    /// Gives removed servers another chance.
    pub fn forgive(&mut self) {
        if self.banned.is_empty() {
            return;
        }
        let known: BTreeSet<Place> = self.servers.iter().map(|server| place(&server.addr)).collect();
        for mut server in std::mem::take(&mut self.banned) {
            if !known.contains(&place(&server.addr)) {
                (server.streak, server.penalty, server.due, server.refused) = (0, 0, None, None);
                self.servers.push(server);
            }
        }
    }

    /// Makes every server due now, because the user does not want to wait.
    pub fn hurry(&mut self) {
        for server in &mut self.servers {
            server.due = None;
        }
    }

    pub(super) fn take_turn(&mut self, id: ServerId) {
        let turn = self.next_turn;
        self.next_turn += 1;
        if let Some(server) = self.get_mut(id) {
            server.turn = turn;
        }
    }
}

/// How a connection ended, for the pool.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Why.
    pub cause: Cause,
    /// How long it lived.
    pub lived: Duration,
    /// The client left it; the server is not to blame.
    pub planned: bool,
}

impl Server {
    /// An attempt failed with `cause`. Returns for how long the server has refused our credentials with the same error; `None`:
    /// it has not, or only now.
    fn note_refusal(&mut self, cause: &Cause, now: Instant) -> Option<Duration> {
        let before = self.refused.take();
        if !cause.is_auth() {
            return None;
        }
        let since = before.filter(|(earlier, _)| earlier == cause).map(|(_, since)| since);
        self.refused = Some((cause.clone(), since.unwrap_or(now)));
        since.map(|since| now.saturating_duration_since(since))
    }

    /// It has failed, and waits longer each time.
    fn punish<R: Rng>(&mut self, cause: Cause, policy: &Policy, now: Instant, rng: &mut R) -> Duration {
        self.streak += 1;
        self.penalty += 1;
        self.last_error = Some(cause);
        let mut delay = policy.backoff.delay(self.penalty, rng);
        if self.addr.tls_required() {
            delay = delay.saturating_add(backoff::between(Duration::ZERO, policy.tls_jitter, rng));
        }
        let due = after(now, delay).max(after(self.dialled.unwrap_or(now), SHORTEST_GAP));
        self.due = Some(due);
        due.saturating_duration_since(now)
    }
}

/// `host:port`, with brackets where the host needs them. Without scheme and credentials: events and logs show it.
pub fn endpoint(addr: &ServerAddr) -> String {
    let (host, port) = (addr.host(), addr.port());
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
