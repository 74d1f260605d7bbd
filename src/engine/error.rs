//! Why a connection, an attempt, a subscription or a waiting call ended.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::protocol::{ErrKind, InfoError, ProtocolError, shown};

/// Why an attempt failed or a connection was lost. More reasons may come.
#[non_exhaustive]
#[derive(Clone, Debug, thiserror::Error)]
pub enum Cause {
    /// The server closed the connection without giving a reason.
    #[error("closed by the server")]
    ClosedByServer,
    /// The server gave a reason and closed, or refused the client.
    #[error("server error: {0}")]
    Server(ErrKind),
    /// The transport failed.
    #[error("{}", shown(&.0.to_string()))]
    Io(Arc<io::Error>),
    /// The server's name could not be looked up.
    #[error("the name could not be looked up: {}", shown(&.0.to_string()))]
    Dns(Arc<io::Error>),
    /// The attempt took longer than the connect timeout; the text says how far it got.
    #[error("took longer than {limit:?}, {stage}")]
    TimedOut {
        /// The limit that was reached.
        limit: Duration,
        /// What was being waited for.
        stage: &'static str,
    },
    /// A PING went unanswered for far too long although other bytes came: perhaps from a proxy whose far side is gone.
    #[error("stale connection: no PONG for {waited:?} although other bytes came")]
    Unanswered {
        /// How long the PING had been outstanding.
        waited: Duration,
    },
    /// PINGs went unanswered and nothing else came either.
    #[error("stale connection: no byte for {silent:?} although a PING was outstanding")]
    Stale {
        /// For how long nothing had come.
        silent: Duration,
    },
    /// The transport took no byte for this long although some were waiting.
    #[error("write stalled for {stalled:?}")]
    WriteStalled {
        /// For how long.
        stalled: Duration,
    },
    /// The server spoke something that is not the NATS protocol.
    #[error("protocol error: {0}")]
    Protocol(#[from] ProtocolError),
    /// The server's first INFO could not be parsed.
    #[error("bad INFO: {0}")]
    BadInfo(#[from] InfoError),
    /// The server sent one operation where another was expected.
    #[error("the server sent {got} where {expected} was expected")]
    OutOfTurn {
        /// What it sent.
        got: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// One side requires TLS, and it can't be had.
    #[error("no secure connection: {}", shown(.0))]
    Tls(Arc<str>),
    /// The user's credentials could not be obtained: a callback, a key or a file failed.
    #[error("no credentials: {}", shown(.0))]
    Credentials(Arc<str>),
    /// This build can't dial this address.
    #[error("unsupported: {}", shown(.0))]
    Unsupported(Arc<str>),
    /// The user asked for another connection.
    #[error("reconnect was forced")]
    Forced,
    /// The credentials would have expired soon: another connection was made, with new ones.
    #[error("the credentials were renewed before they expire")]
    Renewal,
    /// The server entered lame duck mode and was left for another.
    #[error("the server is about to stop")]
    LameDuck,
    /// A preferred server was available for long enough, and the present one was left for it.
    #[error("a preferred server is back")]
    Failback,
    /// The user drained or closed the client.
    #[error("closed by the user")]
    ByUser,
    /// The runtime that drove the connection is gone.
    #[error("the runtime that drove the connection is gone")]
    RuntimeGone,
    /// There is no server in the pool.
    #[error("no servers in the pool")]
    NoServers,
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Cause::Io(Arc::new(error))
    }
}

impl PartialEq for Cause {
    /// I/O errors are equal when their kinds are; other causes are compared by value.
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
    /// Roughly how many bytes of foreign text it contains.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Cause::Server(kind) => kind.weight(),
            Cause::Tls(text) | Cause::Credentials(text) | Cause::Unsupported(text) => text.len(),
            _ => 0,
        }
    }

    /// Whether the client left the server, and not the other way round.
    pub fn is_planned(&self) -> bool {
        matches!(self, Cause::Forced | Cause::Renewal | Cause::LameDuck | Cause::Failback)
    }

    /// Whether the present connection is left even if there is no other server to go to yet.
    pub(super) fn is_urgent(&self) -> bool {
        matches!(self, Cause::Forced | Cause::Renewal)
    }

    /// Whether the user or a planned move ended the connection, so that nothing went wrong.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_planned() || *self == Cause::ByUser
    }

    /// Whether only other credentials can help.
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
    /// It received the number of messages given to `unsubscribe_after`.
    #[error("received the {} asked for", counted(*max, "message"))]
    Complete {
        /// That number.
        max: u64,
    },
    /// It was drained: everything sent before its UNSUB was delivered.
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
    /// The consumer was too slow, and the policy is to end the subscription.
    #[error("slow consumer")]
    SlowConsumer,
}

/// A number with its noun, in the singular or plural.
pub(crate) fn counted(number: u64, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// How many messages are in doubt, in words.
pub(crate) fn in_doubt_in_words(messages: u64) -> String {
    format!("{} {} in doubt", counted(messages, "message"), if messages == 1 { "is" } else { "are" })
}

/// Why a flush failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FlushFailure {
    /// Messages of this client are in doubt: a connection was lost after the transport had taken them and before a PONG covered
    /// them. Reported once; the next flush can be Ok.
    #[error("{}: the connection was lost before the server confirmed {}", in_doubt_in_words(*.0), if *.0 == 1 { "it" } else { "them" })]
    InDoubt(u64),
    /// The client ended first.
    #[error("{0}")]
    Ended(EndReason),
}
