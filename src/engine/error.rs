//! Why a connection, an attempt, a subscription or a waiting call ended: enums with data and blame.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::protocol::{ErrKind, InfoError, ProtocolError, shown};

/// Why an attempt failed or a connection was lost. More reasons may come.
#[non_exhaustive]
#[derive(Clone, Debug, thiserror::Error)]
pub enum Cause {
    /// The server closed the connection without a word.
    #[error("closed by the server")]
    ClosedByServer,
    /// The server said why and closed, or refused us.
    #[error("server error: {0}")]
    Server(ErrKind),
    /// The transport failed.
    #[error("{}", shown(&.0.to_string()))]
    Io(Arc<io::Error>),
    /// The server's name could not be looked up.
    #[error("the name could not be looked up: {}", shown(&.0.to_string()))]
    Dns(Arc<io::Error>),
    /// The attempt took longer than the connect timeout; the text says how far it came.
    #[error("took longer than {limit:?}, {stage}")]
    TimedOut {
        /// The limit that was reached.
        limit: Duration,
        /// What was being waited for.
        stage: &'static str,
    },
    /// A PING went unanswered for far too long, although other bytes came: perhaps from a proxy whose far side is gone.
    #[error("stale connection: no PONG for {waited:?} although other bytes came")]
    Unanswered {
        /// How long the PING had been out.
        waited: Duration,
    },
    /// PINGs went unanswered and nothing else came either.
    #[error("stale connection: no byte for {silent:?} although a PING was out")]
    Stale {
        /// For how long nothing had come.
        silent: Duration,
    },
    /// The transport took no byte for this long although some waited.
    #[error("write stalled for {stalled:?}")]
    WriteStalled {
        /// For how long.
        stalled: Duration,
    },
    /// The server spoke something that is not the NATS protocol.
    #[error("protocol error: {0}")]
    Protocol(#[from] ProtocolError),
    /// The server's first INFO could not be read.
    #[error("bad INFO: {0}")]
    BadInfo(#[from] InfoError),
    /// The server sent this operation when another was due.
    #[error("the server sent {got} where {expected} was due")]
    OutOfTurn {
        /// What came.
        got: &'static str,
        /// What should have come.
        expected: &'static str,
    },
    /// TLS is wanted by one side and can't be had.
    #[error("no secure connection: {}", shown(.0))]
    Tls(Arc<str>),
    /// The user's credentials could not be had: a callback, a key or a file failed.
    #[error("no credentials: {}", shown(.0))]
    Credentials(Arc<str>),
    /// This build or this address can't be dialled.
    #[error("unsupported: {}", shown(.0))]
    Unsupported(Arc<str>),
    /// The user asked for another connection.
    #[error("reconnect was forced")]
    Forced,
    /// The credentials would have expired soon: another connection was made, with new ones.
    #[error("the credentials were renewed before they expire")]
    Renewal,
    /// The server said that it will stop (lame duck mode), and was left for another.
    #[error("the server is about to stop")]
    LameDuck,
    /// A preferred server has been there for a while, and the present one was left for it.
    #[error("a preferred server is back")]
    Failback,
    /// The user drains or closes.
    #[error("closed by the user")]
    ByUser,
    /// The runtime that drove the connection is gone.
    #[error("the runtime that drove the connection is gone")]
    RuntimeGone,
    /// The pool holds no server.
    #[error("no servers in the pool")]
    NoServers,
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Cause::Io(Arc::new(error))
    }
}

impl PartialEq for Cause {
    /// I/O errors are equal when their kinds are; the rest is compared by value.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Cause::Io(a), Cause::Io(b)) | (Cause::Dns(a), Cause::Dns(b)) => a.kind() == b.kind(),
            (Cause::Server(a), Cause::Server(b)) => a == b,
            (Cause::Protocol(a), Cause::Protocol(b)) => a == b,
            _ => self.to_string() == other.to_string(),
        }
    }
}

impl Cause {
    /// About how many bytes of texts from outside it holds.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Cause::Server(kind) => kind.weight(),
            Cause::Tls(text) | Cause::Credentials(text) | Cause::Unsupported(text) => text.len(),
            _ => 0,
        }
    }

    /// Whether we have left the server, and it was not the server that has left us.
    pub fn is_planned(&self) -> bool {
        matches!(self, Cause::Forced | Cause::Renewal | Cause::LameDuck | Cause::Failback)
    }

    /// Whether the present connection is to be left even where there is nothing to go to yet.
    pub(super) fn is_urgent(&self) -> bool {
        matches!(self, Cause::Forced | Cause::Renewal)
    }

    /// Whether the user or a plan of ours has ended the connection, and nothing went wrong.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_planned() || *self == Cause::ByUser
    }

    /// Whether there is no way in without other credentials.
    pub(crate) fn is_refusal(&self) -> bool {
        self.is_auth() || matches!(self, Cause::Credentials(_))
    }

    /// Whether the server refused our credentials.
    pub fn is_auth(&self) -> bool {
        matches!(self, Cause::Server(kind) if kind.is_auth())
    }
}

/// Why a subscription's stream, or the client itself, ended. More reasons may come.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EndReason {
    /// It was unsubscribed or dropped.
    #[error("unsubscribed")]
    Unsubscribed,
    /// It had received the number of messages that `unsubscribe_after` named.
    #[error("received the {} asked for", counted(*max, "message"))]
    Complete {
        /// That number.
        max: u64,
    },
    /// It was drained: everything sent before the UNSUB was delivered.
    #[error("drained")]
    Drained,
    /// The server refused it.
    #[error("refused by the server: {0}")]
    Refused(ErrKind),
    /// The client was closed.
    #[error("the client was closed")]
    Closed,
    /// Reconnecting was given up.
    #[error("reconnecting was given up: {0}")]
    GaveUp(Cause),
    /// The runtime that drove the connection is gone.
    #[error("the runtime that drove the connection is gone")]
    DriverGone,
    /// The consumer was too slow and the policy says close.
    #[error("slow consumer")]
    SlowConsumer,
}

/// So many of what `one` is called, in words.
pub(crate) fn counted(number: u64, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// So many messages are in doubt, in words.
pub(crate) fn in_doubt_in_words(messages: u64) -> String {
    format!("{} {} in doubt", counted(messages, "message"), if messages == 1 { "is" } else { "are" })
}

/// How a flush failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FlushFailure {
    /// Messages of this client are in doubt: a connection was lost after the transport had taken them and
    /// before a PONG covered them. Said once; the next flush can be Ok.
    #[error("{}: the connection was lost before the server confirmed {}", in_doubt_in_words(*.0), if *.0 == 1 { "it" } else { "them" })]
    InDoubt(u64),
    /// The client ended first.
    #[error("{0}")]
    Ended(EndReason),
}
