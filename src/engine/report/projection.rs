//! What the log, the recovery log, the health snapshot, the metrics and the event queue need to know about an event. All of
//! them use this one function, so that none can forget a new kind of event.

use super::event::{ConnectionEvent, Status};
use crate::engine::error::Cause;
use crate::protocol::ErrKind;

/// One event, as its readers see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Projection<'a> {
    /// What may happen to it when nobody reads it.
    pub(super) kept: Kept,
    /// How much attention it needs.
    pub(crate) level: Level,
    /// The new state, if it is a change of state.
    pub(crate) status: Option<Status>,
    /// What went wrong, if something did.
    pub(crate) fault: Option<Fault<'a>>,
}

/// What may happen to an unread event when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It happens once, and is never lost.
    Once,
    /// One half of an outage, which is only lost together with the other.
    Half,
    /// It counts something, or only the newest matters: it is merged into the next of its kind.
    Sum,
    /// It may be lost; what matters is counted elsewhere.
    Detail,
}

/// The level of an event's log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// What servers announce, and each attempt.
    Debug,
    /// What an operator reads to follow an outage.
    Info,
    /// Something that may need action.
    Warn,
    /// Nothing more can be done about it.
    Error,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault<'a> {
    /// A connection was lost unintentionally, or an attempt failed.
    Line {
        /// `host:port` of its server.
        server: &'a str,
        /// Why.
        cause: &'a Cause,
    },
    /// The server reported it.
    Server(&'a ErrKind),
    /// A consumer is too slow.
    SlowConsumer,
    /// A message was skipped because of its size.
    MessageTooLarge,
}

impl ConnectionEvent {
    /// What its readers need to know of it.
    pub(crate) fn projection(&self) -> Projection<'_> {
        let seen = |kept, level| Projection { kept, level, status: None, fault: None };
        let change = |kept, level, status| Projection { status: Some(status), ..seen(kept, level) };
        match self {
            ConnectionEvent::Connected { .. } => change(Kept::Once, Level::Info, Status::Connected),
            ConnectionEvent::Reconnected { .. } => change(Kept::Half, Level::Info, Status::Connected),
            ConnectionEvent::Disconnected { cause, .. } if cause.is_wanted() => {
                change(Kept::Half, Level::Info, Status::Reconnecting)
            }
            ConnectionEvent::Disconnected { server, cause, .. } => Projection {
                fault: Some(Fault::Line { server, cause }),
                ..change(Kept::Half, Level::Warn, Status::Reconnecting)
            },
            ConnectionEvent::Connecting { .. } => change(Kept::Detail, Level::Debug, Status::Connecting),
            ConnectionEvent::AttemptFailed { server, cause, .. } => {
                let level = if cause.is_refusal() { Level::Warn } else { Level::Debug };
                let fault = Some(Fault::Line { server, cause });
                Projection { fault, ..change(Kept::Detail, level, Status::Reconnecting) }
            }
            ConnectionEvent::GaveUp { .. } => change(Kept::Sum, Level::Error, Status::Disconnected),
            ConnectionEvent::Draining => change(Kept::Once, Level::Info, Status::Draining),
            ConnectionEvent::Closed { .. } => change(Kept::Once, Level::Info, Status::Closed),
            ConnectionEvent::RecoveryDone { .. } => seen(Kept::Sum, Level::Info),
            ConnectionEvent::Lost { .. } | ConnectionEvent::LeftInDoubt { .. } => seen(Kept::Sum, Level::Warn),
            ConnectionEvent::ServersChanged { .. } => seen(Kept::Sum, Level::Debug),
            ConnectionEvent::ServerInfo { .. } | ConnectionEvent::BufferLow { .. } => seen(Kept::Detail, Level::Debug),
            ConnectionEvent::LameDuck { .. } => seen(Kept::Detail, Level::Info),
            ConnectionEvent::ServerNotInPool { .. } | ConnectionEvent::BufferHigh { .. } => {
                seen(Kept::Detail, Level::Warn)
            }
            ConnectionEvent::ServerError { error, .. } => {
                Projection { fault: Some(Fault::Server(error)), ..seen(Kept::Detail, Level::Warn) }
            }
            ConnectionEvent::SlowConsumer { .. } => {
                Projection { fault: Some(Fault::SlowConsumer), ..seen(Kept::Detail, Level::Warn) }
            }
            ConnectionEvent::MessageTooLarge { .. } => {
                Projection { fault: Some(Fault::MessageTooLarge), ..seen(Kept::Detail, Level::Warn) }
            }
        }
    }
}
