//! What the engine reports: the six states, and the events of a connection's life.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::engine::error::{Cause, EndReason};
use crate::engine::ledger::Lost;
use crate::engine::outbox::LostMessages;
use crate::protocol::{Info, Subject};

/// The state of a client, a pure function of the engine's phase.
///
/// Displayed and serialised as one lower-case word, such as `reconnecting`.
///
/// ```text
///                 connect                first attempt failed
/// Disconnected ───────────▶ Connecting ─────────────────────▶ Reconnecting ◀──┐
///      ▲                        │                               │   │         │ lost
///      │                        └────────────▶ Connected ◀──────┘   │         │
///      │ retries exhausted                      │   │ └─────────────┼─────────┘
///      └────────────────────────────────────────┼───┼───────────────┘
///                             Draining ◀────────┘   │ close (from every state)
///                                └────▶ Closed ◀────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not connected and not connecting: never connected, retries exhausted, or reconnecting is off.
    Disconnected,
    /// Connecting, and nothing has failed since `connect`.
    Connecting,
    /// Messages flow.
    Connected,
    /// Connecting after a loss or a failed first attempt.
    Reconnecting,
    /// `drain` has begun: no new subscriptions, and existing ones are read to their end.
    Draining,
    /// The end. A closed client can't be used again.
    Closed,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Disconnected => "disconnected",
            Status::Connecting => "connecting",
            Status::Connected => "connected",
            Status::Reconnecting => "reconnecting",
            Status::Draining => "draining",
            Status::Closed => "closed",
        })
    }
}

/// Something that happened to the connection, reported in order.
///
/// `Connected`/`Reconnected` and `Disconnected` strictly alternate. A listener that reads too slowly gets fewer events, and yet
/// the sums stay exact: the oldest outages are folded into one. More fields and kinds may be added: match with `..`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// The first connection is ready: subscriptions are at the server, messages flow.
    #[non_exhaustive]
    Connected {
        /// `host:port` of the server.
        server: String,
        /// Attempts that it took, the successful one included.
        attempts: u64,
    },
    /// A later connection is ready: subscriptions were replayed first, then the buffered messages.
    #[non_exhaustive]
    Reconnected {
        /// `host:port` of the server.
        server: String,
        /// The previous server.
        previous: Option<String>,
        /// Time since the loss.
        downtime: Duration,
        /// Attempts that it took, the successful one included.
        attempts: u64,
        /// How many subscriptions were replayed.
        subscriptions: usize,
        /// How many buffered messages the transport has taken so far.
        flushed: u64,
        /// How many messages were lost on our side since the loss, not counting those that expired.
        dropped: u64,
        /// How many buffered messages were too old to be sent.
        expired: u64,
        /// How many messages were in doubt at the loss, as [`Disconnected`](ConnectionEvent::Disconnected) said.
        in_doubt: u64,
        /// The round trip to this server: from CONNECT and PING to the PONG.
        rtt: Duration,
        /// How many buffered messages are still to be sent. This event comes no later than a second after the subscriptions
        /// were written; if messages are still waiting then, [`RecoveryDone`](ConnectionEvent::RecoveryDone) follows.
        still_buffered: u64,
        /// How many earlier outages are folded into this event, because nobody read them in time.
        folded: u64,
    },
    /// The transport has taken the last of the messages that were still buffered when
    /// [`Reconnected`](ConnectionEvent::Reconnected) was reported. Not reported if the connection is lost before that.
    #[non_exhaustive]
    RecoveryDone {
        /// `host:port` of the server.
        server: String,
        /// How many buffered messages the transport has taken in all.
        flushed: u64,
        /// Those of them that it took after `Reconnected`.
        late: u64,
        /// Time from the loss to the last buffered message.
        took: Duration,
    },
    /// The connection was lost.
    #[non_exhaustive]
    Disconnected {
        /// `host:port` of the server that was lost.
        server: String,
        /// Why.
        cause: Cause,
        /// Messages that the transport had taken completely and no PONG covered: the server may or may not have processed them.
        /// At most once, they are never sent again.
        in_doubt: u64,
        /// Messages that wait for the next connection.
        buffered: u64,
        /// How many later outages are folded into this event, because nobody read them in time. Server and cause are those of
        /// the first.
        folded: u64,
    },
    /// A server is being dialled.
    #[non_exhaustive]
    Connecting {
        /// `host:port` of the server.
        server: String,
        /// Number of this attempt since the last connection, from 1.
        attempt: u64,
        /// How long no attempt was made before this one, since the last one failed or the connection was lost.
        waited: Duration,
    },
    /// An attempt failed.
    #[non_exhaustive]
    AttemptFailed {
        /// `host:port` of the server.
        server: String,
        /// Number of this attempt since the last connection, from 1.
        attempt: u64,
        /// Why.
        cause: Cause,
        /// When this server is due again.
        retry_in: Duration,
    },
    /// The server sent its first INFO, or something in its INFO has changed.
    #[non_exhaustive]
    ServerInfo {
        /// `host:port` of the server.
        server: String,
        /// Its content: id, name, version, cluster, limits and so on.
        info: Arc<Info>,
    },
    /// The cluster's gossip (`connect_urls` in INFO) added or removed servers; or a server was removed because it kept refusing
    /// our credentials or has failed as often as it may.
    #[non_exhaustive]
    ServersChanged {
        /// New in the pool.
        added: Vec<String>,
        /// Gone from the pool.
        removed: Vec<String>,
    },
    /// The callback that chooses a server has named one that is not in the pool; the pool's own rule was followed.
    #[non_exhaustive]
    ServerNotInPool {
        /// The `host:port` that it named.
        server: String,
    },
    /// The server sent an `-ERR`. What follows shows whether the connection survives.
    #[non_exhaustive]
    ServerError {
        /// `host:port` of the server.
        server: String,
        /// The error, typed.
        error: crate::protocol::ErrKind,
    },
    /// The server is about to shut down and has asked clients to move (`ldm` in INFO).
    #[non_exhaustive]
    LameDuck {
        /// `host:port` of the server.
        server: String,
    },
    /// A subscription has begun to drop messages because its consumer is too slow.
    #[non_exhaustive]
    SlowConsumer {
        /// The subscription's id.
        sid: u64,
        /// Messages that it has dropped so far.
        dropped: u64,
    },
    /// A message from the server exceeds the [`limits`](crate::ConnectOptions::limits). It was skipped, and counts as dropped
    /// for its subscription.
    #[non_exhaustive]
    MessageTooLarge {
        /// The subscription's id.
        sid: u64,
        /// The message's subject.
        subject: Subject,
        /// Header block and payload together, or the header block alone if that is what exceeds its limit, in bytes.
        size: u64,
        /// The limit that it exceeds, in bytes.
        limit: usize,
    },
    /// Accepted messages were lost on our side, and are returned with the reason; or the server refused them (they are then
    /// returned only at least once, since otherwise they are not kept).
    #[non_exhaustive]
    Lost {
        /// How many, by reason.
        lost: Lost,
        /// The messages. At most 1 MiB of them is kept for a listener; messages lost beyond that are only counted, so there may
        /// be fewer here than in `lost`.
        messages: LostMessages,
    },
    /// At least once only: messages that a lost connection had taken are not sent again after all, because the client ends or
    /// gives up. The server may or may not have processed them.
    #[non_exhaustive]
    LeftInDoubt {
        /// How many.
        messages: u64,
    },
    /// While no server is connected, buffered messages have reached 80 % of the cap: the overflow policy will soon apply.
    /// Reported once, until [`BufferLow`](ConnectionEvent::BufferLow).
    #[non_exhaustive]
    BufferHigh {
        /// Buffered bytes.
        pending: usize,
        /// The cap, in bytes.
        limit: usize,
    },
    /// After [`BufferHigh`](ConnectionEvent::BufferHigh): buffered messages have fallen below 70 % of the cap.
    #[non_exhaustive]
    BufferLow {
        /// Buffered bytes.
        pending: usize,
        /// The cap, in bytes.
        limit: usize,
    },
    /// The client has stopped reconnecting; see [`Status::Disconnected`].
    #[non_exhaustive]
    GaveUp {
        /// Why the last attempt failed.
        cause: Cause,
        /// Failed attempts since the last stable connection.
        attempts: u64,
        /// `host:port` of each server that has failed since its last stable connection, and why it failed last; at most 64.
        servers: Vec<(String, Cause)>,
    },
    /// `drain` has begun.
    Draining,
    /// The client is closed. No event follows.
    #[non_exhaustive]
    Closed {
        /// Why.
        cause: EndReason,
    },
}

impl ConnectionEvent {
    /// The driver saw a subscription begin to drop messages.
    pub(crate) fn slow_consumer(sid: u64, dropped: u64) -> ConnectionEvent {
        ConnectionEvent::SlowConsumer { sid, dropped }
    }

    /// Roughly how many bytes of foreign text it contains, not counting lost messages.
    pub(crate) fn weight(&self) -> usize {
        let list = |names: &Vec<String>| names.iter().map(|name| name.len() + size_of::<String>()).sum::<usize>();
        match self {
            ConnectionEvent::ServerInfo { server, info } => server.len() + info.weight(),
            ConnectionEvent::ServersChanged { added, removed } => list(added) + list(removed),
            ConnectionEvent::ServerError { server, error } => server.len() + error.weight(),
            ConnectionEvent::Disconnected { server, cause, .. }
            | ConnectionEvent::AttemptFailed { server, cause, .. } => server.len() + cause.weight(),
            ConnectionEvent::GaveUp { cause, servers, .. } => {
                let of =
                    |(server, cause): &(String, Cause)| server.len() + size_of::<(String, Cause)>() + cause.weight();
                cause.weight() + servers.iter().map(of).sum::<usize>()
            }
            ConnectionEvent::MessageTooLarge { subject, .. } => subject.len(),
            _ => 0,
        }
    }

    /// The driver skipped a message that exceeds the limits.
    pub(crate) fn message_too_large(sid: u64, subject: &[u8], size: u64, limit: usize) -> ConnectionEvent {
        let subject = Subject::from_wire(Bytes::copy_from_slice(subject));
        ConnectionEvent::MessageTooLarge { sid, subject, size, limit }
    }

    /// Bytes of lost messages in this event.
    pub(crate) fn returned_bytes(&self) -> usize {
        match self {
            ConnectionEvent::Lost { messages, .. } => messages.bytes(),
            _ => 0,
        }
    }

    /// For a listener that already has too many of them waiting.
    pub(crate) fn keep_counts_only(&mut self) {
        if let ConnectionEvent::Lost { messages, .. } = self {
            *messages = LostMessages::default();
        }
    }

    /// The driver ended.
    pub(crate) fn closed(cause: EndReason) -> ConnectionEvent {
        ConnectionEvent::Closed { cause }
    }
}
