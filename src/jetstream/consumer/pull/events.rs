//! What is reported of a stream of messages.

use std::fmt;
use std::pin::Pin;
use std::task::{Context as Cx, Poll};

use super::{StreamEvent, StreamTrouble};
use crate::jetstream::run::reports::Listener;

/// What is wrong with a [`Stream`](super::Stream), and when it is over: see [`Stream::events`](super::Stream::events).
#[derive(Debug)]
#[must_use = "it is read by polling it"]
pub struct StreamEvents {
    listener: Listener,
}

impl StreamEvents {
    pub(super) fn new(listener: Listener) -> StreamEvents {
        StreamEvents { listener }
    }
}

impl futures_core::Stream for StreamEvents {
    type Item = StreamEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<Option<StreamEvent>> {
        self.listener.poll_next(cx)
    }
}

impl fmt::Display for StreamTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StreamTrouble::Disconnected => "connection lost",
            StreamTrouble::NoResponders => "no responders",
            StreamTrouble::Silence => "missed idle heartbeats",
            StreamTrouble::LeadershipChange => "leadership change",
            StreamTrouble::ServerShutdown => "server shutdown",
            StreamTrouble::TooManyPulls => "too many waiting pulls",
            StreamTrouble::MessageTooLarge => "message larger than the limit of bytes",
            StreamTrouble::Unpinned => "another client is pinned",
            StreamTrouble::Lowered => "over the consumer's limits",
            StreamTrouble::NotSent => "the client's buffer is full",
            StreamTrouble::Other => "unexpected end of a pull",
        })
    }
}
