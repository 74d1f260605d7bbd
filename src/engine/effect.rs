//! What the engine wants done. Effects are values; the driver carries them out in order.

use std::time::Duration;

use super::error::{Cause, EndReason, FlushFailure};
use super::outbox::DroppedRun;
use super::refusals::RefusedName;
use super::report::ConnectionEvent;
use crate::protocol::ServerAddr;

/// One thing to do. `H` is the driver's handle of a subscription.
#[derive(Debug)]
pub enum Effect<H> {
    /// Ask the user's callbacks where the next attempt goes and when; answer with `handle_choice` of that `ask`.
    Choose {
        /// Names the question.
        ask: u64,
        /// Number of the attempt since the last connection, from 1.
        attempt: u64,
        /// Whether the server is asked for, beside the delay.
        server: bool,
    },
    /// Get a byte stream to `addr`; answer with `handle_dialed` or `handle_dial_failed` of that epoch, or with
    /// `handle_dial_waits` if it can't begin yet. The engine keeps the time, and says `StopDialing` when it is over.
    Dial {
        /// Names the attempt.
        epoch: u64,
        /// Where to.
        addr: ServerAddr,
    },
    /// Leave the connection of the epoch `after`, in the way of [`Close`](Effect::Close), and get a byte stream to one of the
    /// other addresses of that server; answer as to [`Dial`](Effect::Dial). Comes only where
    /// [`handle_dialed`](super::Engine::handle_dialed) said that there are some.
    DialNext {
        /// Names what the attempt becomes.
        epoch: u64,
        /// The connection whose handshake came to nothing.
        after: u64,
        /// In which way that is left.
        how: CloseHow,
        /// The server.
        addr: ServerAddr,
    },
    /// Upgrade the byte stream of that epoch to TLS; answer with `handle_upgraded` or `handle_upgrade_failed`. What was
    /// read from it and not yet handed to the engine is never parsed: bytes in clear after INFO are a failure.
    Upgrade {
        /// Names the connection.
        epoch: u64,
        /// The server, whose name its certificate must have.
        addr: ServerAddr,
    },
    /// Ask for the user's credentials; answer with `handle_credentials` of that epoch.
    Authenticate {
        /// Names the connection.
        epoch: u64,
        /// What the server wants signed, if it wants something signed.
        nonce: Option<String>,
        /// `host:port` of the server.
        server: String,
        /// Number of the attempt since the last connection, from 1.
        attempt: u64,
        /// Why the last attempt failed, or the last connection was lost.
        last_error: Option<Cause>,
    },
    /// Stop the dialling of that epoch.
    StopDialing {
        /// Names the attempt.
        epoch: u64,
    },
    /// Leave the connection of that epoch.
    Close {
        /// Names the connection.
        epoch: u64,
        /// In which way.
        how: CloseHow,
    },
    /// Tell the user.
    Emit(ConnectionEvent),
    /// A flush has ended.
    Complete {
        /// The token that came with it.
        token: u64,
        /// Its outcome.
        outcome: Result<(), FlushFailure>,
    },
    /// Nothing more comes for a subscription: say so after its last message, and answer with `handle_last_taken` when
    /// its consumer has taken that, and with `handle_finished` when it comes back for more or there was nothing to read.
    Draining {
        /// The subscription.
        sid: u64,
    },
    /// A subscription is out of the table; its stream ends after what was delivered.
    Ended {
        /// The subscription.
        sid: u64,
        /// The driver's handle.
        handle: H,
        /// Why.
        reason: EndReason,
    },
    /// Messages up to this sequence number were handed to a transport that is gone, and are not sent again.
    HandedOver {
        /// The last such number.
        through: u64,
        /// How many are in doubt.
        in_doubt: u64,
    },
    /// These messages were lost on our side while they waited, as the event after this reports.
    Dropped {
        /// Which.
        sequences: Vec<DroppedRun>,
    },
    /// The server of the present connection refuses messages with these subjects among those with the sequence numbers
    /// `after + 1..=through`: to them no reply will come.
    Refusing {
        /// The subjects.
        names: Vec<RefusedName>,
        /// The last message that a PONG covers.
        after: u64,
        /// The last message that the server may have been given.
        through: u64,
    },
    /// The messages with these subjects among those with the sequence numbers `after + 1..=through` were refused by the
    /// server, and are not sent again.
    Refused {
        /// The subjects.
        names: Vec<RefusedName>,
        /// The last message before.
        after: u64,
        /// Up to this one, another connection had taken the messages before (at least once only): whether its server has
        /// processed them is not known. The others nobody has.
        again: u64,
        /// The last message.
        through: u64,
    },
    /// A PONG came after the messages up to this sequence number, as somebody wanted: see
    /// [`Outbox::want_pong`](super::Outbox::want_pong). Those of them that were refused, handed over or dropped before are not
    /// confirmed by it; all others are.
    Confirmed {
        /// The last such number.
        through: u64,
    },
    /// Everything has ended; only the event that says so follows.
    Closed {
        /// Why.
        reason: EndReason,
        /// Whether all that was asked for was done: nothing was given up.
        completed: bool,
    },
}

/// What the user's callbacks say of the next attempt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Which server, one of the pool; `None`: the next by the pool's own rule.
    pub server: Option<ServerAddr>,
    /// After how long; `None`: when the server is due by its backoff.
    pub delay: Option<Duration>,
}

/// How to leave a connection (D7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseHow {
    /// The peer is given up: no byte of ours may reach it later.
    Reset,
    /// The connection is over already.
    Drop,
    /// Everything was flushed: half-close, and read to the end.
    Finish,
}
