//! Runs worlds by their seeds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// In every run of the tests.
const SEEDS: u64 = 400;

/// How often a long run says how far it is.
const REPORT: Duration = Duration::from_secs(30);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Runs `world` with each seed. It gets the seed and whether it is to print its script; it panics if a promise is broken, and
/// returns numbers, whose sums are printed with their `names` and must not be zero.
pub(crate) fn run<const N: usize>(what: &str, names: [&str; N], world: fn(u64, bool) -> [u64; N]) {
    let (one, seeds) = (number("SEED"), number("SEEDS").unwrap_or(SEEDS));
    let first = number("FROM").unwrap_or(0);
    let begun = Instant::now();
    let run = Run { what, shown: one.is_some(), end: one.map_or(first + seeds, |seed| seed + 1), begun };
    let next = AtomicU64::new(one.unwrap_or(first));
    // More than in every run: on all processors.
    let threads = if seeds > SEEDS { thread::available_parallelism().map_or(1, usize::from) } else { 1 };
    let sums = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| run.some(&next, world))).collect();
        let sums = threads.into_iter().map(|thread| thread.join().expect("a world has failed: see above"));
        sums.reduce(|one, other| std::array::from_fn(|at| one[at] + other[at])).unwrap()
    });
    let text: Vec<_> = names.iter().zip(sums).map(|(name, sum)| format!("{sum} {name}")).collect();
    println!("{what}: {seeds} seeds in {:.1} s: {}", begun.elapsed().as_secs_f64(), text.join(", "));
    let missing = names.iter().zip(sums).find(|(_, sum)| one.is_none() && seeds >= SEEDS && *sum == 0);
    assert!(missing.is_none(), "{what}: no {}", missing.unwrap().0);
}

struct Run<'a> {
    what: &'a str,
    shown: bool,
    end: u64,
    begun: Instant,
}

impl Run<'_> {
    /// Runs seeds until none is left or one has failed, and returns the sums of their numbers.
    fn some<const N: usize>(&self, next: &AtomicU64, world: fn(u64, bool) -> [u64; N]) -> [u64; N] {
        let (mut sums, mut reported) = ([0; N], self.begun);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.end {
                return sums;
            }
            let Ok(numbers) = catch_unwind(AssertUnwindSafe(|| world(seed, self.shown))) else {
                next.store(self.end, Ordering::Relaxed);
                let what = self.what;
                panic!("{what}: SEED={seed} cargo test --test jetstream_simulation {what} repeats it with its script");
            };
            sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
            if reported.elapsed() >= REPORT {
                reported = Instant::now();
                println!("{}: seed {seed} after {:.0} s", self.what, self.begun.elapsed().as_secs_f64());
            }
        }
    }
}
