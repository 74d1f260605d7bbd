//! async-nats's events, derived from this crate's more detailed ones.

use std::fmt;

use crate::engine::ConnectionEvent;
use crate::protocol::{ErrKind, shown};

/// An event of the connection, as reported to
/// [`event_callback`](crate::ConnectOptions::event_callback).
///
/// [`ConnectionEvent`](crate::connection::ConnectionEvent) has more: the cause, the server, the duration and the
/// number of messages in doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Connected, for the first time or again. The server has the subscriptions.
    Connected,
    /// The connection was lost. The client reconnects, unless reconnecting is off.
    Disconnected,
    /// The server is about to shut down and has asked its clients to move.
    LameDuckMode,
    /// A drain has begun.
    Draining,
    /// The client has ended and will not connect again.
    Closed,
    /// The subscription with this id loses messages, because its reader is too slow. Reported once per read of the
    /// connection in which it lost some.
    SlowConsumer(u64),
    /// The server sent an error.
    ServerError(ServerError),
    /// An attempt failed, or reconnecting was given up.
    ClientError(ClientError),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Connected => f.write_str("connected"),
            Event::Disconnected => f.write_str("disconnected"),
            Event::LameDuckMode => f.write_str("lame duck mode detected"),
            Event::Draining => f.write_str("draining"),
            Event::Closed => f.write_str("closed"),
            Event::SlowConsumer(sid) => write!(f, "slow consumers for subscription {sid}"),
            Event::ServerError(error) => write!(f, "server error: {error}"),
            Event::ClientError(error) => write!(f, "client error: {error}"),
        }
    }
}

/// An error that the server sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// The credentials were refused.
    #[error("nats: authorization violation")]
    AuthorizationViolation,
    /// A subscription's reader is too slow. Not used by this crate, which reports [`Event::SlowConsumer`].
    #[error("nats: subscription {0} is a slow consumer")]
    SlowConsumer(u64),
    /// Anything else, with the server's text.
    #[error("nats: {}", shown(.0))]
    Other(String),
}

impl ServerError {
    /// The error as async-nats has it: one named variant, and text for the others.
    fn compat(kind: &ErrKind) -> ServerError {
        match kind {
            ErrKind::AuthorizationViolation => ServerError::AuthorizationViolation,
            other => ServerError::Other(other.text()),
        }
    }
}

/// An error on the client's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// An attempt to connect failed; the text has the server and the cause.
    Other(String),
    /// Reconnecting was given up, see [`max_reconnects`](crate::ConnectOptions::max_reconnects).
    MaxReconnects,
    /// The callback that picks a server returned one that is not in the pool.
    ServerNotInPool,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Other(text) => write!(f, "nats: {}", shown(text)),
            ClientError::MaxReconnects => f.write_str("nats: max reconnects reached"),
            ClientError::ServerNotInPool => f.write_str("nats: reconnect callback returned server not in pool"),
        }
    }
}

/// Either error. Not used by this crate. For compatibility: async-nats has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackError {
    /// A client error.
    Client(ClientError),
    /// A server error.
    Server(ServerError),
}

impl fmt::Display for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallbackError::Client(error) => error.fmt(f),
            CallbackError::Server(error) => error.fmt(f),
        }
    }
}

impl From<ServerError> for CallbackError {
    fn from(error: ServerError) -> Self {
        CallbackError::Server(error)
    }
}

impl From<ClientError> for CallbackError {
    fn from(error: ClientError) -> Self {
        CallbackError::Client(error)
    }
}

/// async-nats's event for `event`, if there is one.
pub(crate) fn compat_events(event: &ConnectionEvent) -> impl Iterator<Item = Event> + use<> {
    let compat = match event {
        ConnectionEvent::Connected { .. } | ConnectionEvent::Reconnected { .. } => Some(Event::Connected),
        ConnectionEvent::Disconnected { .. } => Some(Event::Disconnected),
        ConnectionEvent::AttemptFailed { server, cause, .. } => {
            Some(Event::ClientError(ClientError::Other(format!("{server}: {cause}"))))
        }
        ConnectionEvent::GaveUp { .. } => Some(Event::ClientError(ClientError::MaxReconnects)),
        ConnectionEvent::MessageTooLarge { sid, size, limit, .. } => Some(Event::ClientError(ClientError::Other(
            format!("skipped a message of {size} bytes for subscription {sid}: the limit is {limit}"),
        ))),
        ConnectionEvent::ServerNotInPool { .. } => Some(Event::ClientError(ClientError::ServerNotInPool)),
        ConnectionEvent::LameDuck { .. } => Some(Event::LameDuckMode),
        ConnectionEvent::SlowConsumer { sid, .. } => Some(Event::SlowConsumer(*sid)),
        ConnectionEvent::ServerError { error, .. } => Some(Event::ServerError(ServerError::compat(error))),
        ConnectionEvent::Draining => Some(Event::Draining),
        ConnectionEvent::Closed { .. } => Some(Event::Closed),
        ConnectionEvent::Connecting { .. }
        | ConnectionEvent::ServerInfo { .. }
        | ConnectionEvent::ServersChanged { .. }
        | ConnectionEvent::RecoveryDone { .. }
        | ConnectionEvent::Lost { .. }
        | ConnectionEvent::LeftInDoubt { .. }
        | ConnectionEvent::BufferHigh { .. }
        | ConnectionEvent::BufferLow { .. } => None,
    };
    compat.into_iter()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::engine::{Cause, EndReason, Lost, LostMessages};

    fn server() -> String {
        "a:4222".to_owned()
    }

    #[test]
    fn each_event_maps_to_its_async_nats_event() {
        let reconnected = ConnectionEvent::Reconnected {
            server: server(),
            previous: None,
            downtime: Duration::ZERO,
            attempts: 1,
            subscriptions: 0,
            flushed: 0,
            dropped: 0,
            expired: 0,
            in_doubt: 0,
            rtt: Duration::ZERO,
            still_buffered: 0,
            folded: 0,
        };
        let disconnected = ConnectionEvent::Disconnected {
            server: server(),
            cause: Cause::ClosedByServer,
            in_doubt: 0,
            buffered: 0,
            folded: 0,
        };
        let failed = ConnectionEvent::AttemptFailed {
            server: server(),
            attempt: 1,
            cause: Cause::NoServers,
            retry_in: Duration::ZERO,
        };
        let refused = ServerError::AuthorizationViolation;
        let cases = [
            (ConnectionEvent::Connected { server: server(), attempts: 0 }, Some(Event::Connected)),
            (reconnected, Some(Event::Connected)),
            (disconnected, Some(Event::Disconnected)),
            (failed, Some(Event::ClientError(ClientError::Other("a:4222: no servers in the pool".to_owned())))),
            (
                ConnectionEvent::GaveUp { cause: Cause::NoServers, attempts: 3, servers: Vec::new() },
                Some(Event::ClientError(ClientError::MaxReconnects)),
            ),
            (
                ConnectionEvent::ServerNotInPool { server: server() },
                Some(Event::ClientError(ClientError::ServerNotInPool)),
            ),
            (ConnectionEvent::LameDuck { server: server() }, Some(Event::LameDuckMode)),
            (ConnectionEvent::SlowConsumer { sid: 7, dropped: 2 }, Some(Event::SlowConsumer(7))),
            (
                ConnectionEvent::ServerError { server: server(), error: ErrKind::AuthorizationViolation },
                Some(Event::ServerError(refused)),
            ),
            (ConnectionEvent::Draining, Some(Event::Draining)),
            (ConnectionEvent::Closed { cause: EndReason::Closed }, Some(Event::Closed)),
            (ConnectionEvent::Connecting { server: server(), attempt: 1, waited: Duration::ZERO }, None),
            (ConnectionEvent::ServerInfo { server: server(), info: Arc::default() }, None),
            (ConnectionEvent::RecoveryDone { server: server(), flushed: 2, late: 1, took: Duration::ZERO }, None),
            (ConnectionEvent::ServersChanged { added: vec![server()], removed: vec![] }, None),
            (ConnectionEvent::Lost { lost: Lost::default(), messages: LostMessages::default() }, None),
            (ConnectionEvent::BufferHigh { pending: 81, limit: 100 }, None),
            (ConnectionEvent::BufferLow { pending: 69, limit: 100 }, None),
        ];
        for (rich, compat) in cases {
            assert_eq!(compat_events(&rich).collect::<Vec<_>>(), compat.into_iter().collect::<Vec<_>>(), "{rich:?}");
        }
    }

    // Fault H5
    #[test]
    fn server_text_is_raw_for_programs_and_escaped_for_people() {
        let text = "\u{1b}[2J \u{7}\r\u{2028}";
        let rich = ConnectionEvent::ServerError { server: "a:4222".to_owned(), error: ErrKind::parse(text.as_bytes()) };
        let event = compat_events(&rich).next();
        assert_eq!(event, Some(Event::ServerError(ServerError::Other(text.to_owned()))));
        let events = [event.unwrap(), Event::ClientError(ClientError::Other(text.to_owned()))];
        for event in events {
            let shown = event.to_string();
            assert!(shown.ends_with("nats: \\u{1b}[2J \\u{7}\\r\\u{2028}"), "{shown}");
        }
    }

    #[test]
    fn texts() {
        let cases = [
            (Event::Connected, "connected"),
            (Event::Disconnected, "disconnected"),
            (Event::LameDuckMode, "lame duck mode detected"),
            (Event::Draining, "draining"),
            (Event::Closed, "closed"),
            (Event::SlowConsumer(3), "slow consumers for subscription 3"),
            (Event::ServerError(ServerError::AuthorizationViolation), "server error: nats: authorization violation"),
            (Event::ServerError(ServerError::SlowConsumer(3)), "server error: nats: subscription 3 is a slow consumer"),
            (Event::ServerError(ServerError::Other("x".to_owned())), "server error: nats: x"),
            (Event::ClientError(ClientError::Other("x".to_owned())), "client error: nats: x"),
            (Event::ClientError(ClientError::MaxReconnects), "client error: nats: max reconnects reached"),
            (
                Event::ClientError(ClientError::ServerNotInPool),
                "client error: nats: reconnect callback returned server not in pool",
            ),
        ];
        for (event, text) in cases {
            assert_eq!(event.to_string(), text);
        }
        assert_eq!(CallbackError::from(ClientError::MaxReconnects).to_string(), "nats: max reconnects reached");
        assert_eq!(CallbackError::from(ServerError::Other("x".to_owned())).to_string(), "nats: x");
    }
}
