//! Outbox and flight together: bytes in = bytes out + refused + dropped, whole frames, in order, never twice.

use std::collections::VecDeque;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::engine::{Flight, Frame, FrameView, Gate, MARK, Outbox, Refusal, Segment};
use crate::protocol::{ClientOp, Decoded, Decoder, Limits};

#[derive(Clone, Debug)]
enum Step {
    Admit { size: usize, reply: bool, headers: bool },
    Subscribe,
    Load,
    Ping,
    Pong,
    Wire,
    Take(usize),
    Report,
    Lose,
    Open,
    Hold,
    Cancel(usize),
    Revise { max: usize, headers: bool },
    Clear,
    Shrink,
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![8 => 0_usize..40, 1 => 1000_usize..5000, 1 => 32_760_usize..33_000];
    prop_oneof![
        10 => (size, any::<bool>(), any::<bool>()).prop_map(|(size, reply, headers)| Step::Admit { size, reply, headers }),
        2 => Just(Step::Subscribe),
        5 => Just(Step::Load),
        1 => Just(Step::Ping),
        1 => Just(Step::Pong),
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
        1 => Just(Step::Clear),
        1 => Just(Step::Shrink),
    ]
}

/// One admitted message, as the model knows it.
#[derive(Clone, Debug)]
struct Entry {
    sequence: u64,
    frame: Vec<u8>,
    size: usize,
    headers: bool,
}

struct World {
    outbox: Outbox,
    flight: Flight,
    cap: usize,
    admitted: u64,
    /// In the outbox.
    held: VecDeque<Entry>,
    /// In the flight, with the bytes that the transport took of all of it.
    flying: VecDeque<Entry>,
    /// What this connection's transport took.
    wire: Vec<u8>,
    /// SUB bytes in the outbox, and in the flight.
    interest: (usize, usize),
    /// Bytes of frames loaded that are not reported as taken.
    unreported: usize,
    loaded_frames: usize,
    /// Messages that some connection took.
    taken: Vec<u64>,
    /// Messages known to have been taken by the present connection.
    here: u64,
    gone: u64,
    withdrawn: u64,
}

impl World {
    fn new(cap: usize) -> World {
        World {
            outbox: Outbox::new(cap),
            flight: Flight::default(),
            cap,
            admitted: 0,
            held: VecDeque::new(),
            flying: VecDeque::new(),
            wire: Vec::new(),
            interest: (0, 0),
            unreported: 0,
            loaded_frames: 0,
            taken: Vec::new(),
            here: 0,
            gone: 0,
            withdrawn: 0,
        }
    }

    fn admit(&mut self, size: usize, reply: bool, headers: bool) {
        let payload = Bytes::from(vec![b'p'; size]);
        let subject = format!("m.{}", self.admitted + 1);
        let frame = Frame {
            subject: subject.as_bytes(),
            reply: reply.then_some(b"_INBOX.r"),
            headers: headers.then_some(b"NATS/1.0\r\nA: b\r\n\r\n"),
            payload: &payload,
        };
        let (len, pending) = (frame.len(), self.outbox.pending());
        match self.outbox.admit(&frame, false) {
            Ok(sequence) => {
                self.admitted += 1;
                assert_eq!(sequence, self.admitted);
                assert!(len <= self.cap);
                assert_eq!(self.outbox.pending(), pending + len);
                if self.outbox.gate() == Gate::Held {
                    assert!(self.outbox.pending() <= self.cap);
                }
                let mut whole = Vec::new();
                crate::protocol::publish(&mut whole, frame.subject, frame.reply, frame.headers, &payload);
                assert_eq!(whole.len(), len);
                let size = size + frame.headers.map_or(0, <[u8]>::len);
                self.held.push_back(Entry { sequence, frame: whole, size, headers });
            }
            Err(refusal) => {
                assert_eq!(self.outbox.pending(), pending);
                match refusal {
                    Refusal::TooLarge { .. } => assert!(len > self.cap),
                    Refusal::Full { .. } => assert!(pending + len > self.cap && self.outbox.gate() == Gate::Held),
                    Refusal::NoRoom => assert!(pending >= MARK.min(self.cap / 2) && self.outbox.gate() == Gate::Open),
                    Refusal::Shut => assert_eq!(self.outbox.gate(), Gate::Shut),
                }
            }
        }
    }

    fn load(&mut self) {
        self.outbox.load(&mut self.flight);
        let bytes = self.held.iter().map(|entry| entry.frame.len()).sum::<usize>() + self.interest.0;
        self.loaded_frames += bytes;
        self.unreported += bytes;
        self.interest = (0, self.interest.1 + self.interest.0);
        self.flying.append(&mut self.held);
        assert!(self.outbox.is_empty());
    }

    fn take(&mut self, n: usize) {
        let bytes: Vec<u8> = self.flight.slices().flatten().copied().take(n).collect();
        assert_eq!(bytes.len(), n.min(self.flight.len()));
        self.wire.extend_from_slice(&bytes);
        self.here += self.flight.advance(bytes.len()).messages;
    }

    /// What this connection has taken wholly must be the head of what flew, whole and in order. Leaves what was not
    /// taken in `flying`, and returns how many frame bytes were taken.
    fn read_wire(&self) -> (usize, usize) {
        let limits = Limits { line: usize::MAX, headers: usize::MAX, total: usize::MAX };
        let (mut decoder, mut at, mut messages) = (Decoder::new(limits), 0, 0);
        while let Ok(Decoded::Op { op, len }) = decoder.decode_client(&self.wire[at..]) {
            if let ClientOp::Pub(_) = op {
                assert!(self.flying[messages].frame == self.wire[at..at + len], "a frame changed or overtook");
                messages += 1;
            }
            at += len;
        }
        (messages, at)
    }

    fn lose(&mut self) {
        let (messages, _) = self.read_wire();
        let taken: Vec<Entry> = self.flying.drain(..messages).collect();
        for entry in &taken {
            assert!(!self.taken.contains(&entry.sequence), "on two connections");
            self.taken.push(entry.sequence);
        }
        self.here += self.flight.give_back(&mut self.outbox);
        assert_eq!(self.here, messages as u64, "in doubt is what was wholly taken");
        self.here = 0;
        while let Some(entry) = self.flying.pop_back() {
            self.held.push_front(entry);
        }
        self.wire.clear();
        self.interest = (0, 0);
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
        let expected = self.outbox.gate() == Gate::Held && found.is_some();
        let mut gone: Vec<Segment> = Vec::new();
        assert_eq!(self.outbox.cancel(sequence, &mut gone), expected, "cancel {sequence}");
        if let (true, Some(found)) = (expected, found) {
            self.held.remove(found);
            self.withdrawn += 1;
        }
    }

    fn revise(&mut self, max: usize, headers: bool) {
        // Only between connections, as the engine does.
        if !self.flight.is_empty() || self.loaded_frames > 0 || self.interest.0 > 0 {
            return;
        }
        let keep = |size: usize, with: bool| size <= max && (headers || !with);
        let mut gone: Vec<Segment> = Vec::new();
        self.outbox.retain(|view: FrameView| !view.message || keep(view.size, view.headers), &mut gone);
        let before = self.held.len();
        self.held.retain(|entry| keep(entry.size, entry.headers));
        self.gone += (before - self.held.len()) as u64;
    }

    fn check(&mut self) {
        assert_eq!(self.outbox.messages(), self.held.len() as u64);
        assert_eq!(self.outbox.accepted(), self.admitted - self.withdrawn);
        // The last that does not wait here: everything behind it waits or was taken out.
        let through = self.outbox.through();
        assert!(self.held.front().is_none_or(|first| through < first.sequence), "through {through}");
        assert!(self.flying.iter().all(|entry| entry.sequence <= through), "through {through}");
        assert!(self.taken.iter().all(|sequence| *sequence <= through), "through {through}");
        // Pending: here, and loaded but not yet reported as taken.
        let held = self.held.iter().map(|entry| entry.frame.len()).sum::<usize>() + self.interest.0;
        assert_eq!(self.outbox.pending(), held + self.unreported);
        // The flight never counts a message that was taken at a segment's end.
        let (messages, _) = self.read_wire();
        assert!(self.here <= messages as u64);
        assert_eq!(self.flight.messages() + self.here, self.flying.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn nothing_is_lost_repeated_changed_or_overtaken(
        cap in prop_oneof![3 => 60_usize..2000, 1 => 30_000_usize..100_000, 1 => Just(8_usize << 20)],
        steps in vec(step(), 0..120),
    ) {
        let mut world = World::new(cap);
        for step in steps {
            match step {
                Step::Admit { size, reply, headers } => world.admit(size, reply, headers),
                Step::Subscribe => {
                    let before = world.outbox.pending();
                    let open = world.outbox.gate() == Gate::Open;
                    assert_eq!(world.outbox.admit_subscribe(b"interest", None, 5), open);
                    world.interest.0 += world.outbox.pending() - before;
                }
                Step::Load => {
                    if world.outbox.gate() == Gate::Open {
                        world.load();
                    }
                }
                Step::Ping => world.flight.push_ping(),
                Step::Pong => world.flight.push_pong(),
                Step::Wire => world.flight.push_wire(b"UNSUB 7 3\r\n".to_vec()),
                Step::Take(n) => world.take(n),
                Step::Report => {
                    let before = world.outbox.pending();
                    world.flight.report(&mut world.outbox);
                    world.unreported -= before - world.outbox.pending();
                    if world.flight.is_empty() {
                        assert_eq!(world.unreported, 0);
                    }
                }
                Step::Lose => world.lose(),
                Step::Open => world.outbox.set_gate(Gate::Open),
                // As in a planned move: the flight is still out.
                Step::Hold => world.outbox.set_gate(Gate::Held),
                Step::Cancel(at) => world.cancel(at),
                Step::Revise { max, headers } => world.revise(max, headers),
                Step::Clear => {
                    world.lose();
                    let (_, messages) = world.outbox.clear();
                    assert_eq!(messages, world.held.len() as u64);
                    world.gone += messages;
                    world.held.clear();
                }
                Step::Shrink => {
                    world.outbox.shrink();
                    world.flight.shrink();
                }
            }
            world.check();
        }
        // At last everything goes out.
        world.lose();
        world.outbox.set_gate(Gate::Open);
        world.load();
        world.take(usize::MAX);
        world.flight.report(&mut world.outbox);
        assert_eq!(world.outbox.pending(), 0);
        world.lose();
        let all = world.taken.len() as u64 + world.gone + world.withdrawn;
        prop_assert_eq!(all, world.admitted);
        prop_assert!(world.taken.windows(2).all(|pair| pair[0] < pair[1]), "out of order");
    }
}

#[test]
fn small_frames_never_straddle_chunks_and_memory_follows_pending() {
    let mut world = World::new(8 << 20);
    for _ in 0..3000 {
        world.admit(90, false, false);
    }
    world.outbox.set_gate(Gate::Open);
    world.load();
    assert!(world.flight.slices().all(|slice| slice.ends_with(b"\r\n") && slice.len() <= crate::engine::CHUNK));
    world.take(usize::MAX);
    world.check_end();
}

impl World {
    fn check_end(&mut self) {
        self.flight.report(&mut self.outbox);
        assert_eq!((self.outbox.pending(), self.flight.len()), (0, 0));
    }
}
