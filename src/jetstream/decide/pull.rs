//! The pull machine: a stream of messages that always has a pull outstanding, or says why not.
//!
//! It is in one of two phases. *Steady*: the last pull is expected to be served; when half of the batch has come, another pull
//! asks for the rest. *Shaken*: a pull was lost, refused or never received, or the connection was lost, and nothing has been
//! heard since. Then one pull at a time is out. The first one is sent immediately, the others with a growing delay, and each asks
//! for an early heartbeat, so that one that is lost too is noticed after 200 ms. Anything that is heard ends this phase.
//!
//! Servers can drop a pull without a word, at an election for instance. So silence counts as a loss: of two heartbeats, or, in a
//! stream that was flowing, of much longer than its messages usually take.

mod event;
mod flow;
mod status;
#[cfg(test)]
mod tests;
mod troubles;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;

pub use self::event::{Arrival, Effect, End, Event, Found, Sending};
use self::flow::Flow;
use self::troubles::Troubles;
pub use self::troubles::{Cause, Report};
use super::backoff;
use super::ledger::{Entry, Ledger, Left};
use super::seen::{Identity, Seen};
use super::settings::{Settings, heartbeat_within};
use crate::jetstream::wire::{PullRequest, SHORTEST_HEARTBEAT};

/// What a pull asks for while the stream is shaken: signs of life at short intervals, for a short time.
const EARLY_HEARTBEAT: Duration = SHORTEST_HEARTBEAT;
const EARLY_EXPIRES: Duration = Duration::from_secs(2);

/// What a pull asks for, for some time after that: if more goes wrong, it is not long in doubt whether it lives.
const CAUTIOUS_HEARTBEAT: Duration = Duration::from_millis(250);
const CAUTIOUS_EXPIRES: Duration = Duration::from_secs(5);

/// After how long without anything the server is asked whether the consumer still exists, and when it is asked again.
const INQUIRE_AFTER: Duration = Duration::from_secs(2);
pub(super) const INQUIRE_AGAIN: Duration = Duration::from_secs(5);

/// What a pull asks for that is not limited in bytes. With a limit servers send a status at the end of each pull, "Batch Completed",
/// and without one nothing: then nobody would know which pulls are still open. Not more, for servers whose `int` has 32 bits.
const ANY_BYTES: u64 = 0x7fff_ffff;

/// A pull that ends earlier than this, without a message, is not repeated immediately: something is wrong with it.
const TOO_SOON: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy)]
enum Link {
    Up(Instant),
    Down,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Steady,
    Shaken(Shaken),
}

#[derive(Debug, Clone, Copy)]
struct Shaken {
    /// Since when nothing has been heard, as long as there has been a connection.
    since: Instant,
    /// Pulls that were sent since.
    pulls: u32,
    /// The next pull is sent then, or when the last one has ended.
    next: Instant,
    /// When it is reported to the reader. `None`: that has happened.
    complain: Option<Instant>,
    /// When the server is asked about the consumer. `None`: it has not answered yet.
    inquire: Option<Instant>,
}

/// The machine. It is driven by [`on`](Pull::on), and says what to do by [`next_effect`](Pull::next_effect) and
/// [`alarm`](Pull::alarm).
#[derive(Debug)]
pub struct Pull {
    settings: Settings,
    ledger: Ledger,
    link: Link,
    phase: Phase,
    flow: Flow,
    seen: Seen,
    /// The id of the pin that this client has.
    pin: Option<String>,
    troubles: Troubles,
    /// A PING is on its way, after the pull with this token, since then.
    probed: Option<(u64, Instant)>,
    /// Until then pulls wait for a short time only, and show often that they live.
    cautious_until: Option<Instant>,
    /// A pull has to ask for as many bytes: for fewer it got nothing.
    least_bytes: u64,
    /// The last sign of life.
    heard: Instant,
    /// When anything has arrived last.
    arrived: Instant,
    has_ended: bool,
    rng: SmallRng,
    effects: VecDeque<Effect>,
}

impl Pull {
    /// A machine for a reader. `settings` were checked, and `is_up` is whether there is a connection.
    pub fn new(settings: Settings, is_up: bool, now: Instant, seed: u64) -> Pull {
        let mut pull = Pull {
            seen: Seen::new(settings.batch),
            settings,
            ledger: Ledger::default(),
            link: Link::Up(now),
            phase: Phase::Steady,
            flow: Flow::default(),
            pin: None,
            troubles: Troubles::default(),
            probed: None,
            cautious_until: None,
            least_bytes: 0,
            heard: now,
            arrived: now,
            has_ended: false,
            rng: SmallRng::seed_from_u64(seed),
            effects: VecDeque::new(),
        };
        if pull.settings.group.is_some() {
            // It gets nothing while another client is pinned, or while fewer messages are pending than it wants.
            pull.ledger.serve_out_of_turn();
        }
        if !is_up {
            pull.link = Link::Down;
            pull.shaken(now, Some(Cause::Disconnected));
        }
        pull
    }

    /// Something has happened.
    pub fn on(&mut self, now: Instant, event: Event<'_>) {
        if self.has_ended {
            return;
        }
        match event {
            Event::Polled => self.pull_if_due(now),
            Event::Waiting => self.waiting(now),
            Event::Message(arrival) => self.message(now, &arrival),
            Event::Status { token, status, text, left } => self.status(now, token, status, text, left),
            Event::Interrupted => self.interrupted(now),
            Event::Connected(since) => self.connected(now, since),
            Event::Lagged(count) => {
                // What they were, and which pulls they belonged to, nobody knows.
                self.ledger.doubt();
                self.effects.push_back(Effect::Tell(Report::Dropped(count)));
                self.probe(now);
            }
            Event::NotSent(token) => {
                self.ledger.close(now, token, Left::Everything);
                self.shaken(now, Some(Cause::NotSent));
            }
            Event::Refused(text) => self.end(End::Refused(text.to_owned())),
            Event::Probed { answered } => self.answered(now, answered),
            Event::Found(found) => self.found(now, found),
        }
    }

    /// Everything that has arrived was read: what comes now arrives later.
    pub fn read_all(&mut self) {
        self.seen.read_all();
    }

    /// What to do next.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// What a pull asks for.
    pub fn request(&self, sending: Sending) -> PullRequest<'_> {
        let request = sending.request(&self.settings, self.pin.as_deref());
        PullRequest { max_bytes: if request.max_bytes == 0 { ANY_BYTES } else { request.max_bytes }, ..request }
    }

    /// The most bytes that a pull asks for.
    fn most_bytes(&self) -> u64 {
        if self.settings.max_bytes == 0 { ANY_BYTES } else { self.settings.max_bytes }
    }

    /// Whether [`Event::Polled`] would send a pull.
    pub fn is_due(&self, now: impl FnOnce() -> Instant) -> bool {
        !self.has_ended
            && match self.phase {
                Phase::Steady => self.is_half_empty(),
                Phase::Shaken(shaken) => self.ledger.newest().is_none() && shaken.next <= now(),
            }
    }

    /// Whether the connection was lost, and [`Event::Connected`] has not come yet.
    pub fn is_down(&self) -> bool {
        matches!(self.link, Link::Down)
    }

    /// When [`Event::Waiting`] has to come again, if nothing else happens.
    pub fn alarm(&self) -> Option<Instant> {
        if self.has_ended {
            return None;
        }
        let times = [self.retry_at(), self.silent_at(), self.suspicious_at(), self.expiry_at()];
        times.into_iter().chain(self.long_at()).flatten().min()
    }

    /// Messages that are expected for pulls that count as alive, and those that may come besides.
    pub fn outstanding(&self) -> (u64, u64) {
        (self.ledger.messages(), self.ledger.doubtful_messages())
    }

    fn waiting(&mut self, now: Instant) {
        self.flow.waits(now);
        self.seen.read_all();
        self.ledger.caught_up();
        if !self.is_down() && self.ledger.expire(now, self.arrived) {
            self.probe(now);
        }
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.silent_at()) {
            self.ledger.doubt();
            self.shaken(now, Some(Cause::Silence));
        } else if due(self.suspicious_at()) {
            self.ledger.doubt();
            self.shaken(now, None);
        }
        self.long_trouble(now);
        self.pull_if_due(now);
    }

    fn message(&mut self, now: Instant, arrival: &Arrival<'_>) {
        self.arrived = now;
        self.heard(now);
        let identity = arrival.place.as_ref().map(Identity::of);
        if identity.is_some_and(|identity| !self.seen.is_new(identity, now)) {
            return;
        }
        self.least_bytes = 0;
        self.ledger.took(arrival.bytes);
        self.flow.took(now, arrival.place.as_ref().map_or(0, |place| place.pending));
        if let Some(pin) = arrival.pin.filter(|pin| self.pin.as_deref() != Some(pin)) {
            self.pin = Some(pin.to_owned());
        }
        self.effects.push_back(Effect::Deliver);
    }

    fn interrupted(&mut self, now: Instant) {
        self.link = Link::Down;
        self.seen.forget();
        self.ledger.interrupted(now);
        self.probed = None;
        self.phase = Phase::Steady;
        self.shaken(now, Some(Cause::Disconnected));
        // The client buffers it, and the next connection sends it directly after the subscription.
        self.pull_if_due(now);
    }

    fn connected(&mut self, now: Instant, since: Instant) {
        self.link = Link::Up(since);
        self.arrived = self.arrived.max(since);
        self.ledger.connected(since);
        self.ledger.expire(now, self.arrived);
        if let Phase::Shaken(shaken) = &mut self.phase {
            let since = since.max(shaken.since);
            *shaken = Shaken { pulls: shaken.pulls, ..Shaken::new(since, &self.settings) };
        }
    }

    /// Something is alive.
    fn heard(&mut self, now: Instant) {
        self.heard = now;
        if matches!(self.phase, Phase::Shaken(_)) {
            self.phase = Phase::Steady;
            self.effects.extend(self.troubles.over(now).map(Effect::Tell));
        }
    }

    /// Something is wrong, for a cause that is reported once.
    fn shaken(&mut self, now: Instant, cause: Option<Cause>) {
        self.cautious_until = now.checked_add(self.settings.expires);
        if matches!(self.phase, Phase::Steady) {
            self.phase = Phase::Shaken(Shaken::new(now, &self.settings));
        }
        self.effects.extend(cause.and_then(|cause| self.troubles.began(cause, now)).map(Effect::Tell));
    }

    fn end(&mut self, why: End) {
        self.has_ended = true;
        self.effects.push_back(Effect::End(why));
    }

    fn is_half_empty(&self) -> bool {
        let Settings { batch, max_bytes, .. } = self.settings;
        self.ledger.messages() <= batch / 2 || (max_bytes > 0 && self.ledger.bytes() <= max_bytes / 2)
    }

    fn pull_if_due(&mut self, now: Instant) {
        if self.is_due(|| now) {
            self.pull(now);
        }
    }

    /// Sends a pull, if there is room for one: at most two batches may come in all, and while the stream is shaken each pull asks
    /// for half of what is left of that.
    fn pull(&mut self, now: Instant) {
        let is_shaken = matches!(self.phase, Phase::Shaken(_));
        let room = |most: u64, expected: u64, doubtful: u64| {
            let want = most.saturating_sub(expected);
            if doubtful == 0 {
                return want;
            }
            let room = most.saturating_mul(2).saturating_sub(expected.saturating_add(doubtful));
            want.min(if is_shaken { room.div_ceil(2) } else { room })
        };
        let Settings { batch, max_bytes, .. } = self.settings;
        let expected = self.ledger.messages();
        let mut messages = room(batch, expected, self.ledger.doubtful_messages());
        let mut bytes = room(max_bytes, self.ledger.bytes(), self.ledger.doubtful_bytes());
        // Rather one pull that is worth it than many small ones: each takes its turn.
        let least = (batch / 4).clamp(1, batch.saturating_sub(expected).max(1));
        if messages < least || (max_bytes > 0 && bytes == 0) {
            if expected > 0 {
                return;
            }
            // Better one message over the limit than none. But if the line is stalled, the next pull would only wait behind the others.
            let stalled = self.probed.is_some_and(|(_, since)| self.arrived <= since);
            if messages == 0 && stalled {
                self.shaken(now, Some(Cause::Silence));
                return self.pause(now, 1);
            }
            messages = messages.max(1);
        }
        // Only a pull for enough bytes gets a message at all.
        bytes = bytes.max(self.least_bytes.max(max_bytes / 4).min(max_bytes));
        let (mut expires, mut heartbeat) = (self.settings.expires, self.settings.heartbeat);
        if self.cautious_until.is_some_and(|until| now < until) {
            expires = expires.min(CAUTIOUS_EXPIRES);
            heartbeat = heartbeat_within(expires, heartbeat.min(CAUTIOUS_HEARTBEAT));
        }
        if let Phase::Shaken(shaken) = &mut self.phase {
            expires = expires.min(EARLY_EXPIRES);
            let earliest = if heartbeat.is_zero() { EARLY_HEARTBEAT } else { heartbeat.min(EARLY_HEARTBEAT) };
            heartbeat = earliest.min(expires / 2);
            shaken.pulls = shaken.pulls.saturating_add(1);
            let number = shaken.pulls;
            self.pause(now, number);
        }
        let sent = if self.is_down() { None } else { Some(now) };
        let ends = Some(expires).filter(|expires| !expires.is_zero());
        let token = self.ledger.open(Entry { token: 0, messages, bytes, made: now, sent, heartbeat, expires: ends });
        self.effects.push_back(Effect::Pull(Sending { token, messages, bytes, expires, heartbeat }));
        if is_shaken || self.ledger.has_unreceived_doubts() {
            self.probe(now);
        }
    }

    /// Delays the next pull as after the one of this number, from 1, if the stream is shaken.
    fn pause(&mut self, now: Instant, number: u32) {
        if let Phase::Shaken(shaken) = &mut self.phase {
            shaken.next = backoff::after(now, number, &mut self.rng);
        }
    }

    /// Asks whether the server has received the pulls, unless that is under way.
    fn probe(&mut self, now: Instant) {
        if self.probed.is_none() && !self.is_down() {
            self.probed = self.ledger.last_token().map(|token| (token, now));
            self.effects.extend(self.probed.map(|_| Effect::Probe));
        }
    }

    fn answered(&mut self, now: Instant, answered: bool) {
        let Some((through, _)) = self.probed.take() else { return };
        if answered {
            self.arrived = now;
            self.ledger.received(now, through);
        }
        self.pull_if_due(now);
    }

    fn found(&mut self, now: Instant, found: Found) {
        let Phase::Shaken(shaken) = &mut self.phase else { return };
        match found {
            Found::Gone => self.end(End::Gone),
            Found::Exists | Found::Unknown => shaken.inquire = now.checked_add(INQUIRE_AGAIN),
        }
    }
}
