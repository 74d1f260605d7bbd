//! The outbox while no server is connected: what happens at the cap, to messages that are too old, and to those that are not
//! wanted.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::backlog;
use super::losses::{DroppedRun, Losses};
use super::payload::Payload;
use super::segment::{FrameView, Segment, Verdict};
use super::{Frame, Gate, Outbox, Refusal};
use crate::engine::config::OverflowPolicy;
use crate::engine::ledger::{LossReason, Lost};
use crate::protocol;

/// Buffered frames are stamped in runs of this length (D9): a message expires up to this much late, and a trickle of messages
/// does not cost a chunk each.
const RUN: Duration = Duration::from_millis(10);

/// A chunk is cut into pieces of this size when messages are dropped from its front, so that a drop moves few bytes.
const PIECE: usize = 4 * 1024;

/// 80 % of the cap, at which [`BufferHigh`](crate::engine::ConnectionEvent::BufferHigh) is reported. Without a cap there is no
/// mark.
pub(super) fn alarm(cap: usize) -> usize {
    if cap == 0 { usize::MAX } else { cap - cap / 5 }
}

/// How full the buffer is, reported at each crossing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Fill {
    /// Buffering, and at 80 % of the cap or above.
    High,
    /// Below 70 % of the cap.
    Low,
    /// Between, or above while connected: what was reported last still applies.
    Between,
}

/// The front of the outbox, at one moment.
#[derive(Clone, Copy, Debug)]
struct Front {
    /// The last number before it.
    through: u64,
    bytes: usize,
    messages: u64,
}

impl Outbox {
    /// Makes sure that there is room for a frame while buffering, by the policy; or returns why there is none.
    #[cold]
    pub(super) fn make_place(&mut self, frame: &Frame<'_>, len: usize) -> Result<(), Refusal> {
        let limit = self.cap;
        if len > limit && limit != 0 {
            return Err(Refusal::TooLarge { pending: self.pending, limit, frame: len });
        }
        if !self.fits(len) {
            self.expire();
            self.overflow(frame, len)?;
        }
        self.begin_run();
        if self.pending + len >= self.alarm {
            self.alarm = usize::MAX;
            self.news = true;
        }
        Ok(())
    }

    fn fits(&self, len: usize) -> bool {
        self.pending + len <= self.cap && self.rules.messages.is_none_or(|most| self.messages() < most)
    }

    /// Whether a waiter with a frame of this size would now be admitted or refused.
    pub(super) fn has_room_while_buffering(&self, len: usize) -> bool {
        let waits = self.gate == Gate::Buffering && matches!(self.rules.overflow, OverflowPolicy::Wait(_));
        !waits || self.fits(len)
    }

    /// There is no room. `Ok`: the policy has made some.
    fn overflow(&mut self, frame: &Frame<'_>, len: usize) -> Result<(), Refusal> {
        if self.fits(len) {
            return Ok(());
        }
        // With cap 0 nothing is buffered, so there is nothing to drop either.
        match self.rules.overflow {
            // What is on its way to a server that is being left can't be dropped. If dropping the rest would not be enough,
            // nothing is dropped.
            OverflowPolicy::DropOldest if self.pending - self.waiting() + len <= self.cap => {
                while !self.fits(len) && self.take_out_first(LossReason::Overflow) {
                    self.note_drop();
                }
            }
            OverflowPolicy::DropNewest if self.cap != 0 => {
                self.drop_new(frame, len);
                return Err(Refusal::Dropped);
            }
            _ => {}
        }
        match self.rules.messages {
            _ if self.fits(len) => Ok(()),
            Some(limit) if self.pending + len <= self.cap => Err(Refusal::TooMany { pending: self.messages(), limit }),
            _ => Err(Refusal::Full { pending: self.pending, limit: self.cap, frame: len }),
        }
    }

    /// Drops the oldest waiting message. `false`: none is waiting here.
    pub(in crate::engine) fn take_out_first(&mut self, reason: LossReason) -> bool {
        let front = self.front();
        if self.sealed.messages() == 0 {
            self.seal();
        }
        // During a move SUBs and UNSUBs are among the frames; they keep their places.
        let mut passed = Vec::new();
        let mut found = None;
        while let Some(mut segment) = self.sealed.pop_front() {
            if segment.body.is_none() && segment.head.len() > PIECE {
                // At least one frame comes off, and it may be the only one.
                let piece = segment.split_bytes(PIECE);
                let after = self.removed.advance(front.through, piece.messages);
                self.sealed.push_front(std::mem::replace(&mut segment, piece), after);
            }
            if segment.messages == 0 {
                passed.push(segment);
                continue;
            }
            found = segment.pop_message();
            self.sealed.push_front(segment, front.through);
            break;
        }
        for segment in passed.into_iter().rev() {
            self.sealed.push_front(segment, front.through);
        }
        let Some(message) = found else { return false };
        self.losses.push(reason, message);
        self.lost_in_front(reason, front);
        true
    }

    fn drop_new(&mut self, frame: &Frame<'_>, len: usize) {
        let Frame { subject, reply, headers, payload } = *frame;
        let mut segment = Segment { messages: 1, ..Segment::default() };
        if payload.len() >= super::SHARED_PAYLOAD {
            protocol::publish_head(&mut segment.head, subject, reply, headers, payload.len());
            segment.body = Some(Payload::new(payload.clone()));
        } else {
            segment.head.reserve_exact(len);
            protocol::publish(&mut segment.head, subject, reply, headers, payload);
        }
        self.losses.push(LossReason::Overflow, segment);
        self.unnumbered += 1;
        self.note_drop();
    }

    /// The front, before messages are removed from it.
    fn front(&self) -> Front {
        Front { through: self.through(), bytes: self.waiting(), messages: self.messages() }
    }

    /// Messages were removed from the front.
    fn left_in_front(&mut self, before: Front) {
        self.passed = self.removed.advance(before.through, before.messages - self.messages());
        self.forget(before.bytes);
    }

    /// Messages were lost from the front: everything that waited here before the first that still does.
    fn lost_in_front(&mut self, reason: LossReason, before: Front) {
        let elsewhere = self.pending != before.bytes;
        self.left_in_front(before);
        let lost = before.through + 1..=self.through();
        if elsewhere {
            // What is in flight may come back, and then these are missing in the middle. Some of them may be recorded already.
            self.removed.forget_between(&lost);
            self.removed.insert(lost.clone());
        }
        self.name(reason, lost);
    }

    /// The messages with these numbers are lost. The first ones may have been given to a connection before.
    fn name(&mut self, reason: LossReason, numbers: RangeInclusive<u64>) {
        let (first, last) = numbers.into_inner();
        let border = self.given.min(last);
        self.losses.name(DroppedRun { reason, numbers: first..=border, handed_over: true });
        self.losses.name(DroppedRun { reason, numbers: first.max(border + 1)..=last, handed_over: false });
    }

    fn note_drop(&mut self) {
        self.dropped += 1;
        self.news = true;
    }

    /// How many messages the policy has dropped since the last call: their publishers must yield.
    pub fn take_dropped(&mut self) -> usize {
        std::mem::take(&mut self.dropped)
    }

    /// Segments to be dropped where no lock is held: payloads may have destructors of their own.
    pub fn take_garbage(&mut self) -> Vec<Segment> {
        self.losses.take_garbage()
    }

    /// What was lost since the last exchange, which the ledger does not include yet.
    pub fn lost_since(&self) -> Lost {
        self.losses.lost()
    }

    // Age.

    /// Sets the time before a message is admitted while buffering. Only an age limit needs it.
    pub fn tick(&mut self, now: Instant) {
        if self.rules.max_age.is_some() && self.gate == Gate::Buffering {
            let started = self.clock.map_or(now, |(_, started)| started);
            self.clock = Some((now, started));
        }
    }

    /// Whether buffered messages have an age limit.
    #[inline]
    pub fn wants_ticks(&self) -> bool {
        self.gate == Gate::Buffering && self.rules.max_age.is_some()
    }

    /// The next frame belongs to a run of at most 10 ms, which is stamped with its end: no message expires too early.
    fn begin_run(&mut self) {
        let Some((now, started)) = self.clock else { return };
        let begins = self.tail.buffered_since.is_none() || now.saturating_duration_since(started) >= RUN;
        if self.tail.is_empty() || begins {
            self.seal_tight();
            self.clock = Some((now, now));
        }
        self.tail.buffered_since = Some(now);
    }

    /// Seals a chunk that will not be filled: a trickle of such chunks must not take more memory than their content.
    fn seal_tight(&mut self) {
        if !self.tail.is_empty() {
            self.tail.head.shrink_to_fit();
            self.seal();
        }
    }

    /// Drops messages that are strictly older than the limit, by the clock of the last tick.
    pub(in crate::engine) fn expire(&mut self) {
        let (Some(age), Some((now, _))) = (self.rules.max_age, self.clock) else { return };
        let old =
            |segment: &Segment| segment.buffered_since.is_some_and(|since| now.saturating_duration_since(since) > age);
        let before = self.front();
        loop {
            if self.sealed.is_empty() && old(&self.tail) {
                self.seal();
            }
            if !self.sealed.front().is_some_and(old) {
                break;
            }
            if let Some(segment) = self.sealed.pop_front() {
                self.losses.push(LossReason::Expired, segment);
                self.news = true;
            }
        }
        self.lost_in_front(LossReason::Expired, before);
    }

    // Removing messages.

    /// Withdraws a buffered message, if it is still here and was never given to a connection. Only while the gate is buffering.
    /// What remains of it goes to `gone`, to be dropped where a payload's destructor may run.
    pub fn cancel(&mut self, sequence: u64, gone: &mut Vec<Segment>) -> bool {
        if self.gate != Gate::Buffering || sequence <= self.given || !self.waits(sequence) {
            return false;
        }
        let before = self.waiting();
        let passed = self.passed;
        if sequence <= self.tail_after {
            self.sealed.withdraw(sequence, passed, &self.removed, gone);
        } else if self.tail.messages == 1 && !self.tail.interest {
            self.take_tail();
        } else {
            let after = self.tail_after.max(passed);
            backlog::withdraw(&mut self.tail, &mut self.tail_index, sequence, after, &self.removed);
        }
        self.removed.insert(sequence..=sequence);
        self.withdrawn += 1;
        self.forget(before);
        true
    }

    /// Whether the message with this number still waits here.
    pub fn waits(&self, sequence: u64) -> bool {
        self.through() < sequence && sequence <= self.admitted && !self.removed.contains(sequence)
    }

    /// Loses the waiting messages for which `judge`, given their numbers, returns a reason; SUB and UNSUB stay.
    pub(in crate::engine) fn revise(&mut self, mut judge: impl FnMut(FrameView<'_>, u64) -> Option<LossReason>) {
        let before = self.waiting();
        let mut sequence = self.through();
        let mut left = Vec::new();
        self.seal();
        let removed = &self.removed;
        let decide = |frame: FrameView<'_>| {
            if !frame.message {
                return Verdict::Keep;
            }
            sequence = removed.skip(sequence + 1);
            match judge(frame, sequence) {
                None => Verdict::Keep,
                Some(reason) => {
                    left.push((reason, sequence));
                    Verdict::Lose(reason)
                }
            }
        };
        self.sealed.sift(decide, &mut self.losses);
        for (reason, sequence) in left {
            self.name(reason, sequence..=sequence);
            self.removed.insert(sequence..=sequence);
        }
        self.forget(before);
    }

    /// Loses those of the first `messages` waiting here that a server has `refused`. All of them had been given to the
    /// connection that is gone. Returns how many were lost, and the number of the last that was examined.
    pub(in crate::engine) fn refuse(&mut self, messages: u64, refused: impl Fn(&FrameView<'_>) -> bool) -> (u64, u64) {
        let (mut left, mut lost, mut last) = (messages, 0, self.through());
        self.revise(|frame, number| {
            if left == 0 {
                return None;
            }
            (left, last) = (left - 1, number);
            let refused = refused(&frame);
            lost += u64::from(refused);
            refused.then_some(LossReason::Refused)
        });
        (lost, last)
    }

    /// Drops the waiting messages that had been given to a connection before, which are the first ones: they are in doubt.
    /// Returns how many there were.
    pub(in crate::engine) fn give_up_sent(&mut self) -> u64 {
        let before = self.front();
        self.seal();
        let mut in_doubt = 0;
        while let Some(mut segment) = self.sealed.pop_front() {
            let sent = segment.sent;
            if sent > 0 {
                in_doubt += sent;
                self.losses.forget(segment.split_messages(sent));
            }
            if !segment.is_empty() {
                let after = self.removed.advance(before.through, in_doubt);
                self.sealed.push_front(segment, after);
                break;
            }
        }
        self.left_in_front(before);
        in_doubt
    }

    /// Drops everything that is waiting: it is lost.
    pub(in crate::engine) fn give_up(&mut self) {
        let before = self.front();
        self.seal();
        while let Some(segment) = self.sealed.pop_front() {
            self.losses.push(LossReason::Closed, segment);
        }
        self.lost_in_front(LossReason::Closed, before);
    }

    /// Takes what was lost since the last exchange; after that there is nothing to report.
    pub(in crate::engine) fn take_losses(&mut self) -> Losses {
        self.news = false;
        std::mem::take(&mut self.losses)
    }

    // The watermark.

    /// How full the buffer is, compared with the cap.
    pub(in crate::engine) fn level(&self) -> Fill {
        match self.pending {
            _ if self.cap == 0 => Fill::Low,
            pending if pending >= alarm(self.cap) && self.gate == Gate::Buffering => Fill::High,
            pending if pending < self.cap - self.cap / 10 * 3 => Fill::Low,
            _ => Fill::Between,
        }
    }

    /// The engine has reported the level: only the other one is worth reporting now.
    pub(in crate::engine) fn set_reported(&mut self, high: bool) {
        self.alarm = if high { usize::MAX } else { alarm(self.cap) };
    }
}
