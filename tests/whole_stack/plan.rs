//! What a seed decides: how the client is set, and what becomes of each of its connections.
//!
//! A connection's fate follows from the seed and its number alone, so that it does not move when something else does.

use std::time::Duration;

use nats_lifeline::options::{Handover, OverflowPolicy};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// What happens to a connection happens below this power of two of its bytes.
const ENDS: u32 = 15;

/// More bytes than the client needs for its handshake.
const HANDSHAKE: u64 = 300;

/// What a dialler does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dial {
    Refuse,
    /// Until somebody loses patience.
    Hang,
    Connect(Duration),
}

/// Something that happens after this many bytes in one direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<T> {
    pub(crate) byte: u64,
    pub(crate) what: T,
}

/// How one direction ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// The client notices.
    Closed,
    /// Nothing comes through any more in either direction, without a sign of it.
    Silence,
}

/// The client's end of a connection: what a stream of a user's may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    pub(crate) most_written: usize,
    pub(crate) most_read: usize,
    /// One call in ten has nothing to say at first.
    pub(crate) lazy: bool,
    pub(crate) vectored: bool,
    /// Keeps what it takes until it is flushed.
    pub(crate) keeps: bool,
    /// From this byte on each write is an error, the first after some of what was offered has got through.
    pub(crate) fails_at: Option<u64>,
}

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Fate {
    pub(crate) dial: Dial,
    pub(crate) habits: Habits,
    /// So many bytes are on their way in each direction at most.
    pub(crate) window: usize,
    pub(crate) up_ends: Option<At<End>>,
    pub(crate) up_stalls: Option<At<Duration>>,
    pub(crate) down_ends: Option<At<End>>,
    pub(crate) down_stalls: Option<At<Duration>>,
    /// Between two reads of the server.
    pub(crate) pause: Duration,
}

/// One world.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    seed: u64,
    pub(crate) resends: bool,
    /// Servers are left as planned, and nothing else happens to any connection: then nothing may be in doubt, missing or late.
    pub(crate) calm: bool,
    /// How many servers there are, and of how many the user knows.
    pub(crate) servers: usize,
    pub(crate) named: usize,
    pub(crate) preferred: Option<usize>,
    /// From one server to another.
    pub(crate) route: Duration,
    pub(crate) tls: Option<Tls>,
    /// A callback says when the next attempt is due. Moves are not prepared then.
    pub(crate) callback: bool,
    /// The client's streams do not fail in the middle of a write. Where they do, nobody knows what they took.
    pub(crate) honest: bool,
    pub(crate) handover: Handover,
    /// More than the largest message.
    pub(crate) buffer: usize,
    pub(crate) most_buffered: Option<u64>,
    pub(crate) overflow: OverflowPolicy,
    pub(crate) max_age: Option<Duration>,
    /// How long there are faults.
    pub(crate) rough: Duration,
    pub(crate) messages: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    BehindInfo,
    First,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Plan {
        let mut rng = SmallRng::seed_from_u64(seed);
        let rng = &mut rng;
        let servers = [1, 1, 2, 3][rng.random_range(0..4)];
        let calm = servers > 1 && rng.random_bool(0.4);
        let callback = !calm && rng.random_bool(if servers == 1 { 0.5 } else { 0.1 });
        let plan = Plan {
            seed,
            resends: seed % 2 == 1,
            calm,
            servers,
            named: rng.random_range(1..=servers),
            preferred: (servers > 1 && rng.random_bool(0.3)).then(|| rng.random_range(0..servers)),
            route: milliseconds(rng, 20),
            tls: rng
                .random_bool(0.25)
                .then(|| if rng.random_bool(0.3) { Tls::First } else { Tls::BehindInfo })
                .filter(|_| cfg!(feature = "ring")),
            callback,
            honest: rng.random_bool(0.4),
            handover: if calm && rng.random_bool(0.4) { Handover::Overlap } else { Handover::Exclusive },
            buffer: if rng.random_bool(0.3) { rng.random_range(5_000..20_000) } else { 8 << 20 },
            most_buffered: rng.random_bool(0.3).then(|| rng.random_range(1..30)),
            overflow: match rng.random_range(0..4) {
                0 => OverflowPolicy::Error,
                1 => OverflowPolicy::DropOldest,
                2 => OverflowPolicy::DropNewest,
                _ => OverflowPolicy::Wait(Duration::from_millis(1 + scattered(rng, 12))),
            },
            max_age: rng.random_bool(0.3).then(|| Duration::from_millis(20 + scattered(rng, 12))),
            rough: Duration::from_millis(rng.random_range(3_000..15_000)),
            messages: rng.random_range(100..250),
        };
        if calm { Plan { buffer: 8 << 20, most_buffered: None, max_age: None, ..plan } } else { plan }
    }

    /// The dice of somebody in this world.
    pub(crate) fn dice(&self, who: u64) -> SmallRng {
        SmallRng::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ who)
    }

    pub(crate) fn fate(&self, number: usize) -> Fate {
        let mut rng = self.dice(1_000 + number as u64);
        let rng = &mut rng;
        let most = |rng: &mut SmallRng| if rng.random_bool(0.5) { scattered(rng, 6) as usize } else { usize::MAX };
        let fate = Fate {
            dial: match rng.random_range(0..10) {
                0 | 1 => Dial::Refuse,
                2 => Dial::Hang,
                3 => Dial::Connect(milliseconds(rng, 900)),
                _ => Dial::Connect(Duration::ZERO),
            },
            habits: Habits {
                most_written: most(rng),
                most_read: most(rng),
                lazy: rng.random_bool(0.3),
                vectored: rng.random_bool(0.7),
                keeps: rng.random_bool(0.3),
                fails_at: (rng.random_bool(0.4) && !self.honest).then(|| scattered(rng, ENDS)),
            },
            window: 16 + scattered(rng, 16) as usize,
            up_ends: rng.random_bool(0.6).then(|| ends(rng)),
            up_stalls: rng.random_bool(0.3).then(|| stalls(rng)),
            down_ends: rng.random_bool(0.6).then(|| ends(rng)),
            down_stalls: rng.random_bool(0.3).then(|| stalls(rng)),
            pause: if rng.random_bool(0.3) { milliseconds(rng, 20) } else { Duration::ZERO },
        };
        match fate.habits.fails_at {
            _ if self.calm => fate.calm(),
            Some(byte) if rng.random_bool(0.7) => fate.fails_with_whole_messages(HANDSHAKE + byte),
            _ => fate,
        }
    }
}

impl Fate {
    /// The stream is as odd as ever, but it is prompt and has no end.
    fn calm(self) -> Fate {
        let dial = if let Dial::Connect(_) = self.dial { self.dial } else { Dial::Connect(Duration::ZERO) };
        Fate {
            dial,
            habits: Habits { fails_at: None, ..self.habits },
            up_ends: None,
            up_stalls: None,
            down_ends: None,
            down_stalls: None,
            pause: if self.window < 4_096 { Duration::ZERO } else { self.pause.min(Duration::from_millis(3)) },
            ..self
        }
    }

    /// With room for whole messages in each call, among them the one that fails.
    fn fails_with_whole_messages(self, byte: u64) -> Fate {
        let habits = Habits { most_written: usize::MAX, keeps: false, fails_at: Some(byte), ..self.habits };
        Fate { habits, window: 1 << 16, up_ends: None, down_ends: None, ..self }
    }
}

fn milliseconds(rng: &mut SmallRng, below: u64) -> Duration {
    Duration::from_millis(rng.random_range(0..below))
}

/// Below 2^`bits`, and each order of magnitude as likely as any other: handshakes are short.
fn scattered(rng: &mut SmallRng, bits: u32) -> u64 {
    let bits = rng.random_range(0..bits);
    (1 << bits) + rng.random_range(0..1_u64 << bits)
}

fn ends(rng: &mut SmallRng) -> At<End> {
    At { byte: scattered(rng, ENDS), what: if rng.random_bool(0.8) { End::Closed } else { End::Silence } }
}

fn stalls(rng: &mut SmallRng) -> At<Duration> {
    let below = if rng.random_bool(0.5) { 200 } else { 6_000 };
    At { byte: scattered(rng, ENDS), what: milliseconds(rng, below) }
}
