//! PING and PONG: which PINGs are out, what they cover, and when a peer is dead.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::asked::AskedUpTo;

/// What a PING stands behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Covers {
    /// How many messages of this connection.
    pub messages: u64,
    /// The sequence number of the last of them.
    pub through: u64,
    /// The SUBs.
    pub asked: AskedUpTo,
}

/// A PING that was not answered yet.
#[derive(Debug)]
pub struct Ping<W> {
    /// What its PONG confirms: all that was put before it.
    pub covers: Covers,
    /// When the transport took it; `None`: not yet, which is the write timer's concern.
    taken: Option<Instant>,
    /// Who waits for its PONG.
    pub waiters: Vec<W>,
}

/// The numbers of [`Config`](super::Config) that matter here.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Silence after which a PING is due; zero: idle PINGs are off.
    pub interval: Duration,
    /// Intervals that a PING may stay unanswered.
    pub max_out: u32,
}

/// One FIFO of PINGs per connection. PONGs answer them in order.
#[derive(Debug)]
pub struct Liveness<W> {
    rules: Rules,
    pings: VecDeque<Ping<W>>,
    last_byte: Instant,
    last_ping: Instant,
    /// Bytes of messages put in line behind the last PING.
    unasked: usize,
    round_trip: Option<Duration>,
}

impl<W> Liveness<W> {
    /// A connection that has just come up.
    pub fn new(rules: Rules, now: Instant) -> Self {
        Liveness { rules, pings: VecDeque::new(), last_byte: now, last_ping: now, unasked: 0, round_trip: None }
    }

    /// A PING was put in line behind what it covers.
    pub fn sent(&mut self, covers: Covers, waiters: Vec<W>, now: Instant) {
        self.last_ping = now;
        self.unasked = 0;
        self.pings.push_back(Ping { covers, taken: None, waiters });
    }

    /// So many bytes of messages were put in line.
    pub fn loaded(&mut self, bytes: usize) {
        self.unasked += bytes;
    }

    /// The transport took `count` more PINGs.
    pub fn taken(&mut self, count: usize, now: Instant) {
        for ping in self.pings.iter_mut().filter(|ping| ping.taken.is_none()).take(count) {
            ping.taken = Some(now);
        }
    }

    /// Bytes came in, whatever they say.
    pub fn received(&mut self, now: Instant) {
        self.last_byte = now;
    }

    /// A PONG came. `None`: nothing was asked, which is ignored. A PONG before its PING was wholly written is
    /// answered to something else, so it counts for nothing either.
    pub fn pong(&mut self, now: Instant) -> Option<Ping<W>> {
        let asked = self.pings.front()?.taken?;
        self.round_trip = Some(now.saturating_duration_since(asked));
        self.pings.pop_front()
    }

    /// A round trip that was measured elsewhere: the handshake's.
    pub fn measured(&mut self, round_trip: Duration) {
        self.round_trip = Some(round_trip);
    }

    /// The time between the last answered PING and its PONG.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Whether so many bytes of messages stand behind the last PING, and no more than `out` PINGs are out.
    pub fn is_unasked(&self, bytes: usize, out: usize) -> bool {
        self.unasked > 0 && self.unasked >= bytes && self.pings.len() <= out
    }

    /// When a PING should be sent without being asked for: after a silent interval, and much sooner while messages are
    /// unconfirmed. One at a time is enough.
    pub fn ping_due(&self, unconfirmed: bool) -> Option<Instant> {
        if !self.pings.is_empty() {
            return None;
        }
        let interval = self.rules.interval;
        let idle = (!interval.is_zero()).then(|| self.last_byte.max(self.last_ping) + interval);
        if !unconfirmed {
            return idle;
        }
        // Where idle PINGs are off, what was published is confirmed all the same, or all of it would be in doubt at a loss.
        let patience = if interval.is_zero() { UNASKED_TIME } else { UNASKED_TIME.min(interval / 4) };
        Some(idle.map_or(self.last_ping + patience, |idle| idle.min(self.last_ping + patience)))
    }

    /// When the peer is dead unless something comes before: the oldest PING was taken `max_out` intervals ago,
    /// and no byte has come for as long.
    pub fn dead_at(&self) -> Option<Instant> {
        let asked = self.pings.front()?.taken?;
        let patience = if self.rules.interval.is_zero() { DEFAULT_INTERVAL } else { self.rules.interval };
        Some(asked.max(self.last_byte) + patience.saturating_mul(self.rules.max_out.max(1)))
    }

    /// How long nothing has come.
    pub fn silent(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_byte)
    }

    /// All who still wait, oldest first.
    pub fn into_waiters(self) -> impl Iterator<Item = W> {
        self.pings.into_iter().flat_map(|ping| ping.waiters)
    }
}

/// While messages are unconfirmed and no PING is out, one goes out so long after the last. What a loss leaves in doubt is
/// then what was published within this time and a round trip, not within a second: ten PINGs a second are nothing to a
/// server, and hundreds of thousands of messages in doubt are a lot to a user.
const UNASKED_TIME: Duration = Duration::from_millis(100);

/// What a flush's PING is measured by where idle PINGs are off.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(20);
