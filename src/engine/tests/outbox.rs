//! Outbox and flight together: bytes in = bytes out + refused + dropped, whole frames, in order, never twice.

mod steps;
mod world;

use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::engine::tests::laws::laws;
use crate::engine::{DeliveryMode, DroppedRun, Flight, Frame, Gate, LossReason, Outbox, OutboxRules, OverflowPolicy};

use self::steps::{Step, rules, step};
use self::world::World;

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
                // As in a planned move: the flight is still being sent.
                Step::Buffer => world.buffer(),
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
        // In the end everything is sent and confirmed.
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
    assert!(world.flight.slices().all(|slice| slice.ends_with(b"\r\n") && slice.len() <= crate::engine::outbox::CHUNK));
    world.take(usize::MAX);
    world.outbox.settle_taken(&mut world.flight);
    assert_eq!((world.outbox.pending(), world.flight.len()), (0, 0));
}

#[test]
fn lost_messages_beyond_a_mebibyte_are_counted_and_not_kept() {
    let mut outbox =
        Outbox::new(OutboxRules { cap: 1000, overflow: OverflowPolicy::DropOldest, ..OutboxRules::default() });
    let payload = Bytes::from(vec![b'x'; 100]);
    for _ in 0..20_000 {
        outbox.admit(&Frame { subject: b"x", reply: None, headers: None, payload: &payload }, false).unwrap();
    }
    let report = outbox.take_losses().take_report().unwrap();
    assert_eq!(report.lost.overflow, 20_000 - outbox.messages());
    assert!(report.messages.bytes() <= crate::engine::outbox::RETURNED_BYTES && report.messages.len() > 9000);
    let numbers = 1..=20_000 - outbox.messages();
    assert_eq!(report.sequences, [DroppedRun { reason: LossReason::Overflow, numbers, handed_over: false }]);
}

// Fault H6: the loops over frames were only ever run on frames that can be parsed.
#[test]
fn frames_that_nobody_can_read_end_every_loop() {
    let payload = Bytes::from(vec![b'x'; 500]);
    let unreadable = Frame { subject: b"a b c d", reply: None, headers: None, payload: &payload };
    let rules = OutboxRules { cap: 200_000, overflow: OverflowPolicy::DropOldest, ..OutboxRules::default() };
    let mut outbox = Outbox::new(rules);
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
