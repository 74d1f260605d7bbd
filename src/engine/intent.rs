//! What the user wants of the client as a whole, and who waits for which PONG.

use std::time::{Duration, Instant};

use super::error::EndReason;

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
    /// They are on their way; the PONG after them will say that nothing more comes.
    Interest,
    /// Consumers read what is there, and may still publish. `rest_until`: then those that have taken their last message and have
    /// not come back are waited for no longer.
    Delivering { rest_until: Option<Instant> },
    /// The gate is shut; the PONG after the last message is awaited.
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
    /// A drain: after this PONG the server sends nothing more.
    Interest,
    /// A drain or a close: after this PONG the last message is confirmed.
    Last,
    /// The move to another server.
    Move,
    /// A candidate's server, to know the queue groups.
    Join,
}
