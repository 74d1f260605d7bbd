//! What users want of the engine, on its way to the task.

use std::time::Duration;

use tokio::sync::oneshot;

use super::deliver::Sink;
use super::inbox::Inbox;
use crate::engine::FlushFailure;
use crate::engine::pool::Server;
use crate::protocol::{ServerAddr, Subject};

/// What a user wants of the engine. `framed`: the frame is in the outbox already.
#[derive(Debug)]
pub(crate) enum Command {
    Connect,
    Subscribe {
        sid: u64,
        subject: Subject,
        queue: Option<String>,
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
    /// The consumer of a draining subscription has taken the last message.
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
    /// About how many bytes it holds.
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

    /// Takes the place of the command before it, if that leads nowhere else. `Ok`: what is to be dropped.
    pub(super) fn replace(self, before: Option<&mut Command>) -> Result<Command, Command> {
        match (before, self) {
            (Some(Command::ForceReconnect), again @ Command::ForceReconnect) => Ok(again),
            (Some(before @ Command::SetPool(_)), again @ Command::SetPool(_)) => Ok(std::mem::replace(before, again)),
            (_, command) => Err(command),
        }
    }
}

/// About how many bytes an address holds.
const ADDRESS: usize = 256;
