//! Moving frames to the flight and back.

use std::time::Instant;

use super::flight::{Flight, GivenBack};
use super::segment::Segment;
use super::{CHUNK, Gate, Outbox, SPARE_CHUNKS};

impl Outbox {
    /// Moves everything that is waiting into `flight`, in order.
    pub(in crate::engine) fn load(&mut self, flight: &mut Flight) {
        if flight.holds_no_message() && !self.removed.is_empty() {
            // Nothing can come back any more in which these would be missing.
            self.removed.forget_through(self.through());
        }
        for segment in self.sealed.drain() {
            flight.push_frames(segment);
        }
        let tail = self.take_tail();
        if !tail.is_empty() {
            flight.push_frames(tail);
        }
        self.passed = self.admitted;
    }

    /// Moves no more than this many messages, and the SUBs and UNSUBs before them.
    pub(in crate::engine) fn load_some(&mut self, flight: &mut Flight, messages: u64) {
        self.seal();
        let through = self.through();
        let mut left = messages;
        while left > 0 {
            let Some(mut segment) = self.sealed.pop_front() else { break };
            if segment.messages > left {
                let part = segment.split_messages(left);
                let after = self.removed.advance(through, messages - left + part.messages);
                self.sealed.push_front(std::mem::replace(&mut segment, part), after);
            }
            left -= segment.messages;
            flight.push_frames(segment);
        }
        self.passed = self.removed.advance(through, messages - left);
    }

    /// What the transport has taken of `flight` since the last call no longer counts here, and its chunks are reused.
    pub(in crate::engine) fn settle_taken(&mut self, flight: &mut Flight) {
        let (bytes, spent) = flight.take_released();
        self.pending = self.pending.saturating_sub(bytes);
        while self.spare.len() < SPARE_CHUNKS {
            let Some(chunk) = spent.pop() else { break };
            // A chunk that a long frame has enlarged is not kept.
            if chunk.capacity() <= CHUNK {
                self.spare.push(chunk);
            }
        }
    }

    /// The connection of `flight` is gone: what was not taken comes back, and at least once also what was not confirmed.
    pub(in crate::engine) fn take_back_from(&mut self, flight: &mut Flight, now: Instant) -> GivenBack {
        let (back, frames) = flight.give_back();
        self.take_back(frames.into_iter(), now);
        back
    }

    /// Nothing is sent any more: only what was not taken comes back. The payloads of the rest go to `gone`.
    pub(in crate::engine) fn take_back_at_the_end(
        &mut self,
        flight: &mut Flight,
        now: Instant,
        gone: &mut Vec<Segment>,
    ) -> GivenBack {
        let (back, frames) = flight.give_back_at_the_end(gone);
        self.take_back(frames.into_iter(), now);
        back
    }

    /// The number of the last message before those that wait, found by counting, because some have come back.
    fn count_passed(&self) -> u64 {
        let settled = self.admitted - self.messages();
        let mut passed = settled;
        loop {
            let next = settled - self.removed.count_after(passed);
            if next == passed {
                return passed;
            }
            passed = next;
        }
    }

    /// Takes back what the transport did not take or, at least once, what no PONG covers, in front of what is waiting here. SUB
    /// and UNSUB are dropped, because the table replays subscriptions. The gate is buffering from here on.
    pub(in crate::engine) fn take_back(&mut self, returned: impl DoubleEndedIterator<Item = Segment>, now: Instant) {
        self.seal();
        for segment in returned.rev() {
            self.sealed.push_front(segment, 0);
        }
        if self.rules.max_age.is_some() {
            self.sealed.stamp(now);
        }
        self.set_gate(Gate::Buffering);
        self.sealed.forget_interest(&mut self.losses);
        self.passed = self.count_passed();
        self.removed.forget_through(self.passed);
        self.sealed.number(self.passed, &self.removed);
        self.note_given();
        // Nothing is in flight any more.
        self.pending = self.waiting();
    }
}
