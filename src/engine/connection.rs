//! A byte stream to a server, and everything that belongs to this one connection: what is written to it, how far its handshake
//! is, what it has confirmed, and when it is dead. It knows nothing of other connections and reports what happened to the
//! engine.

mod ops;
mod timers;

pub(super) use timers::MOVE_WITHIN;

use std::sync::Arc;
use std::time::Instant;

use super::asked::Asked;
use super::attempt::Attempt;
use super::config::Config;
use super::error::Cause;
use super::intent::Waiter;
use super::liveness::{Covers, Liveness};
use super::outbox::Flight;
use super::recovery::{Recovering, Recovery};
use super::refusals::Refusals;
use super::replay::Replay;
use crate::protocol::{ErrKind, Info};

/// A byte stream to a server. `confirmed <= taken`.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) attempt: Attempt,
    pub(super) stage: Stage,
    /// The bytes to write.
    pub(super) flight: Flight,
    /// The server's latest INFO.
    pub(super) info: Option<Arc<Info>>,
    /// Since when the byte stream exists; after the handshake, since its PONG.
    pub(super) since: Instant,
    pub(super) liveness: Liveness<Waiter>,
    /// Messages that the transport took completely.
    pub(super) taken: u64,
    /// Messages that a PONG covers.
    pub(super) confirmed: u64,
    /// Messages that its server has refused, of those that no PONG covers.
    pub(super) refusals: Refusals,
    /// The SUBs that no PONG covers.
    pub(super) asked: Asked,
    /// Set while buffered messages are still being sent although the connection was announced.
    pub(super) recovery: Option<Recovery>,
    /// When the transport last took a byte, or the flight became non-empty.
    pub(super) progress: Instant,
    /// The last `-ERR` after which a server closes the connection: the cause, once the socket reports the end.
    pub(super) server_error: Option<ErrKind>,
    /// Writing failed: reading goes on until the server's reason comes or this time is reached (D6).
    pub(super) broken: Option<(Instant, Cause)>,
    /// It is TLS.
    pub(super) secured: bool,
    /// When the connection is to be replaced because its credentials expire soon after.
    pub(super) renew_at: Option<Instant>,
}

/// The stages of a connection.
#[derive(Debug)]
pub(super) enum Stage {
    AwaitInfo,
    /// The driver upgrades the connection to TLS: before INFO (`None`), or after this one.
    Securing(Option<Arc<Info>>),
    /// The user's credentials are being asked for.
    Authenticating(Arc<Info>),
    AwaitPong,
    /// SUBs are being sent; the gate is buffering.
    Replaying(Replay),
    /// The gate is open; `Reconnected` is reported when the buffered messages are taken, or at `until`.
    Recovering(Recovering),
    Ready,
    /// The connection is being left for another: the gate is buffering, and the PONG after everything that was loaded is
    /// awaited until then, so that nothing is left in doubt.
    Moving {
        until: Instant,
        cause: Cause,
    },
    /// The handshake of a candidate is done, and the present connection has not been left yet.
    Standby(Readiness),
    /// The end of this connection; the outbox is settled in the next exchange.
    Lost(Cause),
}

/// The stages of a connection on standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Fresh,
    /// SUBs for queue groups and the inboxes of requests were sent.
    Joining,
    /// The server has processed them. The present connection is left when the rest of the cluster knows about them too.
    Joined {
        leave_at: Instant,
    },
}

impl Connection {
    /// The byte stream is there.
    pub(super) fn new(attempt: Attempt, config: &Config, now: Instant) -> Connection {
        Connection {
            attempt,
            stage: Stage::AwaitInfo,
            flight: Flight::new(config.outbox.delivery),
            info: None,
            since: now,
            liveness: Liveness::new(config, now),
            taken: 0,
            confirmed: 0,
            refusals: Refusals::default(),
            asked: Asked::default(),
            recovery: None,
            progress: now,
            server_error: None,
            broken: None,
            secured: false,
            renew_at: None,
        }
    }

    /// Whether its server is in lame duck mode.
    pub(super) fn is_lame_duck(&self) -> bool {
        self.info.as_ref().is_some_and(|info| info.lame_duck_mode)
    }

    /// Why it ended, if it has.
    pub(super) fn lost_by(&self) -> Option<&Cause> {
        match &self.stage {
            Stage::Lost(cause) => Some(cause),
            _ => None,
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost_by().is_some()
    }

    /// Whether writing still works.
    pub(super) fn can_write(&self) -> bool {
        self.broken.is_none() && !self.is_lost()
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready)
    }

    pub(super) fn is_moving(&self) -> bool {
        matches!(self.stage, Stage::Moving { .. })
    }

    pub(super) fn is_replaying(&self) -> bool {
        matches!(self.stage, Stage::Replaying(_))
    }

    pub(super) fn is_securing(&self) -> bool {
        matches!(self.stage, Stage::Securing(_))
    }

    /// Messages that it was given, taken or not.
    pub(super) fn given(&self) -> u64 {
        self.taken + self.flight.messages()
    }

    /// Messages that the transport took and no PONG covers.
    pub(super) fn unconfirmed(&self) -> u64 {
        self.taken - self.confirmed
    }

    /// Whether messages were given to it that no PONG covers.
    pub(super) fn is_owed(&self) -> bool {
        self.given() > self.confirmed
    }

    /// Sends a PING after everything in the flight. `waiters` wait for its PONG.
    pub(super) fn ping(&mut self, waiters: Vec<Waiter>, now: Instant) {
        self.flight.push_ping();
        let covers = self.covers(self.given());
        self.liveness.sent(covers, waiters, now);
    }

    /// What a PING covers that is sent after this many messages.
    pub(super) fn covers(&self, messages: u64) -> Covers {
        Covers { messages, through: self.refusals.through(), asked: self.asked.up_to() }
    }

    /// Whether messages may flow.
    pub(super) fn carries(&self) -> bool {
        matches!(self.stage, Stage::Recovering(_) | Stage::Ready)
    }

    /// Whether the handshake is still going on.
    pub(super) fn is_handshake(&self) -> bool {
        matches!(self.stage, Stage::AwaitInfo | Stage::Securing(_) | Stage::Authenticating(_) | Stage::AwaitPong)
    }
}
