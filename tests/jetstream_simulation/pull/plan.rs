//! What is drawn for a whole run: what the reader asks for, the consumer, and how rough the world is.

use std::time::Duration;

use nats_lifeline::jetstream::decide::settings::Settings;
use rand::RngExt;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn pick<T: Clone>(rng: &mut SmallRng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())].clone()
}

pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) latency: Duration,
    /// How long each delivery waits for the consumer's replicas.
    pub(crate) quorum: Duration,
    pub(crate) ack_wait: Duration,
    pub(crate) max_ack_pending: u64,
    /// Whether messages are acknowledged at all.
    pub(crate) acks: bool,
    /// Another client takes messages too.
    pub(crate) others: bool,
    pub(crate) parts: usize,
    /// Faults of one rough part.
    pub(crate) faults: usize,
    /// The longest pause between two of them.
    pub(crate) calmness: Duration,
    /// The longest pause between two published messages.
    pub(crate) gap: Duration,
    /// The longest time that the reader is busy with a message.
    pub(crate) work: Duration,
    /// The consumer is deleted at the end.
    pub(crate) vanishes: bool,
    /// The server is an old one, which does not say when a batch is complete.
    pub(crate) is_old: bool,
}

impl Plan {
    pub(crate) fn draw(rng: &mut SmallRng) -> Plan {
        let expires = ms(pick(rng, &[1_000, 5_000, 30_000, 30_000]));
        let heartbeat = ms(pick(rng, &[0, 250, 1_000, 1_000, 1_000, 5_000])).min(expires / 2);
        let max_bytes = pick(rng, &[0, 0, 0, 100, 500, 5_000]);
        let settings = Settings {
            batch: pick(rng, &[1, 2, 3, 10, 200]),
            max_bytes,
            expires,
            heartbeat,
            patience: ms(pick(rng, &[2_000, 30_000])),
            ..Settings::default()
        };
        let acks = rng.random_bool(0.8);
        let latency = ms(pick(rng, &[0, 1, 1, 20, 20, 300]));
        // With the way there and back it takes less than the grace of a pull that has ended.
        let quorum = ms(pick(rng, &[0, 0, 0, 5, 300, 900])).min(ms(900) - latency * 2);
        Plan {
            settings,
            latency,
            quorum,
            ack_wait: ms(pick(rng, &[500, 3_000, 30_000])),
            max_ack_pending: pick(rng, &[1, 5, 1_000, 1_000]),
            acks,
            others: rng.random_bool(0.25),
            parts: rng.random_range(1..=3),
            faults: rng.random_range(1..15),
            calmness: ms(pick(rng, &[5, 300, 3_000])),
            gap: ms(pick(rng, &[1, 20, 500])),
            work: ms(pick(rng, &[0, 0, 2, 100])),
            vanishes: rng.random_bool(0.1),
            // Servers that wait for a quorum say it.
            is_old: rng.random_bool(0.25) && quorum.is_zero(),
        }
    }

    pub(crate) fn consumer(&self) -> Value {
        json!({
            "stream_name": "S",
            "config": {
                "durable_name": "c",
                "ack_policy": if self.acks { "explicit" } else { "none" },
                "ack_wait": self.ack_wait.as_nanos() as u64,
                "max_ack_pending": self.max_ack_pending,
            },
        })
    }

    /// How long messages that can be delivered may wait after the last thing that went wrong: until the silence of the last pull
    /// is noticed, and of one more that was sent while nobody could receive it, or that asked for too few bytes.
    pub(crate) fn bound(&self) -> Duration {
        let Settings { heartbeat, expires, .. } = self.settings;
        let silence = if heartbeat.is_zero() { expires + ms(1_000) } else { (heartbeat * 2).max(ms(1_000)) };
        silence + ms(1_000) + ms(700) + self.latency * 8 + self.quorum * 4
    }
}
