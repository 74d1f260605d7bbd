//! PING and PONG: which PINGs are outstanding, what they cover, and when a peer is dead.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::asked::AskedUpTo;
use super::config::Config;
use super::error::Cause;
use super::time::{after, is_due, is_overdue};

/// What a PING covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Covers {
    /// This many messages of the connection.
    pub(super) messages: u64,
    /// The sequence number of the last of them.
    pub(super) through: u64,
    /// The SUBs sent so far.
    pub(super) asked: AskedUpTo,
}

/// A PING that was not answered yet.
#[derive(Debug)]
pub(super) struct Ping<W> {
    /// What its PONG confirms: everything sent before it.
    pub(super) covers: Covers,
    /// When the transport took it; `None`: not yet, which is the write timeout's concern.
    taken: Option<Instant>,
    /// The waiters for its PONG.
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
    /// When a full transport last took more: the peer is reading, even if it is silent.
    drained: Instant,
    /// Up to then nobody could have noticed whether the peer is alive.
    excused: Instant,
    last_ping: Instant,
    /// Bytes of messages queued after the last PING.
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

    /// A PING was queued after what it covers.
    pub(super) fn sent(&mut self, covers: Covers, waiters: Vec<W>, now: Instant) {
        self.last_ping = now;
        self.unasked = 0;
        self.pings.push_back(Ping { covers, taken: None, waiters });
    }

    /// Messages of this many bytes were queued.
    pub(super) fn loaded(&mut self, bytes: usize) {
        self.unasked += bytes;
    }

    /// The transport took `count` more PINGs.
    pub(super) fn taken(&mut self, count: usize, now: Instant) {
        // They are taken in order, and there may be many of them.
        let first = self.pings.partition_point(|ping| ping.taken.is_some());
        for ping in self.pings.range_mut(first..).take(count) {
            ping.taken = Some(now);
        }
    }

    /// Bytes came in, whatever they contain.
    pub(super) fn received(&mut self, now: Instant) {
        self.look_up(now);
        self.last_byte = now;
    }

    /// A full transport took more: the peer is reading, however slowly, and our PING is still queued.
    pub(super) fn drained(&mut self, now: Instant) {
        self.look_up(now);
        self.drained = now;
    }

    /// A deadline that was slept through must be noticed before something moves it.
    fn look_up(&mut self, now: Instant) {
        if overslept(self.dead_at(), now) {
            self.overslept(now);
        }
    }

    /// The client slept through [`dead_at`](Liveness::dead_at), because the runtime was busy or the process or the machine was
    /// stopped. The peer gets a moment more, since its bytes may still be on their way.
    pub(super) fn overslept(&mut self, now: Instant) {
        let granted = after(now, self.silence_limit().min(MOMENT));
        // Expressed so that `dead_at` gives that moment.
        self.excused = self.excused.max(granted.checked_sub(self.silence_limit()).unwrap_or(now));
    }

    /// A PONG came. `None`: no PING was outstanding, so it is ignored. A PONG before its PING was written completely answers
    /// something else and is ignored too.
    pub(super) fn pong(&mut self, now: Instant) -> Option<Ping<W>> {
        let asked = self.pings.front()?.taken?;
        self.round_trip = Some(now.saturating_duration_since(asked));
        self.pings.pop_front()
    }

    /// A round trip that was measured elsewhere, in the handshake.
    pub(super) fn measured(&mut self, round_trip: Duration) {
        self.round_trip = Some(round_trip);
    }

    /// The time between the last answered PING and its PONG.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Whether a PING is outstanding.
    pub(super) fn is_asking(&self) -> bool {
        !self.pings.is_empty()
    }

    /// Whether a PING should be sent now although nobody asked for one: it is due, or enough bytes of messages were queued
    /// since the last. `loaded`: how many bytes it would follow in the same write. `kept_up_to`: at least once, the number of
    /// unconfirmed bytes at which publishers wait.
    pub(super) fn wants_ping(&self, unconfirmed: bool, loaded: usize, kept_up_to: Option<usize>, now: Instant) -> bool {
        let much = match kept_up_to {
            // One at a time, so that a slow server does not get more of them, and with messages, because a write for it alone
            // would cost more than it does.
            None => loaded > 0 && self.unasked >= UNASKED_BYTES && self.pings.is_empty(),
            Some(mark) => {
                let bytes = UNASKED_BYTES.min(mark / PINGS_PER_MARK).max(1);
                self.unasked >= bytes && self.pings.len() <= mark / bytes
            }
        };
        much || is_due(self.ping_due(unconfirmed), now)
    }

    /// When a PING should be sent although nobody asked for one: after a silent interval, and much sooner while messages are
    /// unconfirmed. Only one is outstanding at a time.
    pub(super) fn ping_due(&self, unconfirmed: bool) -> Option<Instant> {
        if !self.pings.is_empty() {
            return None;
        }
        let idle = self.interval.map(|interval| after(self.last_byte.max(self.last_ping), interval));
        if !unconfirmed {
            return idle;
        }
        // Without idle PINGs, published messages still have to be confirmed, or a loss would leave all of them in doubt.
        let wait = self.interval.map_or(UNASKED_TIME, |interval| UNASKED_TIME.min(interval / 4));
        let asked = after(self.last_ping, wait);
        Some(idle.map_or(asked, |idle| idle.min(asked)))
    }

    /// When the peer counts as dead: the oldest PING was taken `max_out` intervals ago, and for that long no byte came in and a
    /// full transport took nothing.
    ///
    /// Neither sign of life counts for ever: a proxy whose far side is gone may take everything and send anything but a PONG.
    pub(super) fn dead_at(&self) -> Option<Instant> {
        let asked = self.pings.front()?.taken?.max(self.excused);
        let silent = after(asked.max(self.last_byte).max(self.drained), self.silence_limit());
        Some(silent.min(after(asked, self.silence_limit().saturating_mul(UNANSWERED))))
    }

    /// How long a PING may stay unanswered while nothing comes in.
    fn silence_limit(&self) -> Duration {
        self.interval.unwrap_or(DEFAULT_INTERVAL).saturating_mul(self.max_out.max(1))
    }

    /// Why the peer is dead at `now`.
    pub(super) fn verdict(&self, now: Instant) -> Cause {
        let silent = now.saturating_duration_since(self.last_byte);
        match self.pings.front().and_then(|ping| ping.taken) {
            Some(taken) if silent < self.silence_limit() => {
                Cause::Unanswered { waited: now.saturating_duration_since(taken) }
            }
            _ => Cause::Stale { silent },
        }
    }

    /// The remaining waiters, oldest first.
    pub(super) fn into_waiters(self) -> impl Iterator<Item = W> {
        self.pings.into_iter().flat_map(|ping| ping.waiters)
    }
}

/// While messages are unconfirmed and no PING is outstanding, one is sent this long after the last. A loss then leaves in doubt
/// only what was published within this time and a round trip. Ten PINGs a second are nothing to a server, and hundreds of
/// thousands of messages in doubt are a lot to a user.
const UNASKED_TIME: Duration = Duration::from_millis(100);

/// A PONG comes after the messages that the server has queued for us. However slow the line, a PING that has been unanswered
/// for this many times the usual limit has not reached the server. Arbitrary; a server gives up a client that does not take
/// what is queued within 10 s.
const UNANSWERED: u32 = 4;

/// What a peer is given when its deadline was slept through: more than the round trip and a retransmission on any line. The
/// connection has often died during the sleep, and then its user waits this long.
pub(super) const MOMENT: Duration = Duration::from_secs(5);

/// The interval for the PINGs of flushes when idle PINGs are off.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(20);

/// A PING is sent after this many bytes even if no time has passed: at full speed, 100 ms are 100 MB. Measured: PINGs at this
/// distance cost a publisher nothing noticeable.
const UNASKED_BYTES: usize = 256 * 1024;

/// At least once, publishers wait when unconfirmed messages reach the mark: this many PINGs are outstanding by then, and each
/// PONG makes room for a part.
const PINGS_PER_MARK: usize = 8;

/// A deadline for the peer that is noticed this late was slept through: the runtime was busy, or the process or the machine was
/// stopped. Time in which nobody listened does not count against the peer.
pub(super) const OVERSLEPT: Duration = Duration::from_secs(1);

pub(super) fn overslept(deadline: Option<Instant>, now: Instant) -> bool {
    is_overdue(deadline, OVERSLEPT, now)
}
