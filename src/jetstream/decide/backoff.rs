//! The growing delay between pulls, while none of them is served.

use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::SmallRng;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);

/// When the next pull may follow one that is sent now, the one of this number from 1: 100 ms, twice as much after each further
/// one up to 1 s, and up to half less at random.
pub(super) fn after(now: Instant, number: u32, rng: &mut SmallRng) -> Instant {
    let doublings = number.saturating_sub(1).min(8);
    let most = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    now.checked_add(Duration::from_nanos(rng.random_range(nanos / 2..=nanos))).unwrap_or(now)
}

#[cfg(test)]
mod tests;
