//! Bounds: how much the outbox may contain at most, and how long a delay may be at any attempt.

use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::engine::backoff::{Backoff, Jitter};
use crate::engine::tests::laws::laws;
use crate::engine::{DeliveryMode, Flight, Frame, Gate, Outbox, OutboxRules, OverflowPolicy};

#[derive(Clone, Debug)]
enum Step {
    Admit(usize),
    Load,
    Take(usize),
    Report,
    /// Every message that was taken is confirmed.
    Confirm,
    Lose,
    Open,
    Hold,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop_oneof![0..40_usize, 0..400_usize].prop_map(Step::Admit),
        3 => Just(Step::Load),
        3 => (0..300_usize).prop_map(Step::Take),
        1 => Just(Step::Take(usize::MAX)),
        3 => Just(Step::Report),
        1 => Just(Step::Confirm),
        2 => Just(Step::Lose),
        3 => Just(Step::Open),
        1 => Just(Step::Hold),
    ]
}

fn rules() -> impl Strategy<Value = OutboxRules> {
    let overflow =
        prop_oneof![Just(OverflowPolicy::Error), Just(OverflowPolicy::DropOldest), Just(OverflowPolicy::DropNewest),];
    let delivery = prop_oneof![Just(DeliveryMode::AtMostOnce), Just(DeliveryMode::AtLeastOnce)];
    (1..1000_usize, overflow, delivery).prop_map(|(cap, overflow, delivery)| OutboxRules {
        cap,
        overflow,
        delivery,
        ..OutboxRules::default()
    })
}

proptest! {
    #![proptest_config(laws(1000))]

    #[test]
    fn pending_bytes_exceed_the_cap_only_by_what_was_accepted_while_connected(
        rules in rules(),
        steps in vec(step(), 0..150),
    ) {
        let (mut outbox, mut flight) = (Outbox::new(rules.clone()), Flight::new(rules.delivery));
        let now = Instant::now();
        // The largest frame that was admitted, and how many messages were taken and not confirmed.
        let (mut largest, mut taken) = (0, 0);
        for step in steps {
            match step {
                Step::Admit(size) => {
                    let payload = Bytes::from(vec![b'p'; size]);
                    let frame = Frame { subject: b"m", reply: None, headers: None, payload: &payload };
                    let before = outbox.pending();
                    let admitted = outbox.admit(&frame, false);
                    if admitted.is_ok() {
                        largest = largest.max(frame.len());
                        let most = if outbox.gate() == Gate::Buffering { rules.cap } else { outbox.mark() - 1 + frame.len() };
                        prop_assert!(outbox.pending() <= most, "{} of {most} bytes behind {admitted:?}", outbox.pending());
                    } else {
                        prop_assert_eq!(outbox.pending(), before, "a refusal has an effect");
                    }
                }
                Step::Load if outbox.gate() == Gate::Open => outbox.load(&mut flight),
                Step::Load => {}
                Step::Take(n) => {
                    let n = n.min(flight.len());
                    taken += flight.advance(n).messages;
                }
                Step::Report => outbox.settle_taken(&mut flight),
                Step::Confirm => flight.confirmed(std::mem::take(&mut taken), |_| {}),
                Step::Lose => {
                    let before = outbox.pending();
                    outbox.take_back_from(&mut flight, now);
                    taken = 0;
                    match rules.delivery {
                        // Only the frame that was cut comes back larger than it was counted.
                        DeliveryMode::AtMostOnce => prop_assert!(outbox.pending() < before + largest.max(1)),
                        DeliveryMode::AtLeastOnce => prop_assert!(outbox.pending() <= before),
                    }
                }
                Step::Open => outbox.set_gate(Gate::Open),
                Step::Hold => outbox.set_gate(Gate::Buffering),
            }
            // What was admitted in the meantime, in a planned move, does not wait for the cut frame to come back.
            let cut = if rules.delivery == DeliveryMode::AtMostOnce { largest } else { 0 };
            let most = rules.cap.max(outbox.mark() + largest) + cut;
            prop_assert!(outbox.pending() <= most, "{} of {most} bytes", outbox.pending());
            // Above the cap, apart from the cut frame, only where single messages are more than a quarter of it.
            prop_assert!(outbox.pending() <= rules.cap + cut || 4 * largest >= rules.cap);
        }
    }

    #[test]
    fn a_delay_is_within_its_bounds_at_any_attempt(
        initial in 1..10_000_u64,
        longer in 1..100_u64,
        factor in prop_oneof![Just(1.0), Just(2.0), 1.0..10.0_f64],
        spread in 0.0..1.0_f64,
        attempts in (attempt(), attempt()),
        seed in any::<u64>(),
    ) {
        let initial = Duration::from_millis(initial);
        let max = initial * u32::try_from(longer).unwrap();
        let (first, second) = (u64::from(attempts.0.min(attempts.1)), u64::from(attempts.0.max(attempts.1)));
        let mut rng = SmallRng::seed_from_u64(seed);
        let added = initial.mul_f64(spread);
        for jitter in [Jitter::None, Jitter::Full, Jitter::Equal, Jitter::Symmetric(spread), Jitter::Added(added)] {
            let backoff = Backoff { initial, factor, max, jitter };
            // Before jitter: between the first and the cap, and never less than at the attempt before.
            let (base, later) = (backoff.base(first), backoff.base(second));
            prop_assert!(base <= later && later <= max, "{base:?} at {first}, {later:?} at {second}, at most {max:?}");
            prop_assert_eq!(base.is_zero(), first == 0);
            prop_assert!(first == 0 || base >= initial);
            if factor >= 1.1 {
                prop_assert_eq!(backoff.base(u64::from(u32::MAX)), max, "the cap is reached");
                prop_assert!(base == max || first < 60, "{factor} at {first}");
            }
            // Jitter applies to the capped delay, and stays in its range there too.
            let rounding = Duration::from_micros(1);
            let (low, high) = match jitter {
                Jitter::None => (later, later),
                Jitter::Full => (Duration::ZERO, later),
                Jitter::Equal => (later / 2, later),
                Jitter::Symmetric(by) => {
                    (later.mul_f64(1.0 - by).saturating_sub(rounding), later.mul_f64(1.0 + by) + rounding)
                }
                Jitter::Added(most) => (later, later + most),
            };
            for _ in 0..4 {
                let delay = backoff.delay(second, &mut rng);
                prop_assert!(low <= delay && delay <= high, "{jitter:?}: {delay:?} of {low:?} to {high:?}");
            }
        }
    }
}

/// Every attempt number is possible; the first and the last ones are frequent.
fn attempt() -> impl Strategy<Value = u32> {
    prop_oneof![
        3 => 0..70_u32,
        2 => any::<u32>(),
        1 => (u32::MAX - 3)..=u32::MAX,
        1 => (0..32_u32, 0..3_u32).prop_map(|(bit, below)| (1_u32 << bit).saturating_sub(below)),
    ]
}
