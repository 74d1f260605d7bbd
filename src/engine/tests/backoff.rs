//! Delays: bounds for every attempt number and every factor, however odd.

use std::time::Duration;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::engine::backoff::{Backoff, Jitter, between};
use crate::engine::tests::laws::laws;

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        1 => Just(Duration::ZERO),
        1 => Just(Duration::MAX),
        4 => (0_u64..100_000).prop_map(Duration::from_millis),
        1 => any::<u64>().prop_map(Duration::from_nanos),
        1 => any::<u64>().prop_map(Duration::from_secs),
    ]
}

fn factor() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.5..4.0, 1 => any::<f64>(), 1 => Just(1.0), 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)]
}

fn jitter() -> impl Strategy<Value = Jitter> {
    prop_oneof![
        Just(Jitter::None),
        Just(Jitter::Full),
        Just(Jitter::Equal),
        factor().prop_map(Jitter::Symmetric),
        (0.0..1.0).prop_map(Jitter::Symmetric),
        duration().prop_map(Jitter::Added),
    ]
}

fn attempt() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0_u64..70, 1 => any::<u64>(), 1 => Just(u64::MAX), 1 => 1_000_u64..2_000_000]
}

proptest! {
    #![proptest_config(laws(3000))]

    #[test]
    fn the_delay_grows_to_its_cap_and_jitter_is_applied_after_it(
        initial in duration(),
        max in duration(),
        factor in factor(),
        jitter in jitter(),
        n in attempt(),
        seed in any::<u64>(),
    ) {
        let backoff = Backoff { initial, factor, max, jitter };
        let base = backoff.base(n);
        prop_assert!(base <= max);
        prop_assert!(base <= backoff.base(n.saturating_add(1)), "not monotone at {n}");
        if n == 0 || initial.is_zero() {
            prop_assert_eq!(base, Duration::ZERO);
        } else {
            // To the precision of a double.
            prop_assert!(base.as_secs_f64() >= initial.min(max).as_secs_f64() * 0.999_999);
        }
        let mut rng = SmallRng::seed_from_u64(seed);
        let delay = backoff.delay(n, &mut rng);
        match jitter {
            Jitter::None => prop_assert_eq!(delay, base),
            Jitter::Full => prop_assert!(delay <= base),
            Jitter::Equal => prop_assert!(base / 2 <= delay && delay <= base),
            // Beyond the precision of seconds in a double it only must not panic.
            Jitter::Symmetric(f) if (0.0..=1.0).contains(&f) && base < Duration::from_secs(1 << 50) => {
                let (delay, base) = (delay.as_secs_f64(), base.as_secs_f64());
                prop_assert!(base * (1.0 - f) * 0.999_999 - 1e-9 <= delay, "{delay} under {base} - {f}");
                prop_assert!(delay <= base * (1.0 + f) * 1.000_001 + 1e-9, "{delay} over {base} + {f}");
            }
            Jitter::Symmetric(_) => {}
            Jitter::Added(most) => prop_assert!(base <= delay && delay <= base.saturating_add(most)),
        }
    }

    #[test]
    fn a_range_is_kept(a in duration(), b in duration(), seed in any::<u64>()) {
        let (low, high) = (a.min(b), a.max(b));
        let found = between(low, high, &mut SmallRng::seed_from_u64(seed));
        prop_assert!(low <= found && found <= high);
        prop_assert_eq!(between(high, low, &mut SmallRng::seed_from_u64(seed)), high);
    }
}

#[test]
fn the_guides_numbers() {
    let backoff = Backoff {
        initial: Duration::from_secs(1),
        factor: 2.0,
        max: Duration::from_secs(30),
        jitter: Jitter::Symmetric(0.3),
    };
    let bases: Vec<u64> = (1..=7).map(|n| backoff.base(n).as_secs()).collect();
    assert_eq!(bases, [1, 2, 4, 8, 16, 30, 30]);
    let mut rng = SmallRng::seed_from_u64(1);
    let all: Vec<f64> = (0..1000).map(|_| backoff.delay(99, &mut rng).as_secs_f64()).collect();
    assert!(all.iter().all(|delay| (21.0..=39.0).contains(delay)));
    assert!(all.iter().any(|delay| *delay > 38.0) && all.iter().any(|delay| *delay < 22.0));
}

// S19: the guides' `wait + jitter`.
#[test]
fn a_fixed_delay_with_added_jitter_is_never_shorter_and_uses_its_whole_range() {
    let (wait, most) = (Duration::from_secs(2), Duration::from_millis(500));
    let backoff = Backoff { jitter: Jitter::Added(most), ..Backoff::fixed(wait) };
    let mut rng = SmallRng::seed_from_u64(1);
    let all: Vec<Duration> = (1..=1000).map(|n| backoff.delay(n, &mut rng)).collect();
    assert!(all.iter().all(|delay| (wait..=wait + most).contains(delay)));
    assert!(
        all.iter().any(|delay| *delay < wait + most / 50) && all.iter().any(|delay| *delay > wait + most * 49 / 50)
    );
    let mean = all.iter().sum::<Duration>() / 1000;
    assert!((Duration::from_millis(2225)..Duration::from_millis(2275)).contains(&mean), "{mean:?}");
}
