//! What the engine wants done: values that the driver carries out in order.

use std::time::Duration;

use super::error::{Cause, EndReason, FlushFailure};
use super::outbox::DroppedRun;
use super::refusals::RefusedName;
use super::report::ConnectionEvent;
use crate::protocol::ServerAddr;

/// One thing to do. `H` is the driver's handle of a subscription.
#[derive(Debug)]
pub enum Effect<H> {
    /// Ask the user's callbacks for the server and the delay of the next attempt; answer with `handle_choice` and this `ask`.
    Choose {
        /// Identifies the question.
        ask: u64,
        /// Number of the attempt since the last connection, from 1.
        attempt: u64,
        /// Whether the server is asked for too, not only the delay.
        server: bool,
    },
    /// Get a byte stream to `addr`; answer with `handle_dialed` or `handle_dial_failed`, or with `handle_dial_waits` if the
    /// dial can't begin yet. The engine keeps the time, and `StopDialing` follows when it is up.
    Dial {
        /// Identifies the attempt.
        epoch: u64,
        /// Where to.
        addr: ServerAddr,
    },
    /// Leave the connection of epoch `after` as with [`Close`](Effect::Close), and get a byte stream to one of the other
    /// addresses of that server; answer as for [`Dial`](Effect::Dial). This comes only if
    /// [`handle_dialed`](super::Engine::handle_dialed) reported other addresses.
    DialNext {
        /// Identifies the attempt from here on.
        epoch: u64,
        /// The connection whose handshake failed.
        after: u64,
        /// How to leave it.
        how: CloseHow,
        /// The server.
        addr: ServerAddr,
    },
    /// Upgrade the byte stream of that epoch to TLS; answer with `handle_upgraded` or `handle_upgrade_failed`. Bytes that were
    /// read before and not yet given to the engine are never parsed: plaintext after INFO is a failure.
    Upgrade {
        /// Identifies the connection.
        epoch: u64,
        /// The server, whose name the certificate must match.
        addr: ServerAddr,
    },
    /// Ask for the user's credentials; answer with `handle_credentials` for that epoch.
    Authenticate {
        /// Identifies the connection.
        epoch: u64,
        /// The nonce that the server wants signed, if any.
        nonce: Option<String>,
        /// `host:port` of the server.
        server: String,
        /// Number of the attempt since the last connection, from 1.
        attempt: u64,
        /// Why the last attempt failed or the last connection was lost.
        last_error: Option<Cause>,
    },
    /// Stop dialling for that epoch.
    StopDialing {
        /// Identifies the attempt.
        epoch: u64,
    },
    /// Leave the connection of that epoch.
    Close {
        /// Identifies the connection.
        epoch: u64,
        /// How to leave it.
        how: CloseHow,
    },
    /// Report this to the user.
    Emit(ConnectionEvent),
    /// A flush is complete.
    Complete {
        /// The token given to `flush`.
        token: u64,
        /// Its outcome.
        outcome: Result<(), FlushFailure>,
    },
    /// Nothing more will come for a subscription: mark the end of its stream after the last message. Answer with
    /// `handle_last_taken` when its consumer has taken that message, and with `handle_finished` when the consumer asks for
    /// another, or if there was none.
    Draining {
        /// The subscription.
        sid: u64,
    },
    /// A subscription has left the table; its stream ends after what was delivered.
    Ended {
        /// The driver's handle.
        handle: H,
        /// Why.
        reason: EndReason,
    },
    /// Messages up to this sequence number were given to a transport that is gone, and are not sent again.
    HandedOver {
        /// The last one before those that are in doubt.
        after: u64,
        /// The last such number.
        through: u64,
        /// How many are in doubt.
        in_doubt: u64,
    },
    /// These buffered messages were lost on our side; the next event reports them.
    Dropped {
        /// Which.
        sequences: Vec<DroppedRun>,
    },
    /// The server of the present connection refuses messages with these subjects among those numbered `after + 1..=through`: no
    /// reply will come to them.
    Refusing {
        /// The subjects.
        names: Vec<RefusedName>,
        /// The last message that a PONG covers.
        after: u64,
        /// The last message that the server may have been given.
        through: u64,
    },
    /// The server has refused the messages with these subjects among those numbered `after + 1..=through`. They are not sent
    /// again.
    Refused {
        /// The subjects.
        names: Vec<RefusedName>,
        /// The last message before.
        after: u64,
        /// Messages up to this one had been taken by an earlier connection (at least once only), so a server may have processed
        /// them. The others were processed by none.
        again: u64,
        /// The last message.
        through: u64,
    },
    /// A PONG has come after the messages up to this sequence number, as requested with
    /// [`Outbox::want_pong`](super::Outbox::want_pong). It confirms all of them that were not refused, handed over or dropped
    /// before.
    Confirmed {
        /// The last such number.
        through: u64,
    },
    /// Everything has ended; only the event that reports it follows.
    Closed {
        /// Why.
        reason: EndReason,
        /// Whether everything that was asked for was done, and nothing was dropped.
        completed: bool,
    },
}

/// What the user's callbacks chose for the next attempt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// The server, one of the pool; `None`: the next one by the pool's own rule.
    pub server: Option<ServerAddr>,
    /// The delay; `None`: until the server is due by its backoff.
    pub delay: Option<Duration>,
}

/// How to leave a connection (D7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseHow {
    /// The peer is given up: none of our bytes may reach it later.
    Reset,
    /// The connection is over already.
    Drop,
    /// Everything was flushed: half-close, then read to the end.
    Finish,
}
