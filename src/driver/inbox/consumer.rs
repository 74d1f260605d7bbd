//! The consumer's side of an inbox: shares out, gaps, and the end.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use super::{Inbox, Next, State};
use crate::driver::gap_marks::Gap;
use crate::driver::lock;
use crate::driver::reads::Share;
use crate::engine::EndReason;

impl Inbox {
    /// Records from now on where messages are missing.
    pub(crate) fn note_gaps(&self) {
        lock(&self.state).gaps.get_or_insert_default();
    }

    /// The next gap before message number `next`.
    pub(crate) fn take_gap(&self, next: u64) -> Option<Gap> {
        lock(&self.state).gaps.as_mut()?.take(next)
    }

    /// The highest number of messages and bytes in the queue so far.
    pub(crate) fn most_pending(&self) -> (usize, usize) {
        lock(&self.state).most
    }

    /// The consumer has returned the last message of its share. Returns whether the task must know: it was the last of
    /// all.
    #[inline]
    pub(crate) fn share_done(&self) -> bool {
        self.in_hand.store(false, Ordering::SeqCst);
        self.draining.load(Ordering::SeqCst) && lock(&self.state).messages == 0
    }

    /// The consumer is gone: clears the inbox. Returns the queued shares, to be dropped outside of the lock.
    pub(crate) fn abandon(&self) -> VecDeque<Share> {
        let mut state = lock(&self.state);
        state.end.get_or_insert(EndReason::Unsubscribed);
        state.messages = 0;
        state.bytes = 0;
        let mut unread = std::mem::take(&mut state.queue);
        unread.append(&mut state.overflow);
        unread
    }

    /// The next share. If there is none yet, keeps the consumer's waker.
    ///
    /// The waker is a user's own code, so it is cloned outside of the lock, and always kept once it was cloned. Whether
    /// two wakers wake the same task is only a hint (`will_wake` may be false for a clone of the same waker), and no
    /// loop here depends on it.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Next> {
        if let Some(poll) = self.poll_with(&mut lock(&self.state), cx.waker()) {
            return poll;
        }
        let waker = cx.waker().clone();
        let mut guard = lock(&self.state);
        if let Some(poll) = self.poll_with(&mut guard, &waker) {
            drop(guard);
            return poll;
        }
        let old = guard.consumer.replace(waker);
        drop(guard);
        drop(old);
        Poll::Pending
    }

    /// The next share, if there is one already.
    pub(crate) fn try_next(&self) -> Option<Next> {
        let next = lock(&self.state).next_share()?;
        self.in_hand.store(true, Ordering::Relaxed);
        Some(next)
    }

    /// What the consumer gets. `None`: nothing, and nothing would wake it.
    fn poll_with(&self, state: &mut State, waker: &Waker) -> Option<Poll<Next>> {
        if let Some(next) = state.next_share() {
            self.in_hand.store(true, Ordering::Relaxed);
            return Some(Poll::Ready(next));
        }
        if state.end.is_some() {
            return Some(Poll::Ready(Next::End));
        }
        if self.draining.swap(false, Ordering::Relaxed) {
            return Some(Poll::Ready(Next::Finished));
        }
        state.consumer.as_ref()?.will_wake(waker).then_some(Poll::Pending)
    }

    /// The consumer wants no more messages, but may read the queued ones.
    pub(crate) fn end_by_consumer(&self) {
        lock(&self.state).end.get_or_insert(EndReason::Unsubscribed);
    }

    /// Whether the task has ended it, and so knows.
    pub(crate) fn ended_by_task(&self) -> bool {
        lock(&self.state).end.as_ref().is_some_and(|reason| *reason != EndReason::Unsubscribed)
    }

    /// Messages lost because the consumer was too slow.
    pub(crate) fn dropped(&self) -> u64 {
        lock(&self.state).dropped
    }

    /// Messages and bytes in the queue.
    pub(crate) fn pending(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.messages, state.bytes)
    }

    /// Why nothing more comes.
    pub(crate) fn end_reason(&self) -> Option<EndReason> {
        lock(&self.state).end.clone()
    }
}
