//! The slot of one request, and what a failure means for it.

use std::task::Waker;

use super::RequestFailure;
use super::many::Many;
use super::tracked::{Tracked, Unread};
use crate::driver::reads::Share;

#[derive(Debug)]
pub(super) struct Slot {
    /// Different for each use, so that a late reply does not reach another request.
    pub(super) generation: u32,
    /// The hash of the request's subject.
    pub(super) subject: u64,
    /// The reply comes to the request's own subscription; only a refusal comes here.
    pub(super) aside: bool,
    /// To be woken when the request has its outcome.
    pub(super) tracked: Option<Tracked>,
    pub(super) state: SlotState,
}

#[derive(Debug)]
pub(super) enum SlotState {
    Free,
    /// `sequence`: of its message in the outbox; 0 until it is admitted.
    /// `keep`: it is still awaited after the connection that sent it was lost.
    Waiting {
        sequence: u64,
        keep: bool,
        waker: Option<Waker>,
    },
    Many(Box<Many>),
    /// The same when nobody reads the reply: the slot is free when it has its outcome.
    Unread {
        sequence: u64,
        keep: bool,
    },
    Done(Share),
    Failed(RequestFailure),
}

/// What a failure meant for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failing {
    NotConcerned,
    Failed,
    /// It failed, and nobody will release it.
    Over,
}

impl Failing {
    pub(super) fn is_over(self) -> bool {
        self == Failing::Over
    }
}

impl SlotState {
    pub(super) fn waiting(keep: bool) -> SlotState {
        SlotState::Waiting { sequence: 0, keep, waker: None }
    }

    /// The sequence number of its message, while it is pending.
    pub(super) fn sequence(&self) -> Option<u64> {
        match self {
            SlotState::Waiting { sequence, .. } | SlotState::Unread { sequence, .. } => Some(*sequence),
            SlotState::Many(many) => Some(many.sequence),
            SlotState::Free | SlotState::Done(_) | SlotState::Failed(_) => None,
        }
    }
}

impl Slot {
    /// Fails the request if `concerned` says so, given its sequence number and whether it outlasts a lost connection.
    pub(super) fn fail(
        &mut self,
        failure: &RequestFailure,
        wakers: &mut Vec<Waker>,
        concerned: impl Fn(u64, bool) -> bool,
    ) -> Failing {
        let outcome = match &mut self.state {
            SlotState::Waiting { sequence, keep, waker } if concerned(*sequence, *keep) => {
                wakers.extend(waker.take());
                self.state = SlotState::Failed(failure.clone());
                Failing::Failed
            }
            SlotState::Many(many) if concerned(many.sequence, many.keep) => {
                wakers.extend(many.fail(failure));
                return Failing::Failed;
            }
            SlotState::Unread { sequence, keep } if concerned(*sequence, *keep) => {
                let unread = || Unread::Failed(failure.clone());
                wakers.extend(self.tracked.take().and_then(|tracked| tracked.settle_unread(unread())));
                return Failing::Over;
            }
            _ => return Failing::NotConcerned,
        };
        wakers.extend(self.tracked.take().and_then(Tracked::settle));
        outcome
    }
}
