//! One queue per subscription: shares of reads, under limits, between the task and one consumer.
//!
//! A client may have 100,000 of them, most of them idle: what an inbox needs only while messages come is made with the
//! first one, and freed when the client has been idle for a while.

mod consumer;
mod reading;
mod share;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use reading::Reading;
pub(super) use share::Losing;
pub use share::WhenFull;
pub(crate) use share::{InboxLimits, Next, Offered};

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use self::state::{Grace, State};
use super::gap_marks::Gap;
use super::lock;
use super::reads::Share;
use crate::engine::EndReason;

/// The queue of one subscription. The task puts shares in, the subscriber takes them out.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// The consumer has a share whose messages it has not all returned. Outside of the lock, since it is read once per
    /// share.
    in_hand: AtomicBool,
    /// Nothing more comes from the server, but the stream may not end yet: the client is draining.
    draining: AtomicBool,
}

/// What a consumer still has to read when the client drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Nothing: it waits for messages, or never asked for one. The drain need not wait for it.
    Nothing,
    /// It has taken the last message, and may be about to answer it.
    LastInHand,
    /// Messages. The consumer reports when it has taken the last one.
    Some,
}

impl Inbox {
    /// `limits`: its own, instead of the client's.
    pub(crate) fn new(limits: Option<InboxLimits>) -> Inbox {
        Inbox {
            state: Mutex::new(State::new(limits)),
            in_hand: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }
    }

    /// Messages were received. Those that do not fit go to the overflow while the task waits for this consumer, and are
    /// returned, to be dropped, if it has already waited. `limits`: those of the client.
    pub(super) fn offer(&self, share: Share, limits: &InboxLimits) -> Offered {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        if state.is_ended() {
            // The consumer is gone or wants no more.
            drop(guard);
            drop(share);
            return Offered::default();
        }
        state.activate(limits);
        let before = state.accepted;
        let rest = if state.overflows() { Some(share) } else { state.put_what_fits(share) };
        let consumer = if state.accepted > before { state.consumer.take() } else { None };
        let lagging = rest.is_some() || state.is_lagging();
        if !lagging {
            state.grace = Grace::Unused;
        }
        match state.grace {
            Grace::Spent | Grace::Losing => Offered { consumer, lost: rest, lagging: false },
            Grace::Unused | Grace::Waited => {
                if let Some(rest) = rest {
                    state.rare_mut().overflow.push_back(rest);
                }
                let begins = lagging && state.grace == Grace::Unused;
                if begins {
                    state.grace = Grace::Waited;
                }
                Offered { consumer, lost: None, lagging: begins }
            }
        }
    }

    /// Whether the task still has to wait for this consumer, which wakes it when it has caught up.
    pub(super) fn is_waited_for(&self) -> bool {
        let state = lock(&self.state);
        state.grace == Grace::Waited && !state.is_ended()
    }

    /// The task reads again: messages that do not fit from now on are lost, until the consumer has caught up. Returns
    /// the overflow, which is lost now.
    pub(super) fn stop_waiting(&self) -> VecDeque<Share> {
        let mut state = lock(&self.state);
        if state.grace != Grace::Waited || state.is_ended() {
            return VecDeque::new();
        }
        state.grace = Grace::Spent;
        state.take_overflow()
    }

    /// `rest` does not fit: messages are dropped by the policy.
    pub(super) fn lose(&self, rest: Share) -> Losing {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let first = state.first();
        let when_full = state.active.as_ref().map_or(WhenFull::default(), |active| active.limits.when_full);
        let gone = if when_full == WhenFull::DropOldest { state.replace_oldest(rest) } else { vec![rest] };
        let count = gone.iter().map(|share| share.count() as u64).sum();
        let (accepted, now_first) = (state.accepted, state.first());
        let rare = state.rare_mut();
        if let Some(gaps) = &mut rare.gaps {
            if now_first > first {
                gaps.drop_front(first, now_first);
            } else {
                gaps.drop_after(accepted, count);
            }
        }
        rare.dropped += count;
        let dropped = rare.dropped;
        let begins = state.grace != Grace::Losing;
        state.grace = Grace::Losing;
        Losing { dropped, begins, closes: when_full == WhenFull::Close, consumer: state.consumer.take(), gone }
    }

    /// A message was skipped because it is over the limits.
    pub(super) fn miss(&self) -> Option<Waker> {
        let mut state = lock(&self.state);
        if state.is_ended() {
            return None;
        }
        state.rare_mut().dropped += 1;
        state.mark(Gap::Lagged(1))
    }

    /// The connection was lost: messages may be missing here. `None`: the consumer did not ask for that.
    pub(super) fn interrupt(&self) -> Option<Waker> {
        let mut state = lock(&self.state);
        if state.is_ended() { None } else { state.mark(Gap::Interrupted) }
    }

    /// Nothing more comes from the server, but the stream ends only with the drain of the whole client. Returns what is
    /// still unread.
    pub(super) fn set_draining(&self) -> Unread {
        let state = lock(&self.state);
        let untouched = state.accepted == 0 || state.consumer.is_some();
        let messages = state.messages();
        if messages == 0 && untouched {
            return Unread::Nothing;
        }
        // Whichever of this and `share_done` comes second sees the other.
        self.draining.store(true, Ordering::SeqCst);
        if messages == 0 && !self.in_hand.load(Ordering::SeqCst) { Unread::LastInHand } else { Unread::Some }
    }

    /// Nothing more comes; the first reason stays.
    pub(super) fn end(&self, reason: EndReason) -> Option<Waker> {
        let mut state = lock(&self.state);
        state.end(reason);
        state.consumer.take()
    }

    /// Messages that were received and not read.
    pub(crate) fn unread(&self) -> u64 {
        let state = lock(&self.state);
        state.received() - state.first()
    }

    /// Frees what an idle subscription does not need. `false`: it has unread messages.
    pub(super) fn shrink(&self) -> bool {
        let mut state = lock(&self.state);
        let unused = state.deactivate();
        let idle = state.active.is_none();
        drop(state);
        drop(unused);
        idle
    }
}
