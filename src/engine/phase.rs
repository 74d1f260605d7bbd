//! The phases: what the link does × what the user intends. Nothing else says in which state the engine is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::asked::Asked;
use super::error::{Cause, EndReason};
use super::liveness::{Covers, Liveness};
use super::pool::ServerId;
use super::refusals::Refusals;
use super::replay::Replay;
use super::time::after;
use crate::protocol::{ErrKind, Info, ServerAddr};

/// The connection, or the way to one.
///
/// ```text
///            connect, force_reconnect
///   Idle ─────────────────▶ (Choosing ─▶) Backoff ◀──────────────┐
///    ▲                       callbacks      │ due                │ failed
///    │ gave up                              ▼                    │
///    ├───────────────────────────────── Dialing ────────────────▶┤
///    │                                      │ byte stream        │
///    │                                      ▼                    │
///    │            Up { AwaitInfo ──────────────────────────────▶┤
///    │          ▲ TLS first  │ INFO                              │
///    │          └─ Securing ◀┤ TLS wanted                        │
///    │                   └──▶▼                                   │
///    │            (Authenticating ─▶) AwaitPong ────────────────▶┤
///    │                                      │ PONG               │
///    │                                      ▼                    │
///    │                                  Replaying ───────────────┤
///    │                                      │ SUBs handed over   │
///    │                                      ▼ gate opens         │
///    │                                  Recovering ──────────────┤
///    │                                      │ held messages      │
///    │                                      ▼ taken, or 1 s      │
///    │            force_reconnect ┌───── Ready ─────▶ Lost ──────┘
///    │                            ▼ gate held    ▲   settled }
///    │                          Moving ─────────┘
///    │                             PONG, or 2 s
/// ```
#[derive(Debug)]
pub(super) enum Link {
    /// Nothing is sought: not started, given up, or closed.
    Idle,
    /// Reconnecting ends here, as soon as the outbox can be settled.
    GivingUp(Cause),
    /// The user's callbacks are asked where the next attempt goes and when; no longer than `until`.
    Choosing { ask: u64, until: Instant },
    /// Until the next server is due. `chosen`: the one that is dialled then, unless it has left the pool.
    Backoff { until: Instant, chosen: Option<ServerId> },
    /// The driver looks names up, connects, secures.
    Dialing(Box<Attempt>),
    /// There is a byte stream.
    Up(Box<Connection>),
}

/// One try to reach one server.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// Names this attempt, and the connection that it becomes; stimuli of others are stale.
    pub(super) epoch: u64,
    pub(super) purpose: Purpose,
    pub(super) server: ServerId,
    /// Kept here too: the pool may be replaced meanwhile.
    pub(super) addr: ServerAddr,
    /// `host:port`, for events.
    pub(super) endpoint: String,
    /// Number since the last connection, from 1.
    pub(super) number: u64,
    /// How long it may take, PONG included.
    pub(super) limit: Duration,
    /// When it has taken so long; `None`: it has not begun, since its dial waits for its turn.
    pub(super) deadline: Option<Instant>,
    /// When it gives way to another server, if nothing has come back by then.
    pub(super) aside_at: Option<Instant>,
    /// Addresses of the server's name that were not tried yet.
    pub(super) others: usize,
    /// The server that is to be left and has this id, if its own address is dialled again: there may be another behind it.
    pub(super) leaves: Option<String>,
    /// Why the handshake failed at the last address that had accepted.
    pub(super) failure: Option<Cause>,
}

/// An address that has accepted and says nothing is given no more time than this while there are others. Arbitrary; a server
/// says INFO as soon as it has accepted.
const SILENT_ADDRESS: Duration = Duration::from_secs(1);

impl Attempt {
    /// When it began; `None`: not yet.
    pub(super) fn began(&self) -> Option<Instant> {
        self.deadline.and_then(|deadline| deadline.checked_sub(self.limit))
    }
}

/// What an attempt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// There is no connection.
    Link,
    /// To take the place of the present one.
    Move,
}

/// A byte stream to a server. `confirmed <= taken`.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) attempt: Attempt,
    pub(super) stage: Stage,
    /// Since when there is a byte stream.
    pub(super) since: Instant,
    pub(super) liveness: Liveness<Waiter>,
    /// Messages that the transport took wholly.
    pub(super) taken: u64,
    /// Messages that a PONG covers.
    pub(super) confirmed: u64,
    /// What its server has refused of the others.
    pub(super) refusals: Refusals,
    /// The SUBs that no PONG covers.
    pub(super) asked: Asked,
    /// What was held for this connection is not yet all taken, although it was announced.
    pub(super) recovery: Option<Recovery>,
    /// When the transport took a byte last, or the flight became non-empty.
    pub(super) progress: Instant,
    /// The last `-ERR` after which a server closes: the reason, once the socket says that it did.
    pub(super) said: Option<ErrKind>,
    /// Writing failed: we read on until the server's reason comes or this time is reached (DECISIONS D6).
    pub(super) broken: Option<(Instant, Cause)>,
    /// It is TLS.
    pub(super) secured: bool,
    /// When it is to be replaced, because its credentials expire soon after.
    pub(super) renew_at: Option<Instant>,
}

/// How far a connection has come.
#[derive(Debug)]
pub(super) enum Stage {
    AwaitInfo,
    /// The driver upgrades the link to TLS: before INFO (`None`), or behind this one.
    Securing(Option<Arc<Info>>),
    /// The user's credentials are asked for.
    Authenticating(Arc<Info>),
    AwaitPong,
    /// SUBs are on their way; the gate is held.
    Replaying(Replay),
    /// The gate is open; `Reconnected` is said when the messages that were held are taken, or at `until`.
    Recovering(Recovering),
    Ready,
    /// The connection is to be left for another: the gate is held, and the PONG behind what was loaded is awaited
    /// until then, so that nothing is in doubt.
    Moving {
        until: Instant,
        cause: Cause,
    },
    /// The handshake is done, and the present connection has its place still.
    Standby(Readiness),
    /// The end of this connection; the outbox is settled in the next exchange.
    Lost(Cause),
}

/// How far a connection on standby has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Fresh,
    /// SUBs of queue groups and of the inbox of requests are on their way.
    Joining,
    /// The server has processed them. The present one is left when the others of the cluster know of it too.
    Joined {
        leave_at: Instant,
    },
}

/// What must be taken before a new connection is announced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recovering {
    /// Bytes of the replay that the transport has not taken.
    pub(super) replay_left: usize,
    /// Messages that were held when the gate opened.
    pub(super) held: u64,
    /// Subscriptions that were replayed.
    pub(super) replayed: usize,
    /// It counts when the replay was taken.
    pub(super) until: Instant,
}

/// What remains of a recovery after the announcement. `flushed < held`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recovery {
    /// Messages that were held when the gate opened.
    pub(super) held: u64,
    /// Those that were taken when it was announced.
    pub(super) flushed: u64,
    /// When the connection before was lost.
    pub(super) since: Instant,
}

/// What the user wants.
#[derive(Debug)]
pub(super) enum Intent {
    Run,
    Drain {
        deadline: Instant,
        /// How long a consumer may keep the last message before it is taken for one that has stopped reading.
        answer_within: Duration,
        stage: DrainStage,
    },
    /// A last PING is out, or will be. `drained`: a drain had begun before.
    Close {
        deadline: Instant,
        asked: bool,
        drained: bool,
    },
    /// Everything ends in the next exchange.
    End {
        reason: EndReason,
        completed: bool,
    },
    Closed,
}

/// How far a drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DrainStage {
    /// UNSUBs are to be sent.
    Begin,
    /// They are on their way; the PONG behind them will say that nothing more comes.
    Interest,
    /// Consumers read what is there, and may still publish. `rest_until`: then those that have taken their last message and have
    /// not come back are waited for no longer.
    Delivering { rest_until: Option<Instant> },
    /// The gate is shut; the PONG behind the last message is awaited.
    Publishing { asked: bool },
}

/// Who waits for a PONG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Waiter {
    /// A flush; `seen`: the in-doubt total that its handle has reported.
    Flush { token: u64, seen: u64 },
    /// Who published a message up to this sequence number and wants it confirmed. After a loss the outbox knows what still is
    /// to be.
    Publisher { through: u64 },
    /// A subscription being drained.
    Subscription(u64),
    /// A drain: behind this PONG the server sends nothing more.
    Interest,
    /// A drain or a close: behind this PONG the last message is confirmed.
    Last,
    /// The move to another server.
    Move,
    /// A candidate's server, to know the queue groups.
    Join,
}

impl Link {
    pub(super) fn connection(&self) -> Option<&Connection> {
        match self {
            Link::Up(connection) => Some(connection),
            _ => None,
        }
    }

    /// Whether it is the connection of `epoch`, and that is not over.
    pub(super) fn is_live(&self, epoch: u64) -> bool {
        self.connection()
            .is_some_and(|connection| connection.attempt.epoch == epoch && !matches!(connection.stage, Stage::Lost(_)))
    }

    /// Whether there is a connection that has not failed on the writing side.
    pub(super) fn can_write(&self) -> bool {
        self.connection()
            .is_some_and(|connection| connection.broken.is_none() && !matches!(connection.stage, Stage::Lost(_)))
    }

    /// The connection of `epoch`, unless that is over.
    pub(super) fn live(&mut self, epoch: u64) -> Option<&mut Connection> {
        match self {
            Link::Up(connection)
                if connection.attempt.epoch == epoch && !matches!(connection.stage, Stage::Lost(_)) =>
            {
                Some(connection)
            }
            _ => None,
        }
    }
}

impl Connection {
    /// What a PING covers that is sent behind so many messages.
    pub(super) fn covers(&self, messages: u64) -> Covers {
        Covers { messages, through: self.refusals.through(), asked: self.asked.up_to() }
    }

    /// Whether messages may flow.
    pub(super) fn carries(&self) -> bool {
        matches!(self.stage, Stage::Recovering(_) | Stage::Ready)
    }

    /// Whether the attempt has a deadline still: the handshake, and what goes before a planned move.
    pub(super) fn is_prepared(&self) -> bool {
        self.is_handshake() || matches!(self.stage, Stage::Standby(Readiness::Joining))
    }

    /// When the handshake is tried at the next address of the name, because nothing comes from this one. The time that is left
    /// is shared out evenly; what has not even said INFO is no server, perhaps, and gets less.
    pub(super) fn next_address_at(&self) -> Option<Instant> {
        let deadline = self.attempt.deadline.filter(|_| self.attempt.others > 0)?;
        let others = u32::try_from(self.attempt.others).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(self.progress) / others.saturating_add(1);
        match self.stage {
            Stage::AwaitInfo => Some(after(self.progress, share.min(SILENT_ADDRESS))),
            Stage::Securing(_) | Stage::AwaitPong => Some(after(self.progress, share)),
            _ => None,
        }
    }

    /// When a server that has accepted and says nothing gives way to another one.
    pub(super) fn aside_at(&self) -> Option<Instant> {
        let at =
            self.attempt.aside_at.filter(|_| matches!(self.stage, Stage::AwaitInfo) && self.attempt.others == 0)?;
        Some(at.max(after(self.progress, SILENT_ADDRESS)))
    }

    /// Whether the handshake is still going on.
    pub(super) fn is_handshake(&self) -> bool {
        matches!(self.stage, Stage::AwaitInfo | Stage::Securing(_) | Stage::Authenticating(_) | Stage::AwaitPong)
    }
}
