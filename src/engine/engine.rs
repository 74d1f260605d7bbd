//! The engine: connects the parts. Each part does its own work and returns what happened; only here do they meet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::announce::Outage;
use super::config::Config;
use super::effect::{CloseHow, Effect};
use super::error::{Cause, EndReason};
use super::event::{ConnectionEvent, Status};
use super::flight::Flight;
use super::ledger::{Ledger, Lost};
use super::moving::{Candidate, Wish};
use super::outbox::Outbox;
use super::phase::{Intent, Link, Purpose, Stage, Waiter};
use super::poison::Suspicion;
use super::pool::Pool;
use super::segment::Segment;
use super::subscriptions::Subscriptions;
use crate::protocol::{Info, ServerAddr};

/// The state machine of one client.
///
/// Its methods come in four families:
///
/// - **getters** look and change nothing;
/// - **`handle_*`** say what happened in the world. Each that speaks of a connection carries the epoch
///   that [`Effect::Dial`] gave it; one of an earlier epoch is stale and ignored;
/// - **commands** (`connect`, `subscribe`, `flush`, `drain`, …) say what the user wants. They are legal in every phase;
/// - **`poll_*`**, [`exchange`](Engine::exchange) and [`flight`](Engine::flight) say what to do: effects, the
///   next deadline, the bytes to write.
///
/// A driver's round: take the commands and call `exchange` in one critical section of the mailbox; apply the
/// commands; carry out `poll_effect` until it is empty; read and write; call `handle_timeout` when `poll_timeout`
/// has come. Nothing here blocks, reads a clock or does I/O. With the same seed, the same calls give the same
/// results.
///
/// `H` is the driver's handle of a subscription, kept in the table for it.
#[derive(Debug)]
pub struct Engine<H> {
    pub(super) config: Config,
    pub(super) rng: SmallRng,
    pub(super) link: Link,
    pub(super) intent: Intent,
    pub(super) pool: Pool,
    /// Where messages go; see [`Subscriptions`].
    pub subscriptions: Subscriptions<H>,
    pub(super) flight: Flight,
    pub(super) info: Option<Arc<Info>>,
    pub(super) books: Books,
    pub(super) history: History,
    pub(super) suspicion: Suspicion,
    /// Who waits for a PING that was not sent yet.
    pub(super) wanted: Vec<Waiter>,
    pub(super) effects: VecDeque<Effect<H>>,
    pub(super) garbage: Vec<Segment>,
    /// Why the present connection is to be left.
    pub(super) wish: Option<Wish>,
    /// The connection that will take the place of the present one.
    pub(super) candidate: Option<Box<Candidate>>,
    pub(super) next_epoch: u64,
    pub(super) next_ask: u64,
}

/// The part of the ledger that the engine keeps; the rest follows from what the outbox admitted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Books {
    pub(super) confirmed: u64,
    pub(super) in_doubt: u64,
    pub(super) lost: Lost,
    pub(super) resent: u64,
}

/// What is remembered from one connection to the next.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Attempts since the last connection.
    pub(super) attempts: u64,
    /// Failed attempts since the last stable connection.
    pub(super) failures: u64,
    /// Whether something has failed or was lost since `connect`.
    pub(super) retrying: bool,
    /// The server of the last connection; `None`: never connected.
    pub(super) previous: Option<String>,
    /// The outage that goes on.
    pub(super) outage: Option<Outage>,
    /// Since when no attempt is being made.
    pub(super) waiting: Option<Instant>,
    /// Probes of preferred servers that failed, and short stays there, since the last long one.
    pub(super) probes: u64,
    pub(super) last_error: Option<Cause>,
    /// When the last credentials that expire do so.
    pub(super) credentials_until: Option<Instant>,
    /// Whether a link was ever secured.
    pub(super) secured: bool,
    /// Which of the two watermarks was told last.
    pub(super) buffer_high: bool,
}

/// What the driver tells in an [`exchange`](Engine::exchange).
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// Commands were taken in this critical section and are not yet applied.
    pub commands_waiting: bool,
    /// Requests still wait for their replies.
    pub requests_waiting: bool,
}

impl<H> Engine<H> {
    /// An engine that does nothing yet. `seed` is the source of all its randomness.
    pub fn new(config: Config, servers: Vec<ServerAddr>, seed: u64) -> Engine<H> {
        let mut rng = SmallRng::seed_from_u64(seed);
        let preferred = config.preferred.servers.clone();
        let pool = Pool::preferring(preferred, servers, config.retain_order, &mut rng);
        let flight = Flight::new(config.delivery);
        Engine {
            config,
            rng,
            link: Link::Idle,
            intent: Intent::Run,
            pool,
            subscriptions: Subscriptions::default(),
            flight,
            info: None,
            books: Books::default(),
            history: History::default(),
            suspicion: Suspicion::default(),
            wanted: Vec::new(),
            effects: VecDeque::new(),
            garbage: Vec::new(),
            wish: None,
            candidate: None,
            next_epoch: 0,
            next_ask: 0,
        }
    }

    // Getters.

    /// The state that the user sees.
    pub fn status(&self) -> Status {
        match (&self.intent, &self.link) {
            (Intent::End { .. } | Intent::Closed, _) => Status::Closed,
            (Intent::Drain { .. } | Intent::Close { drained: true, .. }, _) => Status::Draining,
            (_, Link::Idle | Link::GivingUp(_)) => Status::Disconnected,
            (_, Link::Up(connection)) if matches!(connection.stage, Stage::Ready | Stage::Moving { .. }) => {
                Status::Connected
            }
            _ if self.history.retrying => Status::Reconnecting,
            _ => Status::Connecting,
        }
    }

    /// The server's latest INFO.
    pub fn info(&self) -> Option<&Arc<Info>> {
        self.info.as_ref()
    }

    /// `host:port` of the server that is connected.
    pub fn server(&self) -> Option<&str> {
        let connection = self.link.connection()?;
        connection.carries().then_some(connection.attempt.endpoint.as_str())
    }

    /// The servers and what is remembered of them.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Why the last attempt failed or the last connection was lost.
    pub fn last_error(&self) -> Option<&Cause> {
        self.history.last_error.as_ref()
    }

    /// The time that the last PING took.
    pub fn round_trip(&self) -> Option<Duration> {
        self.link.connection()?.liveness.round_trip()
    }

    /// The bytes to write, to the connection of [`epoch`](Engine::epoch).
    pub fn flight(&self) -> &Flight {
        &self.flight
    }

    /// Names the present connection or attempt.
    pub fn epoch(&self) -> u64 {
        match &self.link {
            Link::Dialing(attempt) => attempt.epoch,
            Link::Up(connection) => connection.attempt.epoch,
            _ => self.next_epoch,
        }
    }

    /// Whether writing makes sense: there is a connection, and it has not failed on the writing side.
    pub fn can_write(&self) -> bool {
        self.link.can_write()
    }

    /// The bytes to write to the connection of `epoch`, if there are any and writing makes sense.
    pub fn flight_of(&self, epoch: u64) -> Option<&Flight> {
        let (link, flight) = self.side_of(epoch);
        let writes = link.is_live(epoch) && link.can_write();
        (writes && !flight.is_empty()).then_some(flight)
    }

    /// Whether there is something to write, and somebody to take it.
    pub fn has_bytes(&self) -> bool {
        !self.flight.is_empty() && self.can_write()
    }

    /// The connection that carries messages.
    pub fn carrying(&self) -> Option<u64> {
        self.link.connection().filter(|connection| connection.carries()).map(|connection| connection.attempt.epoch)
    }

    /// Whether the connection of `epoch` still stands.
    pub fn is_live(&self, epoch: u64) -> bool {
        self.link_of(epoch).is_live(epoch)
    }

    /// Whether messages may flow out.
    pub fn carries(&self) -> bool {
        self.link.connection().is_some_and(|connection| connection.carries())
    }

    /// Whether the next exchange loads what the outbox holds. Messages may flow, and still have to wait: see
    /// [`Config::poison_after`].
    pub fn loads(&self) -> bool {
        self.carries() && !self.awaits_lot()
    }

    /// Whether messages may come in: the handshake is done.
    pub fn expects_messages(&self) -> bool {
        self.link.connection().is_some_and(|connection| !connection.is_handshake())
    }

    /// The same of the connection of `epoch`.
    pub fn expects_messages_of(&self, epoch: u64) -> bool {
        let link = self.link_of(epoch);
        link.is_live(epoch) && link.connection().is_some_and(|connection| !connection.is_handshake())
    }

    pub(super) fn link_of(&self, epoch: u64) -> &Link {
        self.side_of(epoch).0
    }

    /// The candidate's link and flight if `epoch` names it, otherwise the present ones.
    fn side_of(&self, epoch: u64) -> (&Link, &Flight) {
        match &self.candidate {
            Some(candidate) if self.is_beside(epoch) => (&candidate.link, &candidate.flight),
            _ => (&self.link, &self.flight),
        }
    }

    /// Where every accepted message is. `accepted`: how many the outbox, with which this engine exchanges, has accepted.
    pub fn ledger(&self, accepted: u64) -> Ledger {
        let Books { confirmed, in_doubt, lost, resent } = self.books;
        let unconfirmed = self.link.connection().map_or(0, |connection| connection.taken - connection.confirmed);
        let settled = confirmed + in_doubt + lost.total() + unconfirmed;
        Ledger { accepted, waiting: accepted - settled, unconfirmed, confirmed, in_doubt, lost, resent }
    }

    /// Messages that wait, counted where they lie. The ledger's `waiting` must agree.
    pub fn count_waiting(&self, outbox: &Outbox) -> u64 {
        outbox.messages() + self.flight.messages()
    }

    // What to do.

    /// The next effect.
    pub fn poll_effect(&mut self) -> Option<Effect<H>> {
        self.effects.pop_front()
    }

    /// What may be dropped now that no lock is held: payloads have destructors of their own.
    pub fn take_garbage(&mut self) -> Vec<Segment> {
        std::mem::take(&mut self.garbage)
    }

    /// Whether another exchange has something to do at once, without a stimulus from outside.
    pub fn wants_exchange(&self) -> bool {
        if matches!(self.link, Link::GivingUp(_)) || matches!(self.intent, Intent::End { .. }) {
            return true;
        }
        if self.may_advance_move() || self.begins_drain() {
            return true;
        }
        let Some(connection) = self.link.connection() else {
            return false;
        };
        match &connection.stage {
            Stage::Lost(_) => true,
            Stage::Replaying(replay) => replay.is_done() || self.flight.is_empty(),
            Stage::Recovering(_) | Stage::Ready => !self.wanted.is_empty() && !self.awaits_lot(),
            Stage::AwaitInfo
            | Stage::Securing(_)
            | Stage::Authenticating(_)
            | Stage::AwaitPong
            | Stage::Standby(_)
            | Stage::Moving { .. } => false,
        }
    }

    pub(super) fn emit(&mut self, event: ConnectionEvent) {
        self.effects.push_back(Effect::Emit(event));
    }

    /// The connection ends here. If it had carried messages, the outbox is settled in the next exchange.
    pub(super) fn lose(&mut self, cause: Cause, how: CloseHow, now: Instant) {
        if self.try_next_address(&cause, how, now) {
            return;
        }
        let Link::Up(connection) = &mut self.link else {
            return;
        };
        self.effects.push_back(Effect::Close { epoch: connection.attempt.epoch, how });
        match connection.stage {
            Stage::Lost(_) => {
                self.effects.pop_back();
            }
            _ if connection.attempt.purpose == Purpose::Move => {
                let attempt = connection.attempt.clone();
                self.move_failed(attempt, cause, now);
            }
            Stage::AwaitInfo
            | Stage::Securing(_)
            | Stage::Authenticating(_)
            | Stage::AwaitPong
            | Stage::Standby(_)
            | Stage::Replaying(_) => {
                let attempt = connection.attempt.clone();
                self.end_drained_subscriptions();
                self.attempt_failed(attempt, cause, now);
                // A drain that began during the replay waited for its end.
                self.advance_drain();
            }
            Stage::Recovering(_) => {
                // Messages were at stake: the pair of events is complete, even if it was short.
                self.announce(now);
                self.lose_carrying(cause);
            }
            Stage::Ready | Stage::Moving { .. } => self.lose_carrying(cause),
        }
    }

    fn lose_carrying(&mut self, cause: Cause) {
        if let Link::Up(connection) = &mut self.link {
            connection.stage = Stage::Lost(cause);
        }
    }

    /// The server's memory of subscriptions is gone; those that were only waiting for its last word end.
    pub(super) fn end_drained_subscriptions(&mut self) {
        let mut drained = self.subscriptions.connection_lost();
        // A candidate's server may send more for those.
        drained.retain(|sid| !self.has_joined(*sid));
        // While the whole client is drained, streams end only when the gate is shut.
        if !matches!(self.intent, Intent::Drain { .. }) {
            for sid in drained {
                self.end_subscription(sid, EndReason::Drained);
            }
        }
    }

    /// Takes a subscription out of the table and ends its stream.
    pub(super) fn end_subscription(&mut self, sid: u64, reason: EndReason) {
        if let Some(subscription) = self.subscriptions.remove(sid) {
            let beside = self.candidate.as_mut().map(|candidate| &mut candidate.link);
            for link in [Some(&mut self.link), beside].into_iter().flatten() {
                if let Link::Up(connection) = link {
                    connection.asked.leave(sid, subscription.interest());
                }
            }
            self.effects.push_back(Effect::Ended { sid, handle: subscription.handle, reason });
        }
    }

    pub(super) fn end_all_subscriptions(&mut self, reason: &EndReason) {
        for sid in self.subscriptions.sids() {
            self.end_subscription(sid, reason.clone());
        }
    }
}
