//! What users want of the engine, on its way to the task.

use std::time::Duration;

use tokio::sync::oneshot;

use super::deliver::Sink;
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
