//! What the user wants of the client as a whole, and the waiters for PONGs.

use std::time::{Duration, Instant};

use super::error::EndReason;

/// What the user wants.
#[derive(Debug)]
pub(super) enum Intent {
    Run,
    Drain {
        deadline: Instant,
        /// How long a consumer may keep the last message before it counts as having stopped reading.
        answer_within: Duration,
        /// Messages that were in doubt before.
        in_doubt: u64,
        stage: DrainStage,
    },
    /// A last PING was sent, or will be. `drained`: a drain had begun before.
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
    /// UNSUBs have to be sent.
    Begin,
    /// UNSUBs were sent; after the PONG that follows nothing more comes.
    Interest,
    /// Consumers read what has arrived, and may still publish. `rest_until`: how long the client waits for consumers that have
    /// taken their last message and not come back.
    Delivering { rest_until: Option<Instant> },
    /// The gate is shut; the PONG after the last message is awaited.
    Publishing { asked: bool },
}

/// A waiter for a PONG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Waiter {
    /// A flush; `seen`: the in-doubt total that its handle has reported.
    Flush { token: u64, seen: u64 },
    /// A publisher that wants a message up to this sequence number confirmed. After a loss the outbox knows which are still to
    /// be confirmed.
    Publisher { through: u64 },
    /// A subscription that is being drained.
    Subscription(u64),
    /// A drain: after this PONG the server sends nothing more.
    Interest,
    /// A drain or a close: this PONG confirms the last message.
    Last,
    /// The move to another server.
    Move,
    /// A candidate: its server knows the queue groups after this PONG.
    Join,
}
