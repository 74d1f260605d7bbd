//! An outbox and a flight next to a model of them, and what may be done to both.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::engine::outbox::{FrameView, MARK};
use crate::engine::{
    DeliveryMode, Flight, Frame, Gate, LossReason, Outbox, OutboxRules, OverflowPolicy, Refusal, Segment,
};
use crate::protocol::{ClientOp, Decoded, Decoder, Limits};

/// One admitted message, as the model knows it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    /// The number in its subject.
    pub(super) name: u64,
    pub(super) frame: Vec<u8>,
    pub(super) size: usize,
    pub(super) headers: bool,
    /// Since when it may count as buffered.
    pub(super) since: Option<Instant>,
    /// Since when it must.
    pub(super) surely: Option<Instant>,
    /// Given to a connection that died.
    pub(super) sent: bool,
}

pub(super) struct World {
    pub(super) outbox: Outbox,
    pub(super) flight: Flight,
    pub(super) rules: OutboxRules,
    pub(super) now: Instant,
    pub(super) offered: u64,
    pub(super) admitted: u64,
    /// In the outbox.
    pub(super) buffered: VecDeque<Entry>,
    /// In the flight, including what the transport took; at least once until it is confirmed.
    pub(super) flying: VecDeque<Entry>,
    /// What this connection's transport took.
    pub(super) wire: Vec<u8>,
    /// Of the wire: bytes and messages that were confirmed and are no longer in `flying`.
    pub(super) settled: u64,
    /// SUB bytes in the outbox.
    pub(super) interest: usize,
    /// Bytes that the outbox counts although they are in the flight.
    pub(super) unreported: usize,
    /// What each PING of this connection covers, oldest first.
    pub(super) pings: VecDeque<u64>,
    pub(super) loaded_frames: usize,
    /// Messages that some connection took, or at least once those that were confirmed.
    pub(super) taken: Vec<u64>,
    /// Messages known to have been taken by the present connection.
    pub(super) here: u64,
    pub(super) gone: u64,
    pub(super) withdrawn: u64,
    pub(super) in_doubt: u64,
}

impl World {
    pub(super) fn new(rules: OutboxRules) -> World {
        World {
            outbox: Outbox::new(rules.clone()),
            flight: Flight::new(rules.delivery),
            rules,
            now: Instant::now(),
            offered: 0,
            admitted: 0,
            buffered: VecDeque::new(),
            flying: VecDeque::new(),
            wire: Vec::new(),
            settled: 0,
            interest: 0,
            unreported: 0,
            pings: VecDeque::new(),
            loaded_frames: 0,
            taken: Vec::new(),
            here: 0,
            gone: 0,
            withdrawn: 0,
            in_doubt: 0,
        }
    }

    pub(super) fn again(&self) -> bool {
        self.rules.delivery == DeliveryMode::AtLeastOnce
    }

    pub(super) fn admit(&mut self, size: usize, reply: bool, headers: bool) {
        let payload = Bytes::from(vec![b'p'; size]);
        self.offered += 1;
        let subject = format!("m.{}", self.offered);
        let frame = Frame {
            subject: subject.as_bytes(),
            reply: reply.then_some(b"_INBOX.r"),
            headers: headers.then_some(b"NATS/1.0\r\nA: b\r\n\r\n"),
            payload: &payload,
        };
        let (len, pending, gate) = (frame.len(), self.outbox.pending(), self.outbox.gate());
        let cap = self.rules.cap;
        let elsewhere = self.unreported;
        self.outbox.tick(self.now);
        let outcome = self.outbox.admit(&frame, false);
        let dropped = self.lose_reported();
        match outcome {
            Ok(sequence) => {
                self.admitted += 1;
                assert_eq!(sequence, self.admitted);
                assert_eq!(self.outbox.pending(), pending + len - dropped);
                assert!(gate == Gate::Buffering || pending < self.outbox.mark());
                if gate == Gate::Buffering {
                    assert!(self.outbox.pending() <= cap);
                    assert!(self.rules.messages.is_none_or(|most| self.outbox.messages() <= most));
                }
                let mut whole = Vec::new();
                crate::protocol::publish(&mut whole, frame.subject, frame.reply, frame.headers, &payload);
                assert_eq!(whole.len(), len);
                let size = size + frame.headers.map_or(0, <[u8]>::len);
                let since = (gate == Gate::Buffering).then_some(self.now);
                let name = self.offered;
                self.buffered.push_back(Entry {
                    sequence,
                    name,
                    frame: whole,
                    size,
                    headers,
                    since,
                    surely: since,
                    sent: false,
                });
            }
            Err(refusal) => {
                assert_eq!(self.outbox.pending(), pending - dropped);
                let full = pending - dropped + len > cap;
                match refusal {
                    Refusal::TooLarge { .. } => assert!(len > cap && cap != 0 && gate == Gate::Buffering),
                    Refusal::Full { .. } => {
                        assert!(full && gate == Gate::Buffering);
                        match self.rules.overflow {
                            OverflowPolicy::DropNewest => assert_eq!(cap, 0),
                            OverflowPolicy::DropOldest => assert!(elsewhere + self.interest + len > cap),
                            _ => {}
                        }
                    }
                    Refusal::TooMany { pending, limit } => {
                        assert!(!full && gate == Gate::Buffering && pending >= limit);
                        assert_eq!(Some(limit), self.rules.messages);
                    }
                    Refusal::Dropped => {
                        assert_eq!((self.rules.overflow, gate), (OverflowPolicy::DropNewest, Gate::Buffering))
                    }
                    Refusal::NoRoom => assert!(pending >= self.outbox.mark() && gate == Gate::Open),
                    Refusal::Shut => assert_eq!(gate, Gate::Shut),
                }
            }
        }
        assert!(self.outbox.mark() <= MARK.max(cap / 2) && self.outbox.mark() > 0);
    }

    /// Checks what the outbox has lost, which must be what the rules say. Returns the bytes that were removed.
    pub(super) fn lose_reported(&mut self) -> usize {
        let mut bytes = 0;
        let Some(report) = self.outbox.take_losses().take_report() else { return 0 };
        assert_eq!(report.messages.len(), report.lost.total(), "all of it fits");
        self.gone += report.lost.total();
        for message in report.messages.iter() {
            let name: u64 = message.subject.as_str()[2..].parse().unwrap();
            if message.reason == LossReason::Overflow && self.rules.overflow == OverflowPolicy::DropNewest {
                assert_eq!(name, self.offered, "the newest");
                continue;
            }
            let at = self.buffered.iter().position(|entry| entry.name == name).expect("lost, but not buffered");
            let entry = self.buffered.remove(at).unwrap();
            bytes += entry.frame.len();
            assert_eq!(message.payload.len() + message.headers.map_or(0, |headers| headers.wire().len()), entry.size);
            let run = report.sequences.iter().find(|run| run.numbers.contains(&entry.sequence)).expect("it is named");
            assert_eq!(
                (run.reason, run.handed_over),
                (message.reason, entry.sent),
                "why, and whether it was sent once"
            );
            match message.reason {
                LossReason::Overflow => {
                    assert_eq!((at, self.rules.overflow), (0, OverflowPolicy::DropOldest), "the oldest");
                }
                LossReason::Expired => {
                    let age = self.now - entry.since.expect("it was buffered");
                    assert!(at == 0 && self.rules.max_age.is_some_and(|max| age > max), "expired at {age:?}");
                }
                LossReason::Closed => assert!(at == 0 && !entry.sent),
                LossReason::TooLarge | LossReason::NoHeaders | LossReason::Poison | LossReason::Refused => {}
            }
        }
        for run in &report.sequences {
            assert!(self.buffered.iter().all(|entry| !run.numbers.contains(&entry.sequence)), "named, and buffered");
        }
        bytes
    }

    /// A move to another server begins: what is waiting counts as buffered from now on.
    pub(super) fn buffer(&mut self) {
        self.outbox.set_gate(Gate::Buffering);
        for entry in self.buffered.iter_mut().chain(&mut self.flying) {
            entry.since = entry.since.or(Some(self.now));
        }
    }

    pub(super) fn load(&mut self) {
        self.outbox.load(&mut self.flight);
        let bytes = self.buffered.iter().map(|entry| entry.frame.len()).sum::<usize>() + self.interest;
        self.loaded_frames += bytes;
        self.unreported += bytes;
        self.interest = 0;
        self.flying.append(&mut self.buffered);
        assert!(self.outbox.is_empty());
    }

    pub(super) fn take(&mut self, n: usize) {
        let bytes: Vec<u8> = self.flight.slices().flatten().copied().take(n).collect();
        assert_eq!(bytes.len(), n.min(self.flight.len()));
        self.wire.extend_from_slice(&bytes);
        self.here += self.flight.advance(bytes.len()).messages;
    }

    pub(super) fn ping(&mut self) {
        self.flight.push_ping();
        self.pings.push_back(self.here + self.flight.messages());
    }

    /// A PONG, if a PING was taken: its messages were taken too.
    pub(super) fn answer(&mut self) {
        if self.pings.front().is_none_or(|covers| *covers > self.here) {
            return;
        }
        let Some(covers) = self.pings.pop_front() else { return };
        let more = covers - self.settled;
        self.flight.confirmed(more, |_| {});
        self.settled = covers;
        for entry in self.flying.drain(..usize::try_from(more).unwrap()) {
            self.taken.push(entry.sequence);
        }
    }

    /// What this connection has taken completely must be the head of `flying`, unchanged and in order. Returns how many
    /// messages of `flying` that is.
    pub(super) fn read_wire(&self) -> u64 {
        let limits = Limits { line: usize::MAX, headers: usize::MAX, total: usize::MAX };
        let (mut decoder, mut at, mut messages) = (Decoder::new(limits), 0, 0_u64);
        while let Ok(Decoded::Op { op, len }) = decoder.decode_client(&self.wire[at..]) {
            if let ClientOp::Pub(_) = op {
                if let Some(entry) = messages.checked_sub(self.settled) {
                    let entry = &self.flying[usize::try_from(entry).unwrap()];
                    assert!(entry.frame == self.wire[at..at + len], "a frame changed or overtook");
                }
                messages += 1;
            }
            at += len;
        }
        messages - self.settled
    }

    pub(super) fn lose(&mut self) {
        let messages = self.read_wire();
        let back = self.outbox.take_back_from(&mut self.flight, self.now);
        assert_eq!(self.here + back.taken, self.settled + messages, "unconfirmed is what was wholly taken");
        for (number, entry) in self.flying.iter_mut().enumerate() {
            entry.sent |= (number as u64) < messages;
        }
        if !self.again() {
            for entry in self.flying.drain(..usize::try_from(messages).unwrap()) {
                assert!(!self.taken.contains(&entry.sequence), "on two connections");
                self.taken.push(entry.sequence);
            }
        }
        while let Some(entry) = self.flying.pop_back() {
            self.buffered.push_front(entry);
        }
        for entry in &mut self.buffered {
            entry.since = entry.since.or(Some(self.now));
            entry.surely = entry.surely.or(Some(self.now));
        }
        self.here = 0;
        self.settled = 0;
        self.pings.clear();
        self.wire.clear();
        self.interest = 0;
        self.unreported = 0;
        self.loaded_frames = 0;
        assert_eq!(self.outbox.gate(), Gate::Buffering);
        assert!(self.flight.is_empty() && self.flight.messages() == 0);
    }

    pub(super) fn cancel(&mut self, at: usize) {
        // Any number: of one that waits, one that is gone, or one between.
        let first = self.buffered.front().map_or(self.admitted, |entry| entry.sequence);
        let sequence = (first + at as u64).saturating_sub(3).min(self.admitted);
        let found = self.buffered.iter().position(|entry| entry.sequence == sequence);
        assert_eq!(self.outbox.waits(sequence), found.is_some(), "waits {sequence}");
        let unsent = found.and_then(|at| self.buffered.get(at)).is_some_and(|entry| !entry.sent);
        let expected = self.outbox.gate() == Gate::Buffering && unsent;
        let mut gone: Vec<Segment> = Vec::new();
        assert_eq!(self.outbox.cancel(sequence, &mut gone), expected, "cancel {sequence}");
        if let (true, Some(found)) = (expected, found) {
            self.buffered.remove(found);
            self.withdrawn += 1;
        }
    }

    pub(super) fn revise(&mut self, max: usize, headers: bool) {
        // Only between connections, as the engine does.
        if !self.flight.is_empty()
            || self.loaded_frames > 0
            || self.interest > 0
            || self.outbox.gate() != Gate::Buffering
        {
            return;
        }
        self.outbox.tick(self.now);
        self.outbox.expire();
        self.outbox.revise(|view: FrameView<'_>, _| match view {
            FrameView { size, .. } if size > max => Some(LossReason::TooLarge),
            FrameView { headers: true, .. } if !headers => Some(LossReason::NoHeaders),
            _ => None,
        });
        self.lose_reported();
        let run = Duration::from_millis(10);
        for entry in &self.buffered {
            assert!(entry.size <= max && (headers || !entry.headers), "not fit for this server");
            let age = entry.surely.map(|since| self.now - since);
            assert!(self.rules.max_age.is_none_or(|max| age.is_none_or(|age| age <= max + run)), "too old: {age:?}");
        }
    }

    pub(super) fn give_up(&mut self) {
        self.lose();
        let sent = self.buffered.iter().filter(|entry| entry.sent).count() as u64;
        assert_eq!(self.outbox.give_up_sent(), sent, "in doubt is what was sent once");
        self.in_doubt += sent;
        self.buffered.retain(|entry| !entry.sent);
        let through = self.outbox.through();
        assert!(self.buffered.iter().all(|entry| entry.sequence > through), "through {through}");
        self.outbox.give_up();
        self.lose_reported();
        assert!(self.buffered.is_empty());
    }

    pub(super) fn check(&mut self) {
        assert_eq!(self.outbox.messages(), self.buffered.len() as u64);
        let unnumbered = self.offered - self.offered.min(self.admitted);
        assert!(
            (self.admitted - self.withdrawn..=self.admitted + unnumbered - self.withdrawn)
                .contains(&self.outbox.accepted())
        );
        // The last that does not wait here: everything after it waits or was withdrawn.
        let through = self.outbox.through();
        assert!(self.buffered.front().is_none_or(|first| through < first.sequence), "through {through}");
        assert!(self.flying.iter().all(|entry| entry.sequence <= through), "through {through}");
        assert!(self.taken.iter().all(|sequence| *sequence <= through), "through {through}");
        // Pending: here, and loaded but not yet reported as taken.
        let buffered = self.buffered.iter().map(|entry| entry.frame.len()).sum::<usize>() + self.interest;
        assert_eq!(self.outbox.pending(), buffered + self.unreported);
        // The flight never counts a message that was taken at a segment's end.
        let messages = self.read_wire();
        assert!(self.here <= self.settled + messages);
        assert_eq!(self.flight.messages() + self.here, self.settled + self.flying.len() as u64);
    }

    pub(super) fn report(&mut self) {
        let before = self.outbox.pending();
        self.outbox.settle_taken(&mut self.flight);
        self.unreported -= before - self.outbox.pending();
        if self.flight.is_empty() && (!self.again() || self.flying.is_empty()) {
            assert_eq!(self.unreported, self.unreported_interest(), "all was taken");
        }
    }

    /// At least once, SUBs after the last confirmed message still count.
    pub(super) fn unreported_interest(&self) -> usize {
        if self.again() { self.unreported.min(self.loaded_frames) } else { 0 }
    }
}
