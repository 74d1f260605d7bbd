//! What is drawn for a whole run: the client's settings, the servers, and how rough the world is.

use std::time::Duration;

use nats_lifeline::engine::pool::Policy;
use nats_lifeline::engine::{Config, DeliveryMode, Handover, OutboxRules, OverflowPolicy, Preferred};
use nats_lifeline::options::{Backoff, Jitter};
use rand::RngExt;
use rand::rngs::SmallRng;

use crate::conn::Transport;
use crate::server::Node;

pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) outbox: OutboxRules,
    pub(crate) nodes: usize,
    /// How many of the nodes the user names.
    pub(crate) named: usize,
    /// Rough and calm parts alternate so often.
    pub(crate) parts: usize,
    /// Steps of one rough part.
    pub(crate) steps: usize,
    /// A fault comes once in this many steps.
    pub(crate) faults: u32,
    /// One byte stream in this many has a server that misbehaves in the handshake.
    pub(crate) moods: u32,
    /// The longest write, in bytes.
    pub(crate) longest_write: u64,
    /// The longest read.
    pub(crate) longest_read: usize,
    pub(crate) window: u64,
    /// The queue group. A long name makes the replay longer than one piece.
    pub(crate) group: String,
    /// Largest payload.
    pub(crate) payload: usize,
    /// A user who moves on all the time, for which there must be places to go to.
    pub(crate) restless: bool,
    /// One message in this many is deadly to servers; 0: none.
    pub(crate) deadly: u32,
    /// How long publishers wait for room; `None`: they do not wait.
    pub(crate) patience: Option<Duration>,
    /// Transports are of this kind, or of any.
    pub(crate) transport: Option<Transport>,
    /// Whether drain or close may come in a rough part.
    pub(crate) may_end: bool,
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn pick<T: Clone>(rng: &mut SmallRng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())].clone()
}

impl Plan {
    pub(crate) fn draw(rng: &mut SmallRng) -> Plan {
        let restless = rng.random_bool(0.2);
        let nodes = rng.random_range(if restless { 2..=4 } else { 1..=4 });
        let outbox = Plan::draw_outbox(rng);
        let poison_after = pick(rng, &[None, Some(2), Some(3), Some(3)]);
        let jitter = pick(rng, &[Jitter::None, Jitter::Full, Jitter::Equal, Jitter::Symmetric(0.5)]);
        let config = Config {
            connect_timeout: ms(pick(rng, &[200, 1000, 5000])),
            ping_interval: pick(rng, &[None, Some(400), Some(400), Some(2000), Some(20_000)]).map(ms),
            prepare_moves: restless || rng.random_ratio(3, 4),
            handover: pick(rng, &[Handover::Exclusive, Handover::Overlap]),
            preferred: Plan::draw_preferred(rng, nodes),
            outbox: outbox.clone(),
            poison_after,
            max_pings_out: rng.random_range(1..=3),
            write_timeout: ms(pick(rng, &[1500, 10_000])),
            reconnect: !rng.random_bool(0.04),
            max_reconnects: rng.random_bool(0.15).then(|| rng.random_range(1..8)),
            retry_on_initial_connect: rng.random_bool(0.6),
            ignore_discovered: rng.random_bool(0.1),
            retain_order: rng.random_bool(0.5),
            policy: Policy {
                backoff: Backoff {
                    initial: ms(pick(rng, &[0, 2, 100])),
                    factor: pick(rng, &[1.0, 2.0, 10.0]),
                    max: ms(pick(rng, &[10, 1000, 4000])),
                    jitter,
                },
                stable_after: ms(pick(rng, &[0, 50, 1000])),
                redial: ms(pick(rng, &[0, 250])),
                ..Policy::default()
            },
            ..Config::default()
        };
        Plan {
            config,
            patience: match outbox.overflow {
                OverflowPolicy::Wait(patience) => Some(patience),
                _ => rng.random_bool(0.3).then(|| ms(1000)),
            },
            deadly: if poison_after.is_some() && rng.random_bool(0.2) { 60 } else { 0 },
            outbox,
            nodes,
            named: if restless { nodes } else { rng.random_range(1..=nodes) },
            restless,
            parts: rng.random_range(1..=3),
            steps: rng.random_range(20..120),
            faults: pick(rng, &[6, 12, 40, 1000]),
            moods: pick(rng, &[2, 5, 20, 1000]),
            longest_write: pick(rng, &[1, 7, 100, 4000, 1 << 20]),
            longest_read: pick(rng, &[1, 7, 100, 4000]),
            window: pick(rng, &[50, 1000, 100_000]),
            group: "q".repeat(if rng.random_ratio(1, 12) { 20_000 } else { 1 }),
            payload: pick(rng, &[16, 40, 200, 2000]),
            transport: pick(
                rng,
                &[
                    None,
                    Some(Transport::Kernel),
                    Some(Transport::Kernel),
                    Some(Transport::Records),
                    Some(Transport::Custom),
                ],
            ),
            may_end: rng.random_bool(0.1),
        }
    }

    /// One client in four prefers one of the nodes, whether the user names it among the others or not.
    fn draw_preferred(rng: &mut SmallRng, nodes: usize) -> Preferred {
        if rng.random_ratio(3, 4) {
            return Preferred::default();
        }
        let name = Node::name(rng.random_range(0..nodes));
        Preferred {
            servers: vec![name.parse().unwrap()],
            timeout: ms(pick(rng, &[50, 1000])),
            failback: rng.random_ratio(5, 6),
            probe: Backoff::exponential(ms(pick(rng, &[5, 100])), ms(pick(rng, &[100, 1000]))),
            stable_for: ms(pick(rng, &[0, 20, 500])),
        }
    }

    fn draw_outbox(rng: &mut SmallRng) -> OutboxRules {
        use OverflowPolicy::{DropNewest, DropOldest, Error, Wait};
        OutboxRules {
            cap: pick(rng, &[0, 300, 4000, 100_000, 8 << 20]),
            messages: pick(rng, &[None, None, None, Some(1), Some(4), Some(40)]),
            overflow: pick(rng, &[Error, Error, DropOldest, DropNewest, Wait(ms(100)), Wait(ms(10_000))]),
            max_age: pick(rng, &[None, None, Some(ms(5)), Some(ms(300)), Some(ms(4000))]),
            delivery: pick(rng, &[DeliveryMode::AtMostOnce, DeliveryMode::AtLeastOnce]),
        }
    }

    /// Whether messages that were accepted may be lost while they are held.
    pub(crate) fn is_losing(&self) -> bool {
        let drops = matches!(self.outbox.overflow, OverflowPolicy::DropOldest | OverflowPolicy::DropNewest);
        drops || self.outbox.max_age.is_some()
    }

    /// Whether what no PONG covers is sent again.
    pub(crate) fn resends(&self) -> bool {
        self.outbox.delivery == DeliveryMode::AtLeastOnce
    }

    /// Whether what comes to a plain subscription during a move may come twice.
    pub(crate) fn overlaps(&self) -> bool {
        self.config.handover == Handover::Overlap
    }

    /// Within this, with no more faults, a client that is elsewhere has gone back to a preferred server.
    pub(crate) fn failback(&self) -> Duration {
        let preferred = &self.config.preferred;
        if preferred.servers.is_empty() {
            return Duration::ZERO;
        }
        // A probe that was under way may fail, the next one succeeds; then the move.
        2 * (preferred.probe.max + preferred.timeout + preferred.stable_for) + self.config.connect_timeout + ms(4000)
    }

    /// Of which kind the next connection is.
    pub(crate) fn transport(&self, rng: &mut SmallRng) -> Transport {
        let any = [Transport::Kernel, Transport::Records, Transport::Custom];
        self.transport.unwrap_or_else(|| pick(rng, &any))
    }

    /// Within this a client that may use a server, with no more faults, is connected and has delivered everything (I7).
    pub(crate) fn bound(&self) -> Duration {
        let config = &self.config;
        let attempt = config.connect_timeout;
        // A dead peer is found by its PING or by a write that stalls; reading goes on for 100 ms after a failed write.
        // One that says anything but PONG is heard out for four times as long.
        let unanswered = config.ping_interval.unwrap_or_default() * (4 * config.max_pings_out.max(1) + 1);
        let silent = unanswered + config.write_timeout + ms(100);
        // Symmetric jitter can double a delay.
        let wait = config.policy.backoff.max * 2 + config.policy.redial + ms(100) * self.nodes as u32;
        // A move that had begun, the announcement, the PING that confirms, and a breath.
        let rest = ms(2000 + 1000 + 1000 + 500);
        // What was prepared for a move may be as dead as what was left.
        let moved = if config.prepare_moves { attempt + silent + wait + ms(2000 + 2000 + 1000) } else { ms(0) };
        // One that is deadly is found by halves, and there may be some of them.
        let deadly = if self.deadly > 0 { 200 * (wait + ms(500)) } else { ms(0) };
        attempt + silent + wait + rest + moved + deadly + self.failback()
    }
}
