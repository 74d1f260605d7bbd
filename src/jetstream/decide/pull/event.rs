//! What the pull machine hears, and what it says.

use std::time::{Duration, Instant};

use super::troubles::{Cause, Report};
use crate::jetstream::decide::settings::Settings;
use crate::jetstream::wire::{AckSubject, PullRequest, PullStatus};

/// A message that has arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// Its size as the server counts it: subject, reply subject, headers and payload.
    pub bytes: u64,
    /// Its place in stream and consumer, if its reply subject says it.
    pub place: Option<AckSubject<'a>>,
    /// The header `Nats-Pin-Id`.
    pub pin: Option<&'a str>,
}

/// Whether the consumer still exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It does.
    Exists,
    /// The server knows that it doesn't.
    Gone,
    /// There was no answer that says so.
    Unknown,
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The reader asks for a message.
    Polled,
    /// Nothing has arrived, and the reader waits. Also when the time has come that [`Pull::alarm`](super::Pull::alarm) named.
    Waiting,
    /// A message.
    Message(Arrival<'a>),
    /// A status on the reply subject of a pull.
    Status {
        /// Which pull.
        token: u64,
        /// What it says.
        status: PullStatus,
        /// Its text.
        text: &'a str,
        /// Messages and bytes that the pull had left, if it says so.
        left: Option<(u64, u64)>,
    },
    /// The connection was lost here.
    Interrupted,
    /// There is a connection again, since then.
    Connected(Instant),
    /// This many messages, heartbeats and statuses were dropped unread.
    Lagged(u64),
    /// A pull could not be sent, nor buffered.
    NotSent(u64),
    /// The server does not allow pulls, in its words.
    Refused(&'a str),
    /// The server has answered the PING of [`Effect::Probe`], or will not.
    Probed {
        /// It has: it has received everything that was sent before.
        answered: bool,
    },
    /// The answer to [`Effect::Inquire`].
    Found(Found),
}

/// Why a stream has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The consumer was deleted, or does not exist.
    Gone,
    /// It is a push consumer.
    PushBased,
    /// A pull asks for more than the consumer allows, with the server's text.
    OverLimit(String),
    /// The server refuses such pulls or the subscription, with its text.
    Refused(String),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Sends a pull. [`Pull::request`](super::Pull::request) has its content.
    Pull(Sending),
    /// Gives the reader the message that has just arrived.
    Deliver,
    /// Reports something to those who listen.
    Tell(Report),
    /// Tells the reader what has been wrong for long.
    Complain(Cause),
    /// Asks the server whether the consumer exists.
    Inquire,
    /// Sends a PING after what was sent so far. The latest one counts, over the present connection.
    Probe,
    /// Ends the stream. Nothing comes after it.
    End(End),
}

/// A pull to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sending {
    /// Its reply subject is the inbox with this token.
    pub token: u64,
    pub(in crate::jetstream::decide) messages: u64,
    pub(in crate::jetstream::decide) bytes: u64,
    pub(in crate::jetstream::decide) expires: Duration,
    pub(in crate::jetstream::decide) heartbeat: Duration,
}

impl Sending {
    pub(in crate::jetstream::decide) fn request<'a>(
        self,
        settings: &'a Settings,
        pin: Option<&'a str>,
    ) -> PullRequest<'a> {
        PullRequest {
            batch: self.messages,
            max_bytes: self.bytes,
            expires: self.expires,
            idle_heartbeat: self.heartbeat,
            ..settings.request(pin)
        }
    }
}
