//! What happened on a line. The engine decides what follows.

use std::sync::Arc;

use super::effect::CloseHow;
use super::error::Cause;
use super::intent::Waiter;
use super::liveness::Ping;
use crate::protocol::{ErrKind, Info};

/// What happened on one line, as far as other parts depend on it.
#[derive(Debug)]
pub(super) enum Happened {
    Nothing,
    /// The server could not be reached in time.
    NotDialed(Cause),
    /// Nothing has come back in the stage that is named, and another server is due.
    PutAside(&'static str),
    /// The server's INFO. `first`: it is the first one of this connection.
    Info {
        info: Arc<Info>,
        first: bool,
    },
    /// The PONG of the handshake: the server has accepted the client.
    HandshakeDone,
    /// The PONG to a later PING.
    Pong(Ping<Waiter>),
    /// The server sent `-ERR`.
    Error(ErrKind),
    /// The PONG of a planned move has not come in time.
    MoveTimedOut,
    /// The credentials will expire soon.
    Expiring,
    /// The recovery is announced although messages are still buffered.
    RecoveryTimedOut,
    /// The connection ends.
    Lost(Cause, CloseHow),
}
