//! Commands of handles for the engine, on their way to the task.

use std::time::Duration;

use tokio::sync::oneshot;

use super::deliver::Sink;
use super::inbox::Inbox;
use crate::engine::pool::Server;
use crate::engine::{FlushFailure, Handover};
use crate::protocol::{ServerAddr, Subject};

/// A command for the engine. `framed`: its frame is already in the outbox.
#[derive(Debug)]
pub(crate) enum Command {
    Connect,
    Subscribe {
        sid: u64,
        subject: Subject,
        queue: Option<String>,
        handover: Option<Handover>,
        sink: Sink,
        framed: bool,
    },
    Unsubscribe {
        sid: u64,
        framed: bool,
    },
    UnsubscribeAfter {
        sid: u64,
        max: u64,
    },
    DrainSubscription {
        sid: u64,
        framed: bool,
    },
    /// The consumer of a draining subscription has taken its last message.
    LastTaken {
        sid: u64,
    },
    /// The consumer has read a draining subscription to its end.
    Finished {
        sid: u64,
    },
    Flush {
        seen: u64,
        done: oneshot::Sender<Result<(), FlushFailure>>,
    },
    ForceReconnect,
    SetPool(Vec<ServerAddr>),
    Pool(oneshot::Sender<Vec<Server>>),
    Drain {
        within: Duration,
    },
    Close,
}

impl Command {
    /// Roughly its size in bytes.
    pub(super) fn weight(&self) -> usize {
        let more = match self {
            Command::Subscribe { subject, queue, .. } => {
                size_of::<Inbox>() + subject.as_bytes().len() + queue.as_ref().map_or(0, String::len)
            }
            Command::SetPool(servers) => servers.len() * ADDRESS,
            _ => 0,
        };
        size_of::<Command>() + more
    }

    /// Replaces the command before it, if that has no other effect. `Ok`: the replaced command, to be dropped.
    pub(super) fn replace(self, before: Option<&mut Command>) -> Result<Command, Command> {
        match (before, self) {
            (Some(Command::ForceReconnect), again @ Command::ForceReconnect) => Ok(again),
            (Some(before @ Command::SetPool(_)), again @ Command::SetPool(_)) => Ok(std::mem::replace(before, again)),
            (_, command) => Err(command),
        }
    }
}

/// Rough size of an address, in bytes.
const ADDRESS: usize = 256;
