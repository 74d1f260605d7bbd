//! Runs worlds by their seeds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// In every run of the tests.
const SEEDS: u64 = 400;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Runs `world` with each seed. It gets the seed and whether it is to print its script; it panics if a promise is broken, and
/// returns numbers, whose sums are printed with their `names` and must not be zero.
pub(crate) fn run<const N: usize>(what: &str, names: [&str; N], world: fn(u64, bool) -> [u64; N]) {
    let (one, seeds) = (number("SEED"), number("SEEDS").unwrap_or(SEEDS));
    let first = number("FROM").unwrap_or(0);
    let begun = Instant::now();
    let mut sums = [0; N];
    for seed in one.map_or(first..first + seeds, |seed| seed..seed + 1) {
        let outcome = catch_unwind(AssertUnwindSafe(|| world(seed, one.is_some())));
        let Ok(numbers) = outcome else {
            panic!("{what}: SEED={seed} cargo test --test jetstream_simulation {what} repeats it with its script");
        };
        sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
    }
    let text: Vec<_> = names.iter().zip(sums).map(|(name, sum)| format!("{sum} {name}")).collect();
    println!("{what}: {seeds} seeds in {:.1} s: {}", begun.elapsed().as_secs_f64(), text.join(", "));
    let missing = names.iter().zip(sums).find(|(_, sum)| one.is_none() && seeds >= SEEDS && *sum == 0);
    assert!(missing.is_none(), "{what}: no {}", missing.unwrap().0);
}
