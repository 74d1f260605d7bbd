//! The engine connects its parts. Each part does its own work and returns what happened; only here do they meet.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::candidate::PlannedMove;
use super::config::Config;
use super::connection::{Connection, Stage};
use super::effect::{CloseHow, Effect};
use super::error::{Cause, EndReason};
use super::history::{History, Totals};
use super::intent::{Intent, Waiter};
use super::ledger::Ledger;
use super::line::Line;
use super::lines::{Lines, Link, Which};
use super::outbox::{Flight, Outbox, Segment};
use super::output::Output;
use super::pool::Pool;
use super::report::Status;
use super::subscriptions::Subscriptions;
use super::suspicion::Suspicion;
use crate::protocol::{Info, ServerAddr};

/// The state machine of one client.
///
/// Its methods come in four families:
///
/// - **getters** change nothing;
/// - **`handle_*`** report what happened in the world. Those about a connection carry the epoch that [`Effect::Dial`] gave it;
///   a call with an earlier epoch is stale and ignored;
/// - **commands** (`connect`, `subscribe`, `flush`, `drain`, …) say what the user wants. They are legal in every phase;
/// - **`poll_*`**, [`exchange`](Engine::exchange) and [`flight`](Engine::flight) return what to do: effects, the next deadline,
///   the bytes to write.
///
/// A driver's round: take the commands and call `exchange` in one critical section of the mailbox; apply the
/// commands; carry out `poll_effect` until it is empty; read and write; call `handle_timeout` when `poll_timeout`
/// has come. Nothing here blocks, reads a clock or does I/O. With the same seed, the same calls give the same
/// results.
///
/// `H` is the driver's handle of a subscription, which the table keeps.
#[derive(Debug)]
pub struct Engine<H> {
    pub(super) config: Config,
    pub(super) rng: SmallRng,
    pub(super) lines: Lines,
    /// The move that is planned, if any.
    pub(super) plan: Option<PlannedMove>,
    pub(super) intent: Intent,
    pub(super) pool: Pool,
    /// Where messages are delivered; see [`Subscriptions`].
    pub subscriptions: Subscriptions<H>,
    pub(super) totals: Totals,
    pub(super) history: History,
    pub(super) suspicion: Suspicion,
    /// Waiters for a PING that was not sent yet.
    pub(super) waiters: Vec<Waiter>,
    pub(super) out: Output<H>,
}

/// The driver's input to an [`exchange`](Engine::exchange).
#[derive(Clone, Copy, Debug, Default)]
pub struct ExchangeInput {
    /// Commands were taken in this critical section and have not been applied yet.
    pub commands_waiting: bool,
    /// Requests are still waiting for replies.
    pub requests_waiting: bool,
}

impl<H> Engine<H> {
    /// An engine that does nothing yet. `seed` is the source of all its randomness.
    pub fn new(config: Config, servers: Vec<ServerAddr>, seed: u64) -> Engine<H> {
        let mut rng = SmallRng::seed_from_u64(seed);
        let preferred = config.preferred.servers.clone();
        let pool = Pool::new(preferred, servers, config.retain_order, &mut rng);
        Engine {
            config,
            rng,
            lines: Lines::new(),
            plan: None,
            intent: Intent::Run,
            pool,
            subscriptions: Subscriptions::default(),
            totals: Totals::default(),
            history: History::default(),
            suspicion: Suspicion::default(),
            waiters: Vec::new(),
            out: Output::new(),
        }
    }

    // Getters.

    /// The state that the user sees.
    pub fn status(&self) -> Status {
        match (&self.intent, &self.lines.present) {
            (Intent::End { .. } | Intent::Closed, _) => Status::Closed,
            (Intent::Drain { .. } | Intent::Close { drained: true, .. }, _) => Status::Draining,
            (_, Link::Idle | Link::GivingUp(_)) => Status::Disconnected,
            (_, Link::Line(Line::Up(connection))) if connection.is_ready() || connection.is_moving() => {
                Status::Connected
            }
            _ if self.history.retrying => Status::Reconnecting,
            _ => Status::Connecting,
        }
    }

    /// The latest INFO of the present server, or of the last one.
    pub fn info(&self) -> Option<&Arc<Info>> {
        self.history.info.as_ref()
    }

    /// `host:port` of the server that is connected.
    pub fn server(&self) -> Option<&str> {
        let connection = self.lines.up()?;
        connection.carries().then_some(connection.attempt.endpoint.as_str())
    }

    /// The servers, and what is remembered about them.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Why the last attempt failed or the last connection was lost.
    pub fn last_error(&self) -> Option<&Cause> {
        self.history.last_error.as_ref()
    }

    /// The round trip of the last PING.
    pub fn round_trip(&self) -> Option<Duration> {
        self.lines.up()?.liveness.round_trip()
    }

    /// The bytes to write to the present connection, if there is one.
    pub fn flight(&self) -> Option<&Flight> {
        self.lines.up().map(|connection| &connection.flight)
    }

    /// Identifies the present connection or attempt, or the last one.
    pub fn epoch(&self) -> u64 {
        self.lines.epoch()
    }

    /// Whether writing makes sense: there is a connection, and writing on it has not failed.
    pub fn can_write(&self) -> bool {
        self.lines.up().is_some_and(Connection::can_write)
    }

    /// The bytes to write to the connection of `epoch`, if there are any and writing makes sense.
    pub fn flight_of(&self, epoch: u64) -> Option<&Flight> {
        let connection = self.lines.live(epoch).filter(|connection| connection.can_write())?;
        Some(&connection.flight).filter(|flight| !flight.is_empty())
    }

    /// Whether there is something to write and a connection to write it to.
    pub fn has_bytes(&self) -> bool {
        self.flight().is_some_and(|flight| !flight.is_empty()) && self.can_write()
    }

    /// The epoch of the connection that carries messages.
    pub fn carrying(&self) -> Option<u64> {
        self.lines.up().filter(|connection| connection.carries()).map(|connection| connection.attempt.epoch)
    }

    /// Whether the connection of `epoch` is still alive.
    pub fn is_live(&self, epoch: u64) -> bool {
        self.lines.live(epoch).is_some()
    }

    /// Whether messages may be sent.
    pub fn carries(&self) -> bool {
        self.lines.up().is_some_and(Connection::carries)
    }

    /// Whether the next exchange loads what is in the outbox. Messages may be allowed to flow and still have to wait; see
    /// [`Config::poison_after`].
    pub fn loads(&self) -> bool {
        self.carries() && !self.awaits_batch()
    }

    /// Whether messages may arrive on the connection of `epoch`: its handshake is done.
    pub fn expects_messages_of(&self, epoch: u64) -> bool {
        self.lines.live(epoch).is_some_and(|connection| !connection.is_handshake())
    }

    /// Whether the connection of `epoch` is being secured: nothing may be read from it or written to it.
    pub fn is_securing(&self, epoch: u64) -> bool {
        self.lines.live(epoch).is_some_and(Connection::is_securing)
    }

    /// Where every accepted message is. `accepted`: how many messages this engine's outbox has accepted.
    pub fn ledger(&self, accepted: u64) -> Ledger {
        let Totals { confirmed, in_doubt, lost, resent } = self.totals;
        let unconfirmed = self.lines.up().map_or(0, Connection::unconfirmed);
        let settled = confirmed + in_doubt + lost.total() + unconfirmed;
        Ledger { accepted, waiting: accepted - settled, unconfirmed, confirmed, in_doubt, lost, resent }
    }

    /// Waiting messages, counted where they are. The ledger's `waiting` must agree.
    pub fn count_waiting(&self, outbox: &Outbox) -> u64 {
        outbox.messages() + self.flight().map_or(0, Flight::messages)
    }

    // What to do.

    /// The next effect.
    pub fn poll_effect(&mut self) -> Option<Effect<H>> {
        self.out.pop()
    }

    /// Segments to be dropped now that no lock is held: payloads may have destructors of their own.
    pub fn take_garbage(&mut self) -> Vec<Segment> {
        std::mem::take(self.out.garbage())
    }

    /// Whether another exchange would do something immediately, without a stimulus from outside.
    pub fn wants_exchange(&self) -> bool {
        if matches!(self.lines.present, Link::GivingUp(_)) || matches!(self.intent, Intent::End { .. }) {
            return true;
        }
        if self.may_advance_move() || self.begins_drain() {
            return true;
        }
        let Some(connection) = self.lines.up() else { return false };
        match &connection.stage {
            Stage::Lost(_) => true,
            Stage::Replaying(replay) => replay.is_done(&self.subscriptions) || connection.flight.is_empty(),
            Stage::Recovering(_) | Stage::Ready => !self.waiters.is_empty() && !self.awaits_batch(),
            Stage::AwaitInfo
            | Stage::Securing(_)
            | Stage::Authenticating(_)
            | Stage::AwaitPong
            | Stage::Standby(_)
            | Stage::Moving { .. } => false,
        }
    }

    /// A connection ends here. If it has carried messages, the next exchange settles the outbox.
    pub(super) fn lose(&mut self, which: Which, cause: Cause, how: CloseHow, now: Instant) {
        if self.try_next_address(which, &cause, how, now) {
            return;
        }
        let Some(connection) = self.lines.connection_mut(which).filter(|connection| !connection.is_lost()) else {
            return;
        };
        self.out.push(Effect::Close { epoch: connection.attempt.epoch, how });
        match connection.stage {
            _ if which == Which::Candidate => self.attempt_failed(which, cause, now),
            Stage::AwaitInfo
            | Stage::Securing(_)
            | Stage::Authenticating(_)
            | Stage::AwaitPong
            | Stage::Standby(_)
            | Stage::Replaying(_) => {
                self.end_drained_subscriptions();
                self.attempt_failed(which, cause, now);
                // A drain that began during the replay was waiting for its end.
                self.advance_drain();
            }
            Stage::Recovering(_) => {
                // Messages were at stake, so the pair of events is reported, however short the connection was.
                self.announce(now);
                self.lose_carrying(cause);
            }
            Stage::Ready | Stage::Moving { .. } | Stage::Lost(_) => self.lose_carrying(cause),
        }
    }

    fn lose_carrying(&mut self, cause: Cause) {
        if let Some(connection) = self.lines.up_mut() {
            connection.stage = Stage::Lost(cause);
        }
    }

    /// The server's subscriptions are gone; those that were only waiting for its last PONG end.
    pub(super) fn end_drained_subscriptions(&mut self) {
        let mut drained = self.subscriptions.connection_lost();
        // A candidate's server may send more for those.
        drained.retain(|sid| !self.lines.has_joined(*sid));
        // While the whole client drains, streams end only when the gate is shut.
        if !matches!(self.intent, Intent::Drain { .. }) {
            for sid in drained {
                self.end_subscription(sid, EndReason::Drained);
            }
        }
    }

    /// Removes a subscription from the table and ends its stream.
    pub(super) fn end_subscription(&mut self, sid: u64, reason: EndReason) {
        if let Some(subscription) = self.subscriptions.take(sid) {
            for connection in self.lines.connections_mut() {
                connection.asked.leave(sid, &self.subscriptions);
            }
            self.subscriptions.forget(sid);
            self.out.push(Effect::Ended { handle: subscription.handle, reason });
        }
    }

    pub(super) fn end_all_subscriptions(&mut self, reason: &EndReason) {
        for sid in self.subscriptions.sids() {
            self.end_subscription(sid, reason.clone());
        }
    }
}
