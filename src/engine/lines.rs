//! The lines of a client: one, or the way to one; two during a planned move.

use std::time::Instant;

use super::attempt::Attempt;
use super::candidate::Candidate;
use super::connection::Connection;
use super::error::Cause;
use super::line::Line;
use super::pool::ServerId;

/// Which of a client's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The one that carries messages, or will.
    Present,
    /// The one that is to replace it.
    Candidate,
}

/// The present line, or the way to one.
///
/// ```text
///            connect, force_reconnect
///   Idle ─────────────────▶ (Choosing ─▶) Backoff ◀──────────────┐
///    ▲                       callbacks      │ due                │ failed
///    │ gave up                              ▼                    │
///    ├───────────────────────────────── Dialing ────────────────▶┤
///    │                                      │ byte stream        │
///    │                                      ▼                    │
///    │            Up { AwaitInfo ──────────────────────────────▶┤
///    │          ▲ TLS first  │ INFO                              │
///    │          └─ Securing ◀┤ TLS wanted                        │
///    │                   └──▶▼                                   │
///    │            (Authenticating ─▶) AwaitPong ────────────────▶┤
///    │                                      │ PONG               │
///    │                                      ▼                    │
///    │                                  Replaying ───────────────┤
///    │                                      │ SUBs handed over   │
///    │                                      ▼ gate opens         │
///    │                                  Recovering ──────────────┤
///    │                                      │ buffered messages │
///    │                                      ▼ taken, or 1 s      │
///    │            force_reconnect ┌───── Ready ─────▶ Lost ──────┘
///    │                            ▼ gate buffers ▲   settled }
///    │                          Moving ─────────┘
///    │                             PONG, or 2 s
/// ```
#[derive(Debug)]
pub(super) enum Link {
    /// No connection is wanted: not started, given up, or closed.
    Idle,
    /// The client gives up as soon as the outbox can be settled.
    GivingUp(Cause),
    /// The user's callbacks are asked for the next server and delay, no longer than `until`.
    Choosing { ask: u64, until: Instant },
    /// Waiting until the next server is due. `chosen`: the server to dial then, unless it has left the pool.
    Backoff { until: Instant, chosen: Option<ServerId> },
    /// A line exists.
    Line(Line),
}

/// All lines of a client.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) present: Link,
    pub(super) candidate: Option<Box<Candidate>>,
    last_epoch: u64,
}

impl Link {
    pub(super) fn line(&self) -> Option<&Line> {
        match self {
            Link::Line(line) => Some(line),
            Link::Idle | Link::GivingUp(_) | Link::Choosing { .. } | Link::Backoff { .. } => None,
        }
    }

    /// Takes the connection out, if it is lost.
    pub(super) fn take_lost(&mut self) -> Option<(Box<Connection>, Cause)> {
        let cause = self.line()?.connection()?.lost_by()?.clone();
        match std::mem::replace(self, Link::Idle) {
            Link::Line(Line::Up(connection)) => Some((connection, cause)),
            _ => None,
        }
    }
}

impl Lines {
    pub(super) fn new() -> Lines {
        Lines { present: Link::Idle, candidate: None, last_epoch: 0 }
    }

    /// The epoch of the next attempt.
    pub(super) fn next_epoch(&mut self) -> u64 {
        self.last_epoch += 1;
        self.last_epoch
    }

    /// Identifies the present line, or the last one.
    pub(super) fn epoch(&self) -> u64 {
        self.present.line().map_or(self.last_epoch, |line| line.attempt().epoch)
    }

    pub(super) fn line(&self, which: Which) -> Option<&Line> {
        match which {
            Which::Present => self.present.line(),
            Which::Candidate => self.candidate.as_ref().map(|candidate| &candidate.line),
        }
    }

    pub(super) fn line_mut(&mut self, which: Which) -> Option<&mut Line> {
        match (which, &mut self.present) {
            (Which::Present, Link::Line(line)) => Some(line),
            (Which::Present, _) => None,
            (Which::Candidate, _) => self.candidate.as_mut().map(|candidate| &mut candidate.line),
        }
    }

    pub(super) fn connection(&self, which: Which) -> Option<&Connection> {
        self.line(which)?.connection()
    }

    pub(super) fn connection_mut(&mut self, which: Which) -> Option<&mut Connection> {
        self.line_mut(which)?.connection_mut()
    }

    /// Removes a line.
    pub(super) fn take(&mut self, which: Which) -> Option<Line> {
        if which == Which::Candidate {
            return self.candidate.take().map(|candidate| candidate.line);
        }
        match std::mem::replace(&mut self.present, Link::Idle) {
            Link::Line(line) => Some(line),
            other => {
                self.present = other;
                None
            }
        }
    }

    /// The present connection.
    pub(super) fn up(&self) -> Option<&Connection> {
        self.present.line()?.connection()
    }

    /// The present connection.
    pub(super) fn up_mut(&mut self) -> Option<&mut Connection> {
        self.connection_mut(Which::Present)
    }

    /// Every connection.
    pub(super) fn connections_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        let present = match &mut self.present {
            Link::Line(line) => line.connection_mut(),
            _ => None,
        };
        let candidate = self.candidate.as_mut().and_then(|candidate| candidate.line.connection_mut());
        present.into_iter().chain(candidate)
    }

    /// Which line has this epoch.
    pub(super) fn which(&self, epoch: u64) -> Option<Which> {
        let names = |which: &Which| self.line(*which).is_some_and(|line| line.attempt().epoch == epoch);
        [Which::Present, Which::Candidate].into_iter().find(names)
    }

    /// The attempt of `epoch`, if it still is one.
    pub(super) fn dialing(&mut self, epoch: u64) -> Option<(Which, &mut Attempt)> {
        let which = self.which(epoch)?;
        match self.line_mut(which)? {
            Line::Dialing(attempt) => Some((which, attempt)),
            Line::Up(_) => None,
        }
    }

    /// The connection of `epoch`, unless it has ended.
    pub(super) fn live(&self, epoch: u64) -> Option<&Connection> {
        self.connection(self.which(epoch)?).filter(|connection| !connection.is_lost())
    }

    /// The connection of `epoch`, unless it has ended.
    pub(super) fn live_mut(&mut self, epoch: u64) -> Option<(Which, &mut Connection)> {
        let which = self.which(epoch)?;
        let connection = self.connection_mut(which).filter(|connection| !connection.is_lost())?;
        Some((which, connection))
    }

    /// Whether the candidate's server has had SUB for `sid`.
    pub(super) fn has_joined(&self, sid: u64) -> bool {
        self.candidate.as_ref().is_some_and(|candidate| candidate.has_joined(sid))
    }
}
