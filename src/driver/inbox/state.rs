//! The data in the lock of an inbox.

use std::collections::VecDeque;
use std::task::Waker;

use super::{InboxLimits, Next, Reading};
use crate::driver::gap_marks::{Gap, GapMarks};
use crate::driver::reads::Share;
use crate::engine::EndReason;

/// The state of an inbox.
#[derive(Debug)]
pub(super) struct State {
    pub(super) consumer: Option<Waker>,
    /// `None` while the subscription is idle. `Some` while there are messages, or `grace` is not `Unused`.
    pub(super) active: Option<Box<Active>>,
    pub(super) rare: Option<Box<Rare>>,
    /// Messages ever put in; the first one in the queue has the number `accepted - messages`.
    pub(super) accepted: u64,
    /// The highest number of bytes in the queue so far.
    most_bytes: usize,
    /// The highest number of messages. Each has its position in memory, so that there are never more.
    most_messages: u32,
    pub(super) grace: Grace,
    /// It has ended because the consumer wants no more.
    unsubscribed: bool,
}

/// What an inbox needs while messages come.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) limits: InboxLimits,
    queue: VecDeque<Share>,
    /// Messages in the queue.
    messages: usize,
    /// Bytes in the queue.
    bytes: usize,
    /// The consumer's own, while it waits for messages.
    pub(super) reading: Option<Box<Reading>>,
}

/// What most inboxes never need.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// Its own limits, instead of the client's.
    limits: Option<InboxLimits>,
    /// Why nothing more comes, unless the consumer wanted that; queued messages can still be read.
    end: Option<EndReason>,
    pub(super) dropped: u64,
    /// Received messages over the limits, in order after the queue, while the task waits for this consumer. There are
    /// none while the queue is empty.
    pub(super) overflow: VecDeque<Share>,
    /// For a consumer that asked where messages are missing.
    pub(super) gaps: Option<GapMarks>,
}

/// Whether the task has waited for this consumer (D21).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grace {
    /// Not needed.
    Unused,
    /// The task has stopped reading, and is to be woken when half of the queue has been read.
    Waited,
    /// Waiting did not help; the policy applies until half of the queue has been read.
    Spent,
    /// The same, and a loss has already been reported.
    Losing,
}

impl Active {
    fn is_above_half(&self) -> bool {
        self.messages > self.limits.messages / 2 || self.bytes > self.limits.bytes / 2
    }

    fn is_over(&self) -> bool {
        self.messages > self.limits.messages || (self.bytes > self.limits.bytes && self.messages > 1)
    }

    /// Splits off what fits.
    fn fit(&self, share: Share) -> (Option<Share>, Option<Share>) {
        let free_messages = self.limits.messages.saturating_sub(self.messages);
        let free_bytes = self.limits.bytes.saturating_sub(self.bytes);
        if share.count() <= free_messages && share.bytes() <= free_bytes {
            return (Some(share), None);
        }
        match share.split(free_messages, free_bytes) {
            // One message always fits, however large: a reader that keeps up misses none.
            (None, Some(share)) if self.messages == 0 => share.split(1, usize::MAX),
            parts => parts,
        }
    }

    #[inline]
    fn take_out(&mut self, share: &Share) {
        self.messages -= share.count().min(self.messages);
        self.bytes -= share.bytes().min(self.bytes);
    }
}

impl State {
    pub(super) fn new(limits: Option<InboxLimits>) -> State {
        State {
            consumer: None,
            active: None,
            rare: limits.is_some().then(|| Box::new(Rare { limits, ..Rare::default() })),
            accepted: 0,
            most_bytes: 0,
            most_messages: 0,
            grace: Grace::Unused,
            unsubscribed: false,
        }
    }

    /// Messages are about to be put in. `limits`: those of the client.
    #[inline]
    pub(super) fn activate(&mut self, limits: &InboxLimits) {
        if self.active.is_none() {
            let own = self.rare.as_ref().and_then(|rare| rare.limits);
            let (limits, queue) = (own.unwrap_or(*limits), VecDeque::new());
            self.active = Some(Box::new(Active { limits, queue, messages: 0, bytes: 0, reading: None }));
        }
    }

    /// Returns what an idle subscription does not need, to be dropped outside of the lock.
    pub(super) fn deactivate(&mut self) -> Option<Box<Active>> {
        let idle = self.messages() == 0 && self.grace == Grace::Unused;
        if idle { self.active.take() } else { None }
    }

    #[cold]
    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Messages in the queue.
    #[inline]
    pub(super) fn messages(&self) -> usize {
        self.active.as_ref().map_or(0, |active| active.messages)
    }

    /// Messages and bytes in the queue and in the overflow.
    pub(super) fn pending(&self) -> (usize, usize) {
        let queued = self.active.as_ref().map_or((0, 0), |active| (active.messages, active.bytes));
        let overflow = self.rare.iter().flat_map(|rare| &rare.overflow);
        overflow.fold(queued, |(messages, bytes), share| (messages + share.count(), bytes + share.bytes()))
    }

    /// The highest number of messages and bytes in the queue so far.
    pub(super) fn most(&self) -> (usize, usize) {
        (self.most_messages as usize, self.most_bytes)
    }

    #[inline]
    pub(super) fn is_ended(&self) -> bool {
        self.unsubscribed || self.rare.as_ref().is_some_and(|rare| rare.end.is_some())
    }

    /// The first reason stays.
    pub(super) fn end(&mut self, reason: EndReason) {
        if self.is_ended() {
            return;
        }
        match reason {
            EndReason::Unsubscribed => self.unsubscribed = true,
            reason => self.rare_mut().end = Some(reason),
        }
    }

    pub(super) fn end_reason(&self) -> Option<EndReason> {
        let unsubscribed = self.unsubscribed.then_some(EndReason::Unsubscribed);
        unsubscribed.or_else(|| self.rare.as_ref()?.end.clone())
    }

    #[inline]
    pub(super) fn overflows(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.overflow.is_empty())
    }

    pub(super) fn take_overflow(&mut self) -> VecDeque<Share> {
        self.rare.as_mut().map(|rare| std::mem::take(&mut rare.overflow)).unwrap_or_default()
    }

    #[inline]
    pub(super) fn is_lagging(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.is_above_half()) || self.overflows()
    }

    /// Messages received so far, including the overflow.
    pub(super) fn received(&self) -> u64 {
        let overflow = self.rare.iter().flat_map(|rare| &rare.overflow);
        self.accepted + overflow.map(|share| share.count() as u64).sum::<u64>()
    }

    /// The number of the first message in the queue.
    #[inline]
    pub(super) fn first(&self) -> u64 {
        self.accepted - self.messages() as u64
    }

    /// Puts in as much of `share` as fits, and returns the rest.
    #[inline]
    pub(super) fn put_what_fits(&mut self, share: Share) -> Option<Share> {
        let Some(active) = &mut self.active else { return Some(share) };
        let (fits, rest) = active.fit(share);
        if let Some(share) = fits {
            self.put(share);
            self.note_most();
        }
        rest
    }

    #[inline]
    fn put(&mut self, share: Share) {
        let Some(active) = &mut self.active else { return };
        let count = share.count();
        active.messages += count;
        active.bytes += share.bytes();
        active.queue.push_back(share);
        self.accepted += count as u64;
    }

    #[inline]
    fn note_most(&mut self) {
        let Some(active) = &self.active else { return };
        self.most_messages = self.most_messages.max(u32::try_from(active.messages).unwrap_or(u32::MAX));
        self.most_bytes = self.most_bytes.max(active.bytes);
    }

    /// Moves as much of the overflow into the queue as fits.
    fn refill(&mut self) {
        while let Some(share) = self.rare.as_mut().and_then(|rare| rare.overflow.pop_front()) {
            if let Some(rest) = self.put_what_fits(share) {
                self.rare_mut().overflow.push_front(rest);
                break;
            }
        }
    }

    /// Puts in `rest` in place of the oldest messages, which are returned.
    pub(super) fn replace_oldest(&mut self, rest: Share) -> Vec<Share> {
        let mut gone = Vec::new();
        self.put(rest);
        while let Some(active) = self.active.as_mut().filter(|active| active.is_over()) {
            let Some(oldest) = active.queue.pop_front() else { break };
            let excess = active.messages.saturating_sub(active.limits.messages).max(1);
            let (out, kept) = oldest.split(excess, usize::MAX);
            if let Some(kept) = kept {
                active.queue.push_front(kept);
            }
            if let Some(out) = out {
                active.take_out(&out);
                gone.push(out);
            }
        }
        self.note_most();
        gone
    }

    /// Takes the next share out.
    pub(super) fn next_share(&mut self) -> Option<Next> {
        let at = self.first();
        let active = self.active.as_mut()?;
        let share = active.queue.pop_front()?;
        active.take_out(&share);
        if self.overflows() {
            self.refill();
        }
        let caught_up = !self.is_lagging();
        let wake_task = caught_up && self.grace == Grace::Waited;
        if caught_up {
            self.grace = Grace::Unused;
            self.end_burst();
        }
        Some(Next::Share { share, at, wake_task })
    }

    /// If a burst is over, frees its memory.
    #[inline]
    fn end_burst(&mut self) {
        if let Some(active) = self.active.as_mut().filter(|active| active.queue.is_empty()) {
            if active.queue.capacity() > 64 {
                active.queue = VecDeque::new();
            }
        }
    }

    /// Takes everything out. `messages == 0` after it.
    pub(super) fn clear(&mut self) -> (Option<Box<Active>>, VecDeque<Share>) {
        self.grace = Grace::Unused;
        (self.active.take(), self.take_overflow())
    }

    /// Records a gap after everything received so far. Returns the consumer, if it asked for gaps.
    pub(super) fn mark(&mut self, gap: Gap) -> Option<Waker> {
        let received = self.received();
        self.rare.as_mut()?.gaps.as_mut()?.mark(received, gap);
        self.consumer.take()
    }
}
