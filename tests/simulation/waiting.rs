//! Publishers: who finds no room may wait for it, first come, first served, but never owns it (D9, D11).

use std::time::Instant;

use nats_lifeline::engine::{Frame, Gate, OverflowPolicy, Refusal};
use rand::RngExt;

use crate::books::Record;
use crate::content::{self, DIGITS, PUBLISHED, SUBJECTS};
use crate::script::say;
use crate::world::World;

/// A message that was not admitted yet. Its number, and so its content, comes with its admission.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft {
    subject: usize,
    payload: usize,
    headers: bool,
}

/// A publisher that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    draft: Draft,
    /// Bytes on the wire.
    len: usize,
    pub(crate) until: Instant,
}

/// What came of an attempt to publish.
enum Attempt {
    Admitted,
    /// The client's own check of the size came first.
    NeverTried,
    Refused(Refusal, usize),
}

impl World {
    pub(crate) fn publish(&mut self) {
        for _ in 0..self.rng.random_range(1..4) {
            let large = self.rng.random_ratio(1, 50);
            let payload = if large { 33_000 } else { self.rng.random_range(DIGITS..=self.plan.payload) };
            let subject = self.rng.random_range(0..PUBLISHED);
            let headers = self.driver.limits().1 && self.rng.random_ratio(1, 5);
            let draft = Draft { subject, payload, headers };
            // A promise is given while there is room, and others may have used it up since.
            let outbox = &self.driver.outbox;
            let promised = self.rng.random_ratio(1, 10) && outbox.pending() < 2 * outbox.mark();
            let before = outbox.pending();
            match self.attempt(draft, promised) {
                Attempt::Admitted => {}
                Attempt::NeverTried => self.tally.user("refused: max_payload"),
                Attempt::Refused(refusal, len) => {
                    self.check_refusal(refusal, before, len, promised);
                    let waits = match refusal {
                        Refusal::NoRoom => true,
                        Refusal::Full { .. } | Refusal::TooMany { .. } | Refusal::TooLarge { .. } => {
                            self.waits_while_buffering()
                        }
                        _ => false,
                    };
                    if let (true, Some(patience)) = (waits, self.plan.patience) {
                        self.tally.user("wait for room");
                        self.waiting.push_back(Waiting { draft, len, until: self.now + patience });
                    }
                }
            }
        }
    }

    fn waits_while_buffering(&self) -> bool {
        matches!(self.plan.outbox.overflow, OverflowPolicy::Wait(_))
    }

    fn attempt(&mut self, draft: Draft, promised: bool) -> Attempt {
        let Draft { subject, payload, headers } = draft;
        let number = self.books.records.len() as u64 + 1;
        let (max_payload, headers_known) = self.driver.limits();
        let block = headers.then(|| content::headers(number));
        let size = payload + block.as_ref().map_or(0, Vec::len);
        if size > max_payload || (headers && !headers_known) {
            return Attempt::NeverTried;
        }
        let body = content::payload(number, payload);
        let frame =
            Frame { subject: SUBJECTS[subject].as_bytes(), reply: None, headers: block.as_deref(), payload: &body };
        let outbox = &mut self.driver.outbox;
        let len = frame.len();
        if outbox.wants_ticks() {
            outbox.tick(self.now);
        }
        match outbox.admit(&frame, promised) {
            Ok(sequence) => {
                say!(self, "publishes {number}, {len} bytes");
                let held = self.driver.outbox.gate() == Gate::Buffering;
                let (pending, cap) = (self.driver.outbox.pending(), self.plan.outbox.cap);
                assert!(!held || pending <= cap, "I6: {pending} bytes held, cap {cap}");
                self.tally.user("publish");
                let deadly = self.meddling && self.plan.deadly > 0 && self.rng.random_ratio(1, self.plan.deadly);
                let record = Record { subject, size, payload, headers, deadly, ..Record::default() };
                self.books.admitted(sequence, record);
                if self.rng.random_ratio(1, 6) {
                    self.tally.user("publish, confirmed");
                    self.driver.outbox.want_pong(sequence);
                    self.books.awaited.insert(sequence);
                }
                self.wake_for_messages();
                Attempt::Admitted
            }
            Err(refusal) => Attempt::Refused(refusal, len),
        }
    }

    /// Room may have come. Who waits longest is first, and nobody is passed.
    pub(crate) fn admit_waiting(&mut self) {
        let now = self.now;
        let before = self.waiting.len();
        self.waiting.retain(|publisher| publisher.until > now);
        for _ in self.waiting.len()..before {
            self.tally.user("waited in vain");
        }
        while let Some(Waiting { draft, len, .. }) = self.waiting.front().copied() {
            if !self.driver.outbox.has_room_for(Some(len)) {
                return;
            }
            self.waiting.pop_front();
            match self.attempt(draft, false) {
                Attempt::Admitted => self.tally.user("waited and was admitted"),
                Attempt::NeverTried | Attempt::Refused(Refusal::Shut, _) => {}
                Attempt::Refused(Refusal::Dropped, len) => {
                    self.check_refusal(Refusal::Dropped, self.driver.outbox.pending(), len, false);
                }
                Attempt::Refused(refusal, len) => {
                    let lie = refusal == Refusal::NoRoom || self.waits_while_buffering();
                    assert!(!lie, "I7: room for {len} bytes was promised to who waits: {refusal:?}");
                }
            }
        }
    }

    fn check_refusal(&mut self, refusal: Refusal, pending: usize, len: usize, promised: bool) {
        let cap = self.plan.outbox.cap;
        let legitimate = match refusal {
            Refusal::NoRoom => self.driver.outbox.gate() == Gate::Open && !promised && pending > 0,
            Refusal::Full { .. } => self.driver.outbox.gate() == Gate::Buffering && pending + len > cap,
            Refusal::TooMany { pending, limit } => {
                let outbox = &self.driver.outbox;
                let full = pending >= limit && self.plan.outbox.messages == Some(limit);
                outbox.gate() == Gate::Buffering && outbox.messages() == pending && full
            }
            Refusal::Dropped => {
                self.books.dropped_at_once();
                self.plan.outbox.overflow == OverflowPolicy::DropNewest && cap != 0
            }
            Refusal::TooLarge { .. } => self.driver.outbox.gate() == Gate::Buffering && cap != 0 && len > cap,
            Refusal::Shut => self.barred || self.driver.ended || self.driver.idle_at_exchange,
        };
        assert!(legitimate, "{refusal:?} at {pending} bytes for {len} more, cap {cap}, {}", self.status());
        self.tally.user("refused");
    }
}
