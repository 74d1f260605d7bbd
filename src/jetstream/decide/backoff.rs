//! The growing delays between tries, of pulls and of requests.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;

use crate::options::Backoff;

/// 100 ms, twice as much after each further try up to 1 s, and up to half less at random.
const BACKOFF: Backoff = Backoff::exponential(Duration::from_millis(100), Duration::from_secs(1));

/// When the next pull may follow one that is sent now, the one of this number from 1.
pub(super) fn after(now: Instant, number: u32, rng: &mut SmallRng) -> Instant {
    now.checked_add(BACKOFF.delay(number.into(), rng)).unwrap_or(now)
}

/// The pause after the try of this number from 1, without anything random.
pub(in crate::jetstream) fn pause(number: u32) -> Duration {
    BACKOFF.base(number.into())
}

#[cfg(test)]
mod tests;
