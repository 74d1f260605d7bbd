//! Outbox and flight together: bytes in = bytes out + refused + dropped, whole frames, in order, never twice.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::engine::tests::laws::laws;
use crate::engine::{
    DeliveryMode, DroppedRun, Flight, Frame, FrameView, Gate, LossReason, MARK, Outbox, OutboxRules, OverflowPolicy,
    Refusal, Segment,
};
use crate::protocol::{ClientOp, Decoded, Decoder, Limits};

#[derive(Clone, Debug)]
enum Step {
    Admit { size: usize, reply: bool, headers: bool },
    Subscribe,
    Load,
    Ping,
    Pong,
    Answer,
    Wire,
    Take(usize),
    Report,
    Lose,
    Open,
    Hold,
    Cancel(usize),
    Revise { max: usize, headers: bool },
    Wait(u64),
    GiveUp,
    Shrink,
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![8 => 0_usize..40, 1 => 1000_usize..5000, 1 => 32_760_usize..33_000];
    prop_oneof![
        10 => (size, any::<bool>(), any::<bool>()).prop_map(|(size, reply, headers)| Step::Admit { size, reply, headers }),
        2 => Just(Step::Subscribe),
        5 => Just(Step::Load),
        2 => Just(Step::Ping),
        1 => Just(Step::Pong),
        2 => Just(Step::Answer),
        1 => Just(Step::Wire),
        4 => (0_usize..100).prop_map(Step::Take),
        2 => (0_usize..40_000).prop_map(Step::Take),
        2 => Just(Step::Take(usize::MAX)),
        2 => Just(Step::Report),
        2 => Just(Step::Lose),
        3 => Just(Step::Open),
        1 => Just(Step::Hold),
        4 => (0_usize..12).prop_map(Step::Cancel),
        1 => (0_usize..6000, any::<bool>()).prop_map(|(max, headers)| Step::Revise { max, headers }),
        3 => (0_u64..30).prop_map(Step::Wait),
        1 => Just(Step::GiveUp),
        1 => Just(Step::Shrink),
    ]
}

fn rules() -> impl Strategy<Value = OutboxRules> {
    let cap = prop_oneof![3 => 60_usize..2000, 1 => 30_000_usize..100_000, 1 => Just(8_usize << 20), 1 => Just(0)];
    let overflow = prop_oneof![
        Just(OverflowPolicy::Error),
        Just(OverflowPolicy::DropOldest),
        Just(OverflowPolicy::DropNewest),
        Just(OverflowPolicy::Wait(AGE)),
    ];
    let delivery = prop_oneof![Just(DeliveryMode::AtMostOnce), Just(DeliveryMode::AtLeastOnce)];
    (cap, proptest::option::of(1_u64..12), overflow, any::<bool>(), delivery).prop_map(
        |(cap, messages, overflow, ages, delivery)| OutboxRules {
            cap,
            messages,
            overflow,
            max_age: ages.then_some(AGE),
            delivery,
        },
    )
}

const AGE: Duration = Duration::from_millis(50);

/// One admitted message, as the model knows it.
#[derive(Clone, Debug)]
struct Entry {
    sequence: u64,
    /// The number in its subject.
    name: u64,
    frame: Vec<u8>,
    size: usize,
    headers: bool,
    /// Since when it may count as held.
    since: Option<Instant>,
    /// Since when it must.
    surely: Option<Instant>,
    /// Handed to a connection that died.
    sent: bool,
}

struct World {
    outbox: Outbox,
    flight: Flight,
    rules: OutboxRules,
    now: Instant,
    offered: u64,
    admitted: u64,
    /// In the outbox.
    held: VecDeque<Entry>,
    /// In the flight, with the bytes that the transport took of all of it; at least once until it is confirmed.
    flying: VecDeque<Entry>,
    /// What this connection's transport took.
    wire: Vec<u8>,
    /// Of the wire: bytes and messages that were confirmed and are no longer in `flying`.
    settled: u64,
    /// SUB bytes in the outbox.
    interest: usize,
    /// Bytes that the outbox counts and does not hold.
    unreported: usize,
    /// What each PING of this connection covers, oldest first.
    pings: VecDeque<u64>,
    loaded_frames: usize,
    /// Messages that some connection took, or at least once those that were confirmed.
    taken: Vec<u64>,
    /// Messages known to have been taken by the present connection.
    here: u64,
    gone: u64,
    withdrawn: u64,
    in_doubt: u64,
}

impl World {
    fn new(rules: OutboxRules) -> World {
        World {
            outbox: Outbox::with(rules.clone()),
            flight: Flight::new(rules.delivery),
            rules,
            now: Instant::now(),
            offered: 0,
            admitted: 0,
            held: VecDeque::new(),
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

    fn again(&self) -> bool {
        self.rules.delivery == DeliveryMode::AtLeastOnce
    }

    fn admit(&mut self, size: usize, reply: bool, headers: bool) {
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
        let dropped = self.lose_told();
        match outcome {
            Ok(sequence) => {
                self.admitted += 1;
                assert_eq!(sequence, self.admitted);
                assert_eq!(self.outbox.pending(), pending + len - dropped);
                assert!(gate == Gate::Held || pending < self.outbox.mark());
                if gate == Gate::Held {
                    assert!(self.outbox.pending() <= cap);
                    assert!(self.rules.messages.is_none_or(|most| self.outbox.messages() <= most));
                }
                let mut whole = Vec::new();
                crate::protocol::publish(&mut whole, frame.subject, frame.reply, frame.headers, &payload);
                assert_eq!(whole.len(), len);
                let size = size + frame.headers.map_or(0, <[u8]>::len);
                let since = (gate == Gate::Held).then_some(self.now);
                let name = self.offered;
                self.held.push_back(Entry {
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
                    Refusal::TooLarge { .. } => assert!(len > cap && cap != 0 && gate == Gate::Held),
                    Refusal::Full { .. } => {
                        assert!(full && gate == Gate::Held);
                        match self.rules.overflow {
                            OverflowPolicy::DropNewest => assert_eq!(cap, 0),
                            OverflowPolicy::DropOldest => assert!(elsewhere + self.interest + len > cap),
                            _ => {}
                        }
                    }
                    Refusal::TooMany { pending, limit } => {
                        assert!(!full && gate == Gate::Held && pending >= limit);
                        assert_eq!(Some(limit), self.rules.messages);
                    }
                    Refusal::Dropped => {
                        assert_eq!((self.rules.overflow, gate), (OverflowPolicy::DropNewest, Gate::Held))
                    }
                    Refusal::NoRoom => assert!(pending >= self.outbox.mark() && gate == Gate::Open),
                    Refusal::Shut => assert_eq!(gate, Gate::Shut),
                }
            }
        }
        assert!(self.outbox.mark() <= MARK.max(cap / 2) && self.outbox.mark() > 0);
    }

    /// Looks at what the outbox has lost, which must be what the rules say. Returns the bytes that went.
    fn lose_told(&mut self) -> usize {
        let mut bytes = 0;
        let Some(told) = self.outbox.take_losses().tell() else { return 0 };
        assert_eq!(told.messages.len(), told.lost.total(), "all of it fits");
        self.gone += told.lost.total();
        for message in told.messages.iter() {
            let name: u64 = message.subject.as_str()[2..].parse().unwrap();
            if message.reason == LossReason::Overflow && self.rules.overflow == OverflowPolicy::DropNewest {
                assert_eq!(name, self.offered, "the newest");
                continue;
            }
            let at = self.held.iter().position(|entry| entry.name == name).expect("lost, but not held");
            let entry = self.held.remove(at).unwrap();
            bytes += entry.frame.len();
            assert_eq!(message.payload.len() + message.headers.map_or(0, |headers| headers.wire().len()), entry.size);
            let run = told.sequences.iter().find(|run| run.numbers.contains(&entry.sequence)).expect("it is named");
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
                    let age = self.now - entry.since.expect("it was held");
                    assert!(at == 0 && self.rules.max_age.is_some_and(|max| age > max), "expired at {age:?}");
                }
                LossReason::Closed => assert!(at == 0 && !entry.sent),
                LossReason::TooLarge | LossReason::NoHeaders | LossReason::Poison | LossReason::Refused => {}
            }
        }
        for run in &told.sequences {
            assert!(self.held.iter().all(|entry| !run.numbers.contains(&entry.sequence)), "named, and held");
        }
        bytes
    }

    /// A move to another server begins: what waits has been held from now on.
    fn hold(&mut self) {
        self.outbox.set_gate(Gate::Held);
        for entry in self.held.iter_mut().chain(&mut self.flying) {
            entry.since = entry.since.or(Some(self.now));
        }
    }

    fn load(&mut self) {
        self.outbox.load(&mut self.flight);
        let bytes = self.held.iter().map(|entry| entry.frame.len()).sum::<usize>() + self.interest;
        self.loaded_frames += bytes;
        self.unreported += bytes;
        self.interest = 0;
        self.flying.append(&mut self.held);
        assert!(self.outbox.is_empty());
    }

    fn take(&mut self, n: usize) {
        let bytes: Vec<u8> = self.flight.slices().flatten().copied().take(n).collect();
        assert_eq!(bytes.len(), n.min(self.flight.len()));
        self.wire.extend_from_slice(&bytes);
        self.here += self.flight.advance(bytes.len()).messages;
    }

    fn ping(&mut self) {
        self.flight.push_ping();
        self.pings.push_back(self.here + self.flight.messages());
    }

    /// A PONG, if a PING was taken: its messages were.
    fn answer(&mut self) {
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

    /// What this connection has taken wholly must be the head of what flew, whole and in order. Tells how many messages of
    /// `flying` that is.
    fn read_wire(&self) -> u64 {
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

    fn lose(&mut self) {
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
            self.held.push_front(entry);
        }
        for entry in &mut self.held {
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
        assert_eq!(self.outbox.gate(), Gate::Held);
        assert!(self.flight.is_empty() && self.flight.messages() == 0);
    }

    fn cancel(&mut self, at: usize) {
        // Any number: of one that waits, one that is gone, or one between.
        let first = self.held.front().map_or(self.admitted, |entry| entry.sequence);
        let sequence = (first + at as u64).saturating_sub(3).min(self.admitted);
        let found = self.held.iter().position(|entry| entry.sequence == sequence);
        assert_eq!(self.outbox.waits(sequence), found.is_some(), "waits {sequence}");
        let unsent = found.and_then(|at| self.held.get(at)).is_some_and(|entry| !entry.sent);
        let expected = self.outbox.gate() == Gate::Held && unsent;
        let mut gone: Vec<Segment> = Vec::new();
        assert_eq!(self.outbox.cancel(sequence, &mut gone), expected, "cancel {sequence}");
        if let (true, Some(found)) = (expected, found) {
            self.held.remove(found);
            self.withdrawn += 1;
        }
    }

    fn revise(&mut self, max: usize, headers: bool) {
        // Only between connections, as the engine does.
        if !self.flight.is_empty() || self.loaded_frames > 0 || self.interest > 0 || self.outbox.gate() != Gate::Held {
            return;
        }
        self.outbox.tick(self.now);
        self.outbox.expire();
        self.outbox.revise(|view: FrameView<'_>, _| match view {
            FrameView { size, .. } if size > max => Some(LossReason::TooLarge),
            FrameView { headers: true, .. } if !headers => Some(LossReason::NoHeaders),
            _ => None,
        });
        self.lose_told();
        let run = Duration::from_millis(10);
        for entry in &self.held {
            assert!(entry.size <= max && (headers || !entry.headers), "not fit for this server");
            let age = entry.surely.map(|since| self.now - since);
            assert!(self.rules.max_age.is_none_or(|max| age.is_none_or(|age| age <= max + run)), "too old: {age:?}");
        }
    }

    fn give_up(&mut self) {
        self.lose();
        let sent = self.held.iter().filter(|entry| entry.sent).count() as u64;
        assert_eq!(self.outbox.give_up_sent(), sent, "in doubt is what was sent once");
        self.in_doubt += sent;
        self.held.retain(|entry| !entry.sent);
        let through = self.outbox.through();
        assert!(self.held.iter().all(|entry| entry.sequence > through), "through {through}");
        self.outbox.give_up();
        self.lose_told();
        assert!(self.held.is_empty());
    }

    fn check(&mut self) {
        assert_eq!(self.outbox.messages(), self.held.len() as u64);
        let unnumbered = self.offered - self.offered.min(self.admitted);
        assert!(
            (self.admitted - self.withdrawn..=self.admitted + unnumbered - self.withdrawn)
                .contains(&self.outbox.accepted())
        );
        // The last that does not wait here: everything behind it waits or was taken out.
        let through = self.outbox.through();
        assert!(self.held.front().is_none_or(|first| through < first.sequence), "through {through}");
        assert!(self.flying.iter().all(|entry| entry.sequence <= through), "through {through}");
        assert!(self.taken.iter().all(|sequence| *sequence <= through), "through {through}");
        // Pending: here, and loaded but not yet reported as taken.
        let held = self.held.iter().map(|entry| entry.frame.len()).sum::<usize>() + self.interest;
        assert_eq!(self.outbox.pending(), held + self.unreported);
        // The flight never counts a message that was taken at a segment's end.
        let messages = self.read_wire();
        assert!(self.here <= self.settled + messages);
        assert_eq!(self.flight.messages() + self.here, self.settled + self.flying.len() as u64);
    }

    fn report(&mut self) {
        let before = self.outbox.pending();
        self.outbox.settle_taken(&mut self.flight);
        self.unreported -= before - self.outbox.pending();
        if self.flight.is_empty() && (!self.again() || self.flying.is_empty()) {
            assert_eq!(self.unreported, self.unreported_interest(), "all was taken");
        }
    }

    /// At least once, SUBs behind the last confirmed message still count.
    fn unreported_interest(&self) -> usize {
        if self.again() { self.unreported.min(self.loaded_frames) } else { 0 }
    }
}

proptest! {
    #![proptest_config(laws(1000))]

    #[test]
    fn nothing_is_lost_repeated_changed_or_overtaken(rules in rules(), steps in vec(step(), 0..120)) {
        let mut world = World::new(rules);
        for step in steps {
            match step {
                Step::Admit { size, reply, headers } => world.admit(size, reply, headers),
                Step::Subscribe => {
                    let before = world.outbox.pending();
                    let open = world.outbox.gate() == Gate::Open;
                    assert_eq!(world.outbox.admit_subscribe(b"interest", None, 5), open);
                    world.interest += world.outbox.pending() - before;
                }
                Step::Load => {
                    if world.outbox.gate() == Gate::Open {
                        world.load();
                    }
                }
                Step::Ping => world.ping(),
                Step::Pong => world.flight.push_pong(),
                Step::Answer => world.answer(),
                Step::Wire => world.flight.push_wire(b"UNSUB 7 3\r\n".to_vec()),
                Step::Take(n) => world.take(n),
                Step::Report => world.report(),
                Step::Lose => world.lose(),
                Step::Open => world.outbox.set_gate(Gate::Open),
                // As in a planned move: the flight is still out.
                Step::Hold => world.hold(),
                Step::Cancel(at) => world.cancel(at),
                Step::Revise { max, headers } => world.revise(max, headers),
                Step::Wait(ms) => world.now += Duration::from_millis(ms),
                Step::GiveUp => world.give_up(),
                Step::Shrink => {
                    world.outbox.shrink();
                    world.flight.shrink();
                }
            }
            world.check();
        }
        // At last everything goes out, and is confirmed.
        world.lose();
        world.outbox.set_gate(Gate::Open);
        world.load();
        world.ping();
        world.take(usize::MAX);
        world.answer();
        world.outbox.settle_taken(&mut world.flight);
        assert_eq!(world.outbox.pending(), 0);
        world.lose();
        let all = world.taken.len() as u64 + world.gone + world.in_doubt;
        prop_assert_eq!(all, world.outbox.accepted());
        prop_assert!(world.taken.windows(2).all(|pair| pair[0] < pair[1]), "out of order");
    }
}

#[test]
fn small_frames_never_straddle_chunks_and_memory_follows_pending() {
    let mut world = World::new(OutboxRules::default());
    for _ in 0..3000 {
        world.admit(90, false, false);
    }
    world.outbox.set_gate(Gate::Open);
    world.load();
    assert!(world.flight.slices().all(|slice| slice.ends_with(b"\r\n") && slice.len() <= crate::engine::CHUNK));
    world.take(usize::MAX);
    world.outbox.settle_taken(&mut world.flight);
    assert_eq!((world.outbox.pending(), world.flight.len()), (0, 0));
}

#[test]
fn what_is_dropped_beyond_a_mebibyte_is_counted_and_not_kept() {
    let mut outbox =
        Outbox::with(OutboxRules { cap: 1000, overflow: OverflowPolicy::DropOldest, ..OutboxRules::default() });
    let payload = Bytes::from(vec![b'x'; 100]);
    for _ in 0..20_000 {
        outbox.admit(&Frame { subject: b"x", reply: None, headers: None, payload: &payload }, false).unwrap();
    }
    let told = outbox.take_losses().tell().unwrap();
    assert_eq!(told.lost.overflow, 20_000 - outbox.messages());
    assert!(told.messages.bytes() <= crate::engine::HANDED_BACK && told.messages.len() > 9000);
    let numbers = 1..=20_000 - outbox.messages();
    assert_eq!(told.sequences, [DroppedRun { reason: LossReason::Overflow, numbers, handed_over: false }]);
}

// Fault H6: the loops over frames were only ever run on frames that can be read.
#[test]
fn frames_that_nobody_can_read_end_every_loop() {
    let payload = Bytes::from(vec![b'x'; 500]);
    let unreadable = Frame { subject: b"a b c d", reply: None, headers: None, payload: &payload };
    let rules = OutboxRules { cap: 200_000, overflow: OverflowPolicy::DropOldest, ..OutboxRules::default() };
    let mut outbox = Outbox::with(rules);
    for _ in 0..2000 {
        let _ = outbox.admit(&unreadable, false);
        assert!(outbox.pending() <= 200_000);
    }
    assert!(outbox.take_out_first(LossReason::Poison));
    assert!(outbox.pending() > 0, "it still holds some");
    outbox.set_gate(Gate::Open);
    let mut flight = Flight::new(DeliveryMode::AtMostOnce);
    outbox.load_some(&mut flight, 1);
    outbox.load_some(&mut flight, 1_000_000);
    let len = flight.len();
    flight.advance(len - 1);
    outbox.take_back_from(&mut flight, Instant::now());
    outbox.revise(|_, _| None);
    outbox.give_up();
    assert!(outbox.is_empty());
}
