//! The consumer's side of an inbox: shares out, gaps, and the end.

use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use super::state::State;
use super::{Inbox, Next, Reading};
use crate::driver::gap_marks::Gap;
use crate::driver::lock;
use crate::engine::EndReason;

impl Inbox {
    /// Records from now on where messages are missing.
    pub(crate) fn note_gaps(&self) {
        lock(&self.state).rare_mut().gaps.get_or_insert_default();
    }

    /// The next gap before message number `next`.
    pub(crate) fn take_gap(&self, next: u64) -> Option<Gap> {
        lock(&self.state).rare.as_mut()?.gaps.as_mut()?.take(next)
    }

    /// The highest number of messages and bytes in the queue so far.
    pub(crate) fn most_pending(&self) -> (usize, usize) {
        lock(&self.state).most()
    }

    /// The consumer has returned the last message of its share. Returns whether the task must know: it was the last of
    /// all.
    #[inline]
    pub(crate) fn share_done(&self) -> bool {
        self.in_hand.store(false, Ordering::SeqCst);
        self.draining.load(Ordering::SeqCst) && lock(&self.state).messages() == 0
    }

    /// The consumer is gone: clears the inbox. Returns its content, to be dropped outside of the lock.
    pub(crate) fn abandon(&self) -> impl Sized + use<> {
        let mut state = lock(&self.state);
        state.end(EndReason::Unsubscribed);
        state.clear()
    }

    /// The next share. If there is none yet, keeps the consumer's waker.
    ///
    /// `reading` is the consumer's; while it waits, this inbox has it.
    ///
    /// The waker is a user's own code, so it is cloned outside of the lock, and always kept once it was cloned. Whether
    /// two wakers wake the same task is only a hint (`will_wake` may be false for a clone of the same waker), and no
    /// loop here depends on it.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>, reading: &mut Option<Box<Reading>>) -> Poll<Next> {
        if let Some(poll) = self.poll_with(&mut lock(&self.state), cx.waker(), reading) {
            return poll;
        }
        let waker = cx.waker().clone();
        let mut guard = lock(&self.state);
        if let Some(poll) = self.poll_with(&mut guard, &waker, reading) {
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
    fn poll_with(&self, state: &mut State, waker: &Waker, reading: &mut Option<Box<Reading>>) -> Option<Poll<Next>> {
        if let Some(next) = state.next_share() {
            self.in_hand.store(true, Ordering::Relaxed);
            if reading.is_none() {
                *reading = state.active.as_mut().and_then(|active| active.reading.take());
            }
            return Some(Poll::Ready(next));
        }
        if reading.as_ref().is_some_and(|reading| reading.is_spare()) {
            // Without `active` it is dropped: it has no message, so no code of a user runs here.
            let spare = reading.take();
            if let Some(active) = &mut state.active {
                active.reading = spare;
            }
        }
        if state.is_ended() {
            return Some(Poll::Ready(Next::End));
        }
        if self.draining.swap(false, Ordering::Relaxed) {
            return Some(Poll::Ready(Next::Finished));
        }
        state.consumer.as_ref()?.will_wake(waker).then_some(Poll::Pending)
    }

    /// The consumer wants no more messages, but may read the queued ones.
    pub(crate) fn end_by_consumer(&self) {
        lock(&self.state).end(EndReason::Unsubscribed);
    }

    /// Whether the task has ended it, and so knows.
    pub(crate) fn ended_by_task(&self) -> bool {
        lock(&self.state).end_reason().is_some_and(|reason| reason != EndReason::Unsubscribed)
    }

    /// Messages lost because the consumer was too slow.
    pub(crate) fn dropped(&self) -> u64 {
        lock(&self.state).rare.as_ref().map_or(0, |rare| rare.dropped)
    }

    /// Messages and bytes that were received and not read, including the overflow.
    pub(crate) fn pending(&self) -> (usize, usize) {
        lock(&self.state).pending()
    }

    /// Why nothing more comes.
    pub(crate) fn end_reason(&self) -> Option<EndReason> {
        lock(&self.state).end_reason()
    }
}
