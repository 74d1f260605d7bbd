//! Faults: what a cluster, a network or a bug does to streams, pulls and acknowledgements.

use super::JetStream;
use super::time::{Time, nanos};
use super::turn::{Out, Turn};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// What pulls get, and all other requests to a consumer, while it has no leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NewPulls {
    /// Nothing.
    Swallowed,
    /// Status 503.
    NoResponders,
}

/// What becomes of the pulls that wait when a consumer loses its leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitingPulls {
    /// Each gets status 409 `Leadership Change`.
    Told,
    /// They vanish without a status, as they did in 8 of 20 elections of nats-server 2.15.1.
    Vanish,
}

/// An election that lasts.
#[derive(Debug, Clone)]
pub(super) struct Election {
    pub(super) until: Time,
    pub(super) pulls: NewPulls,
    pub(super) waiting: WaitingPulls,
}

/// Faults that wait for their occasion.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) swallow_pulls: u64,
    pub(super) lose_acks: u64,
    pub(super) lose_publish_acks: u64,
    pub(super) lose_deliveries: u64,
    double_deliveries: u64,
    late_deliveries: u64,
    lateness: Time,
    quorum: Time,
    late: BTreeMap<(Time, u64), Out>,
    delayed: u64,
    /// What waits for a quorum, and until when.
    held: VecDeque<(Time, Out)>,
}

impl Faults {
    /// Whether one of these occasions is used up now.
    pub(super) fn take(occasions: &mut u64) -> bool {
        let left = *occasions > 0;
        *occasions = occasions.saturating_sub(1);
        left
    }

    pub(super) fn next_late(&self) -> Option<Time> {
        let late = self.late.first_key_value().map(|((time, _), _)| *time);
        let held = self.held.front().map(|(time, _)| *time);
        [late, held].into_iter().flatten().min()
    }

    pub(super) fn take_late(&mut self, now: Time) -> Vec<Out> {
        if self.next_late().is_none_or(|next| next > now) {
            return Vec::new();
        }
        let held = self.held.iter().take_while(|(time, _)| *time <= now).count();
        let held = self.held.drain(..held).map(|(_, out)| out);
        let later = self.late.split_off(&(now.saturating_add(1), 0));
        held.chain(std::mem::replace(&mut self.late, later).into_values()).collect()
    }

    /// What waits for a quorum is lost.
    fn lose_held(&mut self, stream: &str, consumer: &str) {
        let own = format!("$JS.ACK.{stream}.{consumer}.");
        self.held.retain(|(_, out)| out.reply.as_ref().is_none_or(|reply| !reply.starts_with(&own)));
    }
}

impl Turn<'_> {
    /// Publishes a message of a stream, unless a fault is waiting for one.
    pub(super) fn deliver(&mut self, out: Out) {
        if Faults::take(&mut self.faults.lose_deliveries) {
            return;
        }
        if Faults::take(&mut self.faults.double_deliveries) {
            self.pass_on(out.clone());
        }
        if Faults::take(&mut self.faults.late_deliveries) {
            self.faults.delayed += 1;
            let wait = self.faults.quorum.saturating_add(self.faults.lateness);
            self.faults.late.insert((self.now.saturating_add(wait), self.faults.delayed), out);
        } else {
            self.pass_on(out);
        }
    }

    /// Publishes the status of a pull whose time is over: after its messages.
    pub(super) fn status_of_timeout(&mut self, to: &str, headers: Bytes) {
        let from = self.out.len();
        self.status(to, headers);
        if self.faults.held.iter().any(|(_, held)| held.to == to) {
            let statuses: Vec<_> = self.out.drain(from..).collect();
            statuses.into_iter().for_each(|status| self.pass_on(status));
        }
    }

    fn pass_on(&mut self, out: Out) {
        match self.faults.quorum {
            0 => self.out.push(out),
            wait => self.faults.held.push_back((self.now.saturating_add(wait), out)),
        }
    }
}

/// Faults. Those that count wait for as many occasions, whichever stream or consumer has them; setting one again replaces
/// what is left of it.
impl JetStream {
    /// A consumer loses its leader for a time. Its state survives; no message is delivered, and acknowledgements reach nobody.
    /// Returns `false` if it does not exist.
    #[allow(clippy::too_many_arguments, reason = "one election has all of these")]
    pub fn elect(
        &mut self,
        stream_name: &str,
        consumer_name: &str,
        lasts: Duration,
        pulls: NewPulls,
        waiting: WaitingPulls,
        now: Instant,
        out: &mut Vec<Out>,
    ) -> bool {
        let now = self.clock.read(now);
        let mut turn = Turn { now, interest: &|_| true, out, faults: &mut self.faults };
        let stream = self.streams.get_mut(stream_name);
        let Some(consumer) = stream.and_then(|stream| stream.consumers.get_mut(consumer_name)) else { return false };
        let until = now.saturating_add(nanos(lasts));
        turn.faults.lose_held(stream_name, consumer_name);
        consumer.elect(Election { until, pulls, waiting }, &mut turn);
        true
    }

    /// The same, where the seed decides what becomes of pulls: of those that wait, two in five vanish.
    pub fn elect_somehow(
        &mut self,
        stream: &str,
        consumer: &str,
        lasts: Duration,
        now: Instant,
        out: &mut Vec<Out>,
    ) -> bool {
        let pulls = if self.random(2) == 0 { NewPulls::Swallowed } else { NewPulls::NoResponders };
        let waiting = if self.random(5) < 2 { WaitingPulls::Vanish } else { WaitingPulls::Told };
        self.elect(stream, consumer, lasts, pulls, waiting, now, out)
    }

    /// The next pulls arrive, and nothing comes of them.
    pub fn swallow_pulls(&mut self, pulls: u64) {
        self.faults.swallow_pulls = pulls;
    }

    /// The next acknowledgements are lost on their way, and so is what else messages are answered.
    pub fn lose_acks(&mut self, acks: u64) {
        self.faults.lose_acks = acks;
    }

    /// The next published messages are stored, and their publishers never learn of it.
    pub fn lose_publish_acks(&mut self, acks: u64) {
        self.faults.lose_publish_acks = acks;
    }

    /// The next deliveries are lost on their way. They count as delivered.
    pub fn lose_deliveries(&mut self, deliveries: u64) {
        self.faults.lose_deliveries = deliveries;
    }

    /// The next deliveries arrive twice.
    pub fn double_deliveries(&mut self, deliveries: u64) {
        self.faults.double_deliveries = deliveries;
    }

    /// The next deliveries arrive this much later, and perhaps after others.
    pub fn delay_deliveries(&mut self, deliveries: u64, by: Duration) {
        self.faults.late_deliveries = deliveries;
        self.faults.lateness = nanos(by);
    }

    /// From now on each delivery waits this long until the consumer's replicas know of it, as in nats-server from 2.11.4 on. A pull
    /// that is complete, or too small for the next message, gets its status before that; only one whose time is over gets it after its
    /// messages. Deliveries that wait are lost when the consumer's leader goes.
    pub fn set_quorum(&mut self, takes: Duration) {
        self.faults.quorum = nanos(takes);
    }

    /// The deliveries that wait for a quorum.
    pub fn held_deliveries(&self) -> impl Iterator<Item = &Out> {
        self.faults.held.iter().map(|(_, out)| out)
    }

    /// A consumer vanishes: no waiting pull gets a status. Returns `false` if it did not exist.
    pub fn lose_consumer(&mut self, stream: &str, consumer: &str) -> bool {
        self.streams.get_mut(stream).is_some_and(|stream| stream.consumers.remove(consumer).is_some())
    }

    /// A stream and its consumers are offline for a time: whatever is sent to them gets status 503 if it wants an answer. Waiting
    /// pulls stay. Returns `false` if the stream does not exist.
    pub fn take_offline(&mut self, stream: &str, lasts: Duration, now: Instant) -> bool {
        let until = self.clock.read(now).saturating_add(nanos(lasts));
        let Some(stream) = self.streams.get_mut(stream) else { return false };
        stream.offline_until = until;
        true
    }

    /// The server restarts. Streams stay, and so do consumers whose state is not in memory only (`mem_storage`); waiting pulls,
    /// delayed deliveries, elections and outages are gone.
    pub fn restart(&mut self, now: Instant) {
        let now = self.clock.read(now);
        self.faults.late.clear();
        self.faults.held.clear();
        for stream in self.streams.values_mut() {
            stream.offline_until = 0;
            stream.consumers.retain(|_, consumer| !consumer.config().mem_storage);
            for consumer in stream.consumers.values_mut() {
                consumer.restart(now);
            }
        }
    }

    /// How many bytes a push consumer with flow control sends before it waits for an answer; it asks after half of them. A
    /// server begins with 2 MiB and doubles it up to 32 MiB. Returns `false` if the consumer does not exist.
    pub fn set_flow_window(&mut self, stream: &str, consumer: &str, bytes: u64) -> bool {
        let found = self.streams.get_mut(stream).and_then(|stream| stream.consumers.get_mut(consumer));
        found.map(|consumer| consumer.set_window(bytes)).is_some()
    }
}
