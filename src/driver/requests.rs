//! Pending requests: a slot each, and no channel.

mod many;
mod refused;
mod slot;
mod ticket;
mod tracked;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

pub(crate) use self::many::ManyLimits;
use self::refused::Subjects;
use self::slot::{Failing, Slot, SlotState};
pub(crate) use self::ticket::{TICKET_LEN, Ticket};
use self::tracked::Tracked;
#[cfg(feature = "jetstream")]
pub(crate) use self::tracked::Tracker;
#[cfg_attr(not(feature = "jetstream"), allow(unused_imports, reason = "only JetStream reads them"))]
pub(crate) use self::tracked::Unread;
use super::guard::wake;
use super::lock;
use super::reads::{Range, Share};
use crate::engine::{DroppedRun, EndReason, LossReason, in_doubt_in_words};
use crate::protocol::{ErrKind, ProtocolError};

/// All requests of one client.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    inner: Mutex<Inner>,
    /// Hashes subjects, so that none has to be stored.
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Inner {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// The generation of the last registration.
    generation: u32,
    /// The number of slots that are aside.
    aside: usize,
    /// The number of slots whose replies nobody reads.
    unread: usize,
    /// Requests by subject, once a server has refused something.
    subjects: Option<Subjects>,
}

/// A connection was lost after a request was sent on it, in words: what that means for the request, and if others may be concerned too,
/// how many messages are.
pub(crate) fn lost_in_words(in_doubt: u64) -> String {
    let lost = "the connection was lost after the request was sent, which may have been received";
    if in_doubt <= 1 { lost.to_owned() } else { format!("{lost}; in all, {}", in_doubt_in_words(in_doubt)) }
}

/// Why no reply will come.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum RequestFailure {
    /// The request was sent on a connection that was lost: whether it was served is not known.
    #[error("{}", lost_in_words(*in_doubt))]
    ConnectionLost {
        /// Messages in doubt by that loss.
        in_doubt: u64,
    },
    /// The request was lost before it was sent: dropped by the overflow policy, too old, or not acceptable to the server
    /// that was finally connected.
    #[error("the request was dropped before it was sent: {0:?}")]
    Dropped(LossReason),
    /// The server refused the request.
    #[error("refused by the server: {0}")]
    Refused(ErrKind),
    /// The reply is over the client's limits.
    #[error("the reply was skipped: {0}")]
    ReplyTooLarge(ProtocolError),
    /// The client ended, or the server refused the subscription for replies.
    #[error("{0}")]
    Ended(EndReason),
}

/// What becomes known when a request is released.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Released {
    /// No other request is pending.
    pub(crate) last: bool,
    /// The sequence number of its message if no reply has come; 0 if it was not admitted.
    pub(crate) unanswered: Option<u64>,
    /// Somebody who tracks it will learn of its outcome.
    #[cfg_attr(not(feature = "jetstream"), allow(dead_code, reason = "only JetStream has acknowledgements"))]
    pub(crate) tracked: bool,
}

impl Requests {
    /// Registers a request to `subject`. `keep`: it is still awaited after the connection that sent it was lost.
    pub(crate) fn register(&self, subject: &[u8], keep: bool) -> Ticket {
        self.place(subject, false, None, SlotState::waiting(keep))
    }

    /// Registers a request whose reply comes to its own subscription. Only the loss or refusal of its message is reported
    /// here.
    pub(crate) fn register_aside(&self, subject: &[u8]) -> Ticket {
        self.place(subject, true, None, SlotState::waiting(true))
    }

    fn place(&self, subject: &[u8], aside: bool, tracked: Option<Tracked>, state: SlotState) -> Ticket {
        let subject = self.hasher.hash_one(subject);
        let mut inner = lock(&self.inner);
        inner.generation = inner.generation.wrapping_add(1);
        let generation = inner.generation;
        inner.aside += usize::from(aside);
        let fresh = Slot { generation, subject, aside, tracked, state };
        let index = inner.free.pop().unwrap_or(inner.slots.len() as u32);
        match inner.slots.get_mut(index as usize) {
            Some(slot) => *slot = fresh,
            None => inner.slots.push(fresh),
        }
        let ticket = Ticket { index, generation };
        if inner.subjects.is_some() {
            inner.note_subject(subject, ticket);
        }
        ticket
    }

    /// The request's message was admitted with this sequence number.
    pub(crate) fn admitted(&self, ticket: Ticket, number: u64) {
        match lock(&self.inner).state(ticket) {
            Some(SlotState::Waiting { sequence, .. }) => *sequence = number,
            Some(SlotState::Many(many)) => many.sequence = number,
            _ => {}
        }
    }

    /// The reply, as a share of one message. Once it is ready, the request is released.
    pub(crate) fn poll(&self, ticket: Ticket, cx: &mut Context<'_>) -> Poll<(Result<Share, RequestFailure>, Released)> {
        let first = lock(&self.inner).take_outcome(ticket);
        if let Some(outcome) = first {
            return Poll::Ready(outcome);
        }
        // Cloned outside of the lock: it may be the user's own.
        let own = cx.waker().clone();
        let mut inner = lock(&self.inner);
        if let Some(SlotState::Waiting { waker, .. }) = inner.state(ticket) {
            let old = waker.replace(own);
            drop(inner);
            drop(old);
            return Poll::Pending;
        }
        inner.take_outcome(ticket).map_or(Poll::Pending, Poll::Ready)
    }

    /// The request is no longer awaited.
    pub(crate) fn release(&self, ticket: Ticket) -> Released {
        let mut inner = lock(&self.inner);
        let Some(slot) = inner.slot(ticket) else {
            return Released::default();
        };
        let old = std::mem::replace(&mut slot.state, SlotState::Free);
        let tracked = slot.tracked.take();
        inner.free(ticket.index);
        let last = inner.waiting() == 0;
        drop(inner);
        if let Some(waker) = tracked.and_then(Tracked::settle) {
            wake(waker);
        }
        let unanswered = old.sequence();
        drop(old);
        Released { last, unanswered, tracked: false }
    }

    /// The number of pending requests, without those aside and those that nobody reads.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.inner).waiting()
    }

    /// Gives each reply to its request.
    pub(super) fn deliver<'a>(&self, replies: impl Iterator<Item = (&'a Range, &'a [u8])>, wakers: &mut Vec<Waker>) {
        let mut inner = lock(&self.inner);
        for (range, bytes) in replies {
            let Some(ticket) = Ticket::decode(range.subject_in(bytes)) else {
                continue;
            };
            let Some(slot) = inner.slot(ticket) else {
                continue;
            };
            let reply = || {
                let chunk = Bytes::copy_from_slice(bytes.get(range.span()).unwrap_or_default());
                Share::One { chunk, range: range.moved_to(0) }
            };
            match &mut slot.state {
                SlotState::Waiting { waker, .. } => {
                    wakers.extend(waker.take());
                    wakers.extend(slot.tracked.take().and_then(Tracked::settle));
                    slot.state = SlotState::Done(reply());
                }
                SlotState::Many(many) => wakers.extend(many.push(reply())),
                SlotState::Unread { .. } => {
                    wakers
                        .extend(slot.tracked.take().and_then(|tracked| tracked.settle_unread(Unread::Reply(reply()))));
                    inner.free(ticket.index);
                }
                SlotState::Free | SlotState::Done(_) | SlotState::Failed(_) => {}
            }
        }
    }

    /// The reply with this subject was over the limits, and was skipped.
    pub(super) fn too_large(&self, subject: &[u8], error: ProtocolError, wakers: &mut Vec<Waker>) {
        let Some(ticket) = Ticket::decode(subject) else { return };
        let failure = RequestFailure::ReplyTooLarge(error);
        let mut inner = lock(&self.inner);
        if inner.slot(ticket).is_some_and(|slot| slot.fail(&failure, wakers, |_, _| true).is_over()) {
            inner.free(ticket.index);
        }
    }

    /// The connection that sent messages up to `through` is lost: their replies will not come.
    pub(super) fn handed_over(&self, through: u64, in_doubt: u64, wakers: &mut Vec<Waker>) {
        self.fail(&RequestFailure::ConnectionLost { in_doubt }, wakers, |sequence, keep| {
            sequence != 0 && sequence <= through && !keep
        });
    }

    /// Messages were lost before they were sent: there will be no replies to them.
    pub(super) fn dropped(&self, runs: &[DroppedRun], wakers: &mut Vec<Waker>) {
        // Sorted, since there may be many requests and many runs.
        let mut runs: Vec<&DroppedRun> = runs.iter().collect();
        runs.sort_unstable_by_key(|run| *run.numbers.start());
        let run_of = |sequence: u64| {
            let at = runs.partition_point(|run| *run.numbers.start() <= sequence);
            let run = at.checked_sub(1).and_then(|at| runs.get(at))?;
            (sequence != 0 && run.numbers.contains(&sequence)).then_some(*run)
        };
        lock(&self.inner).fail_each(|slot| {
            let Some(run) = slot.state.sequence().and_then(run_of) else { return Failing::NotConcerned };
            // If an earlier connection had sent it, it may have been served.
            let failure = match run.handed_over {
                false => RequestFailure::Dropped(run.reason),
                true => RequestFailure::ConnectionLost { in_doubt: 0 },
            };
            slot.fail(&failure, wakers, |_, _| true)
        });
    }

    /// No further reply will come.
    pub(super) fn end(&self, reason: &EndReason, wakers: &mut Vec<Waker>) {
        let failure = RequestFailure::Ended(reason.clone());
        lock(&self.inner).fail_each(|slot| match slot.aside {
            true => Failing::NotConcerned,
            false => slot.fail(&failure, wakers, |_, _| true),
        });
    }

    fn fail(&self, failure: &RequestFailure, wakers: &mut Vec<Waker>, concerned: impl Fn(u64, bool) -> bool) {
        lock(&self.inner).fail_each(|slot| slot.fail(failure, wakers, &concerned));
    }
}

impl Inner {
    /// The outcome, if there is one: then the request is released.
    fn take_outcome(&mut self, ticket: Ticket) -> Option<(Result<Share, RequestFailure>, Released)> {
        let gone = || (Err(RequestFailure::Ended(EndReason::Closed)), Released::default());
        let Some(state) = self.state(ticket) else { return Some(gone()) };
        let outcome = match state {
            SlotState::Waiting { .. } => return None,
            SlotState::Done(_) | SlotState::Failed(_) => match std::mem::replace(state, SlotState::Free) {
                SlotState::Done(share) => Ok(share),
                SlotState::Failed(failure) => Err(failure),
                _ => return Some(gone()),
            },
            SlotState::Free | SlotState::Many(_) | SlotState::Unread { .. } => return Some(gone()),
        };
        self.free(ticket.index);
        Some((outcome, Released { last: self.waiting() == 0, unanswered: None, tracked: false }))
    }

    fn state(&mut self, ticket: Ticket) -> Option<&mut SlotState> {
        self.slot(ticket).map(|slot| &mut slot.state)
    }

    fn slot(&mut self, ticket: Ticket) -> Option<&mut Slot> {
        self.slots.get_mut(ticket.index as usize).filter(|slot| slot.generation == ticket.generation)
    }

    fn waiting(&self) -> usize {
        self.slots.len() - self.free.len() - self.aside - self.unread
    }

    /// Fails slots, and frees those that nobody will release.
    fn fail_each(&mut self, mut fail: impl FnMut(&mut Slot) -> Failing) {
        let failed = self.slots.iter_mut().zip(0..).filter_map(|(slot, index)| fail(slot).is_over().then_some(index));
        let over: Vec<u32> = failed.collect();
        over.into_iter().for_each(|index| self.free(index));
    }

    /// The slot may be used again.
    fn free(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index as usize) else { return };
        let old = std::mem::replace(&mut slot.state, SlotState::Free);
        self.unread -= usize::from(matches!(old, SlotState::Unread { .. }));
        self.aside -= usize::from(std::mem::take(&mut slot.aside));
        self.free.push(index);
        if self.free.len() < self.slots.len() {
            return;
        }
        self.subjects = None;
        if self.slots.len() > 1024 {
            self.slots.truncate(1024);
            self.slots.shrink_to_fit();
            self.free = (0..self.slots.len() as u32).collect();
        }
    }
}
