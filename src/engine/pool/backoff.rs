//! Delays and jitter: pure arithmetic, for every attempt number up to the largest.

use std::time::Duration;

use rand::{Rng, RngExt};

/// How long to wait before the next attempt on a server that has failed `n` times in a row.
///
/// The delay before jitter is `initial × factor^(n-1)`, never more than `max`; jitter is applied to
/// that capped value, so that clients at the cap are spread too.
///
/// ```
/// use nats_lifeline::options::{Backoff, Jitter};
/// use std::time::Duration;
///
/// let backoff = Backoff { initial: Duration::from_millis(100), factor: 2.0, max: Duration::from_secs(4), jitter: Jitter::None };
/// assert_eq!(backoff.base(1), Duration::from_millis(100));
/// assert_eq!(backoff.base(3), Duration::from_millis(400));
/// assert_eq!(backoff.base(u64::MAX), Duration::from_secs(4));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// Delay after the first failure.
    pub initial: Duration,
    /// By how much each further failure multiplies the delay; at least 1.
    pub factor: f64,
    /// The delay never grows beyond this, jitter aside.
    pub max: Duration,
    /// How the capped delay is spread.
    pub jitter: Jitter,
}

/// The shape of the random part of a delay `d`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jitter {
    /// Exactly `d`.
    None,
    /// Uniform in `0 ..= d`.
    Full,
    /// Uniform in `d/2 ..= d`.
    Equal,
    /// Uniform in `d × (1 - f) ..= d × (1 + f)`, never negative.
    Symmetric(f64),
    /// Uniform in `d ..= d + t`: at least `d`, and up to `t` more.
    ///
    /// ```
    /// use nats_lifeline::options::{Backoff, Jitter};
    /// use std::time::Duration;
    ///
    /// // From 2 s to 2.5 s after every failure.
    /// let jitter = Jitter::Added(Duration::from_millis(500));
    /// let backoff = Backoff { jitter, ..Backoff::fixed(Duration::from_secs(2)) };
    /// # let _ = backoff;
    /// ```
    Added(Duration),
}

impl Backoff {
    /// The same delay after every failure, of which half is random.
    ///
    /// ```
    /// use nats_lifeline::options::Backoff;
    /// use std::time::Duration;
    ///
    /// let two = Duration::from_secs(2);
    /// assert_eq!([1, 2, 99].map(|n| Backoff::fixed(two).base(n)), [two; 3]);
    /// ```
    pub const fn fixed(delay: Duration) -> Backoff {
        Backoff { initial: delay, factor: 1.0, max: delay, jitter: Jitter::Equal }
    }

    /// `initial` after the first failure, doubled by each further one up to `max`; half of each delay is random.
    pub const fn exponential(initial: Duration, max: Duration) -> Backoff {
        Backoff { initial, factor: 2.0, max, jitter: Jitter::Equal }
    }

    /// The delay after `failures` failures, before jitter. No failure, no delay.
    pub fn base(&self, failures: u64) -> Duration {
        let Some(exponent) = failures.checked_sub(1) else { return Duration::ZERO };
        if self.initial.is_zero() {
            // Zero times the infinity that powf reaches is NaN, and would be mistaken for the cap.
            return Duration::ZERO;
        }
        // The exponent is clamped: beyond that every factor above 1 has long reached any cap.
        let grown = self.initial.as_secs_f64() * self.factor.max(1.0).powf(exponent.min(1 << 20) as f64);
        if grown.is_finite() && grown < self.max.as_secs_f64() {
            Duration::try_from_secs_f64(grown).unwrap_or(self.max)
        } else {
            self.max.max(self.initial.min(self.max))
        }
    }

    /// The delay after `failures` failures, with jitter drawn from `rng`.
    pub(crate) fn delay<R: Rng + ?Sized>(&self, failures: u64, rng: &mut R) -> Duration {
        self.jitter.apply(self.base(failures), rng)
    }
}

impl Jitter {
    /// Spreads `delay` by this shape.
    pub(crate) fn apply<R: Rng + ?Sized>(self, delay: Duration, rng: &mut R) -> Duration {
        match self {
            Jitter::None => delay,
            Jitter::Full => between(Duration::ZERO, delay, rng),
            Jitter::Equal => between(delay / 2, delay, rng),
            Jitter::Symmetric(factor) => {
                let factor = if factor.is_finite() { factor.max(0.0) } else { 0.0 };
                let low = scale(delay, (1.0 - factor).max(0.0));
                between(low, scale(delay, 1.0 + factor), rng)
            }
            Jitter::Added(most) => between(delay, delay.saturating_add(most), rng),
        }
    }
}

/// A uniformly random duration in `low ..= high`.
pub fn between<R: Rng + ?Sized>(low: Duration, high: Duration, rng: &mut R) -> Duration {
    if high <= low {
        return low;
    }
    let span = u64::try_from(high.saturating_sub(low).as_nanos()).unwrap_or(u64::MAX);
    low.saturating_add(Duration::from_nanos(rng.random_range(0..=span)))
}

fn scale(delay: Duration, by: f64) -> Duration {
    Duration::try_from_secs_f64(delay.as_secs_f64() * by).unwrap_or(Duration::MAX / 4)
}
