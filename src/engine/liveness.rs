//! PING and PONG: which PINGs are out, what they cover, and when a peer is dead.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::asked::AskedUpTo;
use super::config::{Config, DeliveryMode};
use super::error::Cause;
use super::time::{after, is_due, is_overdue};

/// What a PING follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Covers {
    /// How many messages of this connection.
    pub(super) messages: u64,
    /// The sequence number of the last of them.
    pub(super) through: u64,
    /// The SUBs.
    pub(super) asked: AskedUpTo,
}

/// A PING that was not answered yet.
#[derive(Debug)]
pub(super) struct Ping<W> {
    /// What its PONG confirms: all that was put before it.
    pub(super) covers: Covers,
    /// When the transport took it; `None`: not yet, which is the write timer's concern.
    taken: Option<Instant>,
    /// Who waits for its PONG.
    pub(super) waiters: Vec<W>,
}

/// One FIFO of PINGs per connection. PONGs answer them in order.
#[derive(Debug)]
pub(super) struct Liveness<W> {
    /// Silence after which a PING is due; `None`: idle PINGs are off.
    interval: Option<Duration>,
    /// Intervals that a PING may stay unanswered.
    max_out: u32,
    pings: VecDeque<Ping<W>>,
    last_byte: Instant,
    /// When a transport that had been full took more: the peer reads, although it says nothing.
    drained: Instant,
    /// Up to then nobody could have noticed that the peer is there.
    excused: Instant,
    last_ping: Instant,
    /// Bytes of messages put in line after the last PING.
    unasked: usize,
    round_trip: Option<Duration>,
}

impl<W> Liveness<W> {
    /// A connection that has just come up.
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        Liveness {
            interval: config.ping_interval.filter(|interval| !interval.is_zero()),
            max_out: config.max_pings_out,
            pings: VecDeque::new(),
            last_byte: now,
            drained: now,
            excused: now,
            last_ping: now,
            unasked: 0,
            round_trip: None,
        }
    }

    /// A PING was put in line after what it covers.
    pub(super) fn sent(&mut self, covers: Covers, waiters: Vec<W>, now: Instant) {
        self.last_ping = now;
        self.unasked = 0;
        self.pings.push_back(Ping { covers, taken: None, waiters });
    }

    /// So many bytes of messages were put in line.
    pub(super) fn loaded(&mut self, bytes: usize) {
        self.unasked += bytes;
    }

    /// The transport took `count` more PINGs.
    pub(super) fn taken(&mut self, count: usize, now: Instant) {
        // They are taken in order, and there may be many.
        let first = self.pings.partition_point(|ping| ping.taken.is_some());
        for ping in self.pings.range_mut(first..).take(count) {
            ping.taken = Some(now);
        }
    }

    /// Bytes came in, whatever they say.
    pub(super) fn received(&mut self, now: Instant) {
        self.look_up(now);
        self.last_byte = now;
    }

    /// The transport had been full, and took more: the peer reads, however slowly, and our PING waits its turn.
    pub(super) fn drained(&mut self, now: Instant) {
        self.look_up(now);
        self.drained = now;
    }

    /// A sleep through a deadline must be noticed before something moves that deadline.
    fn look_up(&mut self, now: Instant) {
        if overslept(self.dead_at(), now) {
            self.overslept(now);
        }
    }

    /// This side has slept through [`dead_at`](Liveness::dead_at): the runtime was busy, the process was stopped, or the whole
    /// machine. The peer gets a moment from now on, since its bytes may still be on their way.
    pub(super) fn overslept(&mut self, now: Instant) {
        let granted = after(now, self.patience().min(MOMENT));
        // In terms of what `dead_at` adds.
        self.excused = self.excused.max(granted.checked_sub(self.patience()).unwrap_or(now));
    }

    /// A PONG came. `None`: nothing was asked, which is ignored. A PONG before its PING was wholly written is
    /// answered to something else, so it counts for nothing either.
    pub(super) fn pong(&mut self, now: Instant) -> Option<Ping<W>> {
        let asked = self.pings.front()?.taken?;
        self.round_trip = Some(now.saturating_duration_since(asked));
        self.pings.pop_front()
    }

    /// A round trip that was measured elsewhere: the handshake's.
    pub(super) fn measured(&mut self, round_trip: Duration) {
        self.round_trip = Some(round_trip);
    }

    /// The time between the last answered PING and its PONG.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Whether a PING is out.
    pub(super) fn is_asking(&self) -> bool {
        !self.pings.is_empty()
    }

    /// Whether a PING should go out now without being asked for: it is due, or enough bytes of messages have gone before it.
    /// `mark`: the number of bytes at which publishers wait.
    pub(super) fn wants_ping(&self, unconfirmed: bool, delivery: DeliveryMode, mark: usize, now: Instant) -> bool {
        let (bytes, out) = match delivery {
            // One at a time, so that a slow server is not asked the more often.
            DeliveryMode::AtMostOnce => (UNASKED_BYTES, 0),
            DeliveryMode::AtLeastOnce => {
                let bytes = UNASKED_BYTES.min(mark / PINGS_PER_MARK);
                (bytes, mark / bytes.max(1))
            }
        };
        let much = self.unasked > 0 && self.unasked >= bytes && self.pings.len() <= out;
        much || is_due(self.ping_due(unconfirmed), now)
    }

    /// When a PING should be sent without being asked for: after a silent interval, and much sooner while messages are
    /// unconfirmed. One at a time is enough.
    pub(super) fn ping_due(&self, unconfirmed: bool) -> Option<Instant> {
        if !self.pings.is_empty() {
            return None;
        }
        let idle = self.interval.map(|interval| after(self.last_byte.max(self.last_ping), interval));
        if !unconfirmed {
            return idle;
        }
        // Where idle PINGs are off, what was published is confirmed all the same, or all of it would be in doubt at a loss.
        let patience = self.interval.map_or(UNASKED_TIME, |interval| UNASKED_TIME.min(interval / 4));
        let asked = after(self.last_ping, patience);
        Some(idle.map_or(asked, |idle| idle.min(asked)))
    }

    /// When the peer is dead unless something comes before: the oldest PING was taken `max_out` intervals ago,
    /// and for as long no byte has come and a full transport has not become less full.
    ///
    /// Neither keeps it alive for ever: a proxy whose far side is gone may send anything but a PONG, and take everything.
    pub(super) fn dead_at(&self) -> Option<Instant> {
        let asked = self.pings.front()?.taken?.max(self.excused);
        let silent = after(asked.max(self.last_byte).max(self.drained), self.patience());
        Some(silent.min(after(asked, self.patience().saturating_mul(UNANSWERED))))
    }

    /// How long a PING may stay unanswered while nothing comes.
    fn patience(&self) -> Duration {
        self.interval.unwrap_or(DEFAULT_INTERVAL).saturating_mul(self.max_out.max(1))
    }

    /// Why a peer is dead at `now`.
    pub(super) fn verdict(&self, now: Instant) -> Cause {
        let silent = now.saturating_duration_since(self.last_byte);
        match self.pings.front().and_then(|ping| ping.taken) {
            Some(taken) if silent < self.patience() => {
                Cause::Unanswered { waited: now.saturating_duration_since(taken) }
            }
            _ => Cause::Stale { silent },
        }
    }

    /// All who still wait, oldest first.
    pub(super) fn into_waiters(self) -> impl Iterator<Item = W> {
        self.pings.into_iter().flat_map(|ping| ping.waiters)
    }
}

/// While messages are unconfirmed and no PING is out, one goes out this long after the last. What a loss leaves in doubt is
/// then what was published within this time and a round trip, not within a second: ten PINGs a second are nothing to a
/// server, and hundreds of thousands of messages in doubt are a lot to a user.
const UNASKED_TIME: Duration = Duration::from_millis(100);

/// A PONG waits after the messages that the server has queued for us. However slow the line, a PING that is unanswered for this
/// many times the usual patience has not reached it. Arbitrary; a server gives up on a client that does not take what is queued
/// within 10 s.
const UNANSWERED: u32 = 4;

/// What a peer gets when its deadline was slept through. More than the round trip and a retransmission of any line; the
/// connection has often died with the sleep, and then its user waits for this.
pub(super) const MOMENT: Duration = Duration::from_secs(5);

/// What a flush's PING is measured by where idle PINGs are off.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(20);

/// A PING goes out after this many bytes although no time has passed: at full speed 100 ms are 100 MB. Measured: PINGs at this
/// distance cost a publisher nothing that can be seen.
const UNASKED_BYTES: usize = 256 * 1024;

/// At least once, publishers wait when what is unconfirmed reaches the mark: this many PINGs are on their way by then, and each
/// PONG makes room for a part of it.
const PINGS_PER_MARK: usize = 8;

/// A deadline of the peer's that is noticed this late was slept through: the runtime was busy, or the process or the machine was
/// stopped. The time in which nobody listened does not count against the peer.
pub(super) const OVERSLEPT: Duration = Duration::from_secs(1);

pub(super) fn overslept(deadline: Option<Instant>, now: Instant) -> bool {
    is_overdue(deadline, OVERSLEPT, now)
}
