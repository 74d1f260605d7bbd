//! A model of a JetStream server, small enough to own: streams and consumers in memory, with faults.
//!
//! It is pure, as the model of a session is: no I/O, no clock, no threads. Time is an argument, and randomness comes from a
//! seed, so that a simulation repeats itself. [`Broker`](super::Broker) serves it to the tests of programs.

// | question | file |
// |---|---|
// | whose message is this | here |
// | the verbs of the API | `api`, `api_streams`, `api_consumers`, `messages` |
// | what can be broken | `faults` |
// | a stream: documents, limits, publishing | `stream`, `stream_config`, `publish`, on `log` |
// | a consumer: documents, deliveries, pulls, acknowledgements, push | `consumer`, `consumer_config` |
// | what is published in one moment | `turn` |
// | why a request is refused | `fault` |
// | times | `time` |

mod api;
mod api_consumers;
mod api_streams;
mod consumer;
mod consumer_config;
mod fault;
mod faults;
mod log;
mod messages;
mod publish;
mod stream;
mod stream_config;
#[cfg(test)]
mod tests;
mod time;
mod turn;

pub use faults::{NewPulls, WaitingPulls};
pub use turn::Out;

use crate::protocol::PubOp;
use consumer::AckTokens;
use faults::Faults;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use stream::Stream;
use time::{Clock, Time};
use turn::Turn;

/// A JetStream server without a network.
///
/// Whoever drives it hands it each published message with [`handle`](Self::handle), calls [`tick`](Self::tick) at the
/// [next deadline](Self::next_deadline) and whenever subscriptions have come or gone, and publishes what is in `out`
/// afterwards.
#[derive(Debug)]
pub struct JetStream {
    clock: Clock,
    random: u64,
    server_name: String,
    streams: BTreeMap<String, Stream>,
    faults: Faults,
    requests: u64,
    errors: u64,
}

/// Where a consumer stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerState {
    /// The number of deliveries, redeliveries included.
    pub delivered_consumer: u64,
    /// The last sequence of the stream that was delivered for the first time.
    pub delivered_stream: u64,
    /// The delivery up to which everything is acknowledged.
    pub ack_floor_consumer: u64,
    /// The same as a sequence of the stream.
    pub ack_floor_stream: u64,
    /// Messages that were delivered and not acknowledged.
    pub ack_pending: u64,
    /// Those of them that were delivered more than once.
    pub redelivered: u64,
    /// Pulls that wait, including those that nobody listens for any more.
    pub waiting_pulls: u64,
    /// Messages that were not delivered yet.
    pub pending: u64,
}

impl JetStream {
    /// A server without streams. Its calendar begins on 1 January 2026 with the first event; see
    /// [`set_calendar`](Self::set_calendar).
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            clock: Clock::new(),
            random: seed,
            server_name: "broker".to_owned(),
            streams: BTreeMap::new(),
            faults: Faults::default(),
            requests: 0,
            errors: 0,
        }
    }

    /// From now on, `now` is this long after 1970. Times in messages and documents are counted from there.
    pub fn set_calendar(&mut self, now: Instant, since_1970: Duration) {
        self.clock.set(now, since_1970);
    }

    /// Its name, which streams give as their leader's.
    pub fn set_server_name(&mut self, name: impl Into<String>) {
        self.server_name = name.into();
    }

    /// A message was published. Returns whether JetStream subscribes to its subject, and is there to receive it: if not, and
    /// nobody else does, the publisher gets status 503.
    pub fn handle(
        &mut self,
        message: &PubOp<'_>,
        now: Instant,
        interest: &dyn Fn(&str) -> bool,
        out: &mut Vec<Out>,
    ) -> bool {
        let (now, from) = (self.clock.read(now), out.len());
        let heard = self.receive(message, now, interest, out);
        self.capture(from, now, interest, out);
        heard
    }

    fn receive(&mut self, message: &PubOp<'_>, now: Time, interest: &dyn Fn(&str) -> bool, out: &mut Vec<Out>) -> bool {
        let Ok(subject) = std::str::from_utf8(message.subject) else { return false };
        let reply = message.reply.and_then(|reply| std::str::from_utf8(reply).ok());
        if let Some(verb) = subject.strip_prefix("$JS.API.") {
            return self.api(verb, reply, message, now, interest, out);
        }
        let streams = &mut self.streams;
        let mut turn = Turn { now, interest, out, faults: &mut self.faults };
        if let Some(tokens) = subject.strip_prefix("$JS.ACK.") {
            return acknowledged(streams, tokens, reply, message.payload, &mut turn);
        }
        if subject.starts_with("$JS.FC.") {
            return flow_controlled(streams, subject, &mut turn);
        }
        let Some(stream) = streams.values_mut().find(|stream| stream.config.covers(subject)) else { return false };
        if stream.is_offline(now) {
            return false;
        }
        let ack = stream.publish(subject, message, &mut turn);
        if let (Some(ack), Some(reply)) = (ack, reply) {
            if !Faults::take(&mut turn.faults.lose_publish_acks) {
                turn.answer(reply, ack);
            }
        }
        stream.advance(&mut turn);
        true
    }

    /// Does what is due: redeliveries, heartbeats, the end of pulls, of old messages and of abandoned consumers, and deliveries
    /// to subscriptions that are new.
    pub fn tick(&mut self, now: Instant, interest: &dyn Fn(&str) -> bool, out: &mut Vec<Out>) {
        let (now, from) = (self.clock.read(now), out.len());
        out.extend(self.faults.take_late(now));
        let mut turn = Turn { now, interest, out, faults: &mut self.faults };
        for stream in self.streams.values_mut() {
            stream.tick(&mut turn);
        }
        self.capture(from, now, interest, out);
    }

    /// Stores advisories where a stream covers their subjects. What comes of that may be more of them.
    fn capture(&mut self, from: usize, now: Time, interest: &dyn Fn(&str) -> bool, out: &mut Vec<Out>) {
        let mut at = from;
        while let Some(next) = out.get(at) {
            at += 1;
            if !next.to.starts_with("$JS.EVENT.") {
                continue;
            }
            let advisory = next.clone();
            let mut turn = Turn { now, interest, out, faults: &mut self.faults };
            if let Some(stream) = self.streams.values_mut().find(|stream| stream.config.covers(&advisory.to)) {
                if !stream.is_offline(now) {
                    let _ = stream.publish(&advisory.to, &advisory.as_op(), &mut turn);
                    stream.advance(&mut turn);
                }
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do next. `None` while there is nothing.
    #[must_use]
    pub fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        let now = self.clock.read(now);
        let streams = self.streams.values().filter_map(|stream| stream.deadline(now)).min();
        let next = [streams, self.faults.next_late()].into_iter().flatten().min()?;
        self.clock.instant(next)
    }

    /// The messages of a stream, oldest first: sequence, subject, header block and payload.
    pub fn messages(&self, stream: &str) -> impl DoubleEndedIterator<Item = (u64, &str, &[u8], &[u8])> {
        let log = self.streams.get(stream).map(|stream| &stream.log);
        log.into_iter()
            .flat_map(|log| log.iter())
            .map(|(seq, message)| (seq, message.subject.as_str(), &message.headers[..], &message.payload[..]))
    }

    /// The names of all streams.
    pub fn stream_names(&self) -> impl Iterator<Item = &str> {
        self.streams.keys().map(String::as_str)
    }

    /// The names of a stream's consumers.
    pub fn consumer_names(&self, stream: &str) -> impl Iterator<Item = &str> {
        self.streams.get(stream).into_iter().flat_map(|stream| stream.consumers.keys()).map(String::as_str)
    }

    /// Where a consumer stands; `None` if it does not exist.
    #[must_use]
    pub fn consumer(&self, stream: &str, consumer: &str) -> Option<ConsumerState> {
        Some(self.streams.get(stream)?.consumers.get(consumer)?.state())
    }

    /// The pulls that wait at a consumer, including those that nobody listens for any more: the reply subject of each, and how many
    /// messages it still asks for.
    pub fn waiting_pulls(&self, stream: &str, consumer: &str) -> impl Iterator<Item = (&str, u64)> {
        let consumer = self.streams.get(stream).and_then(|stream| stream.consumers.get(consumer));
        consumer.into_iter().flat_map(|consumer| consumer.waiting_pulls())
    }

    /// A number below `end`, from the seed (splitmix64).
    fn random(&mut self, end: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % end.max(1)
    }
}

/// A message is answered. `tokens` is the reply subject after `$JS.ACK.`.
fn acknowledged(
    streams: &mut BTreeMap<String, Stream>,
    tokens: &str,
    reply: Option<&str>,
    payload: &[u8],
    turn: &mut Turn<'_>,
) -> bool {
    let mut tokens = tokens.split('.');
    let (Some(stream), Some(consumer)) = (tokens.next(), tokens.next()) else { return false };
    let Some(ack) = AckTokens::read(tokens) else { return false };
    let Some(stream) = streams.get_mut(stream).filter(|stream| !stream.is_offline(turn.now)) else { return false };
    let Some(consumer) = stream.consumers.get_mut(consumer) else { return false };
    if let Some(election) = consumer.election(turn.now) {
        return election.pulls == NewPulls::Swallowed;
    }
    if Faults::take(&mut turn.faults.lose_acks) {
        return true;
    }
    let done = consumer.answered(ack, reply, payload, turn);
    stream.done_with(&done);
    stream.advance(turn);
    true
}

/// A client answers flow control.
fn flow_controlled(streams: &mut BTreeMap<String, Stream>, subject: &str, turn: &mut Turn<'_>) -> bool {
    let mut tokens = subject.split('.').skip(2);
    let (Some(stream), Some(consumer)) = (tokens.next(), tokens.next()) else { return false };
    let Some(stream) = streams.get_mut(stream).filter(|stream| !stream.is_offline(turn.now)) else { return false };
    let Some(consumer) = stream.consumers.get_mut(consumer) else { return false };
    if consumer.election(turn.now).is_some() {
        return false;
    }
    consumer.keeps_up(subject);
    stream.advance(turn);
    true
}
