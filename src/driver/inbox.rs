//! One queue per subscription: shares of reads, under limits, between the task and one consumer.

mod consumer;
mod share;
#[cfg(test)]
mod tests;

pub(super) use share::Losing;
pub use share::WhenFull;
pub(crate) use share::{InboxLimits, Next, Offered};

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use super::gap_marks::{Gap, GapMarks};
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

#[derive(Debug)]
struct State {
    queue: VecDeque<Share>,
    /// Messages in the queue.
    messages: usize,
    /// Bytes in the queue.
    bytes: usize,
    limits: InboxLimits,
    consumer: Option<Waker>,
    /// Why nothing more comes; queued messages can still be read.
    end: Option<EndReason>,
    dropped: u64,
    grace: Grace,
    /// Received messages over the limits, in order after the queue, while the task waits for this consumer. There are
    /// none while the queue is empty.
    overflow: VecDeque<Share>,
    /// Messages ever put in; the first one in the queue has the number `accepted - messages`.
    accepted: u64,
    /// The highest number of messages and bytes in the queue so far.
    most: (usize, usize),
    /// For a consumer that asked where messages are missing.
    gaps: Option<Box<GapMarks>>,
}

/// Whether the task has waited for this consumer (D21).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grace {
    /// Not needed.
    Unused,
    /// The task has stopped reading, and is to be woken when half of the queue has been read.
    Waited,
    /// Waiting did not help; the policy applies until half of the queue has been read.
    Spent,
    /// The same, and a loss has already been reported.
    Losing,
}

impl State {
    fn is_lagging(&self) -> bool {
        let above_half = self.messages > self.limits.messages / 2 || self.bytes > self.limits.bytes / 2;
        above_half || !self.overflow.is_empty()
    }

    /// Messages received so far, including the overflow.
    fn received(&self) -> u64 {
        self.accepted + self.overflow.iter().map(|share| share.count() as u64).sum::<u64>()
    }

    /// Puts in as much of `share` as fits, and returns the rest.
    fn put_what_fits(&mut self, share: Share) -> Option<Share> {
        let free_messages = self.limits.messages.saturating_sub(self.messages);
        let free_bytes = self.limits.bytes.saturating_sub(self.bytes);
        let (fits, rest) = if share.count() <= free_messages && share.bytes() <= free_bytes {
            (Some(share), None)
        } else {
            match share.split(free_messages, free_bytes) {
                // One message always fits, however large: a reader that keeps up misses none.
                (None, Some(share)) if self.messages == 0 => share.split(1, usize::MAX),
                parts => parts,
            }
        };
        self.put(fits);
        self.note_most();
        rest
    }

    /// Moves as much of the overflow into the queue as fits.
    fn refill(&mut self) {
        while let Some(share) = self.overflow.pop_front() {
            if let Some(rest) = self.put_what_fits(share) {
                self.overflow.push_front(rest);
                break;
            }
        }
    }

    /// The number of the first message in the queue.
    #[inline]
    fn first(&self) -> u64 {
        self.accepted - self.messages as u64
    }

    #[inline]
    fn put(&mut self, share: Option<Share>) {
        if let Some(share) = share {
            let count = share.count();
            self.messages += count;
            self.bytes += share.bytes();
            self.accepted += count as u64;
            self.queue.push_back(share);
        }
    }

    /// Takes the next share out.
    fn next_share(&mut self) -> Option<Next> {
        let at = self.first();
        let share = self.queue.pop_front()?;
        self.messages -= share.count().min(self.messages);
        self.bytes -= share.bytes().min(self.bytes);
        self.refill();
        let caught_up = !self.is_lagging();
        let wake_task = caught_up && self.grace == Grace::Waited;
        if caught_up {
            self.grace = Grace::Unused;
            // A burst is over: frees its memory.
            if self.queue.is_empty() && self.queue.capacity() > 64 {
                self.queue = VecDeque::new();
            }
        }
        Some(Next::Share { share, at, wake_task })
    }

    #[inline]
    fn note_most(&mut self) {
        self.most = (self.most.0.max(self.messages), self.most.1.max(self.bytes));
    }
}

impl Inbox {
    pub(crate) fn new(limits: InboxLimits) -> Inbox {
        Inbox {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                messages: 0,
                bytes: 0,
                limits,
                consumer: None,
                end: None,
                dropped: 0,
                grace: Grace::Unused,
                overflow: VecDeque::new(),
                accepted: 0,
                most: (0, 0),
                gaps: None,
            }),
            in_hand: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }
    }

    /// Messages were received. Those that do not fit go to the overflow while the task waits for this consumer, and are
    /// returned, to be dropped, if it has already waited.
    pub(super) fn offer(&self, share: Share) -> Offered {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        if state.end.is_some() {
            // The consumer is gone or wants no more.
            drop(guard);
            drop(share);
            return Offered::default();
        }
        let before = state.accepted;
        let rest = if state.overflow.is_empty() { state.put_what_fits(share) } else { Some(share) };
        let consumer = if state.accepted > before { state.consumer.take() } else { None };
        let lagging = rest.is_some() || state.is_lagging();
        if !lagging {
            state.grace = Grace::Unused;
        }
        match state.grace {
            Grace::Spent | Grace::Losing => Offered { consumer, lost: rest, lagging: false },
            Grace::Unused | Grace::Waited => {
                state.overflow.extend(rest);
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
        state.grace == Grace::Waited && state.end.is_none()
    }

    /// The task reads again: messages that do not fit from now on are lost, until the consumer has caught up. Returns
    /// the overflow, which is lost now.
    pub(super) fn stop_waiting(&self) -> VecDeque<Share> {
        let mut state = lock(&self.state);
        if state.grace != Grace::Waited || state.end.is_some() {
            return VecDeque::new();
        }
        state.grace = Grace::Spent;
        std::mem::take(&mut state.overflow)
    }

    /// `rest` does not fit: messages are dropped by the policy.
    pub(super) fn lose(&self, rest: Share) -> Losing {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let first = state.first();
        let mut gone = Vec::new();
        if state.limits.when_full == WhenFull::DropOldest {
            state.put(Some(rest));
            while state.messages > state.limits.messages || (state.bytes > state.limits.bytes && state.messages > 1) {
                let Some(oldest) = state.queue.pop_front() else { break };
                let excess = state.messages.saturating_sub(state.limits.messages).max(1);
                let (out, kept) = oldest.split(excess, usize::MAX);
                if let Some(kept) = kept {
                    state.queue.push_front(kept);
                }
                if let Some(out) = out {
                    state.messages -= out.count().min(state.messages);
                    state.bytes -= out.bytes().min(state.bytes);
                    gone.push(out);
                }
            }
            state.note_most();
        } else {
            gone.push(rest);
        }
        let count = gone.iter().map(|share| share.count() as u64).sum();
        let (accepted, now_first) = (state.accepted, state.first());
        if let Some(gaps) = &mut state.gaps {
            if now_first > first {
                gaps.drop_front(first, now_first);
            } else {
                gaps.drop_after(accepted, count);
            }
        }
        state.dropped += count;
        let begins = state.grace != Grace::Losing;
        state.grace = Grace::Losing;
        Losing {
            dropped: state.dropped,
            begins,
            closes: state.limits.when_full == WhenFull::Close,
            consumer: state.consumer.take(),
            gone,
        }
    }

    /// A message was skipped because it is over the limits.
    pub(super) fn miss(&self) -> Option<Waker> {
        let mut state = lock(&self.state);
        if state.end.is_some() {
            return None;
        }
        state.dropped += 1;
        let received = state.received();
        state.gaps.as_mut()?.mark(received, Gap::Lagged(1));
        state.consumer.take()
    }

    /// The connection was lost: messages may be missing here. `None`: the consumer did not ask for that.
    pub(super) fn interrupt(&self) -> Option<Waker> {
        let mut state = lock(&self.state);
        if state.end.is_some() {
            return None;
        }
        let received = state.received();
        state.gaps.as_mut()?.mark(received, Gap::Interrupted);
        state.consumer.take()
    }

    /// Nothing more comes from the server, but the stream ends only with the drain of the whole client. Returns what is
    /// still unread.
    pub(super) fn set_draining(&self) -> Unread {
        let state = lock(&self.state);
        let untouched = state.accepted == 0 || state.consumer.is_some();
        if state.messages == 0 && untouched {
            return Unread::Nothing;
        }
        // Whichever of this and `share_done` comes second sees the other.
        self.draining.store(true, Ordering::SeqCst);
        if state.messages == 0 && !self.in_hand.load(Ordering::SeqCst) { Unread::LastInHand } else { Unread::Some }
    }

    /// Nothing more comes; the first reason stays.
    pub(super) fn end(&self, reason: EndReason) -> Option<Waker> {
        let mut state = lock(&self.state);
        state.end.get_or_insert(reason);
        state.consumer.take()
    }

    /// Messages that were received and not read.
    pub(crate) fn unread(&self) -> u64 {
        let state = lock(&self.state);
        state.received() - state.first()
    }
}
